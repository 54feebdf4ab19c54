"""Whether a bind's link is alive: its breaker, and how long answers take. Owned by a bind; pure.

Trouble is what happens to the link: no connection, no bind, no answer. A refusal or a throttle answer is an answer.
"""

from typing import Final, Protocol

from throttling.breaker import Breaker, BreakerState
from throttling.rates import SECOND_NS

_MEAN_WEIGHT: Final = 1 / 16
_MS_NS: Final = 1_000_000


class BreakerLimits(Protocol):
    """When a breaker opens, and how it comes back; times in seconds. A carrier's profile has these."""

    @property
    def breaker_failures(self) -> int: ...

    @property
    def breaker_open_s(self) -> float: ...

    @property
    def breaker_max_open_s(self) -> float: ...

    @property
    def breaker_probes(self) -> int: ...


class BindHealth:
    """The health of one bind; every instant is a monotonic clock's, in nanoseconds.

    `response_ms` is a moving mean, None before the first answer.
    """

    __slots__ = ("_heard_ns", "_is_silent", "breaker", "response_ms")

    def __init__(self, limits: BreakerLimits) -> None:
        self.breaker = Breaker(
            failures=limits.breaker_failures,
            open_ns=int(limits.breaker_open_s * SECOND_NS),
            max_open_ns=int(limits.breaker_max_open_s * SECOND_NS),
            probes=limits.breaker_probes,
        )
        self.response_ms: float | None = None
        self._heard_ns = 0
        self._is_silent = False  # the trouble is about answers, so a bind that stands again does not end it

    def answered(self, now_ns: int, *, sent_ns: int) -> bool:
        """Note an answer of any kind; True when it closes a breaker that was open."""
        self._heard_ns = now_ns
        took_ms = (now_ns - sent_ns) / _MS_NS
        mean_ms = self.response_ms
        self.response_ms = took_ms if mean_ms is None else mean_ms + (took_ms - mean_ms) * _MEAN_WEIGHT
        breaker = self.breaker
        if not breaker.has_trouble:
            return False
        was_closed = breaker.state(now_ns) is BreakerState.CLOSED
        breaker.succeeded(now_ns, begun_ns=sent_ns)
        return not was_closed and not breaker.has_trouble

    def timed_out(self, now_ns: int, *, sent_ns: int) -> None:
        """Note a submit without answer: trouble where nothing at all was answered since it was sent."""
        if self._heard_ns > sent_ns:
            self.breaker.forget_probe(now_ns)
            return
        self._is_silent = True
        self.breaker.failed(now_ns, begun_ns=sent_ns)

    def faulty(self, now_ns: int, *, sent_ns: int) -> None:
        """Note an answer that says nothing but that whoever gives it is broken: trouble, although one was heard."""
        self._heard_ns = now_ns
        self._is_silent = True
        self.breaker.failed(now_ns, begun_ns=sent_ns)

    def shut(self, now_ns: int) -> None:
        """Note that the peer will not have us at all: the breaker opens at once."""
        while self.breaker.state(now_ns) is not BreakerState.OPEN:
            self.breaker.failed(now_ns)

    def lost(self, now_ns: int) -> None:
        """Note a submit that ended with its session: no verdict of its own."""
        self.breaker.forget_probe(now_ns)

    def unreachable(self, now_ns: int) -> None:
        """Note a connection or a bind that did not come about, or a session that died young."""
        self.breaker.failed(now_ns)

    def silent(self, now_ns: int) -> None:
        """Note a session that ended because the carrier did not answer its probe."""
        self._is_silent = True
        self.breaker.failed(now_ns)

    def bound(self, now_ns: int) -> None:
        """Note a bind that stands: where only that was the trouble, the first submits may go."""
        if not self._is_silent:
            self.breaker.reached(now_ns)
        self._is_silent = False

    def stable(self) -> None:
        """Note a session that stood for long: troubles of the time before it are not in a row with the next."""
        self.breaker.forget_failures()
