"""Rates as configuration writes them: text with a unit, kept as an exact fraction.

Read by the settings and by whoever builds a `Gcra`.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Self

SECOND_NS: Final = 1_000_000_000
MAX_PER_S: Final = 1_000_000
MIN_PER_S: Final = Fraction(1, 3600)

_UNIT_S: Final = {"s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600}
_EXAMPLES: Final = '"100/s", "6000/min" or "2.5/s"'


class RateError(ValueError):
    """A rate that cannot be read or lies outside [1/h, 1000000/s]; the text names value and limit."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Permits per second, exact. Built by `parse` or `of`."""

    per_s: Fraction

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the rate that `text` says: digits (with `_` or a decimal point), a slash, a unit (s, min, h).

        Raises RateError.
        """
        count_text, slash, unit = text.strip().partition("/")
        seconds = _UNIT_S.get(unit.strip().lower())
        if not slash or seconds is None:
            raise RateError(f"rate {text!r} has no known unit (s, min, h); write it as {_EXAMPLES}")
        digits = count_text.strip()
        # Fraction() also takes "1/3", "1e3", signs and "nan"-like words; a configuration should look like a rate.
        if not digits.isascii() or not digits.replace("_", "").replace(".", "", 1).isdigit():
            raise RateError(f"rate {text!r} does not start with a number; write it as {_EXAMPLES}")
        try:
            count = Fraction(digits)
        except ValueError:
            raise RateError(f"rate {text!r} does not start with a number; write it as {_EXAMPLES}") from None
        return cls._checked(count / seconds, text)

    @classmethod
    def of(cls, per_s: float | Fraction) -> Self:
        """Return the rate of `per_s` permits per second. Raises RateError outside the limits."""
        try:
            return cls._checked(Fraction(per_s), f"{per_s}/s")
        except (ValueError, OverflowError):
            raise RateError(f"rate '{per_s}/s' is not a finite number within 1/h and {MAX_PER_S}/s") from None

    @classmethod
    def _checked(cls, per_s: Fraction, text: str) -> Self:
        if per_s > MAX_PER_S:
            raise RateError(f"rate {text!r} is above the limit of {MAX_PER_S}/s")
        if per_s < MIN_PER_S:
            raise RateError(f"rate {text!r} is below the limit of 1/h")
        return cls(per_s)

    @property
    def gap_ns(self) -> int:
        """Distance between two permits, rounded up: the rounding never adds a permit."""
        return -(-SECOND_NS * self.per_s.denominator // self.per_s.numerator)

    def divided_by(self, shares: int) -> Self:
        """Return the rate of one of `shares` equal parts. Raises RateError when a part falls below 1/h."""
        if shares < 1:
            raise RateError(f"a rate is divided by at least 1, not {shares}")
        return self._checked(self.per_s / shares, f"{self} / {shares}")

    def __str__(self) -> str:
        """Write the rate per second, minute or hour, the first that is a whole number (`"100/s"`)."""
        for unit, seconds in (("s", 1), ("min", 60), ("h", 3600)):
            count = self.per_s * seconds
            if count.denominator == 1:
                return f"{count.numerator}/{unit}"
        return f"{float(self.per_s):.6g}/s"
