"""One SMPP session, either role, without I/O: bytes and times in, events and bytes out.

How a driver walks through it (ESME link, message-centre simulator and SMPP server alike)::

    connection = SmppConnection(Role.ESME, config=SessionConfig(window_slots=100), now_ns=now)
    connection.send_bind(BindTransceiver(...), now_ns=now)          # ESME only
    events = connection.receive_bytes(data, now_ns=now)             # never raises, whatever the octets
    events = connection.tick(now)                                   # at or after connection.next_deadline_ns
    transport.write(connection.take_output())                       # once per loop turn
    events = connection.connection_lost()                           # TCP ended: every open request is reported

Sending (raise NotPermittedError / WindowFullError: bugs of the caller, look at `free_slots` first)::

    send_body(command_id, body, *, context, now_ns) -> sequence_number   windowed request from its body octets (fast)
    send(pdu, *, context, now_ns) -> sequence_number                     windowed request from a PDU
    send_unanswered(pdu)                                                 alert_notification, outbind (MC)
    unbind(now_ns)                                                       after the driver saw the window empty
    abort() -> list[Event]                                               end now: open requests reported, Closed(ABORTED)

Answering (each RequestReceived exactly once, in any order, also much later)::

    respond_deliver(sequence_number, *, command_status=0)                deliver_sm_resp, 17 octets
    respond_delivers(sequence_numbers, *, command_status=0)              one for each of many
    respond_submit(sequence_number, *, command_status=0, message_id="")  submit_sm_resp
    respond(sequence_number, pdu, *, command_status=0)                   any other response PDU
    respond_error(command_id, sequence_number, *, command_status)        header-only error response
    accept_bind(sequence_number, *, system_id, now_ns, interface_version=0x34)   MC, answers BindRequested
    reject_bind(sequence_number, *, command_status)                      MC; the session stays OPEN, close it
    release_backlog(now_ns) -> list[Event]                               MC, after either: what came behind the bind

Reading: `state`, `role`, `free_slots` (0 unless bound for sending), `in_flight_count`, `unacknowledged_count`
(requests handed to the driver and not yet answered: the measure for read back-pressure), `is_unbinding`,
`next_deadline_ns`, `has_output`, `counters`, `peer_interface_version`; `hold_liveness(now_ns)` for a driver that
stopped reading by itself. Events are in `events.py`.

Answered by the session itself: enquire_link in every state, unbind (after the open answers of both sides,
bounded by `unbind_linger_ns`), commands that do not fit the state (0x04, 0x05), unknown commands
(generic_nack 0x03), bad bodies (error response), lost framing (one generic_nack 0x02, then Closed).
After Closed every input is ignored. The late-answer memory, the window and the frame buffer are bounded.
"""

from typing import Any

from adapters.smpp.session.events import (
    Answered,
    BindRefused,
    BindRequested,
    Bound,
    Closed,
    CloseReason,
    Event,
    PeerUnbinding,
    RequestReceived,
    Unanswered,
)
from adapters.smpp.session.matrix import STATE_BY_BIND, UNANSWERED_REQUESTS, Role, SessionState, refusal
from adapters.smpp.session.octets import RESPONSE_BIT, error_response, header, message_id_of
from adapters.smpp.session.sending import NotPermittedError, SendingHalf, SessionConfig, SessionCounters
from adapters.smpp.session.timers import Due, TimerSettings
from adapters.smpp.session.window import MAX_SEQUENCE, OpenRequest, WindowFullError
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.codec import (
    PduError,
    decode,
    decode_deliver_sm,
    decode_submit_sm,
)
from adapters.smpp.wire.framer import Frame
from adapters.smpp.wire.receipt_plain import read_plain

__all__ = [
    "NotPermittedError",
    "Role",
    "SessionConfig",
    "SessionCounters",
    "SessionState",
    "SmppConnection",
    "TimerSettings",
    "WindowFullError",
]

# The output of a session that ends so goes nowhere: what was never handed out has certainly not left.
_OUTPUT_IS_LOST = frozenset(
    {CloseReason.CONNECTION_LOST, CloseReason.ABORTED, CloseReason.ENQUIRE_LINK_TIMEOUT}
)


class SmppConnection(SendingHalf):
    """State machine, window and timers of one SMPP session; see the module docstring for its use."""

    __slots__ = ()

    # -- bytes and time --------------------------------------------------------------------------

    def receive_bytes(self, data: bytes, *, now_ns: int) -> list[Event]:
        """Return the events of these octets; never raises for anything a peer can send."""
        if self._is_over():
            return []
        self._timers.heard(now_ns)
        frames = self._framer.feed(data)
        if self.has_backlog:
            frames = self._take_backlog() + frames
        return self._receive(frames, now_ns)

    def release_backlog(self, now_ns: int) -> list[Event]:
        """Return the events that waited for the driver's answers; `tick` gives them as well.

        These are requests that came behind a bind, and the end of the session when the stream is lost behind requests.
        """
        return self._receive(self._take_backlog(), now_ns) if self.has_backlog else []

    def _receive(self, frames: list[Frame], now_ns: int) -> list[Event]:
        events: list[Event] = []
        append = events.append
        settle = self._window.settle
        for frame in frames:
            command_id, command_status, sequence_number, body = frame
            if command_id > RESPONSE_BIT:
                request = settle(sequence_number, command_id)
                if request is not None:
                    _, context, sent_ns = request
                    append(
                        Answered(
                            command_id,
                            command_status,
                            message_id_of(body),
                            context,
                            sent_ns,
                            sequence_number,
                            body,
                        )
                    )
                    continue  # an answer that was waited for ends no session
                self._control_answer(frame, events, now_ns)
            elif command_id in self._peer_may:
                self._permitted_request(frame, events, now_ns)
            else:
                self._other(frame, events)
            if self.state is SessionState.CLOSED:
                return events
        if events:
            self._timers.last_operation_ns = now_ns
        if self._peer_unbind_sequence is not None:
            self._finish_peer_unbind(events, force=False)
        if events and self.unacknowledged_count:
            return events  # the driver may still answer what came before; `has_backlog` says that more is to come
        if self._framer.lost is not None and self._bind_request is None and not self._is_over():
            # I1: one reaction, and the position in the stream is gone for good.
            self._out.append(header(16, c.GENERIC_NACK, c.ESME_RINVCMDLEN, 0))
            self.counters.malformed_pdus += 1
            self._close(events, CloseReason.FRAMING_LOST, self._framer.lost)
        return events

    def tick(self, now_ns: int) -> list[Event]:
        """Act on every deadline that has come; call it at `next_deadline_ns` or later, early calls do nothing."""
        if self._is_over():
            return []
        events = self.release_backlog(now_ns)
        if self._is_over():
            return events
        for sequence_number, request in self._window.expire(now_ns):
            unanswered = Unanswered(
                request.answer_id,
                request.context,
                request.sent_ns,
                sequence_number,
                left_process=True,
                reason="response_timeout",
            )
            events.append(unanswered)
        match self._timers.due(now_ns):
            case Due.CONTROL:
                self._control_timeout(events)
            case Due.PEER_DEAD:
                self._close(events, CloseReason.ENQUIRE_LINK_TIMEOUT)
            case Due.PROBE:
                self._enquire_sequence = self._window.take_sequence()
                self._out.append(header(16, c.ENQUIRE_LINK, 0, self._enquire_sequence))
                self._enquire_sent_ns = now_ns
                self._timers.probed(now_ns)
            case Due.INACTIVE:
                self.unbind(now_ns, reason=CloseReason.INACTIVE)
            case Due.NOTHING:
                pass
        if self._peer_unbind_sequence is not None:
            self._finish_peer_unbind(events, force=False)
        return events

    def hold_liveness(self, now_ns: int) -> None:
        """Count `now_ns` as a sign of life: for a driver that stopped reading and so cannot hear the peer."""
        self._timers.heard(now_ns)

    def abort(self, *, reason: CloseReason = CloseReason.ABORTED) -> list[Event]:
        """End the session now; every open request is reported, then Closed."""
        events: list[Event] = []
        self._close(events, reason)
        return events

    def connection_lost(self) -> list[Event]:
        """Report the end of the transport; a truncated PDU in the buffer is forgotten (I6)."""
        return self.abort(reason=CloseReason.CONNECTION_LOST)

    # -- inside ----------------------------------------------------------------------------------

    def _is_over(self) -> bool:
        return self.state is SessionState.CLOSED

    def _permitted_request(self, frame: Frame, events: list[Event], now_ns: int) -> None:
        command_id, _, sequence_number, body = frame
        try:
            if command_id == c.DELIVER_SM:
                plain = read_plain(body) if self.config.reads_receipts else None
                pdu = decode_deliver_sm(body) if plain is None else plain
                events.append(RequestReceived(command_id, sequence_number, pdu))
            elif command_id == c.SUBMIT_SM:
                events.append(RequestReceived(command_id, sequence_number, decode_submit_sm(body)))
            elif command_id == c.ENQUIRE_LINK:
                self._out.append(header(16, c.ENQUIRE_LINK_RESP, 0, sequence_number))
                return
            elif command_id == c.UNBIND:
                self._peer_unbinds(sequence_number, events, now_ns)
                return
            elif command_id in STATE_BY_BIND:
                self._bind_requested(frame, events)
                return
            else:
                events.append(RequestReceived(command_id, sequence_number, decode(frame)))
        except PduError as error:
            self.counters.malformed_pdus += 1
            if command_id not in UNANSWERED_REQUESTS:
                self._out.append(error_response(command_id, sequence_number, error.command_status))
            return
        if command_id not in UNANSWERED_REQUESTS:
            self.unacknowledged_count += 1

    def _bind_requested(self, frame: Frame, events: list[Event]) -> None:
        command_id, _, sequence_number, _ = frame
        if self._bind_request is not None:
            self.counters.refused_requests += 1
            self._out.append(error_response(command_id, sequence_number, c.ESME_RALYBND))
            return
        pdu: Any = decode(frame)
        self._bind_request = BindRequested(command_id, sequence_number, pdu)
        events.append(self._bind_request)

    def _peer_unbinds(self, sequence_number: int, events: list[Event], now_ns: int) -> None:
        self._peer_unbind_sequence = sequence_number
        self._timers.control_deadline_ns = now_ns + self.config.timers.unbind_linger_ns
        self._enter(SessionState.UNBOUND)
        events.append(PeerUnbinding())

    def _finish_peer_unbind(self, events: list[Event], *, force: bool) -> None:
        """Answer the peer's unbind once nothing is open in either direction, or when the linger time is over."""
        if self._peer_unbind_sequence is None or self.state is SessionState.CLOSED:
            return
        if force or self._is_settled:
            self._out.append(header(16, c.UNBIND_RESP, 0, self._peer_unbind_sequence))
            self._close(
                events, CloseReason.PEER_UNBOUND if self._unbind_sequence is None else self._unbind_reason
            )

    def _other(self, frame: Frame, events: list[Event]) -> None:
        """Handle generic_nack and requests that the matrix forbids or nobody knows."""
        command_id, command_status, sequence_number, _ = frame
        if command_id == c.GENERIC_NACK:
            request = self._window.settle_any(sequence_number)
            if request is not None:
                self._report_answer(frame, request, events)
            elif sequence_number == self._bind_sequence:
                self._bind_refused(command_status, events)
            else:
                self.counters.unexpected_answers += 1
            return
        status = refusal(self.state, command_id, sender=self.role.peer)
        if status == c.ESME_RINVCMDID:
            self.counters.unknown_commands += 1
            self._out.append(header(16, c.GENERIC_NACK, status, sequence_number))
            return
        if self._bind_request is not None and self._hold(frame):
            return
        self.counters.refused_requests += 1
        if command_id not in UNANSWERED_REQUESTS:
            self._out.append(error_response(command_id, sequence_number, status))

    def _control_answer(self, frame: Frame, events: list[Event], now_ns: int) -> None:
        """Handle answers to enquire_link, bind and unbind, late answers, and answers nobody waits for (H6)."""
        command_id, command_status, sequence_number, _ = frame
        if command_id == c.ENQUIRE_LINK_RESP and sequence_number == self._enquire_sequence:
            self._enquire_sequence = None
            self.counters.enquire_links += 1
            self.counters.enquire_link_ns = now_ns - self._enquire_sent_ns
        elif command_id == self._bind_answer_id and sequence_number == self._bind_sequence:
            if command_status:
                self._bind_refused(command_status, events)
            else:
                self._bind_accepted(frame, events, now_ns)
        elif command_id == c.UNBIND_RESP and sequence_number == self._unbind_sequence:
            self._close(events, self._unbind_reason)
        else:
            late = self._window.settle_late(sequence_number, command_id)
            if late is None:
                self.counters.unexpected_answers += 1
            else:
                self._report_answer(frame, late, events, is_late=True)

    def _report_answer(
        self, frame: Frame, request: OpenRequest, events: list[Event], *, is_late: bool = False
    ) -> None:
        answer_id, command_status, sequence_number, body = frame
        message_id = "" if answer_id == c.GENERIC_NACK else message_id_of(body)
        events.append(
            Answered(
                answer_id,
                command_status,
                message_id,
                request.context,
                request.sent_ns,
                sequence_number,
                body,
                is_late,
            )
        )

    def _bind_accepted(self, frame: Frame, events: list[Event], now_ns: int) -> None:
        self._bind_sequence = None
        system_id = ""
        try:
            pdu: Any = decode(frame)
        except PduError:
            self.counters.malformed_pdus += 1  # the status said OK: a sloppy body does not undo the bind
        else:
            system_id = pdu.system_id
            for tlv in pdu.tlvs:
                if tlv.tag == c.TAG_SC_INTERFACE_VERSION and len(tlv.value) == 1:
                    self.peer_interface_version = tlv.value[0]
        self._enter(STATE_BY_BIND[self._bind_answer_id - RESPONSE_BIT])
        self._timers.bound(now_ns)
        events.append(Bound(self.state, system_id, self.peer_interface_version))

    def _bind_refused(self, command_status: int, events: list[Event]) -> None:
        events.append(BindRefused(command_status))
        self._close(events, CloseReason.BIND_REFUSED, c.status_name(command_status))

    def _control_timeout(self, events: list[Event]) -> None:
        if self._peer_unbind_sequence is not None:
            self._finish_peer_unbind(events, force=True)
        elif self._unbind_sequence is not None:
            self._close(events, self._unbind_reason, "no unbind_resp")
        elif self._bind_sequence is not None:
            self._close(events, CloseReason.BIND_TIMEOUT)
        else:
            self._close(events, CloseReason.SESSION_INIT_TIMEOUT)

    def _close(self, events: list[Event], reason: CloseReason, detail: str = "") -> None:
        if self.state is SessionState.CLOSED:
            return
        unflushed_from, unflushed_count = 0, 0
        if reason in _OUTPUT_IS_LOST:
            self._out.clear()
            unflushed_from = self._unflushed_from
            unflushed_count = (self._window.next_sequence - unflushed_from) % MAX_SEQUENCE
        for sequence_number, request in self._window.drain():
            events.append(
                Unanswered(
                    request.answer_id,
                    request.context,
                    request.sent_ns,
                    sequence_number,
                    left_process=(sequence_number - unflushed_from) % MAX_SEQUENCE >= unflushed_count,
                    reason=reason.value,
                )
            )
        self._enter(SessionState.CLOSED)
        events.append(Closed(reason, detail))
