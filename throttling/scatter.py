"""Throttle answers that are not about the rate: a share of everything, refused whatever the rate. Used by `aimd`.

A carrier may throttle single numbers. Cutting the rate for those would strangle a bind and change nothing, and that is
how they are told: after a row of cuts from a rate that had been taken, the same small share is still refused. It is
lived with for a minute unless it grows. Every instant is a monotonic clock's, in nanoseconds.
"""

from typing import Final

from throttling.rates import SECOND_NS

MAX_SHARE: Final = 0.15
LEAST_REFUSED: Final = 8
ROW_NS: Final = 8 * SECOND_NS
# The share is no limit's if it is still there at this part of what was taken when the row of cuts began.
DEPTH: Final = 0.8
GROWTH: Final = 1.6
LIVES_NS: Final = 60 * SECOND_NS
DISTRUST_NS: Final = 20 * SECOND_NS
_END_PART: Final = 6


class Scatter:
    """The share that is refused at any rate, 0 while none is known, and the row of cuts it is looked for in.

    `row_rate_per_s` is the rate that the row began at.
    """

    __slots__ = (
        "_distrusted_until_ns",
        "_is_proven",
        "_most",
        "_now",
        "_refused",
        "_row_ns",
        "_taken",
        "_until_ns",
        "row_rate_per_s",
        "share",
    )

    def __init__(self) -> None:
        self.share = 0.0
        self.row_rate_per_s = 0.0
        self._row_ns = 0
        self._is_proven = False
        self._taken = 0
        self._refused = 0
        self._now = 0.0  # the share of late, moving
        self._most = 0.0
        self._until_ns = 0
        self._distrusted_until_ns = 0

    def begin_row(self, rate_per_s: float, *, now_ns: int, is_proven: bool) -> None:
        """Note the first cut of a row; `is_proven` tells that the rate had been taken before."""
        self.row_rate_per_s, self._row_ns, self._is_proven = rate_per_s, now_ns, is_proven
        self._taken, self._refused = 0, 1

    def prove(self) -> None:
        """Note that the rate at the begin of the row had been taken after all."""
        self._is_proven = True

    def taken(self) -> None:
        """Note a submit that was taken."""
        self._taken += 1
        if self.share:
            self._now -= self._now * self._weight
            if self._now < self.share / _END_PART:
                self.share = 0.0

    def refused(self) -> None:
        """Note a submit that was throttled."""
        self._refused += 1

    def absorbs(self, now_ns: int) -> bool:
        """Tell whether a throttled submit belongs to the known share."""
        if not self.share:
            return False
        if now_ns >= self._until_ns:
            self.share = 0.0
            return False
        weight = self._weight
        self._now += (1 - self._now) * weight
        self.share = min(self.share + (self._now - self.share) * weight, self._most)
        if self._now <= GROWTH * self.share + weight:
            return True
        self.share = 0.0
        self._distrusted_until_ns = now_ns + DISTRUST_NS
        return False

    def is_found(self, rate_per_s: float, *, now_ns: int) -> bool:
        """Tell, at another cut of the row, whether cutting has changed nothing; from then on the share is known."""
        share = self._refused / (self._refused + self._taken)
        if (
            not self._is_proven
            or now_ns < self._distrusted_until_ns
            or now_ns > self._row_ns + ROW_NS
            or self._refused < LEAST_REFUSED
            or share > MAX_SHARE
            or rate_per_s >= DEPTH * (1 - share) * self.row_rate_per_s
        ):
            return False
        self.share = self._now = share
        self._most = GROWTH * share
        self._until_ns = now_ns + LIVES_NS
        return True

    @property
    def _weight(self) -> float:
        return self.share / 16
