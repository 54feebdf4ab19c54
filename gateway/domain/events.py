"""What happened to a message: the records of the topic `events`, keyed by message id.

Written by intake, dispatch and dlr; read by the recorder, which turns them into rows and the timeline. `at` is
milliseconds since the epoch, UTC. One message's events are in one partition, in the order they were appended; a
reader must still accept repeats and late ones.
"""

from uuid import UUID

from gateway.domain.carried import Carried
from gateway.domain.lifecycle import State
from gateway.domain.message import Message, TracedMessage
from gateway.domain.receipts import Receipt


class Accepted(Carried, frozen=True):
    """The message is durable. `state` is queued, or scheduled when it waits for `send_at`."""

    message: Message
    state: State = State.QUEUED


class TracedAccepted(Accepted, frozen=True):
    """A sampled message is durable."""

    message: TracedMessage
    state: State = State.QUEUED


class SegmentResult(Carried, frozen=True):
    """How one segment of an attempt ended. `state` is submitted, or a final state when it will never be sent.

    `carrier_message_id` is normalised by the carrier's profile and `raw_id` is what the carrier wrote, where that
    differs.
    """

    segment_index: int
    state: State
    at: int
    outcome: str
    status: str = ""
    bind: str = ""
    sequence_number: int = 0
    response_ms: int = 0
    carrier_message_id: str | None = None
    raw_id: str | None = None


class Attempted(Carried, frozen=True):
    """One attempt of a message is over. `state` is the message's state as far as dispatch knows it.

    `segments` holds those that were settled by this attempt; a segment that will be tried again is not among them,
    it shows in `retries`.
    """

    message_id: UUID
    at: int
    carrier: str
    attempt: int
    segment_count: int
    segments: tuple[SegmentResult, ...]
    state: State
    reason: str = ""
    retries: tuple[SegmentResult, ...] = ()
    retry_at: int | None = None
    next_carrier: str | None = None


class StepAttempted(Attempted, frozen=True):
    """An attempt of a message that may try several channels. `steps_left` counts those still to try after this one."""

    steps_left: int = 0


class Noted(Carried, frozen=True):
    """Something worth a line in the timeline that may also move the state (requeued, in doubt, expired, moved)."""

    message_id: UUID
    at: int
    kind: str
    state: State | None = None
    carrier: str | None = None
    reason: str = ""
    detail: dict[str, str | int] | None = None


class Receipted(Carried, frozen=True):
    """A receipt found its segment. `message_state` is the message's state once all its segments are weighed.

    `effect` is applied, duplicate, late (an intermediate after a final, a delivery after it was read), conflict (another
    final before it) or read (news of what is delivered already). `error` is what the carrier says of it, where it was
    not delivered. `receipt` is left out where the submission keeps it: the first final one.
    """

    message_id: UUID
    at: int
    segment_index: int
    attempt: int
    segment_state: State
    message_state: State
    effect: str
    error: str = ""
    partial: bool = False
    receipt: Receipt | None = None


class StepReceipted(Receipted, frozen=True):
    """A receipt of a message that may try several channels. `steps_left` names the step: how many come after it."""

    steps_left: int = 0


Event = Accepted | Attempted | StepAttempted | Noted | Receipted | StepReceipted
