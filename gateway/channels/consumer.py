"""channels: what dispatch and dlr tell of steps becomes rows that the mover decides on. Runs in the role `back`.

One batch is one transaction with the position on the bus. Told twice is told once: see the port.
"""

from collections.abc import Callable, Sequence
from typing import Final

from gateway.bus.codec import EnvelopeError, decode, encode
from gateway.bus.reader import BatchReader, Taken
from gateway.bus.reader_metrics import ReaderMetrics
from gateway.bus.sharing import Share
from gateway.bus.topics import CHANNELS, CHANNELS_GROUP
from gateway.domain.ids import uuid7_time_ms
from gateway.domain.message import Message
from gateway.domain.steps import StepFailed, StepSubmitted
from gateway.ports.bus import Bus, Commit
from gateway.ports.channel_store import ChannelStore, FailedStep, SubmittedStep
from gateway.ports.clock import Clock
from gateway.ports.store import Transactions

_HOUR_MS: Final = 3_600_000
KEPT_AFTER_VALIDITY_MS: Final = 96 * _HOUR_MS
"""How long a row is kept after its message may be sent: receipts are taken for 72 h."""
LONGEST_LIFE_MS: Final = (14 * 24 + 72 + 96) * _HOUR_MS
"""The same from acceptance on, for the most distant `send_at` and the longest validity."""

_LINGER_S: Final = 0.03


class ChannelConsumer:
    """One per process. `run` until `stop`, which ends after the batch in hand. `wake` is told when something is due."""

    def __init__(
        self,
        bus: Bus,
        *,
        db: Transactions,
        store: ChannelStore,
        clock: Clock,
        reader_metrics: ReaderMetrics,
        wake: Callable[[], None],
        share: Share | None = None,
        partitions: Sequence[int] | None = None,
        batch_limit: int = 500,
    ) -> None:
        self._bus = bus
        self._store = store
        self._clock = clock
        self._wake = wake
        self.reader = BatchReader(
            bus,
            self,
            group=CHANNELS_GROUP,
            topic=CHANNELS,
            table="channel_steps",
            db=db,
            dead=store,
            clock=clock,
            metrics=reader_metrics,
            share=share,
            partitions=partitions,
            limit=batch_limit,
            linger_s=_LINGER_S,
        )

    async def run(self) -> None:
        """Take what is told until `stop`."""
        await self.reader.run()

    def stop(self) -> None:
        """End `run` after the batch in hand."""
        self.reader.stop()

    async def handle(self, batch: Sequence[Taken], commits: Sequence[Commit]) -> None:
        """Write one batch; RowRejectedError when the database refuses one of its values for good."""
        told, dead = self.reader.decoded(batch, _decode)
        submitted = [_submitted(one) for one in told if isinstance(one, StepSubmitted)]
        failed = [_failed(one) for one in told if isinstance(one, StepFailed)]
        now_ms = self._clock.now_ms()
        async with self.reader.transaction(commits) as tx:
            await self._store.add_submitted(tx, submitted, now_ms=now_ms)
            await self._store.add_failed(tx, failed, now_ms=now_ms)
            if dead:
                await self._store.insert_dead(tx, dead)
            await self._bus.commit(commits, tx=tx)
        self.reader.count_dead(dead)
        self._wake()


def _decode(record: Taken) -> StepSubmitted | StepFailed:
    told = decode(record.value)
    if not isinstance(told, StepSubmitted | StepFailed):
        raise EnvelopeError(f"a {type(told).__name__} where a step belongs")
    if isinstance(told, StepSubmitted) and told.message.plan is None:
        raise EnvelopeError("a step of a message without channels")
    return told


def _expires_at(message: Message) -> int:
    return message.valid_until + KEPT_AFTER_VALIDITY_MS


def _submitted(told: StepSubmitted) -> SubmittedStep:
    message, plan = told.message, told.message.plan
    assert plan is not None  # looked at when it was decoded
    due_at = None if plan.wait_for is None else told.at + plan.wait_ms
    return SubmittedStep(message.id, len(plan.rest), due_at, encode(message), _expires_at(message))


def _failed(told: StepFailed) -> FailedStep:
    message = told.message
    return FailedStep(
        told.message_id,
        told.steps_left,
        told.state.value,
        told.reason.replace("\x00", "\ufffd")[:200],
        None if message is None else encode(message),
        uuid7_time_ms(told.message_id) + LONGEST_LIFE_MS if message is None else _expires_at(message),
    )
