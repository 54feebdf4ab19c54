"""`[carriers.<id>.retry]` and `[carriers.<id>.lanes]`: when a refused segment is tried again, how lanes share the rate.

Durations are texts with their unit: "500ms", "5s", "3min", "1h".
"""

import re
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from gateway.settings.base import Section
from gateway.settings.profile import StatusText, status_code

MAX_DELAYS = 20
_MAX_MS = 24 * 3_600_000
_UNIT_MS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000}
_DURATION = re.compile(r"(\d{1,9})\s*(ms|s|min|h)", re.ASCII).fullmatch


def duration_ms(text: str) -> int:
    """Return the milliseconds that a duration with its unit says; ValueError unless 1 ms to 24 h."""
    found = _DURATION(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no duration; write a whole number with ms, s, min or h, such as 30s")
    duration = int(found[1]) * _UNIT_MS[found[2]]
    if not 1 <= duration <= _MAX_MS:
        raise ValueError(f"{text!r} is not within 1ms to 24h")
    return duration


def _check_ascending(delays: tuple[str, ...]) -> tuple[str, ...]:
    bounds = [duration_ms(delay) for delay in delays]
    for index, (earlier, later) in enumerate(pairwise(bounds)):
        if later <= earlier:
            raise ValueError(
                f"{delays[index + 1]} is not longer than {delays[index]} before it: delays ascend"
            )
    return delays


Delays = Annotated[tuple[str, ...], Field(max_length=MAX_DELAYS), AfterValidator(_check_ascending)]


class ScheduleSettings(Section):
    """When refused segments of one class are tried again on this carrier."""

    delays: Delays | None = Field(
        None,
        description="Longest delay after each refusal, at random from the one before it; as many retries as delays. "
        "None at all: the defaults of the class; `[]`: no retry.",
        examples=['["1s", "5s", "30s"]'],
        json_schema_extra={"limits": "at most 20, ascending, 1ms to 24h"},
    )


class StatusScheduleSettings(ScheduleSettings):
    """The same for one command_status, whatever the class."""

    then: Literal["failover", "fail"] = Field(
        "failover",
        description="When the retries are used up: the next carrier, or the end.",
        examples=['"fail"'],
    )


class ClassRetrySettings(Section):
    """The carrier's own schedule by class; what is left out keeps the defaults."""

    otp: ScheduleSettings = Field(
        ScheduleSettings(),
        description="Class otp; default 1s, 2s, 5s.",
        examples=['{delays = ["500ms", "1s"]}'],
    )
    transactional: ScheduleSettings = Field(
        ScheduleSettings(),
        description="Class transactional; default 1s, 5s, 30s, 3min, 10min.",
        examples=['{delays = ["2s", "20s"]}'],
    )
    collections: ScheduleSettings = Field(
        ScheduleSettings(),
        description="Class collections; default 5s, 30s, 3min.",
        examples=['{delays = ["30s", "5min"]}'],
    )
    marketing: ScheduleSettings = Field(
        ScheduleSettings(), description="Class marketing; default 5s, 30s, 3min.", examples=["{delays = []}"]
    )


class HttpRetrySettings(ClassRetrySettings):
    """The schedule of an HTTP carrier."""

    status: dict[str, StatusScheduleSettings] = Field(
        {},
        description="A schedule for one error code of the carrier, or for an HTTP status (`HTTP_503`) of answers "
        "without a code; it wins over that of the class.",
        examples=['{HTTP_503 = {delays = ["1s", "10s"], then = "fail"}}'],
    )


class RetrySettings(ClassRetrySettings):
    """The schedule of an SMPP carrier."""

    status: dict[StatusText, StatusScheduleSettings] = Field(
        {},
        description="A schedule for one command_status, by name or code; it wins over that of the class.",
        examples=['{ESME_RSYSERR = {delays = ["1s", "10s"], then = "fail"}}'],
    )

    @field_validator("status")
    @classmethod
    def _each_once(cls, value: dict[str, StatusScheduleSettings]) -> dict[str, StatusScheduleSettings]:
        seen: dict[int, str] = {}
        for text in value:
            code = status_code(text)
            if code in seen:
                raise ValueError(f"{seen[code]} and {text} are the same command_status")
            seen[code] = text
        return value


class WeightSettings(Section):
    """What otp leaves of the rate is divided by these."""

    transactional: int = Field(6, ge=1, le=1000, description="Weight of class transactional.", examples=["6"])
    collections: int = Field(3, ge=1, le=1000, description="Weight of class collections.", examples=["3"])
    marketing: int = Field(1, ge=1, le=1000, description="Weight of class marketing.", examples=["1"])


class LaneSettings(Section):
    """How the class lanes share the carrier's rate while all of them wait."""

    otp_share: float = Field(
        0.98,
        ge=0.5,
        le=1,
        description="Part of the rate reserved for otp while it waits; at 1 the others wait as long as any otp does.",
        examples=["0.9"],
    )
    weights: WeightSettings = Field(
        WeightSettings(),
        description="Shares of the other classes in the rest; what one does not use goes to those that wait.",
        examples=["{transactional = 6, collections = 3, marketing = 1}"],
    )
