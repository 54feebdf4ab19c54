"""A bus and the dispatch stores in memory, honest to the numbered rules of their ports.

Transactions are real: what is appended, committed, added or claimed inside one appears when it commits and vanishes
when it fails. `failing` makes every write raise, `lost_answers` lets a commit happen and then raises.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from zlib import crc32

from gateway.bus.codec import decode
from gateway.bus.topics import lanes
from gateway.dispatch.plan import CarrierPlan
from gateway.ports.bus import Commit, Lag, Position, Record, Stored, Transaction
from gateway.ports.dispatch_store import DeferredRow, Lease
from gateway.ports.record_store import DeadRow


class _MemoryTransaction:
    def __init__(self) -> None:
        self.effects: list[Callable[[], None]] = []


class MemoryDatabase:
    """Hands out transactions whose effects happen together, at the commit."""

    def __init__(self) -> None:
        self.failing = False
        self.lost_answers = 0
        self.commit_count = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        await asyncio.sleep(0)
        if self.failing:
            raise ConnectionError("database is down")
        tx = _MemoryTransaction()
        yield tx
        await asyncio.sleep(0)
        if self.failing:
            raise ConnectionError("database is down")
        for effect in tx.effects:
            effect()
        self.commit_count += 1
        if self.lost_answers:
            self.lost_answers -= 1
            raise ConnectionError("the answer to COMMIT was lost")

    def acquire(self):
        return self.transaction()


class MemoryBus:
    """An append-only log per (topic, partition) with group positions."""

    def __init__(self, db: MemoryDatabase) -> None:
        self.db = db
        self.logs: dict[str, list[list[bytes]]] = {}
        self.first: dict[tuple[str, int], int] = {}
        self.positions: dict[tuple[str, str, int], Position] = {}
        self.commits: list[Commit] = []
        self._news: dict[str, int] = {}
        self._seen: dict[tuple[str, ...], int] = {}
        self._changed = asyncio.Event()

    async def ensure_topics(self, topics: dict[str, int]) -> None:
        for topic, count in topics.items():
            self.logs.setdefault(topic, [[] for _ in range(count)])

    async def widen_topics(self, topics: dict[str, int]) -> None:
        for topic, count in topics.items():
            log = self.logs.setdefault(topic, [])
            log += [[] for _ in range(count - len(log))]

    def make_lanes(self, plans: Sequence[CarrierPlan]) -> None:
        """Make the lanes of these plans, as the wiring does before dispatch hears of them."""
        for plan in plans:
            for topic in lanes(plan.carrier):
                log = self.logs.setdefault(topic, [])
                log += [[] for _ in range(plan.shards - len(log))]

    async def register_group(self, group: str, topics: Sequence[str]) -> None:
        for topic in topics:
            for partition in range(len(self.logs[topic])):
                start = Position(self.first.get((topic, partition), 0))
                self.positions.setdefault((group, topic, partition), start)

    def partitions(self, topic: str) -> int:
        return len(self.logs[topic])

    async def append(
        self, records: Sequence[Record], *, commits: Sequence[Commit] = (), tx: Transaction | None = None
    ) -> None:
        records, commits = list(records), list(commits)

        def effect() -> None:
            for record in records:
                log = self.logs[record.topic]
                log[crc32(record.key) % len(log)].append(record.value)
                self._news[record.topic] = self._news.get(record.topic, 0) + 1
            self._commit(commits)
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

        await self._do(effect, tx)

    async def commit(self, commits: Sequence[Commit], *, tx: Transaction | None = None) -> None:
        commits = list(commits)
        await self._do(lambda: self._commit(commits), tx)

    async def _do(self, effect: Callable[[], None], tx: Transaction | None) -> None:
        if tx is not None:
            tx.effects.append(effect)
            return
        async with self.db.transaction() as own:
            own.effects.append(effect)

    def _commit(self, commits: list[Commit]) -> None:
        self.commits += commits
        for commit in commits:
            self.positions[commit.group, commit.topic, commit.partition] = commit.position

    async def hold(self, group: str, topic: str, offsets: Mapping[int, int], *, tx: Transaction) -> bool:
        stored = {number: self.positions.get((group, topic, number), Position()).offset for number in offsets}
        return stored == dict(offsets)

    async def position(self, group: str, topic: str, partition: int) -> Position:
        return self.positions.get((group, topic, partition), Position())

    async def read(self, topic: str, partition: int, *, offset: int, limit: int) -> list[Stored]:
        await asyncio.sleep(0)
        start = max(offset, self.first.get((topic, partition), 0))
        values = self.logs[topic][partition][start : start + limit]
        return [Stored(start + n, value) for n, value in enumerate(values)]

    async def wait(self, topics: Sequence[str], *, timeout_s: float) -> None:
        names = tuple(topics)
        news = sum(self._news.get(topic, 0) for topic in names)
        if self._seen.get(names, -1) == news:
            try:
                async with asyncio.timeout(timeout_s):
                    while self._seen[names] == news:
                        await self._changed.wait()
                        news = sum(self._news.get(topic, 0) for topic in names)
            except TimeoutError:
                pass
        self._seen[names] = news

    async def lag(self, group: str) -> list[Lag]:
        return [
            Lag(topic, partition, len(self.logs[topic][partition]) - position.offset, None)
            for (name, topic, partition), position in self.positions.items()
            if name == group
        ]

    async def trim(self) -> int:
        return 0

    def payloads(self, topic: str) -> list[object]:
        """Everything ever appended to a topic, decoded."""
        return [decode(value) for log in self.logs.get(topic, []) for value in log]


class MemoryDeferred:
    """DeferredStore in a list."""

    def __init__(self, db: MemoryDatabase) -> None:
        self.db = db
        self.rows: list[DeferredRow] = []
        self.dead: list[DeadRow] = []

    async def add(self, tx: Transaction, rows: Sequence[DeferredRow]) -> None:
        rows = list(rows)
        tx.effects.append(lambda: self.rows.extend(rows))

    async def bury(self, tx: Transaction, rows: Sequence[DeadRow]) -> None:
        rows = list(rows)
        tx.effects.append(lambda: self.dead.extend(rows))

    async def claim_due(self, tx: Transaction, *, now_ms: int, limit: int) -> list[DeferredRow]:
        due = sorted((row for row in self.rows if row.due_at <= now_ms), key=lambda row: row.due_at)[:limit]
        tx.effects.append(lambda: [self.rows.remove(row) for row in due])
        return due

    async def make_due(self, *, from_ms: int, keep: Sequence[int], now_ms: int, limit: int) -> int:
        chosen = [row for row in self.rows if row.due_at >= from_ms and row.due_at not in keep][:limit]
        for row in chosen:
            self.rows[self.rows.index(row)] = row._replace(due_at=now_ms)
        return len(chosen)

    async def next_due_ms(self) -> int | None:
        return min((row.due_at for row in self.rows), default=None)


class MemoryLeases:
    """LeaseStore with a clock of its own: `now_ms` is moved by the test."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.held: dict[tuple[str, int], tuple[Lease, int]] = {}
        self._epochs: dict[tuple[str, int], int] = {}
        self.failing = False

    async def acquire(self, carrier: str, *, shard: int, owner: str, ttl_ms: int) -> Lease | None:
        self._check()
        held = self.held.get((carrier, shard))
        if held is not None and held[0].owner != owner and held[1] > self.now_ms:
            return None
        epoch = self._epochs[carrier, shard] = self._epochs.get((carrier, shard), 0) + 1
        lease = Lease(carrier, shard, owner, epoch)
        self.held[carrier, shard] = (lease, self.now_ms + ttl_ms)
        return lease

    async def renew(self, lease: Lease, *, ttl_ms: int) -> bool:
        self._check()
        if not self._is_held(lease):
            return False
        self.held[lease.carrier, lease.shard] = (lease, self.now_ms + ttl_ms)
        return True

    async def release(self, lease: Lease) -> None:
        self._check()
        if self._is_held(lease):
            del self.held[lease.carrier, lease.shard]

    async def in_force(self) -> list[Lease]:
        self._check()
        return [lease for lease, expires_ms in self.held.values() if expires_ms > self.now_ms]

    async def cut_short(self, *, owner: str, grace_ms: int) -> list[str]:
        self._check()
        return []

    async def hold(self, tx: Transaction, lease: Lease) -> bool:
        return self._is_held(lease)

    def _is_held(self, lease: Lease) -> bool:
        held = self.held.get((lease.carrier, lease.shard))
        return held is not None and held[0] == lease

    def _check(self) -> None:
        if self.failing:
            raise ConnectionError("database is down")
