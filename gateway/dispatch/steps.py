"""What dispatch says of a message that may try other channels: `gateway.channels` decides what follows.

While channels are left dispatch never ends such a message, and never puts it on another channel's lane: it reports that
the step is with a carrier, or that it failed. Both travel with the flush that makes the outcome durable.
"""

from gateway.bus import topics
from gateway.bus.codec import encode
from gateway.domain.events import Attempted, StepAttempted
from gateway.domain.lifecycle import FINALS, State
from gateway.domain.message import Message
from gateway.domain.steps import StepFailed, StepSubmitted
from gateway.ports.bus import Record


def has_channels_left(message: Message) -> bool:
    """True when another channel may be tried after this one."""
    return message.plan is not None and bool(message.plan.rest)


def step_submitted(message: Message, *, now_ms: int) -> Record:
    """Return the record that starts the time which the step has."""
    return Record(topics.CHANNELS, message.id.bytes, encode(StepSubmitted(message, now_ms)))


def step_failed(message: Message, *, state: State, reason: str, now_ms: int) -> Record:
    """Return the record that says why this step cannot succeed; `state` is how the message would have ended."""
    steps_left = len(message.plan.rest) if message.plan is not None else 0
    failed = StepFailed(message.id, steps_left, now_ms, state, reason, message)
    return Record(topics.CHANNELS, message.id.bytes, encode(failed))


def reason_of(event: Attempted) -> str:
    """Return why an attempt failed, with what the carrier answered: `refused 131026`."""
    status = next((one.status for one in event.segments if one.state in FINALS and one.status), "")
    return f"{event.reason} {status}".strip()


def tries_of(message: Message) -> int:
    """Return the number of the attempt within its step, from 1: what the schedule of retries counts."""
    return message.attempt if message.plan is None else message.attempt - message.plan.first_attempt + 1


def begun_at(message: Message) -> int:
    """Return since when the message could have been sent on this channel, in milliseconds since the epoch."""
    plan, send_at = message.plan, message.send_at
    since = message.accepted_at if plan is None or plan.begun_at is None else plan.begun_at
    return since if send_at is None else max(since, send_at)


def for_step(event: Attempted, message: Message) -> Attempted:
    """Return the event as it is while channels are left: it says how many, and it does not end the message."""
    if message.plan is None or not message.plan.rest:
        return event
    state = event.state
    if state in FINALS:
        is_with_carrier = message.segments_done or any(one.state is State.SUBMITTED for one in event.segments)
        state = State.SUBMITTED if is_with_carrier else State.QUEUED
    return StepAttempted(
        event.message_id,
        event.at,
        event.carrier,
        event.attempt,
        event.segment_count,
        event.segments,
        state,
        event.reason,
        event.retries,
        event.retry_at,
        event.next_carrier,
        len(message.plan.rest),
    )
