"""The small parts of dispatch by themselves: references, positions, lane order, plans."""

from random import Random

import pytest
from prometheus_client import CollectorRegistry

from gateway.dispatch.claims import Claims
from gateway.dispatch.metrics import DispatchMetrics
from gateway.dispatch.plan import SMPP_STATUSES, CarrierPlan, DispatchSettings
from gateway.dispatch.position import LanePosition
from gateway.dispatch.references import References
from gateway.dispatch.work import Lane, Work
from gateway.domain.message import MessageClass
from gateway.domain.outcomes import Refusal, Refused
from gateway.ports.bus import Position
from tests.support.lane_rig import THREE_SEGMENTS, a_message
from throttling.rates import SECOND_NS, Rate


def test_b16_a_reference_comes_again_only_after_all_others():
    references = References(Random(1))
    drawn = [references.draw("12345", "525512345678") for _ in range(512)]
    assert len(set(drawn[:256])) == 256
    assert drawn[256:] == drawn[:256]


def test_b16_sixteen_bit_references_use_their_width():
    references = References(Random(1))
    drawn = [references.draw("12345", "525512345678", bits=16) for _ in range(1000)]
    assert len(set(drawn)) == 1000
    assert max(drawn) > 255


def test_kept_reference_is_not_drawn_next():
    references = References(Random(1))
    references.keep("12345", "525512345678", 17)
    assert references.draw("12345", "525512345678") == 18


def test_references_forget_the_least_recent_pair():
    references = References(Random(1), max_pairs=2)
    for recipient in ("525512345678", "56987654321", "573001112233"):
        references.draw("12345", recipient)
    assert len(references) == 2


def test_position_continues_where_the_last_owner_stood():
    position = LanePosition(Position(10, ((12, 14),), ((15, 17),)))
    assert position.next_offset == 10
    assert [position.was_completed(offset) for offset in (9, 10, 12, 13, 14)] == [
        True,
        False,
        True,
        True,
        False,
    ]
    assert [position.was_claimed(offset) for offset in (14, 15, 16, 17)] == [False, True, True, False]


def test_what_lies_behind_all_that_is_known_need_not_be_asked_for():
    position = LanePosition(Position(10, ((12, 14),), ((15, 17),)))
    assert [position.is_new_from(offset) for offset in (9, 10, 14, 16, 17)] == [False] * 4 + [True]
    position.take_ahead(30)
    assert not position.is_new_from(17)
    position.done(30)
    assert [position.is_new_from(offset) for offset in (17, 31)] == [False, True]


def test_claims_show_until_done_and_can_be_taken_back():
    position = LanePosition(Position())
    position.claim([0, 1, 2, 3])
    position.done(1)
    assert position.take_changes() == Position(0, ((1, 2),), ((0, 1), (2, 4)))
    position.release([2, 3])
    assert position.is_changed
    assert position.take_changes() == Position(0, ((1, 2),), ((0, 1),))
    assert not position.is_changed


def test_gap_in_the_log_counts_as_done():
    position = LanePosition(Position())
    position.read_to(0)
    position.read_to(5)
    position.done(0)
    position.done(5)
    assert position.take_changes() == Position(6)


def _work(lane: int = 0, **fields) -> Work:
    return Work(a_message(**fields), lane=lane, offset=0)


def test_lane_gives_accounts_their_turns_and_returned_messages_go_first():
    lane = Lane(1, claims=False)
    big = [_work(account_id="big") for _ in range(30)]
    small = _work(account_id="small")
    for work in (*big, small):
        lane.push(work)
    taken = [lane.take() for _ in range(12)]
    assert small in taken
    taken[3].order, taken[5].order = 3, 5
    lane.give_back(taken[5])
    lane.give_back(taken[3])
    lane.give_back(taken[3])
    assert [lane.take(), lane.take()] == [taken[3], taken[5]]
    assert lane.ready == lane.held == 19


def test_claiming_lane_offers_only_what_was_claimed():
    lane = Lane(3, claims=True)
    for _ in range(5):
        lane.push(_work(3))
    assert (lane.ready, lane.held, lane.waiting_count) == (0, 5, 5)
    works = lane.pop_waiting(3)
    lane.push_claimed(works)
    assert (lane.ready, lane.held, lane.waiting_count) == (3, 5, 2)
    assert [lane.take() for _ in range(3)] == works


def test_lane_emptied_and_refilled_is_the_same():
    lane = Lane(3, claims=True)
    works = [_work(3) for _ in range(6)]
    for work in works:
        lane.push(work)
    lane.push_claimed(lane.pop_waiting(3))
    current = lane.take()
    lane.keep_current(current)
    parts = lane.empty()
    assert (lane.ready, lane.held) == (0, 0)
    assert [len(part) for part in parts] == [1, 2, 3]
    lane.refill(*parts)
    assert (lane.ready, lane.held, lane.waiting_count) == (3, 6, 3)
    assert lane.take() is current


def test_resting_message_is_held_but_not_offered_and_comes_back_once():
    lane = Lane(1, claims=False)
    rests, other = _work(), _work()
    lane.push(rests)
    lane.push(other)
    lane.rest(lane.take())
    lane.give_back(rests)
    lane.rest(rests)
    assert (lane.ready, lane.held, lane.resting_count) == (1, 2, 1)
    assert lane.wake(rests)
    assert not lane.wake(rests)
    assert (lane.ready, lane.held, lane.resting_count) == (2, 2, 0)
    assert [lane.take(), lane.take()] == [rests, other]


def test_resting_message_leaves_the_lane_like_any_other():
    lane = Lane(1, claims=False)
    first, second = _work(), _work()
    for work in (first, second):
        lane.push(work)
        lane.rest(lane.take())
    lane.remove(first)
    assert (lane.ready, lane.held) == (0, 1)
    assert lane.empty() == ([second], [], [])
    assert (lane.held, lane.resting_count) == (0, 0)


def _claiming_lanes(count: int) -> tuple[tuple[Lane, ...], Claims]:
    lanes = tuple(Lane(index, claims=index >= 2) for index in range(4))
    for _ in range(count):
        lanes[3].push(_work(3))
    claims = Claims(lanes, per_s=1000, window=50, settings=DispatchSettings())
    claims.positions = tuple(LanePosition(Position()) for _ in lanes)
    return lanes, claims


def test_p2_claims_reach_no_further_than_their_share_of_the_rate():
    lanes, claims = _claiming_lanes(2000)
    assert claims.wanted() is True
    ((index, offsets),) = claims.choose()
    assert (index, len(offsets)) == (3, 150)
    assert claims.wanted() is None
    claims.settle()
    assert (lanes[3].ready, lanes[3].ahead) == (150, 150)
    assert claims.choose() == []
    for _ in range(80):
        lanes[3].take()
    assert claims.wanted() is False
    for _ in range(70):
        lanes[3].take()
    assert claims.wanted() is True


def test_p2_what_is_claimed_and_unfinished_is_bounded_by_window_and_rate():
    lanes, claims = _claiming_lanes(2000)
    offset = 0
    for _ in range(10):
        for _, offsets in claims.choose():
            claims.positions[3].claim(range(offset, offset + len(offsets)))
            offset += len(offsets)
        claims.settle()
        while lanes[3].ready:
            lanes[3].take()
    assert claims.positions[3].claimed_count == 50 + 150
    assert claims.wanted() is None
    claims.adapt(10.0)
    assert sum(len(offsets) for _, offsets in claims.choose()) == 100  # slow flushes: a quarter of a second


def test_p2_claims_count_segments():
    lanes, claims = _claiming_lanes(0)
    for _ in range(200):
        lanes[3].push(_work(3, text=THREE_SEGMENTS))
    ((_, offsets),) = claims.choose()
    assert len(offsets) == 50
    claims.settle()
    assert lanes[3].ahead == 150


@pytest.mark.parametrize(("shards", "share"), [(1, 100), (4, 25)])
def test_plan_divides_rate_and_burst_by_shards(shards, share):
    plan = CarrierPlan("alpha", Rate.parse("100/s"), lambda *_: None, burst=8, shards=shards)
    governor = plan.governor()
    gap_ns = SECOND_NS // share
    granted = 0
    for now_ns in range(SECOND_NS, 2 * SECOND_NS, gap_ns // 4):
        granted += governor.offer(now_ns).wait_ns == 0
    assert share - 1 <= granted <= share + 1
    # Late by two seconds: what may be made good is five eighths of this shard's part of the burst.
    late = 0
    while governor.offer(4 * SECOND_NS).wait_ns == 0:
        late += 1
    assert 1 <= late <= 8 // shards * 5 // 8 + 1


def test_plan_without_shards_is_refused():
    with pytest.raises(ValueError, match="the least is 1"):
        CarrierPlan("alpha", Rate.parse("100/s"), lambda *_: None, shards=0)


def test_only_the_classes_that_must_not_be_doubled_claim():
    assert [name.resends_in_doubt for name in MessageClass] == [True, True, False, False]


def test_durations_counted_at_once_equal_durations_observed_one_by_one():
    registries = CollectorRegistry(), CollectorRegistry()
    values_ms = [0, 5, 6, 10, 250, 251, 29_999, 30_000, 30_001, 99_000]
    DispatchMetrics(registries[0]).carrier("alpha").count_submitted(
        list(values_ms), by_bind={"trx-1": len(values_ms)}
    )
    one_by_one = DispatchMetrics(registries[1]).carrier("alpha").submit_seconds
    for value_ms in values_ms:
        one_by_one.observe(value_ms / 1000)
    samples = [
        {
            (sample.name, *sample.labels.items()): sample.value
            for metric in registry.collect()
            for sample in metric.samples
            if "submit_duration" in sample.name
        }
        for registry in registries
    ]
    assert samples[0] == samples[1]


def test_statuses_beyond_a_hundred_are_counted_as_one():
    registry = CollectorRegistry()
    metrics = DispatchMetrics(registry).carrier("alpha")
    for code in range(300):
        metrics.count_outcome(Refused(f"0x{code:08X}", "trx-1", Refusal.PERMANENT))
    labels = {"carrier": "alpha", "bind": "trx-1", "command_status": "other"}
    usual = len({*SMPP_STATUSES, "none"})
    assert registry.get_sample_value("caudal_carrier_submit_responses_total", labels) == 300 - (100 - usual)
