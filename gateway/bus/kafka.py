"""The Kafka bus (rules: `gateway.ports.bus`): the same log with offsets, on a cluster of brokers.

Records are in Kafka, positions in PostgreSQL: they hold ranges that no offset commit has room for, a lease fences them,
and a reader's rows and its position are one transaction here too. What differs from the Postgres bus: a record
appended in a transaction that is rolled back stays, so readers accept repeats (rules 4 and 6); commits come after the
records they belong to (rule 5). Records are kept until `trim` has every group's word, and for `retention_ms` at most.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

import structlog
from aiokafka import TopicPartition

from gateway.bus import postgres_sql as sql
from gateway.bus.kafka_client import EARLIEST, LATEST, KafkaAccess, KafkaClient
from gateway.bus.kafka_producer import KafkaProducer
from gateway.bus.kafka_topics import TopicWish, Trouble, judge
from gateway.bus.news import News
from gateway.bus.postgres import position_columns, ranges_of
from gateway.ports.bus import Commit, Lag, Position, Record, Stored, Transaction
from gateway.ports.intake_store import StoreUnavailableError
from gateway.ports.store import Transactions

_log = structlog.get_logger()

DAY_MS: Final = 86_400_000
_MARK: Final = "kafka:"
_WATCH_S: Final = 0.25
_RETRY_S: Final = 0.5
_MAX_KEPT_READS: Final = 64


@dataclass(frozen=True, slots=True)
class KafkaTopicSettings:
    """How topics are made and named. `retention_ms` bounds what `trim` would keep for a group that never comes.

    `prefix` goes before the names of topics and groups, where a cluster serves others too.
    """

    prefix: str = ""
    replication: int = 1
    retention_ms: int = 7 * DAY_MS

    def configuration(self) -> dict[str, str]:
        """Return the topic configuration as Kafka names it."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention_ms),
            "min.insync.replicas": str(max(1, self.replication - 1)),
        }


class KafkaBus:
    """Implements `gateway.ports.bus.Bus`. `await start()` first, `await close()` at the end."""

    def __init__(
        self, access: KafkaAccess, *, db: Transactions, topics: KafkaTopicSettings = KafkaTopicSettings()
    ) -> None:
        self._db = db
        self._topic_settings = topics
        self._prefix = topics.prefix
        self._client = KafkaClient(access)
        # A fetch that waits for news holds its connection up: it has one of its own.
        self._watch_client = KafkaClient(access)
        self._producer = KafkaProducer(self._client.new_producer)
        self._partitions: dict[str, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._watched_changed = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None
        self._news = News()
        # What a fetch brought beyond what was asked for, by the place where it goes on.
        self._rest: OrderedDict[tuple[TopicPartition, int], list[Stored]] = OrderedDict()

    async def start(self) -> None:
        """Connect and learn the topics; StoreUnavailableError when the cluster does not answer."""
        await self._client.start()
        await self._watch_client.start()
        await self._producer.start()
        await self._load()
        self._watching = asyncio.create_task(self._watch(), name="kafka.watch")

    async def close(self) -> None:
        """Stop watching, send what is underway, disconnect."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        await self._producer.close()
        await self._watch_client.close()
        await self._client.close()

    # -- topics and groups -------------------------------------------------------------------------------------------

    async def ensure_topics(self, topics: dict[str, int]) -> None:
        """Create the topics that do not exist yet; one that exists keeps its number of partitions."""
        if bad := [topic for topic, count in topics.items() if count < 1]:
            raise ValueError(f"topics without partitions: {', '.join(bad)}")
        await self._load()
        missing = {topic: count for topic, count in topics.items() if topic not in self._partitions}
        if missing:
            await self._client.create_topics(
                {self._prefix + topic: count for topic, count in missing.items()},
                replication=self._topic_settings.replication,
                settings=self._topic_settings.configuration(),
            )
            await self._load()

    async def widen_topics(self, topics: dict[str, int]) -> None:
        """Give topics with fewer partitions that many; what a key has in its old partition may be read later."""
        await self._load()
        narrow = {topic: count for topic, count in topics.items() if self._partitions.get(topic, 0) < count}
        if narrow:
            await self._client.add_partitions(
                {self._prefix + topic: count for topic, count in narrow.items()}
            )
            await self._load()

    async def judge_topics(self, topics: Mapping[str, int], *, keep_ms: int) -> list[Trouble]:
        """Return what is wrong with these topics, which should have that many partitions each.

        `keep_ms` is the longest that a record may have to wait for its reader.
        """
        wanted = {self._prefix + topic: count for topic, count in topics.items()}
        found: list[Trouble] = []
        for facts in await self._client.describe(wanted):
            wish = TopicWish(wanted[facts.name], self._topic_settings.replication, keep_ms)
            found += judge(facts, wish)
        return found

    async def register_group(self, group: str, topics: Sequence[str]) -> None:
        """Make `group` a reader that retention waits for, starting at the oldest record kept."""
        tps = [tp for topic in topics for tp in await self._tps(topic)]
        oldest = await self._client.offsets(tps, EARLIEST)
        async with self._db.acquire() as connection:
            await connection.execute(
                sql.REGISTER_AT,
                group,
                [_place(tp) for tp in tps],
                [tp.partition for tp in tps],
                [oldest[tp] for tp in tps],
            )

    def partitions(self, topic: str) -> int:
        """Return the number of partitions; KeyError for an unknown topic."""
        return self._partitions[topic]

    # -- writing -----------------------------------------------------------------------------------------------------

    async def append(
        self, records: Sequence[Record], *, commits: Sequence[Commit] = (), tx: Transaction | None = None
    ) -> None:
        """Make records durable, then the commits; StoreUnavailableError leaves open whether they are."""
        values: dict[TopicPartition, list[tuple[bytes, bytes]]] = {}
        for topic, key, value in records:
            count = self._partitions.get(topic) or await self._known(topic)
            values.setdefault(self._tp(topic, crc32(key) % count), []).append((key, value))
        if values:
            await self._produce(values)
        await self.commit(commits, tx=tx)

    async def _produce(self, values: dict[TopicPartition, list[tuple[bytes, bytes]]]) -> None:
        # What was handed over goes out even if its caller is cancelled: it is then a repeat (rule 4).
        for tp, end in (await self._producer.append(values)).items():
            if end > self._ends.get(tp, 0):
                self._ends[tp] = end
        self._news.add(self._names(values))

    async def commit(self, commits: Sequence[Commit], *, tx: Transaction | None = None) -> None:
        """Store positions durably. One below the stored position is late, and changes nothing."""
        if not commits:
            return
        columns = position_columns(
            [commit._replace(topic=_place(self._tp(commit.topic, 0))) for commit in commits]
        )
        if tx is not None:
            await tx.execute(sql.COMMIT, *columns)
        else:
            async with self._db.acquire() as connection:
                await connection.execute(sql.COMMIT, *columns)

    async def hold(self, group: str, topic: str, offsets: Mapping[int, int], *, tx: Transaction) -> bool:
        """Lock the group's positions until `tx` ends; False when one of them is not at the offset given."""
        place = _place(self._tp(topic, 0))
        held: int = await tx.fetchval(sql.HOLD, group, place, list(offsets), list(offsets.values()))
        return held == len(offsets)

    async def position(self, group: str, topic: str, partition: int) -> Position:
        """Return the last committed position, or the oldest record kept."""
        await self._known(topic)
        tp = self._tp(topic, partition)
        async with self._db.acquire() as connection:
            row = await connection.fetchrow(sql.STORED_POSITION, group, _place(tp), partition)
        if row is None:
            return Position((await self._client.offsets([tp], EARLIEST))[tp])
        return Position(row[0], ranges_of(row[1]), ranges_of(row[2]))

    # -- reading -----------------------------------------------------------------------------------------------------

    async def read(self, topic: str, partition: int, *, offset: int, limit: int) -> list[Stored]:
        """Return up to `limit` records from `offset` on; empty at the end."""
        tp = self._tp(topic, partition)
        found = self._rest.pop((tp, offset), None)
        if found is None:
            if topic not in self._partitions:
                await self._known(topic)
            found, after, end = await self._client.fetch(tp, offset=offset)
            self._see(tp, end)
            # A fetch is bounded by octets; a reader takes a short answer for the end of the log.
            while len(found) < limit and offset < after < end:
                offset = after
                more, after, end = await self._client.fetch(tp, offset=offset)
                found += more
        if len(found) > limit:
            rest = found[limit:]
            self._rest[tp, rest[0].offset] = rest
            if len(self._rest) > _MAX_KEPT_READS:
                self._rest.popitem(last=False)
            return found[:limit]
        return found

    async def wait(self, topics: Sequence[str], *, timeout_s: float) -> None:
        """Return when one of the topics may have news since the caller's last call, or after `timeout_s`."""
        for topic in topics:
            for tp in await self._tps(topic):
                if tp not in self._ends:
                    self._see(tp, (await self._client.offsets([tp], LATEST))[tp])
        await self._news.wait(topics, timeout_s=timeout_s)

    def _see(self, tp: TopicPartition, end: int) -> None:
        """Watch a partition from this end on."""
        if tp not in self._ends:
            self._ends[tp] = end
            self._watched_changed.set()

    async def _watch(self) -> None:
        """Learn of what other processes append: one fetch that waits, over all partitions somebody here reads."""
        is_failing = False
        while True:
            if not self._ends:
                await self._watched_changed.wait()
            self._watched_changed.clear()
            known = dict(self._ends)
            try:
                ends = await self._watch_client.ends_after(known, max_wait_s=_WATCH_S)
            except (StoreUnavailableError, TimeoutError) as error:
                if not is_failing:
                    is_failing = True
                    _log.warning("kafka.watch_failed", error=str(error)[:200], retry_s=_RETRY_S)
                # Readers look for themselves meanwhile; an end that shrank (a log cut short) must not be waited for.
                self._news.add_everything()
                await asyncio.sleep(_RETRY_S)
                continue
            if is_failing:
                is_failing = False
                _log.info("kafka.watch_recovered")
            grown = {tp: end for tp, end in ends.items() if end > self._ends.get(tp, 0)}
            if grown:
                self._ends.update(grown)
                self._news.add(self._names(grown))

    # -- lag and retention -------------------------------------------------------------------------------------------

    async def lag(self, group: str) -> list[Lag]:
        """Return the lag of a group by partition."""
        async with self._db.acquire() as connection:
            rows = await connection.fetch(sql.GROUP_POSITIONS, group)
        places = {
            TopicPartition(topic.removeprefix(_MARK), partition): (offset, done)
            for topic, partition, offset, done in rows
            if topic.startswith(_MARK + self._prefix)
        }
        ends = await self._client.offsets(places, LATEST)
        found = []
        for tp, (offset, done) in places.items():
            count = max(0, ends[tp] - offset - done)
            oldest_ms = await self._client.appended_at(tp, offset=offset) if count else None
            found.append(Lag(tp.topic.removeprefix(self._prefix), tp.partition, count, oldest_ms))
        return found

    async def trim(self) -> int:
        """Delete what every registered group has committed; return the number of records. Topics without a group are kept."""
        async with self._db.acquire() as connection:
            rows = await connection.fetch(sql.LEAST_POSITIONS, _MARK + self._prefix)
        lowest = {
            TopicPartition(topic.removeprefix(_MARK), partition): offset for topic, partition, offset in rows
        }
        oldest = await self._client.offsets(lowest, EARLIEST)
        deletable = {tp: offset for tp, offset in lowest.items() if offset > oldest[tp]}
        if deletable:
            await self._client.delete_before(deletable)
        return sum(offset - oldest[tp] for tp, offset in deletable.items())

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _load(self) -> None:
        self._partitions = {
            topic.removeprefix(self._prefix): count
            for topic, count in (await self._client.partitions()).items()
            if topic.startswith(self._prefix)
        }

    async def _known(self, topic: str) -> int:
        """Return the partitions of a topic, looking once more for one that another process made; KeyError."""
        if topic not in self._partitions:
            await self._load()
        return self._partitions[topic]

    async def _tps(self, topic: str) -> list[TopicPartition]:
        return [self._tp(topic, number) for number in range(await self._known(topic))]

    def _tp(self, topic: str, partition: int) -> TopicPartition:
        return TopicPartition(self._prefix + topic, partition)

    def _names(self, tps: Iterable[TopicPartition]) -> set[str]:
        return {tp.topic.removeprefix(self._prefix) for tp in tps}


def _place(tp: TopicPartition) -> str:
    """Return the name that a topic's positions are stored under, beside those of the Postgres bus."""
    return _MARK + tp.topic
