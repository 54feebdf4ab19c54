"""One SMPP session on an asyncio socket: feeds the session core, joins its output, owns its timer.

The ESME link (and an SMPP server) gives a callback for events and calls `flush_soon` after it asked the core for
anything. All work is synchronous inside the loop's callbacks; octets of one loop turn leave in one write.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import cast

from adapters.smpp.session.connection import SmppConnection
from adapters.smpp.session.events import Bound, Closed, CloseReason, Event
from adapters.smpp.session.matrix import Role
from adapters.smpp.session.sending import SessionConfig

WRITE_HIGH_WATER_OCTETS = 1 << 20
CLOSE_FLUSH_S = 2.0
LONG_READ_OCTETS = 1 << 16
_PEER_IS_GONE = frozenset(
    {CloseReason.CONNECTION_LOST, CloseReason.ABORTED, CloseReason.ENQUIRE_LINK_TIMEOUT}
)


class SmppTransport(asyncio.Protocol):
    """asyncio end of one `SmppConnection` (attribute `connection`, there from `connection_made` on).

    `on_events` is called with every non-empty list of events, `on_writable` when output flows again after a
    stop, which `is_writable` shows. Reading stops while `max_unacknowledged` requests of the peer wait for our answer, or while the peer
    does not take our octets.
    """

    connection: SmppConnection

    def __init__(
        self,
        role: Role,
        *,
        config: SessionConfig,
        on_events: Callable[[list[Event]], None],
        clock_ns: Callable[[], int],
        on_writable: Callable[[], None] | None = None,
        max_unacknowledged: int = 5000,
    ) -> None:
        self._role = role
        self._config = config
        self._on_events = on_events
        self._on_writable = on_writable
        self._clock_ns = clock_ns
        self._max_unacknowledged = max_unacknowledged
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._is_flush_scheduled = False
        self.is_writable = False
        self._is_reading = True
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due_ns = 0
        self._close_timer: asyncio.TimerHandle | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()

    @property
    def free_slots(self) -> int:
        """Requests that may be sent now: 0 while unbound, while the window is full, while writing is stopped."""
        return self.connection.free_slots if self.is_writable else 0

    def flush_soon(self) -> None:
        """Write the core's output at the end of this loop turn, once."""
        if not self._is_flush_scheduled:
            self._is_flush_scheduled = True
            self._loop.call_soon(self._flush)

    def unbind(self) -> None:
        """Start an orderly end of the session; `closed` resolves when the socket is gone."""
        self.connection.unbind(self._clock_ns())
        self.flush_soon()

    def abort(self) -> None:
        """Close now; open requests are reported before this returns."""
        if self._transport is not None:
            self._emit(self.connection.abort())
            self._transport.abort()

    # -- asyncio.Protocol ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the session."""
        # uvloop's transports have the methods but not the base class.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_WATER_OCTETS)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = SmppConnection(self._role, config=self._config, now_ns=self._clock_ns())
        self.is_writable = True
        self.flush_soon()

    def data_received(self, data: bytes) -> None:
        """Feed the core."""
        connection = self.connection
        events = connection.receive_bytes(data, now_ns=self._clock_ns())
        if events:
            self._emit(events)
            while connection.has_backlog:
                self._emit(connection.release_backlog(self._clock_ns()))
        if self._is_reading and connection.unacknowledged_count >= self._max_unacknowledged:
            self._adjust_reading()
        transport = self._transport
        if len(data) >= LONG_READ_OCTETS and self._is_reading and transport and not transport.is_closing():
            # uvloop reads up to 32 times before its next turn: a flood of one carrier must not hold up the others.
            transport.pause_reading()
            self._loop.call_soon(self._read_on)
        # A bind that stands and an answered probe bring nothing to write, but a deadline that may be nearer than the
        # one the timer stands for.
        if connection.has_output or not events or type(events[0]) is Bound:
            self.flush_soon()

    def eof_received(self) -> bool:
        """Close: half-open sessions have no meaning in SMPP."""
        return False

    def pause_writing(self) -> None:
        """Stop taking output and input: a peer that does not read gets no more work done for it."""
        self.is_writable = False
        self._adjust_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self.is_writable = True
        self._adjust_reading()
        self.flush_soon()
        if self._on_writable is not None:
            self._on_writable()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the core's reason is what counts
        """Report what stayed open."""
        self.is_writable = False
        for timer in (self._timer, self._close_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._close_timer = None
        self._emit(self.connection.connection_lost())
        self._transport = None
        if not self.closed.done():
            self.closed.set_result(None)

    # -- inside ----------------------------------------------------------------------------------

    def _emit(self, events: list[Event]) -> None:
        if not events:
            return
        self._on_events(events)
        # Closed is the last event of a session, so looking at the last one is enough.
        last = events[-1]
        if isinstance(last, Closed):
            self._end(last.reason)

    def _end(self, reason: CloseReason) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if reason in _PEER_IS_GONE:
            transport.abort()
            return
        if out := self.connection.take_output():
            transport.write(out)
        transport.close()
        self._close_timer = self._loop.call_later(CLOSE_FLUSH_S, transport.abort)

    def _flush(self) -> None:
        self._is_flush_scheduled = False
        if self._transport is None:
            return
        connection = self.connection
        if self.is_writable and connection.has_output and not self._transport.is_closing():
            self._transport.write(connection.take_output())
        if not self._is_reading:
            self._adjust_reading()
        self._arm()

    def _read_on(self) -> None:
        if self._is_reading and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _adjust_reading(self) -> None:
        """Stop or resume reading; resumes only at half the bound, so that it does not flutter."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        bound = self._max_unacknowledged if self._is_reading else self._max_unacknowledged // 2 + 1
        should_read = self.is_writable and self.connection.unacknowledged_count < bound
        if should_read and not self._is_reading:
            transport.resume_reading()
        elif self._is_reading and not should_read:
            transport.pause_reading()
        self._is_reading = should_read

    def _arm(self) -> None:
        """Keep one timer, never later than the core's next deadline; an early one just asks again."""
        due_ns = self.connection.next_deadline_ns
        if due_ns is None or (self._timer is not None and self._timer_due_ns <= due_ns):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due_ns = due_ns
        delay_s = max(0.0, (due_ns - self._clock_ns()) / 1e9)
        self._timer = self._loop.call_later(delay_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        connection = self.connection
        if not self._is_reading and connection.next_deadline_ns is not None:
            # The silence is ours: a peer that we do not read cannot be judged by what we did not hear.
            connection.hold_liveness(self._clock_ns())
        self._emit(connection.tick(self._clock_ns()))
        if self._transport is not None:
            if connection.has_output:
                self.flush_soon()
            self._arm()


async def connect(
    host: str,
    port: int,
    *,
    factory: Callable[[], SmppTransport],
    timeout_s: float,
    tls: ssl.SSLContext | None = None,
    server_hostname: str | None = None,
) -> SmppTransport:
    """Return a connected transport; raises OSError (TimeoutError included) or ssl.SSLError within `timeout_s`."""
    loop = asyncio.get_running_loop()
    name = None if tls is None else (server_hostname or host)
    async with asyncio.timeout(timeout_s):
        _, protocol = await loop.create_connection(factory, host, port, ssl=tls, server_hostname=name)
    return protocol
