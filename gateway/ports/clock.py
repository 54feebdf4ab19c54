"""Time at the edges. The pure core gets `now` as an argument; whoever calls it asks a Clock."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for what people see, monotonic time for what must not jump."""

    def now_ms(self) -> int:
        """Return milliseconds since the Unix epoch, UTC."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds of a clock that never goes back."""


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()
