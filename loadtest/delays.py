"""Delays as configuration writes them: a constant, or a log-normal given by its median and 99th percentile."""

import math
import re
from random import Random
from statistics import NormalDist
from typing import Final

MAX_DELAY_S: Final = 86_400
_TABLE_BITS: Final = 12
_UNIT_NS: Final = {
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)")
_Z99: Final = NormalDist().inv_cdf(0.99)


def parse_duration_ns(text: str) -> int:
    """Return the nanoseconds of `"20ms"`, `"1.5s"`, `"2m"` or `"0"`. Raises ValueError naming the text."""
    if text.strip() == "0":
        return 0
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"duration {text!r} is not a number with a unit (us, ms, s, m, h)")
    duration_ns = int(float(found[1]) * _UNIT_NS[found[2]])
    if duration_ns > MAX_DELAY_S * 1_000_000_000:
        raise ValueError(f"duration {text!r} is above the limit of {MAX_DELAY_S} s")
    return duration_ns


class Delay:
    """Draws delays in nanoseconds. A distribution is drawn from a table of 4,096 quantiles: one look-up per draw."""

    __slots__ = ("_bits", "_fixed_ns", "_table", "text")

    def __init__(self, text: str, *, seed: str = "") -> None:
        """Read `"20ms"` or `"p50=20ms,p99=120ms"`. Raises ValueError naming what is wrong."""
        self.text = text
        self._bits = Random(f"delay:{seed}").getrandbits
        self._table: list[int] | None = None
        self._fixed_ns = 0
        if "=" not in text:
            self._fixed_ns = parse_duration_ns(text)
            return
        parts = dict(part.strip().split("=", 1) for part in text.split(",") if "=" in part)
        if set(parts) != {"p50", "p99"}:
            raise ValueError(f"delay {text!r} is neither a duration nor 'p50=...,p99=...'")
        p50_ns, p99_ns = parse_duration_ns(parts["p50"]), parse_duration_ns(parts["p99"])
        if not 0 < p50_ns <= p99_ns:
            raise ValueError(f"delay {text!r} needs 0 < p50 <= p99")
        sigma = math.log(p99_ns / p50_ns) / _Z99
        size = 1 << _TABLE_BITS
        quantile = NormalDist().inv_cdf
        self._table = [int(p50_ns * math.exp(sigma * quantile((k + 0.5) / size))) for k in range(size)]

    @property
    def median_ns(self) -> int:
        """Return the delay that half of the draws stay below; the fixed one where it is none of chance."""
        return self._fixed_ns if self._table is None else self._table[len(self._table) // 2]

    def draw_ns(self) -> int:
        """Return the next delay."""
        if self._table is None:
            return self._fixed_ns
        return self._table[self._bits(_TABLE_BITS)]
