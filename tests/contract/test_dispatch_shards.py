"""Two dispatch processes on one PostgreSQL: shards divided, moved and taken over, within the rate, nothing lost (D3, P3)."""

import asyncio
import time
from collections import Counter
from itertools import count
from random import Random

import pytest
from prometheus_client import CollectorRegistry

from gateway.bus import topics
from gateway.bus.codec import decode, encode
from gateway.bus.postgres import PostgresBus
from gateway.dispatch.holds import HELD_FROM_MS, held_until_ms
from gateway.dispatch.metrics import DispatchMetrics
from gateway.dispatch.plan import CarrierPlan, DispatchSettings
from gateway.dispatch.supervisor import DispatchSupervisor
from gateway.domain.message import MessageClass
from gateway.ports.bus import Record
from gateway.ports.clock import SystemClock
from gateway.ports.control_store import Order, OrderKind
from gateway.ports.dispatch_store import DeferredRow
from gateway.store.controls import PostgresControls
from gateway.store.deferred import PostgresDeferred
from gateway.store.leases import PostgresLeases
from gateway.store.lifeline import Lifeline
from gateway.store.pool import Database
from tests.support.fake_link import FakeLink, accepted
from tests.support.lane_rig import CARRIER, a_message, now_ms, until
from tests.support.postgres import database_url, db, postgres_server  # noqa: F401 - fixtures
from throttling.rates import Rate

pytestmark = pytest.mark.postgres
OTP, TRANSACTIONAL, COLLECTIONS, MARKETING = MessageClass

RATE = 200
BURST = 8
SHARDS = 4
WINDOW = 8
SETTINGS = DispatchSettings(drain_s=1.0, flush_ms=20, cut_trust_s=0.5)
SECOND_NS = 1_000_000_000
_numbers = count(1)


class Carrier:
    """What the carrier sees, over the links of all processes."""

    def __init__(self) -> None:
        self.links: list[FakeLink] = []

    def make_link(self, shard: int, shards: int) -> FakeLink:
        link = FakeLink(window=WINDOW)
        link.script = lambda segment: accepted(next(_numbers))
        self.links.append(link)
        return link

    @property
    def times_ns(self) -> list[int]:
        return sorted(at_ns for link in self.links for at_ns in link.written_ns)

    @property
    def counts(self) -> Counter:
        return Counter(segment.message.id for link in self.links for segment in link.written)

    def worst_second(self) -> int:
        times, start, worst = self.times_ns, 0, 0
        for end, at_ns in enumerate(times):
            while at_ns - times[start] >= SECOND_NS:
                start += 1
            worst = max(worst, end - start + 1)
        return worst


class Process:
    """One dispatch process with connections of its own."""

    def __init__(self, url: str, carrier: Carrier, owner: str) -> None:
        self._url = url
        self._carrier = carrier
        self._owner = owner
        self.supervisor: DispatchSupervisor
        self.running: asyncio.Task[None]
        self.db: Database

    async def start(self) -> "Process":
        self.db = await Database.connect(self._url, max_size=6, name=self._owner)
        bus = PostgresBus(self.db)
        await bus.start()
        plan = CarrierPlan(
            CARRIER,
            Rate.of(RATE),
            self._carrier.make_link,
            burst=BURST,
            shards=SHARDS,
            window=WINDOW * SHARDS,
        )
        self.lifeline = Lifeline(self.db, clock=SystemClock())
        self.supervisor = DispatchSupervisor(
            [plan],
            owner=self._owner,
            bus=bus,
            db=self.db,
            deferred=PostgresDeferred(self.db),
            leases=PostgresLeases(self.db, lifeline=self.lifeline),
            clock=SystemClock(),
            metrics=DispatchMetrics(CollectorRegistry()),
            random=Random(1),
            settings=SETTINGS,
            control=PostgresControls(self.db),
            lifeline=self.lifeline,
        )
        self.running = asyncio.create_task(self.supervisor.run(), name=self._owner)
        return self

    @property
    def shards(self) -> set[int]:
        return {int(picture["shard"]) for picture in self.supervisor.explain()}

    async def stop(self) -> None:
        self.supervisor.stop()
        async with asyncio.timeout(30):
            await self.running
        await self.db.close()

    async def kill(self) -> None:
        """kill -9: the connections go first, so nothing is released and nobody is told."""
        await self.db.close()
        self.running.cancel()
        await asyncio.wait({self.running})


async def put(bus: PostgresBus, messages) -> None:
    lanes = [
        Record(topics.lane(CARRIER, message.message_class), message.recipient.encode(), encode(message))
        for message in messages
    ]
    await bus.append(lanes)


async def event_ids(bus: PostgresBus) -> set:
    found, offset = set(), 0
    while records := await bus.read(topics.EVENTS, 0, offset=offset, limit=2000):
        found |= {decode(record.value).message_id for record in records}
        offset = records[-1].offset + 1
    return found


@pytest.fixture
async def bus(db):  # noqa: F811
    bus = PostgresBus(db)
    await bus.start()
    await bus.ensure_topics({topics.EVENTS: 1, topics.RECEIPTS: 1, topics.MO: 1})
    await bus.ensure_topics(dict.fromkeys(topics.lanes(CARRIER), SHARDS))
    return bus


async def test_d3_p3_shards_move_with_joins_and_kills_within_the_rate_and_nothing_is_lost(bus, database_url):  # noqa: F811
    carrier = Carrier()
    messages = [
        a_message(name, recipient=f"52551234{number % 997:04}")
        for number in range(RATE * 6)
        for name in (TRANSACTIONAL, MARKETING)
    ]
    await put(bus, messages)
    first = await Process(database_url, carrier, "host-a").start()
    await until(lambda: first.shards == {0, 1, 2, 3}, within_s=30)
    await until(lambda: len(carrier.times_ns) > RATE, within_s=30)

    second = await Process(database_url, carrier, "host-b").start()
    await until(lambda: len(first.shards) == len(second.shards) == 2, within_s=30)
    assert first.shards | second.shards == {0, 1, 2, 3}
    await until(lambda: sum(len(link.written) for link in carrier.links[-2:]) > RATE // 2, within_s=30)

    dead = second.shards
    before = carrier.counts
    await second.kill()
    killed_at = time.monotonic()
    await until(lambda: first.shards == {0, 1, 2, 3}, within_s=30)
    taken_over_s = time.monotonic() - killed_at
    # Not the 10 s of a lease: its lifeline was cut with it.
    assert taken_over_s < 5
    assert len(dead) == 2

    expected = {message.id for message in messages}

    async def all_told() -> bool:
        return await event_ids(bus) >= expected

    await until(all_told, within_s=30)
    await first.stop()
    counts = carrier.counts
    marketing = {message.id for message in messages if message.message_class is MARKETING}
    doubled = {message_id for message_id, number in counts.items() if number > 1}
    assert not doubled & marketing
    # Two lanes died: each may repeat its window, and what was not flushed yet.
    assert len(doubled) <= 2 * (WINDOW * SHARDS + RATE // SHARDS * SETTINGS.max_unflushed_s + 64)
    assert set(before) <= set(counts)
    transactional = expected - marketing
    assert transactional <= set(counts)
    assert carrier.worst_second() <= RATE + BURST


async def test_lanes_grow_to_more_shards_and_old_records_are_read(db):  # noqa: F811
    bus = PostgresBus(db)
    await bus.start()
    lane = topics.lane(CARRIER, OTP)
    await bus.ensure_topics({lane: 1})
    await bus.register_group("dispatch", [lane])
    await bus.append([Record(lane, b"%d" % number, b"old") for number in range(10)])
    await bus.ensure_topics({lane: 3})
    assert bus.partitions(lane) == 1
    await bus.widen_topics({lane: 3})
    assert bus.partitions(lane) == 3
    await bus.widen_topics({lane: 2})
    assert bus.partitions(lane) == 3
    await bus.register_group("dispatch", [lane])
    await bus.append([Record(lane, b"%d" % number, b"new") for number in range(30)])
    rows = [await bus.read(lane, number, offset=0, limit=100) for number in range(3)]
    assert all(rows)
    assert sum(len(part) for part in rows) == 40
    assert {partition.partition for partition in await bus.lag("dispatch")} == {0, 1, 2}


async def test_held_rows_wait_beyond_time_and_come_back_in_order(db):  # noqa: F811
    deferred = PostgresDeferred(db)
    message = a_message()
    kept, freed = held_until_ms(CARRIER, "kept"), held_until_ms(CARRIER, "freed")
    rows = [
        DeferredRow(due, "lane", b"k", f"{due}-{number}".encode(), message.id)
        for number in range(3)
        for due in (kept, freed)
    ]
    async with db.transaction() as tx:
        await deferred.add(tx, rows)
    now = now_ms()
    async with db.transaction() as tx:
        assert await deferred.claim_due(tx, now_ms=now, limit=10) == []
    arguments = {"from_ms": HELD_FROM_MS, "keep": [kept], "now_ms": now}
    assert await deferred.make_due(limit=2, **arguments) == 2
    assert await deferred.make_due(limit=10, **arguments) == 1
    assert await deferred.make_due(limit=10, **arguments) == 0
    async with db.transaction() as tx:
        found = await deferred.claim_due(tx, now_ms=now, limit=10)
    assert [row.value for row in found] == [f"{freed}-{number}".encode() for number in range(3)]
    assert await deferred.next_due_ms() == kept


async def test_d3_one_that_only_lost_its_lifeline_keeps_its_shards(bus, database_url, db):  # noqa: F811
    carrier = Carrier()
    first = await Process(database_url, carrier, "host-a").start()
    second = await Process(database_url, carrier, "host-b").start()

    async def leases() -> dict[int, tuple[str, int, int | None]]:
        rows = await db_rows(
            db, "SELECT shard, owner, epoch, lifeline FROM lane_leases WHERE carrier = $1", CARRIER
        )
        return {row["shard"]: (row["owner"], row["epoch"], row["lifeline"]) for row in rows}

    async def hold_marks() -> bool:
        marks = {"host-a": first.lifeline.mark, "host-b": second.lifeline.mark}
        return None not in marks.values() and all(
            mark == marks[owner] for owner, _, mark in (await leases()).values()
        )

    await until(lambda: len(first.shards) == len(second.shards) == 2, within_s=30)
    await until(hold_marks, within_s=30)
    before, mark = await leases(), second.lifeline.mark
    await db_rows(
        db,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
        "host-b.lifeline",
    )
    await until(lambda: second.lifeline.mark not in (None, mark), within_s=30)
    await until(hold_marks, within_s=30)
    assert {shard: one[:2] for shard, one in (await leases()).items()} == {
        shard: one[:2] for shard, one in before.items()
    }
    await first.stop()
    await second.stop()


async def db_rows(db, query, *arguments):  # noqa: F811
    async with db.acquire() as connection:
        return await connection.fetch(query, *arguments)


async def test_leases_in_force_are_seen_by_all(db):  # noqa: F811
    leases = PostgresLeases(db)
    lease = await leases.acquire(CARRIER, shard=1, owner="host-a", ttl_ms=5000)
    short = await leases.acquire(CARRIER, shard=2, owner="host-a", ttl_ms=1)
    await asyncio.sleep(0.01)
    assert short is not None
    assert await leases.in_force() == [lease]


async def test_order_in_the_database_reaches_the_link_and_the_report_comes_back(bus, database_url):  # noqa: F811
    carrier = Carrier()
    process = await Process(database_url, carrier, "host-a").start()
    await until(lambda: process.supervisor.is_ready, within_s=30)
    controls = PostgresControls(process.db)
    await controls.give(Order(CARRIER, OrderKind.RATE, "", "40/s", "tariff", "ana", now_ms()))
    await controls.give(Order(CARRIER, OrderKind.HOLD_CLASS, "marketing", "", "quiet", "ana", now_ms()))

    async def is_reported() -> bool:
        reports = await controls.reports(since_ms=0)
        return len(reports) == SHARDS and all(
            report.picture["limit_per_s"] == 10 and report.picture["orders"]["held_classes"] == ["marketing"]
            for report in reports
        )

    await until(is_reported, within_s=30)
    await process.stop()
    assert await controls_of(database_url) == []


async def controls_of(url: str) -> list[str]:
    """Return the members that are still registered."""
    database = await Database.connect(url, max_size=1, name="look")
    try:
        return await PostgresControls(database).members(since_ms=0)
    finally:
        await database.close()
