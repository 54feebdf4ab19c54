"""Reports without a database: periods of time zones, what is counted when, percentiles, prices, countries."""

import tomllib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.message import MessageClass
from gateway.policy.routing import RouteRule
from gateway.ports.report_store import HOUR_MS, HourState, Writes
from gateway.reporting.countries import country_of
from gateway.reporting.desk import find_zone
from gateway.reporting.figures import percentile
from gateway.reporting.fold import OBJECTIVE_MS, SUBMIT_BOUNDS_MS
from gateway.reporting.periods import Period, PeriodError, cut, default_first
from gateway.reporting.prices import PriceList
from gateway.reporting.schedule import plan

ROOT = Path(__file__).resolve().parents[2]
ZONES = (
    "UTC",
    "America/Mexico_City",
    "America/Santiago",
    "America/Asuncion",
    "America/Havana",
    "Europe/Madrid",
)
NOW = 1_795_521_600_000


@given(
    zone=st.sampled_from(ZONES),
    first=st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    days=st.integers(1, 400),
    period=st.sampled_from(Period),
)
def test_periods_follow_each_other_without_a_gap_and_begin_where_the_calendar_says(zone, first, days, period):
    last = first + timedelta(days=days - 1)
    spans = cut(period, first=first, last=last, zone=ZoneInfo(zone))
    assert all(one.ends == two.begins for one, two in pairwise(spans))
    assert all(one.begins < one.ends and one.begins % HOUR_MS == 0 for one in spans)
    begins = [datetime.fromtimestamp(one.begins / 1000, UTC).astimezone(ZoneInfo(zone)) for one in spans]
    assert begins[0].date() == first
    assert begins[-1].date() <= last
    for at in begins[1:]:
        assert period is not Period.WEEK or at.isoweekday() == 1
        assert period is not Period.MONTH or at.day == 1
    if period is Period.DAY:
        assert [one.label for one in spans] == [str(first + timedelta(days=n)) for n in range(days)]


@pytest.mark.parametrize(
    ("zone", "day", "begins", "hours"),
    [
        ("America/New_York", date(2026, 11, 1), "2026-11-01T04:00:00+00:00", 25),
        ("America/New_York", date(2026, 3, 8), "2026-03-08T05:00:00+00:00", 23),
        ("America/Santiago", date(2026, 9, 6), "2026-09-06T04:00:00+00:00", 23),  # there is no midnight
        ("America/Havana", date(2026, 11, 1), "2026-11-01T04:00:00+00:00", 25),  # there are two
        ("America/Mexico_City", date(2026, 4, 5), "2026-04-05T06:00:00+00:00", 24),
    ],
)
def test_days_on_which_clocks_change_have_the_hours_that_they_have(zone, day, begins, hours):
    (span,) = cut(Period.DAY, first=day, last=day, zone=ZoneInfo(zone))
    assert datetime.fromtimestamp(span.begins / 1000, UTC).isoformat() == begins
    assert (span.ends - span.begins) / HOUR_MS == hours


def test_outer_periods_are_cut_off_where_the_report_is():
    spans = cut(Period.WEEK, first=date(2025, 12, 31), last=date(2026, 1, 6), zone=ZoneInfo("UTC"))
    assert [one.label for one in spans] == ["2026-W01", "2026-W02"]
    assert [(one.ends - one.begins) // HOUR_MS // 24 for one in spans] == [5, 2]
    assert default_first(Period.MONTH, date(2026, 2, 28)) == date(2025, 12, 1)
    assert default_first(Period.WEEK, date(2026, 11, 22)) == date(2026, 10, 26)
    assert default_first(Period.DAY, date(2026, 11, 22)) == date(2026, 11, 16)


@pytest.mark.parametrize(
    ("parameter", "period", "first", "last", "zone"),
    [
        ("to", "day", date(2026, 2, 2), date(2026, 2, 1), "UTC"),
        ("from", "day", date(2025, 1, 1), date(2026, 2, 5), "UTC"),
        ("from", "month", date(2020, 1, 1), date(2026, 2, 1), "UTC"),
        ("tz", "day", date(2026, 2, 1), date(2026, 2, 1), "Asia/Kolkata"),
        ("tz", "day", date(2026, 2, 1), date(2026, 2, 1), "Asia/Kathmandu"),
    ],
)
def test_what_cannot_be_cut_names_the_parameter(parameter, period, first, last, zone):
    with pytest.raises(PeriodError) as error:
        cut(Period(period), first=first, last=last, zone=ZoneInfo(zone))
    assert error.value.parameter == parameter


@pytest.mark.parametrize("name", ["Mexico", "../../etc/passwd", "", "America", "UTC+6", "\x00", "x" * 5000])
def test_only_names_of_the_database_are_zones(name):
    with pytest.raises(PeriodError):
        find_zone(name)


@given(st.lists(st.integers(1, 4_000_000), min_size=1, max_size=200), st.sampled_from((0.5, 0.95, 0.99)))
def test_a_percentile_is_in_the_bucket_of_the_value_that_has_the_rank(values, share):
    counts = [0] * (len(SUBMIT_BOUNDS_MS) + 1)
    for value in values:
        counts[sum([bound < value for bound in SUBMIT_BOUNDS_MS])] += 1
    found = percentile(counts, SUBMIT_BOUNDS_MS, share)
    rank = max(1, -(-len(values) * share // 1))
    exact = sorted(values)[int(rank) - 1]
    lower = max((bound for bound in (0, *SUBMIT_BOUNDS_MS) if bound < exact), default=0)
    upper = min((bound for bound in SUBMIT_BOUNDS_MS if bound >= exact), default=SUBMIT_BOUNDS_MS[-1])
    assert found is not None
    assert lower / 1000 - 0.001 <= found <= upper / 1000 + 0.001
    assert percentile([0, 0], (1, 2), share) is None


def test_the_objectives_are_those_of_the_slos_and_bounds_of_buckets():
    slos = {one["name"]: one for one in tomllib.loads((ROOT / "deploy/slo/slos.toml").read_text())["slo"]}
    for name, le in (("submit-timeliness-urgent", "5.0"), ("submit-timeliness-bulk", "60.0")):
        expression = slos[name]["bad"]
        assert f'le="{le}"' in expression
        for kind, objective_ms in OBJECTIVE_MS.items():
            assert (kind in expression) == (objective_ms == float(le) * 1000)
            assert objective_ms in SUBMIT_BOUNDS_MS


def an_hour(age_hours, **changes):
    state = HourState(NOW - age_hours * HOUR_MS, 1, NOW, 10, 1, 5, 9, False, False, "p", 10)
    return state._replace(**changes)


def planned(*states, writes):
    hours = {one.id_hour: one for one in states}
    days = dict.fromkeys({None, *(id_hour - id_hour % (24 * HOUR_MS) for id_hour in hours)}, writes)
    found = plan(hours, days, first_hour=min(hours), now_ms=NOW, refresh_ms=60_000)
    known = {one.id_hour for one in states}
    return [one for one in found.due if one in known], [one for one in found.stale if one in known]


@pytest.mark.parametrize(
    ("state", "writes", "is_due", "is_stale"),
    [
        (an_hour(2, computed_at=0), Writes(5, 9), True, False),  # never counted
        (an_hour(2, computed_at=NOW - 7 * HOUR_MS), Writes(5, 9), False, False),  # nothing was written
        (an_hour(2, computed_at=NOW - 7 * HOUR_MS), Writes(5, 10), True, True),
        (an_hour(2, computed_at=NOW - 61_000), Writes(5, 10), False, True),  # an hour old: every two minutes
        (an_hour(0, computed_at=NOW - 61_000), Writes(5, 10), True, True),
        (an_hour(0, computed_at=NOW - 61_000), Writes(5, 9), True, False),  # the counters may be late
        (an_hour(0, computed_at=NOW - 59_000), Writes(5, 10), False, True),
        (an_hour(0, computed_at=NOW - 61_000, work_ms=2_000), Writes(5, 10), False, True),  # it takes long
        (
            an_hour(2, computed_at=NOW - 7 * HOUR_MS, open=0),
            Writes(5, 10),
            False,
            False,
        ),  # all have their end
        (an_hour(2, computed_at=NOW - 7 * HOUR_MS, open=0), Writes(6, 11), True, True),  # new ones of the day
        (an_hour(2, computed_at=NOW - 7 * HOUR_MS), Writes(0, 0), True, True),  # a crash lost the counters
        (an_hour(2, computed_at=NOW - 7 * HOUR_MS, is_closed=True), Writes(9, 99), False, False),
    ],
)
def test_an_hour_is_counted_again_when_it_changed_and_waited(state, writes, is_due, is_stale):
    due, stale = planned(state, writes=writes)
    assert (due == [state.id_hour], stale == [state.id_hour]) == (is_due, is_stale)


def test_new_hours_come_first_and_then_those_that_waited_longest_for_their_age():
    old = an_hour(48, computed_at=NOW - 3 * HOUR_MS)
    young = an_hour(1, computed_at=NOW - HOUR_MS)
    assert planned(old, young, writes=Writes(6, 20))[0] == [young.id_hour, old.id_hour]
    found = plan({}, {}, first_hour=NOW - 2 * HOUR_MS, now_ms=NOW, refresh_ms=60_000)
    assert found.due == [NOW, NOW - HOUR_MS, NOW - 2 * HOUR_MS]


def test_prices_are_those_of_the_first_rule_that_names_the_carrier_and_survive_as_text():
    rules = [
        RouteRule(("a",), prefix="5255", message_class=MessageClass.OTP, cost=Decimal("0.0125")),
        RouteRule(("b", "a"), prefix="52", account="acme"),
        RouteRule(("a",), sender="22222", cost=Decimal("0.02")),
        RouteRule(("a", "b"), cost=Decimal("0.01")),
    ]
    for prices in (PriceList.of(rules), PriceList.read(PriceList.of(rules).text)):
        assert prices.id == PriceList.of(rules).id
        assert (prices.zones, prices.senders) == (("52", "5255"), ("22222",))
        assert prices.cost("a", "5255", "acme", "otp", "") == Decimal("0.0125")
        assert prices.cost("a", "5255", "acme", "marketing", "") is None  # the rule that fits states none
        assert prices.cost("a", "", "other", "marketing", "22222") == Decimal("0.02")
        assert prices.cost("b", "52", "other", "otp", "22222") == Decimal("0.01")
        assert prices.cost("c", "52", "other", "otp", "") is None
    free = PriceList.of([RouteRule(("a",), prefix="52")])
    assert (free.zones, free.cost("a", "", "acme", "otp", "")) == ((), None)


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("525512345678", "MX"),
        ("56987654321", "CL"),
        ("573001112233", "CO"),
        ("12125550123", "US"),
        ("14165550123", "CA"),
        ("18095550123", "DO"),
        ("77011112233", "KZ"),
        ("79161112233", "RU"),
        ("870123456789", ""),
        ("anna@example.com", ""),
        ("", ""),
    ],
)
def test_the_first_digits_tell_the_country(number, country):
    assert country_of(number) == country
