"""What a final receipt means for a message that may try several channels: records for the bus. Pure but for encoding.

Called by `dlr.consumer` once the receipt is judged. The steps are named by how many come after them.
"""

from collections.abc import Iterable
from typing import NamedTuple

from dlr.aggregate import weigh_step
from gateway.bus.codec import encode
from gateway.bus.topics import CHANNELS, EVENTS
from gateway.domain.events import Noted, Receipted, StepReceipted
from gateway.domain.lifecycle import FINALS, State
from gateway.domain.receipts import Receipt
from gateway.domain.steps import StepFailed
from gateway.ports.bus import Record
from gateway.ports.record_store import Submission

ALSO_DELIVERED = "also_delivered"
DELIVERED_LATE = "delivered_late"


class StepNews(NamedTuple):
    """What follows, and whether it is the second success of one message."""

    records: list[Record]
    is_double: bool = False


def step_news(receipt: Receipt, submission: Submission, known: Iterable[Submission], error: str) -> StepNews:
    """Return what follows from a final receipt; `known` are the message's submissions with it already in them.

    A step that failed while channels are left is told to `gateway.channels`. A second success, or one after the last
    channel has failed, cannot change the message any more: the timeline shows it.
    """
    known = tuple(known)
    message_id, steps_left = submission.message_id, submission.steps_left
    state, _ = weigh_step(known, steps_left)
    if state not in FINALS:
        return StepNews([])
    if state is not State.DELIVERED:
        if not steps_left:
            return StepNews([])  # the last one: weighed as any message
        failed = StepFailed(message_id, steps_left, receipt.received_at, state, error)
        return StepNews([Record(CHANNELS, message_id.bytes, encode(failed))])
    others = {one.steps_left for one in known} - {steps_left}
    states = {left: weigh_step(known, left)[0] for left in others}
    is_double = State.DELIVERED in states.values()
    is_late = not is_double and 0 in states and states[0] in FINALS
    if not (is_double or is_late):
        return StepNews([])
    note = Noted(
        message_id,
        receipt.received_at,
        ALSO_DELIVERED if is_double else DELIVERED_LATE,
        reason="another channel had delivered it" if is_double else "the last channel had failed",
        detail={"from_carrier": receipt.carrier, "attempt": submission.attempt, "steps_left": steps_left},
    )
    return StepNews([Record(EVENTS, message_id.bytes, encode(note))], is_double)


def step_receipted(event: Receipted, steps_left: int) -> StepReceipted:
    """Return the event with the step that it is about."""
    return StepReceipted(
        event.message_id,
        event.at,
        event.segment_index,
        event.attempt,
        event.segment_state,
        event.message_state,
        event.effect,
        event.error,
        event.partial,
        event.receipt,
        steps_left,
    )
