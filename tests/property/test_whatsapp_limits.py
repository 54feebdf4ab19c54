"""Properties of what a messaging platform limits beside the rate: pairs, people a day, service windows."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from throttling.pairs import PairLimiter
from throttling.reach import ReachLimiter
from throttling.windows import MARGIN_MS, WINDOW_MS, ServiceWindows

people = st.sampled_from(["525512345678", "525512345679", "56987654321", "573001112233"])
steps = st.lists(st.tuples(people, st.integers(0, 20_000)), min_size=1, max_size=120)
START = 1_795_521_600_000


@given(steps, st.integers(1, 10_000), st.integers(1, 6))
@settings(max_examples=80)
def test_one_person_gets_at_most_the_burst_and_then_one_in_each_interval(steps, interval_ms, burst):
    limiter = PairLimiter(interval_ms=interval_ms, burst=burst)
    now, taken = START, {}
    for person, pause in steps:
        now += pause
        if limiter.take(person, now_ms=now) == 0:
            taken.setdefault(person, []).append(now)
    for times in taken.values():
        for last, end in enumerate(times):
            for first in range(last + 1):
                assert last - first + 1 <= burst + (end - times[first]) / interval_ms


@given(steps, st.integers(1, 10_000), st.integers(1, 6))
@settings(max_examples=80)
def test_the_wait_that_is_told_is_the_wait_that_is_needed(steps, interval_ms, burst):
    limiter = PairLimiter(interval_ms=interval_ms, burst=burst)
    now = START
    for person, pause in steps:
        now += pause
        wait = limiter.take(person, now_ms=now)
        assert wait <= interval_ms * burst
        if wait > 1:
            assert limiter.take(person, now_ms=now + wait - 1) > 0
        if wait:
            now += wait
            assert limiter.take(person, now_ms=now) == 0


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(-50_000, 20_000)), max_size=200))
@settings(max_examples=100)
def test_the_table_of_pairs_stays_bounded_and_holds_nobody_up_when_a_clock_steps_back(steps):
    limiter = PairLimiter(interval_ms=6_000, burst=3, max_pairs=20)
    now = START
    for person, pause in steps:
        now += pause
        assert 0 <= limiter.take(str(person), now_ms=now) <= 18_000
        assert len(limiter) <= 20


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 400)), max_size=200), st.integers(1, 10))
@settings(max_examples=80)
def test_in_any_day_no_more_different_people_are_reached_than_allowed(steps, limit):
    span = 1_000
    limiter = ReachLimiter(limit, span_ms=span)
    now, taken = START, []
    for person, pause in steps:
        now += pause
        wait = limiter.take(str(person), now_ms=now)
        if wait == 0:
            taken.append((now, person))
        else:
            assert 0 < wait <= span
            # Nobody who has a place is refused.
            assert (now, person) not in taken[-1:]
        assert len(limiter) <= limit
    for at, _ in taken:
        assert len({person for time, person in taken if at - span < time <= at}) <= limit


@given(
    st.lists(st.tuples(people, st.integers(-3 * WINDOW_MS, 0)), max_size=40),
    st.integers(1, 6),
    st.randoms(use_true_random=False),
)
def test_what_was_learned_counts_like_what_was_taken(reached, limit, random):
    reached = [(person, START + at) for person, at in reached]
    random.shuffle(reached)
    limiter = ReachLimiter(limit)
    limiter.learn(reached, now_ms=START)
    recent = {person for person, at in reached if at > START - WINDOW_MS}
    assert len(limiter) == min(limit, len(recent))
    if len(recent) < limit:
        assert limiter.take("new", now_ms=START) == 0
    elif len(recent) > limit or "new" not in recent:
        assert limiter.take("new", now_ms=START) > 0
    newest = max((at for _, at in reached), default=0)
    latest = {person for person, at in reached if at == newest}
    if len(latest) == 1 and latest <= recent:
        again = ReachLimiter(limit)
        again.learn(reached, now_ms=START)
        assert again.take(*latest, now_ms=START) == 0


@given(st.lists(st.tuples(people, st.integers(0, 2 * WINDOW_MS)), max_size=40), people)
@settings(max_examples=80)
def test_a_window_is_shut_exactly_when_nobody_wrote_in_time_and_all_is_known(heard, person):
    now = START + 2 * WINDOW_MS
    windows = ServiceWindows()
    for who, after in heard:
        windows.hear(who, at_ms=START + after)
    assert not windows.is_shut(person, asked_ms=now, now_ms=now)  # nothing is known to be complete
    windows.know(since_ms=START, as_of_ms=now)
    last = max((START + after for who, after in heard if who == person), default=0)
    assert windows.is_shut(person, asked_ms=now, now_ms=now) is (last <= now - WINDOW_MS - MARGIN_MS)
    windows.forget(now_ms=now)
    assert windows.is_shut(person, asked_ms=now, now_ms=now) is (last <= now - WINDOW_MS - MARGIN_MS)
    assert not windows.is_shut(person, asked_ms=now + 1, now_ms=now + 1)


@given(st.integers(1, 8), st.integers(1, 30))
def test_who_was_forgotten_for_want_of_room_is_never_said_to_be_silent(room, count):
    windows = ServiceWindows(max_people=room)
    now = START + WINDOW_MS
    windows.know(since_ms=START, as_of_ms=now)
    wrote = Counter()
    for number in range(count):
        windows.hear(str(number), at_ms=START + 1_000 * number + MARGIN_MS)
        wrote[str(number)] += 1
    assert len(windows) <= room
    for person in wrote:
        assert not windows.is_shut(person, asked_ms=now, now_ms=now)
    if count > room:
        assert not windows.is_shut("stranger", asked_ms=now, now_ms=now)
    else:
        assert windows.is_shut("stranger", asked_ms=now, now_ms=now)
