"""Role `back`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from dlr.aggregate import weigh
from dlr.consumer import DlrConsumer, DlrMetrics
from dlr.parking import Parking, ParkingMetrics, ParkingSweeper
from dlr.silence import SilenceSweeper
from gateway.bus.reader_metrics import ReaderMetrics
from gateway.dispatch.deferrer import Deferrer
from gateway.inbound.metrics import InboundMetrics
from gateway.recorder.consumer import Recorder, RecorderMetrics
from gateway.recorder.housekeeping import Housekeeper
from gateway.runtime.wiring.inbound import inbound_workers
from gateway.runtime.wiring.parts import Base
from gateway.runtime.wiring.smppd import receipt_collector
from gateway.runtime.wiring.webhooks import webhook_workers
from gateway.settings import Settings
from gateway.store.controls import PostgresControls
from gateway.store.deferred import PostgresDeferred
from gateway.store.idempotency import IdempotencyStore
from gateway.store.messages import PostgresMessages, PostgresSilence
from gateway.store.parked import PostgresParked
from gateway.store.partitions import Partitions
from gateway.store.receipts import PostgresSubmissions
from gateway.store.retention import AccountRetention

_TRIM_EVERY_S = 10.0
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


def _sweepers(base: Base) -> dict[str, _Periodic]:
    """Return what comes round by itself: silence, deferred messages, what has had its time."""
    clock, db, bus = base.clock, base.db, base.bus
    idempotency, controls = IdempotencyStore(db), PostgresControls(db)
    return {
        "silence": SilenceSweeper(bus, store=PostgresSilence(db), clock=clock),
        "deferrer": Deferrer(bus=bus, db=db, deferred=PostgresDeferred(db), clock=clock),
        "retention": Housekeeper(_Keep(lambda _: bus.trim()), clock=clock, every_s=_TRIM_EVERY_S),
        "purge": Housekeeper(
            _Keep(lambda now_ms: idempotency.purge(now_ms=now_ms)), clock=clock, every_s=_PURGE_EVERY_S
        ),
        "purge_controls": Housekeeper(
            _Keep(lambda now_ms: controls.purge(now_ms=now_ms)), clock=clock, every_s=_PURGE_EVERY_S
        ),
    }


class BackPart:
    """Role `back`: recorder, dlr, deferred messages, sweepers, retention."""

    def __init__(self, base: Base) -> None:
        settings, clock, db, bus = base.settings, base.clock, base.db, base.bus
        carriers = tuple(settings.carriers)
        reader_metrics = ReaderMetrics(base.registry)
        submissions, parked = PostgresSubmissions(), PostgresParked(db)
        parking = Parking(bus, db=db, submissions=submissions, parked=parked, clock=clock)
        self._recorder_metrics = RecorderMetrics(base.registry, carriers=carriers)
        self._dlr_metrics = DlrMetrics(base.registry, carriers=carriers)
        self._inbound_metrics = InboundMetrics(base.registry, carriers=carriers)
        directory, webhooks = webhook_workers(base, reader_metrics=reader_metrics)
        self._workers: dict[str, _Periodic] = {
            "partitions": Housekeeper(Partitions(db, retention_days=settings.retention_days), clock=clock),
            "account_retention": Housekeeper(
                AccountRetention(db, retention_days=settings.retention_days),
                clock=clock,
                every_s=_ACCOUNTS_EVERY_S,
            ),
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
                audience=directory,
                tells_origins=settings.smpp_server.enabled,
            ),
            **webhooks,
            "dlr": DlrConsumer(
                bus,
                db=db,
                submissions=submissions,
                parked=parked,
                clock=clock,
                metrics=self._dlr_metrics,
                reader_metrics=reader_metrics,
            ),
            "parking": ParkingSweeper(
                parking,
                parked=parked,
                metrics=ParkingMetrics(base.registry, reader_metrics=reader_metrics),
            ),
            **inbound_workers(
                base, metrics=self._inbound_metrics, reader_metrics=reader_metrics, audience=directory
            ),
            "smppd": receipt_collector(base, reader_metrics=reader_metrics),
            **_sweepers(base),
        }
        self._running = False

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for name, worker in self._workers.items():
                group.create_task(worker.run(), name=f"back.{name}")
            self._running = True

    def stop(self) -> None:
        for worker in self._workers.values():
            worker.stop()

    def not_ready(self) -> dict[str, str]:
        return {} if self._running else {"workers": "starting"}

    def facts(self) -> dict[str, Any]:
        return {}

    async def reload(self, settings: Settings) -> None:
        """Let the series of new carriers exist; those of removed ones stay, as their receipts may still come."""
        carriers = tuple(settings.carriers)
        self._recorder_metrics.touch(carriers)
        self._dlr_metrics.touch(carriers)
        self._inbound_metrics.touch(carriers)
