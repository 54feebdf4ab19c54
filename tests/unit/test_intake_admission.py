"""What an account may still send, and which lane is full."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.admission import MessageAllowance, fullest_lane

SECOND = 1_000_000_000


def test_the_whole_quota_is_there_at_once_and_comes_back_evenly():
    allowance = MessageAllowance(10)
    assert [allowance.take(1, now_ns=0).admitted for _ in range(11)] == [True] * 10 + [False]
    assert allowance.take(1, now_ns=SECOND // 10).admitted
    assert not allowance.take(1, now_ns=SECOND // 10).admitted


def test_a_refusal_takes_nothing_and_says_when():
    allowance = MessageAllowance(10)
    allowance.take(8, now_ns=0)
    refused = allowance.take(5, now_ns=0)
    assert (refused.admitted, refused.remaining, refused.retry_after_s) == (False, 2, 1)
    assert allowance.take(2, now_ns=0).admitted


def test_a_batch_above_the_quota_is_admitted_once_and_paid_for():
    allowance = MessageAllowance(10)
    big = allowance.take(35, now_ns=0)
    assert (big.admitted, big.remaining, big.reset_s) == (True, 0, 4)
    refused = allowance.take(1, now_ns=SECOND)
    assert (refused.admitted, refused.retry_after_s) == (False, 2)
    assert allowance.take(1, now_ns=int(2.6 * SECOND)).admitted


def test_a_batch_above_the_quota_waits_until_the_quota_is_whole():
    allowance = MessageAllowance(10)
    allowance.take(1, now_ns=0)
    assert not allowance.take(11, now_ns=0).admitted
    assert allowance.take(11, now_ns=SECOND // 10).admitted


@given(st.integers(1, 50), st.lists(st.tuples(st.integers(0, SECOND), st.integers(1, 60)), max_size=60))
def test_never_more_than_quota_and_one_batch_above_the_rate(quota, steps):
    allowance, now, admitted, largest = MessageAllowance(quota), 0, 0, 0
    for pause, count in steps:
        now += pause
        if allowance.take(count, now_ns=now).admitted:
            admitted += count
            largest = max(largest, count)
    gap = SECOND // quota
    assert admitted <= now // gap + 1 + quota + largest


def test_a_quota_below_one_is_refused():
    with pytest.raises(ValueError, match="below the limit"):
        MessageAllowance(0)


def test_a_lane_is_full_at_its_limit():
    records = {"lane.a.otp": 10, "lane.b.otp": 9}
    assert fullest_lane(["lane.b.otp", "lane.c.otp"], records=records, limit=10) is None
    assert fullest_lane(["lane.b.otp", "lane.a.otp"], records=records, limit=10) == "lane.a.otp"
