"""The SMPP server: customers' ESMEs bind to us and submit, beside the API and through the same intake (DESIGN D9).

One per process of the role `api`. `run` listens until `stop`, then drains: nobody new, what is open is answered,
everybody is unbound (sms-domain H10).
"""

import asyncio
import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from adapters.smpp.session.connection import SessionConfig, SessionState, TimerSettings
from adapters.smpp.session.events import BindRequested, RequestReceived
from adapters.smpp.wire import constants as c
from gateway.domain.message import MessageClass
from gateway.ports.clock import Clock
from gateway.ports.smpp_store import Credentials, WaitingReceipt
from gateway.smppd.customers import Customer
from gateway.smppd.delivery import Deliverer
from gateway.smppd.desk import SubmitDesk
from gateway.smppd.gate import FAILURE_ANSWER_S, BindGate, Refused
from gateway.smppd.metrics import ServerMetrics
from gateway.smppd.operations import Operations
from gateway.smppd.parts import PartDesk
from gateway.smppd.session import EsmeSession

_log = structlog.get_logger()

_REFRESH_S: Final = 30.0
_UNBIND_S: Final = 2.0
_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Bounds and timers of the server; `classes` are the classes by service_type."""

    max_sessions: int = 1_000
    session_init_s: float = 5.0
    enquire_link_s: float = 30.0
    inactivity_s: float = 0.0
    response_s: float = 30.0
    receipt_window: int = 10
    drain_s: float = 10.0
    failure_answer_s: float = FAILURE_ANSWER_S
    classes: Mapping[str, MessageClass] | None = None

    def session_config(self) -> SessionConfig:
        """Return the limits of every session; the window is the one towards the customer (sms-domain H15)."""
        return SessionConfig(
            window_slots=self.receipt_window,
            timers=TimerSettings(
                session_init_ns=int(self.session_init_s * _SECOND_NS),
                enquire_link_ns=int(self.enquire_link_s * _SECOND_NS),
                inactivity_ns=int(self.inactivity_s * _SECOND_NS),
                response_ns=int(self.response_s * _SECOND_NS),
            ),
        )


class SmppServer:
    """Sessions, customers and their tasks in one process; implements `gateway.smppd.session.Desk`."""

    def __init__(
        self,
        listener: socket.socket,
        *,
        limits: ServerLimits,
        credentials: Credentials,
        customers: dict[str, Customer],
        desk: SubmitDesk,
        operations: Operations,
        parts: PartDesk,
        deliverer: Deliverer,
        clock: Clock,
        metrics: ServerMetrics,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.port: int = listener.getsockname()[1]
        self._listener = listener
        self._limits = limits
        self._config = limits.session_config()
        self._credentials = credentials
        self._gate = BindGate(credentials, clock=clock, metrics=metrics)
        self._customers = customers
        self._desk = desk
        self._operations = operations
        self._parts = parts
        self._deliverer = deliverer
        self._clock = clock
        self._metrics = metrics
        self._tls = tls
        self._sessions: set[EsmeSession] = set()
        self._unbound_by_address: Counter[str] = Counter()
        self._unbound_per_address = max(10, limits.max_sessions // 10)
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._is_listening = False

    # -- for the wiring ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until `stop`, then drain."""
        loop = asyncio.get_running_loop()
        clock_ns = self._clock.monotonic_ns
        server = await loop.create_server(
            lambda: EsmeSession(self, config=self._config, clock_ns=clock_ns),
            sock=self._listener,
            backlog=1_024,
            ssl=self._tls,
            ssl_handshake_timeout=None if self._tls is None else self._limits.session_init_s,
        )
        self._is_listening = True
        try:
            async with self._background():
                await self._stopping.wait()
                server.close()
                await self._drain()
        finally:
            server.close()
            for session in tuple(self._sessions):
                session.abort()
            self._desk.cancel()

    def stop(self) -> None:
        """End `run` in order."""
        self._deliverer.hush()
        self._stopping.set()

    def not_ready(self) -> dict[str, str]:
        """Return `starting` or `draining` while that is so."""
        if self._stopping.is_set():
            return {"smpp_server": "draining"}
        return {} if self._is_listening else {"smpp_server": "starting"}

    def credential_changed(self, _system_id: str = "") -> None:
        """Look at the credentials of the bound sessions again."""
        self._changed.set()

    def receipts_came(self, system_id: str = "") -> None:
        """Look for receipts of a system_id, or of all."""
        self._deliverer.wake(system_id)

    # -- Desk: sessions ------------------------------------------------------------------------------

    def opened(self, session: EsmeSession) -> bool:
        """Count a connection; False when there are too many, or too many without a bind from one address."""
        if (
            self._stopping.is_set()
            or len(self._sessions) >= self._limits.max_sessions
            or self._unbound_by_address[session.address] >= self._unbound_per_address
        ):
            return False
        self._sessions.add(session)
        self._unbound_by_address[session.address] += 1
        self._metrics.sessions["open"].inc()
        return True

    def closed(self, session: EsmeSession) -> None:
        """Forget a connection; the last one of a customer takes him along."""
        self._sessions.discard(session)
        self._metrics.sessions[session.label].dec()
        customer = session.customer
        if customer is None:
            self._no_longer_unbound(session)
            return
        customer.leave(session)
        system_id = customer.credential.system_id
        if not customer.sessions and self._customers.get(system_id) is customer:
            del self._customers[system_id]
            self._deliverer.gone(customer)
        self._deliverer.nudge()

    def bind(self, session: EsmeSession, event: BindRequested) -> None:
        """Judge a bind as soon as the credential is at hand."""
        self._desk.spawn(self._bind(session, event), name="smppd.bind")

    # -- Desk: requests ------------------------------------------------------------------------------

    def submits(self, session: EsmeSession, customer: Customer, asked: list[tuple[int, int, Any]]) -> None:
        """Take the submits of one read; none while we drain."""
        if self._stopping.is_set():
            for command_id, sequence_number, _ in asked:
                session.answer(command_id, sequence_number, c.ESME_RSYSERR, "")
            self._metrics.submits(Counter({c.ESME_RSYSERR: len(asked)}))
            return
        self._desk.take(session, customer, asked)

    def requested(self, session: EsmeSession, customer: Customer, event: RequestReceived) -> None:
        """Answer a request that is no submit_sm and no data_sm."""
        self._operations.requested(session, customer, event)

    # -- Desk: receipts ------------------------------------------------------------------------------

    def receipt_answered(
        self, customer: Customer, receipt: WaitingReceipt, *, status: int, is_late: bool
    ) -> None:
        """Note the answer to a receipt: 0 ends it, anything else puts it off."""
        if status == c.ESME_ROK:
            customer.receipts.acknowledged(receipt)
            self._metrics.receipts("acknowledged")
        elif not is_late:
            self._metrics.receipts("refused")
            if customer.receipts.refused(
                receipt, now_ns=self._clock.monotonic_ns(), now_ms=self._clock.now_ms()
            ):
                self._metrics.receipts("given_up")
        self._deliverer.nudge()

    def receipts_unanswered(
        self, customer: Customer, receipts: list[WaitingReceipt], *, is_over: bool
    ) -> None:
        """Put receipts that have no answer back to the front."""
        self._metrics.receipts("unanswered", len(receipts))
        customer.receipts.unanswered(receipts, now_ns=self._clock.monotonic_ns(), is_over=is_over)

    def receipts_flow(self, customer: Customer) -> None:
        """Send what waits, while slots are free."""
        if not self._stopping.is_set():
            customer.receipts.pump(now_ns=self._clock.monotonic_ns(), now_ms=self._clock.now_ms())

    # -- inside --------------------------------------------------------------------------------------

    async def _bind(self, session: EsmeSession, event: BindRequested) -> None:
        loop = asyncio.get_running_loop()
        answer_at = loop.time() + self._limits.failure_answer_s
        pdu = event.pdu
        verdict = await self._gate.judge(pdu.system_id, pdu.password, address=session.address)
        if isinstance(verdict, Refused):
            await asyncio.sleep(answer_at - loop.time())
            if session.state is SessionState.OPEN:
                session.refuse(event, verdict.status)
            return
        if session.state is not SessionState.OPEN or self._stopping.is_set():
            session.abort()
            return
        customer = self._customers.get(verdict.system_id)
        if customer is None:
            customer = Customer(verdict)
        customer.credential = verdict
        if len(customer.sessions) >= verdict.max_binds:
            self._metrics.bound("too_many_binds")
            session.refuse(event, c.ESME_RBINDFAIL)
            return
        self._customers[verdict.system_id] = customer
        self._no_longer_unbound(session)
        self._metrics.sessions[session.label].dec()
        session.accept(event, customer)
        self._metrics.sessions[session.label].inc()
        self._metrics.bound("accepted")
        customer.enter(session)
        if session.receives:
            self._deliverer.wake(verdict.system_id)

    def _no_longer_unbound(self, session: EsmeSession) -> None:
        self._unbound_by_address[session.address] -= 1
        if self._unbound_by_address[session.address] <= 0:
            del self._unbound_by_address[session.address]

    @contextlib.asynccontextmanager
    async def _background(self) -> AsyncIterator[None]:
        """Run deliverer, sweeper and refresher; they end with the block, one that fails ends the block."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._deliverer.run(), name="smppd.deliver"),
                group.create_task(self._parts.run(), name="smppd.parts.sweep"),
                group.create_task(self._refresh(), name="smppd.refresh"),
            ]
            yield
            for task in tasks:
                task.cancel()

    async def _refresh(self) -> None:
        """Follow changes of the credentials of whoever is bound; a deleted or disabled one is sent away."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REFRESH_S):
                    await self._changed.wait()
            self._changed.clear()
            for system_id, customer in tuple(self._customers.items()):
                try:
                    found = await self._credentials.find(system_id, now_ms=self._clock.now_ms())
                except Exception as error:  # noqa: BLE001 - what we know stays true until the database says otherwise
                    _log.warning("smppd.refresh_failed", error=type(error).__name__)
                    break
                if found is not None and found.enabled:
                    customer.credential = found
                    continue
                _log.info("smppd.credential_gone", system_id=system_id, sessions=len(customer.sessions))
                for session in tuple(customer.sessions):
                    session.leave()

    async def _drain(self) -> None:
        """Answer what is open, let receipts be acknowledged, unbind everybody; bounded by `drain_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.drain_s):
                await self._desk.idle()
        bound = [session for session in self._sessions if session.customer is not None]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_UNBIND_S):
                while any(session.connection.in_flight_count for session in bound):  # noqa: ASYNC110 - sessions set no event
                    await asyncio.sleep(0.02)
        for session in tuple(self._sessions):
            session.leave()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_UNBIND_S):
                await asyncio.gather(*(asyncio.shield(session.closed) for session in bound))
