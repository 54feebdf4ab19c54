"""Appends on their way to Kafka: what several callers append at the same time goes out together, all of one or nothing.

Used by `gateway.bus.kafka` alone. While a batch of a partition is on its way, the appends for it wait, and go together
in the next one: an idle bus costs nobody a pause, a busy one gets batches that are worth their request.

An append has parts for several partitions (a message's event and its place in a lane). aiokafka would take the first
and make us wait with the second; a caller whose deadline ends there has appended half. So nothing of an append is
handed over before there is room for all of it and a connection to every leader; until then it can be withdrawn, and a
failure means that nothing was appended. What was handed over and has no answer is in doubt, and is delivered even if
its caller was cancelled.

After some errors, or without an answer in time, aiokafka's idempotent producer does not find back by itself (907,
1017): it is let go of, and another one is made.
"""

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka import errors as kafka_errors

from gateway.ports.intake_store import StoreUnavailableError

_log = structlog.get_logger()

MAX_WAITING_OCTETS: Final = 64 * 1024 * 1024
"""Most that waits for room; beyond it an append fails at once."""

_START_S: Final = 8.0
_APPEND_S: Final = 12.0
_CONNECT_S: Final = 3.0
_CONNECT_RETRY_S: Final = 0.1
_ANSWER_S: Final = 10.0  # aiokafka gives a batch up after its request timeout, which is less
_LET_GO_S: Final = 2.0
_CLOSE_S: Final = 5.0
_CLOSED: Final = "Kafka: the bus is closed"

_STUCK: Final = (
    kafka_errors.OutOfOrderSequenceNumber,
    kafka_errors.InvalidProducerEpoch,
    kafka_errors.InvalidProducerIdMapping,
    kafka_errors.UnknownProducerId,
    kafka_errors.ProducerFenced,
    kafka_errors.DuplicateSequenceNumber,
    kafka_errors.ProducerClosed,
    # Given up without an answer: its sequence number may be missing at the broker, which refuses what comes next.
    kafka_errors.KafkaTimeoutError,
    kafka_errors.RequestTimedOutError,
    TimeoutError,
)

Pairs = Sequence[tuple[bytes, bytes]]
"""Records of one partition: (key, value)."""

Ends = dict[TopicPartition, int]
"""The ends of the log that an append is known to have reached."""


class _Append:
    """One caller's records, and who waits for them."""

    __slots__ = ("done", "ends", "octets", "open", "values")

    def __init__(self, values: Mapping[TopicPartition, Pairs]) -> None:
        self.values = values
        self.octets = sum(len(key) + len(value) for pairs in values.values() for key, value in pairs)
        self.done: asyncio.Future[Ends] = asyncio.get_running_loop().create_future()
        self.open = len(values)
        self.ends: Ends = {}

    def reached(self, tp: TopicPartition, end: int) -> None:
        self.ends[tp] = end
        self.open -= 1
        if not self.open and not self.done.done():
            self.done.set_result(self.ends)

    def failed(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # a caller that is gone asks no more


class KafkaProducer:
    """Wraps one producer of aiokafka at a time. `new` makes one that is not started."""

    def __init__(
        self, new: Callable[[], AIOKafkaProducer], *, max_waiting_octets: int = MAX_WAITING_OCTETS
    ) -> None:
        self._new = new
        self._max_waiting_octets = max_waiting_octets
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._waiting: deque[_Append] = deque()
        self._waiting_octets = 0
        self._busy: set[TopicPartition] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def start(self) -> None:
        """Connect; StoreUnavailableError when the cluster does not answer."""
        await self._ready()

    async def close(self) -> None:
        """Send what is on its way, and disconnect; what still waits fails."""
        self._closed = True
        for one in self._waiting:
            one.failed(StoreUnavailableError(_CLOSED))
        self._waiting.clear()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_S)
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(kafka_errors.KafkaError, TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await producer.stop()
            await _let_go(producer)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def append(self, values: Mapping[TopicPartition, Pairs]) -> Ends:
        """Append everything, or raise StoreUnavailableError; return the ends of the log so reached."""
        if self._closed:
            raise StoreUnavailableError(_CLOSED)
        one = _Append(values)
        if self._waiting and self._waiting_octets + one.octets > self._max_waiting_octets:
            raise StoreUnavailableError(f"Kafka: {self._waiting_octets} octets wait to be appended already")
        self._waiting.append(one)
        self._waiting_octets += one.octets
        self._pump()
        try:
            async with asyncio.timeout(_APPEND_S):
                return await one.done
        except TimeoutError:
            raise StoreUnavailableError(f"Kafka took no records within {_APPEND_S:.0f} s") from None
        finally:
            if one in self._waiting:  # nothing of it was handed over, and nothing will be
                self._forget(one)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _forget(self, one: _Append) -> None:
        self._waiting.remove(one)
        self._waiting_octets -= one.octets

    def _pump(self) -> None:
        """Send off every append whose partitions are free, in order: none overtakes an earlier one in a partition."""
        taken: list[_Append] = []
        wanted: set[TopicPartition] = set()
        for one in self._waiting:
            if self._busy.isdisjoint(one.values) and wanted.isdisjoint(one.values):
                taken.append(one)
            else:
                wanted.update(one.values)
        if not taken:
            return
        for one in taken:
            self._forget(one)
        for tps in {tp for one in taken for tp in one.values}:
            self._busy.add(tps)
        self._spawn(self._ship(taken), name="kafka.ship")

    def _spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ship(self, appends: list[_Append]) -> None:
        by_tp: dict[TopicPartition, list[_Append]] = {}
        for one in appends:
            for tp in one.values:
                by_tp.setdefault(tp, []).append(one)
        try:
            producer = await self._ready()
            await _reach(producer, by_tp)
        except Exception as error:  # noqa: BLE001 - they hear of it, whatever it is
            refusal = _refusal(error)
            for one in appends:
                one.failed(refusal)
            self._free(by_tp)
            return
        # Not awaited one after the other: the first batch of each partition is handed over before we pause.
        for tp, some in by_tp.items():
            self._spawn(self._send(producer, tp, some), name="kafka.send")

    async def _send(self, producer: AIOKafkaProducer, tp: TopicPartition, appends: list[_Append]) -> None:
        """Send what appends have for one partition, and tell them how it went."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                sent = [
                    await producer.send_batch(batch, tp.topic, partition=tp.partition)
                    for batch in _batches(producer, [pair for one in appends for pair in one.values[tp]])
                ]
                found = await asyncio.gather(*sent)
        except asyncio.CancelledError:
            for one in appends:
                one.failed(StoreUnavailableError(_CLOSED))
            raise
        except Exception as error:  # noqa: BLE001 - they hear of it, whatever it is
            refusal = _refusal(error)
            for one in appends:
                one.failed(refusal)
            if isinstance(error, _STUCK):
                await self._replace(producer, error)
        else:
            end = max(one.offset for one in found) + 1
            for one in appends:
                one.reached(tp, end)
        finally:
            self._free((tp,))

    def _free(self, tps: Iterable[TopicPartition]) -> None:
        self._busy.difference_update(tps)
        if self._waiting and not self._closed:
            self._pump()

    async def _ready(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = self._new()
                try:
                    async with asyncio.timeout(_START_S):
                        await producer.start()
                except (kafka_errors.KafkaError, TimeoutError) as error:
                    await _let_go(producer)
                    raise _refusal(error) from None
                self._producer = producer
            return self._producer

    async def _replace(self, producer: AIOKafkaProducer, error: Exception) -> None:
        """Let go of a producer that does not work any more; the next append makes another."""
        if self._producer is producer:
            self._producer = None
            _log.warning("kafka.producer_replaced", error=type(error).__name__)
            await _let_go(producer)


async def _reach(producer: AIOKafkaProducer, tps: Iterable[TopicPartition]) -> None:
    """Return once there is a connection to the leader of every partition; StoreUnavailableError without."""
    client = producer.client
    try:
        async with asyncio.timeout(_CONNECT_S):
            while True:
                leaders = {client.cluster.leader_for_partition(tp) for tp in tps}
                if leaders.isdisjoint((None, -1)):
                    for leader in leaders:
                        if not await client.ready(leader):
                            break
                    else:
                        return
                # Moved, or the topic was made or widened since the producer looked.
                for topic in {tp.topic for tp in tps}:
                    client.add_topic(topic)
                await client.force_metadata_update()
                await asyncio.sleep(_CONNECT_RETRY_S)
    except TimeoutError:
        raise StoreUnavailableError(f"Kafka: no connection to a leader within {_CONNECT_S:.0f} s") from None


def _batches(producer: AIOKafkaProducer, pairs: Pairs) -> Iterable[Any]:
    """Return the records in as few batches as they fit in."""
    batch = producer.create_batch()
    for key, value in pairs:
        if batch.append(key=key, value=value, timestamp=None) is None:
            batch.close()
            yield batch
            batch = producer.create_batch()
            if batch.append(key=key, value=value, timestamp=None) is None:
                raise ValueError(f"a record of {len(value)} octets does not fit a batch")
    batch.close()
    yield batch


async def _let_go(producer: AIOKafkaProducer) -> None:
    """End a producer without waiting for what it has: `stop` alone would, and never closes if it is cut short."""
    sender = getattr(producer, "_sender", None)
    task: asyncio.Task[Any] | None = sender.sender_task if sender is not None else None
    if task is not None:
        task.cancel()
        _fail_all(producer._message_accumulator)  # noqa: SLF001 - nothing public ends it without its flush
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_LET_GO_S):
            await producer.client.close()  # what is on its way fails at once
            if task is not None:
                await asyncio.wait({task})
            await producer.stop()


def _fail_all(accumulator: Any) -> None:
    """Fail every batch; those who waited for them have heard of it, or are gone. Only its insides can be asked."""
    waiting = itertools.chain.from_iterable(accumulator._batches.values())  # noqa: SLF001 - see above
    for batch in (*waiting, *accumulator._pending_batches):  # noqa: SLF001
        for future in (batch.future, batch._drain_waiter):  # noqa: SLF001
            future.add_done_callback(_forget)
    accumulator.fail_all(kafka_errors.ProducerClosed())


def _forget(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()


def _refusal(error: Exception) -> Exception:
    if isinstance(error, (StoreUnavailableError, ValueError)):
        return error
    return StoreUnavailableError(f"Kafka: {type(error).__name__}")
