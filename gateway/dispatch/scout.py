"""Goes through a lane's log ahead of its reader, and brings in the messages of accounts that have little in hand.

Without it fairness reaches only what was read ahead: whoever posts behind another account's million messages would
wait for all of them. The rules:

1. It works only while the reader stands still for want of room, at a bounded pace, and looks at each record once. Of
   most records it reads nothing but the account.
2. An account's messages leave in the order of the log: what was left of it is taken before anything behind.
3. What it took and what is done counts as such in the lane's position, so the reader passes it by, here and after a
   crash. What it left is only remembered; after a restart it looks again.
4. Bounded are what it has in hand, what it remembers, and the ranges that it adds to the position.

Used by `gateway.dispatch.reader`, one for each lane.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from gateway.bus.codec import EnvelopeError, account_of, decode_as
from gateway.dispatch.context import LaneContext
from gateway.dispatch.position import LanePosition
from gateway.dispatch.skipped import Skipped
from gateway.dispatch.work import Lane
from gateway.domain.message import Message
from gateway.policy.fairness import DEFAULT_QUANTUM
from gateway.ports.bus import Stored

_log = structlog.get_logger()

_RETRY_S: Final = 0.5
_TURN: Final = 200
_RUNS_AT_ONCE: Final = 100
_LOOKS_AT_ONCE: Final = 2_000
_LOOKS_WITHOUT_ROOM: Final = 100
_JOINED_GAP: Final = 100
_LONGEST_READ: Final = 1_000


class ScoutSink(Protocol):
    """Who takes what was found: the lane worker."""

    def on_message(self, lane: int, offset: int, message: Message) -> None:
        """A message to submit."""

    def on_unreadable(self, lane: int, record: Stored, error: str) -> None:
        """A record that is no message."""

    def on_batch(self) -> None:
        """A batch was handed over: there may be work."""


@dataclass(frozen=True, slots=True)
class ScoutLimits:
    """`in_hand` messages taken ahead and not done, `ranges` of the lane's position, `runs` remembered at most.

    It looks at `batch` records at a time and rests for `pause_s` after each, for `idle_s` at the end of the log: about
    30,000 records a second, of which 1,000 cost 2 to 4 ms of CPU.
    """

    in_hand: int
    ranges: int = 2_000
    runs: int = 50_000
    batch: int = 2_000
    pause_s: float = 0.06
    idle_s: float = 0.12


class Scout:
    """One lane's. Set `wanted` while the reader has no room, clear it when it is at the end of the log."""

    def __init__(
        self,
        context: LaneContext,
        *,
        lane: Lane,
        topic: str,
        position: LanePosition,
        sink: ScoutSink,
        limits: ScoutLimits,
    ) -> None:
        self.wanted = asyncio.Event()
        self.looked_at = 0
        self.taken = 0
        self._carrier = context.carrier
        self._shard = context.shard
        self._bus = context.bus
        self._lane = lane
        self._topic = topic
        self._position = position
        self._sink = sink
        self._limits = limits
        self._skipped = Skipped()
        self._next = position.next_offset
        self._is_at_end = False

    async def run(self) -> None:
        """Look ahead until cancelled; after an error it begins again where the reader stands."""
        while True:
            await self.wanted.wait()
            try:
                await self._look_further()
                await self._fetch_what_was_left()
            except Exception as error:  # noqa: BLE001 - the records wait for us, whatever the bus does
                _log.warning(
                    "dispatch.scout_failed",
                    carrier=self._carrier,
                    shard=self._shard,
                    error=type(error).__name__,
                )
                self._start_at_reader()
                await asyncio.sleep(_RETRY_S)
            await asyncio.sleep(self._limits.idle_s if self._is_at_end else self._limits.pause_s)

    def _start_at_reader(self) -> None:
        self._skipped.clear()
        self._next = self._position.next_offset

    def _room(self) -> int:
        """Messages that may be taken ahead now."""
        position, limits = self._position, self._limits
        return min(limits.in_hand - position.ahead_count, limits.ranges - position.range_count)

    def _most_of_one(self) -> int:
        """How much one account may have in hand before it is left: a quarter of an even share.

        That lasts until the next look, and where accounts are mixed evenly nothing is taken ahead at all.
        """
        return max(1, self._limits.in_hand // (4 * (self._lane.account_count + 1)))

    # --- the log ahead ----------------------------------------------------------------------------------------

    async def _look_further(self) -> None:
        position, skipped = self._position, self._skipped
        if self._next <= position.next_offset:
            self._start_at_reader()
        if skipped.run_count >= self._limits.runs:
            return
        self._next = position.next_undone(self._next)
        records = await self._bus.read(self._topic, self._shard, offset=self._next, limit=self._limits.batch)
        self._is_at_end = len(records) < self._limits.batch
        for start in range(0, len(records), _TURN):
            self._look_at(records[start : start + _TURN])
            self._sink.on_batch()
            await asyncio.sleep(0)  # the pump's permits do not wait for us

    def _look_at(self, records: list[Stored]) -> None:
        position, skipped, lane = self._position, self._skipped, self._lane
        add_to, needs_nothing = skipped.add_to, position.needs_nothing
        room, most = self._room(), self._most_of_one()
        for record in records:
            offset, value = record
            if needs_nothing(offset):
                continue
            try:
                account = account_of(value)
            except EnvelopeError:
                continue  # the reader sets it aside when it gets there
            if add_to(account, offset):
                continue
            if room <= 0 or lane.waiting_of(account) >= most:
                skipped.begin(account, offset)
            else:
                room -= 1
                self._take(record)
        self._next = records[-1].offset + 1
        self.looked_at += len(records)

    # --- what was left ----------------------------------------------------------------------------------------

    async def _fetch_what_was_left(self) -> None:
        wanted = self._choose()
        for offsets in _reads_of(sorted(wanted)):
            await self._fetch(offsets)
            self._sink.on_batch()

    async def _fetch(self, offsets: list[int]) -> None:
        while offsets:
            first = offsets[0]
            records = await self._bus.read(
                self._topic, self._shard, offset=first, limit=offsets[-1] - first + 1
            )
            if not records or records[0].offset != first:
                # The log has a hole there: begin again rather than break an account's order.
                raise LookupError(f"there is no record at offset {first}")
            wanted = set(offsets)
            for record in records:
                if record.offset in wanted and not self._position.needs_nothing(record.offset):
                    self._take(record)
            last = records[-1].offset  # a bus may give less than was asked for
            offsets = [offset for offset in offsets if offset > last]

    def _choose(self) -> list[int]:
        """Take the accounts by turns until there is no room; a turn is a quantum, as in the lane itself."""
        room = self._room()
        skipped, lane, floor = self._skipped, self._lane, self._position.next_offset
        most = self._most_of_one()
        chosen: list[int] = []
        in_hand: dict[str, int] = {}
        # Without room it only drops what the reader has passed.
        looks_left = _LOOKS_AT_ONCE if room > 0 else _LOOKS_WITHOUT_ROOM
        runs_left, idle = _RUNS_AT_ONCE, 0
        while looks_left and idle < skipped.account_count:
            looks_left -= 1
            account = skipped.turn(floor=floor)
            if account is None:
                break
            has = in_hand.get(account)
            if has is None:
                has = lane.waiting_of(account)
            share = min(DEFAULT_QUANTUM, room, most - has)
            if share <= 0 or runs_left <= 0:
                idle += 1
                continue
            offsets, used = skipped.take(account, most=share, most_runs=runs_left)
            chosen += offsets
            in_hand[account] = has + len(offsets)
            room -= len(offsets)
            runs_left -= used
            idle = 0
        return chosen

    def _take(self, record: Stored) -> None:
        lane, offset = self._lane.index, record.offset
        self._position.take_ahead(offset)
        self.taken += 1
        try:
            message: Message = decode_as(Message, record.value)
        except EnvelopeError as error:
            self._sink.on_unreadable(lane, record, str(error))
        else:
            self._sink.on_message(lane, offset, message)


def _reads_of(offsets: list[int]) -> Iterator[list[int]]:
    """Yield groups of ascending offsets that one read each brings; what lies in small gaps is read for nothing."""
    group: list[int] = []
    for offset in offsets:
        if group and (offset - group[-1] > _JOINED_GAP or offset - group[0] >= _LONGEST_READ):
            yield group
            group = []
        group.append(offset)
    if group:
        yield group
