"""One rig per kind of link, so that the contract of `gateway.ports.links` is tested over all of them in the same words.

A rig is a scripted peer and a link towards it. To add a kind, write a `Rig` and put it into `RIGS`.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import uuid4

from adapters.http.link import HttpLink
from adapters.http.mapping import HttpMapping, MappedDialect
from adapters.http.profile import HttpProfile
from adapters.http.whatsapp import WhatsAppDialect, WhatsAppProfile
from adapters.smpp.link import SmppLink
from adapters.smpp.profile import CarrierProfile
from adapters.smpp.wire import constants as c
from gateway.domain.message import Message, MessageClass, OutboundSegment
from gateway.domain.outcomes import SubmitOutcome, Submitted
from gateway.domain.segmentation import SegmentPayload
from gateway.ports.clock import Clock, SystemClock
from gateway.ports.links import GO, BindState, CarrierLink, Permit
from tests.support.http_carrier import HttpCarrier, Reply
from tests.support.message_centre import MessageCentre

CLOCK = SystemClock()
SECRET = "secret"
PATIENCE = {"reconnect_min_s": 0.01, "reconnect_max_s": 0.05}


class JumpingClock(SystemClock):
    """The machine's clock with a leap on demand."""

    leap_ns = 0

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self.leap_ns


@dataclass
class Sink:
    """Keeps all it is told."""

    ready: int = 0
    inbound: list = field(default_factory=list)
    batches: int = 0
    late: list = field(default_factory=list)
    changes: list = field(default_factory=list)

    def on_ready(self):
        self.ready += 1

    def on_inbound(self, batch):
        self.batches += 1
        self.inbound += batch

    def on_late_answer(self, segment, outcome):
        self.late.append((segment, outcome))

    def on_bind_changed(self, event):
        self.changes.append(event)

    def states(self, bind):
        return [change.state for change in self.changes if change.bind == bind]


class Rig(ABC):
    """A peer, and links towards it. Durations and limits of `link` have the same names for every kind.

    `statuses` are what refusals are called in outcomes, by what they mean: throttle, retry_later, failover, permanent.
    """

    kind: str
    statuses: dict[str, str]

    @abstractmethod
    def bind(self, number: int) -> str:
        """Return the name of a bind."""

    @abstractmethod
    def link(self, *, clock: Clock, shares: int = 1, shard: int = 0, **options: Any) -> CarrierLink:
        """Return a link towards the peer; options: answer_s, connect_s, and those that both profiles have."""

    @abstractmethod
    async def start(self) -> None:
        """Let the peer listen, where it listened before if it did."""

    @abstractmethod
    async def stop(self) -> None:
        """Let the peer be gone: connections are refused."""

    @abstractmethod
    def take(self) -> None:
        """Let the peer take every submit."""

    @abstractmethod
    def hold(self) -> None:
        """Let the peer leave every submit without an answer."""

    @abstractmethod
    def refuse(self, meaning: str) -> None:
        """Let the peer refuse every submit."""

    @abstractmethod
    def answer_held(self) -> None:
        """Let the peer take what it held."""

    @abstractmethod
    def drop(self) -> None:
        """Cut the connections."""

    @property
    @abstractmethod
    def heard(self) -> int:
        """How many submits the peer heard."""

    @property
    @abstractmethod
    def said(self) -> str:
        """All that the peer heard, as text."""

    async def until(self, condition: Callable[[], object], limit_s: float = 30.0) -> None:
        """Wait for a condition; fails with TimeoutError."""
        async with asyncio.timeout(limit_s):
            while not condition():  # noqa: ASYNC110 - conditions are about many things
                await asyncio.sleep(0.002)


class SmppRig(Rig):
    kind = "smpp"
    statuses: ClassVar = {
        "throttle": "ESME_RTHROTTLED",
        "retry_later": "ESME_RSYSERR",
        "failover": "ESME_RSUBMITFAIL",
        "permanent": "ESME_RINVDSTADR",
    }
    _names: ClassVar = {"answer_s": "response_timeout_s", "connect_s": "connect_timeout_s"}

    def __init__(self) -> None:
        self.peer = MessageCentre()

    def bind(self, number):
        return f"trx{number}"

    def link(self, *, clock, shares=1, shard=0, **options):
        profile = CarrierProfile(
            **{
                "carrier": "telco",
                "host": "127.0.0.1",
                "port": self.peer.port,
                "system_id": "caudal",
                "password": SECRET,
                **PATIENCE,
                **{self._names.get(name, name): value for name, value in options.items()},
            }
        )
        return SmppLink(profile, clock=clock, shares=shares, shard=shard)

    async def start(self):
        await self.peer.start(self.peer.port)

    async def stop(self):
        await self.peer.stop()

    def take(self):
        self.peer.answer = self.peer.accept

    def hold(self):
        self.peer.answer = lambda number, pdu: None

    def refuse(self, meaning):
        status = getattr(c, self.statuses[meaning])
        self.peer.answer = lambda number, pdu: (status, "")

    def answer_held(self):
        self.peer.answer_late()

    def drop(self):
        for session in list(self.peer.sessions):
            session.abort()

    @property
    def heard(self):
        return len(self.peer.submits)

    @property
    def said(self):
        return repr([pdu for _, _, pdu in self.peer.submits])


class HttpRig(Rig):
    kind = "http"
    statuses: ClassVar = {
        "throttle": "HTTP_429",
        "retry_later": "E503",
        "failover": "HTTP_403",
        "permanent": "E400",
    }

    def __init__(self) -> None:
        self.peer = HttpCarrier()

    def bind(self, number):
        return f"http{number}"

    def dialect(self):
        return MappedDialect(an_http_mapping(self.peer.url))

    def link(self, *, clock, shares=1, shard=0, **options):
        profile = HttpProfile(**{"carrier": "telco", "url": self.peer.url, **PATIENCE, **options})
        return HttpLink(profile, self.dialect(), clock=clock, shares=shares, shard=shard)

    async def start(self):
        await self.peer.start()

    async def stop(self):
        await self.peer.stop()

    def take(self):
        self.peer.answer = self.peer.accept

    def hold(self):
        self.peer.answer = lambda heard: None

    def refuse(self, meaning):
        status = self.statuses[meaning]
        number = int(status[-3:])
        body = {"code": status} if status.startswith("E") else {}
        self.peer.answer = lambda heard: Reply(number, body)

    def answer_held(self):
        self.peer.answer_held()

    def drop(self):
        self.peer.drop()

    @property
    def heard(self):
        return len(self.peer.heard)

    @property
    def said(self):
        return repr(self.peer.heard)


class CloudApi(HttpCarrier):
    """The scripted carrier, answering as the WhatsApp Cloud API does."""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v24.0/106540352242922/messages"

    def accept(self, heard):
        return Reply(body={"messaging_product": "whatsapp", "messages": [{"id": f"id-{len(self.heard)}"}]})


class WhatsAppRig(HttpRig):
    kind = "whatsapp"
    statuses: ClassVar = {
        "throttle": "WA_130429",
        "retry_later": "WA_131016",
        "failover": "WA_131031",
        "permanent": "WA_131026",
    }

    def __init__(self) -> None:
        self.peer = CloudApi()

    def dialect(self):
        return WhatsAppDialect(
            WhatsAppProfile(
                carrier="telco",
                messages_url=self.peer.url,
                media_url=self.peer.url.replace("messages", "media"),
                access_token=SECRET,
                # The suite sends a lot to one person.
                pair_interval_ms=1,
                pair_burst=45,
            )
        )

    def refuse(self, meaning):
        code = int(self.statuses[meaning].removeprefix("WA_"))
        self.peer.answer = lambda heard: Reply(400, {"error": {"message": "x", "code": code}})


def an_http_mapping(url: str, **fields: Any) -> HttpMapping:
    """Return a mapping that the scripted carrier understands."""
    from adapters.http.answers import AnswerMapping

    return HttpMapping(
        **{
            "carrier": "telco",
            "url": url,
            "auth": "bearer",
            "secret": SECRET,
            "body": {"to": "{to_plus}", "from": "{from}", "text": "{text}", "reference": "{message_id}"},
            "answer": AnswerMapping(code_pointers=("/code",)),
            **fields,
        }
    )


RIGS: dict[str, Callable[[], Rig]] = {"smpp": SmppRig, "http": HttpRig, "whatsapp": WhatsAppRig}
"""Every kind of link there is."""


def a_segment(
    settle: Callable[[OutboundSegment, SubmitOutcome], None], *, text: str = "hello", **fields: Any
):
    """Return one segment of a message with these fields."""
    now_ms = CLOCK.now_ms()
    message = Message(
        **{
            "id": uuid4(),
            "account_id": "acme",
            "message_class": MessageClass.TRANSACTIONAL,
            "recipient": "525512345678",
            "sender": "BancoMX",
            "text": text,
            "encoding": "gsm7",
            "segment_count": 1,
            "accepted_at": now_ms,
            "valid_until": now_ms + 300_500,
            "carrier": "telco",
            **fields,
        }
    )
    return OutboundSegment(message, 1, 0, SegmentPayload(0, b"", text.encode()), settle)


@dataclass
class Harness:
    """A link at work: what it says goes to `sink` and `outcomes`."""

    rig: Rig
    link: CarrierLink
    clock: Clock
    sink: Sink
    outcomes: list = field(default_factory=list)

    def settle(self, segment, outcome):
        self.outcomes.append(outcome)

    def segment(self, **fields):
        return a_segment(self.settle, **fields)

    def ready(self) -> Permit:
        return self.link.ready(self.clock.monotonic_ns())

    def submit(self, segment=None, **fields):
        now_ns = self.clock.monotonic_ns()
        assert self.link.ready(now_ns) == GO
        self.link.submit(segment or self.segment(**fields), now_ns=now_ns)

    async def settled(self, count: int = 1):
        await self.rig.until(lambda: len(self.outcomes) >= count)
        return self.outcomes

    def figures(self, number: int = 1):
        name = self.rig.bind(number)
        return next(figures for figures in self.link.figures() if figures.bind == name)

    def states(self, number: int = 1):
        return self.sink.states(self.rig.bind(number))

    async def bound(self, count: int = 1):
        await self.rig.until(
            lambda: sum(figures.state is BindState.BOUND for figures in self.link.figures()) == count
        )

    async def heard(self, count: int):
        await self.rig.until(lambda: self.rig.heard >= count)

    @property
    def is_all_submitted(self) -> bool:
        return all(type(outcome) is Submitted for outcome in self.outcomes)


@asynccontextmanager
async def a_link(rig: Rig, *, is_there: bool = True, clock: Clock = CLOCK, **options: Any):
    """Give a harness with a link that is bound; with `is_there` False nobody listens at first."""
    await rig.start()
    if not is_there:
        await rig.stop()
    sink = Sink()
    link = rig.link(clock=clock, **options)
    harness = Harness(rig, link, clock, sink)
    await link.start(sink)
    try:
        if is_there:
            await rig.until(lambda: any(change.state is BindState.BOUND for change in sink.changes))
        yield harness
    finally:
        link.abort()
        await asyncio.sleep(0.01)
        await rig.stop()
