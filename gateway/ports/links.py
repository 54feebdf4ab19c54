"""CarrierLink: our live relation to one carrier, whatever its protocol. The rules, each with a contract test:

1. `submit` MUST NOT raise for anything the carrier or network does; the outcome comes through `segment.settle`,
   exactly once, never from inside `submit` itself. It raises only on a bug (no free slot).
2. `Unsent` only if no octet of the request left the process; in doubt, `Ambiguous`.
3. In-flight submits are bounded by the binds' windows; nothing is queued inside.
4. Every submit is settled by its deadline.
5. Each receipt or MO goes to `sink.on_inbound` and is acknowledged to the carrier only by `acknowledge`.
6. `drain` stops new submits, waits for answers, unbinds; what stayed open is settled as `Ambiguous`.
7. State changes are typed events.
8. Reconnects with jittered back-off of its own, reset only after a bound period of stability.
9. Never logs text, passwords or full numbers.
10. A link that answers `Throttled` paces itself: `ready` says how long to wait. The lane does not pause on top of it.
11. `control` is a wish, applied at once and as often as it is repeated: a paused bind keeps its session, hears
    receipts and submits nothing; a drained link lets its windows empty, unbinds and stays away until it is wanted
    again.
12. Trouble in connecting, binding or answering opens a bind's breaker; it comes back by a few probes, and then at a
    rate that grows, not with everything that waited.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from gateway.domain.message import OutboundSegment
from gateway.domain.outcomes import Submitted
from gateway.domain.receipts import MobileOriginated, Receipt

WAIT_FOR_EVENT = -1
"""A `Permit.wait_ns` that no clock ends: `sink.on_ready` will call."""


class BindState(StrEnum):
    OPEN = "open"
    CONNECTING = "connecting"
    BOUND = "bound"
    THROTTLED = "throttled"
    DRAINING = "draining"
    PAUSED = "paused"
    DOWN = "down"


class Permit(NamedTuple):
    """`wait_ns` 0: submit now. Above 0: ask again after that. WAIT_FOR_EVENT: wait for `on_ready`."""

    wait_ns: int
    reason: str


GO = Permit(0, "go")


class Inbound(NamedTuple):
    """One thing the carrier sent us, with the token that acknowledges it."""

    item: Receipt | MobileOriginated
    token: Any


class LinkWish(NamedTuple):
    """What an operator wants of a link. `window_slots` None is the configured window; `paused_binds` are names."""

    is_paused: bool = False
    is_drained: bool = False
    paused_binds: frozenset[str] = frozenset()
    window_slots: int | None = None


@dataclass(frozen=True, slots=True)
class BindChanged:
    """A bind changed its state. `reason` is short and closed (refused, timeout, peer_closed, bad_password, ...)."""

    carrier: str
    bind: str
    state: BindState
    reason: str = ""
    alert: bool = False


@dataclass(frozen=True, slots=True)
class BindFigures:
    """Live figures of one bind, for metrics and people.

    `breaker` is closed, open or half_open. `rate_per_s` is what throttle answers left of the rate, None without a cut.
    `response_ms` is a moving mean of the time from submit to response, None before the first. `enquire_link_count` are
    those answered, `enquire_link_ns` is how long the last answer took.
    """

    bind: str
    state: BindState
    window_in_use: int
    window_slots: int
    submitted_count: int
    throttled_count: int
    timeout_count: int
    receipt_count: int
    unexpected_count: int
    bound_since_ms: int | None
    last_error: str
    breaker: str = "closed"
    rate_per_s: float | None = None
    response_ms: float | None = None
    enquire_link_count: int = 0
    enquire_link_ns: int = 0


class LinkSink(Protocol):
    """Who owns a link gives it one of these. All calls are synchronous and short."""

    def on_ready(self) -> None:
        """A slot became free or a bind came up: ask `ready` again."""

    def on_inbound(self, batch: Sequence[Inbound]) -> None:
        """Receipts and MO to make durable, then to `acknowledge`."""

    def on_late_answer(self, segment: OutboundSegment, outcome: Submitted) -> None:
        """The answer to a submit that was already settled as `Ambiguous` came after all."""

    def on_bind_changed(self, event: BindChanged) -> None:
        """A bind changed its state."""


class CarrierLink(Protocol):
    """See the numbered rules above."""

    @property
    def carrier(self) -> str:
        """Configured id of the carrier."""

    @property
    def in_flight(self) -> int:
        """Submits without an answer, over all binds."""

    async def start(self, sink: LinkSink) -> None:
        """Begin connecting; returns at once."""

    def ready(self, now_ns: int) -> Permit:
        """Tell whether a submit could be written now, and what to wait for if not. Takes nothing."""

    def submit(self, segment: OutboundSegment, *, now_ns: int) -> None:
        """Write one segment on the bind that `ready` found; only right after `ready` said GO."""

    def normalise_id(self, carrier_message_id: str) -> str:
        """Return a submit response's id in the form that receipts are matched in."""

    def acknowledge(self, batch: Sequence[Inbound], *, stored: bool) -> None:
        """Answer the carrier: taken for good, or (stored=False) to be sent again later."""

    def figures(self) -> tuple[BindFigures, ...]:
        """Return the live figures of every bind."""

    def control(self, wish: LinkWish) -> None:
        """Follow an operator's wish; repeating it changes nothing."""

    def reconnect(self, bind: str = "") -> None:
        """Let one bind, or each in turn, empty its window, unbind and bind again; returns at once."""

    async def drain(self, *, deadline_s: float) -> int:
        """Stop submitting, wait for answers, unbind, close; return how many stayed without answer."""

    def abort(self) -> None:
        """Close at once; open submits are settled as Ambiguous."""
