"""What `gateway.channels` keeps of messages with channels left: one row for each channel tried while others were left.

Implemented by `gateway.store.channel_steps`. Times are milliseconds since the epoch, UTC. The rules:

1. What a method writes with `tx` exists exactly when that transaction commits.
2. A row is named by message and `steps_left`. Its state only moves forward: waiting or failed, passed, done; a passed
   one may still fail. What is told twice, or too late, changes nothing.
3. `claim_due` locks what it returns until `tx` ends and skips what another transaction holds, so a row is decided once.
4. Every call has a deadline of its own and raises `TimeoutError` past it.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol
from uuid import UUID

from gateway.domain.lifecycle import State
from gateway.policy.channels import Sign
from gateway.ports.bus import Transaction
from gateway.ports.record_store import DeadRow


class StepState(StrEnum):
    """Where the step of a message stands."""

    WAITING = "waiting"
    FAILED = "failed"
    PASSED = "passed"
    DONE = "done"


class StepKey(NamedTuple):
    """Which step of which message."""

    message_id: UUID
    steps_left: int


class SubmittedStep(NamedTuple):
    """A step that is with a carrier; `due_at` None: nothing but a failure ends it. `value` is the message's envelope."""

    message_id: UUID
    steps_left: int
    due_at: int | None
    value: bytes
    expires_at: int


class FailedStep(NamedTuple):
    """A step that failed; `value` None: the message is in what was, or will be, told of its submission."""

    message_id: UUID
    steps_left: int
    failed_as: str
    reason: str
    value: bytes | None
    expires_at: int


class DueStep(NamedTuple):
    """A step to decide on."""

    message_id: UUID
    steps_left: int
    state: StepState
    failed_as: State | None
    reason: str
    value: bytes


class StepVerdict(NamedTuple):
    """What was decided; `due_at` is when to look again, None for never. A row that is done gives its envelope up."""

    message_id: UUID
    steps_left: int
    state: StepState
    due_at: int | None


class ChannelStore(Protocol):
    """See the numbered rules above."""

    async def add_submitted(self, tx: Transaction, rows: Sequence[SubmittedStep], *, now_ms: int) -> None:
        """Let the time of these steps begin; one that was told to have failed before is due at once."""

    async def add_failed(self, tx: Transaction, rows: Sequence[FailedStep], *, now_ms: int) -> None:
        """Make these steps due at once, as failed."""

    async def claim_due(
        self, tx: Transaction, *, now_ms: int, timeouts_before_ms: int, limit: int
    ) -> list[DueStep]:
        """Return and lock steps that are due, the oldest first; those for want of time only where due before that."""

    async def final_among(self, tx: Transaction, message_ids: Sequence[UUID]) -> set[UUID]:
        """Return those of the messages that have their final state."""

    async def signs_of(self, tx: Transaction, keys: Sequence[StepKey]) -> Mapping[StepKey, list[Sign]]:
        """Return what is known of the submits of these steps."""

    async def decide(self, tx: Transaction, verdicts: Sequence[StepVerdict]) -> None:
        """Write down what was decided."""

    async def next_due_ms(self) -> int | None:
        """Return when the next step is due, None when none waits."""

    async def overdue(self, *, now_ms: int, most: int) -> int:
        """Return how many steps are due and not decided, at most `most`."""

    async def forget_expired(self, *, now_ms: int, limit: int) -> int:
        """Delete rows past their time, at most `limit`; return how many."""

    async def insert_dead(self, tx: Transaction, rows: Sequence[DeadRow]) -> None:
        """Keep records that could not be processed."""
