"""SMPP times: rows E1, E2 and E3."""

from datetime import UTC, datetime, timedelta

import pytest

from adapters.smpp.wire.times import (
    MAX_RELATIVE_S,
    TimeFault,
    format_absolute,
    format_relative,
    parse_time,
    time_status,
)


def test_e1_five_minutes_relative():
    assert format_relative(300) == "000000000500000R"
    assert parse_time("000000000500000R") == timedelta(minutes=5)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1, "000000000001000R"),
        (59.9, "000000000059000R"),
        (86_400, "000001000000000R"),
        (90_061, "000001010101000R"),
    ],
)
def test_relative_times_are_whole_seconds_rounded_down(seconds, text):
    assert format_relative(seconds) == text
    assert parse_time(text) == timedelta(seconds=int(seconds))


@pytest.mark.parametrize("seconds", [MAX_RELATIVE_S, MAX_RELATIVE_S + 1, 10**9, float("inf")])
def test_relative_times_stop_at_what_the_day_field_says(seconds):
    assert format_relative(seconds) == "000031235959000R"


@pytest.mark.parametrize("seconds", [0, 0.5, -60, float("nan")])
def test_no_remaining_validity_is_no_relative_time(seconds):
    with pytest.raises(ValueError, match="in the past"):
        format_relative(seconds)


def test_e2_mexico_city_is_24_quarters_behind_utc():
    when = datetime(2026, 1, 16, 0, 30, tzinfo=UTC)
    assert format_absolute(when, offset_minutes=-360) == "260115183000024-"
    assert parse_time("260115183000024-") == when


def test_an_offset_ahead_of_utc_is_plus():
    when = datetime(2026, 1, 15, 18, 30, 1, 700_000, tzinfo=UTC)
    assert format_absolute(when) == "260115183001700+"
    assert format_absolute(when, offset_minutes=45) == "260115191501703+"
    assert parse_time("260115191501703+") == when


@pytest.mark.parametrize("offset_minutes", [7, -735, 735, 1])
def test_an_offset_the_wire_cannot_say_is_refused(offset_minutes):
    with pytest.raises(ValueError, match="offset"):
        format_absolute(datetime(2026, 1, 15, tzinfo=UTC), offset_minutes=offset_minutes)


def test_a_naive_instant_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        format_absolute(datetime(2026, 1, 15))


def test_an_empty_time_is_none():
    assert parse_time("") is None


def test_relative_years_and_months_count_365_and_30_days():
    assert parse_time("010100000000000R") == timedelta(days=395)


E3 = [
    "2601151830000",
    "260115183000024-0",
    "261315183000000+",
    "260015183000000+",
    "260132183000000+",
    "260115253000000+",
    "260115183000049+",
    "260115183000000X",
    "260115183000000r",
    "26011518300000a+",
    "26011518300000\u0663+",
    "001300000000000R",
    "000032000000000R",
    "000000240000000R",
    "000000006000000R",
    "000000000060000R",
    "000000000500100R",
    "000000000500001R",
]


@pytest.mark.parametrize("text", E3)
def test_e3_a_wrong_time_is_a_value(text):
    fault = parse_time(text)
    assert isinstance(fault, TimeFault)
    assert fault.detail


@pytest.mark.parametrize("text", E3)
def test_e3_the_server_answers_0x61_and_0x62(text):
    assert time_status(schedule_delivery_time=text, validity_period="") == 0x61
    assert time_status(schedule_delivery_time="", validity_period=text) == 0x62


def test_e3_good_times_are_ok():
    assert time_status(schedule_delivery_time="", validity_period="") == 0
    assert time_status(schedule_delivery_time="260115183000024-", validity_period="000000000500000R") == 0
