from fractions import Fraction
from itertools import pairwise

import pytest

from throttling.gcra import DEFAULT_SLACK_NS, Gcra
from throttling.rates import Rate, RateError

MS = 1_000_000
S = 1_000 * MS


def permits_at_once(gcra: Gcra, now_ns: int) -> int:
    count = 0
    while gcra.offer(now_ns) == 0:
        count += 1
    return count


@pytest.mark.parametrize(
    ("text", "per_s", "gap_ns"),
    [
        ("100/s", 100, 10 * MS),
        ("1_000/s", 1000, MS),
        ("6000/min", 100, 10 * MS),
        (" 2.5 / s ", Fraction(5, 2), 400 * MS),
        ("1/h", Fraction(1, 3600), 3600 * S),
        ("3/s", 3, 333_333_334),
        ("1000000/s", 1_000_000, 1000),
    ],
)
def test_a_rate_is_read_exactly_and_its_gap_never_adds_a_permit(text, per_s, gap_ns):
    rate = Rate.parse(text)
    assert rate.per_s == per_s
    assert rate.gap_ns == gap_ns
    assert Rate.parse(str(rate)) == rate


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("100", "no known unit"),
        ("100/day", "no known unit"),
        ("fast/s", "does not start with a number"),
        ("-5/s", "does not start with a number"),
        ("1e3/s", "does not start with a number"),
        ("1/3/s", "no known unit"),
        ("1__0/s", "does not start with a number"),
        ("/s", "does not start with a number"),
        ("0/s", "below the limit of 1/h"),
        ("2000000/s", "above the limit of 1000000/s"),
    ],
)
def test_a_bad_rate_names_the_value_and_the_limit(text, says):
    with pytest.raises(RateError) as caught:
        Rate.parse(text)
    assert says in str(caught.value)
    assert text in str(caught.value)


def test_shares_of_a_rate_add_up_to_no_more_than_the_whole():
    share = Rate.parse("100/s").divided_by(3)
    assert share.per_s * 3 == 100
    assert str(share) == "2000/min"
    with pytest.raises(RateError, match="below the limit"):
        Rate.parse("1/h").divided_by(2)
    with pytest.raises(RateError, match="at least 1"):
        Rate.parse("1/s").divided_by(0)
    with pytest.raises(RateError, match="finite"):
        Rate.of(float("inf"))
    assert str(Rate.of(0.3)) == "0.3/s"


def test_permits_leave_one_gap_apart_while_nobody_is_late():
    gcra = Gcra(Rate.parse("1000/s"))
    now = 5 * S
    taken = []
    for _ in range(100):
        while (wait := gcra.offer(now)) > 0:
            now += wait
        taken.append(now)
    assert {later - earlier for earlier, later in pairwise(taken)} == {MS}


def test_a_waiting_caller_who_comes_20_ms_late_gets_what_it_missed():
    gcra = Gcra(Rate.parse("1000/s"))
    now = 5 * S
    assert gcra.offer(now) == 0
    wait = gcra.offer(now)
    assert wait == MS
    assert permits_at_once(gcra, now + wait + 20 * MS) == 21


def test_lateness_beyond_the_slack_is_gone():
    gcra = Gcra(Rate.parse("1000/s"))
    now = 5 * S
    assert gcra.offer(now) == 0
    assert gcra.offer(now) > 0
    assert permits_at_once(gcra, now + 10 * S) == gcra.burst == 1 + DEFAULT_SLACK_NS // MS


def test_idleness_saves_nothing_by_default_and_burst_permits_when_asked():
    idle = Gcra(Rate.parse("1000/s"))
    assert permits_at_once(idle, 5 * S) == 1
    bursty = Gcra(Rate.parse("1000/s"), burst=100)
    assert bursty.burst == 100
    assert permits_at_once(bursty, 5 * S) == 100


def test_the_rate_is_held_to_99_percent_when_every_wake_up_is_up_to_20_ms_late():
    for per_s in (1, 10, 100, 1000, 2778):
        gcra = Gcra(Rate.of(per_s))
        now = start = 7 * S
        taken = 0
        lateness = 0
        while now < start + 10 * S:
            while (wait := gcra.offer(now)) == 0:
                taken += 1
            lateness = (lateness + 7) % 21
            now += wait + lateness * MS
        assert taken >= 0.99 * 10 * per_s
        assert taken <= 10 * per_s + gcra.burst


def test_peek_and_explain_change_nothing_and_equal_the_observed_wait():
    gcra = Gcra(Rate.parse("100/s"))
    assert gcra.offer(S) == 0
    for _ in range(3):
        assert gcra.peek(S + 4 * MS) == 6 * MS
    explanation = gcra.explain(S + 4 * MS)
    assert explanation.wait_ns == gcra.offer(S + 4 * MS) == 6 * MS
    assert str(explanation) == "next permit in 6.000 ms; rate 100/s, burst 4"
    assert str(gcra.explain(2 * S)) == "free now; rate 100/s, burst 4"
    assert repr(gcra) == "Gcra(rate 100/s, burst 4, gap 0.010000 s)"


def test_a_new_rate_keeps_the_part_already_waited_for():
    gcra = Gcra(Rate.parse("1/min"))
    assert gcra.offer(S) == 0
    gcra.set_rate(Rate.parse("100/s"), now_ns=31 * S)  # half of the minute is over
    assert gcra.peek(31 * S) == 5 * MS
    gcra.set_rate(Rate.parse("1/s"), now_ns=31 * S)
    assert gcra.peek(31 * S) == 500 * MS
    gcra.set_rate(Rate.parse("2/s"), now_ns=60 * S)
    assert gcra.offer(60 * S) == 0


@pytest.mark.parametrize(("kwargs", "says"), [({"burst": 0}, "burst 0"), ({"slack_ns": -1}, "slack_ns -1")])
def test_impossible_tolerances_are_refused(kwargs, says):
    with pytest.raises(ValueError, match=says):
        Gcra(Rate.parse("1/s"), **kwargs)
