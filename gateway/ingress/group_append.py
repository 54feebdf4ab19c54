"""Group append: what concurrent requests bring becomes durable in one shared append of the bus.

Used for the calls of carriers, which come one receipt at a time: a transaction for each would cost more than all else
that a receipt needs. An append begins when the first one waiting has lingered, and never while another runs, so under
load the time of an append is what gathers the next.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Final, NamedTuple

import structlog

from gateway.ports.bus import Bus, Record
from gateway.ports.clock import Clock

_log = structlog.get_logger()

_REPORT_EVERY_NS: Final = 1_000_000_000


class Appended(StrEnum):
    """How an append ended."""

    STORED = "stored"
    UNAVAILABLE = "unavailable"  # nothing is promised: try again
    REFUSED = "refused"  # the bus would refuse it again: too large


class _Waiting(NamedTuple):
    records: Sequence[Record]
    future: asyncio.Future[Appended]


class GroupAppend:
    """Owns the appends of one process. At most `max_pending` records wait; each waits `deadline_s` at most."""

    def __init__(
        self,
        bus: Bus,
        *,
        clock: Clock,
        linger_s: float = 0.003,
        max_records: int = 2_000,
        max_pending: int = 20_000,
        deadline_s: float = 5.0,
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._linger_s = linger_s
        self._max_records = max_records
        self._max_pending = max_pending
        self._deadline_s = deadline_s
        self._waiting: deque[_Waiting] = deque()
        self._pending = 0
        self._wake = asyncio.Event()
        self._is_closing = False
        self._report_due_ns = 0

    @property
    def pending(self) -> int:
        """Records that wait or are being appended."""
        return self._pending

    async def append(self, records: Sequence[Record]) -> Appended:
        """Return once the records are durable, or will not be now."""
        count = len(records)
        if self._is_closing or self._pending + count > max(self._max_pending, count):
            return Appended.UNAVAILABLE
        one = _Waiting(records, asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        self._pending += count
        self._wake.set()
        try:
            async with asyncio.timeout(self._deadline_s):
                return await one.future
        except TimeoutError:
            return Appended.UNAVAILABLE

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Append in the background while the block runs; what waits at its end is still appended."""
        task = asyncio.create_task(self._run(), name="ingress.group_append")
        try:
            yield
        finally:
            self._is_closing = True
            self._wake.set()
            await task

    async def _run(self) -> None:
        try:
            while self._waiting or not self._is_closing:
                if not self._waiting:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                if self._pending < self._max_records and not self._is_closing:
                    await asyncio.sleep(self._linger_s)
                await self._flush(self._take())
        finally:
            for one in self._waiting:
                _settle(one, Appended.UNAVAILABLE)
            self._waiting.clear()

    def _take(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        count = 0
        while self._waiting and count < self._max_records:
            one = self._waiting.popleft()
            if one.future.done():  # its caller has gone
                self._pending -= len(one.records)
                continue
            group.append(one)
            count += len(one.records)
        return group

    async def _flush(self, group: Sequence[_Waiting]) -> None:
        if not group:
            return
        try:
            appended = await self._append(group)
            if appended is Appended.REFUSED and len(group) > 1:
                # One of them is too large: only it shall pay for that.
                for one in group:
                    _settle(one, await self._append([one]))
            for one in group:  # no effect on those that have their answer
                _settle(one, appended)
        finally:
            self._pending -= sum(len(one.records) for one in group)
            for one in group:  # only when this task is being cancelled
                _settle(one, Appended.UNAVAILABLE)

    async def _append(self, group: Sequence[_Waiting]) -> Appended:
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._bus.append([record for one in group for record in one.records])
        except Exception as error:  # noqa: BLE001 - whatever the bus does, the callers get their answer
            self._report(error, calls=len(group))
            return Appended.REFUSED if isinstance(error, ValueError) else Appended.UNAVAILABLE
        return Appended.STORED

    def _report(self, error: Exception, *, calls: int) -> None:
        # One line a second at most: a bus that is away fails every one of them.
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._report_due_ns:
            self._report_due_ns = now_ns + _REPORT_EVERY_NS
            _log.warning("callbacks.append_failed", error=type(error).__name__, calls=calls)


def _settle(one: _Waiting, appended: Appended) -> None:
    if not one.future.done():
        one.future.set_result(appended)
