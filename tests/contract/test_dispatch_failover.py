"""Two carriers over SMPP: one dies, its messages reach the other in time; it comes back, gently (P5)."""

import asyncio
import time
from random import Random

import pytest
from prometheus_client import CollectorRegistry

from adapters.smpp.link import SmppLink
from adapters.smpp.profile import CarrierProfile
from gateway.bus import topics
from gateway.dispatch.conclude import lane_record
from gateway.dispatch.metrics import DispatchMetrics
from gateway.dispatch.plan import CarrierPlan, DispatchSettings
from gateway.dispatch.supervisor import DispatchSupervisor
from gateway.domain.message import MessageClass
from gateway.ports.clock import SystemClock
from gateway.ports.control_store import Order, OrderKind
from tests.support.lane_rig import CARRIER, OTHER, a_message, until
from tests.support.memory_bus import MemoryBus, MemoryDatabase, MemoryDeferred, MemoryLeases
from tests.support.memory_controls import MemoryControls
from tests.support.message_centre import MessageCentre
from throttling.rates import Rate

OTP, TRANSACTIONAL, COLLECTIONS, MARKETING = MessageClass
RATE = 100


class Rig:
    """Dispatch with two carriers, each a message centre of its own."""

    def __init__(self) -> None:
        self.bus = MemoryBus(MemoryDatabase())
        self.bus.logs = {topic: [[]] for topic in (topics.EVENTS, topics.RECEIPTS, topics.MO)}
        self.registry = CollectorRegistry()
        self.controls = MemoryControls()
        self.centres = {CARRIER: MessageCentre(), OTHER: MessageCentre()}
        self.supervisor: DispatchSupervisor
        self.running: asyncio.Task[None]

    async def start(self) -> None:
        for centre in self.centres.values():
            await centre.start()
        plans = [self._plan(carrier, centre.port) for carrier, centre in self.centres.items()]
        self.bus.make_lanes(plans)
        self.supervisor = DispatchSupervisor(
            plans,
            owner="host-a",
            bus=self.bus,
            db=self.bus.db,
            deferred=MemoryDeferred(self.bus.db),
            leases=MemoryLeases(),
            clock=SystemClock(),
            metrics=DispatchMetrics(self.registry, carriers=(CARRIER, OTHER)),
            random=Random(1),
            settings=DispatchSettings(drain_s=0.5, control_poll_s=0.1),
            control=self.controls,
        )
        self.running = asyncio.create_task(self.supervisor.run())
        await until(
            lambda: (
                self.supervisor.is_ready
                and all(one["health"] in ("up", "paused") for one in self.supervisor.explain())
            )
        )

    def _plan(self, carrier: str, port: int) -> CarrierPlan:
        profile = CarrierProfile(
            carrier=carrier,
            host="127.0.0.1",
            port=port,
            system_id="caudal",
            password="demo",
            top_rate=f"{RATE}/s",
            window_slots=50,
            bind_count=2,
            reconnect_min_s=0.2,
            reconnect_max_s=0.5,
        )

        def make_link(shard: int, shards: int) -> SmppLink:
            return SmppLink(profile, clock=SystemClock(), shares=shards, shard=shard)

        return CarrierPlan(carrier, Rate.of(RATE), make_link, window=100)

    async def put(self, *messages) -> None:
        await self.bus.append([lane_record(message) for message in messages])

    def picture(self, carrier: str) -> dict:
        return next(one for one in self.supervisor.explain() if one["carrier"] == carrier)

    def sample(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"caudal_{name}", labels)

    async def close(self) -> None:
        self.running.cancel()
        await asyncio.wait({self.running})
        for centre in self.centres.values():
            await centre.stop()

    async def order(self, kind: OrderKind, target: str = "", value: str = "") -> None:
        await self.controls.give(Order(CARRIER, kind, target, value, "test", "ana", SystemClock().now_ms()))

    async def withdraw(self, kind: OrderKind) -> None:
        await self.controls.withdraw(CARRIER, kind, "", actor="ana", reason="", now_ms=0)


@pytest.fixture
async def rig():
    rig = Rig()
    yield rig
    await rig.close()


async def taken_per_s(centre: MessageCentre) -> float:
    """Return what a centre takes now; of several, one shows the rate, though the machine stood still in others."""
    before, began = len(centre.submits), time.monotonic()
    await asyncio.sleep(0.2)
    return (len(centre.submits) - before) / (time.monotonic() - began)


async def test_orders_reach_the_binds_of_a_carrier_and_end_there(rig):
    await rig.order(OrderKind.PAUSE)
    await rig.start()
    centre = rig.centres[CARRIER]
    await rig.put(*[a_message() for _ in range(5)])
    await until(lambda: rig.picture(CARRIER)["held"]["transactional"] == 5)
    await until(lambda: [bind["state"] for bind in rig.picture(CARRIER)["binds"]] == ["paused", "paused"])
    await until(lambda: rig.sample("carrier_paused", carrier=CARRIER) == 1)
    assert rig.picture(CARRIER)["constraint"] == "paused"
    assert rig.picture(CARRIER)["breaker"] != "open"
    assert centre.submits == []
    await rig.withdraw(OrderKind.PAUSE)
    await until(lambda: len(centre.submits) == 5)

    await rig.order(OrderKind.RECONNECT)
    await until(lambda: len(centre.binds) == 4)
    await until(lambda: len(centre.sessions) == 2)

    await rig.order(OrderKind.DRAIN)
    await until(lambda: not centre.sessions)
    await until(lambda: rig.picture(CARRIER)["constraint"] == "drained")
    await rig.put(a_message(MARKETING), a_message(MARKETING, candidates=(OTHER,)))
    await until(lambda: len(rig.centres[OTHER].submits) == 1)
    assert len(centre.submits) == 5
    await rig.withdraw(OrderKind.DRAIN)
    await until(lambda: len(centre.submits) == 6)


async def test_p5_otps_reach_the_other_carrier_within_five_seconds_and_the_dead_one_comes_back_by_degrees(
    rig,
):
    await rig.start()
    dead, alive = rig.centres[CARRIER], rig.centres[OTHER]
    await rig.put(*[a_message(OTP, candidates=(OTHER,)) for _ in range(10)])
    await until(lambda: len(dead.submits) == 10)
    port = dead.port
    await dead.stop()
    lost_at = time.monotonic()
    await rig.put(*[a_message(OTP, candidates=(OTHER,)) for _ in range(20)], a_message(OTP))
    await until(lambda: len(alive.submits) == 20)
    assert time.monotonic() - lost_at < 5
    assert rig.sample("carrier_circuit_state", carrier=CARRIER, state="closed") == 0
    assert rig.picture(CARRIER)["health"] == "down"
    assert rig.picture(CARRIER)["constraint"] in ("breaker", "no_bind")
    moves = {"from_carrier": CARRIER, "to_carrier": OTHER, "reason": "carrier_down"}
    assert rig.sample("message_failovers_total", **moves) == 20

    # Back again: the one that had no other carrier goes, and a heap of others, slowly at first.
    await rig.put(*[a_message(TRANSACTIONAL) for _ in range(RATE * 20)])
    heard = len(dead.submits)
    await dead.start(port)
    await until(lambda: len(dead.submits) > heard)
    back_at = time.monotonic()
    await asyncio.sleep(1.0)
    first, spent_s = len(dead.submits) - heard, time.monotonic() - back_at
    assert 1 < first <= RATE * 0.35 * spent_s
    await until(lambda: rig.picture(CARRIER)["constraint"] in ("ramp", "throttled"))
    await until(lambda: rig.picture(CARRIER)["effective_per_s"] == RATE)
    assert 8 < time.monotonic() - back_at < 15
    assert max([await taken_per_s(dead) for _ in range(10)]) >= RATE * 0.8
    assert len(alive.submits) == 20  # what was moved stayed there, nothing more came
