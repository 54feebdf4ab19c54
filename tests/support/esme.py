"""An ESME for tests on a loopback socket: our session core in the ESME role, with what it heard at hand."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

from adapters.smpp.session.connection import Role, SessionConfig, TimerSettings
from adapters.smpp.session.events import Answered, BindRefused, Bound, Closed, RequestReceived, Unanswered
from adapters.smpp.transport import SmppTransport, connect
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.codec import encode
from adapters.smpp.wire.pdus import BindReceiver, BindTransceiver, BindTransmitter, DeliverSm, Pdu, SubmitSm
from adapters.smpp.wire.receipt_text import parse_receipt

BINDS = {"tx": BindTransmitter, "rx": BindReceiver, "trx": BindTransceiver}
NUMBER = "525512345678"


class Esme:
    """One session. `receipts` are the deliver_sm heard; `answer` says how they are answered (None: not at all)."""

    def __init__(self, *, window: int = 1000) -> None:
        self.receipts: list[DeliverSm] = []
        self.answer: Callable[[DeliverSm], int | None] = lambda _: 0
        self.bound: Bound | None = None
        self.bind_status: int | None = None
        self.closed = ""
        self.ids: list[str] = []
        self.statuses: list[int] = []
        self.open = 0
        self._window = window
        self._news = asyncio.Event()
        self._waiting: dict[int, asyncio.Future[Answered]] = {}
        self.transport: SmppTransport
        self.unanswered: deque[int] = deque()

    async def connect(self, port: int, *, tls: Any = None) -> None:
        config = SessionConfig(
            window_slots=self._window,
            timers=TimerSettings(response_ns=20 * 10**9, bind_response_ns=8 * 10**9),
        )
        self.transport = await connect(
            "127.0.0.1",
            port,
            factory=lambda: SmppTransport(
                Role.ESME, config=config, on_events=self._handle, clock_ns=time.monotonic_ns
            ),
            timeout_s=5,
            tls=tls,
            server_hostname="localhost" if tls else None,
        )

    async def bind(
        self,
        system_id: str = "acme",
        password: str = "secret",
        *,
        mode: str = "trx",
        interface_version: int = 0x34,
    ) -> int:
        """Bind; return the status."""
        pdu = BINDS[mode](system_id=system_id, password=password, interface_version=interface_version)
        self.transport.connection.send_bind(pdu, now_ns=time.monotonic_ns())
        self.transport.flush_soon()
        await self.until(lambda: self.bound or self.bind_status is not None or self.closed)
        return 0 if self.bound else -1 if self.bind_status is None else self.bind_status

    async def ask(self, pdu: Pdu) -> Answered:
        """Send one request; return its answer."""
        future = self.send(pdu)
        return await asyncio.wait_for(future, 10)

    def send(self, pdu: Pdu) -> "asyncio.Future[Answered]":
        """Send one request; the future has its answer."""
        future: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self.transport.connection.send(pdu, context=future, now_ns=time.monotonic_ns())
        self.transport.flush_soon()
        return future

    async def submit(self, text: str = "hola", **fields: Any) -> Answered:
        """Send one submit_sm; return its answer."""
        return await self.ask(a_submit(text, **fields))

    def flood(self, pdu: SubmitSm, count: int) -> None:
        """Send one submit `count` times at once; `ids` and `statuses` collect the answers."""
        body = encode(pdu, sequence_number=1)[16:]
        connection, now_ns = self.transport.connection, time.monotonic_ns()
        for _ in range(count):
            connection.send_body(c.SUBMIT_SM, body, context=None, now_ns=now_ns)
        self.open += count
        self.transport.flush_soon()

    async def until(self, condition: Callable[[], Any], *, limit_s: float = 30.0) -> None:
        """Wait for a condition on what was heard."""
        async with asyncio.timeout(limit_s):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def heard(self, count: int, *, limit_s: float = 30.0) -> list[DeliverSm]:
        """Wait for so many receipts."""
        await self.until(lambda: len(self.receipts) >= count, limit_s=limit_s)
        return self.receipts

    async def leave(self) -> None:
        """Unbind and close."""
        self.transport.unbind()
        await asyncio.wait_for(asyncio.shield(self.transport.closed), 5)

    def _handle(self, events: list[Any]) -> None:
        for event in events:
            match event:
                case Answered():
                    self._answered(event)
                case RequestReceived(pdu=DeliverSm() as pdu):
                    self.receipts.append(pdu)
                    status = self.answer(pdu)
                    if status is None:
                        self.unanswered.append(event.sequence_number)
                    else:
                        self.transport.connection.respond_deliver(
                            event.sequence_number, command_status=status
                        )
                case Bound():
                    self.bound = event
                case BindRefused():
                    self.bind_status = event.command_status
                case Unanswered():
                    if event.context is not None and not event.context.done():
                        event.context.set_exception(ConnectionError(event.reason))
                        event.context.exception()
                case Closed():
                    self.closed = event.reason.value
                case _:
                    pass
        self.transport.flush_soon()
        self._news.set()

    def _answered(self, event: Answered) -> None:
        if event.context is not None:
            if not event.context.done():
                event.context.set_result(event)
            return
        self.open -= 1
        self.statuses.append(event.command_status)
        if not event.command_status:
            self.ids.append(event.message_id)

    def answer_all(self) -> None:
        """Answer every receipt that was left open."""
        while self.unanswered:
            self.transport.connection.respond_deliver(self.unanswered.popleft())
        self.transport.flush_soon()


@asynccontextmanager
async def an_esme(port: int, *, mode: str = "trx", window: int = 1000, **bind: Any):
    """Give a bound ESME; its connection is dropped at the end."""
    esme = Esme(window=window)
    await esme.connect(port)
    try:
        assert await esme.bind(mode=mode, **bind) == 0, (esme.bind_status, esme.closed)
        yield esme
    finally:
        esme.transport.abort()


def a_submit(text: str | bytes = "hola", **fields: Any) -> SubmitSm:
    """Return a submit_sm to a good number, with a receipt asked for."""
    octets = text if isinstance(text, bytes) else text.encode("ascii")
    return SubmitSm(
        **{
            "source_addr_ton": 5,
            "source_addr": "ACME",
            "dest_addr_ton": 1,
            "dest_addr_npi": 1,
            "destination_addr": NUMBER,
            "registered_delivery": 1,
            "short_message": octets,
            **fields,
        }
    )


def parsed(pdu: DeliverSm) -> Any:
    """Return what a receipt says."""
    return parse_receipt(
        esm_class=pdu.esm_class,
        data_coding=pdu.data_coding,
        short_message=pdu.short_message,
        tlvs=pdu.tlvs,
    )
