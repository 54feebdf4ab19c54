"""Which messages are traced: decided once, where they enter, and carried with them from there.

A caller that traces is followed; for all others a share of the messages is drawn. Skipping to the next drawn message
costs nothing for those in between, so a batch of ten thousand is decided as fast as a single message.
"""

from collections.abc import Sequence
from math import inf, log1p
from random import Random
from typing import Final

MAX_PER_REQUEST: Final = 20
"""Most messages of one request that are traced."""

_SECOND_NS: Final = 1_000_000_000


class Sampler:
    """One per process. `max_per_s` bounds what is traced whatever callers ask for."""

    def __init__(self, ratio: float, *, max_per_s: int, random: Random) -> None:
        self._ratio = ratio
        self._max_per_s = max_per_s
        self._random = random
        self._second = 0
        self._used = 0
        self._skip = self._draw()

    def draw(self, count: int, *, now_ns: int) -> Sequence[int]:
        """Return the places, from 0, of those among `count` messages that are drawn."""
        if self._skip >= count:
            self._skip -= count
            return ()
        drawn: list[int] = []
        place = self._skip
        while place < count:
            drawn.append(int(place))
            place += 1 + self._draw()
        self._skip = place - count
        return drawn[: self._allowed(min(len(drawn), MAX_PER_REQUEST), now_ns)]

    def follow(self, count: int, *, now_ns: int) -> Sequence[int]:
        """Return the places of those among `count` messages that are traced because their caller traces."""
        return range(self._allowed(min(count, MAX_PER_REQUEST), now_ns))

    def _draw(self) -> float:
        """Return how many messages are passed over before the next one."""
        if self._ratio >= 1:
            return 0
        if self._ratio <= 0:
            return inf
        return log1p(-self._random.random()) / log1p(-self._ratio) // 1

    def _allowed(self, count: int, now_ns: int) -> int:
        second = now_ns // _SECOND_NS
        if second != self._second:
            self._second, self._used = second, 0
        allowed = min(count, self._max_per_s - self._used)
        self._used += allowed
        return allowed
