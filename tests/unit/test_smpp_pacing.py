"""The pace of one bind and the waits between its connections; virtual time."""

from collections import Counter, deque

import pytest

from adapters.smpp.classify import classify
from adapters.smpp.pacing import BindPace, ThrottledSegments, limiter
from adapters.smpp.profile import CarrierProfile
from adapters.smpp.reconnect import Reconnect
from adapters.smpp.wire import constants as c
from gateway.domain.message import OutboundSegment
from gateway.domain.segmentation import SegmentPayload
from tests.support.lane_rig import a_message

SECOND = 1_000_000_000


def submits_in(pace: BindPace, *, start_ns: int, seconds: float, answer=None) -> int:
    """Submit as fast as the pace allows; `answer(now_ns)` follows each."""
    now_ns, end_ns, count = start_ns, start_ns + int(seconds * SECOND), 0
    while now_ns < end_ns:
        permit = pace.ask(now_ns)
        if permit.wait_ns:
            now_ns += permit.wait_ns
            continue
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


def test_without_any_rate_throttle_answers_hold_the_bind_longer_and_longer():
    pace = BindPace(carrier=None, bind=None)
    now_ns, holds = 0, []
    for _ in range(6):
        pace.throttled(now_ns)
        pace.throttled(now_ns + 1)
        holds.append(pace.ask(now_ns).wait_ns // 1_000_000)
        now_ns += pace.ask(now_ns).wait_ns
    assert holds == [100, 200, 400, 800, 1000, 1000]
    pace.succeeded(now_ns)
    assert pace.ask(now_ns).wait_ns == 0
    pace.succeeded(now_ns + SECOND)
    pace.throttled(now_ns + SECOND)
    assert pace.ask(now_ns + SECOND) == (SECOND // 10, "throttled")


def test_g3_a_throttle_answer_halves_the_rate_once_for_all_that_was_in_flight():
    pace = BindPace(carrier=limiter("100/s", burst=None), bind=None)
    for late_ns in range(10):
        pace.throttled(5 * SECOND + late_ns)
    assert pace.rate.per_s == 50
    assert pace.ask(5 * SECOND + 20).reason == "throttled"
    pace.throttled(6 * SECOND)
    assert pace.rate.per_s == 25


def test_g3_a_cut_rate_recovers_with_success_up_to_its_ceiling():
    pace = BindPace(carrier=limiter("100/s", burst=None), bind=None)
    pace.throttled(SECOND)
    first = submits_in(pace, start_ns=SECOND, seconds=1, answer=pace.succeeded)
    later = submits_in(pace, start_ns=10 * SECOND, seconds=1, answer=pace.succeeded)
    assert 40 <= first <= 60
    submits_in(pace, start_ns=11 * SECOND, seconds=10, answer=pace.succeeded)
    assert later > first
    assert pace.rate.per_s == 100
    assert submits_in(pace, start_ns=30 * SECOND, seconds=1) >= 99


def test_the_rate_never_falls_below_its_floor():
    pace = BindPace(carrier=limiter("100/s", burst=None), bind=None)
    for second in range(100):
        pace.throttled(second * 2 * SECOND)
    assert pace.rate.per_s == 2


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
                    self.pace.succeeded(now_ns)
                    taken_ns = sent_ns
                    continue
                if self.segments.is_about_the_bind(segment, sent_ns=sent_ns, taken_ns=taken_ns):
                    self.pace.throttled(now_ns)
                todo.appendleft(segment)
            waits = [open_[0][0] + 5_000_000] if open_ else []
            if todo and len(open_) < self._window:
                wait_ns = max(self.pace.ask(now_ns).wait_ns, due_ns - now_ns)
                if wait_ns <= 0:
                    self.pace.take(now_ns)
                    self.sent.append(now_ns)
                    open_.append((now_ns, todo.popleft()))
                    due_ns = now_ns + self._gap_ns
                    continue
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
    reconnect.ended(bound_for_s=29)
    assert reconnect.next_delay_s() == pytest.approx(60, abs=0.01)
    reconnect.ended(bound_for_s=30)
    assert reconnect.next_delay_s() == pytest.approx(2, abs=0.01)


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
