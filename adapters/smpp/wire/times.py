"""SMPP times (SMPP 3.4 §7.1.1): `YYMMDDhhmmsstnnp`, written and read by slices.

A time the peer sent wrongly is a value (`TimeFault`), not an exception.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from adapters.smpp.wire.constants import ESME_RINVEXPIRY, ESME_RINVSCHED, ESME_ROK

TIME_CHARACTERS = 16
MAX_OFFSET_QUARTERS = 48

# SMPP 3.4 §7.1.1.2: the day field ends at 31, and a month has no fixed length we could use instead.
MAX_RELATIVE_S = 31 * 86_400 + 86_399

# A relative month and year have no fixed length either; SMPP 3.4 gives none.
_MONTH_DAYS = 30
_YEAR_DAYS = 365


@dataclass(frozen=True, slots=True)
class TimeFault:
    """Why a time on the wire cannot be read."""

    detail: str


ParsedTime = datetime | timedelta | TimeFault | None


def format_relative(seconds: float) -> str:
    """Return a duration as a relative time, whole seconds rounded down.

    Capped at 31 days 23:59:59, the most the day field says. Raises ValueError below one second:
    a message without remaining validity is expired, not sent.
    """
    if not seconds >= 1:
        raise ValueError(f"a relative time of {seconds} s is in the past")
    whole = int(min(seconds, MAX_RELATIVE_S))
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    return f"0000{day:02}{hour:02}{minute:02}{second:02}000R"


def format_absolute(when: datetime, *, offset_minutes: int = 0) -> str:
    """Return an aware instant as an absolute time, in local time of `offset_minutes` from UTC.

    The offset is written in quarter hours with its sign, so UTC-6 is `024-`. Raises ValueError for
    a naive instant, and for an offset that is no quarter hour or beyond 12 hours.
    """
    if when.tzinfo is None:
        raise ValueError("an absolute time needs an instant with its time zone")
    quarters, rest = divmod(abs(offset_minutes), 15)
    if rest or quarters > MAX_OFFSET_QUARTERS:
        raise ValueError(f"offset {offset_minutes} min is not a quarter hour within 12 hours")
    sign = "-" if offset_minutes < 0 else "+"
    local = when.astimezone(UTC) + timedelta(minutes=offset_minutes)
    tenth = local.microsecond // 100_000
    return (
        f"{local.year % 100:02}{local.month:02}{local.day:02}"
        f"{local.hour:02}{local.minute:02}{local.second:02}{tenth}{quarters:02}{sign}"
    )


def parse_time(text: str) -> ParsedTime:
    """Read a time field: None when empty, an aware UTC instant, a duration, or a TimeFault.

    In a duration a month counts 30 days and a year 365.
    """
    if not text:
        return None
    if len(text) != TIME_CHARACTERS:
        return TimeFault(f"{len(text)} characters instead of {TIME_CHARACTERS}")
    digits, sign = text[:15], text[15]
    if not (digits.isascii() and digits.isdigit()):
        return TimeFault("the first 15 characters are not digits")
    year, month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(0, 12, 2))
    tenth, quarters = int(digits[12]), int(digits[13:])
    if sign == "R":
        if month > 12 or day > 31 or hour > 23 or minute > 59 or second > 59:
            return TimeFault("a field of the relative time is out of range")
        if tenth or quarters:
            return TimeFault("a relative time has no tenths and no offset")
        days = year * _YEAR_DAYS + month * _MONTH_DAYS + day
        return timedelta(days=days, hours=hour, minutes=minute, seconds=second)
    if sign not in {"+", "-"}:
        return TimeFault("the last character is none of + - R")
    if quarters > MAX_OFFSET_QUARTERS:
        return TimeFault(f"offset of {quarters} quarter hours is above {MAX_OFFSET_QUARTERS}")
    try:
        local = datetime(2000 + year, month, day, hour, minute, second, tenth * 100_000, tzinfo=UTC)
    except ValueError as error:
        return TimeFault(str(error))
    offset = timedelta(minutes=15 * quarters)
    return local - offset if sign == "+" else local + offset


def time_status(*, schedule_delivery_time: str, validity_period: str) -> int:
    """Return the command_status that answers the two time fields of a submit: 0, 0x61 or 0x62."""
    if isinstance(parse_time(schedule_delivery_time), TimeFault):
        return ESME_RINVSCHED
    if isinstance(parse_time(validity_period), TimeFault):
        return ESME_RINVEXPIRY
    return ESME_ROK
