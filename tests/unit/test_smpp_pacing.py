"""The pace of one bind and the waits between its connections; virtual time."""

from collections import Counter, deque

import pytest

from adapters.pace.pacing import BindPace, ThrottledSegments, limiter
from adapters.smpp.classify import classify
from adapters.smpp.profile import CarrierProfile
from adapters.smpp.reconnect import Reconnect
from adapters.smpp.wire import constants as c
from gateway.domain.message import OutboundSegment
from gateway.domain.segmentation import SegmentPayload
from tests.support.lane_rig import a_message
from throttling.rates import Rate

SECOND = 1_000_000_000


def submits_in(pace: BindPace, *, start_ns: int, seconds: float, answer=None) -> int:
    """Submit as fast as the pace allows; `answer(now_ns)` follows each."""
    now_ns, end_ns, count = start_ns, start_ns + int(seconds * SECOND), 0
    while now_ns < end_ns:
        permit = pace.ask(now_ns)
        assert permit.wait_ns >= 0
        if permit.wait_ns:
            now_ns += permit.wait_ns
            continue
        if pace.rate is None and count > 10_000:
            break  # no limit at all
        pace.take(now_ns)
        count += 1
        if answer is not None:
            answer(now_ns)
    return count


def test_p3_the_rate_is_kept_and_used():
    pace = BindPace(carrier=limiter("100/s", burst=None), bind=None)
    assert 99 <= submits_in(pace, start_ns=SECOND, seconds=1) <= 103


def test_the_stricter_limit_of_carrier_and_bind_counts():
    pace = BindPace(carrier=limiter("100/s", burst=0), bind=limiter("40/s", burst=0))
    assert 39 <= submits_in(pace, start_ns=SECOND, seconds=1) <= 41
    assert pace.rate.per_s == 40


def test_shares_divide_the_rate_and_the_burst():
    assert limiter("100/s", burst=None, shares=4).rate.per_s == 25
    assert limiter("100/s", burst=8, shares=4).burst == 1 + 8 // 4


def test_without_any_rate_everything_goes():
    pace = BindPace(carrier=None, bind=None)
    assert pace.ask(0).wait_ns == 0
    pace.take(0)
    assert pace.rate is None


def test_g3_without_any_rate_throttle_answers_hold_the_bind_longer_and_longer():
    pace = BindPace(carrier=None, bind=None)
    now_ns, holds = SECOND, []
    for _ in range(5):
        assert pace.ask(now_ns).wait_ns == 0
        pace.take(now_ns)
        pace.throttled(now_ns, sent_ns=now_ns)
        holds.append(pace.ask(now_ns).wait_ns // 1_000_000)
        now_ns += pace.ask(now_ns).wait_ns
    assert holds == [250, 500, 1000, 1000, 1000]
    assert pace.ask(now_ns - 1).reason == "throttled"


def test_g3_during_a_storm_one_submit_at_a_time_finds_out_when_it_ends():
    pace = BindPace(carrier=limiter("100/s", burst=None), bind=None)
    pace.take(SECOND)
    pace.throttled(SECOND, sent_ns=SECOND)
    now_ns = 2 * SECOND
    assert pace.ask(now_ns).wait_ns == 0
    pace.take(now_ns)
    assert pace.ask(now_ns + 1) == (-1, "throttled")  # an answer ends this wait, no clock
    pace.succeeded(now_ns + 2, sent_ns=now_ns)
    assert pace.ask(3 * SECOND).wait_ns == 0


def test_g3_one_cut_answers_for_everything_that_was_in_flight():
    pace = BindPace(carrier=limiter("100/s", burst=None), bind=None)
    flight = a_busy_second(pace, in_flight=10)
    for late_ns, sent_ns in enumerate(flight):
        pace.throttled(2 * SECOND + late_ns, sent_ns=sent_ns)
        assert 80 <= pace.rate.per_s <= 95
    assert pace.learned_per_s == pytest.approx(float(pace.rate.per_s), abs=0.01)
    assert pace.ask(2 * SECOND + 20).reason == "throttled"


def a_busy_second(pace: BindPace, *, in_flight: int) -> list[int]:
    """Submit for a second at full rate, all taken but the last ones; return when those were sent."""
    sent: list[int] = []
    submits_in(pace, start_ns=SECOND, seconds=1, answer=sent.append)
    for sent_ns in sent[:-in_flight]:
        pace.succeeded(sent_ns, sent_ns=sent_ns)
    return sent[-in_flight:]


def test_g3_a_cut_rate_recovers_with_use_and_success_up_to_its_ceiling():
    pace = BindPace(carrier=limiter("100/s", burst=None), bind=None)
    (last_ns,) = a_busy_second(pace, in_flight=1)
    pace.throttled(2 * SECOND, sent_ns=last_ns)
    first = submits_in(pace, start_ns=2 * SECOND, seconds=1, answer=taken_at_once(pace))
    assert 88 <= first <= 97
    submits_in(pace, start_ns=3 * SECOND, seconds=20, answer=taken_at_once(pace))
    assert pace.rate.per_s == 100
    assert pace.learned_per_s is None
    assert submits_in(pace, start_ns=30 * SECOND, seconds=1, answer=taken_at_once(pace)) >= 99


def taken_at_once(pace: BindPace):
    return lambda now_ns: pace.succeeded(now_ns, sent_ns=now_ns)


def test_an_idle_bind_does_not_drift_up():
    pace = BindPace(carrier=limiter("100/s", burst=None), bind=None)
    (last_ns,) = a_busy_second(pace, in_flight=1)
    pace.throttled(2 * SECOND, sent_ns=last_ns)
    cut = pace.rate.per_s
    for second in range(3, 600):  # one now and then, none of which had to wait
        now_ns = second * SECOND
        assert pace.ask(now_ns).wait_ns == 0
        pace.take(now_ns)
        pace.succeeded(now_ns + 5, sent_ns=now_ns)
    assert pace.rate.per_s == cut


def test_the_rate_never_falls_below_its_floor_and_reaches_it_within_seconds():
    pace = BindPace(carrier=limiter("1000/s", burst=None), bind=None)
    now_ns = SECOND
    while now_ns < 12 * SECOND:
        wait_ns = pace.ask(now_ns).wait_ns
        assert wait_ns >= 0
        now_ns += wait_ns
        if not wait_ns:
            pace.take(now_ns)
            now_ns += 5_000_000
            pace.throttled(now_ns, sent_ns=now_ns - 5_000_000)
    assert pace.rate.per_s == 20


def test_an_answer_may_say_how_long_to_wait():
    pace = BindPace(carrier=limiter("1000/s", burst=None), bind=None)
    pace.take(SECOND)
    pace.throttled(SECOND, sent_ns=SECOND, retry_after_ms=30_000)
    assert pace.ask(SECOND) == (30 * SECOND, "throttled")


def test_a_top_that_somebody_else_keeps_is_recovered_to_and_not_limited_by_us():
    pace = BindPace(carrier=None, bind=None, top=Rate.parse("200/s"))
    assert pace.ask(SECOND).wait_ns == 0
    assert pace.rate is None
    pace.take(SECOND)
    pace.throttled(SECOND, sent_ns=SECOND)
    assert pace.learned_per_s == 4  # nothing was taken at all: the floor
    now_ns = 2 * SECOND
    while pace.learned_per_s is not None:
        submits_in(pace, start_ns=now_ns, seconds=0.05, answer=taken_at_once(pace))
        now_ns += SECOND // 20
    assert now_ns <= 12 * SECOND


def test_a_ramp_begins_at_a_tenth_and_is_back_within_seconds():
    pace = BindPace(carrier=limiter("1000/s", burst=0), bind=None)
    pace.ramp(SECOND)
    assert pace.learned_per_s == 100
    per_second = [
        submits_in(pace, start_ns=second * SECOND, seconds=1, answer=taken_at_once(pace))
        for second in range(1, 6)
    ]
    assert per_second == sorted(per_second)
    assert 100 <= per_second[0] <= 500
    assert pace.learned_per_s is None or pace.learned_per_s >= 990


def test_a_new_session_owes_nothing_for_the_one_before():
    pace = BindPace(carrier=limiter("100/s", burst=None), bind=None)
    for _ in range(5):
        pace.take(SECOND)
    pace.throttled(SECOND + 1, sent_ns=SECOND)
    assert pace.ask(SECOND + 2).wait_ns == -1  # the flight is to come back first
    pace.renew()
    assert pace.ask(20 * SECOND).wait_ns == 0


class VirtualCarrier:
    """A carrier that answers after 5 ms and throttles some, and a lane that gives throttled ones back at once."""

    def __init__(self, is_throttled, *, per_s: int = 2000, window: int = 100) -> None:
        self.pace = BindPace(carrier=None, bind=None)
        self.segments = ThrottledSegments()
        self.sent: list[int] = []
        self.delivered: list[tuple[int, object]] = []
        self._is_throttled = is_throttled
        self._gap_ns = SECOND // per_s
        self._window = window

    def run(self, segments: list, *, start_ns: int = SECOND) -> int:
        """Send everything; return the virtual time at the end."""
        todo, open_, now_ns, due_ns, taken_ns = deque(segments), deque(), start_ns, start_ns, 0
        while todo or open_:
            while open_ and open_[0][0] + 5_000_000 <= now_ns:
                sent_ns, segment = open_.popleft()
                if not self._is_throttled(segment, sent_ns):
                    self.delivered.append((now_ns, segment))
                    self.pace.succeeded(now_ns, sent_ns=sent_ns)
                    taken_ns = sent_ns
                    continue
                if self.segments.is_about_the_bind(segment, sent_ns=sent_ns, taken_ns=taken_ns):
                    self.pace.throttled(now_ns, sent_ns=sent_ns)
                else:
                    self.pace.ended(now_ns, sent_ns=sent_ns)
                todo.appendleft(segment)
            waits = [open_[0][0] + 5_000_000] if open_ else []
            if todo and len(open_) < self._window:
                asked_ns = self.pace.ask(now_ns).wait_ns
                wait_ns = max(asked_ns, due_ns - now_ns)
                if asked_ns >= 0 and wait_ns <= 0:
                    self.pace.take(now_ns)
                    self.sent.append(now_ns)
                    open_.append((now_ns, todo.popleft()))
                    due_ns = now_ns + self._gap_ns
                    continue
                if asked_ns >= 0:
                    waits.append(now_ns + wait_ns)
            if todo or open_:
                now_ns = min(waits)
        return now_ns

    def sent_between(self, start_ns: int, end_ns: int) -> int:
        return sum(1 for at_ns in self.sent if start_ns <= at_ns < end_ns)


def segments(count: int) -> list[OutboundSegment]:
    return [
        OutboundSegment(a_message(), 1, 0, SegmentPayload(0, b"", b"hola"), lambda *_: None)
        for _ in range(count)
    ]


def test_g3_all_throttled_for_ten_seconds_the_rate_falls_and_recovers():
    carrier = VirtualCarrier(lambda segment, sent_ns: sent_ns < 11 * SECOND)
    end_ns = carrier.run(segments(100))
    assert len({id(segment) for _, segment in carrier.delivered}) == len(carrier.delivered) == 100
    assert carrier.sent_between(SECOND, 2 * SECOND) > carrier.sent_between(2 * SECOND, 3 * SECOND) > 0
    assert carrier.sent_between(3 * SECOND, 11 * SECOND) <= 20
    assert end_ns <= 16 * SECOND


def test_g3_a_full_rate_is_back_a_few_seconds_after_the_throttling():
    carrier = VirtualCarrier(lambda segment, sent_ns: sent_ns < 3 * SECOND)
    carrier.run(segments(20_000))
    assert carrier.sent_between(9 * SECOND, 10 * SECOND) >= 1990


def test_g3_single_throttled_numbers_hardly_slow_the_bind():
    messages = segments(900)
    tries = Counter()

    def twice(segment, sent_ns):
        tries[id(segment)] += 1
        return segment in messages[::9] and tries[id(segment)] <= 2

    carrier = VirtualCarrier(twice)
    end_ns = carrier.run(list(messages))
    assert len(carrier.delivered) == 900
    assert max(tries.values()) == 3
    assert end_ns <= SECOND + 3 * SECOND


def test_a_lonely_throttled_segment_is_not_hammered():
    carrier = VirtualCarrier(lambda segment, sent_ns: sent_ns < 11 * SECOND)
    carrier.run(segments(1))
    assert len(carrier.sent) <= 16


# -- reconnecting ----------------------------------------------------------------------------------


def a_reconnect(random=0.999999, **options) -> Reconnect:
    profile = CarrierProfile(
        **{"carrier": "telco", "host": "mc", "port": 1, "system_id": "a", "password": "b", **options}
    )
    return Reconnect(profile, random=lambda: random)


def test_h9_waits_grow_to_the_maximum_and_never_leave_the_bounds():
    waits = [a_reconnect.next_delay_s() for a_reconnect in [a_reconnect()] for _ in range(10)]
    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(2, abs=0.01)
    assert waits[-1] == pytest.approx(60, abs=0.01)
    lazy = a_reconnect(random=0.0)
    assert [lazy.next_delay_s() for _ in range(50)] == [1.0] * 50


def test_h9_only_a_stable_bind_forgets_the_failures():
    reconnect = a_reconnect()
    for _ in range(6):
        reconnect.next_delay_s()
    reconnect.ended(bound_for_s=7.9)
    assert reconnect.next_delay_s() == pytest.approx(60, abs=0.01)
    reconnect.ended(bound_for_s=30)
    assert reconnect.next_delay_s() == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("stood_s", [8, 10, 15.9, 16, 20, 29.9])
def test_h9_a_bind_that_was_of_use_is_away_for_a_quarter_of_that_time_at_most(stood_s):
    reconnect = a_reconnect()
    for _ in range(6):
        reconnect.next_delay_s()
    reconnect.ended(bound_for_s=stood_s)
    first = reconnect.next_delay_s()
    assert 2 - 0.01 <= first <= stood_s / 4
    assert reconnect.next_delay_s() == pytest.approx(2 * first, abs=0.01), (
        "what fails after it backs off as usual"
    )


@pytest.mark.parametrize("code", [c.ESME_RINVPASWD, c.ESME_RINVSYSID, c.ESME_RINVSYSTYP])
def test_a_refused_login_waits_five_minutes_at_least(code):
    reconnect = a_reconnect(random=0.0)
    reconnect.refused(classify("bind_resp", code), command_status=code, falls_back=False)
    assert reconnect.next_delay_s() >= 300
    assert reconnect.next_delay_s() < 300


def test_already_bound_waits_five_seconds_at_least():
    reconnect = a_reconnect(random=0.0)
    verdict = classify("bind_resp", c.ESME_RALYBND)
    reconnect.refused(verdict, command_status=c.ESME_RALYBND, falls_back=False)
    assert reconnect.next_delay_s() == 5.0


def test_a_fallback_binds_again_at_once():
    reconnect = a_reconnect()
    verdict = classify("bind_resp", c.ESME_RINVCMDID)
    reconnect.refused(verdict, command_status=c.ESME_RINVCMDID, falls_back=True)
    assert reconnect.next_delay_s() == 0.0


def test_other_refusals_back_off_as_usual():
    reconnect = a_reconnect(random=0.0)
    verdict = classify("bind_resp", c.ESME_RSYSERR)
    reconnect.refused(verdict, command_status=c.ESME_RSYSERR, falls_back=False)
    assert reconnect.next_delay_s() == 1.0


@pytest.mark.parametrize(
    "options",
    [
        {"bind_count": 0},
        {"window_slots": 0},
        {"max_unacknowledged": 0},
        {"password": "123456789"},
        {"system_id": "x" * 16},
        {"reconnect_min_s": 0},
        {"reconnect_min_s": 61},
    ],
)
def test_a_profile_that_cannot_work_is_refused(options):
    with pytest.raises(ValueError, match=r"within|below|characters"):
        a_reconnect(**options)


def test_a_profile_does_not_show_its_password():
    reconnect = a_reconnect(password="hunter22")
    assert "hunter22" not in repr(reconnect._profile)
