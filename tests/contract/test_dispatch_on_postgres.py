"""Dispatch on the real database and bus: positions, events and deferred rows in one transaction, crash and takeover."""

import asyncio
from random import Random

import pytest
from prometheus_client import CollectorRegistry

from gateway.bus import topics
from gateway.bus.codec import decode, encode
from gateway.bus.postgres import PostgresBus
from gateway.dispatch.deferrer import Deferrer
from gateway.dispatch.metrics import DispatchMetrics
from gateway.dispatch.plan import CarrierPlan, DispatchSettings
from gateway.dispatch.supervisor import DispatchSupervisor
from gateway.domain.message import MessageClass
from gateway.ports.bus import Record
from gateway.ports.clock import SystemClock
from gateway.store.deferred import PostgresDeferred
from gateway.store.leases import PostgresLeases
from tests.support.fake_link import QUEUE_FULL, FakeLink, accepted
from tests.support.lane_rig import CARRIER, a_message, until
from tests.support.postgres import database_url, db, postgres_server  # noqa: F401 - fixtures
from throttling.rates import Rate

pytestmark = pytest.mark.postgres
OTP, TRANSACTIONAL, COLLECTIONS, MARKETING = MessageClass


class World:
    """A database with the bus on it, and as many dispatch processes as a test wants."""

    def __init__(self, db) -> None:  # noqa: F811
        self.db = db
        self.bus = PostgresBus(db)
        self.deferred = PostgresDeferred(db)
        self.links: list[FakeLink] = []
        self.script = lambda segment: accepted(1)
        self._running: list[asyncio.Task] = []

    async def open(self) -> "World":
        await self.bus.start()
        await self.bus.ensure_topics({topics.EVENTS: 1, topics.RECEIPTS: 1, topics.MO: 1})
        await self.bus.ensure_topics(dict.fromkeys(topics.lanes(CARRIER), 1))
        return self

    def _link(self, shard: int, shards: int) -> FakeLink:
        link = FakeLink()
        link.script = lambda segment: self.script(segment)
        self.links.append(link)
        return link

    def dispatch(self, *, owner: str = "host-a") -> tuple[DispatchSupervisor, asyncio.Task]:
        supervisor = DispatchSupervisor(
            [CarrierPlan(CARRIER, Rate.parse("5000/s"), self._link, window=10)],
            owner=owner,
            bus=self.bus,
            db=self.db,
            deferred=self.deferred,
            leases=PostgresLeases(self.db),
            clock=SystemClock(),
            metrics=DispatchMetrics(CollectorRegistry()),
            random=Random(3),
            settings=DispatchSettings(flush_ms=5, lease_ttl_s=1.0, drain_s=1.0),
        )
        task = asyncio.create_task(supervisor.run())
        self._running.append(task)
        return supervisor, task

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def put(self, *messages) -> None:
        await self.bus.append(
            [
                Record(
                    topics.lane(CARRIER, message.message_class), message.recipient.encode(), encode(message)
                )
                for message in messages
            ]
        )

    async def events(self) -> list:
        return [
            decode(stored.value) for stored in await self.bus.read(topics.EVENTS, 0, offset=0, limit=10_000)
        ]

    async def until_events(self, count: int) -> list:
        async def enough() -> bool:
            return len(await self.events()) >= count

        await until(enough, within_s=30)
        return await self.events()

    async def position(self, message_class: MessageClass):
        lane = topics.lane(CARRIER, message_class)
        return await self.bus.position(topics.lane_group(CARRIER), lane, 0)


@pytest.fixture
async def world(db):  # noqa: F811
    it = await World(db).open()
    yield it
    await it.close()


async def test_messages_of_all_classes_become_events_and_positions(world):
    await world.put(*[a_message(name) for name in MessageClass for _ in range(25)])
    supervisor, running = world.dispatch()
    events = await world.until_events(100)
    assert len({event.message_id for event in events}) == 100
    assert supervisor.is_ready
    assert supervisor.explain()[0]["carrier"] == CARRIER
    supervisor.stop()
    async with asyncio.timeout(30):
        await running
    for name in MessageClass:
        assert await world.position(name) == (25, (), ())


async def test_deferred_message_comes_back_to_its_lane_when_due(world):
    answers = iter([QUEUE_FULL])
    world.script = lambda segment: next(answers, None) or accepted(1)
    await world.put(a_message())
    world.dispatch()
    deferrer = Deferrer(bus=world.bus, db=world.db, deferred=world.deferred, clock=SystemClock(), poll_s=0.1)
    deferring = asyncio.create_task(deferrer.run())
    events = await world.until_events(2)
    assert [event.attempt for event in events] == [1, 2]
    assert events[1].at >= events[0].retry_at
    assert await world.deferred.next_due_ms() is None
    deferrer.stop()
    await deferring


async def test_p2_killed_owner_is_followed_at_once_and_doubles_no_campaign(world):
    messages = [a_message(name) for name in (OTP, MARKETING) for _ in range(30)]
    await world.put(*messages)
    world.script = lambda segment: None
    _, running = world.dispatch()
    await until(lambda: world.links and len(world.links[0].written) == 10)

    async def marketing_is_claimed() -> bool:
        return bool((await world.position(MARKETING)).claimed)

    await until(marketing_is_claimed)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    world.script = lambda segment: accepted(1)
    world.dispatch()
    events = await world.until_events(60)
    assert {event.message_id for event in events} == {message.id for message in messages}
    written = [segment.message for link in world.links for segment in link.written]
    marketing = [message.id for message in written if message.message_class is MARKETING]
    assert len(marketing) == len(set(marketing))
    assert {message.id for message in written if message.message_class is OTP} == {
        message.id for message in messages if message.message_class is OTP
    }


async def test_d3_second_host_waits_for_the_lease_and_takes_over(world):
    first, running = world.dispatch(owner="host-a")
    await until(lambda: first.is_ready)
    second, _ = world.dispatch(owner="host-b")
    await asyncio.sleep(1.5)  # longer than the lease: it is renewed
    assert not second.is_ready
    first.stop()
    async with asyncio.timeout(30):
        await running
    await until(lambda: second.is_ready)
    await world.put(a_message())
    await world.until_events(1)
    assert [len(link.written) for link in world.links] == [0, 1]


async def test_d3_owner_whose_lease_was_taken_writes_nothing_more(world):
    world.script = lambda segment: None
    supervisor, _ = world.dispatch(owner="host-a")
    await until(lambda: supervisor.is_ready)
    await world.put(a_message(MARKETING))
    await until(lambda: world.links[0].written)
    async with world.db.acquire() as connection:
        await connection.execute("UPDATE lane_leases SET owner = 'host-b', epoch = epoch + 1")
    world.links[0].answer_held(accepted(1))
    await until(lambda: not supervisor.is_ready)
    assert await world.events() == []
    assert world.links[0].is_aborted
