from collections import Counter

import pytest

from gateway.policy.fairness import AccountRoundRobin, ClassPicker, LaneShares

ALL = (True, True, True, True)


def test_otp_goes_first_and_waits_for_one_turn_at_most():
    picker = ClassPicker()
    picks = [picker.pick(ALL) for _ in range(1000)]
    assert picks[:49] == [0] * 49
    assert Counter(picks)[0] == 980
    assert all(0 in picks[at : at + 2] for at in range(999))
    assert {1, 2, 3} <= set(picks)


def test_strict_otp_never_gives_way():
    picker = ClassPicker(LaneShares(otp_share=1.0))
    assert {picker.pick(ALL) for _ in range(1000)} == {0}


@pytest.mark.parametrize(("otp_share", "otp_turns"), [(0.98, 980), (0.9, 900), (0.75, 750), (0.5, 500)])
def test_the_share_reserved_for_otp_is_kept_and_the_rest_goes_by_weight(otp_share, otp_turns):
    picker = ClassPicker(LaneShares(otp_share=otp_share, weights=(1, 1, 2)))
    picks = Counter(picker.pick(ALL) for _ in range(1000))
    assert picks[0] == otp_turns
    assert picks[3] == pytest.approx((1000 - otp_turns) / 2, abs=1)


def test_the_default_shares_are_pinned():
    assert (LaneShares().otp_run, LaneShares().strides) == (49, (0, 1, 2, 6))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"otp_share": 0.4}, "otp_share 0.4"),
        ({"otp_share": 1.1}, "otp_share 1.1"),
        ({"weights": (6, 0, 1)}, "weight 0"),
        ({"weights": (6, 3, 1001)}, "weight 1001"),
    ],
)
def test_shares_out_of_range_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        LaneShares(**wrong)


def test_the_other_classes_share_6_3_1():
    picker = ClassPicker()
    picks = Counter(picker.pick((False, True, True, True)) for _ in range(1000))
    assert picks == {1: 600, 2: 300, 3: 100}


def test_a_quiet_class_saves_no_turns_up():
    picker = ClassPicker()
    for _ in range(10_000):
        assert picker.pick((False, True, False, False)) == 1
    picks = [picker.pick((False, True, False, True)) for _ in range(70)]
    assert Counter(picks) == {1: 60, 3: 10}


def test_nothing_to_do_is_minus_one():
    picker = ClassPicker()
    assert picker.pick((False, False, False, False)) == -1
    assert picker.pick((True, False, False, False)) == 0
    assert picker.pick((False, False, False, True)) == 3


def drain(lane: AccountRoundRobin) -> list:
    return [lane.pop() for _ in range(len(lane))]


def test_a_campaign_does_not_delay_another_accounts_messages():
    lane = AccountRoundRobin(quantum=10)
    for n in range(5000):
        lane.push("campaign", ("campaign", n))
    for n in range(100):
        lane.push("small", ("small", n))
    assert lane.account_count == 2
    assert (lane.count_of("campaign"), lane.count_of("small"), lane.count_of("nobody")) == (5000, 100, 0)
    first = drain(lane)[:200]
    assert Counter(account for account, _ in first) == {"campaign": 100, "small": 100}
    assert [n for account, n in first if account == "small"] == list(range(100))


def test_turns_are_counted_in_segments_not_messages():
    lane = AccountRoundRobin(quantum=10)
    for _ in range(1000):
        lane.push("long", "long", 5)
        lane.push("short", "short", 1)
    served = Counter(lane.pop() for _ in range(600))
    assert served["short"] == pytest.approx(5 * served["long"], rel=0.1)


def test_an_item_dearer_than_the_quantum_is_paid_off_over_later_turns():
    lane = AccountRoundRobin(quantum=10)
    for _ in range(3):
        lane.push("huge", "huge", 100)
    for _ in range(400):
        lane.push("small", "small", 1)
    order = drain(lane)
    assert order.index("huge", 1) == 1 + 100  # ten turns of ten for the other account first


def test_what_is_put_back_leaves_next_and_is_not_charged_again():
    lane = AccountRoundRobin(quantum=1)
    for n in range(3):
        lane.push("a", ("a", n))
        lane.push("b", ("b", n))
    first, second = lane.pop(), lane.pop()
    lane.push_front(second)
    lane.push_front(first)
    assert len(lane) == 6
    assert drain(lane) == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert len(lane) == 0
    assert lane.account_count == 0


def test_misuse_is_refused():
    lane = AccountRoundRobin()
    with pytest.raises(IndexError):
        lane.pop()
    with pytest.raises(ValueError, match="cost 0"):
        lane.push("a", "x", 0)
    with pytest.raises(ValueError, match="quantum 0"):
        AccountRoundRobin(quantum=0)
