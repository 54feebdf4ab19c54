"""A lane worker on a fake link and a bus in memory, with the verbs that its tests speak in."""

import asyncio
import inspect
import time
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Self
from uuid import UUID

from prometheus_client import CollectorRegistry

from gateway.bus import topics
from gateway.bus.codec import decode, encode
from gateway.dispatch.board import CarrierBoard
from gateway.dispatch.lane import LaneWorker
from gateway.dispatch.metrics import DispatchMetrics
from gateway.dispatch.plan import CarrierPlan, DispatchSettings
from gateway.dispatch.references import References
from gateway.domain.cutting import SegmentationOptions
from gateway.domain.events import Attempted, Noted
from gateway.domain.ids import new_uuid7
from gateway.domain.message import Message, MessageClass
from gateway.ports.bus import Record
from gateway.ports.clock import SystemClock
from tests.support.fake_link import FakeLink
from tests.support.memory_bus import MemoryBus, MemoryDatabase, MemoryDeferred
from throttling.rates import Rate

CARRIER = "alpha"
OTHER = "beta"
FAST = DispatchSettings(flush_ms=2)
TWO_SEGMENTS = "a" * 200
THREE_SEGMENTS = "a" * 400

_numbers = count(1)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def a_message(message_class: MessageClass = MessageClass.TRANSACTIONAL, **fields) -> Message:
    number = next(_numbers)
    text = fields.pop("text", "hola")
    values = {
        "id": new_uuid7(now_ms(), number),
        "account_id": "acme",
        "message_class": message_class,
        "recipient": "525512345678",
        "sender": "12345",
        "text": text,
        "encoding": "gsm7",
        "segment_count": 1 if len(text) <= 160 else -(-len(text) // 153),
        "accepted_at": now_ms(),
        "valid_until": now_ms() + 3_600_000,
        "carrier": CARRIER,
    }
    return Message(**{**values, **fields})


async def until(predicate: Callable[[], object], *, within_s: float = 30.0) -> None:
    """Return once the predicate (or what it returns, awaited) holds; AssertionError after the deadline."""
    end = time.monotonic() + within_s
    while True:
        found = predicate()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return
        if time.monotonic() > end:
            raise AssertionError(f"not within {within_s} s")
        await asyncio.sleep(0.001)


class MovedClock(SystemClock):
    """The machine's clocks, which a test moves ahead instead of waiting."""

    ahead_s = 0.0

    def now_ms(self) -> int:
        return super().now_ms() + int(self.ahead_s * 1e3)

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + int(self.ahead_s * 1e9)


class LaneRig:
    """One world that outlives workers: `start` may be called again after `crash` or `stop`."""

    def __init__(
        self, *, rate: str = "5000/s", window: int = 10, settings: DispatchSettings = FAST, split: str = "udh"
    ) -> None:
        self.db = MemoryDatabase()
        self.bus = MemoryBus(self.db)
        self.deferred = MemoryDeferred(self.db)
        self.settings = settings
        self.window = window
        self.plan = CarrierPlan(
            CARRIER,
            Rate.parse(rate),
            lambda shard, shards: self.link,
            window=window,
            segmentation=SegmentationOptions(split=split),
        )
        self.link = FakeLink(window=window)
        self.clock = MovedClock()
        self.registry = CollectorRegistry()
        self.metrics = DispatchMetrics(self.registry)
        self.board: CarrierBoard | None = None
        self.worker: LaneWorker
        self._running: asyncio.Task[None] | None = None
        lanes = [topic for carrier in (CARRIER, OTHER) for topic in topics.lanes(carrier)]
        all_topics = [*lanes, topics.EVENTS, topics.RECEIPTS, topics.MO]
        self.bus.logs = {topic: [[]] for topic in all_topics}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.db.failing = False
        await self.crash()

    async def start(self) -> None:
        self.worker = LaneWorker(
            self.plan,
            shard=0,
            link=self.link,
            bus=self.bus,
            db=self.db,
            deferred=self.deferred,
            governor=self.plan.governor(),
            clock=self.clock,
            references=References(Random(7)),
            metrics=self.metrics.carrier(CARRIER),
            random=Random(7),
            settings=self.settings,
            board=self.board,
        )
        await self.worker.start()
        self._running = asyncio.create_task(self.worker.run(), name="worker")

    async def crash(self) -> None:
        """End the worker as kill -9 would: nothing more is written; the next one gets a new link."""
        running, self._running = self._running, None
        if running is None:
            return
        self.link.script = lambda segment: None
        running.cancel()
        await asyncio.wait({running})
        self.link = FakeLink(window=self.window)

    async def stop(self, deadline_s: float = 1.0) -> int:
        """Drain, as at SIGTERM."""
        assert self._running is not None
        unanswered = await self.worker.drain(deadline_s=deadline_s)
        async with asyncio.timeout(30):
            await self._running
        self._running = None
        self.link = FakeLink(window=self.window)
        return unanswered

    async def put(self, *messages: Message) -> None:
        await self.bus.append(
            [
                Record(topics.lane(message.carrier, message.message_class), b"", encode(message))
                for message in messages
            ]
        )

    def events(self, message_id: UUID | None = None) -> list[Attempted | Noted]:
        return [
            event
            for event in self.bus.payloads(topics.EVENTS)
            if message_id is None or event.message_id == message_id
        ]

    def attempts(self, message_id: UUID | None = None) -> list[Attempted]:
        return [event for event in self.events(message_id) if isinstance(event, Attempted)]

    def notes(self, kind: str) -> list[Noted]:
        return [event for event in self.events() if isinstance(event, Noted) and event.kind == kind]

    def written(self, message_id: UUID | None = None) -> list[int]:
        """Segment indices in the order they were written."""
        return [
            segment.segment_index
            for segment in self.link.written
            if message_id is None or segment.message.id == message_id
        ]

    def deferred_messages(self) -> list[Message]:
        return [decode(row.value) for row in self.deferred.rows]

    def lane_messages(self, carrier: str, message_class: MessageClass) -> list[Message]:
        return self.bus.payloads(topics.lane(carrier, message_class))

    def position(self, message_class: MessageClass):
        return self.bus.positions[topics.lane_group(CARRIER), topics.lane(CARRIER, message_class), 0]

    def sample(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"caudal_{name}", labels) or 0.0
