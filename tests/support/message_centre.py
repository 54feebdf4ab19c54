"""A scripted message centre on a loopback socket, for tests of the carrier link: our session core in the MC role."""

import asyncio
import time
from collections.abc import Callable
from contextlib import asynccontextmanager

from adapters.smpp.session.connection import Role, SessionConfig
from adapters.smpp.session.events import BindRequested, Closed, RequestReceived
from adapters.smpp.transport import SmppTransport
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.codec import encode
from adapters.smpp.wire.pdus import DeliverSm


class MessageCentre:
    """Accepts binds, hears submits, answers as `answer(sequence_number, pdu)` says.

    `answer` returns (command_status, message_id), or None for no answer. `bind_status` maps a bind's command_id to
    the status it gets. Everything heard is kept: `submits`, `binds`, `answers` (to our deliver_sm).
    """

    def __init__(self) -> None:
        self.answer: Callable = self.accept
        self.bind_status: dict[int, int] = {}
        self.window_slots = 1000
        self.submits: list = []
        self.binds: list[int] = []
        self.answers: list = []
        self.ends: list[str] = []
        self.sessions: list[SmppTransport] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._unanswered: list = []

    def accept(self, number, pdu):
        return 0, f"id-{len(self.submits)}"

    def answer_late(self, status: int = 0) -> None:
        """Answer everything that `answer` left open."""
        for transport, number in self._unanswered:
            transport.connection.respond_submit(number, command_status=status, message_id=f"late-{number}")
            transport.flush_soon()
        self._unanswered.clear()

    def deliver(self, session: int = -1, **fields) -> None:
        """Send one deliver_sm on a session that is bound for it."""
        transport = self.sessions[session]
        body = encode(DeliverSm(**fields), sequence_number=1)[16:]
        transport.connection.send_body(c.DELIVER_SM, body, context=fields, now_ns=time.monotonic_ns())
        transport.flush_soon()

    async def until(self, condition, limit_s: float = 30.0):
        """Wait for a condition on what was heard; fails with TimeoutError."""
        async with asyncio.timeout(limit_s):
            while not condition():  # noqa: ASYNC110  # conditions are about many things; an event each would hide the test
                await asyncio.sleep(0.002)

    async def start(self, port: int = 0) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._session, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for transport in list(self.sessions):
            transport.abort()
        await self._server.wait_closed()

    def _session(self) -> SmppTransport:
        transport = SmppTransport(
            Role.MC,
            config=SessionConfig(window_slots=self.window_slots),
            on_events=lambda events: self._on_events(transport, events),
            clock_ns=time.monotonic_ns,
        )
        return transport

    def _on_events(self, transport, events) -> None:
        for event in events:
            match event:
                case BindRequested():
                    self._bind(transport, event)
                case RequestReceived():
                    self.submits.append((transport, event.sequence_number, event.pdu))
                    answer = self.answer(event.sequence_number, event.pdu)
                    if answer is None:
                        self._unanswered.append((transport, event.sequence_number))
                    else:
                        status, message_id = answer
                        transport.connection.respond_submit(
                            event.sequence_number, command_status=status, message_id=message_id
                        )
                case Closed():
                    self.ends.append(event.reason.value)
                    if transport in self.sessions:
                        self.sessions.remove(transport)
                case _:
                    self.answers.append(event)
        transport.flush_soon()

    def _bind(self, transport, event) -> None:
        self.binds.append(event.command_id)
        status = self.bind_status.get(event.command_id, 0)
        if status:
            transport.connection.reject_bind(event.sequence_number, command_status=status)
        else:
            transport.connection.accept_bind(
                event.sequence_number, system_id="mc", now_ns=time.monotonic_ns()
            )
            self.sessions.append(transport)


@asynccontextmanager
async def a_message_centre():
    """Give a running message centre and stop it."""
    centre = MessageCentre()
    await centre.start()
    try:
        yield centre
    finally:
        await centre.stop()
