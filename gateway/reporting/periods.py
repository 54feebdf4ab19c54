"""Days, weeks and months of a time zone, as spans of whole UTC hours. Pure; used by `gateway.ingress.reports`.

Counts are kept by hour, so a zone whose days begin within one (such as Asia/Kolkata) cannot be reported in.
"""

from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from gateway.ports.report_store import HOUR_MS

MAX_DAYS: Final = {"day": 400, "week": 1100, "month": 1100}
_DEFAULT_PERIODS: Final = {"day": 7, "week": 4, "month": 3}
_DAY: Final = timedelta(days=1)
_FIRST_YEAR: Final = 2000
_LAST_YEAR: Final = 2199


class PeriodError(ValueError):
    """The span or zone cannot be cut into periods; `parameter` is the one to change."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(detail)
        self.parameter = parameter


class Period(StrEnum):
    """How a span is cut."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Span(NamedTuple):
    """One period, or the part of it that was asked for. Times in milliseconds since the epoch; `ends` is not in it."""

    label: str
    begins: int
    ends: int


def cut(period: Period, *, first: date, last: date, zone: ZoneInfo) -> list[Span]:
    """Return the periods from one day to another, both included; the outer ones cut off there. Raises PeriodError.

    A day begins at midnight; where the clocks are put forward at midnight, an hour later. Weeks are those of ISO 8601.
    """
    check_day("from", first)
    check_day("to", last)
    if last < first:
        raise PeriodError("to", f"to {last} is before from {first}")
    days = (last - first).days + 1
    if days > MAX_DAYS[period]:
        raise PeriodError("from", f"{days} days are above the limit of {MAX_DAYS[period]} by {period}")
    spans = []
    begins = first
    while begins <= last:
        after = min(_end(period, begins), last + _DAY)
        spans.append(Span(_label(period, begins), _midnight(begins, zone), _midnight(after, zone)))
        begins = after
    return spans


def check_day(parameter: str, day: date | None) -> None:
    """Raise PeriodError for a day that no message is of."""
    if day is not None and not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise PeriodError(parameter, f"{parameter} {day} is not from {_FIRST_YEAR} to {_LAST_YEAR}")


def default_first(period: Period, last: date) -> date:
    """Return where a report begins that nobody said more of: the last few periods, the one of `last` included."""
    first = _begin(period, last)
    for _ in range(_DEFAULT_PERIODS[period] - 1):
        first = _begin(period, first - _DAY)
    return first


def _begin(period: Period, day: date) -> date:
    if period is Period.DAY:
        return day
    return day - timedelta(days=day.weekday()) if period is Period.WEEK else day.replace(day=1)


def _end(period: Period, day: date) -> date:
    """Return the first day of the next period."""
    if period is Period.DAY:
        return day + _DAY
    if period is Period.WEEK:
        return _begin(period, day) + timedelta(days=7)
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _label(period: Period, day: date) -> str:
    if period is Period.DAY:
        return day.isoformat()
    if period is Period.MONTH:
        return f"{day:%Y-%m}"
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02d}"


def _midnight(day: date, zone: ZoneInfo) -> int:
    # The first of two midnights where there are two; where there is none, the moment the clocks were put forward.
    at_ms = round(datetime.combine(day, time(), tzinfo=zone).timestamp() * 1000)
    if at_ms % HOUR_MS:
        raise PeriodError(
            "tz",
            f"in {zone.key} the day {day} does not begin on a full hour of UTC, which is what is counted by",
        )
    return at_ms
