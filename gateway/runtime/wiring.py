"""The only place that picks implementations (D13): from settings to the parts of each role.

Every `build_*` returns a Part: something with `run`, `stop` and `not_ready`. `gateway.runtime.roles` runs it.
"""

import asyncio
import hashlib
import hmac
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector

from dlr.aggregate import weigh
from dlr.consumer import DlrConsumer, DlrMetrics
from dlr.parking import Parking, ParkingSweeper
from dlr.silence import SilenceSweeper
from gateway.bus import topics
from gateway.bus.postgres import PostgresBus
from gateway.bus.reader_metrics import ReaderMetrics
from gateway.dispatch.deferrer import Deferrer
from gateway.dispatch.metrics import DispatchMetrics
from gateway.dispatch.plan import DispatchSettings
from gateway.dispatch.supervisor import DispatchSupervisor
from gateway.domain.ids import new_uuid7
from gateway.ingress.app import Deps, build_app
from gateway.intake.backlog import Backlog
from gateway.intake.entry import Intake
from gateway.intake.journal import Journal, JournalLimits
from gateway.intake.metrics import IntakeMetrics
from gateway.intake.prepare import Preparer
from gateway.ports.clock import SystemClock
from gateway.recorder.consumer import Recorder, RecorderMetrics
from gateway.recorder.housekeeping import Housekeeper
from gateway.runtime.admin import VERSION
from gateway.runtime.carriers import carrier_plan, route_table, segmentation_options, test_carrier
from gateway.runtime.server import ApiServer
from gateway.settings import Settings, SettingsError
from gateway.store.accounts import Accounts, KeyCache
from gateway.store.deferred import PostgresDeferred
from gateway.store.idempotency import IdempotencyStore
from gateway.store.leases import PostgresLeases
from gateway.store.messages import PostgresMessages, PostgresSilence
from gateway.store.partitions import Partitions
from gateway.store.pool import Database
from gateway.store.receipts import PostgresParked, PostgresSubmissions
from gateway.store.views import PostgresViews

_POOL = {"api": 8, "dispatch": 8, "back": 10}
_TRIM_EVERY_S = 10.0
_PURGE_EVERY_S = 600.0


class Part(Protocol):
    """What a role runs."""

    async def run(self) -> None:
        """Work until `stop`, or raise."""

    def stop(self) -> None:
        """End `run` in order."""

    def not_ready(self) -> dict[str, str]:
        """Return what is missing, by name with its reason."""

    def facts(self) -> dict[str, Any]:
        """Return what others may want to know once it is ready (ports)."""


@dataclass(frozen=True, slots=True)
class Base:
    """What every role has."""

    settings: Settings
    registry: CollectorRegistry
    clock: SystemClock
    db: Database
    bus: PostgresBus


@asynccontextmanager
async def open_base(settings: Settings, role: str) -> AsyncIterator[Base]:
    """Connect to the database and the bus; close both at the end."""
    if not settings.database_url:
        raise SettingsError("database_url is not set")
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    db = await Database.connect(settings.database_url, max_size=_POOL[role], name=f"caudal.{role}")
    try:
        bus = PostgresBus(db)
        await bus.start()
        await _make_topics(bus, settings)
        yield Base(settings, registry, SystemClock(), db, bus)
    finally:
        await db.close()


async def _make_topics(bus: PostgresBus, settings: Settings) -> None:
    """Make every topic and group that any role needs, so that no role has to be the first."""
    lanes = {topic: 1 for carrier in settings.carriers for topic in topics.lanes(carrier)}
    await bus.ensure_topics({topics.EVENTS: 1, topics.RECEIPTS: 1, topics.MO: 1, **lanes})
    await bus.register_group(topics.RECORDER_GROUP, [topics.EVENTS])
    await bus.register_group(topics.DLR_GROUP, [topics.RECEIPTS])
    # Nothing reads it yet; registered so that retention keeps every reply until something does.
    await bus.register_group(topics.INBOUND_GROUP, [topics.MO])
    for carrier in settings.carriers:
        await bus.register_group(topics.lane_group(carrier), topics.lanes(carrier))


def load_pepper(settings: Settings) -> bytes:
    """Return the key of the key hashes, made at first use where none is configured."""
    if settings.security.pepper:
        return settings.security.pepper.encode()
    path = settings.security.pepper_file or settings.state_dir / "pepper"
    try:
        return path.read_bytes().strip()
    except FileNotFoundError:
        if settings.security.pepper_file is not None:
            raise SettingsError(f"security.pepper_file {path} does not exist") from None
    return _make_pepper(path)


def _make_pepper(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".pepper.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_bytes(secrets.token_hex(32).encode())
    try:
        os.link(draft, path)  # fails if another process was first, whose pepper then holds
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_bytes().strip()


def new_id_source() -> Callable[[int], Any]:
    """Return a maker of message ids from (milliseconds)."""
    bits = Random(secrets.randbits(256)).getrandbits
    return lambda now_ms: new_uuid7(now_ms, bits(74))


class ApiPart:
    """Role `api`: HTTP in, one durable append, 202."""

    def __init__(self, base: Base) -> None:
        settings = base.settings
        self._base = base
        carriers = tuple(settings.carriers)
        idempotency = IdempotencyStore(base.db)
        metrics = IntakeMetrics(base.registry)
        pepper = load_pepper(settings)
        journal = Journal(
            transactions=base.db,
            bus=base.bus,
            idempotency=idempotency,
            deferred=PostgresDeferred(base.db),
            clock=base.clock,
            limits=JournalLimits(
                linger_ms=settings.api.linger_ms, max_pending_messages=settings.api.max_pending_messages
            ),
            on_flushed=metrics.flushed,
        )
        new_id = new_id_source()
        intake = Intake(
            preparer=Preparer(
                route_table(settings),
                new_id=new_id,
                test_carrier=test_carrier(settings),
                segmentation={
                    name: segmentation_options(carrier) for name, carrier in settings.carriers.items()
                },
            ),
            journal=journal,
            backlog=Backlog(
                base.bus,
                carriers=carriers,
                clock=base.clock,
                max_lane_messages=settings.api.max_lane_messages,
            ),
            idempotency=idempotency,
            clock=base.clock,
            metrics=metrics,
            new_id=new_id,
            max_batch_messages=settings.api.max_batch_messages,
        )
        self._keys = KeyCache(Accounts(base.db, pepper=pepper))
        app = build_app(
            Deps(
                intake=intake,
                intake_metrics=metrics,
                authenticator=self._keys,
                views=PostgresViews(base.db),
                clock=base.clock,
                registry=base.registry,
                cursor_secret=hmac.new(pepper, b"cursor", hashlib.sha256).digest(),
                not_ready=self.not_ready,
                max_body_octets=settings.api.max_body_octets,
                version=VERSION,
            )
        )
        self._server = ApiServer(
            app, host=settings.api.host, port=settings.api.port, drain_delay_s=settings.api.drain_delay_s
        )

    async def run(self) -> None:
        await self._keys.start(self._base.db)
        await self._server.run()

    def stop(self) -> None:
        self._server.stop()

    def not_ready(self) -> dict[str, str]:
        return self._server.not_ready()

    def facts(self) -> dict[str, Any]:
        return {"port": self._server.port}


class DispatchPart:
    """Role `dispatch`: lanes to carriers."""

    def __init__(self, base: Base) -> None:
        settings = base.settings
        self._supervisor = DispatchSupervisor(
            [carrier_plan(name, carrier, base.clock) for name, carrier in settings.carriers.items()],
            owner=f"{socket.gethostname()}.dispatch",
            bus=base.bus,
            db=base.db,
            deferred=PostgresDeferred(base.db),
            leases=PostgresLeases(base.db),
            clock=base.clock,
            metrics=DispatchMetrics(base.registry),
            random=Random(secrets.randbits(256)),
            settings=DispatchSettings(drain_s=settings.drain_s),
        )

    async def run(self) -> None:
        await self._supervisor.run()

    def stop(self) -> None:
        self._supervisor.stop()

    def not_ready(self) -> dict[str, str]:
        # A carrier that is down does not make dispatch unready: its lane waits.
        return {} if self._supervisor.is_ready else {"lanes": "not all owned yet"}

    def facts(self) -> dict[str, Any]:
        return {}

    def explain(self) -> list[dict[str, object]]:
        """Return, for each lane worker, what it is waiting for."""
        return self._supervisor.explain()


class _Periodic(Protocol):
    async def run(self) -> None: ...
    def stop(self) -> None: ...


class _Keep:
    """Makes something with one method a Housekeeper can call."""

    def __init__(self, work: Callable[[int], Awaitable[object]]) -> None:
        self._work = work

    async def keep(self, *, now_ms: int) -> None:
        await self._work(now_ms)


class BackPart:
    """Role `back`: recorder, dlr, deferred messages, sweepers, retention."""

    def __init__(self, base: Base) -> None:
        settings, clock, db, bus = base.settings, base.clock, base.db, base.bus
        carriers = tuple(settings.carriers)
        reader_metrics = ReaderMetrics(base.registry)
        submissions, parked = PostgresSubmissions(), PostgresParked(db)
        parking = Parking(bus, db=db, submissions=submissions, parked=parked, clock=clock)
        idempotency = IdempotencyStore(db)
        self._workers: dict[str, _Periodic] = {
            "partitions": Housekeeper(Partitions(db, retention_days=settings.retention_days), clock=clock),
            "recorder": Recorder(
                bus,
                db=db,
                messages=PostgresMessages(),
                submissions=submissions,
                parked=parked,
                weigh=weigh,
                clock=clock,
                metrics=RecorderMetrics(base.registry, carriers=carriers),
                reader_metrics=reader_metrics,
            ),
            "dlr": DlrConsumer(
                bus,
                db=db,
                submissions=submissions,
                parked=parked,
                clock=clock,
                metrics=DlrMetrics(base.registry, carriers=carriers),
                reader_metrics=reader_metrics,
            ),
            "parking": ParkingSweeper(parking, parked=parked, reader_metrics=reader_metrics),
            "silence": SilenceSweeper(bus, store=PostgresSilence(db), clock=clock),
            "deferrer": Deferrer(bus=bus, db=db, deferred=PostgresDeferred(db), clock=clock),
            "retention": Housekeeper(_Keep(lambda _: bus.trim()), clock=clock, every_s=_TRIM_EVERY_S),
            "purge": Housekeeper(
                _Keep(lambda now_ms: idempotency.purge(now_ms=now_ms)), clock=clock, every_s=_PURGE_EVERY_S
            ),
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


def build(role: str, base: Base) -> Part:
    """Return the part of a role."""
    match role:
        case "api":
            return ApiPart(base)
        case "dispatch":
            return DispatchPart(base)
        case "back":
            return BackPart(base)
    raise SettingsError(f"unknown role {role!r}")
