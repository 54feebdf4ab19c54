"""Carriers with a limit that nobody told us, and a bind that submits to one as fast as its pace allows: virtual time.

Used by the tests of the pace of a bind.
"""

from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from random import Random

from throttling.rates import SECOND_NS

WAIT_FOR_EVENT = -1


class TokenBucket:
    """Counts as a bucket that holds `depth_s` seconds of its rate (at least one submit)."""

    def __init__(self, per_s: float, *, depth_s: float = 0.1) -> None:
        self.per_s = per_s
        self._most = max(1.0, per_s * depth_s)
        self._tokens = self._most
        self._at_ns = 0

    def takes(self, now_ns: int) -> bool:
        self._tokens = min(self._most, self._tokens + (now_ns - self._at_ns) * self.per_s / SECOND_NS)
        self._at_ns = now_ns
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class FixedWindow:
    """Counts anew in every second of its own clock, which began at `phase_ns`."""

    def __init__(self, per_s: float, *, phase_ns: int = 0) -> None:
        self.per_s = per_s
        self._phase_ns = phase_ns
        self._window = -1
        self._count = 0

    def takes(self, now_ns: int) -> bool:
        window = (now_ns + self._phase_ns) // SECOND_NS
        if window != self._window:
            self._window, self._count = window, 0
        if self._count + 1 > self.per_s:
            return False
        self._count += 1
        return True


class SlidingWindow:
    """Counts what it took in the last second."""

    def __init__(self, per_s: float) -> None:
        self.per_s = per_s
        self._taken: deque[int] = deque()

    def takes(self, now_ns: int) -> bool:
        taken = self._taken
        while taken and taken[0] <= now_ns - SECOND_NS:
            taken.popleft()
        if len(taken) + 1 > self.per_s:
            return False
        taken.append(now_ns)
        return True


@dataclass
class Seen:
    """What a run gave: times in ns of virtual time, in the order of sending."""

    taken_ns: list[int] = field(default_factory=list)
    throttled_ns: list[int] = field(default_factory=list)
    first_throttle_heard_ns: int | None = None
    rates: list[tuple[int, float | None]] = field(default_factory=list)

    def taken_between(self, start_ns: int, end_ns: int) -> int:
        return sum(1 for at_ns in self.taken_ns if start_ns <= at_ns < end_ns)

    def throttled_between(self, start_ns: int, end_ns: int) -> int:
        return sum(1 for at_ns in self.throttled_ns if start_ns <= at_ns < end_ns)

    def waste_between(self, start_ns: int, end_ns: int) -> float:
        throttled = self.throttled_between(start_ns, end_ns)
        return throttled / max(1, throttled + self.taken_between(start_ns, end_ns))


class VirtualBind:
    """One bind with a lane that never runs dry, over a carrier that answers after `delay_ns`."""

    def __init__(
        self, pace, carrier, *, delay_ns: int, window: int, late_ns: int = 2_000_000, seed: int = 0
    ) -> None:
        self.pace = pace
        self.carrier = carrier
        self.seen = Seen()
        self._delay_ns = delay_ns
        self._window = window
        self._late_ns = late_ns
        self._random = Random(seed)
        self._events: list = []  # (time, number, sent time or None for a timer, was taken)
        self._numbers = count()
        self._open = 0
        self._timer_ns: int | None = None
        self.now_ns = SECOND_NS

    def run(self, until_ns: int) -> Seen:
        """Go on to this instant of virtual time."""
        events = self._events
        self._submit()
        while events and events[0][0] <= until_ns:
            self.now_ns, number, sent_ns, is_taken = heappop(events)
            if sent_ns is None:
                if number != self._timer_number:
                    continue
                self._timer_ns = None
            else:
                self._open -= 1
                self._answer(sent_ns, is_taken)
            self._submit()
        self.now_ns = until_ns
        return self.seen

    def _answer(self, sent_ns: int, is_taken: bool) -> None:
        if is_taken:
            self.pace.succeeded(self.now_ns, sent_ns=sent_ns)
        else:
            self.pace.throttled(self.now_ns, sent_ns=sent_ns)
            if self.seen.first_throttle_heard_ns is None:
                self.seen.first_throttle_heard_ns = self.now_ns

    def _submit(self) -> None:
        now_ns, pace, carrier, seen = self.now_ns, self.pace, self.carrier, self.seen
        while self._open < self._window:
            wait_ns = pace.ask(now_ns).wait_ns
            if wait_ns:
                if wait_ns > 0 and (self._timer_ns is None or now_ns + wait_ns < self._timer_ns):
                    late_ns = self._random.randrange(self._late_ns + 1)
                    self._timer_ns = now_ns + wait_ns + late_ns
                    self._timer_number = next(self._numbers)
                    heappush(self._events, (self._timer_ns, self._timer_number, None, False))
                return
            pace.take(now_ns)
            self._open += 1
            is_taken = carrier.takes(now_ns)
            (seen.taken_ns if is_taken else seen.throttled_ns).append(now_ns)
            heappush(self._events, (now_ns + self._delay_ns, next(self._numbers), now_ns, is_taken))
