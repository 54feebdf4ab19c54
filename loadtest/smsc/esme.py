"""One connection of an ESME: octets to the session core, its events to the centre, one write per read or tick."""

import asyncio
from typing import Any, Final, cast

from adapters.smpp.session.connection import Role, SessionConfig, SmppConnection, TimerSettings
from adapters.smpp.session.events import (
    Answered,
    BindRequested,
    Bound,
    Closed,
    Event,
    RequestReceived,
    Unanswered,
)
from adapters.smpp.wire import constants as c
from loadtest.smsc.centre import Account, MessageCentre, Receipt
from loadtest.smsc.checks import as_submit
from loadtest.smsc.settings import SmscSettings

MAX_UNANSWERED_REQUESTS: Final = 100_000
"""An ESME with more open requests than this is dropped: it has no window of its own."""

MAX_CONNECTIONS: Final = 2_000


def session_config(settings: SmscSettings) -> SessionConfig:
    """Return the limits and timers of every session."""
    return SessionConfig(
        window_slots=settings.window_slots,
        timers=TimerSettings(
            response_ns=int(settings.receipt_timeout_s * 1e9),
            enquire_link_ns=int(settings.enquire_link_s * 1e9),
        ),
    )


class EsmeSession(asyncio.Protocol):
    """The driver of one session core in the message-centre role."""

    def __init__(self, centre: MessageCentre, config: SessionConfig) -> None:
        self._centre = centre
        self._config = config
        self.number = 0
        self.ignored_count = 0
        self.account: Account | None = None
        self.connection: SmppConnection
        self._transport: asyncio.Transport

    # -- asyncio.Protocol --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the session; asyncio and uvloop have set TCP_NODELAY."""
        self._transport = cast("asyncio.Transport", transport)
        self.connection = SmppConnection(Role.MC, config=self._config, now_ns=self._centre.clock())
        if len(self._centre.sessions) >= MAX_CONNECTIONS:
            self._centre.tally.closes["too_many_connections"] += 1
            self._transport.abort()
            return
        self.number = self._centre.opened(self)
        if self._centre.is_silent:
            self.hold()

    def data_received(self, data: bytes) -> None:
        """Handle one read: requests to the centre, acknowledgements to their receipts, one write back."""
        centre = self._centre
        if not self.number:
            return
        now_ns = centre.clock()
        connection = self.connection
        submits = 0
        unanswered: list[Receipt] = []
        account = self.account
        events = connection.receive_bytes(data, now_ns=now_ns)
        outstanding = connection.unacknowledged_count + self.ignored_count
        centre.tally.max_outstanding = max(centre.tally.max_outstanding, outstanding)
        for event in events:
            kind = type(event)
            if kind is RequestReceived and account is not None:
                submits += self._requested(cast("RequestReceived", event), account, now_ns)
            elif kind is Answered and account is not None:
                answered = cast("Answered", event)
                # A generic_nack carries the status of its request, never 0 (SMPP 3.4 §4.3.1).
                status = answered.command_status or (
                    c.ESME_RSYSERR if answered.answer_id == c.GENERIC_NACK else 0
                )
                centre.receipt_answered(account, answered.context, status=status, is_late=answered.is_late)
            else:
                self._rare(event, unanswered, now_ns)
                account = self.account
        if unanswered and account is not None:
            centre.receipts_unanswered(account, unanswered)
        centre.batch_received(self, submit_count=submits, now_ns=now_ns)
        self.flush()
        if connection.unacknowledged_count > MAX_UNANSWERED_REQUESTS:
            centre.tally.closes["flood"] += 1
            self.drop()

    def pause_writing(self) -> None:
        """Stop reading from an ESME that does not read: nothing is buffered without bound."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        if not self._centre.is_silent:
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the protocol's signature
        """Hand back what was not acknowledged, then disappear."""
        if not self.number:
            return
        self._centre.closed(self)
        self._handle(self.connection.connection_lost(), self._centre.clock())

    # -- for the centre ------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what the session has queued, in one piece."""
        connection = self.connection
        if connection.has_output and not self._centre.is_silent:
            octets = connection.take_output()
            if not self._transport.is_closing():
                self._transport.write(octets)

    def hold(self) -> None:
        """Read no more: the ESME sees a carrier that hangs, with its octets in the buffers of TCP."""
        self._transport.pause_reading()

    def release(self) -> None:
        """Go on where `hold` stopped; what piled up is answered late, as a real carrier would."""
        self.connection.hold_liveness(self._centre.clock())
        self._transport.resume_reading()
        self.flush()

    def tick(self, now_ns: int) -> None:
        """Act on the deadlines that have come."""
        self._handle(self.connection.tick(now_ns), now_ns)
        self.flush()

    def unbind(self) -> None:
        """Ask the ESME to leave."""
        self.connection.unbind(self._centre.clock())
        self.flush()

    def drop(self) -> None:
        """Close the TCP connection at once, as a crashing carrier does."""
        self._transport.abort()

    # -- inside --------------------------------------------------------------------------------------

    def _requested(self, event: RequestReceived, account: Account, now_ns: int) -> int:
        """Handle a request of a bound ESME and return 1 if it was a submit."""
        pdu: Any = event.pdu
        if event.command_id == c.DATA_SM:
            pdu = as_submit(pdu)
        elif event.command_id != c.SUBMIT_SM:
            # query_sm, cancel_sm, replace_sm and submit_multi are not sold by this carrier.
            self.connection.respond_error(
                event.command_id, event.sequence_number, command_status=c.ESME_RINVCMDID
            )
            return 0
        self._centre.submit(self, account, event.command_id, event.sequence_number, pdu, now_ns)
        return 1

    def _handle(self, events: list[Event], now_ns: int) -> None:
        unanswered: list[Receipt] = []
        for event in events:
            self._rare(event, unanswered, now_ns)
        if unanswered and self.account is not None:
            self._centre.receipts_unanswered(self.account, unanswered)

    def _rare(self, event: Event, unanswered: list[Receipt], now_ns: int) -> None:
        match event:
            case BindRequested():
                self._bind(event, now_ns)
            case Unanswered():
                unanswered.append(event.context)
            case Closed():
                self._centre.tally.closes[event.reason.value] += 1
                self.flush()
                self._transport.close()
            case Bound() | _:
                pass

    def _bind(self, event: BindRequested, now_ns: int) -> None:
        centre = self._centre
        system_id = event.pdu.system_id
        status = centre.bind_status(system_id=system_id, password=event.pdu.password)
        centre.tally.binds[c.status_name(status)] += 1
        if status:
            self.connection.reject_bind(event.sequence_number, command_status=status)
            self.flush()
            self._transport.close()
            return
        self.account = centre.accounts[system_id]
        self.connection.accept_bind(event.sequence_number, system_id="caudal-smsc", now_ns=now_ns)
        self.flush()
        centre.bound(self, self.account, receives=event.command_id != c.BIND_TRANSMITTER)
