"""One sender to one person: so many messages at once, then one in each interval. Pure, bounded, time is an argument.

Used by dialects of carriers that limit the pair besides the rate. A message that was held up is tried again later by
itself; the lane goes on.
"""

from collections import OrderedDict
from typing import Final

MAX_PAIRS: Final = 200_000


class PairLimiter:
    """A bucket for each person that was written to lately; times in milliseconds.

    `interval_ms` apart for ever, `burst` at once out of rest: in any span T at most burst + T / interval. People beyond
    `max_pairs` are forgotten, those longest at rest first: then the carrier's own limit decides.
    """

    __slots__ = ("_due_ms", "_interval_ms", "_max_pairs", "_slack_ms")

    def __init__(self, *, interval_ms: int, burst: int = 1, max_pairs: int = MAX_PAIRS) -> None:
        if interval_ms < 1 or burst < 1 or max_pairs < 1:
            raise ValueError(f"interval {interval_ms} ms, burst {burst}, pairs {max_pairs}: each at least 1")
        self._interval_ms = interval_ms
        self._slack_ms = (burst - 1) * interval_ms
        self._max_pairs = max_pairs
        # Until when each person's bucket owes; the ones written to last are at the end.
        self._due_ms: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._due_ms)

    def take(self, person: str, *, now_ms: int) -> int:
        """Return 0 and count a message, or return how many milliseconds are missing and count nothing."""
        due_ms = self._due_ms.get(person, 0)
        wait_ms = due_ms - self._slack_ms - now_ms
        if wait_ms > 0:
            # A clock that was set back must not hold people up for longer than the bucket can owe.
            return min(wait_ms, self._slack_ms + self._interval_ms)
        self._due_ms[person] = min(max(due_ms, now_ms), now_ms + self._slack_ms) + self._interval_ms
        self._due_ms.move_to_end(person)
        self._forget(now_ms)
        return 0

    def _forget(self, now_ms: int) -> None:
        """Drop a few of those longest at rest: each call adds one at most, so the table cannot outgrow its bound."""
        due = self._due_ms
        for _ in range(2):
            person, due_ms = next(iter(due.items()))
            if due_ms > now_ms and len(due) <= self._max_pairs:
                return
            del due[person]
            if not due:
                return
