"""The pace of a bind against carriers whose limit nobody told: it settles just below, and wastes next to nothing.

Virtual time, so every run is exact and repeatable. code-style.md, property 6; sms-domain G3.
"""

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from adapters.pace.pacing import BindPace
from tests.support.virtual_carrier import FixedWindow, Seen, SlidingWindow, TokenBucket, VirtualBind
from throttling.gcra import Gcra
from throttling.rates import SECOND_NS, Rate

START_NS = SECOND_NS
RUN_S = 60
SETTLED_S = 12
CARRIERS = {
    "bucket": lambda per_s, phase_ns: TokenBucket(per_s),
    "deep bucket": lambda per_s, phase_ns: TokenBucket(per_s, depth_s=1.0),
    "fixed window": lambda per_s, phase_ns: FixedWindow(per_s, phase_ns=phase_ns),
    "sliding window": lambda per_s, phase_ns: SlidingWindow(per_s),
}
limits = st.floats(1.0, 3.3).map(lambda power: round(10**power))


def a_bind(
    kind: str, limit: int, *, share: float, delay_ms: int, late_ms: int = 2, phase_ms: int = 0
) -> VirtualBind:
    """A bind whose configured rate is `limit / share`, over a carrier that takes `limit` a second."""
    rate = Rate.of(round(limit / share))
    pace = BindPace(carrier=Gcra(rate, slack_ns=12_500_000), bind=None)
    return VirtualBind(
        pace,
        CARRIERS[kind](limit, phase_ms * 1_000_000),
        delay_ns=delay_ms * 1_000_000,
        window=10 + int(1.5 * float(rate.per_s) * delay_ms / 1000),
        late_ns=late_ms * 1_000_000,
        seed=limit,
    )


def first_flight(seen: Seen) -> int:
    """Throttled submits that had left before the first throttle answer was heard: no limiter could have kept them."""
    heard_ns = seen.first_throttle_heard_ns
    return 0 if heard_ns is None else sum(1 for at_ns in seen.throttled_ns if at_ns < heard_ns)


def assert_settles(bind: VirtualBind, limit: int, *, share: float, delay_ms: int) -> None:
    end_ns = START_NS + RUN_S * SECOND_NS
    settled_ns = START_NS + SETTLED_S * SECOND_NS
    seen = bind.run(end_ns)
    seconds = RUN_S - SETTLED_S
    assert seen.taken_between(settled_ns, end_ns) >= 0.9 * limit * seconds
    assert seen.waste_between(settled_ns, end_ns) < 0.02
    for second in range(SETTLED_S, RUN_S - 9):
        from_ns = START_NS + second * SECOND_NS
        until_ns = from_ns + 10 * SECOND_NS
        sent = seen.taken_between(from_ns, until_ns) + seen.throttled_between(from_ns, until_ns)
        # A deep bucket gives its depth on top.
        assert 0.85 * 10 * limit <= sent <= 1.1 * 10 * limit + limit + 2
    # Over the whole run as well; beyond the first flight, finding the limit costs a handful at any rate.
    whole = len(seen.taken_ns) + len(seen.throttled_ns)
    assert len(seen.throttled_ns) - first_flight(seen) <= max(30, 0.03 * whole)
    if excess_of_start(share, delay_ms) <= 0.1:
        assert len(seen.throttled_ns) <= max(30, 0.02 * whole)


def excess_of_start(share: float, delay_ms: int) -> float:
    """How many seconds' worth of the limit the first flight exceeds it by."""
    return (1 / share - 1) * delay_ms / 1000


@given(
    st.sampled_from(sorted(CARRIERS)),
    limits,
    st.floats(0.1, 0.95),
    st.integers(5, 300),
    st.sampled_from([0, 2, 5]),
    st.integers(0, 999),
)
@settings(max_examples=20, deadline=None, derandomize=True, phases=[Phase.generate])
def test_a_hidden_limit_is_found_and_kept(kind, limit, share, delay_ms, late_ms, phase_ms):
    bind = a_bind(kind, limit, share=share, delay_ms=delay_ms, late_ms=late_ms, phase_ms=phase_ms)
    assert_settles(bind, limit, share=share, delay_ms=delay_ms)
