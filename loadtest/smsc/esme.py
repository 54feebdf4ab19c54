"""One connection of an ESME: octets to the session core, its events to the centre, one write per read or tick."""

import asyncio
from typing import Any, Final, cast

from adapters.smpp.session.connection import Role, SessionConfig, SmppConnection, TimerSettings
from adapters.smpp.session.events import (
    Answered,
    BindRequested,
    Bound,
    Closed,
    CloseReason,
    Event,
    RequestReceived,
    Unanswered,
)
from adapters.smpp.wire import constants as c
from loadtest.smsc.accounts import Account, Receipt
from loadtest.smsc.centre import MessageCentre
from loadtest.smsc.checks import as_submit
from loadtest.smsc.originated import Originated
from loadtest.smsc.settings import SmscSettings

MAX_UNANSWERED_REQUESTS: Final = 100_000
"""An ESME with more open requests than this is dropped: it has no window of its own."""

MAX_CONNECTIONS: Final = 2_000

CLOSE_FLUSH_S: Final = 2.0

SLOW_READ_S: Final = 0.02
"""How often a slow reader reads."""

MAX_TURN_OCTETS: Final = 1 << 16
"""Octets of one session handled in one turn of the loop: uvloop would read 8 MB of a flood before its next turn."""


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
        self._close_timer: asyncio.TimerHandle | None = None
        self._postponed = b""
        self._is_write_paused = False
        self._is_dead = False
        self._reader: asyncio.TimerHandle | None = None

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
        """Handle one read; of a long one the rest waits until the other sessions had their turn."""
        if not self.number or self._is_dead:
            return
        if self._centre.slow_reader or self._centre.is_silent:  # uvloop reads once although it was paused
            self._postponed += data
            self._transport.pause_reading()
            self._go_on()
            return
        if len(data) > MAX_TURN_OCTETS:
            self._postponed = data[MAX_TURN_OCTETS:]
            data = data[:MAX_TURN_OCTETS]
            self._transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._go_on)
        self._handle(data)

    def _go_on(self) -> None:
        """Handle the next piece of a long read; when there is none, read again."""
        transport = self._transport
        if (
            transport.is_closing()
            or self._is_write_paused
            or self._centre.is_silent
            or self._reader is not None
        ):
            return  # `resume_writing`, `release` and the slow reader's timer call again
        if self._centre.slow_reader and self._postponed:
            self._reader = asyncio.get_running_loop().call_later(SLOW_READ_S, self._read_a_little)
            return
        data, self._postponed = self._postponed[:MAX_TURN_OCTETS], self._postponed[MAX_TURN_OCTETS:]
        if data:
            self._handle(data)
            asyncio.get_running_loop().call_soon(self._go_on)
        else:
            transport.resume_reading()

    def _read_a_little(self) -> None:
        """Handle what a slow reader reads in its time; the rest waits, and TCP holds back what is behind it."""
        self._reader = None
        rate = self._centre.slow_reader
        size = max(1, int(rate * SLOW_READ_S)) if rate else MAX_TURN_OCTETS
        if self._centre.is_silent:
            return  # `release` calls again
        data, self._postponed = self._postponed[:size], self._postponed[size:]
        if data and not self._is_dead:
            self._handle(data)
        self._go_on()

    def _handle(self, data: bytes) -> None:
        """Hand requests to the centre and acknowledgements to their receipts; write back once."""
        centre = self._centre
        now_ns = centre.clock()
        connection = self.connection
        events = connection.receive_bytes(data, now_ns=now_ns)
        outstanding = connection.unacknowledged_count + self.ignored_count
        centre.tally.max_outstanding = max(centre.tally.max_outstanding, outstanding)
        submits = self._take(events, now_ns)
        while connection.has_backlog:
            submits += self._take(connection.release_backlog(now_ns), now_ns)
        centre.batch_received(self, submit_count=submits, now_ns=now_ns)
        if self.account is not None:
            centre.originator.pump(self.account)
        self.flush()
        if connection.unacknowledged_count > MAX_UNANSWERED_REQUESTS:
            centre.tally.closes["flood"] += 1
            self.drop()

    def pause_writing(self) -> None:
        """Stop reading from an ESME that does not read: nothing is buffered without bound."""
        self._is_write_paused = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        self._is_write_paused = False
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the protocol's signature
        """Hand back what was not acknowledged, then disappear."""
        if not self.number:
            return
        for timer in (self._close_timer, self._reader):
            if timer is not None:
                timer.cancel()
        if self._is_dead:
            self._centre.dead.discard(self)
            return
        self._centre.closed(self)
        self._take(self.connection.connection_lost(), self._centre.clock())

    # -- for the centre ------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what the session has queued, in one piece."""
        connection = self.connection
        if connection.has_output and not self._centre.is_silent and not self._is_dead:
            octets = connection.take_output()
            if not self._transport.is_closing():
                self._transport.write(octets)

    def hold(self) -> None:
        """Read no more: the ESME sees a carrier that hangs, with its octets in the buffers of TCP."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def release(self) -> None:
        """Go on where `hold` stopped; what piled up is answered late, as a real carrier would."""
        self.connection.hold_liveness(self._centre.clock())
        self.flush()
        self._go_on()

    def tick(self, now_ns: int) -> None:
        """Act on the deadlines that have come."""
        self._take(self.connection.tick(now_ns), now_ns)
        self.flush()

    def unbind(self) -> None:
        """Ask the ESME to leave."""
        self.connection.unbind(self._centre.clock())
        self.flush()

    def die(self) -> None:
        """Be half open from now on: what comes is thrown away, nothing is said, the account has a bind less."""
        if self._is_dead:
            return
        self._is_dead = True
        self._centre.dead.add(self)
        self._centre.closed(self)
        self._take(self.connection.connection_lost(), self._centre.clock())

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
            return self._centre.operations.requested(
                self, account, event.command_id, event.sequence_number, pdu, now_ns
            )
        self._centre.submit(self, account, event.command_id, event.sequence_number, pdu, now_ns)
        return 1

    def _take(self, events: list[Event], now_ns: int) -> int:
        """Handle events and return the number of submits among them."""
        centre = self._centre
        submits = 0
        unanswered: list[Receipt | Originated] = []
        account = self.account
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
                context = answered.context
                taker = centre.originator.answered if type(context) is Originated else centre.receipt_answered
                taker(account, context, status=status, is_late=answered.is_late)
            else:
                self._rare(event, unanswered, now_ns)
                account = self.account
        if unanswered and account is not None:
            originated = [one for one in unanswered if isinstance(one, Originated)]
            centre.receipts_unanswered(account, [one for one in unanswered if isinstance(one, Receipt)])
            centre.originator.unanswered(account, originated)
        return submits

    def _rare(self, event: Event, unanswered: list[Receipt | Originated], now_ns: int) -> None:
        match event:
            case BindRequested():
                self._bind(event, now_ns)
            case Unanswered():
                unanswered.append(event.context)
            case Closed():
                if self._is_dead:
                    self._centre.tally.closes["half_open"] += 1
                    return
                self._centre.tally.closes[event.reason.value] += 1
                self.flush()
                self._close(is_peer_dead=event.reason is CloseReason.ENQUIRE_LINK_TIMEOUT)
            case Bound() | _:
                pass

    def _close(self, *, is_peer_dead: bool = False) -> None:
        """Close the connection; a peer that does not read what is left for it is not waited for."""
        transport = self._transport
        if is_peer_dead:
            transport.abort()
            return
        transport.close()
        if transport.get_write_buffer_size() and self._close_timer is None:
            loop = asyncio.get_running_loop()
            self._close_timer = loop.call_later(CLOSE_FLUSH_S, transport.abort)

    def _bind(self, event: BindRequested, now_ns: int) -> None:
        centre = self._centre
        system_id = event.pdu.system_id
        status = centre.bind_status(system_id=system_id, password=event.pdu.password)
        centre.tally.binds[c.status_name(status)] += 1
        if status:
            self.connection.reject_bind(event.sequence_number, command_status=status)
            self.flush()
            self._close()
            return
        self.account = centre.accounts[system_id]
        self.connection.accept_bind(event.sequence_number, system_id="caudal-smsc", now_ns=now_ns)
        self.flush()
        centre.bound(self, self.account, receives=event.command_id != c.BIND_TRANSMITTER)
