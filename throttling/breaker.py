"""Circuit breaker of one link: after trouble in a row nothing is tried for a while, then a few probes decide.

Pure: every instant is a monotonic clock's, in nanoseconds, and the caller says what counts as trouble: connecting,
binding, a response that never came. That a carrier says no, or asks for less, is an answer, so it counts as health.

    closed --(`failures` in a row)--> open --(time is over, or `reached`)--> half_open
    half_open --(`probes` successes)--> closed          half_open --(one failure)--> open, twice as long
"""

from enum import StrEnum
from typing import Final

from throttling.rates import SECOND_NS

DEFAULT_FAILURES: Final = 3
DEFAULT_OPEN_NS: Final = 5 * SECOND_NS
DEFAULT_MAX_OPEN_NS: Final = 60 * SECOND_NS
DEFAULT_PROBES: Final = 3


class BreakerState(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """The breaker of one bind or URL; used by one task, never shared.

    `failures` in a row open it for `open_ns`; each failure out of half-open doubles that, up to `max_open_ns`.
    Half-open grants `probes` tries at most, and as many successes close it. `has_trouble` is False while it is closed
    without a failure: then `allow` and `succeeded` change nothing, and a hot path may leave them out. Raises
    ValueError for a count or time below 1 or a maximum below the first time.
    """

    __slots__ = (
        "_failed_count",
        "_failures",
        "_first_open_ns",
        "_max_open_ns",
        "_open_ns",
        "_opened_ns",
        "_probes",
        "_probes_granted",
        "_probes_passed",
        "_state",
        "_until_ns",
        "has_trouble",
    )

    def __init__(
        self,
        *,
        failures: int = DEFAULT_FAILURES,
        open_ns: int = DEFAULT_OPEN_NS,
        max_open_ns: int = DEFAULT_MAX_OPEN_NS,
        probes: int = DEFAULT_PROBES,
    ) -> None:
        for name, value in (("failures", failures), ("open_ns", open_ns), ("probes", probes)):
            if value < 1:
                raise ValueError(f"{name} {value} is below the limit of 1")
        if max_open_ns < open_ns:
            raise ValueError(f"max_open_ns {max_open_ns} is below open_ns {open_ns}")
        self._failures = failures
        self._first_open_ns = self._open_ns = open_ns
        self._max_open_ns = max_open_ns
        self._probes = probes
        self._state = BreakerState.CLOSED
        self._failed_count = 0
        self._opened_ns: int | None = None
        self._until_ns = 0
        self._probes_granted = 0
        self._probes_passed = 0
        self.has_trouble = False

    def state(self, now_ns: int) -> BreakerState:
        """Return the state at this instant: an open breaker whose time is over is half-open."""
        if self._state is BreakerState.OPEN and now_ns >= self._until_ns:
            self._half_open()
        return self._state

    def allow(self, now_ns: int) -> bool:
        """Tell whether one try may be made now; half-open, this takes one probe of the budget."""
        state = self.state(now_ns)
        if state is BreakerState.HALF_OPEN:
            if self._probes_granted >= self._probes:
                return False
            self._probes_granted += 1
        return state is not BreakerState.OPEN

    def would_allow(self, now_ns: int) -> bool:
        """Return what `allow` would, and take nothing."""
        state = self.state(now_ns)
        if state is BreakerState.HALF_OPEN:
            return self._probes_granted < self._probes
        return state is BreakerState.CLOSED

    def wait_ns(self, now_ns: int) -> int:
        """Return the time until half-open, 0 when it is not open."""
        return self._until_ns - now_ns if self.state(now_ns) is BreakerState.OPEN else 0

    def failed(self, now_ns: int, *, begun_ns: int | None = None) -> None:
        """Note trouble of the link; what was `begun_ns` before the breaker last opened says nothing new."""
        if self._is_old(begun_ns):
            return
        self.has_trouble = True
        match self.state(now_ns):
            case BreakerState.CLOSED:
                self._failed_count += 1
                if self._failed_count >= self._failures:
                    self._open(now_ns)
            case BreakerState.HALF_OPEN:
                self._open_ns = min(2 * self._open_ns, self._max_open_ns)
                self._open(now_ns)
            case BreakerState.OPEN:
                pass  # the time runs already; trouble meanwhile is the same trouble

    def succeeded(self, now_ns: int, *, begun_ns: int | None = None) -> None:
        """Note an answer of any kind; what was `begun_ns` before the breaker last opened proves nothing."""
        if self._is_old(begun_ns):
            return
        match self.state(now_ns):
            case BreakerState.CLOSED:
                self._close()
            case BreakerState.HALF_OPEN:
                self._probes_passed += 1
                if self._probes_passed >= self._probes:
                    self._close()
            case BreakerState.OPEN:
                pass

    def forget_failures(self) -> None:
        """Start the row of failures anew; only a closed breaker has one."""
        if self._state is BreakerState.CLOSED:
            self._close()

    def reached(self, now_ns: int) -> None:
        """Note that what opened the breaker is over (the bind stands again): probes may go at once."""
        if self.state(now_ns) is BreakerState.OPEN:
            self._half_open()

    def forget_probe(self, now_ns: int) -> None:
        """Give a probe back that ended without verdict: it never left, or its session ended for another reason."""
        if self.state(now_ns) is BreakerState.HALF_OPEN and self._probes_granted > self._probes_passed:
            self._probes_granted -= 1

    def __repr__(self) -> str:
        """Show state and counts."""
        return f"Breaker({self._state.value}, failures {self._failed_count}/{self._failures})"

    def _is_old(self, begun_ns: int | None) -> bool:
        return begun_ns is not None and self._opened_ns is not None and begun_ns < self._opened_ns

    def _open(self, now_ns: int) -> None:
        self._state = BreakerState.OPEN
        self._opened_ns = now_ns
        self._until_ns = now_ns + self._open_ns

    def _half_open(self) -> None:
        self._state = BreakerState.HALF_OPEN
        self._probes_granted = self._probes_passed = 0

    def _close(self) -> None:
        self._state = BreakerState.CLOSED
        self._failed_count = 0
        self._open_ns = self._first_open_ns
        self.has_trouble = False
