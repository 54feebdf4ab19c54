"""Is a carrier up: over its binds, over its shards, over processes; and what hinders it, in a word with its figures."""

from collections.abc import MutableMapping
from random import Random
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.dispatch import uplink as uplinks
from gateway.dispatch.board import CarrierBoard, Health
from gateway.dispatch.constraints import CONSTRAINTS, Pulse, diagnose
from gateway.dispatch.context import LaneContext
from gateway.dispatch.metrics import DispatchMetrics, ShardFigures
from gateway.dispatch.plan import DispatchSettings
from gateway.dispatch.uplink import Uplink
from gateway.ports.control_store import CarrierReport
from gateway.ports.links import BindChanged, BindFigures, BindState
from tests.support.heard import heard
from tests.support.lane_rig import CARRIER, OTHER

SECOND_NS = 1_000_000_000


class Clock:
    """Monotonic time that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic_ns(self) -> int:
        return int(self.now_s * 1e9)

    def now_ms(self) -> int:
        return int(self.now_s * 1000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def an_uplink(clock: Clock, **settings) -> Uplink:
    metrics = DispatchMetrics(CollectorRegistry()).carrier(CARRIER)
    board = CarrierBoard(clock=clock, stale_after_s=5)
    tunings = DispatchSettings(**settings)
    return Uplink(
        LaneContext(CARRIER, 0, None, None, None, clock, metrics, Random(1), tunings, board)  # type: ignore[arg-type]
    )


def tell(uplink: Uplink, state: BindState, bind: str = "trx1") -> None:
    uplink.changed(BindChanged(CARRIER, bind, state))


def figures(bind: str = "trx1", state: BindState = BindState.BOUND, **more) -> BindFigures:
    values = {"window_in_use": 0, "window_slots": 10, "submitted_count": 0, "throttled_count": 0}
    values |= {"timeout_count": 0, "receipt_count": 0, "unexpected_count": 0, "bound_since_ms": None}
    return BindFigures(bind=bind, state=state, last_error="", **{**values, **more})


def test_carrier_is_up_while_one_bind_stands(clock):
    uplink = an_uplink(clock)
    assert (uplink.breaker, uplink.is_up(), uplink.health) == ("half_open", False, Health.UNKNOWN)
    tell(uplink, BindState.BOUND, "trx1")
    tell(uplink, BindState.BOUND, "trx2")
    tell(uplink, BindState.DOWN, "trx1")
    assert (uplink.breaker, uplink.is_up(), uplink.health) == ("closed", True, Health.UP)
    tell(uplink, BindState.DOWN, "trx2")
    assert (uplink.breaker, uplink.is_up(), uplink.health) == ("open", False, Health.DOWN)


def test_a_bind_that_stays_away_is_said_once_and_its_tries_only_to_those_who_ask(clock):
    uplink = an_uplink(clock)

    def said(level: str, lines: list[MutableMapping[str, Any]]) -> list[str]:
        return [
            f"{one['event']} {one['state']}" for one in lines if one["log_level"] == level and "state" in one
        ]

    tell(uplink, BindState.CONNECTING)
    with heard(uplinks) as lines:
        tell(uplink, BindState.BOUND)
        for _ in range(20):
            tell(uplink, BindState.DOWN)
            tell(uplink, BindState.CONNECTING)
            uplink.observe([figures(state=BindState.BOUND, breaker="half_open")])
            uplink.observe([figures(state=BindState.DOWN, breaker="open")])
        tell(uplink, BindState.BOUND)
        uplink.observe([figures()])
    assert said("info", lines) == [
        "carrier.circuit closed",
        "bind.changed bound",
        "carrier.circuit open",
        "bind.changed down",
        "bind.changed bound",
        "carrier.circuit closed",
    ]
    assert len(said("debug", lines)) > 40


def test_a_bind_that_is_away_for_another_reason_is_said_again(clock):
    uplink = an_uplink(clock)
    with heard(uplinks) as lines:
        for reason in ("connect_refused", "connect_refused", "bad_password", "bad_password"):
            alert = reason == "bad_password"
            uplink.changed(BindChanged(CARRIER, "trx1", BindState.DOWN, reason=reason, alert=alert))
    told = [(one["log_level"], one["reason"]) for one in lines if one["event"] == "bind.changed"]
    assert told == [
        ("info", "connect_refused"),
        ("debug", "connect_refused"),
        ("warning", "bad_password"),
        ("debug", "bad_password"),
    ]


def test_receiver_alone_sends_nothing(clock):
    uplink = an_uplink(clock)
    uplink.observe([figures("tx1", BindState.DOWN), figures("rx1", window_slots=0)])
    assert (uplink.breaker, uplink.is_up()) == ("open", False)


def test_breaker_of_the_carrier_follows_the_breakers_of_its_binds(clock):
    uplink = an_uplink(clock)
    uplink.observe([figures("trx1"), figures("trx2", breaker="open")])
    assert uplink.breaker == "closed"
    uplink.observe([figures("trx1", breaker="open"), figures("trx2", breaker="open")])
    assert (uplink.breaker, uplink.is_up()) == ("open", False)
    uplink.observe([figures("trx1", breaker="half_open"), figures("trx2", breaker="open")])
    assert (uplink.breaker, uplink.is_up()) == ("half_open", True)


def test_p5_carrier_that_comes_up_for_a_second_every_ten_counts_as_down(clock):
    uplink = an_uplink(clock)
    tell(uplink, BindState.BOUND)
    clock.now_s += 100
    tell(uplink, BindState.DOWN)
    for _ in range(3):
        clock.now_s += 9
        tell(uplink, BindState.BOUND)
        clock.now_s += 1
        assert uplink.health is Health.DOWN
        tell(uplink, BindState.DOWN)
    assert uplink.trouble_s() == pytest.approx(30)


def test_trouble_is_over_once_the_carrier_was_healthy_for_a_while(clock):
    uplink = an_uplink(clock, stable_after_s=5)
    tell(uplink, BindState.BOUND)
    tell(uplink, BindState.DOWN)
    clock.now_s += 60
    tell(uplink, BindState.BOUND)
    clock.now_s += 4.9
    assert uplink.trouble_s() > 60
    clock.now_s += 0.2
    assert (uplink.trouble_s(), uplink.health) == (0.0, Health.UP)
    tell(uplink, BindState.DOWN)
    clock.now_s += 2
    assert uplink.trouble_s() == pytest.approx(2)


def test_what_an_operator_stops_is_no_trouble(clock):
    uplink = an_uplink(clock)
    tell(uplink, BindState.BOUND)
    uplink.stop(is_paused=True, is_drained=False)
    tell(uplink, BindState.PAUSED)
    clock.now_s += 600
    assert (uplink.breaker, uplink.trouble_s(), uplink.health) == ("closed", 0.0, Health.PAUSED)
    uplink.stop(is_paused=False, is_drained=False)
    tell(uplink, BindState.BOUND)
    assert (uplink.trouble_s(), uplink.health) == (0.0, Health.UP)


def test_all_binds_paused_one_by_one_is_a_paused_carrier(clock):
    uplink = an_uplink(clock)
    tell(uplink, BindState.BOUND, "trx1")
    tell(uplink, BindState.BOUND, "trx2")
    tell(uplink, BindState.PAUSED, "trx1")
    assert uplink.health is Health.UP
    tell(uplink, BindState.PAUSED, "trx2")
    assert (uplink.health, uplink.is_paused) == (Health.PAUSED, True)


def report(carrier: str, health: str, at: int = 1, shard: int = 0) -> CarrierReport:
    return CarrierReport(carrier, shard, "host-b", at, {"health": health})


def test_board_knows_own_shards_and_fresh_reports(clock):
    board = CarrierBoard(clock=clock, stale_after_s=5)
    assert board.health(CARRIER) is Health.UNKNOWN
    board.tell(CARRIER, shard=0, health=Health.DOWN)
    board.hear([report(CARRIER, "up", shard=1), report(OTHER, "down"), report("gamma", "nonsense")])
    assert board.health(CARRIER) is Health.UP
    assert board.health(OTHER) is Health.DOWN
    assert board.health("gamma") is Health.UNKNOWN
    clock.now_s += 6
    board.hear([report(CARRIER, "up", shard=1), report(OTHER, "up", at=2)])  # the first has not changed since
    assert board.health(CARRIER) is Health.DOWN
    assert board.health(OTHER) is Health.UP
    board.forget(CARRIER, shard=0)
    assert board.health(CARRIER) is Health.UNKNOWN


def test_message_goes_to_the_first_candidate_that_is_up_and_stays_when_none_is(clock):
    board = CarrierBoard(clock=clock, stale_after_s=5)
    candidates = ("a", "b", "c")
    assert board.choose(candidates) is None  # nothing is known
    assert board.prefer(candidates) == 0
    board.tell("a", shard=0, health=Health.PAUSED)
    board.tell("b", shard=0, health=Health.DOWN)
    assert board.choose(candidates) is None
    assert board.prefer(candidates) == 2  # unknown is better than known to be down
    board.tell("c", shard=0, health=Health.UP)
    assert board.choose(candidates) == board.prefer(candidates) == 2
    assert board.choose(()) is None


def test_unknown_carriers_are_taken_only_where_that_is_configured(clock):
    board = CarrierBoard(clock=clock, stale_after_s=5, takes_unknown=True)
    board.tell("a", shard=0, health=Health.DOWN)
    assert board.choose(("a", "b")) == 1


def test_carrier_that_is_configured_no_more_is_no_target(clock):
    board = CarrierBoard(clock=clock, stale_after_s=5, takes_unknown=True)
    board.configure(["b", "c"])
    board.tell("b", shard=0, health=Health.DOWN)
    assert board.choose(("a", "b")) is None
    assert board.prefer(("a", "b")) == 1
    assert board.choose(("a", "b", "c")) == 2
    board.hear([report("a", "up")])  # another process knows it
    assert board.choose(("a", "b", "c")) == 0


def explain(clock, raw, *binds, pulse=None, per_s=100.0):
    pulse = pulse or Pulse(now_ns=clock.monotonic_ns())
    pulse.observe(binds, is_full=False, now_ns=clock.monotonic_ns())
    return diagnose(
        raw, uplink=an_uplink(clock), figures=binds, pulse=pulse, per_s=per_s, now_ns=clock.monotonic_ns()
    )


def test_window_too_small_is_told_with_its_arithmetic(clock):
    found = explain(clock, "window_full", figures(response_ms=420.0, window_in_use=10))
    assert found == ("window", "10 slots / 0.42 s response = 23.8/s, below 100/s")


def test_carrier_slower_than_usual_is_told_as_such(clock):
    pulse = Pulse(now_ns=clock.monotonic_ns())
    for _ in range(200):
        pulse.observe([figures(response_ms=40.0)], is_full=False, now_ns=clock.monotonic_ns())
    found = explain(clock, "window_full", figures(response_ms=420.0, window_in_use=10), pulse=pulse)
    assert found.constraint == "rtt"
    assert found.detail.startswith("10 slots / 0.42 s response = 23.8/s, below 100/s; usually 0.04")


def test_carrier_that_does_not_answer_at_all_is_told_as_such(clock):
    pulse = Pulse(now_ns=clock.monotonic_ns())
    clock.now_s += 4
    silent = figures(window_in_use=10)
    found = diagnose(
        "window_full",
        uplink=an_uplink(clock),
        figures=[silent],
        pulse=pulse,
        per_s=100,
        now_ns=clock.monotonic_ns(),
    )
    assert found == ("rtt", "10 slots / no response for 4 s")


@pytest.mark.parametrize(
    ("raw", "bind", "expected"),
    [
        ("no_bind", figures(state=BindState.DOWN), "no_bind"),
        ("no_bind", figures(state=BindState.DOWN, breaker="open"), "breaker"),
        ("breaker", figures(breaker="half_open"), "breaker"),
        ("carrier_rate", figures(), "carrier_rate"),
        ("draining", figures(), "stopping"),
        ("something new", figures(), "no_bind"),
    ],
)
def test_every_word_becomes_one_of_the_closed_set(clock, raw, bind, expected):
    found = explain(clock, raw, bind)
    assert found.constraint == expected
    assert found.constraint in CONSTRAINTS


def test_gauges_of_a_carrier_add_up_its_shards():
    registry = CollectorRegistry()
    metrics = DispatchMetrics(registry, carriers=[CARRIER, OTHER])

    def sample(name, **labels):
        return registry.get_sample_value(f"caudal_{name}", {"carrier": CARRIER, **labels})

    touched = {"from_carrier": CARRIER, "to_carrier": OTHER, "reason": "carrier_down"}
    assert registry.get_sample_value("caudal_message_failovers_total", touched) == 0
    assert (sample("carrier_paused"), sample("carrier_circuit_state", state="open")) == (0, 0)
    carrier = metrics.carrier(CARRIER)
    carrier.show_shard(0, ShardFigures((1, 2, 3, 4), 50.0, 20.0, "open", is_paused=False))
    metrics.carrier(CARRIER).show_shard(1, ShardFigures((1, 0, 0, 0), 50.0, 50.0, "closed", is_paused=True))
    assert sample("carrier_queue_depth_messages", **{"class": "otp"}) == 2
    assert (sample("carrier_mps_limit"), sample("carrier_mps_effective_limit")) == (100, 70)
    assert (sample("carrier_circuit_state", state="closed"), sample("carrier_paused")) == (1, 1)
    carrier.forget_shard(1, binds=["trx2"])
    assert (sample("carrier_mps_limit"), sample("carrier_circuit_state", state="open")) == (50, 1)
    assert sample("carrier_bind_state", bind="trx2", state="bound") == 0
