"""What a bind is whatever it speaks: its figures, and what answers mean for pace and breaker. Base of every bind.

Everything here is synchronous, inside the loop's callbacks, so no lock is needed and no segment is ever held between
two states.
"""

from abc import ABC, abstractmethod
from asyncio import Event, Future
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from adapters.pace.health import BindHealth, BreakerLimits
from adapters.pace.pacing import BindPace, ThrottledSegments
from adapters.pace.presence import Presence
from gateway.domain.message import OutboundSegment
from gateway.domain.outcomes import SubmitOutcome, Submitted
from gateway.ports.clock import Clock
from gateway.ports.links import BindChanged, BindFigures, BindState, Inbound, LinkWish

_log = structlog.get_logger()

THROTTLED_FOR_NS: Final = 5_000_000_000
_THROTTLED: Final = BindState.THROTTLED  # looking a member up costs six times as much
SUBMIT_STATES: Final = (BindState.BOUND, BindState.THROTTLED)
BOUND_STATES: Final = (BindState.BOUND, BindState.THROTTLED, BindState.PAUSED)


@dataclass(slots=True)
class BindCounts:
    """What a bind has seen since the process began."""

    submitted: int = 0
    throttled: int = 0
    timeouts: int = 0
    receipts: int = 0
    ambiguous: int = 0
    unexpected: int = 0
    enquire_links: int = 0


class BindOwner(Protocol):
    """What a bind tells its link; all calls are synchronous and short."""

    def on_slots(self) -> None: ...

    def on_inbound(self, batch: Sequence[Inbound]) -> None: ...

    def on_late_answer(self, segment: OutboundSegment, outcome: Submitted) -> None: ...

    def on_bind_changed(self, event: BindChanged) -> None: ...


class PacedBind(ABC):
    """One bind as its link and its figures see it. `name` is what people and labels call it: trx1, http2."""

    name: str

    def __init__(
        self,
        number: int,
        *,
        carrier: str,
        limits: BreakerLimits,
        window_slots: int,
        pace: BindPace,
        owner: BindOwner,
        clock: Clock,
    ) -> None:
        self.number = number
        self.pace = pace
        self.state = BindState.OPEN
        self.counts = BindCounts()
        self.last_error = ""
        self.health = BindHealth(limits)
        self.presence = Presence()
        self.window_slots = window_slots
        self.bound_since_ms: int | None = None
        self._carrier = carrier
        self._owner = owner
        self._clock = clock
        self._is_stopping = False
        self._bound_since_ns: int | None = None
        self._throttled_segments = ThrottledSegments()
        self._taken_ns = 0  # when the last segment was written that the carrier took

    # -- reading ---------------------------------------------------------------------------------

    @property
    def can_submit(self) -> bool:
        """Whether it is bound for sending and not on its way out."""
        return self.state in SUBMIT_STATES

    @property
    @abstractmethod
    def free_slots(self) -> int:
        """Submits that it would take now."""

    def room(self) -> int:
        """Return the submits that it would take now, below 0 while it takes none whatever is free."""
        return max(0, self.free_slots) if self.can_submit else -1

    @property
    @abstractmethod
    def in_flight(self) -> int:
        """Submits without an answer."""

    @property
    def unacknowledged_count(self) -> int:
        """Receipts and MO that the carrier has no answer for yet."""
        return 0

    @property
    def stands(self) -> Event:
        """Set while it is bound and not on its way out."""
        return self.presence.stands

    @property
    def unexpected_count(self) -> int:
        """Answers that fitted no submit."""
        return self.counts.unexpected

    @property
    def enquire_links(self) -> tuple[int, int]:
        """Questions for a sign of life that were answered, and how long the last answer took in nanoseconds."""
        return 0, 0

    @property
    def shown_slots(self) -> int:
        """The window as figures show it."""
        return self.window_slots

    def figures(self) -> BindFigures:
        """Return the live figures."""
        counts = self.counts
        enquire_links, enquire_link_ns = self.enquire_links
        return BindFigures(
            bind=self.name,
            state=self.state,
            window_in_use=self.in_flight,
            window_slots=self.shown_slots,
            submitted_count=counts.submitted,
            throttled_count=counts.throttled,
            timeout_count=counts.timeouts,
            receipt_count=counts.receipts,
            unexpected_count=self.unexpected_count,
            bound_since_ms=self.bound_since_ms,
            last_error=self.last_error,
            breaker=self.health.breaker.state(self._clock.monotonic_ns()).value,
            rate_per_s=self.pace.learned_per_s,
            response_ms=self.health.response_ms,
            enquire_link_count=enquire_links,
            enquire_link_ns=enquire_link_ns,
        )

    # -- what the link asks ----------------------------------------------------------------------

    @abstractmethod
    async def run(self) -> None:
        """Live until `stop`."""

    @abstractmethod
    def submit(self, segment: OutboundSegment, *, now_ns: int) -> None:
        """Write one segment; only with a free slot."""

    @abstractmethod
    def unbind(self) -> None:
        """Start the orderly end of the session."""

    @abstractmethod
    def abort(self) -> None:
        """End the session now; what is open is settled before this returns."""

    @abstractmethod
    def closing(self) -> "Future[Any] | None":
        """Return what is done once the session is gone, None without a session."""

    @abstractmethod
    def leave_if_empty(self, *, is_late: bool = False) -> None:
        """Go on with `leave` once nothing is in flight."""

    @abstractmethod
    def _resize(self, slots: int) -> None: ...

    def stop(self) -> None:
        """Take no more submits and do not reconnect; the session goes on until `unbind` or `abort`."""
        self._is_stopping = True
        self.presence.release()
        if self.state in BOUND_STATES:
            self._change(BindState.DRAINING)

    def follow(self, wish: LinkWish, *, window_slots: int) -> None:
        """Do what an operator wishes of this bind, at once; repeating it changes nothing."""
        presence = self.presence
        presence.follow(wish, name=self.name)
        self._resize(wish.window_slots or window_slots)
        if self._is_stopping:
            return
        if presence.is_leaving:
            self.leave("drained")
        elif presence.is_paused and self.can_submit:
            self._change(BindState.PAUSED)
        elif not presence.is_paused and self.state is BindState.PAUSED:
            self._change(BindState.BOUND)

    def rebind(self) -> None:
        """Unbind once the window is empty and bind again; a bind that is down tries again at once."""
        if self.presence.is_wanted and not self._is_stopping:
            self.leave("reconnect")
            self.presence.hurry()

    def leave(self, reason: str) -> None:
        """Unbind once the window is empty; nothing is submitted from now on."""
        self.presence.stands.clear()
        if self.state is BindState.DRAINING:
            return
        self.presence.is_leaving = self.state in BOUND_STATES
        if not self.presence.is_leaving:
            return  # what comes up while it is not wanted leaves at once
        self._change(BindState.DRAINING, reason)
        self.leave_if_empty()

    # -- answers ---------------------------------------------------------------------------------

    def _stands_bound(self, now_ns: int) -> None:
        """Note a session that stands: the first submits may go."""
        self._bound_since_ns = now_ns
        self.bound_since_ms = self._clock.now_ms()
        self.last_error = ""
        self.health.bound(now_ns)
        self.pace.renew()
        self.presence.stands.set()
        self._change(BindState.PAUSED if self.presence.is_paused else BindState.BOUND)
        if self._is_stopping:
            self._change(BindState.DRAINING)
        elif not self.presence.is_wanted:
            self.leave("drained")

    def _note_taken(self, now_ns: int, *, sent_ns: int) -> None:
        """Note a submit that the carrier took in time."""
        self.counts.submitted += 1
        self._taken_ns = sent_ns
        self.pace.succeeded(now_ns, sent_ns=sent_ns)
        if self.state is _THROTTLED:
            self._note_unthrottled(now_ns)

    def _note_unthrottled(self, now_ns: int) -> None:
        if self.state is BindState.THROTTLED and now_ns - self.pace.last_throttled_ns > THROTTLED_FOR_NS:
            self._change(BindState.BOUND)

    def _note_throttled(
        self, segment: OutboundSegment, now_ns: int, *, sent_ns: int, retry_after_ms: int = 0
    ) -> None:
        """Note a throttle answer: the bind slows down, unless it is this one number that is throttled."""
        self.counts.throttled += 1
        is_ours = self._throttled_segments.is_about_the_bind
        if not is_ours(segment, sent_ns=sent_ns, taken_ns=self._taken_ns):
            self.pace.ended(now_ns, sent_ns=sent_ns)
            return
        self.pace.throttled(now_ns, sent_ns=sent_ns, retry_after_ms=retry_after_ms)
        if self.state is BindState.BOUND:
            self._change(BindState.THROTTLED, "throttled")

    def _settle(self, segment: OutboundSegment, outcome: SubmitOutcome) -> None:
        try:  # as `_call_out` does, without its call: this is once per segment
            segment.settle(segment, outcome)
        except Exception:  # noqa: BLE001
            self._log_bug()

    def _call_out(self, function: Callable[..., None], *arguments: object) -> bool:
        """Call what others own; a bug there is logged, and costs neither the bind nor the rest of the batch."""
        try:
            function(*arguments)
        except Exception:  # noqa: BLE001  # any bug of theirs; ours would surface in the session's own tests
            self._log_bug()
            return False
        return True

    def _log_bug(self) -> None:
        _log.exception("link.callback_failed", carrier=self._carrier, bind=self.name)

    def _change(self, state: BindState, reason: str = "", *, is_alert: bool = False) -> None:
        if state is self.state:
            return
        self.state = state
        change = BindChanged(self._carrier, self.name, state, reason=reason, alert=is_alert)
        self._call_out(self._owner.on_bind_changed, change)

    def _went_down(self, reason: str, *, is_alert: bool = False, keeps_error: bool = False) -> None:
        if not keeps_error:
            self.last_error = reason
        self._change(BindState.DOWN, reason, is_alert=is_alert)
