"""inbound: mobile-originated messages of the bus become stored messages that their account is told of. Role `back`.

One batch is one transaction: segments to their sets, whole messages to their account, rows, notices, position. What
waits for more segments waits in the database, so a process that dies loses nothing.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from gateway.bus.reader import BatchReader, Taken
from gateway.bus.reader_metrics import ReaderMetrics
from gateway.bus.sharing import Share
from gateway.bus.topics import INBOUND_GROUP, MO
from gateway.domain.ids import new_uuid7
from gateway.domain.receipts import MobileOriginated
from gateway.inbound.assembler import Arrival, Assembled, Assembler
from gateway.inbound.delivery import Delivery
from gateway.inbound.metrics import InboundMetrics
from gateway.inbound.reading import decode_mo, read
from gateway.ports.bus import Bus, Commit
from gateway.ports.clock import Clock
from gateway.ports.inbound_store import InboundStore
from gateway.ports.store import Transactions

_YEAR_10000_MS: Final = 253_402_300_800_000
_PARTITION_BITS: Final = 16
_PARTITION_MASK: Final = (1 << _PARTITION_BITS) - 1
_OFFSET_MASK: Final = (1 << 58) - 1


class InboundConsumer:
    """One per process. `run` until `stop`, which ends after the batch in hand."""

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
        reader_metrics: ReaderMetrics,
        share: Share | None = None,
        partitions: Sequence[int] | None = None,
        batch_limit: int = 500,
    ) -> None:
        self._bus = bus
        self._store = store
        self._assembler = assembler
        self._delivery = delivery
        self._metrics = metrics
        self.reader = BatchReader(
            bus,
            self,
            group=INBOUND_GROUP,
            topic=MO,
            table="inbound_messages",
            db=db,
            dead=store,
            clock=clock,
            metrics=reader_metrics,
            share=share,
            partitions=partitions,
            limit=batch_limit,
        )

    async def run(self) -> None:
        """Store messages until `stop`."""
        await self.reader.run()

    def stop(self) -> None:
        """End `run` after the batch in hand."""
        self.reader.stop()

    async def handle(self, batch: Sequence[Taken], commits: Sequence[Commit]) -> None:
        """Write one batch; RowRejectedError when the database refuses one of its values for good."""
        arrivals, dead = self.reader.decoded(batch, _decode)
        whole = [one for one in arrivals if _stands_alone(one)]
        segments = [one for one in arrivals if not _stands_alone(one)]
        assembled = Assembled([], 0)
        async with self.reader.transaction(commits) as tx:
            if segments:
                assembled = await self._assembler.assemble(tx, segments)
            delivered = await self._delivery.deliver(tx, whole, assembled.closed)
            if dead:
                await self._store.insert_dead(tx, dead)
            if delivered.records:
                await self._bus.append(delivered.records, commits=commits, tx=tx)
            else:
                await self._bus.commit(commits, tx=tx)
        delivered.count(self._metrics)
        if assembled.repeated:
            self._metrics.repeated.inc(assembled.repeated)
        self.reader.count_dead(dead)


def _decode(record: Taken) -> Arrival:
    mo = decode_mo(record.value)
    return Arrival(_record_id(record, mo), mo, read(mo), record.value)


def _stands_alone(arrival: Arrival) -> bool:
    place = arrival.content.place
    return place is None or place.segment_count == 1


def _record_id(record: Taken, mo: MobileOriginated) -> UUID:
    """Return the id of a record by its place on the bus: a replay has the same, an equal message elsewhere another.

    Within a millisecond ids have the order of the bus. ValueError for a time that cannot be shown.
    """
    if not 0 <= mo.received_at < _YEAR_10000_MS:
        raise ValueError(f"received_at {mo.received_at} is not within 0..{_YEAR_10000_MS - 1}")
    place = (record.offset & _OFFSET_MASK) << _PARTITION_BITS | record.partition & _PARTITION_MASK
    return new_uuid7(mo.received_at, place)
