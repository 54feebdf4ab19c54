"""The sending half of a session: what may be sent now, requests, answers. `connection` adds the receiving half."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.smpp.session.events import BindRequested, CloseReason
from adapters.smpp.session.matrix import (
    BOUND_STATES,
    STATE_BY_BIND,
    UNANSWERED_REQUESTS,
    Role,
    SessionState,
    permitted_requests,
)
from adapters.smpp.session.octets import RESPONSE_BIT, bind_answer, error_response, header
from adapters.smpp.session.timers import Timers, TimerSettings
from adapters.smpp.session.window import Window
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.codec import encode, encode_deliver_sm_resp, encode_submit_sm_resp
from adapters.smpp.wire.framer import Frame, Framer
from adapters.smpp.wire.pdus import BindReceiver, BindTransceiver, BindTransmitter, Pdu

_PERMITTED = {
    (role, state): permitted_requests(state, sender=role) for role in Role for state in SessionState
}


_NOTHING: frozenset[int] = frozenset()


class NotPermittedError(RuntimeError):
    """The caller sends what the operation matrix forbids in this state: a bug, not a condition of the peer."""


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Limits of one session; durations in `timers` (nanoseconds), sizes in octets.

    `reads_receipts` has plain receipts read by themselves, see `RequestReceived`.
    """

    window_slots: int = 10
    late_slots: int = 1000
    max_pdu_octets: int = 66_560
    first_sequence: int = 1
    reads_receipts: bool = False
    timers: TimerSettings = field(default_factory=TimerSettings)


@dataclass(slots=True)
class SessionCounters:
    """What was ignored or refused, and our enquire_links that were answered, for metrics; monotone.

    `enquire_link_ns` is how long the last answer took.
    """

    unexpected_answers: int = 0
    refused_requests: int = 0
    malformed_pdus: int = 0
    unknown_commands: int = 0
    enquire_links: int = 0
    enquire_link_ns: int = 0


class SendingHalf:
    """State, window and output of one session; not used alone."""

    __slots__ = (
        "_bind_answer_id",
        "_bind_request",
        "_bind_sequence",
        "_can_send",
        "_enquire_sent_ns",
        "_enquire_sequence",
        "_framer",
        "_held",
        "_held_octets",
        "_may",
        "_operational",
        "_out",
        "_peer_may",
        "_peer_unbind_sequence",
        "_timers",
        "_unbind_reason",
        "_unbind_sequence",
        "_unflushed_from",
        "_window",
        "config",
        "counters",
        "peer_interface_version",
        "role",
        "state",
        "unacknowledged_count",
    )

    def __init__(self, role: Role, *, config: SessionConfig | None = None, now_ns: int) -> None:
        self.role = role
        self.config = config or SessionConfig()
        self.counters = SessionCounters()
        self.unacknowledged_count = 0
        self.peer_interface_version: int | None = None
        self._window = Window(
            slots=self.config.window_slots,
            timeout_ns=self.config.timers.response_ns,
            late_slots=self.config.late_slots,
            first_sequence=self.config.first_sequence,
        )
        self._timers = Timers(self.config.timers, now_ns=now_ns)
        self._framer = Framer(max_octets=self.config.max_pdu_octets)
        self._out: list[bytes] = []
        self._operational = c.SUBMIT_SM if role is Role.ESME else c.DELIVER_SM
        self._bind_request: BindRequested | None = None
        self._bind_sequence: int | None = None
        self._bind_answer_id = 0
        self._enquire_sequence: int | None = None
        self._enquire_sent_ns = 0
        self._unbind_sequence: int | None = None
        self._unbind_reason = CloseReason.UNBOUND
        self._peer_unbind_sequence: int | None = None
        self._held: list[Frame] = []
        self._held_octets = 0
        self._unflushed_from = self._window.next_sequence
        self._enter(SessionState.OPEN)

    def __repr__(self) -> str:
        return f"<{self.role.value} {self.state.value} window {self.in_flight_count}/{self._window.slots}>"

    # -- reading ---------------------------------------------------------------------------------

    @property
    def free_slots(self) -> int:
        """Windowed requests that may be sent now; 0 unless bound for sending."""
        if not self._can_send:
            return 0
        window = self._window
        # A window that was made smaller may hold more than its slots.
        return max(0, window.slots - len(window.open_requests))

    @property
    def in_flight_count(self) -> int:
        """Windowed requests without an answer."""
        return len(self._window.open_requests)

    @property
    def is_unbinding(self) -> bool:
        """Whether either side has sent unbind."""
        return self._unbind_sequence is not None or self.state is SessionState.UNBOUND

    @property
    def has_output(self) -> bool:
        """Whether `take_output` would give octets."""
        return bool(self._out)

    @property
    def has_backlog(self) -> bool:
        """Whether `release_backlog` would give events: the bind that they came behind is answered by now."""
        return (
            (bool(self._held) or self._framer.lost is not None)
            and self._bind_request is None
            and self.state is not SessionState.CLOSED
        )

    @property
    def next_deadline_ns(self) -> int | None:
        """When `tick` is due next, None for never."""
        if self.state is SessionState.CLOSED:
            return None
        if self.has_backlog or (self._peer_unbind_sequence is not None and self._is_settled):
            return self._timers.last_rx_ns
        timers, window = self._timers.next_deadline_ns(), self._window.next_deadline_ns()
        if timers is None or window is None:
            return window if timers is None else timers
        return min(timers, window)

    def resize_window(self, slots: int) -> None:
        """Change the number of windowed requests that may be open; above it nothing is sent until enough are answered."""
        if slots < 1:
            raise ValueError(f"window slots {slots} are below the limit of 1")
        self._window.slots = slots

    # -- sending ---------------------------------------------------------------------------------

    def send_body(self, command_id: int, body: bytes, *, context: Any, now_ns: int) -> int:
        """Queue a windowed request and return its sequence_number; the slot is taken before the octets exist."""
        if command_id not in self._may:
            raise NotPermittedError(f"{c.command_name(command_id)} in {self.state.value}")
        sequence_number = self._window.open(command_id | RESPONSE_BIT, context=context, now_ns=now_ns)
        self._out += (header(16 + len(body), command_id, 0, sequence_number), body)
        self._timers.last_operation_ns = now_ns
        return sequence_number

    def send(self, pdu: Pdu, *, context: Any, now_ns: int) -> int:
        """Queue a windowed request given as a PDU and return its sequence_number."""
        return self.send_body(
            pdu.command_id, encode(pdu, sequence_number=1)[16:], context=context, now_ns=now_ns
        )

    def send_unanswered(self, pdu: Pdu) -> None:
        """Queue a request that has no response PDU: alert_notification or outbind."""
        if pdu.command_id not in self._may or pdu.command_id not in UNANSWERED_REQUESTS:
            raise NotPermittedError(f"{c.command_name(pdu.command_id)} in {self.state.value}")
        self._out.append(encode(pdu, sequence_number=self._window.take_sequence()))

    def send_bind(self, pdu: BindTransmitter | BindReceiver | BindTransceiver, *, now_ns: int) -> None:
        """Queue our bind (ESME); Bound, or BindRefused and Closed, or Closed(BIND_TIMEOUT) will follow."""
        if pdu.command_id not in self._may or self._bind_sequence is not None:
            raise NotPermittedError(f"{c.command_name(pdu.command_id)} in {self.state.value}")
        self._bind_sequence = self._window.take_sequence()
        self._bind_answer_id = pdu.command_id | RESPONSE_BIT
        self._timers.control_deadline_ns = now_ns + self.config.timers.bind_response_ns
        self._out.append(encode(pdu, sequence_number=self._bind_sequence))

    def unbind(self, now_ns: int, *, reason: CloseReason = CloseReason.UNBOUND) -> None:
        """Queue unbind and stop sending; Closed(reason) follows the answer or `unbind_response_ns` (H10)."""
        if self.state not in BOUND_STATES or self._unbind_sequence is not None:
            return
        self._unbind_sequence = self._window.take_sequence()
        self._unbind_reason = reason
        self._timers.control_deadline_ns = now_ns + self.config.timers.unbind_response_ns
        self._out.append(header(16, c.UNBIND, 0, self._unbind_sequence))
        self._may = _NOTHING
        self._can_send = False

    # -- answering -------------------------------------------------------------------------------

    def respond_deliver(self, sequence_number: int, *, command_status: int = 0) -> None:
        """Queue deliver_sm_resp (message_id is a single NUL, F19)."""
        self._answer(encode_deliver_sm_resp(sequence_number, command_status))

    def respond_delivers(self, sequence_numbers: Sequence[int], *, command_status: int = 0) -> None:
        """Queue one deliver_sm_resp for each of many, as `respond_deliver` does."""
        if self.state is SessionState.CLOSED:
            return
        self._out += [encode_deliver_sm_resp(number, command_status) for number in sequence_numbers]
        self.unacknowledged_count = max(0, self.unacknowledged_count - len(sequence_numbers))

    def respond_submit(self, sequence_number: int, *, command_status: int = 0, message_id: str = "") -> None:
        """Queue submit_sm_resp."""
        self._answer(encode_submit_sm_resp(sequence_number, command_status, message_id))

    def respond(self, sequence_number: int, pdu: Pdu, *, command_status: int = 0) -> None:
        """Queue any other response PDU."""
        self._answer(encode(pdu, sequence_number=sequence_number, command_status=command_status))

    def respond_error(self, command_id: int, sequence_number: int, *, command_status: int) -> None:
        """Queue a header-only error response to a request of `command_id`."""
        self._answer(error_response(command_id, sequence_number, command_status))

    def accept_bind(
        self, sequence_number: int, *, system_id: str, now_ns: int, interface_version: int | None = 0x34
    ) -> None:
        """Answer BindRequested with success; the session is bound at once."""
        request = self._take_bind_request(sequence_number)
        self.peer_interface_version = request.pdu.interface_version
        self._out.append(
            bind_answer(request, command_status=0, system_id=system_id, version=interface_version)
        )
        self._enter(STATE_BY_BIND[request.command_id])
        self._timers.bound(now_ns)

    def reject_bind(self, sequence_number: int, *, command_status: int) -> None:
        """Answer BindRequested with an error; the session stays OPEN under its session-init timer."""
        request = self._take_bind_request(sequence_number)
        self._out.append(bind_answer(request, command_status=command_status, system_id="", version=None))

    def take_output(self) -> bytes:
        """Return everything queued since the last call, joined: one write per loop turn."""
        out = b"".join(self._out)
        self._out.clear()
        self._unflushed_from = self._window.next_sequence
        return out

    # -- inside ----------------------------------------------------------------------------------

    def _enter(self, state: SessionState) -> None:
        self.state = state
        self._may = _PERMITTED[self.role, state]
        self._peer_may = _PERMITTED[self.role.peer, state]
        self._can_send = self._operational in self._may

    @property
    def _is_settled(self) -> bool:
        return self.unacknowledged_count == 0 and not self._window.open_requests

    def _hold(self, frame: Frame) -> bool:
        """Keep a request that came behind a bind not yet judged: how TCP cut the stream must not decide its fate (I7).

        False when one PDU's worth of octets is kept already.
        """
        octets = 16 + len(frame.body)
        if self._held_octets + octets > self.config.max_pdu_octets:
            return False
        self._held.append(frame)
        self._held_octets += octets
        return True

    def _take_backlog(self) -> list[Frame]:
        held, self._held, self._held_octets = self._held, [], 0
        return held

    def _answer(self, octets: bytes) -> None:
        if self.state is SessionState.CLOSED:
            return
        self._out.append(octets)
        if self.unacknowledged_count:
            self.unacknowledged_count -= 1

    def _take_bind_request(self, sequence_number: int) -> BindRequested:
        request = self._bind_request
        if (
            request is None
            or request.sequence_number != sequence_number
            or self.state is not SessionState.OPEN
        ):
            raise NotPermittedError(f"no bind request {sequence_number} waits in {self.state.value}")
        self._bind_request = None
        return request
