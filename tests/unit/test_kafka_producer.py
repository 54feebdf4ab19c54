"""Appends on their way to Kafka: joined, all or nothing, withdrawn, bounded, and a stuck producer replaced."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka import errors as kafka_errors

from gateway.bus import kafka_producer
from gateway.bus.kafka_producer import KafkaProducer
from gateway.ports.intake_store import StoreUnavailableError

E0, L0, L1 = TopicPartition("events", 0), TopicPartition("lane", 0), TopicPartition("lane", 1)


class Batch:
    """A batch of at most ten octets of values."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def append(self, *, key, value, timestamp):
        if sum(map(len, self.values)) + len(value) > 10:
            return None
        self.values.append(value)
        return object()

    def close(self) -> None:
        pass


class Cluster:
    """What the producers of one test talk to: it answers when told, and remembers what it was given."""

    def __init__(self) -> None:
        self.made: list[Producer] = []
        self.given: list[tuple[TopicPartition, list[bytes]]] = []
        self.answers: list[asyncio.Future] = []
        self.answers_at_once = True
        self.error: Exception | None = None
        self.leaders = {E0: 1, L0: 1, L1: 1}
        self.is_reachable = True
        self.ends: dict[TopicPartition, int] = {}

    def new(self) -> "Producer":
        self.made.append(Producer(self))
        return self.made[-1]

    def answer(self) -> None:
        """Answer what waits."""
        for tp, future, count in self.answers:
            if not future.done():
                self.ends[tp] = self.ends.get(tp, 0) + count
                future.set_result(SimpleNamespace(offset=self.ends[tp] - 1))
        self.answers.clear()


class Producer:
    """What we use of aiokafka's."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.is_stopped = False
        self.client = SimpleNamespace(
            cluster=SimpleNamespace(leader_for_partition=cluster.leaders.get),
            ready=self._ready,
            add_topic=lambda topic: None,
            force_metadata_update=self._nothing,
            close=self._nothing,
        )

    async def _ready(self, node):
        return self.cluster.is_reachable

    async def _nothing(self):
        pass

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        self.is_stopped = True

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch, topic, *, partition):
        cluster, tp = self.cluster, TopicPartition(topic, partition)
        cluster.given.append((tp, batch.values))
        future = asyncio.get_running_loop().create_future()
        if cluster.error is not None:
            future.set_exception(cluster.error)
        else:
            cluster.answers.append((tp, future, len(batch.values)))
            if cluster.answers_at_once:
                cluster.answer()
        return future


@pytest.fixture
async def cluster():
    return Cluster()


@pytest.fixture
async def producer(cluster):
    producer = KafkaProducer(cluster.new, max_waiting_octets=100)
    yield producer
    cluster.answer()
    await producer.close()


def pairs(*values: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"", value) for value in values]


async def tick() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_waits_behind_a_batch_goes_out_together_and_in_order(producer, cluster):
    cluster.answers_at_once = False
    first = asyncio.create_task(producer.append({E0: pairs(b"a")}))
    await tick()
    later = [asyncio.create_task(producer.append({E0: pairs(b"%d" % n)})) for n in range(5)]
    await tick()
    assert cluster.given == [(E0, [b"a"])]
    cluster.answer()
    await tick()
    assert cluster.given[1:] == [(E0, [b"0", b"1", b"2", b"3", b"4"])]
    cluster.answer()
    assert [await one for one in (first, *later)] == [{E0: 1}] + 5 * [{E0: 6}]


async def test_nothing_of_an_append_is_handed_over_before_there_is_room_for_all_of_it(producer, cluster):
    """Or a caller whose time ends there has told of a message that is in no lane."""
    cluster.answers_at_once = False
    first = asyncio.create_task(producer.append({L0: pairs(b"a")}))
    await tick()
    both = asyncio.create_task(producer.append({E0: pairs(b"e"), L0: pairs(b"l")}))
    after = asyncio.create_task(producer.append({E0: pairs(b"f")}))
    other = asyncio.create_task(producer.append({L1: pairs(b"x")}))
    await tick()
    # A later one does not overtake it in a partition, and nobody waits for other partitions.
    assert cluster.given == [(L0, [b"a"]), (L1, [b"x"])]
    both.cancel()
    await tick()
    cluster.answer()
    await asyncio.gather(first, other)
    await tick()
    cluster.answer()
    assert await after == {E0: 1}
    assert (L0, [b"l"]) not in cluster.given
    assert [values for tp, values in cluster.given if tp == E0] == [[b"f"]]


async def test_what_was_handed_over_is_delivered_though_its_caller_is_gone(producer, cluster):
    cluster.answers_at_once = False
    one = asyncio.create_task(producer.append({E0: pairs(b"a")}))
    await tick()
    one.cancel()
    cluster.answer()
    await tick()
    cluster.answers_at_once = True
    assert await producer.append({E0: pairs(b"b")}) == {E0: 2}


async def test_without_a_connection_to_a_leader_nothing_is_appended_and_soon_said_so(
    producer, cluster, monkeypatch
):
    monkeypatch.setattr(kafka_producer, "_CONNECT_S", 0.05)
    monkeypatch.setattr(kafka_producer, "_CONNECT_RETRY_S", 0.01)
    cluster.is_reachable = False
    with pytest.raises(StoreUnavailableError, match="no connection to a leader"):
        await producer.append({E0: pairs(b"a"), L0: pairs(b"b")})
    cluster.is_reachable, cluster.leaders[L0] = True, -1
    with pytest.raises(StoreUnavailableError, match="no connection to a leader"):
        await producer.append({E0: pairs(b"a"), L0: pairs(b"b")})
    assert cluster.given == []
    cluster.leaders[L0] = 1
    assert await producer.append({E0: pairs(b"a"), L0: pairs(b"b")}) == {E0: 1, L0: 1}


@pytest.mark.parametrize("error", [kafka_errors.OutOfOrderSequenceNumber(), kafka_errors.KafkaTimeoutError()])
async def test_a_stuck_producer_is_let_go_of_and_the_next_append_has_another(producer, cluster, error):
    cluster.error = error
    with pytest.raises(StoreUnavailableError, match=type(error).__name__):
        await producer.append({E0: pairs(b"a")})
    cluster.error = None
    assert await producer.append({E0: pairs(b"b")}) == {E0: 1}
    assert [one.is_stopped for one in cluster.made] == [True, False]


async def test_other_errors_leave_the_producer_alone(producer, cluster):
    cluster.error = kafka_errors.NotEnoughReplicasError()
    with pytest.raises(StoreUnavailableError, match="NotEnoughReplicas"):
        await producer.append({E0: pairs(b"a")})
    cluster.error = None
    await producer.append({E0: pairs(b"b")})
    assert len(cluster.made) == 1


async def test_no_answer_in_time_is_in_doubt_and_replaces_the_producer(producer, cluster, monkeypatch):
    """Though each caller leaves before: it is the send itself that is watched."""
    monkeypatch.setattr(kafka_producer, "_ANSWER_S", 0.05)
    cluster.answers_at_once = False
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await producer.append({E0: pairs(b"a")})
    cluster.answers_at_once = True
    assert await producer.append({E0: pairs(b"b")}) == {E0: 1}
    assert len(cluster.made) == 2


async def test_what_waits_is_bounded_in_octets(producer, cluster):
    cluster.answers_at_once = False
    tasks = [asyncio.create_task(producer.append({E0: pairs(b"12345678")})) for _ in range(12)]
    await tick()
    with pytest.raises(StoreUnavailableError, match="88 octets wait"):
        await producer.append({E0: pairs(b"x" * 20)})
    while not all(task.done() for task in tasks):
        cluster.answer()
        await tick()
    assert len(cluster.given) == 12  # one value fills a batch


async def test_a_record_that_fits_no_batch_is_refused_by_its_size(producer, cluster):
    with pytest.raises(ValueError, match="11 octets does not fit"):
        await producer.append({E0: pairs(b"x" * 11)})
    assert await producer.append({E0: pairs(b"ok")}) == {E0: 1}


async def test_closing_fails_what_waits(cluster):
    producer = KafkaProducer(cluster.new)
    cluster.answers_at_once = False
    first = asyncio.create_task(producer.append({E0: pairs(b"a")}))
    await tick()
    second = asyncio.create_task(producer.append({E0: pairs(b"b")}))
    await tick()
    cluster.answer()
    await producer.close()
    assert await first == {E0: 1}
    with pytest.raises(StoreUnavailableError, match="closed"):
        await second
    with pytest.raises(StoreUnavailableError, match="closed"):
        await producer.append({E0: pairs(b"c")})
