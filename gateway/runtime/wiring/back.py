"""Role `back`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from dlr.aggregate import weigh
from dlr.consumer import DlrConsumer
from dlr.metrics import ConservationMetrics, DlrMetrics
from dlr.parking import Parking, ParkingMetrics, ParkingSweeper
from dlr.silence import SilenceSweeper
from dlr.traces import LateSpans, ReceiptSpans
from dlr.webhooks.directory import Directory
from gateway.bus import topics
from gateway.bus.reader_metrics import PendingMetrics, ReaderMetrics
from gateway.bus.sharing import LeasedShare, PartitionShares
from gateway.dispatch.deferrer import Deferrer
from gateway.inbound.metrics import InboundMetrics
from gateway.recorder.consumer import Recorder, RecorderMetrics
from gateway.recorder.housekeeping import Housekeeper
from gateway.recorder.states import States
from gateway.recorder.tallies import Tallies
from gateway.runtime.wiring.channels import channel_workers
from gateway.runtime.wiring.inbound import inbound_workers
from gateway.runtime.wiring.parts import Base
from gateway.runtime.wiring.reports import ReportCounts
from gateway.runtime.wiring.smppd import receipt_collector
from gateway.runtime.wiring.webhooks import webhook_workers
from gateway.settings import Settings
from gateway.store.controls import PostgresControls
from gateway.store.deferred import PostgresDeferred
from gateway.store.idempotency import IdempotencyStore
from gateway.store.leases import PostgresLeases, PostgresMembers
from gateway.store.media import PostgresMedia
from gateway.store.messages import PostgresMessages, PostgresSilence
from gateway.store.parked import PostgresParked
from gateway.store.partitions import Partitions
from gateway.store.receipts import PostgresSubmissions
from gateway.store.retention import AccountRetention
from gateway.store.tallies import PostgresTallies
from gateway.store.traces import PostgresTraces

_TRIM_EVERY_S = 3.0
_PURGE_EVERY_S = 600.0
_ACCOUNTS_EVERY_S = 30.0


class _Periodic(Protocol):
    async def run(self) -> None: ...
    def stop(self) -> None: ...


class _Keep:
    """Makes something with one method a Housekeeper can call."""

    def __init__(self, work: Callable[[int], Awaitable[object]]) -> None:
        self._work = work

    async def keep(self, *, now_ms: int) -> None:
        await self._work(now_ms)


def _shares(base: Base) -> PartitionShares:
    """Return who shares the partitions with the other processes of this role."""
    return PartitionShares(
        base.owner,
        role="partitions",
        leases=PostgresLeases(base.db),
        members=PostgresMembers(base.db),
        clock=base.clock,
        stop_s=base.settings.drain_s,
    )


def _late_spans(base: Base) -> LateSpans | None:
    """Return who finds the traces of what happens after the submit, None where traces are off."""
    if base.spans is None:
        return None
    return LateSpans(base.spans, traces=PostgresTraces(base.db), clock=base.clock)


def _share(base: Base, shares: PartitionShares, group: str, topic: str) -> LeasedShare:
    return shares.share(group, partitions=base.bus.partitions(topic))


def _sweepers(base: Base, *, chores: LeasedShare, counts: ReportCounts) -> dict[str, _Periodic]:
    """Return what comes round by itself: silence, deferred messages, what has had its time.

    Deferred messages are any process's: rows that one has in hand are skipped by the others. The rest is harmless
    when two do it, but it is work for one: who has the `chores`.
    """
    clock, db, bus = base.clock, base.db, base.bus

    def one(work: Callable[[int], Awaitable[object]], *, every_s: float) -> Housekeeper:
        return Housekeeper(_Keep(work), clock=clock, every_s=every_s, is_mine=lambda: chores.is_mine)

    idempotency, controls, media = IdempotencyStore(db), PostgresControls(db), PostgresMedia(db)
    days = base.settings.retention_days
    return {
        "partitions": Housekeeper(
            Partitions(db, retention_days=days, before_drop=counts.roller.settle_day), clock=clock
        ),
        "account_retention": Housekeeper(
            AccountRetention(db, retention_days=days, removed=counts.removed),
            clock=clock,
            every_s=_ACCOUNTS_EVERY_S,
            is_mine=lambda: chores.is_mine,
        ),
        "reports": counts.worker(is_mine=lambda: chores.is_mine),
        "silence": SilenceSweeper(
            bus,
            store=PostgresSilence(db),
            clock=clock,
            is_mine=lambda: chores.is_mine,
            metrics=ConservationMetrics(base.registry),
        ),
        "deferrer": Deferrer(bus=bus, db=db, deferred=PostgresDeferred(db), clock=clock),
        "retention": one(lambda _: bus.trim(), every_s=_TRIM_EVERY_S),
        "purge": one(lambda now_ms: idempotency.purge(now_ms=now_ms), every_s=_PURGE_EVERY_S),
        "purge_media": one(lambda now_ms: media.purge(now_ms=now_ms), every_s=_PURGE_EVERY_S),
        "purge_controls": one(lambda now_ms: controls.purge(now_ms=now_ms), every_s=_PURGE_EVERY_S),
    }


class BackPart:
    """Role `back`: recorder, dlr, deferred messages, sweepers, retention; any number of processes share the partitions."""

    def __init__(self, base: Base) -> None:
        carriers = tuple(base.settings.carriers)
        reader_metrics = ReaderMetrics(base.registry)
        self._pending = pending = PendingMetrics(base.registry, carriers=carriers)
        self._recorder_metrics = RecorderMetrics(base.registry, carriers=carriers, pending=pending)
        late = _late_spans(base)
        self._dlr_metrics = DlrMetrics(
            base.registry,
            carriers=carriers,
            pending=pending,
            spans=None if late is None else ReceiptSpans(late),
        )
        self._inbound_metrics = InboundMetrics(base.registry, carriers=carriers)
        self._shares = shares = _shares(base)
        chores = shares.share("chores", partitions=1)
        self._counts = ReportCounts(base)
        directory, webhooks = webhook_workers(
            base, reader_metrics=reader_metrics, membership=shares.membership, late=late
        )
        self._workers: dict[str, _Periodic] = {
            **webhooks,
            **self._records(base, audience=directory, reader_metrics=reader_metrics),
            **inbound_workers(
                base,
                metrics=self._inbound_metrics,
                reader_metrics=reader_metrics,
                audience=directory,
                share=_share(base, shares, topics.INBOUND_GROUP, topics.MO),
            ),
            "smppd": receipt_collector(
                base,
                reader_metrics=reader_metrics,
                share=_share(base, shares, topics.ESME_GROUP, topics.ESME),
            ),
            **channel_workers(
                base,
                reader_metrics=reader_metrics,
                share=_share(base, shares, topics.CHANNELS_GROUP, topics.CHANNELS),
                is_mine=lambda: chores.is_mine,
            ),
            **_sweepers(base, chores=chores, counts=self._counts),
            "tallies": Tallies(
                base.registry,
                store=PostgresTallies(base.db),
                pending=pending,
                is_mine=lambda: chores.is_mine,
                is_alone=lambda: shares.membership.is_alone,
            ),
            "shares": shares,
            **({} if late is None else {"late_spans": late}),
        }
        self._running = False

    def _records(
        self, base: Base, *, audience: Directory, reader_metrics: ReaderMetrics
    ) -> dict[str, _Periodic]:
        """Return what writes messages and their receipts."""
        settings, clock, db, bus, shares = base.settings, base.clock, base.db, base.bus, self._shares
        submissions, parked = PostgresSubmissions(), PostgresParked(db)
        parking = Parking(bus, db=db, submissions=submissions, parked=parked, clock=clock)
        return {
            "recorder": Recorder(
                bus,
                db=db,
                messages=PostgresMessages(),
                submissions=submissions,
                parked=parked,
                weigh=weigh,
                clock=clock,
                metrics=self._recorder_metrics,
                reader_metrics=reader_metrics,
                share=_share(base, shares, topics.RECORDER_GROUP, topics.EVENTS),
                audience=audience,
                tells_origins=settings.smpp_server.enabled,
                traces=PostgresTraces(db),
            ),
            "dlr": DlrConsumer(
                bus,
                db=db,
                submissions=submissions,
                parked=parked,
                states=States(
                    PostgresMessages(),
                    metrics=self._recorder_metrics,
                    audience=audience,
                    tells_origins=settings.smpp_server.enabled,
                ),
                clock=clock,
                metrics=self._dlr_metrics,
                reader_metrics=reader_metrics,
                share=_share(base, shares, topics.DLR_GROUP, topics.RECEIPTS),
            ),
            "parking": ParkingSweeper(
                parking,
                parked=parked,
                metrics=ParkingMetrics(base.registry, reader_metrics=reader_metrics),
            ),
        }

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for name, worker in self._workers.items():
                group.create_task(worker.run(), name=f"back.{name}")
            self._running = True

    def stop(self) -> None:
        for worker in self._workers.values():
            worker.stop()

    def not_ready(self) -> dict[str, str]:
        return self._shares.not_ready if self._running else {"workers": "starting"}

    def facts(self) -> dict[str, Any]:
        return {}

    async def reload(self, settings: Settings) -> None:
        """Let the series of new carriers exist; those of removed ones stay, as their receipts may still come."""
        carriers = tuple(settings.carriers)
        self._pending.touch(carriers)
        self._recorder_metrics.touch(carriers)
        self._dlr_metrics.touch(carriers)
        self._inbound_metrics.touch(carriers)
        self._counts.use(settings)
