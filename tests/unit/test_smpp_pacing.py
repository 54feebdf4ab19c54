"""The pace of one bind and the waits between its connections; virtual time."""

import pytest

from adapters.smpp.classify import classify
from adapters.smpp.pacing import BindPace, limiter
from adapters.smpp.profile import CarrierProfile
from adapters.smpp.reconnect import Reconnect
from adapters.smpp.wire import constants as c

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
