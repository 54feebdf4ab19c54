"""The Postgres bus: an append-only log with offsets in the same database as everything else (rules: `ports.bus`).

One statement per append, whatever the partitions: it locks the heads of its partitions in id order, moves them, and
inserts with the offsets so won. The heads stay locked to the commit, so commit order is offset order and a reader
meets no gap. Append at most once in a transaction: two appends in one would lock heads out of order.

The records of one append to one partition are stored in blocks of a page each (`gateway.bus.blocks`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from zlib import crc32

from gateway.bus import blocks
from gateway.bus import postgres_sql as sql
from gateway.bus.news import News
from gateway.bus.postgres_trim import Trimmer
from gateway.ports.bus import Commit, Lag, Position, Ranges, Record, Stored, Transaction
from gateway.ports.store import Transactions

CHANNEL = "caudal_bus"
POLL_S = 0.1
"""How often a waiting reader looks by itself while notifications do not arrive."""

_MAX_PAYLOAD_OCTETS = 4_000
_EVERYTHING = "*"


class Notifications(Protocol):
    """Where wake-ups come from; `gateway.store.pool.Database` is one."""

    @property
    def is_listening(self) -> bool:
        """True while notifications arrive."""

    async def listen(self, channel: str, callback: Callable[[str], None]) -> None:
        """Call back with each payload, and with "" whenever some may have been missed."""


class BusDatabase(Transactions, Notifications, Protocol):
    """Both at once."""


class _Batch(NamedTuple):
    """The arguments of an append: per partition (ids ascending), per block, and the notification."""

    ids: list[int]
    counts: list[int]
    slots: list[int]
    lasts: list[int]
    records: list[int]
    blocks: list[bytes]
    payload: str


class PostgresBus:
    """Implements `gateway.ports.bus.Bus`. `await start()` first; the database is opened and closed by its owner."""

    def __init__(self, db: BusDatabase) -> None:
        self._db = db
        self._ids: dict[str, list[int]] = {}
        self._topic_by_id: dict[int, str] = {}
        self._news = News()
        self._trimmer = Trimmer(db)

    async def start(self) -> None:
        """Learn the topics and begin to listen for news."""
        await self._load()
        await self._db.listen(CHANNEL, self._notified)

    async def ensure_topics(self, topics: dict[str, int]) -> None:
        """Create the topics that do not exist yet; one that exists keeps its number of partitions."""
        await self._load()
        missing = {topic: count for topic, count in sorted(topics.items()) if topic not in self._ids}
        if missing:
            if bad := [topic for topic, count in missing.items() if count < 1]:
                raise ValueError(f"topics without partitions: {', '.join(bad)}")
            async with self._db.acquire() as connection:
                await connection.execute(sql.CREATE_TOPICS, list(missing), list(missing.values()))
            await self._load()

    async def widen_topics(self, topics: dict[str, int]) -> None:
        """Give topics with fewer partitions that many; what a key has in its old partition may be read later."""
        await self._load()
        narrow = {topic: count for topic, count in topics.items() if len(self._ids.get(topic, ())) < count}
        if narrow:
            async with self._db.acquire() as connection:
                await connection.execute(sql.CREATE_TOPICS, list(narrow), list(narrow.values()))
            await self._load()

    async def register_group(self, group: str, topics: Sequence[str]) -> None:
        """Make `group` a reader that retention waits for, starting at the oldest record kept."""
        for topic in topics:
            await self._known(topic)
        async with self._db.transaction() as tx:
            # Retention must not drop between our look at the first offset and our commit.
            await tx.execute("SELECT pg_advisory_xact_lock($1)", sql.RETENTION_LOCK)
            await tx.execute(sql.REGISTER_GROUP, group, list(topics))

    def partitions(self, topic: str) -> int:
        """Return the number of partitions; KeyError for an unknown topic."""
        return len(self._ids[topic])

    async def append(
        self, records: Sequence[Record], *, commits: Sequence[Commit] = (), tx: Transaction | None = None
    ) -> None:
        """Make records durable, and the commits with them, in one statement; at most once in a transaction."""
        if not records:
            await self.commit(commits, tx=tx)
            return
        try:
            batch = self._batch(records)
        except KeyError:
            for topic in {record.topic for record in records}:
                await self._known(topic)
            batch = self._batch(records)
        if commits:
            await self._execute(
                tx, sql.APPEND_AND_COMMIT, *batch[:6], CHANNEL, batch.payload, *position_columns(commits)
            )
        else:
            await self._execute(tx, sql.APPEND, *batch[:6], CHANNEL, batch.payload)

    async def commit(self, commits: Sequence[Commit], *, tx: Transaction | None = None) -> None:
        """Store positions durably. One below the stored position is late, and changes nothing."""
        if commits:
            await self._execute(tx, sql.COMMIT, *position_columns(commits))

    async def hold(self, group: str, topic: str, offsets: Mapping[int, int], *, tx: Transaction) -> bool:
        """Lock the group's positions until `tx` ends; False when one of them is not at the offset given."""
        held: int = await tx.fetchval(sql.HOLD, group, topic, list(offsets), list(offsets.values()))
        return held == len(offsets)

    async def position(self, group: str, topic: str, partition: int) -> Position:
        """Return the last committed position, or the oldest record kept."""
        partition_id = (await self._known(topic))[partition]
        async with self._db.acquire() as connection:
            row = await connection.fetchrow(sql.POSITION, group, partition_id)
        return Position(row[0], ranges_of(row[1]), ranges_of(row[2]))

    async def read(self, topic: str, partition: int, *, offset: int, limit: int) -> list[Stored]:
        """Return up to `limit` records from `offset` on; empty at the end."""
        ids = self._ids.get(topic) or await self._known(topic)
        async with self._db.acquire() as connection:
            rows = await connection.fetch(sql.READ, ids[partition], offset, limit)
        return blocks.records_in(rows, limit=limit)

    async def wait(self, topics: Sequence[str], *, timeout_s: float) -> None:
        """Return when one of the topics may have news since the caller's last call, or after `timeout_s`.

        Without notifications it returns after 100 ms, for the caller to look.
        """
        await self._news.wait(
            topics, timeout_s=timeout_s if self._db.is_listening else min(timeout_s, POLL_S)
        )

    async def lag(self, group: str) -> list[Lag]:
        """Return the lag of a group by partition."""
        async with self._db.acquire() as connection:
            rows = await connection.fetch(sql.LAG, group)
        return [Lag(*row) for row in rows]

    async def trim(self) -> int:
        """Delete what every registered group has committed, in bounded chunks; return the number of records.

        One process trims at a time; for the others there is nothing to do. Topics without a group are kept.
        """
        return await self._trimmer.trim()

    async def _load(self) -> None:
        async with self._db.acquire() as connection:
            rows = await connection.fetch(sql.TOPICS)
        ids: dict[str, list[int]] = {}
        for topic, partition_id in rows:
            ids.setdefault(topic, []).append(partition_id)
        self._ids = ids
        self._topic_by_id = {one: topic for topic, all_ids in ids.items() for one in all_ids}

    async def _known(self, topic: str) -> list[int]:
        """Return the partition ids of a topic, looking once more for one that another process made; KeyError."""
        if topic not in self._ids:
            await self._load()
        return self._ids[topic]

    def _batch(self, records: Sequence[Record]) -> _Batch:
        ids_by_topic = self._ids
        values_by_id: dict[int, list[bytes]] = {}
        for topic, key, value in records:
            ids = ids_by_topic[topic]
            target = ids[crc32(key) % len(ids)]
            values = values_by_id.get(target)
            if values is None:
                values_by_id[target] = [value]
            else:
                values.append(value)
        ordered = sorted(values_by_id)
        payload = ",".join(map(str, ordered))
        batch = _Batch(
            ordered,
            [len(values_by_id[one]) for one in ordered],
            [],
            [],
            [],
            [],
            payload if len(payload) <= _MAX_PAYLOAD_OCTETS else _EVERYTHING,
        )
        for slot, partition_id in enumerate(ordered, start=1):
            for block in blocks.cut(values_by_id[partition_id]):
                batch.slots.append(slot)
                batch.lasts.append(block.last)
                batch.records.append(block.records)
                batch.blocks.append(block.octets)
        return batch

    async def _execute(self, tx: Transaction | None, statement: str, *arguments: object) -> None:
        if tx is not None:
            await tx.execute(statement, *arguments)
        else:
            async with self._db.acquire() as connection:
                await connection.execute(statement, *arguments)

    def _notified(self, payload: str) -> None:
        """Count the news and wake who waits for it; "" and "*" mean that it could be anything."""
        if payload in ("", _EVERYTHING):
            self._news.add_everything()
            return
        topics = {self._topic_by_id.get(int(one)) for one in payload.split(",")}
        if None in topics:  # made since we loaded: a reader of it will load, all it needs is a push
            self._news.add_everything()
        self._news.add(topic for topic in topics if topic is not None)


def position_columns(commits: Sequence[Commit]) -> tuple[list[Any], ...]:
    """Return the commits as columns; locked in order, so that two committers never wait for each other."""
    ordered = sorted({commit[:3]: commit for commit in commits}.values(), key=lambda commit: commit[:3])
    return (
        [commit.group for commit in ordered],
        [commit.topic for commit in ordered],
        [commit.partition for commit in ordered],
        [commit.position.offset for commit in ordered],
        [_flat(commit.position.completed) for commit in ordered],
        [_flat(commit.position.claimed) for commit in ordered],
    )


def _flat(ranges: Ranges) -> str:
    return "{" + ",".join([f"{start},{end}" for start, end in ranges]) + "}" if ranges else "{}"


def ranges_of(flat: Sequence[int]) -> Ranges:
    """Return the ranges of a stored column."""
    return tuple(zip(flat[::2], flat[1::2], strict=True))
