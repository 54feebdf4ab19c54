"""Whether a carrier has a bind that sends, and for how long it has had none."""

import structlog

from gateway.dispatch.context import LaneContext
from gateway.ports.links import BindChanged, BindState

_log = structlog.get_logger()
_UP = frozenset({BindState.BOUND, BindState.THROTTLED})


class Uplink:
    """The states of a link's binds as one answer: up or down. Down until the first bind stands."""

    def __init__(self, context: LaneContext) -> None:
        self._context = context
        self._binds: dict[str, BindState] = {}
        self._down_since_ns = context.clock.monotonic_ns()
        self._is_up = False

    def is_up(self) -> bool:
        """True while at least one bind stands."""
        return self._is_up

    @property
    def down_s(self) -> float:
        """Seconds without any bind, 0 while there is one."""
        return 0.0 if self._is_up else (self._context.clock.monotonic_ns() - self._down_since_ns) / 1e9

    def changed(self, event: BindChanged) -> None:
        """Take note of a bind that came up or went down."""
        self._context.metrics.bind_changed(event)
        self._binds[event.bind] = event.state
        was_up, self._is_up = self._is_up, not _UP.isdisjoint(self._binds.values())
        if was_up and not self._is_up:
            self._down_since_ns = self._context.clock.monotonic_ns()
        log = _log.warning if event.alert else _log.info
        log(
            "bind.changed",
            carrier=self._context.carrier,
            bind=event.bind,
            state=event.state.value,
            reason=event.reason,
        )
