"""Supervisor and deferrer in memory: ownership, restarts of a failed worker, scheduled messages."""

import asyncio
from random import Random

import pytest
from prometheus_client import CollectorRegistry

from gateway.bus import topics
from gateway.dispatch.conclude import lane_record
from gateway.dispatch.deferrer import Deferrer
from gateway.dispatch.metrics import DispatchMetrics
from gateway.dispatch.plan import CarrierPlan, DispatchSettings
from gateway.dispatch.supervisor import DispatchSupervisor
from gateway.domain.events import Noted
from gateway.domain.lifecycle import State
from gateway.domain.message import MessageClass
from gateway.ports.clock import SystemClock
from gateway.ports.dispatch_store import DeferredRow
from tests.support.fake_link import FakeLink
from tests.support.lane_rig import CARRIER, OTHER, a_message, now_ms, until
from tests.support.memory_bus import MemoryBus, MemoryDatabase, MemoryDeferred, MemoryLeases
from throttling.rates import Rate

OTP, TRANSACTIONAL, COLLECTIONS, MARKETING = MessageClass


class Process:
    """One dispatch process over shared stores."""

    def __init__(
        self, bus: MemoryBus, leases: MemoryLeases, *carriers: str, owner: str = "host-a", shards: int = 1
    ):
        self.bus = bus
        self.leases = leases
        self.links: dict[tuple[str, int], list[FakeLink]] = {}
        plans = [self._plan(carrier, shards) for carrier in carriers]
        bus.make_lanes(plans)
        self.supervisor = DispatchSupervisor(
            plans,
            owner=owner,
            bus=bus,
            db=bus.db,
            deferred=MemoryDeferred(bus.db),
            leases=leases,
            clock=SystemClock(),
            metrics=DispatchMetrics(CollectorRegistry()),
            random=Random(1),
            settings=DispatchSettings(flush_ms=2, lease_ttl_s=0.4, drain_s=0.5),
        )
        self.running = asyncio.create_task(self.supervisor.run())

    def _plan(self, carrier: str, shards: int) -> CarrierPlan:
        def make_link(shard: int, _: int) -> FakeLink:
            link = FakeLink(carrier=carrier)
            self.links.setdefault((carrier, shard), []).append(link)
            return link

        return CarrierPlan(carrier, Rate.parse("1000/s"), make_link, shards=shards)

    def link(self, carrier: str = CARRIER, shard: int = 0) -> FakeLink:
        return self.links[carrier, shard][-1]

    async def stop(self) -> None:
        self.supervisor.stop()
        async with asyncio.timeout(30):
            await self.running

    async def kill(self) -> None:
        self.running.cancel()
        await asyncio.wait({self.running})


@pytest.fixture
async def bus():
    bus = MemoryBus(MemoryDatabase())
    await bus.ensure_topics({topics.EVENTS: 1, topics.RECEIPTS: 1, topics.MO: 1})
    return bus


async def put(bus: MemoryBus, *messages) -> None:
    await bus.append([lane_record(message) for message in messages])


async def test_each_shard_gets_a_worker_and_every_message_is_submitted_by_its_shard(bus):
    process = Process(bus, MemoryLeases(), CARRIER, shards=3)
    await until(lambda: process.supervisor.is_ready)
    messages = [a_message(recipient=f"5255123456{number:02}") for number in range(40)]
    await put(bus, *messages)
    await until(lambda: len(bus.payloads(topics.EVENTS)) == 40)
    written = [len(process.link(shard=shard).written) for shard in range(3)]
    assert sum(written) == 40
    assert all(written)
    assert {line["shard"] for line in process.supervisor.explain()} == {0, 1, 2}
    await process.stop()


async def test_lease_is_released_at_a_stop_and_renewed_until_then(bus):
    leases = MemoryLeases()
    process = Process(bus, leases, CARRIER)
    await until(lambda: process.supervisor.is_ready)
    await asyncio.sleep(0.6)  # more than its lifetime
    await until(lambda: process.supervisor.explain()[0]["lease_left_ms"] > 0)
    assert len(process.links[CARRIER, 0]) == 1  # one worker all along
    await process.stop()
    assert leases.held == {}


async def test_d3_worker_stops_submitting_while_the_lease_cannot_be_renewed(bus):
    leases = MemoryLeases()
    process = Process(bus, leases, CARRIER)
    await until(lambda: process.supervisor.is_ready)
    leases.failing = True
    await until(lambda: process.supervisor.explain()[0]["lease_left_ms"] == 0)
    await asyncio.sleep(0.002)  # the figure is rounded down
    await put(bus, a_message())
    await asyncio.sleep(0.1)
    assert process.link().written == []
    leases.failing = False
    await until(lambda: process.link().written)
    await process.stop()


async def test_d3_lost_lease_ends_the_worker_and_its_link(bus):
    leases = MemoryLeases()
    process = Process(bus, leases, CARRIER)
    await until(lambda: process.supervisor.is_ready)
    leases.now_ms += 10_000
    await leases.acquire(CARRIER, shard=0, owner="host-b", ttl_ms=60_000)
    await until(lambda: not process.supervisor.explain())
    assert process.link().is_aborted
    await process.stop()


async def test_p5_a_link_that_breaks_its_rules_harms_only_its_own_lanes(bus):
    process = Process(bus, MemoryLeases(), CARRIER, OTHER)
    await until(lambda: process.supervisor.is_ready)

    def broken(*_, **__):
        raise RuntimeError("a bug in the link")

    process.link().figures = broken
    await put(bus, a_message(carrier=OTHER))
    await until(lambda: process.link(OTHER).written)
    await until(lambda: len(process.links[CARRIER, 0]) == 2)  # a new worker with a new link
    await put(bus, a_message())
    await until(lambda: process.link().written)
    assert len(process.links[OTHER, 0]) == 1
    await process.stop()


async def test_restarted_process_takes_over_at_once(bus):
    leases = MemoryLeases()
    first = Process(bus, leases, CARRIER)
    await until(lambda: first.supervisor.is_ready)
    held = leases.held[CARRIER, 0]
    await first.kill()
    leases.held[CARRIER, 0] = held  # a killed process releases nothing
    second = Process(bus, leases, CARRIER)
    await until(lambda: second.supervisor.is_ready)
    await second.stop()


def deferrer_on(bus: MemoryBus, store: MemoryDeferred) -> Deferrer:
    return Deferrer(bus=bus, db=bus.db, deferred=store, clock=SystemClock(), batch=10, poll_s=0.05)


def row(message, due_at: int) -> DeferredRow:
    record = lane_record(message)
    return DeferredRow(due_at, record.topic, record.key, record.value, message.id)


async def test_scheduled_message_enters_its_lane_when_due_with_an_event(bus):
    store = MemoryDeferred(bus.db)
    await bus.ensure_topics({topics.lane(CARRIER, MARKETING): 1})
    due_ms = now_ms() + 60
    message = a_message(MARKETING, send_at=due_ms)
    store.rows.append(row(message, due_ms))
    deferrer = deferrer_on(bus, store)
    running = asyncio.create_task(deferrer.run())
    await until(lambda: bus.payloads(topics.EVENTS))
    assert now_ms() >= due_ms
    assert bus.payloads(topics.lane(CARRIER, MARKETING)) == [message]
    (event,) = bus.payloads(topics.EVENTS)
    assert event == Noted(
        message.id, event.at, "queued", state=State.QUEUED, carrier=CARRIER, reason="send_at_reached"
    )
    assert store.rows == []
    deferrer.stop()
    await running


async def test_retries_come_back_without_an_event_and_in_batches(bus):
    store = MemoryDeferred(bus.db)
    await bus.ensure_topics({topics.lane(CARRIER, OTP): 1})
    messages = [a_message(OTP, attempt=2) for _ in range(25)]
    store.rows += [row(message, now_ms() - 25 + number) for number, message in enumerate(messages)]
    deferrer = deferrer_on(bus, store)
    running = asyncio.create_task(deferrer.run())
    await until(lambda: not store.rows)
    assert bus.payloads(topics.lane(CARRIER, OTP)) == messages
    assert bus.payloads(topics.EVENTS) == []
    deferrer.stop()
    await running


async def test_deferrer_outlives_a_database_that_fails(bus):
    store = MemoryDeferred(bus.db)
    await bus.ensure_topics({topics.lane(CARRIER, OTP): 1})
    store.rows.append(row(a_message(OTP, attempt=2), now_ms() - 1))
    bus.db.failing = True
    deferrer = deferrer_on(bus, store)
    running = asyncio.create_task(deferrer.run())
    await asyncio.sleep(0.02)
    assert len(store.rows) == 1
    bus.db.failing = False
    deferrer.wake()
    await until(lambda: not store.rows)
    deferrer.stop()
    await running


async def test_row_that_is_no_message_still_goes_to_its_lane(bus):
    store = MemoryDeferred(bus.db)
    topic = topics.lane(CARRIER, OTP)
    await bus.ensure_topics({topic: 1})
    store.rows.append(DeferredRow(0, topic, b"", b"not an envelope", a_message().id))
    assert await deferrer_on(bus, store).move_due() == 1
    assert bus.logs[topic] == [[b"not an envelope"]]
