"""`[carriers.<id>.breaker]`: when a bind in trouble is left alone, and how it comes back."""

from pydantic import Field, ValidationInfo, field_validator

from gateway.settings.base import Section


class BreakerSettings(Section):
    """When a bind is left alone: trouble in connecting, binding or answering, never a refusal or a throttle answer."""

    failures: int = Field(
        3, ge=1, le=100, description="Troubles in a row that open the breaker of a bind.", examples=["5"]
    )
    open_s: float = Field(
        5.0,
        gt=0,
        le=3600,
        description="Seconds without a submit once it is open; each trouble right after doubles them.",
        examples=["10"],
    )
    max_open_s: float = Field(
        60.0, gt=0, le=3600, description="Longest time without a submit, in seconds.", examples=["120"]
    )
    probes: int = Field(
        3,
        ge=1,
        le=100,
        description="Submits that try a bind after that; when all are answered its rate grows back within seconds.",
        examples=["5"],
    )

    @field_validator("max_open_s")
    @classmethod
    def _not_below_the_first(cls, value: float, info: ValidationInfo) -> float:
        first_s = info.data.get("open_s", 0.0)
        if value < first_s:
            raise ValueError(f"{value:g} is below open_s {first_s:g}")
        return value
