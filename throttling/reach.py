"""How many different people may be written to first in a day: the messaging limit of a portfolio of numbers. Pure.

Used by dialects of carriers that limit it. The carrier counts what it delivered and has the last word; this keeps a
campaign from running into the limit message by message.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

DAY_MS: Final = 24 * 3_600 * 1_000


class ReachLimiter:
    """People written to within the last `span_ms`; at most `limit` different ones. Times in milliseconds.

    Who was written to within the span may be written to again without counting twice, and counts from the last time.
    """

    __slots__ = ("_last_ms", "_limit", "_span_ms")

    def __init__(self, limit: int, *, span_ms: int = DAY_MS) -> None:
        if limit < 1 or span_ms < 1:
            raise ValueError(f"limit {limit}, span {span_ms} ms: each at least 1")
        self._limit = limit
        self._span_ms = span_ms
        # In the order of the times: whom to forget is always at the front.
        self._last_ms: OrderedDict[str, int] = OrderedDict()

    @property
    def limit(self) -> int:
        """How many different people."""
        return self._limit

    def __len__(self) -> int:
        return len(self._last_ms)

    def take(self, person: str, *, now_ms: int) -> int:
        """Return 0 and count the person, or return how many milliseconds until a place is free and count nobody."""
        last = self._last_ms
        self._forget(now_ms)
        if person not in last and len(last) >= self._limit:
            oldest_ms = next(iter(last.values()))
            return max(1, min(oldest_ms + self._span_ms - now_ms, self._span_ms))
        last[person] = now_ms
        last.move_to_end(person)
        return 0

    def learn(self, reached: Iterable[tuple[str, int]], *, now_ms: int) -> None:
        """Count people who were written to before: (person, time) in any order. Later times stay."""
        floor_ms = now_ms - self._span_ms
        known = dict(self._last_ms)
        for person, at in reached:
            if at > floor_ms:
                known[person] = max(min(at, now_ms), known.get(person, 0))
        newest = sorted(known.items(), key=_time)[-self._limit :]
        self._last_ms = OrderedDict(newest)

    def _forget(self, now_ms: int) -> None:
        last, floor_ms = self._last_ms, now_ms - self._span_ms
        while last:
            person, at = next(iter(last.items()))
            if at > floor_ms:
                return
            del last[person]


def _time(entry: tuple[str, int]) -> int:
    return entry[1]
