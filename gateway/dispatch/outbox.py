"""What dispatch has decided and not yet made durable, and the one task that makes it so.

Everything a lane worker commits goes through here, so a position never tells of an outcome that is not in the
events (D4). While a flush runs, the next batch collects.
"""

import asyncio
import contextlib
from typing import Final, Protocol

import structlog

from gateway.bus import topics
from gateway.bus.codec import encode
from gateway.dispatch.context import LaneContext
from gateway.dispatch.position import LanePosition
from gateway.domain.events import Attempted, Noted
from gateway.domain.message import CLASSES
from gateway.ports.bus import Commit, Record, Transaction
from gateway.ports.dispatch_store import DeferredRow
from gateway.ports.record_store import DeadRow

_log = structlog.get_logger()

_RETRY_FIRST_S: Final = 0.1
_RETRY_MAX_S: Final = 2.0
# One an event: the constructor of a NamedTuple is a Python function and costs twice as much.
_new = tuple.__new__


class LeaseLostError(Exception):
    """Another process owns this lane by now; nothing of ours may be written any more."""


class OutboxOwner(Protocol):
    """What the outbox asks of the lane worker."""

    async def hold_lease(self, tx: Transaction) -> bool:
        """Fence the transaction: False when the lease is another's by now (D3)."""

    def choose_claims(self) -> list[tuple[int, list[int]]]:
        """Return (lane index, offsets) to claim with this flush; called once per flush."""

    def flushed(self) -> None:
        """A flush is through: the claims last chosen are committed, and there may be room again."""


class Batch:
    """What one transaction makes durable. `done` are (lane index, offset) whose outcome is in here.

    `aside_count` of the events tell of messages that were not submitted at all: a crash puts nothing of them in doubt.
    """

    __slots__ = (
        "aside_count",
        "by_bind",
        "dead",
        "deferred",
        "delays_ms",
        "done",
        "events",
        "records",
        "response_ms",
    )

    def __init__(self) -> None:
        self.aside_count = 0
        self.events: list[Attempted | Noted] = []
        self.records: list[Record] = []
        self.deferred: list[DeferredRow] = []
        self.dead: list[DeadRow] = []
        self.done: list[tuple[int, int]] = []
        self.delays_ms: tuple[list[int], ...] = tuple([[] for _ in CLASSES])
        self.response_ms: list[int] = []
        self.by_bind: dict[str, int] = {}

    @property
    def weight(self) -> int:
        """How much a crash now would put in doubt, in segments: those settled, or the events where they are more."""
        return max(len(self.response_ms), len(self.events) - self.aside_count)

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to write."""
        return not (self.events or self.records or self.done)


class Outbox:
    """Collects results and flushes them: one transaction for events, lane records, deferred rows and positions.

    `positions` are those of the carrier's lanes in this shard, by class index.
    """

    def __init__(self, context: LaneContext, *, owner: OutboxOwner) -> None:
        self.batch = Batch()
        self.last_flush_s = 0.0
        self.positions: tuple[LanePosition, ...] = ()
        self._owner = owner
        self._carrier = context.carrier
        self._shard = context.shard
        self._group = topics.lane_group(context.carrier)
        self._topics = topics.lanes(context.carrier)
        self._bus = context.bus
        self._db = context.db
        self._deferred = context.deferred
        self._clock = context.clock
        self._settings = context.settings
        self._metrics = context.metrics
        self._flushing = 0
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._closing = False

    @property
    def unflushed(self) -> int:
        """Segments whose outcome is not durable yet, those of a running flush included."""
        return self.batch.weight + self._flushing

    def add(self, event: Attempted | Noted, *, lane: int = -1, offset: int = -1) -> None:
        """Put an event into the next flush; with `offset`, that record of the lane is done with it."""
        events = self.batch.events
        events.append(event)
        if offset >= 0:
            self.batch.done.append((lane, offset))
        if len(events) == 1:
            self._wake.set()
        elif len(events) >= self._settings.max_flush_events:
            self._urgent.set()

    def wake(self, *, urgent: bool = False) -> None:
        """Flush soon although no event was added: claims are wanted, at once when `urgent`."""
        self._wake.set()
        if urgent:
            self._urgent.set()

    def close(self) -> None:
        """End `run` once everything is durable."""
        self._closing = True
        self.wake(urgent=True)

    async def run(self) -> None:
        """Flush until closed; LeaseLostError when the lane is another's by now."""
        while not self._closing:
            await self._wake.wait()
            if not self._urgent.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._settings.flush_ms / 1000):
                        await self._urgent.wait()
            self._wake.clear()
            self._urgent.clear()
            await self._flush()
        while not self.batch.is_empty or any(position.is_changed for position in self.positions):
            await self._flush()

    async def _flush(self) -> None:
        batch, self.batch = self.batch, Batch()
        self._flushing = batch.weight
        started_ns = self._clock.monotonic_ns()
        records = [
            _new(Record, (topics.EVENTS, event.message_id.bytes, encode(event))) for event in batch.events
        ]
        records += batch.records
        # Chosen first: until this flush is through, what is done in it counts as in doubt.
        for lane, offsets in self._owner.choose_claims():
            self.positions[lane].claim(offsets)
        for lane, offset in sorted(batch.done):  # in order they move the watermark, else they make ranges
            self.positions[lane].done(offset)
        commits = [
            Commit(self._group, topic, self._shard, position.take_changes())
            for topic, position in zip(self._topics, self.positions, strict=True)
            if position.is_changed
        ]
        if records or commits or batch.deferred:
            await self._store_until_durable(records, commits, batch)
        self._flushing = 0
        self.last_flush_s = (self._clock.monotonic_ns() - started_ns) / 1e9
        self._observe(batch)
        self._owner.flushed()

    async def _store_until_durable(self, records: list[Record], commits: list[Commit], batch: Batch) -> None:
        retry_s = _RETRY_FIRST_S
        in_doubt = False
        while True:
            try:
                async with asyncio.timeout(self._settings.flush_timeout_s):
                    # A commit whose answer was lost may have happened: written again it would double what was
                    # deferred or moved.
                    if not (in_doubt and commits and await self._is_committed(commits[0])):
                        await self._store(records, commits, batch)
                return
            except LeaseLostError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever the database does, the results wait for it
                in_doubt = True
                self._metrics.commit_failures.inc()
                _log.warning(
                    "dispatch.flush_failed",
                    carrier=self._carrier,
                    shard=self._shard,
                    events=len(records),
                    error=type(error).__name__,
                    retry_s=retry_s,
                )
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, _RETRY_MAX_S)

    async def _store(self, records: list[Record], commits: list[Commit], batch: Batch) -> None:
        async with self._db.transaction() as tx:
            if not await self._owner.hold_lease(tx):
                raise LeaseLostError(f"the lease of {self._carrier}/{self._shard} is another's")
            if batch.deferred:
                await self._deferred.add(tx, batch.deferred)
            if batch.dead:
                await self._deferred.bury(tx, batch.dead)
            if records:
                await self._bus.append(records, commits=commits, tx=tx)
            elif commits:
                await self._bus.commit(commits, tx=tx)

    async def _is_committed(self, commit: Commit) -> bool:
        stored = await self._bus.position(commit.group, commit.topic, commit.partition)
        return stored == commit.position

    def _observe(self, batch: Batch) -> None:
        self._metrics.count_submitted(batch.response_ms, by_bind=batch.by_bind)
        self._metrics.count_delays(batch.delays_ms)
