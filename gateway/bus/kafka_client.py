"""The few requests of the Kafka protocol that the bus is made of, over aiokafka's connections.

aiokafka's consumer is not used: it has one place per partition, replaces all places when a partition is added, drops
what it fetched on `pause`, and one `getmany` over all partitions lets a busy one starve the others. A fetch per
partition from the offset asked for needs none of that and is what `Bus.read` means. Its producer is: idempotent,
acks=all, with batches that we fill.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.new_partitions import NewPartitions
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import DeleteRecordsRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.record.memory_records import MemoryRecords

from gateway.bus.kafka_topics import MAX_BATCH_OCTETS, TopicFacts
from gateway.ports.bus import Stored
from gateway.ports.intake_store import StoreUnavailableError

REQUEST_TIMEOUT_S: Final = 8.0
"""Longest wait for the answer to one request, and for a connection: what hangs holds up those behind it."""

_START_S: Final = 15.0
MAX_FETCH_OCTETS: Final = 1_000_000
EARLIEST: Final = -2
LATEST: Final = -1

# It logs every attempt to connect, several times a second and connection, for as long as a broker is away. Whatever
# fails there fails a call of ours, which is told.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

_T = TypeVar("_T")
_ATTEMPTS: Final = 4
_BACKOFF_S: Final = 0.1
_MAX_BACKOFF_S: Final = 0.5
# A partition is without a leader, or known to one broker and not yet to another, for a moment after it was made or
# its leader died; a busy cluster takes seconds.
_MOVING: Final = (
    kafka_errors.NotLeaderForPartitionError,
    kafka_errors.LeaderNotAvailableError,
    kafka_errors.UnknownTopicOrPartitionError,
)
_MOVING_ATTEMPTS: Final = 20
_STALE: Final = (
    kafka_errors.NotLeaderForPartitionError,
    kafka_errors.LeaderNotAvailableError,
    kafka_errors.UnknownTopicOrPartitionError,
    kafka_errors.NodeNotReadyError,
    kafka_errors.KafkaConnectionError,
)


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """Where the cluster is and who we are to it."""

    bootstrap: str
    client_id: str = "caudal"
    compression: str | None = None
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ssl_context: ssl.SSLContext | None = None

    def arguments(self) -> dict[str, Any]:
        """Return what every client of aiokafka is made with."""
        return {
            "bootstrap_servers": self.bootstrap,
            "client_id": self.client_id,
            "security_protocol": self.security_protocol,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
            "ssl_context": self.ssl_context,
            "request_timeout_ms": int(REQUEST_TIMEOUT_S * 1000),
        }


class KafkaClient:
    """Topics, reads and offsets of one cluster. `start` first, `close` at the end; not for several loops."""

    def __init__(self, access: KafkaAccess) -> None:
        self._access = access
        self._client = AIOKafkaClient(**access.arguments())

    async def start(self) -> None:
        """Connect; StoreUnavailableError when no broker answers."""
        try:
            async with asyncio.timeout(_START_S):
                await self._client.bootstrap()
        except (kafka_errors.KafkaError, TimeoutError) as error:
            await self._client.close()
            raise StoreUnavailableError(
                f"Kafka at {self._access.bootstrap} does not answer: {type(error).__name__}"
            ) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def new_producer(self) -> AIOKafkaProducer:
        """Return a producer that is not started: idempotent, acknowledged by all replicas in sync."""
        return AIOKafkaProducer(
            **self._access.arguments(),
            acks="all",
            enable_idempotence=True,
            compression_type=self._access.compression,
            max_batch_size=MAX_BATCH_OCTETS,
            max_request_size=8 * MAX_BATCH_OCTETS,
            linger_ms=0,  # `gateway.bus.kafka_producer` has filled the batches
        )

    # -- topics ------------------------------------------------------------------------------------------------------

    async def partitions(self) -> dict[str, int]:
        """Return the number of partitions of every topic."""
        await self._client.force_metadata_update()
        cluster = self._client.cluster
        return {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in cluster.topics()}

    async def create_topics(
        self, topics: dict[str, int], *, replication: int, settings: dict[str, str]
    ) -> None:
        """Create topics that do not exist yet; one that another process makes at the same time is no error."""
        admin = await self._admin()
        try:
            wanted = [
                NewTopic(name, count, replication, topic_configs=settings) for name, count in topics.items()
            ]
            answer = await admin.create_topics(wanted)
            for name, code, *_ in answer.topic_errors:  # type: ignore[attr-defined]  # of every version
                error = kafka_errors.for_code(code)
                if code and error is not kafka_errors.TopicAlreadyExistsError:
                    raise StoreUnavailableError(f"Kafka does not create the topic {name}: {error.__name__}")
        finally:
            await admin.close()
        await self._until_led(topics)

    async def add_partitions(self, topics: dict[str, int]) -> None:
        """Grow topics to that many partitions; those that another process has grown meanwhile are no error."""
        admin = await self._admin()
        try:
            await admin.create_partitions({name: NewPartitions(count) for name, count in topics.items()})
        except kafka_errors.InvalidPartitionsError:
            pass  # it has as many by now, or we learn below that it has not
        except kafka_errors.KafkaError as error:
            raise StoreUnavailableError(f"Kafka gives no more partitions: {str(error)[:200]}") from None
        finally:
            await admin.close()
        await self._until_led(topics)

    async def describe(self, topics: Iterable[str]) -> list[TopicFacts]:
        """Return how the cluster keeps these topics; without settings where it does not tell us."""
        names = list(topics)
        await self._client.force_metadata_update()
        admin = await self._admin()
        try:
            described = await admin.describe_topics(names)
            answers = await admin.describe_configs(
                [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
            )
        except kafka_errors.KafkaError as error:
            raise StoreUnavailableError(f"Kafka does not describe topics: {type(error).__name__}") from None
        finally:
            await admin.close()
        settings: dict[str, dict[str, str]] = {}
        for answer in answers:
            for code, _, _, name, entries in answer.resources:  # type: ignore[attr-defined]  # of every version
                if not code:
                    settings[name] = {entry[0]: str(entry[1]) for entry in entries}
        return [
            TopicFacts(
                one["topic"],
                len(one["partitions"]),
                min((len(partition["replicas"]) for partition in one["partitions"]), default=0),
                settings.get(one["topic"], {}),
            )
            for one in described
        ]

    async def _admin(self) -> AIOKafkaAdminClient:
        # Making topics takes a slow cluster a while.
        admin = AIOKafkaAdminClient(
            **{**self._access.arguments(), "request_timeout_ms": int(_START_S * 1000)}
        )
        await admin.start()
        return admin

    async def _until_led(self, topics: dict[str, int]) -> None:
        """Wait until every partition has a leader: a topic exists a little before it can be used."""
        async with asyncio.timeout(_START_S):
            while True:
                await self._client.force_metadata_update()
                cluster = self._client.cluster
                if all(
                    len(cluster.partitions_for_topic(topic) or ()) >= count
                    and all(
                        (cluster.leader_for_partition(TopicPartition(topic, number)) or 0) > -1
                        for number in range(count)
                    )
                    for topic, count in topics.items()
                ):
                    return
                await asyncio.sleep(_BACKOFF_S)

    # -- records -----------------------------------------------------------------------------------------------------

    async def fetch(self, tp: TopicPartition, *, offset: int) -> tuple[list[Stored], int, int]:
        """Return (records from `offset` on, first offset not asked for, end of the log); empty at the end.

        Records below the oldest kept are gone: the oldest is then where reading goes on.
        """
        for _ in range(_ATTEMPTS):
            [(error, end, octets)] = await self._fetch(
                {tp: offset}, max_wait_s=0.0, max_octets=MAX_FETCH_OCTETS
            )
            if error is kafka_errors.OffsetOutOfRangeError:
                oldest = (await self.offsets([tp], EARLIEST))[tp]
                if offset >= oldest:
                    return [], offset, end
                offset = oldest
                continue
            return (*_unpack(octets, offset=offset), end)
        return [], offset, offset

    async def ends_after(
        self, known: dict[TopicPartition, int], *, max_wait_s: float
    ) -> dict[TopicPartition, int]:
        """Wait until one of the partitions has more than is known, at most `max_wait_s`; return their ends."""
        answers = await self._fetch(known, max_wait_s=max_wait_s, max_octets=1)
        return {
            tp: end
            for tp, (error, end, _) in zip(known, answers, strict=True)
            if error is kafka_errors.NoError
        }

    async def _fetch(
        self, offsets: dict[TopicPartition, int], *, max_wait_s: float, max_octets: int
    ) -> list[tuple[type[Exception], int, bytes]]:
        async def send() -> list[tuple[type[Exception], int, bytes]]:
            found: dict[TopicPartition, tuple[type[Exception], int, bytes]] = {}
            requests = [
                self._client.send(
                    node,
                    FetchRequest(
                        int(max_wait_s * 1000),
                        1,
                        MAX_FETCH_OCTETS,
                        0,
                        _by_topic([(tp, (tp.partition, offsets[tp], max_octets)) for tp in tps]),
                    ),
                )
                for node, tps in self._by_leader(offsets).items()
            ]
            for answer in await asyncio.gather(*requests):
                for topic, partitions in answer.topics:
                    for partition, code, end, *rest in partitions:
                        error = kafka_errors.for_code(code)
                        if error in _STALE:
                            raise error
                        found[TopicPartition(topic, partition)] = (error, end, rest[-1] or b"")
            return [found[tp] for tp in offsets]

        return await self._with_patience(send)

    async def appended_at(self, tp: TopicPartition, *, offset: int) -> int | None:
        """Return when the first record from `offset` on was appended, in milliseconds since the epoch; None at the end."""
        [(_, _, octets)] = await self._fetch({tp: offset}, max_wait_s=0.0, max_octets=1)
        batches = MemoryRecords(octets)
        while batches.has_next():
            for record in batches.next_batch() or ():
                if record.offset >= offset:
                    return record.timestamp
        return None

    async def offsets(self, tps: Iterable[TopicPartition], which: int) -> dict[TopicPartition, int]:
        """Return the EARLIEST or the LATEST offset of partitions, or the first from a time in milliseconds on (-1: none)."""
        wanted = list(tps)

        async def send() -> dict[TopicPartition, int]:
            found: dict[TopicPartition, int] = {}
            for node, led in self._by_leader(wanted).items():
                answer = await self._client.send(
                    node, OffsetRequest(-1, 0, _by_topic([(tp, (tp.partition, which)) for tp in led]))
                )
                for topic, partitions in answer.topics:
                    for partition, code, _, offset in partitions:
                        if code:
                            raise kafka_errors.for_code(code)
                        found[TopicPartition(topic, partition)] = offset
            return found

        return await self._with_patience(send)

    async def delete_before(self, offsets: dict[TopicPartition, int]) -> None:
        """Delete the records below these offsets."""

        async def send() -> None:
            for node, led in self._by_leader(offsets).items():
                topics = _by_topic([(tp, (tp.partition, offsets[tp])) for tp in led])
                answer = await self._client.send(
                    node, DeleteRecordsRequest(topics, int(REQUEST_TIMEOUT_S * 1000))
                )
                for _topic, partitions, *_rest in answer.topics:
                    for _number, _low, code, *_tags in partitions:
                        if code:
                            raise kafka_errors.for_code(code)

        await self._with_patience(send)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _by_leader(self, tps: Iterable[TopicPartition]) -> dict[int, list[TopicPartition]]:
        led: dict[int, list[TopicPartition]] = {}
        for tp in tps:
            leader = self._client.cluster.leader_for_partition(tp)
            if leader is None or leader == -1:
                raise kafka_errors.LeaderNotAvailableError
            led.setdefault(leader, []).append(tp)
        return led

    async def _with_patience(self, send: Callable[[], Awaitable[_T]]) -> _T:
        """Call, look for the leaders again where they have moved, and give up as StoreUnavailableError."""
        patience = _ATTEMPTS
        for attempt in range(1, _MOVING_ATTEMPTS + 1):
            try:
                async with asyncio.timeout(REQUEST_TIMEOUT_S):
                    return await send()
            except _STALE as error:
                if isinstance(error, _MOVING):
                    patience = _MOVING_ATTEMPTS
                if attempt >= patience:
                    raise StoreUnavailableError(f"Kafka: {type(error).__name__}") from None
                await asyncio.sleep(min(_BACKOFF_S * attempt, _MAX_BACKOFF_S))
                await self._client.force_metadata_update()
            except kafka_errors.KafkaError as error:
                raise StoreUnavailableError(f"Kafka: {type(error).__name__}") from None
        raise AssertionError("unreachable")


def _by_topic(entries: Iterable[tuple[TopicPartition, Any]]) -> list[tuple[str, list[Any]]]:
    topics: dict[str, list[Any]] = {}
    for tp, entry in entries:
        topics.setdefault(tp.topic, []).append(entry)
    return list(topics.items())


def _unpack(octets: bytes, *, offset: int) -> tuple[list[Stored], int]:
    """Return the records from `offset` on and where to go on; control records and gaps are stepped over."""
    found: list[Stored] = []
    batches = MemoryRecords(octets)
    while batches.has_next():
        batch = batches.next_batch()
        assert batch is not None
        if not batch.validate_crc():
            raise kafka_errors.CorruptRecordException("a batch with a wrong checksum")
        if not batch.is_control_batch:
            found += [
                Stored(record.offset, record.value or b"") for record in batch if record.offset >= offset
            ]
        offset = max(offset, batch.next_offset)
    return found, offset
