"""Whether a bind's link is alive: its breaker, and how long answers take. Owned by `bind`; pure.

Trouble is what happens to the link: no connection, no bind, no answer. A refusal or a throttle answer is an answer.
"""

from typing import Final

from adapters.smpp.profile import CarrierProfile
from throttling.breaker import Breaker, BreakerState
from throttling.rates import SECOND_NS

_MEAN_WEIGHT: Final = 1 / 16
_MS_NS: Final = 1_000_000


class BindHealth:
    """The health of one bind; every instant is a monotonic clock's, in nanoseconds.

    `response_ms` is a moving mean, None before the first answer.
    """

    __slots__ = ("_heard_ns", "_is_silent", "breaker", "response_ms")

    def __init__(self, profile: CarrierProfile) -> None:
        self.breaker = Breaker(
            failures=profile.breaker_failures,
            open_ns=int(profile.breaker_open_s * SECOND_NS),
            max_open_ns=int(profile.breaker_max_open_s * SECOND_NS),
            probes=profile.breaker_probes,
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
