import pytest
from hypothesis import given
from hypothesis import strategies as st

from throttling.breaker import Breaker, BreakerState

S = 1_000_000_000
CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


def opened(*, at_ns: int = 0, **options) -> Breaker:
    breaker = Breaker(failures=1, **options)
    breaker.failed(at_ns)
    return breaker


def test_it_opens_on_trouble_in_a_row_only():
    breaker = Breaker(failures=3)
    for _ in range(5):
        breaker.failed(S)
        breaker.failed(S)
        breaker.succeeded(S)
    assert breaker.state(S) is CLOSED
    assert not breaker.has_trouble
    for _ in range(3):
        assert breaker.allow(S)
        breaker.failed(S)
    assert (breaker.state(S), breaker.allow(S), breaker.wait_ns(S)) == (OPEN, False, 5 * S)
    assert repr(breaker) == "Breaker(open, failures 3/3)"


def test_its_probes_decide_after_its_time():
    breaker = opened(probes=2)
    assert breaker.state(5 * S - 1) is OPEN
    assert breaker.wait_ns(5 * S - 1) == 1
    assert breaker.state(5 * S) is HALF_OPEN
    assert breaker.wait_ns(5 * S) == 0
    assert [breaker.allow(5 * S) for _ in range(3)] == [True, True, False]
    assert not breaker.would_allow(5 * S)
    breaker.succeeded(6 * S)
    assert breaker.state(6 * S) is HALF_OPEN
    breaker.succeeded(6 * S)
    assert breaker.state(6 * S) is CLOSED
    assert not breaker.has_trouble


def test_each_failure_out_of_half_open_doubles_its_time_up_to_the_maximum():
    breaker, now_ns, waits = opened(open_ns=5 * S, max_open_ns=60 * S), 0, []
    for _ in range(6):
        waits.append(breaker.wait_ns(now_ns) // S)
        now_ns += breaker.wait_ns(now_ns)
        assert breaker.allow(now_ns)
        breaker.failed(now_ns)
    assert waits == [5, 10, 20, 40, 60, 60]
    now_ns += 60 * S
    for _ in range(3):
        breaker.succeeded(now_ns)
    breaker.failed(now_ns)
    assert breaker.wait_ns(now_ns) == 5 * S


def test_trouble_and_success_while_it_is_open_change_nothing():
    breaker = opened()
    breaker.failed(S)
    breaker.succeeded(S)
    breaker.forget_failures()
    assert breaker.wait_ns(S) == 4 * S


def test_what_was_begun_before_it_opened_says_nothing():
    breaker = opened(at_ns=10 * S, probes=1)
    assert breaker.allow(15 * S)
    breaker.failed(15 * S, begun_ns=9 * S)
    breaker.succeeded(15 * S, begun_ns=9 * S)
    assert breaker.state(15 * S) is HALF_OPEN
    breaker.succeeded(15 * S, begun_ns=15 * S)
    assert breaker.state(15 * S) is CLOSED


def test_a_bind_that_stands_again_lets_probes_through_at_once():
    breaker = opened()
    breaker.reached(S)
    assert breaker.state(S) is HALF_OPEN
    assert breaker.allow(S)
    breaker.reached(S)
    assert [breaker.allow(S) for _ in range(3)] == [True, True, False]


def test_a_probe_without_verdict_is_given_back():
    breaker = opened(probes=1)
    breaker.forget_probe(S)  # open: there is none
    breaker.state(5 * S)
    breaker.forget_probe(5 * S)  # none granted
    assert breaker.allow(5 * S)
    assert not breaker.allow(5 * S)
    breaker.forget_probe(5 * S)
    assert breaker.allow(5 * S)


def test_a_row_of_failures_may_be_forgotten():
    breaker = Breaker(failures=2)
    breaker.failed(S)
    breaker.forget_failures()
    breaker.failed(S)
    assert breaker.state(S) is CLOSED


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"failures": 0}, "failures 0"),
        ({"open_ns": 0}, "open_ns 0"),
        ({"probes": 0}, "probes 0"),
        ({"max_open_ns": S}, "max_open_ns 1000000000 is below open_ns"),
    ],
)
def test_what_cannot_work_is_refused(options, says):
    with pytest.raises(ValueError, match=says):
        Breaker(**options)


steps = st.lists(
    st.tuples(st.sampled_from(["allow", "failed", "succeeded", "forget", "reached"]), st.integers(0, 8 * S)),
    max_size=80,
)


@given(steps, st.integers(1, 4), st.integers(1, 4))
def test_it_opens_on_failures_alone_and_half_open_never_exceeds_its_budget(steps, failures, probes):
    breaker = Breaker(failures=failures, probes=probes, open_ns=5 * S, max_open_ns=20 * S)
    now_ns = granted = passed = in_a_row = 0
    before = CLOSED
    for step, passed_ns in steps:
        now_ns += passed_ns
        state = breaker.state(now_ns)
        if state is not before:
            assert (before, state) == (OPEN, HALF_OPEN)
            granted = passed = 0
        if step == "allow":
            is_granted = breaker.allow(now_ns)
            assert is_granted is (state is CLOSED or (state is HALF_OPEN and granted < probes))
            granted += is_granted and state is HALF_OPEN
        elif step == "failed":
            in_a_row += state is CLOSED
            breaker.failed(now_ns)
            opens = state is not CLOSED or in_a_row >= failures
            assert breaker.state(now_ns) is (OPEN if opens else CLOSED)
        elif step == "succeeded":
            in_a_row, passed = 0, passed + (state is HALF_OPEN)
            breaker.succeeded(now_ns)
            closes = state is HALF_OPEN and passed >= probes
            assert breaker.state(now_ns) is (CLOSED if closes else state)
        elif step == "forget":
            granted -= state is HALF_OPEN and granted > passed
            breaker.forget_probe(now_ns)
        else:
            breaker.reached(now_ns)
            assert breaker.state(now_ns) is (HALF_OPEN if state is OPEN else state)
        before = breaker.state(now_ns)
        if before is not state:
            granted = passed = in_a_row = 0
        assert 0 <= breaker.wait_ns(now_ns) <= 20 * S
