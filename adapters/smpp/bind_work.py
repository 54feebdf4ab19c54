"""The working half of a bind: submits, their answers, receipts. `bind` adds its life; not used alone.

Everything happens synchronously inside the transport's callbacks, so no lock is needed and no segment is ever held
between two states.
"""

import asyncio
import ssl
from abc import abstractmethod
from collections.abc import Callable
from typing import Protocol

from adapters.pace.bind import SUBMIT_STATES, BindOwner, PacedBind
from adapters.pace.pacing import BindPace
from adapters.smpp.answers import Token, acknowledge, failed_outcome
from adapters.smpp.classify import classify
from adapters.smpp.profile import BindMode, CarrierProfile
from adapters.smpp.reconnect import Reconnect
from adapters.smpp.session.events import (
    Answered,
    BindRefused,
    Bound,
    Closed,
    CloseReason,
    Event,
    RequestReceived,
    Unanswered,
)
from adapters.smpp.session.sending import SessionConfig
from adapters.smpp.tapped import Tap
from adapters.smpp.translate import Translator
from adapters.smpp.transport import SmppTransport
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.pdus import DataSm, DeliverSm
from adapters.smpp.wire.receipt_plain import PlainReceipt
from gateway.domain.message import OutboundSegment
from gateway.domain.outcomes import Ambiguous, SubmitOutcome, Submitted, Unsent
from gateway.domain.receipts import MobileOriginated, Receipt
from gateway.ports.clock import Clock
from gateway.ports.links import BindState, Inbound

# Two a receipt: the constructor of a NamedTuple is a Python function and costs twice as much.
_new = tuple.__new__


class SmppOwner(BindOwner, Protocol):
    """What an SMPP bind tells its link besides."""

    def on_fallback(self, bind: "BindWork") -> None: ...


class BindWork(PacedBind):
    """What a bind has, does and has seen; see `bind.Bind`."""

    def __init__(
        self,
        number: int,
        mode: BindMode,
        *,
        profile: CarrierProfile,
        translator: Translator,
        pace: BindPace,
        owner: SmppOwner,
        clock: Clock,
        random: Callable[[], float],
        tls: ssl.SSLContext | None = None,
        tap: Tap | None = None,
    ) -> None:
        super().__init__(
            number,
            carrier=profile.carrier,
            limits=profile,
            window_slots=profile.window_slots,
            pace=pace,
            owner=owner,
            clock=clock,
        )
        self.become(mode)
        self.transport: SmppTransport | None = None
        self._owner: SmppOwner = owner
        self._profile = profile
        self._translator = translator
        self._tls = tls
        self._tap = tap
        self._config: SessionConfig = profile.session_config()
        self._reconnect = Reconnect(profile, random=random)
        self._allows_tlvs = profile.interface_version >= c.INTERFACE_VERSION_3_4
        self._answered_count = 0  # in this session
        self._instant_ns = -1  # of the last submit, and what the wall clock said then
        self._instant_ms = 0
        self._is_expected_back = False  # the last session ended because we were asked to end it
        self._leave_timer: asyncio.TimerHandle | None = None

    # -- reading ---------------------------------------------------------------------------------

    @property
    def can_submit(self) -> bool:
        """Whether it is bound for sending and not on its way out."""
        return self._is_sender and self.state in SUBMIT_STATES

    @property
    def free_slots(self) -> int:
        """Submits that the session would take now."""
        transport = self.transport
        return transport.connection.free_slots if transport is not None and transport.is_writable else 0

    def room(self) -> int:
        """Return the submits that it would take now, below 0 while it takes none whatever is free."""
        if not self._is_sender or self.state not in SUBMIT_STATES:
            return -1
        transport = self.transport  # asked for each segment, so without a property between
        return transport.connection.free_slots if transport is not None and transport.is_writable else 0

    @property
    def in_flight(self) -> int:
        """Submits without an answer."""
        transport = self.transport
        return transport.connection.in_flight_count if transport is not None else 0

    @property
    def unacknowledged_count(self) -> int:
        """Receipts and MO that the carrier has no answer for yet."""
        transport = self.transport
        return transport.connection.unacknowledged_count if transport is not None else 0

    @property
    def unexpected_count(self) -> int:
        """Answers that fitted no submit."""
        transport = self.transport
        now = transport.connection.counters.unexpected_answers if transport is not None else 0
        return self.counts.unexpected + now

    @property
    def enquire_links(self) -> tuple[int, int]:
        """enquire_links that were answered, and how long the last answer took in nanoseconds."""
        if self.transport is None:
            return self.counts.enquire_links, 0
        counters = self.transport.connection.counters
        return self.counts.enquire_links + counters.enquire_links, counters.enquire_link_ns

    @property
    def shown_slots(self) -> int:
        """The window as figures show it."""
        return self.window_slots if self._is_sender else 0

    # -- submitting ------------------------------------------------------------------------------

    def submit(self, segment: OutboundSegment, *, now_ns: int) -> None:
        """Write one segment; raises UntranslatableError before anything happened, WindowFullError on a bug."""
        transport = self.transport
        assert transport is not None
        if now_ns != self._instant_ns:  # many are submitted at one instant
            self._instant_ns, self._instant_ms = now_ns, self._clock.now_ms()
        body = self._translator.submit_body(segment, now_ms=self._instant_ms, allows_tlvs=self._allows_tlvs)
        if self.health.breaker.has_trouble:
            self.health.breaker.allow(now_ns)
        transport.connection.send_body(c.SUBMIT_SM, body, context=segment, now_ns=now_ns)
        self.pace.take(now_ns)
        segment.submitted_at_ns = now_ns
        transport.flush_soon()

    def become(self, mode: BindMode) -> None:
        """Take the mode that the next bind asks for."""
        self.mode = mode
        self._is_sender = mode is not BindMode.RX
        self.name = f"{mode.value}{self.number}"

    # -- events ----------------------------------------------------------------------------------

    def _on_events(self, events: list[Event]) -> None:
        now_ns = self._clock.monotonic_ns()
        inbound: list[Inbound] = []
        is_slot_freed = False
        now_ms = self._clock.now_ms()
        for event in events:
            if type(event) is Answered:
                self._answered(event, now_ns)
                is_slot_freed = True
            elif type(event) is RequestReceived:
                self._requested(event, inbound, now_ms)
            elif type(event) is Unanswered:
                self._unanswered(event, now_ns)
                is_slot_freed = True
            elif type(event) is Bound:
                self._bound(event, now_ns)
                is_slot_freed = True
            elif type(event) is BindRefused:
                self._refused(event, now_ns)
            elif type(event) is Closed:
                self._ended(event.reason, event.detail, now_ns)
        if inbound and not self._call_out(self._owner.on_inbound, inbound):
            acknowledge(inbound, is_stored=False)
        if is_slot_freed:
            if self.presence.is_leaving:
                self.leave_if_empty()
            self._call_out(self._owner.on_slots)

    def _answered(self, event: Answered, now_ns: int) -> None:
        segment: OutboundSegment = event.context
        is_success = event.command_status == 0 and event.answer_id == c.SUBMIT_SM_RESP
        self._answered_count += 1
        if self.health.answered(now_ns, sent_ns=event.sent_ns):
            self.pace.ramp(now_ns)
        if event.is_late:
            if is_success:
                self._call_out(self._owner.on_late_answer, segment, self._success(event, now_ns))
            else:
                self.counts.unexpected += 1
        elif is_success:
            self._settle(segment, self._success(event, now_ns))
        else:
            self._settle(segment, self._failed(event, segment, now_ns))

    def _success(self, event: Answered, now_ns: int) -> Submitted:
        if event.is_late:
            self.counts.submitted += 1
            self._taken_ns = event.sent_ns
            self._note_unthrottled(now_ns)
        else:
            self._note_taken(now_ns, sent_ns=event.sent_ns)
        response_ms = (now_ns - event.sent_ns) // 1_000_000
        return Submitted(event.message_id, self.name, event.sequence_number, response_ms)

    def _failed(self, event: Answered, segment: OutboundSegment, now_ns: int) -> SubmitOutcome:
        """Return the outcome of an answer that is not success (sms-domain G)."""
        is_nack = event.answer_id == c.GENERIC_NACK
        verdict = classify(
            "generic_nack" if is_nack else "submit_sm_resp",
            event.command_status,
            overrides=self._profile.status_overrides,
        )
        match verdict.status_class:
            case "ok":
                return self._success(event, now_ns)
            case "throttle":
                self._note_throttled(segment, now_ns, sent_ns=event.sent_ns)
                return failed_outcome(verdict, bind=self.name)
            case "rebind":
                self.last_error = verdict.name
                if self.state is not BindState.DRAINING:
                    # Those still open may yet be answered; the session ends when its window is empty.
                    self._change(BindState.DRAINING, "rebind")
                    self.presence.is_leaving = True
            case "ignore":
                self.counts.ambiguous += 1
        self.pace.ended(now_ns, sent_ns=event.sent_ns)
        return failed_outcome(verdict, bind=self.name)

    def _unanswered(self, event: Unanswered, now_ns: int) -> None:
        outcome: SubmitOutcome
        self.pace.ended(now_ns, sent_ns=event.sent_ns)
        if event.reason == "response_timeout":
            self.health.timed_out(now_ns, sent_ns=event.sent_ns)
        else:
            self.health.lost(now_ns)
        if event.left_process:
            self.counts.ambiguous += 1
            if event.reason == "response_timeout":
                self.counts.timeouts += 1
            outcome = Ambiguous(event.reason, self.name)
        else:
            outcome = Unsent(event.reason)
        self._settle(event.context, outcome)

    def _requested(self, event: RequestReceived, inbound: list[Inbound], now_ms: int) -> None:
        transport = self.transport
        pdu = event.pdu
        if transport is None:
            return
        item: Receipt | MobileOriginated
        if type(pdu) is PlainReceipt:
            item = self._translator.plain_receipt(pdu, bind=self.name, now_ms=now_ms)
        elif isinstance(pdu, DeliverSm | DataSm):
            item = self._translator.inbound(pdu, bind=self.name, now_ms=now_ms)
        else:
            return  # alert_notification and outbind ask for nothing (H17, H18)
        token = _new(Token, (transport, event.command_id, event.sequence_number))
        inbound.append(_new(Inbound, (item, token)))
        self.counts.receipts += 1

    # -- the other half --------------------------------------------------------------------------

    @abstractmethod
    def _bound(self, event: Bound, now_ns: int) -> None: ...

    @abstractmethod
    def _refused(self, event: BindRefused, now_ns: int) -> None: ...

    @abstractmethod
    def _ended(self, reason: CloseReason, detail: str, now_ns: int) -> None: ...
