"""How many submits came in any window: kept as they arrive for two windows, computed on demand for others.

`HiddenLimit` is the rate that a simulator keeps to itself.
"""

from array import array
from collections import deque
from typing import Any, Final

SECOND_NS: Final = 1_000_000_000
_BURST_NS: Final = 100_000_000  # of a hidden limit: a tenth of a second
MAX_SERIES_S: Final = 7_200


class WindowMaximum:
    """The largest count in any window of `window_ns` (open at its start), exact; batches share one instant.

    Memory is bounded by the batches of one window.
    """

    __slots__ = ("_batches", "_count", "_window_ns", "worst_at_ns", "worst_count")

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._batches: deque[tuple[int, int]] = deque()
        self._count = 0
        self.worst_count = 0
        self.worst_at_ns = 0

    def add(self, now_ns: int, count: int) -> None:
        """Count a batch that arrived at `now_ns`, not earlier than the one before."""
        batches = self._batches
        batches.append((now_ns, count))
        self._count += count
        horizon = now_ns - self._window_ns
        while batches[0][0] <= horizon:
            self._count -= batches.popleft()[1]
        if self._count > self.worst_count:
            self.worst_count = self._count
            self.worst_at_ns = now_ns


class ArrivalWatch:
    """What the rate judge reads: the worst 1-second window and the worst 10 ms, and the count of each second."""

    __slots__ = ("_per_second", "hundredth", "second")

    def __init__(self) -> None:
        self.second = WindowMaximum(SECOND_NS)
        self.hundredth = WindowMaximum(SECOND_NS // 100)
        self._per_second: deque[list[int]] = deque(maxlen=MAX_SERIES_S)

    def add(self, now_ns: int, count: int) -> None:
        """Count a batch."""
        self.second.add(now_ns, count)
        self.hundredth.add(now_ns, count)
        second = now_ns // SECOND_NS
        if self._per_second and self._per_second[-1][0] == second:
            self._per_second[-1][1] += count
        else:
            self._per_second.append([second, count])

    def report(self) -> dict[str, Any]:
        """Return both maxima with their instants (monotonic ns, the end of the window)."""
        return {
            "worst_1s_count": self.second.worst_count,
            "worst_1s_at_ns": self.second.worst_at_ns,
            "worst_10ms_count": self.hundredth.worst_count,
            "worst_10ms_at_ns": self.hundredth.worst_at_ns,
        }

    def series(self) -> list[list[int]]:
        """Return [second of the monotonic clock, count], seconds without arrivals left out."""
        return [list(entry) for entry in self._per_second]


class WindowScan:
    """The largest count in any window of `window_ns` over arrivals fed in order, in pieces."""

    __slots__ = ("_recent", "_window_ns", "count", "first_ns", "last_ns", "worst_at_ns", "worst_count")

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._recent: deque[int] = deque()
        self.count = 0
        self.first_ns = 0
        self.last_ns = 0
        self.worst_count = 0
        self.worst_at_ns = 0

    def feed(self, arrivals_ns: "array[int] | list[int]") -> None:
        """Go on with the next arrivals."""
        recent = self._recent
        append, popleft = recent.append, recent.popleft
        worst = self.worst_count
        for at_ns in arrivals_ns:
            append(at_ns)
            horizon = at_ns - self._window_ns
            while recent[0] <= horizon:
                popleft()
            if len(recent) > worst:
                worst = len(recent)
                self.worst_at_ns = at_ns
        self.worst_count = worst
        if len(arrivals_ns):
            self.first_ns = self.first_ns or arrivals_ns[0]
            self.last_ns = arrivals_ns[-1]
            self.count += len(arrivals_ns)

    def report(self) -> dict[str, Any]:
        """Return count, span, mean rate over the span and the worst window."""
        span_ns = self.last_ns - self.first_ns
        return {
            "window_ms": self._window_ns / 1e6,
            "count": self.count,
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
            "mean_per_s": round((self.count - 1) / span_ns * SECOND_NS, 3) if span_ns > 0 else None,
            "worst_count": self.worst_count,
            "worst_at_ns": self.worst_at_ns,
        }


class HiddenLimit:
    """Rate limit the ESME is not told: a token bucket of a tenth of a second (at least one), in nanoseconds."""

    __slots__ = ("_due_ns", "_gap_ns", "_slack_ns")

    def __init__(self, per_s: float) -> None:
        if not 0 < per_s <= 1_000_000:
            raise ValueError(f"mps {per_s} is outside 0..1000000")
        self._gap_ns = max(1, int(SECOND_NS / per_s))
        self._slack_ns = max(_BURST_NS - self._gap_ns, 0)
        self._due_ns = 0

    def takes(self, now_ns: int) -> bool:
        """Take a token, or return False when there is none."""
        due_ns = max(self._due_ns, now_ns)
        if due_ns - now_ns > self._slack_ns:
            return False
        self._due_ns = due_ns + self._gap_ns
        return True
