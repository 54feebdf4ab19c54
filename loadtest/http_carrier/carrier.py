"""The simulated HTTP carrier itself: takes requests, answers in time, tells receipts, and goes wrong as ordered.

`async with HttpCarrier(settings) as carrier:` inside a test or a process. All delayed answers and receipts share one
timer. `carrier.until(...)` waits for what has been counted, so that tests await events and not time.
"""

import asyncio
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic_ns, time_ns
from typing import Any, Final, Self

from aiohttp import web

from loadtest.faults import FaultDesk, apply
from loadtest.http_carrier import record as columns
from loadtest.http_carrier.control import make_app
from loadtest.http_carrier.exchange import Kind, Message, Notice, Reply, Request, Verdict
from loadtest.http_carrier.kinds import make_kind
from loadtest.http_carrier.orders import Orders
from loadtest.http_carrier.outbox import Outbox
from loadtest.http_carrier.record import Record
from loadtest.http_carrier.session import HttpSession
from loadtest.http_carrier.settings import HttpCarrierSettings
from loadtest.listening import Listener, taken
from loadtest.rates import ArrivalWatch
from loadtest.ticks import TickQueue

RECEIPT_FIRST_LIMIT_NS: Final = 2_000_000_000
"""How long an answer waits at most for a receipt that shall come before it."""

MAX_HELD_ANSWERS: Final = 100_000
_CONTROL_SHUTDOWN_S: Final = 0.2


class _Answer:
    """An answer on its way."""

    __slots__ = ("is_sent", "reply", "serial", "session")

    def __init__(self, session: HttpSession, serial: int, reply: Reply) -> None:
        self.session = session
        self.serial = serial
        self.reply = reply
        self.is_sent = False


@dataclass(slots=True)
class Tally:
    """Counts since the last reset: requests, messages, answers by HTTP status, words of messages, breaks."""

    requests: int = 0
    messages: int = 0
    taken: int = 0
    unanswered: int = 0
    connections: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    breaks: Counter[str] = field(default_factory=Counter)


class HttpCarrier:
    """One carrier. Raises ValueError or TypeError for a knob that cannot be, OSError when a port is taken."""

    def __init__(self, settings: HttpCarrierSettings, *, clock: Callable[[], int] = monotonic_ns) -> None:
        self.settings = settings
        self.clock = clock
        self.unix_offset_ns = time_ns() - monotonic_ns()
        self._listener = Listener(lambda: HttpSession(self))
        self.orders = Orders(
            seed=settings.seed,
            acts={
                "disconnect": lambda _: self._each(HttpSession.drop),
                "half_open": lambda _: self._each(HttpSession.die),
                "silence": self._silence,
                "refuse": self._listener.refuse,
                "hold_receipts": lambda _: self.outbox.wake(),
            },
        )
        self.kind: Kind = make_kind(settings, self)
        self.orders.serve(self.kind)
        self.faults = FaultDesk(
            self.orders, settings=settings.faults, timeline=settings.timeline, clock=clock
        )
        # The ids of one start are above those of any start before: a million a second are left for each.
        first = settings.first_message_id
        self._first_id = time_ns() // 1_000 if first is None else first
        self.tally = Tally()
        self.watch = ArrivalWatch()
        self.record = Record(max_messages=settings.record_limit, file=settings.record_file)
        self.outbox = Outbox(
            settings,
            kind=self.kind,
            orders=self.orders,
            record=self.record,
            unix_ns=self.unix_ns,
            on_told=self._told,
        )
        self.port = 0
        self.control_port: int | None = None
        self._sessions: dict[int, HttpSession] = {}
        self._session_count = 0
        self._runner: web.AppRunner | None = None
        self._answers: TickQueue[_Answer] = TickQueue()
        self._held: dict[int, _Answer] = {}
        self._answer_ns = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due_ns = 0
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    # -- life --------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Listen, and begin the timeline."""
        settings = self.settings
        try:
            await self._listener.open(settings.host, settings.port)
            self.port = self._listener.port
            self.outbox.start()
            if settings.control_port is not None:
                await self._open_control(settings.control_port)
            self.faults.begin()
            await self._listener.settled()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening and calling, drop every connection."""
        self.faults.timeline.cancel()
        await self._listener.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._each(HttpSession.drop)
        await self.outbox.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        self.record.close()
        for entry in self._waiters:
            entry[1].cancel()

    async def _open_control(self, port: int) -> None:
        host = self.settings.host
        self._runner = web.AppRunner(make_app(self), access_log=None, shutdown_timeout=_CONTROL_SHUTDOWN_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            raise taken(error, host, port) from None
        self.control_port = self._runner.addresses[0][1]

    @property
    def url(self) -> str:
        """Return where clients reach it."""
        return f"http://{self.settings.host}:{self.port}"

    @property
    def control_url(self) -> str:
        """Return where its control API is."""
        return f"http://{self.settings.host}:{self.control_port}"

    # -- for tests and the control API -------------------------------------------------------------

    def set(self, **faults: Any) -> None:
        """Set all these knobs or none. Raises ValueError or TypeError."""
        apply(self.orders, faults)

    async def settled(self) -> None:
        """Wait until connections are refused, or taken, as was ordered last."""
        await self._listener.settled()

    async def until(self, is_so: Callable[[], bool], *, timeout_s: float = 30.0) -> None:
        """Wait until `is_so()`; it is asked whenever something was counted. Raises TimeoutError."""
        if is_so():
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (is_so, waiter)
        self._waiters.append(entry)
        try:
            async with asyncio.timeout(timeout_s):
                await waiter
        finally:
            self._waiters.remove(entry)

    def tell(self, wish: Mapping[str, Any]) -> None:
        """Send a person's message to the callback URL, in the words of the kind. Raises ValueError."""
        self.outbox.send(self.kind.reply(wish))

    def tell_raw(self, body: bytes) -> None:
        """Sign a body as it is and send it to the callback URL. Raises ValueError."""
        self.outbox.send(Notice(-1, "RAW", raw=body))

    async def verify(self) -> bool:
        """Make the verification call of the callback URL; tell whether the challenge came back.

        Raises ValueError without a callback URL, OSError or TimeoutError when it cannot be reached.
        """
        return await self.outbox.verify()

    def reset(self) -> None:
        """Forget counts and record; connections, pending receipts and faults stay."""
        self.record.reset()
        self.tally = Tally()
        self.watch = ArrivalWatch()
        self.orders.forget()

    def stats(self) -> dict[str, Any]:
        """Return every count, the worst windows and what still waits."""
        tally = self.tally
        return {
            "kind": self.settings.kind,
            "now_ns": self.clock(),
            "unix_offset_ns": self.unix_offset_ns,
            "requests": tally.requests,
            "messages": tally.messages,
            "taken": tally.taken,
            "unanswered": tally.unanswered,
            "statuses": {str(status): count for status, count in sorted(tally.statuses.items())},
            "codes": dict(tally.codes),
            "breaks": dict(tally.breaks),
            "fallen": {name: chance.fallen for name, chance in self.orders.shares.items()},
            "connections": {"open": len(self._sessions), "made": tally.connections},
            "callbacks": self.outbox.report(),
            "waiting": {"answers": len(self._answers), "receipts_scheduled": len(self.outbox)},
            "record": {
                "first_number": self.record.first_number,
                "next_number": self.record.next_number,
                "forgotten": self.record.forgotten_count,
            },
            "windows": self.watch.report(),
        }

    # -- Desk, for the kinds -----------------------------------------------------------------------

    def judge(self, destination: str) -> Verdict:
        """Decide on a well-formed message."""
        return self.orders.judge(destination)

    def unix_ns(self) -> int:
        """Return the wall clock in nanoseconds."""
        return self.clock() + self.unix_offset_ns

    def message_id(self, number: int) -> str:
        """Return the id of a message; WhatsApp's look like its own."""
        id_number = self._first_id + number
        if self.settings.kind == "whatsapp":
            return "wamid." + b64encode(b"\x1d\x18%016X\x15\x02\x00" % id_number).decode()
        return f"{id_number:x}"

    def take(
        self, request: Request, message: Message, *, code: str, verdict: Verdict, http_status: int
    ) -> int:
        """Record a message, schedule its receipts if it was taken; return its number."""
        record = self.record
        number = record.append(
            message,
            arrival_ns=request.arrival_ns,
            session=request.session,
            code=code,
            http_status=http_status,
            message_id=self.message_id(record.next_number),
        )
        self.tally.messages += 1
        self.tally.codes[code or "taken"] += 1
        if not code:
            self.tally.taken += 1
            is_first = verdict.is_receipt_first
            self.outbox.schedule(
                number,
                message,
                verdict.fate,
                due_ns=request.arrival_ns if is_first else self._answer_ns,
                is_first=is_first,
            )
        return number

    # -- Front, for the sessions -------------------------------------------------------------------

    def opened(self, session: HttpSession) -> int:
        """Register a connection and return its number, 0 when there are too many."""
        if len(self._sessions) >= self.settings.max_connections:
            self.tally.breaks["too_many_connections"] += 1
            return 0
        self._session_count += 1
        self.tally.connections += 1
        self._sessions[self._session_count] = session
        self._counted()
        return self._session_count

    def closed(self, session: HttpSession) -> None:
        """Forget a connection."""
        self._sessions.pop(session.number, None)
        self._counted()

    def broke(self, session: HttpSession, how: str) -> None:  # noqa: ARG002  # the protocol's signature
        """Count a connection ended on purpose."""
        self.tally.breaks[how] += 1
        self._counted()

    def max_body(self, path: str) -> int:
        """Return the most octets that a request to this path may have."""
        return self.kind.max_body(path)

    def requested(self, session: HttpSession, request: Request) -> None:
        """Take one request and queue its answer."""
        orders = self.orders
        tally = self.tally
        tally.requests += 1
        now_ns = request.arrival_ns
        answer_ns = self._answer_ns = now_ns + orders.latency.draw_ns()
        failure = orders.http_errors.draw() if orders.http_errors.shares else None
        if failure is not None:
            reply = self.kind.failed(request, failure)
        else:
            reply = self.kind.requested(request)
            if reply.numbers:
                self.watch.add(now_ns, len(reply.numbers))
        tally.statuses[reply.status] += 1
        if not reply.is_answered or orders.silence != "none":
            tally.unanswered += 1
        elif reply.awaits_receipt and self.outbox.tells and len(self._held) < MAX_HELD_ANSWERS:
            answer = _Answer(session, session.serial, reply)
            for number in reply.numbers:
                self._held[number] = answer
            self._answers.push(max(answer_ns, now_ns + RECEIPT_FIRST_LIMIT_NS), answer)
        elif answer_ns > now_ns:
            self._answers.push(answer_ns, _Answer(session, session.serial, reply))
        else:
            self._answer(session, session.serial, reply)
        if self._answers or self.outbox:
            self._arm(now_ns)
        if self._waiters:
            self._counted()

    def _answer(self, session: HttpSession, serial: int, reply: Reply) -> None:
        if session.answer(serial, reply):
            for number in reply.numbers:
                self.record.mark(number, columns.ANSWERED)

    def _each(self, act: Callable[[HttpSession], None]) -> None:
        for session in tuple(self._sessions.values()):
            act(session)

    def _silence(self, silence: Any) -> None:
        self._each(HttpSession.hold if silence == "all" else HttpSession.release)

    def _told(self, notices: list[Notice]) -> None:
        """Note the end of a call; an answer that waited for it goes out now."""
        if self._held:
            for notice in notices:
                held = self._held.get(notice.number)
                if held is not None:
                    self._let_go(held)
        if self._waiters:
            self._counted()

    def _let_go(self, answer: _Answer) -> None:
        if answer.is_sent:
            return
        answer.is_sent = True
        for number in answer.reply.numbers:
            self._held.pop(number, None)
        self._answer(answer.session, answer.serial, answer.reply)

    # -- time --------------------------------------------------------------------------------------

    def _counted(self) -> None:
        """Ask those who wait whether it is so now."""
        for asked, waiter in self._waiters:
            if not waiter.done() and asked():
                waiter.set_result(None)

    def _arm(self, now_ns: int) -> None:
        due_ns = min(self._answers.next_due_ns or 1 << 62, self.outbox.next_due_ns or 1 << 62)
        if due_ns == 1 << 62:
            return
        if self._timer is not None:
            if self._timer_due_ns <= due_ns:
                return
            self._timer.cancel()
        self._timer_due_ns = due_ns
        delay_s = max(due_ns - now_ns, 0) / 1e9
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now_ns = self.clock()
        for answer in self._answers.pop_due(now_ns):
            self._let_go(answer)
        self.outbox.release_due(now_ns)
        self._arm(self.clock())
        if self._waiters:
            self._counted()
