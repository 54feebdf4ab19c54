"""Whether a carrier can be sent to, as one answer over its binds, and since when it is in trouble (D1, P5)."""

from collections.abc import Iterable
from typing import Any, Final

import structlog

from gateway.dispatch.board import Health
from gateway.dispatch.context import LaneContext
from gateway.ports.links import BindChanged, BindFigures, BindState

_log = structlog.get_logger()
_UP: Final = frozenset({BindState.BOUND, BindState.THROTTLED})

CLOSED: Final = "closed"
HALF_OPEN: Final = "half_open"
OPEN: Final = "open"
CIRCUIT_STATES: Final = (CLOSED, HALF_OPEN, OPEN)


class Uplink:
    """The carrier's breaker, made of its binds, with a memory that one good second does not wipe out.

    `breaker` is closed while some bind sends freely, half_open while at best probes go (and before the first bind
    stood or failed), else open. What an operator stopped is no trouble: the breaker keeps its state then.
    """

    def __init__(self, context: LaneContext) -> None:
        self.breaker = HALF_OPEN
        self.is_drained = False
        self._is_pause_ordered = False
        self._are_binds_paused = False
        self._context = context
        self._states: dict[str, BindState] = {}
        self._breakers: dict[str, str] = {}
        self._receivers: set[str] = set()
        self._said: dict[str, tuple[BindState, str]] = {}
        self._said_breaker = HALF_OPEN
        self._is_up = False
        self._was_closed = False
        self._closed_since_ns: int | None = None
        self._trouble_since_ns: int | None = context.clock.monotonic_ns()
        self._stable_ns = int(context.settings.stable_after_s * 1e9)
        self._known_down_s = context.settings.otp_failover_after_s

    @property
    def is_paused(self) -> bool:
        """True while an operator holds the carrier, or each of its binds."""
        return self._is_pause_ordered or self._are_binds_paused

    def is_up(self) -> bool:
        """True while at least one bind takes submits, be it probes."""
        return self._is_up

    def trouble_s(self) -> float:
        """Return the seconds since the carrier was last healthy for `stable_after_s`; 0 while it is.

        A carrier that comes up for a moment now and then stays in trouble all along.
        """
        now_ns = self._context.clock.monotonic_ns()
        self._calm_down(now_ns)
        since_ns = self._trouble_since_ns
        return 0.0 if since_ns is None or self._is_stopped else (now_ns - since_ns) / 1e9

    @property
    def health(self) -> Health:
        """What others who have a message for this carrier should know."""
        if self.is_drained:
            return Health.DRAINED
        if self.is_paused:
            return Health.PAUSED
        trouble_s = self.trouble_s()
        if trouble_s >= self._known_down_s or (self._was_closed and not self._is_up):
            return Health.DOWN
        return Health.UP if self._is_up else Health.UNKNOWN

    def stop(self, *, is_paused: bool, is_drained: bool) -> None:
        """Follow what an operator wants; time that he takes is not counted as trouble."""
        was_stopped = self._is_stopped
        self._is_pause_ordered, self.is_drained = is_paused, is_drained
        self._resume(was_stopped)
        self._judge()

    def changed(self, event: BindChanged) -> None:
        """Take note of a bind that came up or went down."""
        self._context.metrics.bind_changed(event)
        self._states[event.bind] = event.state
        self._judge()
        self._log_of(event)(
            "bind.changed",
            carrier=self._context.carrier,
            bind=event.bind,
            state=event.state.value,
            reason=event.reason,
        )

    def _log_of(self, event: BindChanged) -> Any:
        """Return how to log it: a bind that stays away is said once, its tries are for who asks for them."""
        said = event.state, event.reason
        if event.state is BindState.CONNECTING or self._said.get(event.bind) == said:
            return _log.debug
        self._said[event.bind] = said
        return _log.warning if event.alert else _log.info

    def observe(self, figures: Iterable[BindFigures]) -> None:
        """Take note of the figures of all binds: their breakers change without an event."""
        for bind in figures:
            self._states[bind.bind] = bind.state
            self._breakers[bind.bind] = bind.breaker
            if not bind.window_slots:
                self._receivers.add(bind.bind)
        self._judge()

    @property
    def _is_stopped(self) -> bool:
        return self.is_paused or self.is_drained

    def _resume(self, was_stopped: bool) -> None:  # noqa: FBT001 - the one thing it asks
        if was_stopped and not self._is_stopped:  # it may begin anew: it needs a moment to come back
            self._trouble_since_ns = self._context.clock.monotonic_ns()
            self._closed_since_ns = None
            self._was_closed = False

    def _judge(self) -> None:
        senders = {bind: state for bind, state in self._states.items() if bind not in self._receivers}
        was_stopped = self._is_stopped
        self._are_binds_paused = bool(senders) and all(s is BindState.PAUSED for s in senders.values())
        self._resume(was_stopped)
        standing = [self._breakers.get(bind, CLOSED) for bind, state in senders.items() if state in _UP]
        was = self.breaker
        self._is_up = any(breaker != OPEN for breaker in standing)
        if CLOSED in standing:
            self.breaker = CLOSED
        elif not self._is_stopped:
            is_starting = not self._was_closed and BindState.DOWN not in self._states.values()
            self.breaker = HALF_OPEN if self._is_up or is_starting else OPEN
        now_ns = self._context.clock.monotonic_ns()
        if CLOSED in standing:
            if self._closed_since_ns is None:
                self._closed_since_ns = now_ns
            if not self._was_closed:  # there is no history of trouble yet
                self._was_closed, self._trouble_since_ns = True, None
        else:
            self._calm_down(now_ns)
            self._closed_since_ns = None
            if self._trouble_since_ns is None:
                self._trouble_since_ns = now_ns
        if was != self.breaker:
            # Each try of a carrier that is away goes through half_open: the way up is said when it is closed.
            is_try = self._said_breaker == OPEN and self.breaker != CLOSED
            self._said_breaker = OPEN if is_try else self.breaker
            (_log.debug if is_try else _log.info)(
                "carrier.circuit",
                carrier=self._context.carrier,
                shard=self._context.shard,
                state=self.breaker,
            )

    def _calm_down(self, now_ns: int) -> None:
        since_ns = self._closed_since_ns
        if since_ns is not None and now_ns - since_ns >= self._stable_ns:
            self._trouble_since_ns = None
