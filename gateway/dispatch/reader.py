"""Reads a carrier's lanes ahead of the pump, by class and within bounds, and sorts out what a crash left behind."""

import asyncio
from typing import Final, Protocol

import structlog

from gateway.bus import topics
from gateway.bus.codec import EnvelopeError, decode_as
from gateway.dispatch.position import LanePosition
from gateway.dispatch.work import Lane
from gateway.domain.message import Message
from gateway.ports.bus import Bus, Stored

_log = structlog.get_logger()

_RETRY_S: Final = 0.5
_BUSY_WAIT_S: Final = 0.05
_IDLE_WAIT_S: Final = 1.0


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
    """Keeps up to `limit` messages of each class in hand; the highest class is read first."""

    def __init__(
        self,
        sink: ReadSink,
        *,
        carrier: str,
        shard: int,
        bus: Bus,
        lanes: tuple[Lane, ...],
        limit: int,
        batch: int,
    ) -> None:
        self._sink = sink
        self._carrier = carrier
        self._shard = shard
        self._bus = bus
        self._lanes = lanes
        self._topics = topics.lanes(carrier)
        self._limit = limit
        self._batch = batch
        self.positions: tuple[LanePosition, ...] = ()
        self._at_end = [False] * len(lanes)
        self._look_at_all_at = 0.0

    async def open(self) -> None:
        """Find out where the lanes stand; call once before `run`."""
        group = topics.lane_group(self._carrier)
        await self._bus.register_group(group, self._topics)
        self.positions = tuple(
            [LanePosition(await self._bus.position(group, topic, self._shard)) for topic in self._topics]
        )

    async def run(self) -> None:
        """Read until cancelled; an error is retried for ever."""
        while True:
            try:
                read, hungry = await self._read_once()
                if not read:
                    await self._wait(hungry)
            except Exception as error:  # noqa: BLE001 - the records wait for us, whatever the bus does
                _log.warning(
                    "dispatch.read_failed",
                    carrier=self._carrier,
                    shard=self._shard,
                    error=type(error).__name__,
                )
                await asyncio.sleep(_RETRY_S)

    async def _wait(self, hungry: list[str]) -> None:
        # A lane that is full has a second's worth left: look again well before it is empty.
        wait_s = _IDLE_WAIT_S if len(hungry) == len(self._topics) else _BUSY_WAIT_S
        if not hungry:
            await asyncio.sleep(wait_s)
            return
        clock = asyncio.get_running_loop().time
        started = clock()
        await self._bus.wait(hungry, timeout_s=wait_s)
        # After a mere timeout lanes read to their end are not asked again, except now and then as the net.
        if clock() - started < wait_s * 0.9 or clock() >= self._look_at_all_at:
            self._at_end = [False] * len(self._lanes)
            self._look_at_all_at = clock() + _IDLE_WAIT_S

    async def _read_once(self) -> tuple[bool, list[str]]:
        """Return (whether anything was read, topics with room)."""
        read = False
        hungry: list[str] = []
        for lane, topic, position in zip(self._lanes, self._topics, self.positions, strict=True):
            room = self._limit - lane.held
            if room * 2 < self._limit or position.is_full:
                continue  # refill in halves: small reads cost as much as large ones
            hungry.append(topic)
            if self._at_end[lane.index]:
                continue
            limit = min(room, self._batch)
            records = await self._bus.read(topic, self._shard, offset=position.next_offset, limit=limit)
            self._at_end[lane.index] = len(records) < limit
            if records:
                read = True
                self._hand_over(lane.index, position, records)
        return read, hungry

    def _hand_over(self, lane: int, position: LanePosition, records: list[Stored]) -> None:
        sink = self._sink
        for record in records:
            offset = record.offset
            position.read_to(offset)
            if position.was_completed(offset):
                continue
            try:
                message: Message = decode_as(Message, record.value)
            except EnvelopeError as error:
                sink.on_unreadable(lane, record, str(error))
                continue
            if position.was_claimed(offset):
                sink.on_in_doubt(lane, offset, message)
            else:
                sink.on_message(lane, offset, message)
        sink.on_batch()
