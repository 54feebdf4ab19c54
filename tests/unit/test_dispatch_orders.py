"""Operators' orders at one lane worker: pause, drain, rate, window, reconnect, holds; and the book that keeps them."""

import asyncio
from dataclasses import replace
from itertools import pairwise
from statistics import median

import pytest

from gateway.dispatch.board import CarrierBoard, Health
from gateway.dispatch.holds import HELD_FROM_MS, held_dues, held_until_ms
from gateway.dispatch.orders import (
    NO_ORDERS,
    CarrierOrders,
    OrderBook,
    UnreadableOrderError,
    check,
    orders_of,
)
from gateway.dispatch.plan import DispatchSettings
from gateway.domain.lifecycle import State
from gateway.domain.message import MessageClass
from gateway.domain.outcomes import Refusal
from gateway.ports.control_store import Order, OrderKind
from gateway.ports.links import LinkWish
from tests.support.fake_link import accepted, refused
from tests.support.lane_rig import CARRIER, OTHER, LaneRig, MovedClock, a_message, now_ms, until
from tests.support.memory_controls import MemoryControls
from throttling.rates import Rate

OTP, TRANSACTIONAL, COLLECTIONS, MARKETING = MessageClass
QUICK = DispatchSettings(flush_ms=2, tick_s=0.02)
PAUSED = CarrierOrders(LinkWish(is_paused=True))
DRAINED = CarrierOrders(LinkWish(is_drained=True))


def an_order(kind: OrderKind, target: str = "", value: str = "", *, carrier: str = CARRIER, **more) -> Order:
    fields = {"reason": "test", "actor": "ana", "ordered_at": now_ms(), "expires_at": None}
    return Order(carrier, kind, target, value, **{**fields, **more})


def held(*classes: MessageClass, accounts: tuple[str, ...] = ()) -> CarrierOrders:
    indices = frozenset(list(MessageClass).index(name) for name in classes)
    return CarrierOrders(held_classes=indices, held_accounts=frozenset(accounts))


def test_orders_of_a_carrier_are_its_own_and_those_for_all():
    orders = [
        an_order(OrderKind.PAUSE, "trx1"),
        an_order(OrderKind.RATE, value="80/s"),
        an_order(OrderKind.WINDOW, value="5"),
        an_order(OrderKind.RECONNECT, "trx2", "7", ordered_at=3),
        an_order(OrderKind.HOLD_CLASS, "marketing", carrier=""),
        an_order(OrderKind.HOLD_ACCOUNT, "acme", carrier=""),
        an_order(OrderKind.DRAIN, carrier=OTHER),
    ]
    found = orders_of(CARRIER, orders)
    assert found.wish == LinkWish(paused_binds=frozenset({"trx1"}), window_slots=5)
    assert (found.rate, found.reconnects) == (Rate.parse("80/s"), (("trx2", 7, 3),))
    assert (found.held_classes, found.held_accounts) == ({3}, {"acme"})
    assert orders_of(OTHER, orders).wish == LinkWish(is_drained=True)
    assert orders_of("gamma", orders[:4]) == NO_ORDERS


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (an_order(OrderKind.RATE, value="fast"), "fast"),
        (an_order(OrderKind.WINDOW, value="0"), "from 1 to 1000"),
        (an_order(OrderKind.HOLD_CLASS, "bulk"), "bulk"),
        (an_order(OrderKind.HOLD_ACCOUNT), "names none"),
        (an_order(OrderKind.RECONNECT, value="x"), "running number"),
    ],
)
def test_order_that_nobody_could_follow_says_why(order, words):
    with pytest.raises(UnreadableOrderError, match=words):
        check(order)


async def test_book_keeps_what_stood_while_the_store_is_away_and_drops_what_expires():
    store = MemoryControls()
    clock = MovedClock()
    book = OrderBook(store, clock=clock)
    await store.give(an_order(OrderKind.PAUSE))
    await store.give(an_order(OrderKind.HOLD_CLASS, "otp", expires_at=now_ms() + 60_000))
    await store.give(an_order(OrderKind.WINDOW, value="many"))  # left out, the others stand
    await book.refresh()
    assert (book.of(CARRIER).wish, book.of(CARRIER).held_classes) == (LinkWish(is_paused=True), {0})
    store.failing = True
    clock.ahead_s = 61
    with pytest.raises(ConnectionError):
        await book.refresh()
    assert (book.of(CARRIER).wish, book.of(CARRIER).held_classes) == (LinkWish(is_paused=True), frozenset())
    store.failing = False
    await store.withdraw(CARRIER, OrderKind.PAUSE, "", actor="ana", reason="", now_ms=now_ms())
    await book.refresh()
    assert book.of(CARRIER) == NO_ORDERS


async def test_paused_carrier_submits_nothing_moves_nothing_and_goes_on_afterwards():
    async with LaneRig(settings=DispatchSettings(flush_ms=2, tick_s=0.02, failover_after_s=0)) as rig:
        await rig.start()
        rig.worker.follow(PAUSED)
        await rig.put(*[a_message(name, candidates=(OTHER,)) for name in MessageClass])
        await until(lambda: sum(rig.worker.explain()["held"].values()) == 4)
        await asyncio.sleep(0.1)
        picture = rig.worker.explain()
        assert (picture["constraint"], picture["effective_per_s"], picture["health"]) == (
            "paused",
            0,
            "paused",
        )
        assert rig.written() == []
        assert rig.notes("moved") == []
        assert rig.link.wish.is_paused
        rig.worker.follow(NO_ORDERS)
        await until(lambda: len(rig.attempts()) == 4)


async def test_expiry_is_watched_while_a_carrier_is_paused():
    async with LaneRig(settings=QUICK) as rig:
        await rig.start()
        rig.worker.follow(PAUSED)
        await rig.put(a_message(valid_until=now_ms() + 100))
        await until(lambda: rig.notes("expired"))
        assert rig.written() == []


async def test_drained_carrier_gives_its_messages_to_others_at_once_and_keeps_what_has_none():
    async with LaneRig(settings=QUICK) as rig:
        await rig.start()
        rig.worker.follow(DRAINED)
        movable, stays = a_message(MARKETING, candidates=(OTHER,)), a_message(MARKETING)
        await rig.put(movable, stays)
        await until(lambda: rig.notes("moved"))
        (note,) = rig.notes("moved")
        assert (note.message_id, note.carrier, note.reason) == (movable.id, OTHER, "drained")
        await until(lambda: rig.worker.explain()["held"]["marketing"] == 1)
        assert rig.worker.explain()["constraint"] == "drained"
        rig.worker.follow(NO_ORDERS)
        await until(lambda: rig.written(stays.id))


async def test_p2_pause_takes_back_the_claims_of_what_was_not_begun():
    async with LaneRig(settings=QUICK, window=1) as rig:
        rig.link.script = lambda segment: None
        await rig.put(*[a_message(MARKETING) for _ in range(20)])
        await rig.start()
        await until(lambda: rig.written())
        await until(lambda: sum(end - start for start, end in rig.position(MARKETING).claimed) > 1)
        rig.worker.follow(PAUSED)
        await until(lambda: rig.position(MARKETING).claimed == ((0, 1),))
        rig.link.answer_held(accepted(1))
        await until(rig.attempts)
        rig.link.script = lambda segment: accepted(2)
        rig.worker.follow(NO_ORDERS)
        await until(lambda: len(rig.attempts()) == 20)
        assert len(rig.link.written) == 20


async def test_held_class_waits_and_the_others_go():
    async with LaneRig(settings=QUICK) as rig:
        await rig.start()
        rig.worker.follow(held(OTP, MARKETING))
        await rig.put(*[a_message(name) for name in MessageClass])
        await until(lambda: len(rig.attempts()) == 2)
        await asyncio.sleep(0.05)
        assert {segment.message.message_class for segment in rig.link.written} == {TRANSACTIONAL, COLLECTIONS}
        await until(lambda: rig.worker.explain()["constraint"] == "hold")
        rig.worker.follow(NO_ORDERS)
        await until(lambda: len(rig.attempts()) == 4)


async def test_message_of_a_held_class_expires_in_time():
    async with LaneRig(settings=QUICK) as rig:
        await rig.start()
        rig.worker.follow(held(OTP))
        await rig.put(a_message(OTP, valid_until=now_ms() + 50))
        await until(lambda: rig.notes("expired"))


async def test_messages_of_a_held_account_are_set_aside_and_hinder_nobody():
    async with LaneRig(settings=QUICK, window=1) as rig:
        rig.link.script = lambda segment: None
        await rig.put(a_message(account_id="busy"), *[a_message(account_id="busy") for _ in range(5)])
        await rig.start()
        await until(lambda: len(rig.link.written) == 1)
        rig.worker.follow(held(accounts=("busy",)))
        flood = [
            a_message(name, account_id="busy") for name in (TRANSACTIONAL, MARKETING) for _ in range(3000)
        ]
        others = [a_message(name) for name in (TRANSACTIONAL, MARKETING)]
        await rig.put(*flood, *others)
        rig.link.script = lambda segment: accepted(1)
        rig.link.answer_held(accepted(1))
        await until(lambda: all(rig.attempts(message.id) for message in others))
        await until(lambda: len(rig.deferred.rows) == 6005)
        assert {row.due_at for row in rig.deferred.rows} == {held_until_ms(CARRIER, "busy")}
        assert len(rig.link.written) == 3  # the one that was begun before the hold, and the others
        assert {note.reason for note in rig.notes("held")} == {"account_held"}
        await until(lambda: rig.position(MARKETING).offset == 3001)
        assert rig.position(MARKETING).claimed == ()

        # The hold ends: they are due, and come back by the lane as they were.
        count = await rig.deferred.make_due(from_ms=HELD_FROM_MS, keep=[], now_ms=now_ms(), limit=10_000)
        assert count == 6005


async def test_held_messages_stay_while_their_hold_stands():
    async with LaneRig() as rig:
        keep = held_dues([(CARRIER, frozenset({"acme", "bravo"})), (OTHER, frozenset({"acme"}))])
        assert len(set(keep)) == 3
        assert min(keep) >= HELD_FROM_MS
        await rig.start()
        rig.worker.follow(held(accounts=("acme", "gone")))
        await rig.put(a_message(account_id="acme"), a_message(account_id="gone"))
        await until(lambda: len(rig.deferred.rows) == 2)
        assert await rig.deferred.make_due(from_ms=HELD_FROM_MS, keep=keep, now_ms=5, limit=10) == 1
        assert sorted(row.due_at for row in rig.deferred.rows) == [5, held_until_ms(CARRIER, "acme")]


async def test_ordered_rate_is_kept_and_never_above_the_contract():
    async with LaneRig(rate="400/s", window=50, settings=QUICK) as rig:
        await rig.start()
        rig.worker.follow(CarrierOrders(rate=Rate.parse("100/s")))
        await rig.put(*[a_message() for _ in range(300)])
        await until(lambda: len(rig.link.written) >= 60)
        times = rig.link.written_ns
        assert 59 / ((times[59] - times[0]) / 1e9) <= 110
        # Half of the gaps at least are those of the rate, however busy the machine.
        assert median(later - one for one, later in pairwise(times[:60])) == pytest.approx(10e6, rel=0.25)
        await until(lambda: rig.worker.explain()["constraint"] == "carrier_rate")
        assert rig.worker.explain()["limit_per_s"] == 100
        rig.worker.follow(CarrierOrders(rate=Rate.parse("5000/s")))
        assert rig.worker.explain()["limit_per_s"] == 400
        await until(lambda: len(rig.attempts()) == 300)


async def test_window_order_reaches_the_link():
    async with LaneRig(settings=QUICK) as rig:
        await rig.start()
        rig.worker.follow(CarrierOrders(LinkWish(window_slots=3)))
        rig.link.script = lambda segment: None
        await rig.put(*[a_message() for _ in range(8)])
        await until(lambda: len(rig.link.written) == 3)
        await until(lambda: rig.worker.explain()["constraint"] == "window")
        assert len(rig.link.written) == 3


async def test_reconnect_is_done_once_for_each_order_and_not_for_old_ones():
    async with LaneRig(settings=QUICK) as rig:
        await rig.start()
        old = an_order(OrderKind.RECONNECT, "", "4", ordered_at=now_ms() - 60_000)
        rig.worker.follow(orders_of(CARRIER, [old]))
        assert rig.link.reconnected == []
        new = [an_order(OrderKind.RECONNECT, "", "5"), an_order(OrderKind.RECONNECT, "trx2", "6")]
        rig.worker.follow(orders_of(CARRIER, new))
        rig.worker.follow(orders_of(CARRIER, [*new, an_order(OrderKind.HOLD_CLASS, "otp")]))
        assert rig.link.reconnected == ["", "trx2"]
        rig.worker.follow(orders_of(CARRIER, [an_order(OrderKind.RECONNECT, "", "7"), new[1]]))
        assert rig.link.reconnected == ["", "trx2", ""]


# --- failover -------------------------------------------------------------------------------------------------


def failover_rig(**settings) -> LaneRig:
    rig = LaneRig(settings=DispatchSettings(flush_ms=2, tick_s=0.02, **settings))
    rig.board = CarrierBoard(clock=rig.clock, stale_after_s=600)
    return rig


async def test_p5_otps_leave_a_dead_carrier_before_the_others_do():
    async with failover_rig(otp_failover_after_s=60, failover_after_s=180) as rig:
        rig.board.tell(OTHER, shard=0, health=Health.UP)
        await rig.start()
        await until(lambda: rig.worker.explain()["up"])
        rig.link.go_down()
        otp, marketing = a_message(OTP, candidates=(OTHER,)), a_message(MARKETING, candidates=(OTHER,))
        await rig.put(otp, marketing)
        await until(lambda: sum(rig.worker.explain()["held"].values()) == 2)
        await asyncio.sleep(0.1)
        assert rig.notes("moved") == []
        rig.clock.ahead_s = 61
        await until(lambda: rig.notes("moved"))
        await asyncio.sleep(0.1)
        (first,) = rig.notes("moved")
        rig.clock.ahead_s = 181
        await until(lambda: len(rig.notes("moved")) == 2)
        assert [note.message_id for note in rig.notes("moved")] == [otp.id, marketing.id]
        assert first.state is State.QUEUED
        (moved,) = rig.lane_messages(OTHER, OTP)
        assert (moved.carrier, moved.candidates, moved.hops, moved.attempt) == (OTHER, (CARRIER,), 1, 1)
        late = a_message(OTP, candidates=(OTHER,))
        await rig.put(late)
        await until(lambda: len(rig.notes("moved")) == 3)  # at once: nobody moves the clock
        moves = {"from_carrier": CARRIER, "to_carrier": OTHER, "reason": "carrier_down"}
        assert rig.sample("message_failovers_total", **moves) == 3


async def test_what_has_another_carrier_leaves_in_look_after_look_and_not_once_a_second():
    async with failover_rig(
        failover_after_s=0.05, otp_failover_after_s=0.05, min_unflushed_segments=5
    ) as rig:
        rig.board.tell(OTHER, shard=0, health=Health.UP)
        rig.plan = replace(rig.plan, rate=Rate.parse("20/s"))  # five may be on their way at once
        rig.link.is_up = False
        await rig.put(*[a_message(MARKETING, candidates=(OTHER,)) for _ in range(20)])
        await rig.start()
        await until(lambda: rig.notes("moved"))
        first = rig.worker._helm._ticks
        await until(lambda: len(rig.notes("moved")) == 20)
        assert rig.worker._helm._ticks - first < 50  # as many as a second has


async def test_messages_that_may_not_move_do_not_hide_those_behind_them():
    async with failover_rig(failover_after_s=0.05, otp_failover_after_s=0.05, min_read_ahead=64) as rig:
        rig.board.tell(OTHER, shard=0, health=Health.UP)
        rig.plan = replace(rig.plan, rate=Rate.parse("50/s"))
        rig.link.is_up = False
        movable = [a_message(MARKETING, candidates=(OTHER,)) for _ in range(5)]
        await rig.put(*[a_message(MARKETING) for _ in range(900)], *movable)
        await rig.start()
        await until(lambda: len(rig.notes("moved")) == 5)
        assert {note.message_id for note in rig.notes("moved")} == {message.id for message in movable}


async def test_messages_stay_while_every_other_carrier_is_known_to_be_down():
    async with failover_rig(otp_failover_after_s=0.02, failover_after_s=0.02) as rig:
        rig.board.tell(OTHER, shard=0, health=Health.DOWN)
        rig.link.is_up = False
        await rig.put(*[a_message(name, candidates=(OTHER,)) for name in MessageClass])
        await rig.start()
        await asyncio.sleep(0.3)
        assert rig.notes("moved") == []
        assert sum(rig.worker.explain()["held"].values()) == 4
        rig.link.go_up()
        await until(lambda: len(rig.attempts()) == 4)


async def test_a_message_that_moved_often_waits_where_it_is():
    async with failover_rig(otp_failover_after_s=0.02) as rig:
        rig.board.tell(OTHER, shard=0, health=Health.UP)
        rig.link.is_up = False
        await rig.put(
            a_message(OTP, candidates=(OTHER,), hops=4), a_message(OTP, candidates=(OTHER,), hops=3)
        )
        await rig.start()
        await until(lambda: rig.notes("moved"))
        await asyncio.sleep(0.1)
        assert len(rig.notes("moved")) == 1
        assert rig.lane_messages(OTHER, OTP)[0].hops == 4


async def test_flapping_carrier_keeps_nothing_waiting_anew():
    async with failover_rig(otp_failover_after_s=60, stable_after_s=120) as rig:
        rig.board.tell(OTHER, shard=0, health=Health.UP)
        await rig.start()
        await until(lambda: rig.worker.explain()["up"])
        rig.link.go_down()
        await until(lambda: not rig.worker.explain()["up"])
        rig.clock.ahead_s = 61
        rig.link.go_up()
        await until(lambda: rig.worker.explain()["up"])
        rig.clock.ahead_s = 62
        rig.link.go_down()
        await rig.put(a_message(OTP, candidates=(OTHER,)))
        # At once, although it was up a moment ago: nobody moves the clock.
        await until(lambda: rig.notes("moved"))


async def test_refused_message_goes_to_the_candidate_that_is_up():
    async with failover_rig() as rig:
        rig.bus.logs["lane.gamma.transactional"] = [[]]
        rig.board.tell(OTHER, shard=0, health=Health.DOWN)
        rig.board.tell("gamma", shard=0, health=Health.UP)
        rig.link.script = lambda segment: refused("ESME_RSUBMITFAIL", Refusal.FAILOVER)
        await rig.put(a_message(candidates=(OTHER, "gamma")))
        await rig.start()
        await until(lambda: rig.lane_messages("gamma", TRANSACTIONAL))
        (moved,) = rig.lane_messages("gamma", TRANSACTIONAL)
        # The carrier that refused it is not tried again.
        assert (moved.carrier, moved.candidates, moved.hops, moved.attempt) == ("gamma", (OTHER,), 1, 2)
