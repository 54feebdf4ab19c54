"""Properties of the limiters: the window bound, no starvation, honest waits."""

from bisect import bisect_left

from hypothesis import given, settings
from hypothesis import strategies as st

from throttling.gcra import Gcra
from throttling.governor import Governor
from throttling.rates import SECOND_NS, Rate

rates = st.integers(1, 5_000).map(Rate.of)
# Steps of the caller: how late it comes beyond what it was told (or how long it idles), in ns.
pauses = st.lists(
    st.one_of(st.just(0), st.integers(0, 25_000_000), st.integers(0, 3 * SECOND_NS)), min_size=1, max_size=60
)


def is_bounded(times: list[int], gap_ns: int, burst: int) -> bool:
    """Tell whether every window, closed at both ends, holds at most burst + T / gap permits."""
    return all(
        (last - first + 1 - burst) * gap_ns <= end - times[first]
        for last, end in enumerate(times)
        for first in range(last + 1)
    )


def run(gcra: Gcra, steps: list[int], start_ns: int, *, at_most: int = 120) -> list[int]:
    now, taken = start_ns, []
    for pause in steps:
        now += pause
        while (wait := gcra.offer(now)) == 0 and len(taken) < at_most:
            taken.append(now)
        now += wait
    return taken


@given(rates, pauses, st.integers(0, 10**15), st.integers(1, 50), st.integers(0, 50_000_000))
@settings(max_examples=200)
def test_any_window_of_length_t_has_at_most_burst_plus_rate_times_t_permits(
    rate, steps, start, burst, slack_ns
):
    gcra = Gcra(rate, burst=burst, slack_ns=slack_ns)
    times = run(gcra, steps, start)
    assert is_bounded(times, gcra.gap_ns, gcra.burst)
    for at in times:
        in_one_second = bisect_left(times, at + SECOND_NS) - bisect_left(times, at)
        assert in_one_second <= rate.per_s + gcra.burst


@given(rates, st.lists(st.integers(0, 60_000_000), min_size=1, max_size=40), st.integers(100, 500))
@settings(max_examples=100)
def test_what_stalls_cost_comes_back_within_the_share_and_no_faster(rate, stalls, share):
    slack_ns = 12_500_000
    gcra = Gcra(rate, slack_ns=slack_ns, repay_share=share)
    now, taken = 10**12, []
    for stall in stalls:
        for _ in range(20):
            now += gcra.peek(now)
            while gcra.offer(now) == 0:
                taken.append(now)
        now += stall
    gap_ns = gcra.gap_ns - gcra.gap_ns // share
    assert is_bounded(taken, gap_ns, 1 - (-slack_ns // gap_ns))


def test_after_a_stall_the_mean_rate_is_the_configured_one_again():
    def permits_in_ten_seconds(repay_share):
        gcra = Gcra(Rate.of(1_000), slack_ns=12_500_000, repay_share=repay_share)
        now, end, taken = 10**12, 10**12 + 10 * SECOND_NS, 0
        stalls = iter(range(now + SECOND_NS, end, SECOND_NS))
        stall_at = next(stalls)
        while now < end:
            wait = gcra.offer(now)
            taken += wait == 0
            now += wait
            if now >= stall_at:
                now, stall_at = now + 16_000_000, next(stalls, end)
        return taken

    assert permits_in_ten_seconds(0) < 9_975
    assert 9_990 <= permits_in_ten_seconds(250) <= 10_013


@given(rates, pauses, st.integers(0, 10**15))
def test_whoever_waits_as_told_gets_the_permit(rate, steps, start):
    gcra = Gcra(rate)
    now = start
    for pause in steps:
        now += pause
        told = gcra.explain(now).wait_ns
        assert gcra.peek(now) == told == gcra.offer(now)
        if told:
            assert gcra.offer(now + told - 1) == 1
            assert gcra.offer(now + told) == 0
            now += told


@given(rates, st.lists(st.integers(0, 25_000_000), min_size=40, max_size=40))
def test_lateness_within_the_slack_loses_no_permit(rate, lateness):
    gcra = Gcra(rate)
    start = now = SECOND_NS
    taken = 0
    for late in lateness:
        while (wait := gcra.offer(now)) == 0:
            taken += 1
        now += wait + late
    while gcra.offer(now) == 0:
        taken += 1
    assert taken == 1 + (now - start) // gcra.gap_ns


@given(st.lists(st.tuples(rates, st.integers(0, 2 * SECOND_NS)), min_size=1, max_size=40))
def test_changing_the_rate_gives_no_permit_of_its_own(changes):
    fastest = max((rate for rate, _ in changes), key=lambda rate: rate.per_s)
    gcra = Gcra(fastest)
    bound = gcra.burst
    now, times = SECOND_NS, []
    for rate, pause in changes:
        gcra.set_rate(rate, now_ns=now)
        while gcra.offer(now) == 0:
            times.append(now)
        now += pause
    assert is_bounded(times[-150:], fastest.gap_ns, bound)


@given(rates, rates, pauses)
def test_a_governor_never_exceeds_any_of_its_limits(carrier_rate, bind_rate, steps):
    carrier, bind = Gcra(carrier_rate), Gcra(bind_rate)
    governor = Governor.of(carrier=carrier, bind=bind)
    now, times = SECOND_NS, []
    for pause in steps:
        now += pause
        while not (permit := governor.offer(now)).wait_ns and len(times) < 120:
            times.append(now)
        assert governor.peek(now) == permit or not permit.wait_ns
        now += permit.wait_ns
    for limit in (carrier, bind):
        assert is_bounded(times, limit.gap_ns, limit.burst)


def sent_by_binds(governors: list[Governor], *, seconds: int, lateness: list[int]) -> list[int]:
    """Let one loop with work for ever use several binds in turn, every wake-up late; return when what was sent."""
    now, end, turn, times = SECOND_NS, (1 + seconds) * SECOND_NS, 0, []
    count = len(governors)
    while now < end:
        waits = []
        for step in range(count):
            governor = governors[(turn + step) % count]
            while not (permit := governor.offer(now)).wait_ns:
                times.append(now)
            waits.append(permit.wait_ns)
        turn += 1
        now += min(waits) + lateness[turn % len(lateness)]
    return times


@given(
    st.floats(0, 3.7).map(lambda power: round(10**power)),
    st.integers(1, 4),
    st.lists(st.integers(0, 20_000_000), min_size=1, max_size=50),
)
@settings(max_examples=20, deadline=None)
def test_p3_late_wake_ups_and_several_binds_cost_no_rate_and_exceed_none(per_s, binds, lateness):
    carrier = Gcra(Rate.of(per_s))
    governors = [Governor.of(carrier=carrier, bind=Gcra(Rate.of(per_s))) for _ in range(binds)]
    times = sent_by_binds(governors, seconds=12, lateness=lateness)
    for start in range(3):  # any ten seconds: 99 % of the rate at least
        first, last = (1 + start) * SECOND_NS, (11 + start) * SECOND_NS
        assert bisect_left(times, last) - bisect_left(times, first) >= 0.99 * 10 * per_s - 1
    for at in times:  # any one second: the rate and its burst at most
        assert bisect_left(times, at + SECOND_NS) - bisect_left(times, at) <= per_s + carrier.burst
