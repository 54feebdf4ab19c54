"""In-memory stores and bus for intake and ingress: each a full implementation of its Protocol, with real rollback."""

import asyncio
import copy
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from prometheus_client import CollectorRegistry

from gateway.bus.codec import decode
from gateway.bus.topics import EVENTS
from gateway.domain.events import Accepted
from gateway.domain.ids import new_uuid7
from gateway.ingress.app import Deps, build_app
from gateway.intake.backlog import Backlog
from gateway.intake.entry import Intake
from gateway.intake.journal import Journal, JournalLimits
from gateway.intake.lookups import LookUps
from gateway.intake.metrics import IntakeMetrics
from gateway.intake.prepare import Preparer
from gateway.policy.routing import RouteRule, RouteTable
from gateway.ports.bus import Commit, Lag, Position, Record, Stored
from gateway.ports.dispatch_store import DeferredRow
from gateway.ports.ingress_store import EventPosition, EventView, MessageFilters, MessageView
from gateway.ports.intake_store import (
    KEPT_MS,
    Account,
    ClientRefClaim,
    KeptAnswer,
    KeyedRequest,
    KeyRejection,
    Principal,
    Recognition,
    StoreUnavailableError,
    WebhookNames,
)

NOW_MS = 1_795_316_400_000


class SetClock:
    """Stands still until told."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ns(self) -> int:
        return self.ms * 1_000_000

    def advance(self, ms: int) -> None:
        self.ms += ms


@dataclass
class Durable:
    """Everything the stores keep; a transaction works on a copy and swaps it in at its commit."""

    keys: dict[tuple[str, str, str], tuple[KeptAnswer, int]] = field(default_factory=dict)
    refs: dict[tuple[str, str], tuple[UUID, int]] = field(default_factory=dict)
    deferred: list[DeferredRow] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)


class MemoryDatabase:
    """Transactions one at a time. `fail_next` makes the next commit raise, `hold` makes transactions wait; `held`: one does."""

    def __init__(self) -> None:
        self.durable = Durable()
        self.commits = 0
        self.fail_next = 0
        self.hold: asyncio.Event | None = None
        self.held = asyncio.Event()
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Durable]:
        async with self._lock:
            if self.hold is not None:
                self.held.set()
                await self.hold.wait()
            work = copy.copy(self.durable)
            work.keys, work.refs = dict(work.keys), dict(work.refs)
            work.deferred, work.records = list(work.deferred), list(work.records)
            yield work
            if self.fail_next:
                self.fail_next -= 1
                raise StoreUnavailableError("the database went away")
            self.commits += 1
            self.durable = work

    def acquire(self) -> Any:
        raise AssertionError("intake never calls this")


class MemoryIdempotency:
    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def reserve_keys(
        self, tx: Durable, requests: Sequence[KeyedRequest], *, now_ms: int
    ) -> list[KeptAnswer | None]:
        found: list[KeptAnswer | None] = []
        for request in requests:
            kept = tx.keys.get(request[:3])
            if kept is not None and kept[1] > now_ms - KEPT_MS:
                found.append(kept[0])
                continue
            tx.keys[request[:3]] = (KeptAnswer(request.fingerprint, request.status, request.body), now_ms)
            found.append(None)
        return found

    async def store_answers(self, tx: Durable, requests: Sequence[KeyedRequest]) -> None:
        for request in requests:
            _, at = tx.keys[request[:3]]
            tx.keys[request[:3]] = (KeptAnswer(request.fingerprint, request.status, request.body), at)

    async def look_up(self, account_id: str, route: str, key: str, *, now_ms: int) -> KeptAnswer | None:
        kept = self._database.durable.keys.get((account_id, route, key))
        return kept[0] if kept is not None and kept[1] > now_ms - KEPT_MS else None

    async def claim_client_refs(
        self, tx: Durable, claims: Sequence[ClientRefClaim], *, now_ms: int
    ) -> Mapping[tuple[str, str], UUID]:
        owners = {}
        for account_id, client_ref, message_id in claims:
            held = tx.refs.get((account_id, client_ref))
            if held is not None and held[1] > now_ms - KEPT_MS:
                owners[account_id, client_ref] = held[0]
            else:
                tx.refs[account_id, client_ref] = (message_id, now_ms)
        return owners

    async def purge(self, *, now_ms: int) -> int:
        raise AssertionError("intake never calls this")


class MemoryDeferred:
    async def add(self, tx: Durable, rows: Sequence[DeferredRow]) -> None:
        tx.deferred.extend(rows)

    async def claim_due(self, tx: Durable, *, now_ms: int, limit: int) -> list[DeferredRow]:
        raise AssertionError("intake never calls this")

    async def next_due_ms(self) -> int | None:
        raise AssertionError("intake never calls this")


class MemoryBus:
    """Only what intake uses: append, and a lag that tests set."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self.lags: dict[str, list[Lag]] = {}
        self.fail_lag = False

    async def append(
        self, records: Sequence[Record], *, commits: Sequence[Commit] = (), tx: Durable | None = None
    ) -> None:
        if tx is not None:
            tx.records.extend(records)
            return
        async with self._database.transaction() as own:  # as the Postgres bus: its own transaction
            own.records.extend(records)

    async def lag(self, group: str) -> list[Lag]:
        if self.fail_lag:
            raise StoreUnavailableError("no lag")
        return self.lags.get(group, [])

    async def ensure_topics(self, topics: dict[str, int]) -> None: ...
    async def register_group(self, group: str, topics: Sequence[str]) -> None: ...
    def partitions(self, topic: str) -> int:
        return 1

    async def commit(self, commits: Sequence[Commit], *, tx: Any = None) -> None: ...
    async def position(self, group: str, topic: str, partition: int) -> Position:
        return Position()

    async def read(self, topic: str, partition: int, *, offset: int, limit: int) -> list[Stored]:
        return []

    async def wait(self, topics: Sequence[str], *, timeout_s: float) -> None: ...
    async def trim(self) -> int:
        return 0


class MemoryKeys:
    """Keys by their text."""

    def __init__(self, keys: dict[str, Principal | KeyRejection]) -> None:
        self.keys = keys
        self.down = False

    async def authenticate(self, key: str, *, now_ms: int) -> Principal | KeyRejection:
        if self.down:
            raise StoreUnavailableError("no database")
        return self.keys.get(key, KeyRejection.UNKNOWN)

    def known(self, key: bytes, *, now_ms: int) -> Recognition | None:
        found = None if self.down else self.keys.get(key.decode("latin-1"))
        return Recognition(found, now_ms, now_ms + 1) if isinstance(found, Principal) else None


class MemoryViews:
    """Message views that tests fill."""

    def __init__(self) -> None:
        self.messages: dict[UUID, MessageView] = {}
        self.events: dict[UUID, list[EventView]] = {}
        self.reads = 0
        self.appear_after: int | None = None
        self.late: MessageView | None = None

    async def get_message(self, account_id: str, message_id: UUID) -> MessageView | None:
        self.reads += 1
        if self.appear_after is not None and self.reads > self.appear_after and self.late is not None:
            self.messages[self.late.id] = self.late
        view = self.messages.get(message_id)
        return view if view is not None and view.account_id == account_id else None

    async def list_events(
        self, account_id: str, message_id: UUID, *, limit: int, after: EventPosition | None
    ) -> list[EventView] | None:
        if await self.get_message(account_id, message_id) is None:
            return None
        events = sorted(self.events.get(message_id, []), key=lambda event: (event.at, event.seq))
        return [event for event in events if after is None or (event.at, event.seq) > after][:limit]

    async def list_messages(
        self, account_id: str, filters: MessageFilters, *, limit: int, before: UUID | None
    ) -> list[MessageView]:
        found = [
            view
            for view in self.messages.values()
            if view.account_id == account_id
            and (before is None or view.id < before)
            and (filters.recipient is None or view.recipient == filters.recipient)
            and (filters.state is None or view.state == filters.state)
            and (filters.client_ref is None or view.client_ref == filters.client_ref)
            and (filters.since is None or view.accepted_at >= filters.since)
            and (filters.message_class is None or view.message_class == filters.message_class)
            and (filters.carrier is None or view.carrier == filters.carrier)
        ]
        return sorted(found, key=lambda view: view.id, reverse=True)[:limit]


BOTH = frozenset({"messages:send", "messages:read"})
KEYS: dict[str, Principal | KeyRejection] = {
    "good": Principal("k1", Account("acme"), BOTH),
    "other": Principal("k2", Account("other"), BOTH),
    "limited": Principal("k3", Account("limited", messages_per_second=10), BOTH),
    "read-only": Principal("k4", Account("acme"), frozenset({"messages:read"})),
    "send-only": Principal("k5", Account("acme"), frozenset({"messages:send"})),
    "test": Principal("k6", Account("acme"), BOTH, is_test=True),
    "plain": Principal("k7", Account("plain", transliterate=True), BOTH),
    "revoked": KeyRejection.REVOKED,
    "expired": KeyRejection.EXPIRED,
    "mistyped": KeyRejection.MALFORMED,
}


class Bench:
    """A whole intake and API on in-memory stores."""

    def __init__(
        self,
        *,
        rules: Sequence[RouteRule] = (),
        carriers: Sequence[str] = ("telco_a", "telco_b"),
        limits: JournalLimits | None = None,
        max_lane_messages: int = 1_000,
        max_batch_messages: int = 10_000,
        max_body_octets: int = 10 * 1024 * 1024,
        test_carrier: str | None = None,
        seed: int = 1,
        webhooks: WebhookNames | None = None,
    ) -> None:
        self.clock = SetClock()
        self.registry = CollectorRegistry()
        self.database = MemoryDatabase()
        self.bus = MemoryBus(self.database)
        self.keys = MemoryKeys(dict(KEYS))
        self.views = MemoryViews()
        self.idempotency = MemoryIdempotency(self.database)
        bits = random.Random(seed).getrandbits
        self.metrics = IntakeMetrics(self.registry)
        self.journal = Journal(
            transactions=self.database,
            bus=self.bus,
            idempotency=self.idempotency,
            deferred=MemoryDeferred(),
            clock=self.clock,
            limits=limits or JournalLimits(linger_ms=1.0),
            on_flushed=self.metrics.flushed,
        )
        self.backlog = Backlog(
            self.bus, carriers=carriers, clock=self.clock, max_lane_messages=max_lane_messages
        )

        def new_id(now_ms: int) -> UUID:
            return new_uuid7(now_ms, bits(74))

        self.new_id = new_id
        self.preparer = Preparer(
            RouteTable(rules, carriers=carriers), new_id=new_id, test_carrier=test_carrier
        )
        self.intake = Intake(
            preparer=self.preparer,
            journal=self.journal,
            backlog=self.backlog,
            idempotency=self.idempotency,
            clock=self.clock,
            metrics=self.metrics,
            new_id=new_id,
            look_ups=LookUps(webhooks=webhooks),
            max_batch_messages=max_batch_messages,
        )
        self.missing: dict[str, str] = {}
        self.app = build_app(
            Deps(
                intake=self.intake,
                intake_metrics=self.metrics,
                authenticator=self.keys,
                views=self.views,
                clock=self.clock,
                registry=self.registry,
                cursor_secret=b"secret",
                not_ready=lambda: self.missing,
                max_body_octets=max_body_octets,
                routes=lambda: self.preparer.routes,
            )
        )

    @property
    def kept(self) -> Durable:
        return self.database.durable

    def accepted_messages(self) -> list[Any]:
        events = [decode(record.value) for record in self.kept.records if record.topic == EVENTS]
        return [event.message for event in events if isinstance(event, Accepted)]

    def sample(self, name: str, **labels: str) -> float:
        value = self.registry.get_sample_value(f"caudal_{name}", labels)
        assert value is not None, f"no series {name} {labels}"
        return value
