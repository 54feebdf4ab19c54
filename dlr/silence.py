"""Messages that nobody said anything final about: closed as `unknown` at the receipt deadline (P6).

The deadline is the end of validity plus 72 h. The state changes by an event, like every other change; the recorder
applies it unless something final came first. Runs in the role `back`.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final
from uuid import UUID

import structlog

from dlr.metrics import ConservationMetrics
from gateway.bus.codec import encode
from gateway.bus.topics import EVENTS
from gateway.domain.events import Noted
from gateway.domain.lifecycle import State
from gateway.ports.bus import Bus, Record
from gateway.ports.clock import Clock
from gateway.ports.record_store import SilenceStore

_log = structlog.get_logger()

RECEIPT_WAIT_MS: Final = 72 * 3600 * 1000
"""How long after the end of its validity a message may still get a receipt."""

_LOOK_S: Final = 5.0


class SilenceSweeper:
    """Reads the days past the deadline in slices; a day without open messages is never read again.

    Two processes would tell of each message twice: one for which `is_mine` says no leaves the round to another.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        store: SilenceStore,
        clock: Clock,
        every_s: float = 600.0,
        page_rows: int = 2000,
        wait_ms: int = RECEIPT_WAIT_MS,
        is_mine: Callable[[], bool] = lambda: True,
        metrics: ConservationMetrics | None = None,
    ) -> None:
        self._bus = bus
        self._store = store
        self._clock = clock
        self._every_s = every_s
        self._page_rows = page_rows
        self._wait_ms = wait_ms
        self._is_mine = is_mine
        self._metrics = metrics
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End `run` after the slice in hand."""
        self._stopping.set()

    async def run(self) -> None:
        """Sweep until `stop`; an error waits for the next round."""
        while not self._stopping.is_set():
            pause_s = self._every_s
            try:
                if self._is_mine():
                    await self.sweep()
                else:
                    pause_s = min(_LOOK_S, pause_s)
            except Exception as error:  # noqa: BLE001 - the database may be away; the rows stay
                _log.warning("silence.sweep_failed", error=type(error).__name__)
            await self._pause(pause_s)

    async def sweep(self) -> int:
        """Look through every day that may hold open messages; return how many were closed."""
        deadline_ms = self._clock.now_ms() - self._wait_ms
        closed = 0
        for day_at in await self._store.open_days(before_ms=deadline_ms):
            closed += await self._sweep_day(day_at, deadline_ms)
            if self._stopping.is_set() or not self._is_mine():
                break
        else:
            if self._metrics is not None:
                self._metrics.checked.set(self._clock.now_ms() / 1000)
        if closed:
            _log.info("silence.closed", messages=closed)
        return closed

    async def _sweep_day(self, day_at: int, deadline_ms: int) -> int:
        after: UUID | None = None
        open_count = closed = 0
        while not self._stopping.is_set():
            page = await self._store.silent_page(
                day_at, after=after, valid_before_ms=deadline_ms, limit=self._page_rows
            )
            if page.message_ids:
                await self._bus.append([self._note(message_id) for message_id in page.message_ids])
                closed += len(page.message_ids)
                self._note_lost(page.lost_count, day_at)
            open_count += page.open_count
            if page.next_id is None:
                if not open_count:
                    await self._store.close_day(day_at)
                break
            after = page.next_id
            # A day may hold millions of rows: leave the database to the others between two slices.
            await self._pause(0.02)
        return closed

    def _note_lost(self, count: int, day_at: int) -> None:
        if count:
            _log.error(
                "conservation.lost", messages=count, day_at=day_at, action="see the runbook, slo-durability"
            )
            if self._metrics is not None:
                self._metrics.lost.inc(count)

    def _note(self, message_id: UUID) -> Record:
        note = Noted(
            message_id,
            self._clock.now_ms(),
            "receipt_deadline",
            state=State.UNKNOWN,
            reason="no final receipt",
        )
        return Record(EVENTS, message_id.bytes, encode(note))

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
