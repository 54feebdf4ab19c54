"""The end of a load: the lists are read in an order that accuses nobody wrongly, and reconciled. Used by `one_load`.

What waits is read first, then what is final, then the carriers, then what customers were told: a gateway that is behind
goes on meanwhile, and what comes to a carrier in between is in the later list.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final
from uuid import UUID

import aiohttp
import asyncpg

from loadtest.delays import Delay, parse_duration_ns
from loadtest.ledger import Accepted
from loadtest.running.bench import Bench
from loadtest.running.books import AcceptedFile, CarrierBooks, Closed, close_books, message_id, read_told
from loadtest.running.events import bands_of, excuse
from loadtest.running.gateway import GatewayError, OwnGateway
from loadtest.running.measured import Measured

SETTLE_S: Final = 1.2  # the sink writes once a second
RECORD_S: Final = 60.0
"""How long the gateway may take to record what it has accepted before it counts as lost; at most the drain again."""
CALLBACKS_S: Final = 20.0
"""How long a customer may be told after the books were read of what was final then; at most the drain again."""
_LOOK_S: Final = 1.0

End = tuple[str, str, int]
"""A final message: its id, its state, and when, in epoch milliseconds."""


class BooksReading:
    """Reads the lists of one load; `files` are what the generators wrote, `told_from` where the sink's file began."""

    def __init__(
        self,
        bench: Bench,
        files: Sequence[AcceptedFile],
        *,
        nonce: str,
        first_id: UUID,
        told_from: int,
    ) -> None:
        self._bench = bench
        self._files = files
        self._nonce = nonce
        self._first_id = first_id
        self._told_from = told_from
        self._in_doubt: set[str] = set()

    async def close(self, found: Measured) -> None:
        """Fill in `found.closed` and `found.carriers`; what cannot be read is said, and nothing is measured then."""
        try:
            still_waiting, finals = await self._of_gateway(found)
            found.still_waiting = len(still_waiting)
            await self._of_carriers(found)
            await self._until_told(finals, limit_s=min(CALLBACKS_S, _drain_s(found)))
        except (
            aiohttp.ClientError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            OSError,
            TimeoutError,
            ValueError,
            GatewayError,
        ) as error:
            said = f"the books could not be read: {error or type(error).__name__}"
            if found.aborted:
                found.notes.append(said)
            else:
                found.trouble = said
            return
        found.closed = await asyncio.to_thread(self._reconcile, found, finals, still_waiting)

    async def _of_gateway(self, found: Measured) -> tuple[set[str], list[End]]:
        """Return what waits for a carrier, and what is final."""
        gateway = self._bench.gateway
        if not isinstance(gateway, OwnGateway):
            finals = await gateway.finals(self._first_id)
            ours = {one.message_id for one in self._accepted()}  # the key may have other messages
            return gateway.waiting(), [row for row in finals if row[0] in ours]
        if found.scenario.load.waiting:
            for carrier in self._bench.carriers:
                await gateway.hold(carrier.settings.id, is_held=True)
        await asyncio.sleep(SETTLE_S)
        await self._until_recorded(gateway, found)
        is_empty = await found.watch.has_empty_lanes()
        waiting = await gateway.waiting(self._first_id, has_empty_lanes=is_empty)
        is_excused = excuse(bands_of(found.scenario.event), start_ns=found.start_ns)
        self._in_doubt = {
            message_id(one)
            for one, at_ms in await gateway.in_doubt(self._first_id)
            if is_excused(self._bench.of_unix_ms(at_ms))
        }
        finals_of = await gateway.finals(self._first_id)
        return {message_id(one) for one in waiting}, [
            (message_id(one), state, at_ms) for one, state, at_ms in finals_of
        ]

    async def _until_recorded(self, gateway: OwnGateway, found: Measured) -> None:
        """Wait until the gateway has recorded what it accepted: its recorder may be behind its API."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(RECORD_S, _drain_s(found))):
                while True:
                    _, known = await gateway.progress(self._first_id)
                    if known >= found.account.accepted:
                        return
                    await asyncio.sleep(_LOOK_S)

    async def _until_told(self, finals: list[End], *, limit_s: float) -> None:
        """Give the callbacks of what has just become final their time; those that never come are missing then."""
        if not self._bench.has_callbacks:
            return
        untold = {one for one, _, _ in finals}
        start = self._told_from
        for _ in range(int(limit_s / _LOOK_S)):
            start = await asyncio.to_thread(forget_told, untold, self._bench.told_path, start)
            if not untold:
                return
            await asyncio.sleep(_LOOK_S)

    async def _of_carriers(self, found: Measured) -> None:
        by_ref = await asyncio.to_thread(self._references)
        for carrier in self._bench.carriers:
            books = CarrierBooks(
                nonce=self._nonce,
                start_ns=found.start_ns,
                duration_s=found.duration_s,
                to_ns=self._bench.to_ns(carrier),
                is_ours=carrier.is_ours,
                early_ns=Delay(carrier.settings.receipts.delay).median_ns // 2,
            )
            async for rows in carrier.rows(self._bench.http):
                await asyncio.to_thread(books.add, rows, by_ref=by_ref)
            found.carriers[carrier.settings.id] = books

    def _accepted(self) -> Iterator[Accepted]:
        return chain.from_iterable(file.messages() for file in self._files)

    def _references(self) -> dict[str, tuple[str, int]]:
        """Return token and segment count by message id: carriers over HTTP get a text whole, however long."""
        if all(one.settings.kind == "smpp" for one in self._bench.carriers):
            return {}
        return {one.message_id: (one.key, one.segment_count) for one in self._accepted()}

    def _reconcile(self, found: Measured, finals: list[End], still_waiting: set[str]) -> Closed:
        # What was queued before the load and still waits is no part of it.
        left_out = still_waiting if found.scenario.load.waiting else frozenset[str]()
        told = read_told(self._bench.told_path, start=self._told_from) if self._bench.has_callbacks else ()
        return close_books(
            chain.from_iterable(file.messages(without=left_out) for file in self._files),
            found.carriers.values(),
            finals,
            told,
            wants_callbacks=self._bench.has_callbacks,
            is_excused=excuse(bands_of(found.scenario.event), start_ns=found.start_ns),
            still_waiting=still_waiting,
            in_doubt=self._in_doubt,
        )


def forget_told(untold: set[str], path: Path, start: int) -> int:
    """Take away the ids that were told from octet `start` on; return where the next look begins."""
    end = path.stat().st_size
    untold.difference_update(one.message_id for one in read_told(path, start=start))
    # The last line may be half written: it is read again.
    with path.open("rb") as file:
        file.seek(start)
        return start + file.read(end - start).rfind(b"\n") + 1


def _drain_s(found: Measured) -> float:
    return parse_duration_ns(found.scenario.load.drain) / 1e9
