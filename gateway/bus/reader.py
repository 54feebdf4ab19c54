"""How a feature reads a topic to its end and stays there: batches, pacing, stopping, retries, dead records.

Used by the recorder, dlr, inbound and others, one instance each, over any bus. The handler does the work and stores
the commits it is given, in a `transaction` of this reader together with its rows; this class keeps the place and the
rhythm. Several processes read one topic by a `Share` of its partitions. Whatever they believe of their share: the
transaction begins by locking the positions it starts from, so of two that hold the same records one comes too late.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple, Protocol, TypeVar

import structlog

from gateway.bus.codec import EnvelopeError
from gateway.bus.reader_metrics import ReaderMetrics
from gateway.bus.sharing import Everything, Share
from gateway.ports.bus import Bus, Commit, Position, Transaction
from gateway.ports.clock import Clock
from gateway.ports.record_store import DeadRow, RowRejectedError
from gateway.ports.store import Transactions

_log = structlog.get_logger()

LINGER_S: Final = 0.08
_LINGER_ALONE: Final = 0.25
_LINGER_FULL_RECORDS: Final = 20

_RETRY_FIRST_S: Final = 0.1
_RETRY_MAX_S: Final = 5.0
_LAG_EVERY_NS: Final = 5_000_000_000
_MAX_ERROR: Final = 500

_T = TypeVar("_T")


class Taken(NamedTuple):
    """One record with its place."""

    partition: int
    offset: int
    value: bytes


class MovedError(Exception):
    """Another process has gone past the records in hand: they are no longer ours."""


class BatchHandler(Protocol):
    """What a feature does with records."""

    async def handle(self, batch: Sequence[Taken], commits: Sequence[Commit]) -> None:
        """Process the batch and store the commits in one `BatchReader.transaction`, or raise and leave no trace.

        RowRejectedError when the database refuses one of its values for good.
        """


class DeadRecords(Protocol):
    """Where records go that can never be processed."""

    async def insert_dead(self, tx: Transaction, rows: Sequence[DeadRow]) -> None:
        """Keep dead records; one that is there already stays."""


class BatchReader:
    """Reads its share of the partitions of one topic for one group; one `run` at a time.

    `limit` bounds a batch in records; `linger_s` is how long records may wait for company, under load; `table` labels
    metrics. Without a `share` it reads the given `partitions`, or all.
    """

    def __init__(
        self,
        bus: Bus,
        handler: BatchHandler,
        *,
        group: str,
        topic: str,
        table: str,
        db: Transactions,
        dead: DeadRecords,
        clock: Clock,
        metrics: ReaderMetrics,
        share: Share | None = None,
        partitions: Sequence[int] | None = None,
        limit: int = 1000,
        linger_s: float = LINGER_S,
        idle_s: float = 0.5,
    ) -> None:
        self._bus = bus
        self._handler = handler
        self._group = group
        self._topic = topic
        self._table = table
        self._clock = clock
        self._metrics = metrics
        self._db = db
        self._dead = dead
        self._share = share
        self._partitions = partitions
        self._limit = limit
        self._linger_s = linger_s
        self._idle_s = idle_s
        self._next: dict[int, int] = {}
        self._stopping = asyncio.Event()
        self._lag_due_ns = 0
        self._retry_s = 0.0
        metrics.introduce(topic=topic, group=group, table=table)

    def stop(self) -> None:
        """End `run` after the batch in hand."""
        self._stopping.set()

    async def run(self) -> None:
        """Process records until `stop`; an error is retried with growing pauses, never given up."""
        try:
            await self._run_until_stop()
        finally:
            if self._share is not None:
                self._share.reads(())

    async def _run_until_stop(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._run()
            except MovedError as error:
                self._next.clear()
                self._metrics.commit_failures.labels(self._group).inc()
                _log.warning("consumer.moved", topic=self._topic, group=self._group, error=str(error))
                await self.pause(_RETRY_FIRST_S)
            except Exception as error:  # noqa: BLE001 - whatever the outside world does, the records wait for us
                # The commit may have been stored before the connection broke: ask again where we stand.
                self._next.clear()
                self._metrics.errors.labels(self._table, "database").inc()
                self._metrics.commit_failures.labels(self._group).inc()
                self._retry_s = min(max(self._retry_s * 2, _RETRY_FIRST_S), _RETRY_MAX_S)
                _log.warning(
                    "consumer.retry",
                    topic=self._topic,
                    group=self._group,
                    error=type(error).__name__,
                    in_s=self._retry_s,
                )
                await self.pause(self._retry_s)

    async def drain(self) -> int:
        """Process what is there now, once, and return the number of records; for tests and tools."""
        await self._follow_share()
        count = 0
        while True:
            batch, _ = await self._read()
            if not batch:
                return count
            try:
                await self._process(batch)
            except MovedError:
                self._next.clear()
                await self._follow_share()
                continue
            count += len(batch)

    @property
    def width(self) -> int:
        """Number of partitions that a batch is read from, at least 1."""
        return max(1, len(self._next))

    # -- for the handler ---------------------------------------------------------------------------------------------

    def decoded(
        self, batch: Sequence[Taken], decode: Callable[[Taken], _T]
    ) -> tuple[list[_T], list[DeadRow]]:
        """Return what `decode` makes of the records, and those that it raises for as rows for `insert_dead`."""
        found: list[_T] = []
        dead: list[DeadRow] = []
        for record in batch:
            try:
                found.append(decode(record))
            except Exception as error:  # noqa: BLE001 - one bad record must not stop all the others
                dead.append(self._dead_row(record, f"{type(error).__name__}: {error}"))
        return found, dead

    @asynccontextmanager
    async def transaction(self, commits: Sequence[Commit]) -> AsyncIterator[Transaction]:
        """Open the transaction of a batch; MovedError when another process has committed past its start."""
        starts = {one.partition: self._next[one.partition] for one in commits if one.partition in self._next}
        async with self._db.transaction() as tx:
            if not await self._bus.hold(self._group, self._topic, starts, tx=tx):
                raise MovedError(f"partitions {sorted(starts)} are no longer where we began")
            yield tx

    def count_dead(self, dead: Sequence[DeadRow]) -> None:
        """Count dead records once they are stored."""
        for row in dead:
            is_envelope = row.error.startswith(EnvelopeError.__name__)
            self._metrics.dead.labels("envelope" if is_envelope else "unexpected").inc()

    # -- inside ------------------------------------------------------------------------------------------------------

    async def pause(self, seconds: float) -> None:
        """Wait, or return at once when stopping."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stopping.wait()

    async def _run(self) -> None:
        await self._follow_share()
        was_full = False
        size = 0
        while not self._stopping.is_set():
            if not was_full:
                # A batch costs as much as some fifty records, so under load they wait for company; a single message
                # on an idle system does not.
                await self.pause(self._linger_s * min(1.0, _LINGER_ALONE + size / _LINGER_FULL_RECORDS))
            # Here nothing is in hand: what left our share may go to another process.
            await self._follow_share()
            batch, was_full = await self._read()
            size = len(batch)
            if batch:
                await self._process(batch)
            await self._observe()
            if not batch:
                size = 0
                await self._bus.wait([self._topic], timeout_s=self._idle_s)

    async def _follow_share(self) -> None:
        """Drop the partitions that are no longer ours and begin at the position of new ones."""
        share = self._share
        if share is None:
            await self._bus.register_group(self._group, [self._topic])
            share = self._share = Everything(
                self._partitions if self._partitions is not None else self._bus.partitions(self._topic)
            )
        ours = share.partitions()
        if ours == self._next.keys():
            return
        if self._next:  # neither the start nor what follows an error
            self._metrics.rebalances.labels(self._group).inc()
        self._next = {partition: offset for partition, offset in self._next.items() if partition in ours}
        share.reads(self._next)
        for partition in sorted(ours - self._next.keys()):
            position = await self._bus.position(self._group, self._topic, partition)
            self._next[partition] = position.offset
        share.reads(self._next)

    async def _read(self) -> tuple[list[Taken], bool]:
        batch: list[Taken] = []
        if not self._next:
            return batch, False
        # Each partition may fill its share, so a flood in one does not starve the others.
        share = max(1, self._limit // len(self._next))
        was_full = False
        for partition, offset in self._next.items():
            records = await self._bus.read(self._topic, partition, offset=offset, limit=share)
            was_full = was_full or len(records) == share
            batch += [Taken(partition, offset, value) for offset, value in records]
        return batch, was_full

    async def _process(self, batch: list[Taken]) -> None:
        started_ns = self._clock.monotonic_ns()
        ends = {record.partition: record.offset + 1 for record in batch}
        try:
            await self._handler.handle(batch, self._commits(ends))
        except RowRejectedError:
            self._metrics.errors.labels(self._table, "rejected").inc()
            _log.warning("consumer.row_by_row", topic=self._topic, group=self._group, records=len(batch))
            await self._one_by_one(batch)
        else:
            self._next.update(ends)
        self._retry_s = 0.0
        self._metrics.batch_rows.labels(self._table).observe(len(batch))
        self._metrics.write_duration.labels(self._table).observe(
            (self._clock.monotonic_ns() - started_ns) / 1e9
        )

    async def _one_by_one(self, batch: list[Taken]) -> None:
        for record in batch:
            end = {record.partition: record.offset + 1}
            try:
                await self._handler.handle([record], self._commits(end))
            except RowRejectedError as error:
                await self._bury(record, f"rejected by the database: {error}", self._commits(end))
                self._metrics.dead.labels("rejected").inc()
            self._next.update(end)

    async def _bury(self, record: Taken, error: str, commits: Sequence[Commit]) -> None:
        """Keep a record that can never be processed, and go past it."""
        async with self.transaction(commits) as tx:
            await self._dead.insert_dead(tx, [self._dead_row(record, error)])
            await self._bus.commit(commits, tx=tx)

    def _dead_row(self, record: Taken, error: str) -> DeadRow:
        return DeadRow(self._topic, *record, error[:_MAX_ERROR], self._clock.now_ms())

    def _commits(self, ends: dict[int, int]) -> list[Commit]:
        return [
            Commit(self._group, self._topic, partition, Position(offset=offset))
            for partition, offset in ends.items()
        ]

    async def _observe(self) -> None:
        if not self._next:
            return  # those that read tell how far they are
        now_ms = self._clock.now_ms()
        self._metrics.progressed(topic=self._topic, group=self._group, now_ms=now_ms)
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._lag_due_ns:
            self._lag_due_ns = now_ns + _LAG_EVERY_NS
            lags = await self._bus.lag(self._group)
            self._metrics.lag(lags, topic=self._topic, group=self._group, now_ms=now_ms)
