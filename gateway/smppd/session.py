"""One connection of a customer's ESME: octets to the session core, its events to the desk, one write per loop turn."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from adapters.smpp.session.connection import Role, SessionConfig, SessionState
from adapters.smpp.session.events import (
    Answered,
    BindRequested,
    Closed,
    CloseReason,
    Event,
    PeerUnbinding,
    RequestReceived,
    Unanswered,
)
from adapters.smpp.transport import SmppTransport
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.pdus import DataSm, DataSmResp
from gateway.ports.smpp_store import WaitingReceipt
from gateway.smppd.customers import Customer
from gateway.smppd.reading import as_submit

SYSTEM_ID: Final = "caudal"
MAX_UNANSWERED: Final = 2_000
"""Requests of one session that wait for our answer before we stop reading from it; windows are far below."""

STATE_LABELS: Final = {
    SessionState.OPEN: "open",
    SessionState.BOUND_TX: "bound_tx",
    SessionState.BOUND_RX: "bound_rx",
    SessionState.BOUND_TRX: "bound_trx",
}


class Desk(Protocol):
    """What a session needs of the server."""

    def opened(self, session: "EsmeSession") -> bool:
        """Count a connection; False when there are too many."""

    def closed(self, session: "EsmeSession") -> None:
        """Forget a connection."""

    def bind(self, session: "EsmeSession", event: BindRequested) -> None:
        """Judge a bind, now or later."""

    def submits(self, session: "EsmeSession", customer: Customer, asked: list[tuple[int, int, Any]]) -> None:
        """Take (command_id, sequence_number, submit_sm) of one read, answer them now or later."""

    def requested(self, session: "EsmeSession", customer: Customer, event: RequestReceived) -> None:
        """Answer a request that is no submit_sm and no data_sm, now or later."""

    def receipt_answered(
        self, customer: Customer, receipt: WaitingReceipt, *, status: int, is_late: bool
    ) -> None:
        """Note the answer to a receipt."""

    def receipts_unanswered(
        self, customer: Customer, receipts: list[WaitingReceipt], *, is_over: bool
    ) -> None:
        """Note receipts that time out or end with their session."""

    def receipts_flow(self, customer: Customer) -> None:
        """Send what waits: slots may be free."""


class EsmeSession(SmppTransport):
    """The driver of one session core in the message-centre role.

    `open_submits` counts requests of the customer that are not answered; the credential's window bounds them.
    """

    def __init__(self, desk: Desk, *, config: SessionConfig, clock_ns: Callable[[], int]) -> None:
        super().__init__(
            Role.MC,
            config=config,
            on_events=self._handle,
            clock_ns=clock_ns,
            on_writable=self._writable,
            max_unacknowledged=MAX_UNANSWERED,
        )
        self._desk = desk
        self._is_counted = False
        self.customer: Customer | None = None
        self.address = ""
        self.label = "open"
        self.open_submits = 0

    # -- asyncio.Protocol --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the session, or drop a connection too many."""
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        super().connection_made(transport)
        self._is_counted = self._desk.opened(self)
        if not self._is_counted:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand back what is open, then disappear."""
        super().connection_lost(exc)
        if self._is_counted:
            self._is_counted = False
            self._desk.closed(self)

    # -- for the server ------------------------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        """The state of the session core."""
        return self.connection.state

    @property
    def receives(self) -> bool:
        """True when bound as receiver or transceiver."""
        return self.label in ("bound_rx", "bound_trx")

    @property
    def takes_tlvs(self) -> bool:
        """False for a peer below version 3.4 (sms-domain E11)."""
        version = self.connection.peer_interface_version
        return version is None or version >= c.INTERFACE_VERSION_3_4

    def deliver(self, body: bytes, receipt: WaitingReceipt) -> None:
        """Send one deliver_sm; its end is told to the desk."""
        self.connection.send_body(c.DELIVER_SM, body, context=receipt, now_ns=self._clock_ns())
        self.flush_soon()

    def accept(self, event: BindRequested, customer: Customer) -> None:
        """Answer a bind with success."""
        self.customer = customer
        self.connection.accept_bind(event.sequence_number, system_id=SYSTEM_ID, now_ns=self._clock_ns())
        self.label = STATE_LABELS[self.connection.state]
        self.flush_soon()

    def refuse(self, event: BindRequested, status: int) -> None:
        """Answer a bind with an error and close."""
        self.connection.reject_bind(event.sequence_number, command_status=status)
        self._end(CloseReason.BIND_REFUSED)  # writes what is queued before it closes

    def answer(self, command_id: int, sequence_number: int, status: int, message_id: str) -> None:
        """Answer a submit_sm or data_sm and free its place in the window."""
        self.open_submits -= 1
        connection = self.connection
        if command_id == c.SUBMIT_SM:
            connection.respond_submit(sequence_number, command_status=status, message_id=message_id)
        elif status:
            connection.respond_error(command_id, sequence_number, command_status=status)
        else:
            connection.respond(sequence_number, DataSmResp(message_id=message_id))

    def leave(self) -> None:
        """Unbind, or drop a connection that never bound."""
        if self.connection.state is SessionState.OPEN:
            self.abort()
        else:
            self.unbind()

    # -- inside --------------------------------------------------------------------------------------

    def _writable(self) -> None:
        if self.customer is not None:
            self._desk.receipts_flow(self.customer)

    def _handle(self, events: list[Event]) -> None:
        """Hand the events of one read to the desk; its submits together."""
        customer = self.customer
        asked: list[tuple[int, int, Any]] = []
        unanswered: list[Unanswered] = []
        answered = False
        for event in events:
            kind = type(event)
            if kind is RequestReceived and customer is not None:
                request = cast("RequestReceived", event)
                self.open_submits += 1
                if request.command_id == c.SUBMIT_SM:
                    asked.append((request.command_id, request.sequence_number, request.pdu))
                elif request.command_id == c.DATA_SM:
                    asked.append(
                        (request.command_id, request.sequence_number, as_submit(cast("DataSm", request.pdu)))
                    )
                else:
                    self._desk.requested(self, customer, request)
            elif kind is Answered and customer is not None:
                self._receipt_answered(cast("Answered", event), customer)
                answered = True
            elif kind is Unanswered:
                unanswered.append(cast("Unanswered", event))
            else:
                self._rare(event)
        if asked and customer is not None:
            self._desk.submits(self, customer, asked)
        if unanswered and customer is not None:
            is_over = self.connection.state in (SessionState.CLOSED, SessionState.UNBOUND)
            self._desk.receipts_unanswered(customer, [one.context for one in unanswered], is_over=is_over)
        if (answered or unanswered) and customer is not None:
            self._desk.receipts_flow(customer)
        self.flush_soon()

    def _receipt_answered(self, event: Answered, customer: Customer) -> None:
        # A generic_nack carries the status of its request, never 0 (SMPP 3.4 §4.3.1).
        status = event.command_status or (c.ESME_RSYSERR if event.answer_id == c.GENERIC_NACK else 0)
        self._desk.receipt_answered(customer, event.context, status=status, is_late=event.is_late)

    def _rare(self, event: Event) -> None:
        match event:
            case BindRequested():
                self._desk.bind(self, event)
            case PeerUnbinding() | Closed():
                if self.customer is not None:
                    self.customer.stop_receiving(self)
            case _:
                pass
