"""Receipts and MO on their way from a link to the bus; the carrier hears "taken" only once they are durable (P7)."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

import structlog

from gateway.bus import topics
from gateway.bus.inbound import inbound_record
from gateway.dispatch.context import LaneContext
from gateway.ports.links import CarrierLink, Inbound

_log = structlog.get_logger()

_BATCH: Final = 500
_RETRY_S: Final = 0.2


class InboundPump:
    """Collects what a link hands over and appends it in batches.

    At most `max_inbound_pending` items wait here; what exceeds it, or waits longer than `inbound_deadline_s`, is
    acknowledged as not stored, and the carrier sends it again later.
    """

    def __init__(self, context: LaneContext, *, link: CarrierLink) -> None:
        settings = context.settings
        self._link = link
        self._bus = context.bus
        self._clock = context.clock
        self._metrics = context.metrics
        self._linger_s = settings.inbound_linger_ms / 1000
        self._deadline_ns = int(settings.inbound_deadline_s * 1e9)
        self._max_pending = settings.max_inbound_pending
        self._pending: deque[tuple[int, Sequence[Inbound]]] = deque()  # as they came, with the time
        self._pending_count = 0
        self._wake = asyncio.Event()
        self._closing = False

    @property
    def pending(self) -> int:
        """Items that are not durable yet."""
        return self._pending_count

    def put(self, batch: Sequence[Inbound]) -> None:
        """Take items over from the link; synchronous and short."""
        room = self._max_pending - self._pending_count
        if len(batch) > room:
            self._link.acknowledge(batch[max(0, room) :], stored=False)
            batch = batch[: max(0, room)]
        if batch:
            self._pending.append((self._clock.monotonic_ns(), batch))
            self._pending_count += len(batch)
            self._wake.set()

    def close(self) -> None:
        """End `run` once what waits is durable or past its deadline."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """Append batches until closed."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if not self._closing:
                await asyncio.sleep(self._linger_s)
            while self._pending:
                await self._store_batch()
            if self._closing:
                return

    def _take(self) -> tuple[int, list[Inbound]]:
        """Remove up to `_BATCH` items, oldest first; return them with the time that the first of them came."""
        pending = self._pending
        since_ns = pending[0][0]
        items: list[Inbound] = []
        while pending and len(items) < _BATCH:
            came_ns, batch = pending.popleft()
            room = _BATCH - len(items)
            items += batch[:room]
            if len(batch) > room:
                pending.appendleft((came_ns, batch[room:]))
        self._pending_count -= len(items)
        return since_ns, items

    async def _store_batch(self) -> None:
        since_ns, items = self._take()
        records = [inbound_record(one.item) for one in items]
        give_up_ns = since_ns + self._deadline_ns
        while (left_ns := give_up_ns - self._clock.monotonic_ns()) > 0:
            try:
                async with asyncio.timeout(left_ns / 1e9):
                    await self._bus.append(records)
            except Exception as error:  # noqa: BLE001 - whatever the bus does, the carrier gets an answer
                _log.warning(
                    "dispatch.inbound_failed",
                    carrier=self._link.carrier,
                    items=len(items),
                    error=type(error).__name__,
                )
                await asyncio.sleep(_RETRY_S)
            else:
                self._link.acknowledge(items, stored=True)
                mo_count = sum(1 for record in records if record.topic == topics.MO)
                if mo_count:
                    self._metrics.mo_received.inc(mo_count)
                return
        self._link.acknowledge(items, stored=False)
