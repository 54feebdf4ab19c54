"""A short silence after a carrier said "slow down" (sms-domain G, 0x58).

Replaced by an adaptive rate one day; until then the pause doubles while nothing but throttle answers comes.
"""

from typing import Final

MIN_PAUSE_NS: Final = 100_000_000
MAX_PAUSE_NS: Final = 1_000_000_000


class ThrottlePause:
    """When submits may go on. One pause answers all the throttle answers to what was already in flight."""

    __slots__ = ("_pause_ns", "until_ns")

    def __init__(self) -> None:
        self.until_ns = 0
        self._pause_ns = 0

    @property
    def is_active(self) -> bool:
        """True from the first throttle answer until `submitted` forgets it."""
        return self._pause_ns > 0

    def throttled(self, now_ns: int, *, retry_after_ms: int = 0) -> None:
        """Begin a pause, or do nothing but honour a longer `retry_after_ms` while one runs."""
        wanted_ns = min(retry_after_ms * 1_000_000, MAX_PAUSE_NS)
        if now_ns >= self.until_ns:
            self._pause_ns = min(MAX_PAUSE_NS, self._pause_ns * 2) or MIN_PAUSE_NS
            wanted_ns = max(wanted_ns, self._pause_ns)
        self.until_ns = max(self.until_ns, now_ns + wanted_ns)

    def submitted(self, written_ns: int) -> None:
        """Forget earlier pauses: a segment written at `written_ns`, after the last one ended, was taken."""
        if written_ns >= self.until_ns:
            self._pause_ns = 0

    def wait_ns(self, now_ns: int) -> int:
        """Return how long to stay silent, 0 for not at all."""
        return max(0, self.until_ns - now_ns)
