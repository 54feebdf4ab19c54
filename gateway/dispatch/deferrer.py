"""Puts messages that waited for a time back on their lanes (D6). Runs in the back role, any number at once."""

import asyncio
import contextlib
from typing import Final

import structlog

from gateway.bus import topics
from gateway.bus.codec import EnvelopeError, decode_as, encode
from gateway.domain.events import Noted
from gateway.domain.lifecycle import State
from gateway.domain.message import Message
from gateway.ports.bus import Bus, Record
from gateway.ports.clock import Clock
from gateway.ports.dispatch_store import DeferredRow, DeferredStore
from gateway.ports.store import Transactions

_log = structlog.get_logger()

_RETRY_S: Final = 1.0
_TIMEOUT_S: Final = 30.0
_LEAST_WAIT_S: Final = 0.02


class Deferrer:
    """Claims due rows, appends them to their lanes and deletes them, in one transaction per batch.

    Sleeps until the next row is due, at most `poll_s`: rows that others add in the meantime are not announced.
    """

    def __init__(
        self,
        *,
        bus: Bus,
        db: Transactions,
        deferred: DeferredStore,
        clock: Clock,
        batch: int = 500,
        poll_s: float = 1.0,
    ) -> None:
        self._bus = bus
        self._db = db
        self._deferred = deferred
        self._clock = clock
        self._batch = batch
        self._poll_s = poll_s
        self._wake = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """Look now: something nearer than the next known row was added."""
        self._wake.set()

    def stop(self) -> None:
        """End `run` after the batch in hand."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Move due rows until stopped; an error is retried for ever."""
        while not self._stopping:
            wait_s = _RETRY_S
            try:
                async with asyncio.timeout(_TIMEOUT_S):
                    count = await self.move_due()
                    wait_s = 0.0 if count == self._batch else await self._wait_s()
            except Exception as error:  # noqa: BLE001 - the rows wait for us, whatever the database does
                _log.warning("deferrer.failed", error=type(error).__name__)
            if wait_s > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._wake.wait()
            self._wake.clear()

    async def move_due(self) -> int:
        """Move one batch of due rows to their lanes; return how many."""
        now_ms = self._clock.now_ms()
        async with self._db.transaction() as tx:
            rows = await self._deferred.claim_due(tx, now_ms=now_ms, limit=self._batch)
            if rows:
                records = [Record(row.topic, row.key, row.value) for row in rows]
                records += [record for row in rows if (record := _queued(row, now_ms)) is not None]
                await self._bus.append(records, tx=tx)
        return len(rows)

    async def _wait_s(self) -> float:
        due_ms = await self._deferred.next_due_ms()
        if due_ms is None:
            return self._poll_s
        # Never zero: what is due and still there is held by another deferrer.
        return min(self._poll_s, max(_LEAST_WAIT_S, (due_ms - self._clock.now_ms()) / 1000))


def _queued(row: DeferredRow, now_ms: int) -> Record | None:
    """Return the event of a scheduled message whose time has come; None for a retry."""
    try:
        message: Message = decode_as(Message, row.value)
    except EnvelopeError:
        return None  # the lane worker sets such records aside
    if message.send_at is None or message.attempt > 1 or message.segments_done or message.resent_in_doubt:
        return None
    event = Noted(
        message.id, now_ms, "queued", state=State.QUEUED, carrier=message.carrier, reason="send_at_reached"
    )
    return Record(topics.EVENTS, message.id.bytes, encode(event))
