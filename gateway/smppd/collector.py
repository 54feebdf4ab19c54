"""From the topic `esme.due` to the table of waiting receipts (sms-domain F21, H14). Runs in the role `back`.

One reader, so that receipts of one system_id are kept in the order in which they happened; the processes that have
customers bound deliver from the table.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import structlog

from gateway.bus.codec import decode_as
from gateway.bus.reader import BatchReader, DeadRecords, Taken
from gateway.bus.reader_metrics import ReaderMetrics
from gateway.bus.sharing import Share
from gateway.bus.topics import ESME, ESME_GROUP
from gateway.domain.lifecycle import FINALS, State
from gateway.domain.notices import Notice
from gateway.ports.bus import Bus, Commit
from gateway.ports.clock import Clock
from gateway.ports.smpp_store import ReceiptQueue, WaitingReceipt
from gateway.ports.store import Transactions
from gateway.smppd.metrics import CollectorMetrics
from gateway.smppd.origin import read_origin
from gateway.smppd.receipts import EXPIRY_MS, receipts_of

_log = structlog.get_logger()

PURGE_EVERY_S: Final = 15.0
_PURGE_ROWS: Final = 5_000
_COUNT_UP_TO: Final = 1_000_000


class ReceiptCollector:
    """One per process. `run` until `stop`, which ends after the batch in hand."""

    def __init__(
        self,
        bus: Bus,
        *,
        db: Transactions,
        queue: ReceiptQueue,
        dead: DeadRecords,
        clock: Clock,
        metrics: CollectorMetrics,
        reader_metrics: ReaderMetrics,
        share: Share | None = None,
        expiry_ms: int = EXPIRY_MS,
    ) -> None:
        self._bus = bus
        self._queue = queue
        self._dead_store = dead
        self._clock = clock
        self._metrics = metrics
        self._expiry_ms = expiry_ms
        self._stopping = asyncio.Event()
        self.reader = BatchReader(
            bus,
            self,
            group=ESME_GROUP,
            topic=ESME,
            table="smpp_outbox",
            db=db,
            dead=dead,
            clock=clock,
            metrics=reader_metrics,
            share=share,
        )

    async def run(self) -> None:
        """Keep receipts until `stop`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.reader.run(), name="smppd.collect")
            group.create_task(self._purge_until_stop(), name="smppd.purge")

    def stop(self) -> None:
        """End `run` after the batch in hand."""
        self._stopping.set()
        self.reader.stop()

    async def handle(self, batch: Sequence[Taken], commits: Sequence[Commit]) -> None:
        """Keep the receipts that a batch of notices owes."""
        owed, dead = self.reader.decoded(batch, self._receipts_of)
        receipts = [receipt for some in owed for receipt in some]
        async with self.reader.transaction(commits) as tx:
            await self._queue.add(tx, receipts)
            if dead:
                await self._dead_store.insert_dead(tx, dead)
            await self._bus.commit(commits, tx=tx)
        self._metrics.queued.inc(len(receipts))
        self.reader.count_dead(dead)

    async def purge(self) -> None:
        """Delete what has expired and count what waits, once."""
        while True:
            count = await self._queue.purge(now_ms=self._clock.now_ms(), limit=_PURGE_ROWS)
            self._metrics.expired.inc(count)
            if count < _PURGE_ROWS:
                break
        self._metrics.waiting.set(await self._queue.count(limit=_COUNT_UP_TO))

    def _receipts_of(self, record: Taken) -> list[WaitingReceipt]:
        notice: Notice = decode_as(Notice, record.value)
        if notice.origin is None:
            return []
        state = _state_of(notice)
        if state is None:
            return []
        return receipts_of(
            read_origin(notice.origin),
            message_id=notice.subject_id,
            state=state,
            done_at=notice.at,
            expiry_ms=self._expiry_ms,
        )

    async def _purge_until_stop(self) -> None:
        while not self._stopping.is_set():
            try:
                await self.purge()
            except Exception as error:  # noqa: BLE001 - expired rows are never delivered, deleted or not
                _log.warning("smppd.purge_failed", error=type(error).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PURGE_EVERY_S):
                    await self._stopping.wait()


def _state_of(notice: Notice) -> State | None:
    """Return the final state that a notice tells, None for what is no end of a message."""
    subject, _, name = notice.type.partition(".")
    if subject != "message":
        return None
    told = str(notice.data.get("status", name))
    return State(told) if told in FINALS else None
