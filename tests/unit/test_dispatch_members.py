"""Several dispatch processes: who works which shard, hand-over, reports, orders, and reload of the plans."""

import asyncio
from dataclasses import replace
from random import Random

import pytest
from prometheus_client import CollectorRegistry

from gateway.bus import topics
from gateway.bus.members import Membership, assigned_to
from gateway.dispatch.conclude import lane_record
from gateway.dispatch.metrics import DispatchMetrics
from gateway.dispatch.plan import CarrierPlan, DispatchSettings
from gateway.dispatch.supervisor import DispatchSupervisor
from gateway.domain.message import MessageClass
from gateway.ports.clock import SystemClock
from gateway.ports.control_store import Order, OrderKind
from gateway.ports.dispatch_store import Lease
from tests.support.fake_link import FakeLink
from tests.support.lane_rig import CARRIER, OTHER, a_message, now_ms, until
from tests.support.memory_bus import MemoryBus, MemoryDatabase, MemoryDeferred, MemoryLeases
from tests.support.memory_controls import MemoryControls
from throttling.rates import Rate

OTP, TRANSACTIONAL, COLLECTIONS, MARKETING = MessageClass
QUICK = DispatchSettings(
    flush_ms=2,
    tick_s=0.02,
    lease_ttl_s=0.6,
    drain_s=0.3,
    control_poll_s=0.03,
    member_beat_s=0.05,
    member_dead_s=0.3,
    orphan_after_s=0.2,
    otp_failover_after_s=0.1,
    failover_after_s=0.1,
)


class WallLeases(MemoryLeases):
    """Leases that expire by the real clock, whatever one sets."""

    @property
    def now_ms(self) -> int:
        return now_ms()

    @now_ms.setter
    def now_ms(self, value: int) -> None:
        del value


class World:
    """What all processes share."""

    def __init__(self) -> None:
        self.bus = MemoryBus(MemoryDatabase())
        self.bus.logs = {topic: [[]] for topic in (topics.EVENTS, topics.RECEIPTS, topics.MO)}
        self.deferred = MemoryDeferred(self.bus.db)
        self.leases = WallLeases()
        self.controls = MemoryControls()
        self.links: list[FakeLink] = []
        self.processes: list[Process] = []

    def plan(self, carrier: str = CARRIER, *, shards: int = 1, rate: str = "1000/s", **more) -> CarrierPlan:
        def make_link(shard: int, count: int) -> FakeLink:
            link = FakeLink(carrier=carrier)
            link.place = (shard, count)
            self.links.append(link)
            return link

        return CarrierPlan(carrier, Rate.parse(rate), make_link, shards=shards, **more)

    def process(self, owner: str, *plans: CarrierPlan) -> "Process":
        process = Process(self, owner, plans or (self.plan(shards=4),))
        self.processes.append(process)
        return process

    async def put(self, *messages) -> None:
        await self.bus.append([lane_record(message) for message in messages])

    async def close(self) -> None:
        for process in self.processes:
            await process.kill()


class Process:
    """One dispatch process."""

    def __init__(self, world: World, owner: str, plans: tuple[CarrierPlan, ...]) -> None:
        self.registry = CollectorRegistry()
        world.bus.make_lanes(plans)
        self.supervisor = DispatchSupervisor(
            plans,
            owner=owner,
            bus=world.bus,
            db=world.bus.db,
            deferred=world.deferred,
            leases=world.leases,
            clock=SystemClock(),
            metrics=DispatchMetrics(self.registry),
            random=Random(1),
            settings=QUICK,
            control=world.controls,
        )
        self.running = asyncio.create_task(self.supervisor.run())

    @property
    def shards(self) -> set[int]:
        return {int(picture["shard"]) for picture in self.supervisor.explain()}

    async def stop(self) -> None:
        self.supervisor.stop()
        async with asyncio.timeout(30):
            await self.running

    async def kill(self) -> None:
        """kill -9: nothing is released, nobody is told."""
        self.running.cancel()
        await asyncio.wait({self.running})


@pytest.fixture
async def world():
    it = World()
    yield it
    await it.close()


# --- the rule -------------------------------------------------------------------------------------------------


def test_shards_are_divided_evenly_and_each_has_one_member():
    members = ["a", "b", "c"]
    owners = [assigned_to(CARRIER, shard, members) for shard in range(9)]
    assert {owner: owners.count(owner) for owner in members} == {"a": 3, "b": 3, "c": 3}
    first = {assigned_to(f"carrier-{number}", 0, members) for number in range(20)}
    assert first == set(members)  # carriers of one shard do not all go to the first


def test_free_shard_of_another_is_taken_only_after_a_while_and_kept_for_a_while():
    class Clock:
        now_s = 100.0

        def monotonic_ns(self) -> int:
            return int(self.now_s * 1e9)

    clock = Clock()
    membership = Membership("a", clock=clock, orphan_after_s=4, stand_in_s=60)
    mine = next(shard for shard in range(2) if assigned_to(CARRIER, shard, ["a", "b"]) == "a")
    assert membership.may_take(CARRIER, 0)
    assert membership.may_take(CARRIER, 1)
    membership.see(["b"], leases=[])
    assert membership.may_take(CARRIER, mine)
    assert not membership.may_take(CARRIER, 1 - mine)
    clock.now_s += 3
    membership.see(["b"], leases=[Lease(CARRIER, 1 - mine, "b", 1)])
    clock.now_s += 3
    assert not membership.may_take(CARRIER, 1 - mine)
    membership.see(["b"], leases=[])
    assert not membership.may_take(CARRIER, 1 - mine)
    clock.now_s += 4
    assert membership.may_take(CARRIER, 1 - mine)
    owned_ns = clock.monotonic_ns()
    give = {"owned_since_ns": owned_ns, "stands_in": True}
    assert not membership.must_give(CARRIER, 1 - mine, **give)
    assert membership.must_give(CARRIER, 1 - mine, owned_since_ns=owned_ns, stands_in=False)
    clock.now_s += 60
    assert membership.must_give(CARRIER, 1 - mine, **give)
    assert not membership.must_give(CARRIER, mine, **give)


# --- processes ------------------------------------------------------------------------------------------------


async def test_d3_joining_process_gets_its_shards_and_leaving_one_gives_them_back(world):
    first = world.process("host-a")
    await until(lambda: first.shards == {0, 1, 2, 3})
    second = world.process("host-b")
    await until(lambda: len(second.shards) == 2 and len(first.shards) == 2)
    assert first.shards | second.shards == {0, 1, 2, 3}
    await world.put(*[a_message(recipient=f"5255123456{number:02}") for number in range(40)])
    await until(lambda: len(world.bus.payloads(topics.EVENTS)) == 40)
    await second.stop()
    await until(lambda: first.shards == {0, 1, 2, 3})
    assert "host-b" not in world.controls.seen


async def test_d3_shards_of_a_killed_process_are_taken_over_when_their_leases_expire(world):
    first, second = world.process("host-a"), world.process("host-b")
    await until(lambda: len(first.shards) == 2 and len(second.shards) == 2)
    held = dict(world.leases.held)
    await second.kill()
    world.leases.held.update({key: row for key, row in held.items() if row[0].owner == "host-b"})
    await until(lambda: first.shards == {0, 1, 2, 3})


async def test_store_that_fails_changes_nothing(world):
    first, second = world.process("host-a"), world.process("host-b")
    await until(lambda: len(first.shards) == 2 and len(second.shards) == 2)
    order = Order(CARRIER, OrderKind.PAUSE, "", "", "maintenance", "ana", now_ms())
    await world.controls.give(order)
    await until(lambda: all(link.wish.is_paused for link in world.links if not link.is_aborted))
    world.controls.failing = True
    before = first.shards, second.shards
    await asyncio.sleep(0.8)
    assert (first.shards, second.shards) == before
    assert {picture["constraint"] for picture in first.supervisor.explain()} == {"paused"}


async def test_orders_given_before_the_start_hold_from_the_first_message_on(world):
    await world.controls.give(Order(CARRIER, OrderKind.PAUSE, "", "", "", "ana", now_ms()))
    await world.bus.ensure_topics(dict.fromkeys(topics.lanes(CARRIER), 1))
    await world.put(*[a_message() for _ in range(5)])
    process = world.process("host-a", world.plan())
    await until(lambda: process.supervisor.is_ready)
    await until(lambda: sum(process.supervisor.explain()[0]["held"].values()) == 5)
    assert world.links[0].written == []
    await world.controls.withdraw(CARRIER, OrderKind.PAUSE, "", actor="ana", reason="", now_ms=now_ms())
    await until(lambda: len(world.links[0].written) == 5)


async def test_shards_are_reported_and_a_carrier_elsewhere_takes_over_what_waits(world):
    lives = world.process("host-a", world.plan(OTHER))
    await until(lambda: lives.supervisor.is_ready)
    dead = world.process("host-b", world.plan(CARRIER))
    await until(lambda: world.links and any(link.carrier == CARRIER for link in world.links))
    await until(lambda: (OTHER, 0) in world.controls.reported)
    report = world.controls.reported[OTHER, 0]
    assert (report.owner, report.picture["health"], report.picture["binds"][0]["bind"]) == (
        "host-a",
        "up",
        "trx-1",
    )
    next(link for link in world.links if link.carrier == CARRIER).go_down()
    message = a_message(MARKETING, candidates=(OTHER,))
    await world.put(message)
    await until(
        lambda: any(
            segment.message.id == message.id
            for link in world.links
            if link.carrier == OTHER
            for segment in link.written
        )
    )
    assert dead.shards == {0}


async def test_messages_of_a_hold_come_back_when_it_ends_even_after_a_restart(world):
    hold = Order("", OrderKind.HOLD_ACCOUNT, "acme", "", "unpaid", "ana", now_ms())
    await world.controls.give(hold)
    first = world.process("host-a", world.plan())
    await until(lambda: first.supervisor.is_ready)
    await world.put(*[a_message() for _ in range(10)], a_message(account_id="bravo"))
    await until(lambda: len(world.deferred.rows) == 10)
    await first.stop()
    second = world.process("host-a", world.plan())
    await until(lambda: second.supervisor.is_ready)
    await asyncio.sleep(0.2)
    assert all(row.due_at > now_ms() * 2 for row in world.deferred.rows)
    await world.controls.withdraw("", OrderKind.HOLD_ACCOUNT, "acme", actor="ana", reason="", now_ms=now_ms())
    await until(lambda: all(row.due_at <= now_ms() for row in world.deferred.rows))


# --- reload ---------------------------------------------------------------------------------------------------


async def test_reload_leaves_equal_plans_alone_and_changes_the_others(world):
    kept, adjusted, changed, removed = (
        world.plan("kept"),
        world.plan("adjusted", window_slots=10),
        world.plan("changed", access="one"),
        world.plan("removed"),
    )
    process = world.process("host-a", kept, adjusted, changed, removed)
    await until(lambda: process.supervisor.is_ready)
    links = {link.carrier: link for link in world.links}
    wanted = [
        world.plan("kept"),
        world.plan("adjusted", rate="300/s", window_slots=25),
        world.plan("changed", access="two"),
        world.plan("added"),
    ]
    world.bus.make_lanes(wanted)
    await process.supervisor.reload(wanted)
    await until(lambda: process.supervisor.is_ready)
    pictures = {str(picture["carrier"]): picture for picture in process.supervisor.explain()}
    assert set(pictures) == {"kept", "adjusted", "changed", "added"}
    made = [link.carrier for link in world.links]
    assert (made.count("kept"), made.count("adjusted"), made.count("changed")) == (1, 1, 2)
    assert links["removed"].is_drained
    assert links["changed"].is_drained
    assert pictures["adjusted"]["limit_per_s"] == 300
    assert links["adjusted"].wish.window_slots == 25
    await world.put(a_message(carrier="added"))
    await until(lambda: world.links[-1].written or world.links[-2].written)


async def test_more_shards_get_partitions_and_workers_and_fewer_do_not_strand_messages(world):
    process = world.process("host-a", world.plan(shards=1))
    await until(lambda: process.supervisor.is_ready)
    world.bus.make_lanes([world.plan(shards=3)])
    await process.supervisor.reload([world.plan(shards=3)])
    await until(lambda: process.shards == {0, 1, 2})
    await process.supervisor.reload([replace(world.plan(shards=2), access="new")])
    await until(lambda: process.shards == {0, 1, 2})  # the lanes have three parts
    await world.put(*[a_message(recipient=f"5255123456{number:02}") for number in range(30)])
    await until(lambda: len(world.bus.payloads(topics.EVENTS)) == 30)


async def test_reload_while_not_running_is_refused(world):
    process = world.process("host-a", world.plan())
    await until(lambda: process.supervisor.is_ready)
    await process.stop()
    with pytest.raises(RuntimeError, match="while dispatch runs"):
        await process.supervisor.reload([])
