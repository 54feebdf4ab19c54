"""What time does to mobile-originated messages: sets given up, unassigned ones looked at again. Role `back`."""

import asyncio
import contextlib
from typing import Final
from uuid import UUID

import structlog

from gateway.inbound.assembler import Assembled, Assembler
from gateway.inbound.delivery import Delivery
from gateway.inbound.metrics import InboundMetrics
from gateway.ports.bus import Bus
from gateway.ports.clock import Clock
from gateway.ports.inbound_store import InboundStore
from gateway.ports.store import Transactions

_log = structlog.get_logger()

SECOND_LOOK_MS: Final = 900_000
"""How long after its arrival the account of a message is looked for again."""

SOURCES_MS: Final = 14 * 86_400_000
"""How long a carrier's id of a message is known: platforms repeat a call for a week."""

_YOUNG_MS: Final = 60_000
_FULL_LOOK_EVERY_NS: Final = 60_000_000_000

_MAX_PAGES: Final = 20


class InboundSweeper:
    """Runs for ever, a round every `every_s` seconds; several processes do no harm.

    `remember_ms` is how long a complete message's segments are known as repeats: twice the time in which a repeat can
    open a set, so that the set is judged by what it repeats as long as it lives.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        db: Transactions,
        store: InboundStore,
        assembler: Assembler,
        delivery: Delivery,
        clock: Clock,
        metrics: InboundMetrics,
        remember_ms: int,
        every_s: float = 5.0,
        page_rows: int = 200,
    ) -> None:
        self._bus = bus
        self._db = db
        self._store = store
        self._assembler = assembler
        self._delivery = delivery
        self._clock = clock
        self._metrics = metrics
        self._remember_ms = remember_ms
        self._every_s = every_s
        self._page_rows = page_rows
        self._full_look_due_ns = 0
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End `run` after the page in hand."""
        self._stopping.set()

    async def run(self) -> None:
        """Sweep until `stop`; an error waits for the next round."""
        while not self._stopping.is_set():
            try:
                await self.sweep()
            except Exception as error:  # noqa: BLE001 - the database may be away; the rows stay
                _log.warning("inbound.sweep_failed", error=type(error).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._stopping.wait()

    async def sweep(self) -> int:
        """Do one round; return how many sets were closed."""
        closed = 0
        for give_up in (self._assembler.give_up_expired, self._assembler.give_up_oldest):
            for _ in range(_MAX_PAGES):
                async with self._db.transaction() as tx:
                    now_ms = self._clock.now_ms()
                    assembled: Assembled = await give_up(tx, now_ms=now_ms, limit=self._page_rows)
                    delivered = await self._delivery.deliver(tx, (), assembled.closed)
                    if delivered.records:
                        await self._bus.append(delivered.records, tx=tx)
                delivered.count(self._metrics)
                if assembled.repeated:
                    self._metrics.repeated.inc(assembled.repeated)
                closed += len(assembled.closed)
                if assembled.taken < self._page_rows or self._stopping.is_set():
                    break
        if closed:
            _log.info("inbound.given_up", sets=closed)
        await self._look_again()
        now_ms = self._clock.now_ms()
        await self._store.forget_done(before_ms=now_ms - self._remember_ms, limit=10 * self._page_rows)
        await self._store.forget_sources(before_ms=now_ms - SOURCES_MS, limit=10 * self._page_rows)
        self._metrics.waiting.set(await self._store.waiting())
        return closed

    async def _look_again(self) -> None:
        # The recorder is rarely more than seconds behind: only the youngest are looked at in every round.
        now_ns = self._clock.monotonic_ns()
        is_full = now_ns >= self._full_look_due_ns
        if is_full:
            self._full_look_due_ns = now_ns + _FULL_LOOK_EVERY_NS
        since_ms = self._clock.now_ms() - (SECOND_LOOK_MS if is_full else _YOUNG_MS)
        await look_again(
            self._bus,
            db=self._db,
            delivery=self._delivery,
            since_ms=since_ms,
            page_rows=self._page_rows,
            max_pages=_MAX_PAGES,
        )


async def look_again(
    bus: Bus,
    *,
    db: Transactions,
    delivery: Delivery,
    since_ms: int,
    page_rows: int = 200,
    max_pages: int | None = None,
) -> int:
    """Find accounts for what is nobody's since then; return for how many. Also for `caudal inbound assign`."""
    found = pages = 0
    before: UUID | None = None
    while max_pages is None or pages < max_pages:
        async with db.transaction() as tx:
            looked = await delivery.look_again(tx, since_ms=since_ms, before=before, limit=page_rows)
            if looked.records:
                await bus.append(looked.records, tx=tx)
        found += looked.found
        pages += 1
        before = looked.next_id
        if before is None:
            break
    return found
