"""What can hinder the next submit, as a closed set, and how a worker's raw word for it becomes one with its figures.

Shown by `LaneWorker.explain`; the names are the values of `constraint` in reports, pages and docs.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.dispatch.uplink import CLOSED, Uplink
from gateway.ports.links import BindFigures, BindState

NOT_STARTED: Final = "not_started"
NO_WORK: Final = "no_work"
BUSY: Final = "busy"
CARRIER_RATE: Final = "carrier_rate"
BIND_RATE: Final = "bind_rate"
THROTTLED: Final = "throttled"
RAMP: Final = "ramp"
WINDOW: Final = "window"
RTT: Final = "rtt"
BREAKER: Final = "breaker"
NO_BIND: Final = "no_bind"
PAUSED: Final = "paused"
DRAINED: Final = "drained"
HOLD: Final = "hold"
CLAIMS: Final = "claims"
LEASE: Final = "lease"
BACKLOG_OF_EVENTS: Final = "backlog_of_events"
STOPPING: Final = "stopping"

CONSTRAINTS: Final[dict[str, str]] = {
    NOT_STARTED: "the worker is starting",
    NO_WORK: "nothing waits",
    BUSY: "nothing hinders: submits go out as fast as this process makes them",
    CARRIER_RATE: "the carrier's rate, as configured or ordered",
    BIND_RATE: "the rate of one bind, as configured",
    THROTTLED: "a bind's rate is cut because the carrier asked for less or was in trouble, and grows again",
    RAMP: "the carrier was in trouble, and its rate grows back within seconds",
    WINDOW: "all slots are in use: more slots or binds would give more",
    RTT: "all slots are in use because the carrier answers slower than it used to",
    BREAKER: "trouble in connecting, binding or answering: the breaker is not closed",
    NO_BIND: "no bind stands",
    PAUSED: "an operator paused it",
    DRAINED: "an operator drained it",
    HOLD: "an operator holds the classes that have messages",
    CLAIMS: "the next messages wait for the commit that claims them",
    LEASE: "the lease could not be renewed in time",
    BACKLOG_OF_EVENTS: "outcomes are not durable yet: bus or database are slow",
    STOPPING: "the worker is stopping",
}
"""Every constraint with what it means."""

_FROM_LINK: Final = {"window_full": WINDOW, "draining": STOPPING, "probing": BREAKER}
_SLOWER: Final = 2.0
_SLOWER_BY_MS: Final = 50.0
_SILENT_S: Final = 2.0
_USUAL_SHARE: Final = 0.01


class Diagnosis(NamedTuple):
    """A constraint and the arithmetic behind it."""

    constraint: str
    detail: str = ""


class Pulse:
    """What a carrier's response time usually is, and for how long it has not answered at all; fed once a second.

    The usual time follows the present one slowly (over about two minutes), and never while the window is full.
    """

    __slots__ = ("_answered", "_answered_ns", "response_ms", "usual_ms")

    def __init__(self, *, now_ns: int) -> None:
        self.response_ms: float | None = None
        self.usual_ms: float | None = None
        self._answered = 0
        self._answered_ns = now_ns

    def observe(self, figures: Sequence[BindFigures], *, is_full: bool, now_ns: int) -> None:
        """Take note of the figures of all binds."""
        answered = sum([bind.submitted_count + bind.throttled_count for bind in figures])
        if answered != self._answered or not any(bind.window_in_use for bind in figures):
            self._answered, self._answered_ns = answered, now_ns
        times = [bind.response_ms for bind in figures if bind.response_ms is not None]
        self.response_ms = sum(times) / len(times) if times else None
        if self.response_ms is not None:
            if self.usual_ms is None:
                self.usual_ms = self.response_ms
            elif not is_full:
                self.usual_ms += (self.response_ms - self.usual_ms) * _USUAL_SHARE

    def silent_s(self, now_ns: int) -> float:
        """Return the seconds since the last answer while submits are open."""
        return (now_ns - self._answered_ns) / 1e9


def diagnose(
    raw: str,
    *,
    uplink: Uplink,
    figures: Sequence[BindFigures],
    pulse: Pulse,
    per_s: float,
    now_ns: int,
) -> Diagnosis:
    """Return the constraint that the pump's word `raw` stands for; `per_s` is the rate of this shard."""
    constraint = _FROM_LINK.get(raw, raw)
    if constraint == WINDOW:
        return _window(figures, pulse=pulse, per_s=per_s, now_ns=now_ns)
    if constraint == NO_BIND:
        if uplink.is_drained or uplink.is_paused:
            return Diagnosis(DRAINED if uplink.is_drained else PAUSED)
        down = [f"{bind.bind} {bind.last_error or bind.state.value}" for bind in figures if _is_down(bind)]
        kind = BREAKER if any(bind.breaker != CLOSED for bind in figures) else NO_BIND
        return Diagnosis(kind, "; ".join(down))
    if constraint == BREAKER:
        return Diagnosis(BREAKER, f"{uplink.breaker} for {uplink.trouble_s():.0f} s")
    if constraint in (THROTTLED, BIND_RATE) and uplink.breaker == CLOSED:
        cut = [f"{bind.bind} {bind.rate_per_s:.4g}/s" for bind in figures if bind.rate_per_s is not None]
        return Diagnosis(constraint, ", ".join(cut))
    return Diagnosis(constraint if constraint in CONSTRAINTS else NO_BIND, "")


def _is_down(bind: BindFigures) -> bool:
    return bind.state not in (BindState.BOUND, BindState.THROTTLED)


def _window(figures: Sequence[BindFigures], *, pulse: Pulse, per_s: float, now_ns: int) -> Diagnosis:
    slots = sum([bind.window_slots for bind in figures if not _is_down(bind)])
    silent_s = pulse.silent_s(now_ns)
    usual_ms, response_ms = pulse.usual_ms, pulse.response_ms
    if silent_s >= _SILENT_S and silent_s * 1000 > _SLOWER * (usual_ms or 0):
        return Diagnosis(RTT, f"{slots} slots / no response for {silent_s:.0f} s")
    if not response_ms:
        return Diagnosis(WINDOW, f"{slots} slots, none free")
    can_per_s = slots * 1000 / response_ms
    relation = "below" if can_per_s < per_s else "enough for"
    detail = (
        f"{slots} slots / {response_ms / 1000:.3g} s response = {can_per_s:.3g}/s, {relation} {per_s:.4g}/s"
    )
    if usual_ms and response_ms > _SLOWER * usual_ms and response_ms - usual_ms > _SLOWER_BY_MS:
        return Diagnosis(RTT, f"{detail}; usually {usual_ms / 1000:.3g} s")
    return Diagnosis(WINDOW, detail)
