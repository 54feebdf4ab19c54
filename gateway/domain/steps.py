"""What is told of the channels that a message tries: the records of the topic `channel.watch`, keyed by message id.

Written by dispatch and dlr, read by `gateway.channels`, which alone decides whether a message with channels left goes on
or ends. A step is named by how many come after it (`steps_left`): that number falls with every step, and dlr knows it
from the submission. Times are milliseconds since the epoch, UTC.
"""

from uuid import UUID

from gateway.domain.carried import Carried
from gateway.domain.lifecycle import State
from gateway.domain.message import Message, TracedMessage


class StepSubmitted(Carried, frozen=True):
    """A message with channels left is with a carrier, or may be: from `at` on its step has `plan.wait_ms`."""

    message: Message
    at: int


class StepFailed(Carried, frozen=True):
    """The step cannot succeed any more: it would have ended the message in `state` if nothing were left to try.

    `message` is there where dispatch says so; what dlr knows of, dispatch has reported as submitted before.
    """

    message_id: UUID
    steps_left: int
    at: int
    state: State
    reason: str
    message: Message | None = None


class TracedStepSubmitted(StepSubmitted, frozen=True):
    """The same of a sampled message."""

    message: TracedMessage


class TracedStepFailed(StepFailed, frozen=True):
    """The same of a sampled message."""

    message: TracedMessage | None = None
