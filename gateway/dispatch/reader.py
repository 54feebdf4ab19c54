"""Reads a carrier's lanes ahead of the pump, by class and within bounds, and sorts out what a crash left behind.

Each lane has two readers: one that goes through the log record by record, and a scout ahead of it for the sake of
accounts whose messages lie far behind (`gateway.dispatch.scout`).
"""

import asyncio
from typing import Final, Protocol

import structlog

from gateway.bus import topics
from gateway.bus.codec import EnvelopeError, decode_as
from gateway.dispatch.context import LaneContext
from gateway.dispatch.position import LanePosition
from gateway.dispatch.scout import Scout, ScoutLimits
from gateway.dispatch.work import Lane
from gateway.domain.message import Message
from gateway.ports.bus import Stored

_log = structlog.get_logger()

_RETRY_S: Final = 0.5
_FULL_WAIT_S: Final = 0.05
_IDLE_WAIT_S: Final = 1.0
_TURN: Final = 100


class ReadSink(Protocol):
    """Who takes what was read: the lane worker."""

    def on_message(self, lane: int, offset: int, message: Message) -> None:
        """A message to submit."""

    def on_in_doubt(self, lane: int, offset: int, message: Message) -> None:
        """A message that an earlier owner claimed and left without an outcome."""

    def on_unreadable(self, lane: int, record: Stored, error: str) -> None:
        """A record that is no message."""

    def on_batch(self) -> None:
        """A batch was handed over: there may be work."""


class LaneReader:
    """Keeps up to `limit` messages of each class in hand, and as many more that the scouts bring."""

    def __init__(self, context: LaneContext, *, sink: ReadSink, lanes: tuple[Lane, ...], limit: int) -> None:
        self._sink = sink
        self._carrier = context.carrier
        self._shard = context.shard
        self._bus = context.bus
        self._lanes = lanes
        self._topics = topics.lanes(context.carrier)
        self._limit = limit
        self._batch = context.settings.read_batch
        self.positions: tuple[LanePosition, ...] = ()
        self.scouts: tuple[Scout, ...] = ()
        self._context = context

    async def open(self) -> None:
        """Find out where the lanes stand; call once before `run`."""
        group = topics.lane_group(self._carrier)
        await self._bus.register_group(group, self._topics)
        self.positions = tuple(
            [LanePosition(await self._bus.position(group, topic, self._shard)) for topic in self._topics]
        )
        limits = ScoutLimits(self._limit, ranges=self._context.settings.max_ranges_ahead)
        self.scouts = tuple(
            [
                Scout(
                    self._context,
                    lane=lane,
                    topic=self._topics[lane.index],
                    position=self.positions[lane.index],
                    sink=self._sink,
                    limits=limits,
                )
                for lane in self._lanes
            ]
        )

    def set_limit(self, limit: int) -> None:
        """Keep up to `limit` messages of each class in hand from now on."""
        self._limit = limit

    async def run(self) -> None:
        """Read until cancelled; an error is retried for ever."""
        name = f"lane.{self._carrier}.{self._shard}.read"
        async with asyncio.TaskGroup() as group:
            for lane in self._lanes:
                group.create_task(self._follow(lane), name=f"{name}.{lane.index}")
                group.create_task(self.scouts[lane.index].run(), name=f"{name}.scout.{lane.index}")

    async def _follow(self, lane: Lane) -> None:
        """Keep one lane filled. Each waits for its own news: a batch of one class is no reason to look at the others."""
        topic, position = self._topics[lane.index], self.positions[lane.index]
        scout_wanted = self.scouts[lane.index].wanted
        await self._settle_doubtful(lane.index, position)
        while True:
            # What the scout brought does not count: it is on top.
            room = self._limit - max(0, lane.held - position.ahead_count)
            if room * 2 < self._limit or position.is_full:
                scout_wanted.set()
                # Refill in halves: small reads cost as much as large ones, and what is there lasts for a while.
                await asyncio.sleep(_FULL_WAIT_S)
                continue
            limit = min(room, self._batch)
            position.skip_done()
            try:
                records = await self._bus.read(topic, self._shard, offset=position.next_offset, limit=limit)
                await self._hand_over(lane.index, position, records)
                if len(records) < limit:
                    scout_wanted.clear()
                    await self._bus.wait([topic], timeout_s=_IDLE_WAIT_S)
            except Exception as error:  # noqa: BLE001 - the records wait for us, whatever the bus does
                await self._after(error)

    async def _after(self, error: Exception) -> None:
        _log.warning(
            "dispatch.read_failed", carrier=self._carrier, shard=self._shard, error=type(error).__name__
        )
        await asyncio.sleep(_RETRY_S)

    async def _settle_doubtful(self, lane: int, position: LanePosition) -> None:
        """End at once what an earlier owner claimed and left: it may lie far ahead, and it takes up room for claims."""
        topic = self._topics[lane]
        waiting = list(position.doubtful)
        while waiting:
            try:
                records = await self._bus.read(topic, self._shard, offset=waiting[0], limit=self._batch)
            except Exception as error:  # noqa: BLE001 - the records wait for us, whatever the bus does
                await self._after(error)
                continue
            if not records:
                return
            found = {record.offset: record for record in records}
            for offset in [offset for offset in waiting if offset in found]:
                position.take_ahead(offset)
                self._hand_in_doubt(lane, found[offset])
            waiting = [offset for offset in waiting if offset > records[-1].offset]

    def _hand_in_doubt(self, lane: int, record: Stored) -> None:
        try:
            message: Message = decode_as(Message, record.value)
        except EnvelopeError as error:
            self._sink.on_unreadable(lane, record, str(error))
        else:
            self._sink.on_in_doubt(lane, record.offset, message)

    async def _hand_over(self, lane: int, position: LanePosition, records: list[Stored]) -> None:
        for first in range(0, len(records), _TURN):
            if first:
                await asyncio.sleep(0)  # the pump's permits do not wait for a long batch to be read
            self._hand_over_turn(lane, position, records[first : first + _TURN])
            self._sink.on_batch()

    def _hand_over_turn(self, lane: int, position: LanePosition, records: list[Stored]) -> None:
        sink = self._sink
        # Nobody takes anything ahead meanwhile, so this holds for all of them.
        are_new = position.is_new_from(records[0].offset)
        for record in records:
            offset, value = record
            position.read_to(offset)
            if not are_new and (position.was_completed(offset) or position.was_taken_ahead(offset)):
                continue
            try:
                message: Message = decode_as(Message, value)
            except EnvelopeError as error:
                sink.on_unreadable(lane, record, str(error))
                continue
            if are_new or not position.was_claimed(offset):
                sink.on_message(lane, offset, message)
            else:
                sink.on_in_doubt(lane, offset, message)
