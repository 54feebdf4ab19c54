import pytest

from gateway.domain.message import MessageClass
from gateway.domain.outcomes import Ambiguous, Refusal, Refused, Submitted, Throttled, Unsent
from gateway.policy.retry import (
    DEFAULT_RETRY,
    DELAYS_MS,
    Action,
    RetryPolicy,
    StatusRule,
    Then,
    next_step,
    retry_delay_ms,
)

NOW = 1_700_000_000_000
HOUR = 3_600_000
OTP, TRANSACTIONAL, COLLECTIONS, MARKETING = MessageClass
SYSERR = Refused("ESME_RSYSERR", "tx1", Refusal.RETRY_LATER)


def step(outcome, **given):
    args = {
        "message_class": TRANSACTIONAL,
        "attempt": 1,
        "accepted_at": NOW,
        "valid_until": NOW + HOUR,
        "now": NOW,
        "jitter": 0.5,
    }
    return next_step(outcome, **(args | given))


def test_submitted_waits_for_its_receipt_even_after_its_validity():
    decision = step(Submitted("7F", "tx1", 1, 20), now=NOW + 2 * HOUR)
    assert (decision.action, decision.in_doubt) == (Action.AWAIT_RECEIPT, False)


def test_g3_throttled_stays_at_the_lane_head_and_spends_no_attempt():
    decision = step(Throttled("ESME_RTHROTTLED", "tx1"), attempt=99, has_next_carrier=True)
    assert (decision.action, decision.spends_attempt, decision.delay_ms) == (Action.LANE_HEAD, False, 0)
    assert step(Throttled("429", "http", retry_after_ms=700)).delay_ms == 700


def test_unsent_goes_out_again_at_once_and_moves_only_when_its_carrier_is_down():
    assert step(Unsent("closed"), has_next_carrier=True).action is Action.LANE_HEAD
    assert step(Unsent("closed"), carrier_is_up=False).action is Action.LANE_HEAD
    moved = step(Unsent("closed"), has_next_carrier=True, carrier_is_up=False)
    assert (moved.action, moved.spends_attempt, moved.delay_ms) == (Action.NEXT_CARRIER, False, 0)


@pytest.mark.parametrize("message_class", MessageClass)
def test_g6_three_system_errors_then_success_has_ascending_delays(message_class):
    steps = [step(SYSERR, message_class=message_class, attempt=attempt) for attempt in (1, 2, 3)]
    assert {decision.action for decision in steps} == {Action.RETRY_LATER}
    delays = [decision.delay_ms for decision in steps]
    assert delays == sorted(set(delays))
    assert all(decision.spends_attempt for decision in steps)


def test_the_default_schedule_is_pinned():
    assert DELAYS_MS == {
        OTP: (1_000, 2_000, 5_000),
        TRANSACTIONAL: (1_000, 5_000, 30_000, 180_000, 600_000),
        COLLECTIONS: (5_000, 30_000, 180_000),
        MARKETING: (5_000, 30_000, 180_000),
    }
    almost_one = 1 - 2**-53
    spread = [
        (
            retry_delay_ms(TRANSACTIONAL, attempt=n, jitter=0.0),
            retry_delay_ms(TRANSACTIONAL, attempt=n, jitter=almost_one),
        )
        for n in range(1, 6)
    ]
    assert spread == [(501, 1000), (1001, 5000), (5001, 30_000), (30_001, 180_000), (180_001, 600_000)]
    assert retry_delay_ms(TRANSACTIONAL, attempt=6, jitter=0.5) is None


def test_used_up_retries_move_to_the_next_carrier_and_then_fail():
    assert step(SYSERR, attempt=6, has_next_carrier=True).action is Action.NEXT_CARRIER
    failed = step(SYSERR, attempt=6)
    assert (failed.action, failed.reason) == (Action.FAIL, "retries_used_up")


def test_a_retry_that_would_come_after_the_validity_is_not_made():
    soon = {"valid_until": NOW + 600}
    assert step(SYSERR, has_next_carrier=True, **soon).action is Action.NEXT_CARRIER
    assert step(SYSERR, **soon).reason == "retry_past_validity"


@pytest.mark.parametrize("outcome", [SYSERR, Throttled("ESME_RTHROTTLED", "tx1"), Unsent("closed")])
def test_e4_what_is_past_its_validity_expires(outcome):
    assert step(outcome, now=NOW + HOUR, has_next_carrier=True).action is Action.EXPIRE


def test_an_otp_fails_over_after_two_fast_retries_or_five_seconds():
    args = {"message_class": OTP, "has_next_carrier": True}
    assert step(SYSERR, attempt=2, **args).action is Action.RETRY_LATER
    assert step(SYSERR, attempt=3, **args).reason == "otp_failover"
    assert step(SYSERR, attempt=1, accepted_at=NOW - 5_000, **args).reason == "otp_failover"


def test_a_failover_code_takes_the_next_carrier_and_is_permanent_without_one():
    refused = Refused("ESME_RSUBMITFAIL", "tx1", Refusal.FAILOVER)
    assert step(refused, has_next_carrier=True).action is Action.NEXT_CARRIER
    assert step(refused).reason == "no_route_left"


def test_g4_a_permanent_refusal_is_never_sent_again():
    refused = Refused("ESME_RINVDSTADR", "tx1", Refusal.PERMANENT)
    assert step(refused, has_next_carrier=True).action is Action.FAIL


def test_a_sender_problem_tries_one_other_route_once():
    refused = Refused("ESME_RINVSRCADR", "tx1", Refusal.PERMANENT, try_other_route=True)
    assert step(refused, has_next_carrier=True).reason == "route_refused"
    assert step(refused).action is Action.FAIL
    assert step(refused, has_next_carrier=True, other_route_tried=True).action is Action.FAIL


@pytest.mark.parametrize("message_class", [OTP, TRANSACTIONAL])
def test_h8_no_answer_is_sent_once_more_after_10_s(message_class):
    lost = Ambiguous("response_timeout", "tx1")
    first = step(lost, message_class=message_class)
    assert (first.action, first.delay_ms, first.in_doubt) == (Action.RETRY_LATER, 10_000, True)
    assert step(lost, message_class=message_class, has_next_carrier=True).action is Action.NEXT_CARRIER
    second = step(lost, message_class=message_class, resent_in_doubt=True)
    assert (second.action, second.in_doubt) == (Action.AWAIT_RECEIPT, True)
    late = step(lost, message_class=message_class, valid_until=NOW + 10_000)
    assert (late.action, late.in_doubt) == (Action.AWAIT_RECEIPT, True)


@pytest.mark.parametrize("message_class", [COLLECTIONS, MARKETING])
def test_h16_collections_and_marketing_in_doubt_only_wait_for_their_receipt(message_class):
    decision = step(Ambiguous("connection_lost", "tx1"), message_class=message_class, has_next_carrier=True)
    assert (decision.action, decision.in_doubt) == (Action.AWAIT_RECEIPT, True)


QUICK = RetryPolicy(
    delays_ms={TRANSACTIONAL: (100, 200), OTP: ()},
    statuses={
        "ESME_RMSGQFUL": StatusRule((60_000,), Then.FAIL),
        "ESME_RSUBMITFAIL": StatusRule((500, 900)),
        "ESME_RINVDSTADR": StatusRule((), Then.FAILOVER),
        "ESME_RX_T_APPN": StatusRule(None, Then.FAIL),
    },
)


def test_a_carriers_own_delays_replace_those_of_the_class_and_leave_the_others():
    assert [retry_delay_ms(TRANSACTIONAL, attempt=n, jitter=0.0, policy=QUICK) for n in (1, 2, 3)] == [
        51,
        101,
        None,
    ]
    assert retry_delay_ms(OTP, attempt=1, jitter=0.5, policy=QUICK) is None
    for message_class in (COLLECTIONS, MARKETING):
        assert QUICK.delays_of(message_class) == DELAYS_MS[message_class]
    assert step(SYSERR, attempt=3, policy=QUICK).reason == "retries_used_up"
    assert RetryPolicy() == DEFAULT_RETRY


def test_a_rule_for_a_status_has_its_own_delays_and_says_what_follows():
    full = Refused("ESME_RMSGQFUL", "tx1", Refusal.RETRY_LATER)
    first = step(full, policy=QUICK, has_next_carrier=True)
    assert (first.action, first.delay_ms) == (Action.RETRY_LATER, 45_001)
    assert step(full, policy=QUICK, has_next_carrier=True, attempt=2).action is Action.FAIL
    assert step(full, policy=QUICK, has_next_carrier=True, valid_until=NOW + 10_000).action is Action.FAIL
    assert step(SYSERR, policy=QUICK).delay_ms < 200


def test_a_rule_without_delays_takes_those_of_the_class():
    refused = Refused("ESME_RX_T_APPN", "tx1", Refusal.RETRY_LATER)
    assert step(refused, policy=QUICK, attempt=2).delay_ms == 151
    assert step(refused, policy=QUICK, attempt=3, has_next_carrier=True).action is Action.FAIL
    assert step(refused, policy=QUICK, attempt=3, message_class=OTP).action is Action.FAIL


def test_a_rule_for_a_status_wins_over_its_class_of_refusal():
    refused = Refused("ESME_RSUBMITFAIL", "tx1", Refusal.FAILOVER)
    assert step(refused, policy=QUICK, has_next_carrier=True).action is Action.RETRY_LATER
    assert step(refused, policy=QUICK, has_next_carrier=True, attempt=3).action is Action.NEXT_CARRIER
    assert step(refused, policy=QUICK, attempt=3).action is Action.FAIL
    permanent = Refused("ESME_RINVDSTADR", "tx1", Refusal.PERMANENT)
    assert step(permanent, policy=QUICK, has_next_carrier=True).action is Action.NEXT_CARRIER
    assert step(permanent, policy=QUICK).action is Action.FAIL


def test_an_otp_follows_the_rule_of_its_status_and_not_the_usual_failover():
    full = Refused("ESME_RMSGQFUL", "tx1", Refusal.RETRY_LATER)
    decision = step(full, policy=QUICK, message_class=OTP, accepted_at=NOW - 9_000, has_next_carrier=True)
    assert decision.action is Action.RETRY_LATER


@pytest.mark.parametrize("delays", [(0,), (5, 5), (10, 5), tuple(range(1, 22))])
def test_delays_that_do_not_ascend_or_are_too_many_are_refused(delays):
    with pytest.raises(ValueError, match="retry delays"):
        RetryPolicy(delays_ms={OTP: delays})
    with pytest.raises(ValueError, match="retry delays"):
        StatusRule(delays)
