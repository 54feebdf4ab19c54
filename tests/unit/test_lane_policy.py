"""A carrier's own schedule and shares, as a lane worker follows them."""

from collections import Counter
from dataclasses import replace

from gateway.domain.lifecycle import State
from gateway.domain.message import MessageClass
from gateway.domain.outcomes import Refusal
from gateway.policy.fairness import LaneShares
from gateway.policy.retry import RetryPolicy, StatusRule, Then
from tests.support.fake_link import refused
from tests.support.lane_rig import OTHER, TWO_SEGMENTS, LaneRig, a_message, until

OTP, TRANSACTIONAL, COLLECTIONS, MARKETING = MessageClass
SYSERR = refused("ESME_RSYSERR", Refusal.RETRY_LATER)


async def test_a_carriers_delays_decide_when_a_refused_message_is_tried_again():
    async with LaneRig() as rig:
        rig.plan = replace(rig.plan, retry=RetryPolicy(delays_ms={TRANSACTIONAL: (40_000, 90_000)}))
        rig.link.script = lambda segment: SYSERR
        await rig.put(a_message(), a_message(attempt=2), a_message(attempt=3))
        await rig.start()
        await until(lambda: len(rig.attempts()) == 3)
        by_attempt = {attempt.attempt: attempt for attempt in rig.attempts()}
        assert 20_000 < by_attempt[1].retry_at - by_attempt[1].at <= 40_000
        assert 40_000 < by_attempt[2].retry_at - by_attempt[2].at <= 90_000
        assert (by_attempt[3].state, by_attempt[3].reason) == (State.FAILED, "retries_used_up")


async def test_g6_three_system_errors_then_success_are_four_attempts_with_ascending_delays():
    async with LaneRig() as rig:
        answers = iter([SYSERR, SYSERR, SYSERR])
        rig.link.script = lambda segment: next(answers, None) or rig.link.accept()
        await rig.put(a_message())
        await rig.start()
        for number in (1, 2, 3):
            await until(lambda number=number: len(rig.deferred_messages()) == number)
            await rig.put(rig.deferred_messages()[-1])  # as the deferrer does when it is due
        await until(lambda: len(rig.attempts()) == 4)
        delays = [attempt.retry_at - attempt.at for attempt in rig.attempts()[:3]]
        assert delays == sorted(set(delays))
        assert [attempt.attempt for attempt in rig.attempts()] == [1, 2, 3, 4]
        assert rig.attempts()[3].state is State.SUBMITTED


async def test_a_status_rule_keeps_a_message_that_its_code_would_have_moved_with_all_its_segments():
    rule = StatusRule((30_000,), Then.FAIL)
    async with LaneRig() as rig:
        rig.plan = replace(rig.plan, retry=RetryPolicy(statuses={"ESME_RSUBMITFAIL": rule}))
        rig.link.script = lambda segment: refused("ESME_RSUBMITFAIL", Refusal.FAILOVER)
        message = a_message(text=TWO_SEGMENTS, candidates=(OTHER,))
        await rig.put(message)
        await rig.start()
        await until(lambda: len(rig.deferred_messages()) == 1)
        again = rig.deferred_messages()[0]
        assert (again.carrier, again.attempt, again.segments_done) == (message.carrier, 2, ())
        await rig.put(again)
        await until(lambda: len(rig.attempts()) == 2)
        last = rig.attempts()[1]
        assert (last.state, last.reason) == (State.FAILED, "retries_used_up")
        assert rig.lane_messages(OTHER, TRANSACTIONAL) == []


async def test_p8_a_carriers_shares_decide_how_its_lanes_are_served():
    async with LaneRig(rate="1000/s", window=5) as rig:
        rig.plan = replace(rig.plan, shares=LaneShares(otp_share=0.5, weights=(1, 1, 2)))
        await rig.put(*[a_message(name) for name in MessageClass for _ in range(150)])
        await rig.start()
        await until(lambda: len(rig.link.written) > 250)
        # From where the lanes that claim have begun to be claimed.
        served = Counter(segment.message.message_class for segment in rig.link.written[50:250])
        assert served[OTP] == 100
        assert abs(served[MARKETING] - 50) <= 6
        assert abs(served[TRANSACTIONAL] - 25) <= 6
        assert abs(served[COLLECTIONS] - 25) <= 6
