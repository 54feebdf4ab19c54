"""The SMPP server on the real stores and bus, in this process; the tests play recorder by appending notices."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from prometheus_client import CollectorRegistry

from gateway.bus.codec import decode, encode
from gateway.bus.postgres import PostgresBus
from gateway.bus.reader_metrics import ReaderMetrics
from gateway.bus.topics import ESME, ESME_GROUP, EVENTS, lane_group, lanes
from gateway.domain.events import Accepted
from gateway.domain.ids import derived_uuid, format_id, new_uuid7
from gateway.domain.message import Message, MessageClass
from gateway.domain.notices import Notice
from gateway.intake.backlog import Backlog
from gateway.intake.entry import Intake
from gateway.intake.journal import Journal, JournalLimits
from gateway.intake.metrics import IntakeMetrics
from gateway.intake.prepare import Preparer
from gateway.policy.routing import RouteTable
from gateway.ports.bus import Record
from gateway.ports.clock import SystemClock
from gateway.runtime.server import listen
from gateway.smppd.collector import ReceiptCollector
from gateway.smppd.customers import Customer
from gateway.smppd.delivery import Deliverer
from gateway.smppd.desk import SubmitDesk
from gateway.smppd.gate import BindGate
from gateway.smppd.ids import parse_smpp_id
from gateway.smppd.metrics import CollectorMetrics, ServerMetrics
from gateway.smppd.operations import Operations
from gateway.smppd.parts import PartDesk
from gateway.smppd.server import ServerLimits, SmppServer
from gateway.store import smpp_credentials, smpp_outbox
from gateway.store.deferred import PostgresDeferred
from gateway.store.idempotency import IdempotencyStore
from gateway.store.messages import PostgresMessages
from gateway.store.pool import Database
from gateway.store.smpp_credentials import CredentialCache, CredentialDraft, SmppCredentials
from gateway.store.smpp_outbox import PostgresOutbox
from gateway.store.smpp_parts import PostgresParts
from gateway.store.views import PostgresViews

PEPPER = b"p" * 32
CARRIER = "telco_a"
QUICK = {"failure_answer_s": 0.05, "session_init_s": 5.0}


class ServerRig:
    """One server process on a shared database."""

    def __init__(
        self, db: Database, *, parts: dict[str, Any] | None = None, tls: Any = None, **limits: Any
    ) -> None:
        self.db = db
        self._first_event = 0
        self._before: dict[Any, float] = {}
        self.registry = CollectorRegistry()
        self.clock = SystemClock()
        self.bus = PostgresBus(db)
        self.credentials = SmppCredentials(db, pepper=PEPPER)
        self.cache = CredentialCache(self.credentials)
        self.queue = PostgresOutbox(db)
        self.metrics = ServerMetrics(self.registry)
        bits = random.SystemRandom().getrandbits
        idempotency = IdempotencyStore(db)

        def new_id(now_ms: int) -> UUID:
            return new_uuid7(now_ms, bits(74))

        self.intake = Intake(
            preparer=Preparer(RouteTable([], carriers=[CARRIER]), new_id=new_id),
            journal=Journal(
                transactions=db,
                bus=self.bus,
                idempotency=idempotency,
                deferred=PostgresDeferred(db),
                clock=self.clock,
                limits=JournalLimits(linger_ms=1.0),
            ),
            backlog=Backlog(self.bus, carriers=[CARRIER], clock=self.clock),
            idempotency=idempotency,
            clock=self.clock,
            metrics=IntakeMetrics(self.registry),
            new_id=new_id,
        )
        self.new_id = new_id
        direct = self.intake.direct()
        self.customers: dict[str, Customer] = {}
        self.part_desk = PartDesk(
            PostgresParts(db),
            db=db,
            receipts=self.queue,
            credentials=self.cache,
            intake=direct,
            clock=self.clock,
            new_id=new_id,
            **(parts or {}),
        )
        desk = SubmitDesk(
            intake=direct,
            parts=self.part_desk,
            classes={"OTP": MessageClass.OTP},
            clock=self.clock,
            metrics=self.metrics,
        )
        self.server = SmppServer(
            listen("127.0.0.1", 0, setting="smpp_server.port"),
            limits=ServerLimits(**(QUICK | limits)),
            credentials=self.cache,
            customers=self.customers,
            desk=desk,
            operations=Operations(
                desk=desk, views=PostgresViews(db), clock=self.clock, metrics=self.metrics, new_id=new_id
            ),
            parts=self.part_desk,
            deliverer=Deliverer(self.queue, self.customers, owner=f"test.{bits(32)}", clock=self.clock),
            clock=self.clock,
            metrics=self.metrics,
            tls=tls,
        )
        self.port = self.server.port

    def _changed(self, system_id: str) -> None:
        self.cache.drop(system_id)
        self.server.credential_changed()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ServerRig"]:
        await self.bus.start()
        await self.db.listen(smpp_credentials.CHANNEL, self._changed)
        await self.db.listen(smpp_outbox.CHANNEL, self.server.receipts_came)
        async with self.intake.running():
            task = asyncio.create_task(self.server.run(), name="test.server")
            try:
                yield self
            finally:
                self.server.stop()
                await asyncio.wait_for(task, 15)

    async def begin(self) -> None:
        """Begin a test on a server that others used: what they left is gone, counters and events start anew."""
        self.server._gate = BindGate(self.cache, clock=self.clock, metrics=self.metrics)
        async with self.db.acquire() as connection:
            await connection.execute("DELETE FROM smpp_outbox; DELETE FROM smpp_parts")
            await connection.execute("UPDATE accounts SET messages_per_second = NULL")
            await connection.execute("DELETE FROM smpp_credentials WHERE system_id <> 'acme'")
            await connection.execute("UPDATE smpp_credentials SET enabled = true")
        self.cache.drop("")
        records = await self.bus.read(EVENTS, 0, offset=0, limit=100_000)
        self._first_event = records[-1].offset + 1 if records else 0
        self._before = {
            (one.name, tuple(sorted(one.labels.items()))): one.value
            for family in self.registry.collect()
            for one in family.samples
            if one.name.endswith("_total")
        }

    def sample(self, name: str, **labels: str) -> float:
        """Return a series; a counter since the test began."""
        value = self.registry.get_sample_value(f"caudal_{name}", labels) or 0.0
        return value - self._before.get((f"caudal_{name}", tuple(sorted(labels.items()))), 0.0)

    async def accepted(self) -> list[Message]:
        """Return the messages on the bus since the test began, in the order of their acceptance."""
        records = await self.bus.read(EVENTS, 0, offset=self._first_event, limit=100_000)
        return [
            event.message for event in map(decode, (r.value for r in records)) if isinstance(event, Accepted)
        ]

    async def tell(self, *ends: tuple[Message, str]) -> None:
        """Append the notices of messages' ends, as the recorder does."""
        now_ms = self.clock.now_ms()
        await self.bus.append([notice_record(message, state, at=now_ms) for message, state in ends])

    async def message(self, message_id: str) -> Message:
        wanted = parse_smpp_id(message_id)
        return next(one for one in await self.accepted() if one.id == wanted)

    async def waiting(self) -> int:
        return await self.queue.count(limit=1_000_000)


def notice_record(message: Message, state: str, *, at: int) -> Record:
    notice = Notice(
        id=derived_uuid(message.id, f"message.{state}"),
        account_id=message.account_id,
        type=f"message.{state}",
        at=at,
        subject_id=message.id,
        data={"id": format_id("msg", message.id), "status": state},
        origin=message.origin,
    )
    return Record(ESME, message.id.bytes, encode(notice))


async def prepare_database(db: Database, **draft: Any) -> None:
    """Make topics, groups and the credential `acme` with the password `secret`."""
    bus = PostgresBus(db)
    await bus.start()
    await bus.ensure_topics({EVENTS: 1, ESME: 1, **dict.fromkeys(lanes(CARRIER), 1)})
    await bus.register_group(lane_group(CARRIER), lanes(CARRIER))
    await bus.register_group("recorder", [EVENTS])
    await bus.register_group(ESME_GROUP, [ESME])
    await add_credential(db, "acme", **draft)


async def add_credential(db: Database, system_id: str, *, password: str = "secret", **draft: Any) -> None:
    made = await SmppCredentials(db, pepper=PEPPER).create(
        CredentialDraft(
            **{"system_id": system_id, "account": system_id, "max_binds": 10, "window": 1000, **draft}
        ),
        password=password,
        now_ms=SystemClock().now_ms(),
    )
    assert made


def a_collector(
    db: Database, bus: PostgresBus, *, registry: CollectorRegistry | None = None, **options: Any
) -> ReceiptCollector:
    registry = registry or CollectorRegistry()
    return ReceiptCollector(
        bus,
        db=db,
        queue=PostgresOutbox(db),
        dead=PostgresMessages(),
        clock=SystemClock(),
        metrics=CollectorMetrics(registry),
        reader_metrics=ReaderMetrics(registry),
        **options,
    )


@asynccontextmanager
async def a_database(postgres_server: Any, **draft: Any) -> AsyncIterator[Database]:
    """Give a fresh database with the credential `acme`."""
    dsn = postgres_server.create_database()
    db = await Database.connect(dsn, min_size=2, max_size=8, name="test")
    try:
        await prepare_database(db, **draft)
        yield db
    finally:
        await db.close()
        postgres_server.drop_database(dsn)


@asynccontextmanager
async def a_shared_rig(postgres_server: Any, **options: Any) -> AsyncIterator[ServerRig]:
    """Give a server with its keeper of receipts, for all the tests of a module; each calls `begin`."""
    async with a_database(postgres_server) as db, ServerRig(db, **options).running() as rig, collecting(rig):
        yield rig


@asynccontextmanager
async def collecting(rig: ServerRig) -> AsyncIterator[ReceiptCollector]:
    """Run the keeper of receipts beside a server."""
    collector = a_collector(rig.db, rig.bus)
    task = asyncio.create_task(collector.run(), name="test.collector")
    try:
        yield collector
    finally:
        collector.stop()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, 10)
