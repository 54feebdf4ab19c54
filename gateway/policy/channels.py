"""One message, several channels: when the next one begins, and what the message is there. Pure (sms-domain 4.5).

Called by `gateway.channels`, which owns the decision for every message with channels left. The rules:

| what is known of the step | what follows |
|---|---|
| it definitely failed (refused for good on every route, or a failing receipt) | the next channel, at once |
| it did not come as far as it should within its time | the next channel |
| it came far enough | nothing; a failing receipt that comes later still begins the next channel |
| the validity of the message is over | nothing is begun any more |
| the person does not want the next channel | the one after it |

`sent` is what the carrier says of itself where the channel tells (WhatsApp, RCS: accepted is not sent); elsewhere the
carrier's acknowledgement is all that can be had, and counts.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from gateway.domain.carried import replace
from gateway.domain.lifecycle import FINALS, State
from gateway.domain.message import Channel, ChannelPlan, ChannelStep, Message, Progress
from gateway.domain.receipts import MessageState

MAX_STEPS: Final = 5
"""Channels that one message may try."""

DEFAULT_WAIT_FOR: Final = Progress.SENT
DEFAULT_WAIT_MS: Final = 60_000
MAX_WAIT_MS: Final = 86_400_000

TELLS_SENT: Final = frozenset({Channel.WHATSAPP, Channel.RCS})
"""Channels whose carriers report that a message left them; of the others only the acknowledgement is known."""

_SENT_STATES: Final = frozenset(
    {MessageState.ENROUTE, MessageState.ACCEPTED, MessageState.DELIVERED, MessageState.READ}
)


class Sign(NamedTuple):
    """What is known of one submit of the step. `is_taken`: the carrier acknowledged it. `state` is after receipts."""

    segment_index: int
    is_taken: bool
    state: State
    receipt: MessageState | None = None


def progress_of(signs: Iterable[Sign], *, segment_count: int, channel: Channel) -> Progress | None:
    """Return how far all segments of the step have come, None when one of them is not even sent."""
    sent: set[int] = set()
    delivered: set[int] = set()
    for sign in signs:
        if sign.state is State.DELIVERED:
            delivered.add(sign.segment_index)
        elif sign.state not in FINALS and (
            sign.receipt in _SENT_STATES if channel in TELLS_SENT else sign.is_taken
        ):
            sent.add(sign.segment_index)
    if len(delivered) >= segment_count:
        return Progress.DELIVERED
    return Progress.SENT if len(sent | delivered) >= segment_count else None


def is_far_enough(progress: Progress | None, wait_for: Progress) -> bool:
    """True when the next channel is not needed for want of time."""
    return progress is Progress.DELIVERED or (progress is Progress.SENT and wait_for is Progress.SENT)


class Nothing(StrEnum):
    """Why no further channel is begun."""

    VALIDITY_PASSED = "validity_passed"
    OPTED_OUT = "opted_out"
    NONE_LEFT = "no_channel_left"


@dataclass(frozen=True, slots=True)
class Next:
    """The channel to begin: its place in `plan.rest`, and how many were passed over because they are not wanted."""

    index: int
    skipped: int = 0


def choose_next(
    plan: ChannelPlan, *, now_ms: int, valid_until: int, is_wanted: Callable[[ChannelStep], bool]
) -> Next | Nothing:
    """Return the next channel of a plan, or why there is none. `is_wanted` asks the person's wishes."""
    if not plan.rest:
        return Nothing.NONE_LEFT
    if now_ms >= valid_until:
        return Nothing.VALIDITY_PASSED
    for index, step in enumerate(plan.rest):
        if is_wanted(step):
            return Next(index, index)
    return Nothing.OPTED_OUT


def begun(message: Message, plan: ChannelPlan, index: int, *, now_ms: int) -> Message:
    """Return the message as it enters the lane of `plan.rest[index]`.

    What belongs to the step before is reset. Attempts count on, so that each has a number of its own, and the schedule
    of retries counts from `first_attempt`.
    """
    step = plan.rest[index]
    attempt = message.attempt + 1
    return replace(
        message,
        channel=step.channel,
        recipient=step.recipient,
        sender=step.sender,
        text=step.text,
        encoding=step.encoding,
        segment_count=step.segment_count,
        carrier=step.carrier,
        candidates=step.candidates,
        route_reason=step.route_reason,
        rich=step.rich,
        attempt=attempt,
        reference=None,
        segments_done=(),
        resent_in_doubt=False,
        hops=0,
        plan=ChannelPlan(
            step=plan.step + 1 + index,
            rest=plan.rest[index + 1 :],
            wait_for=step.wait_for,
            wait_ms=step.wait_ms,
            cost=step.cost,
            first_attempt=attempt,
            begun_at=now_ms,
            ignores_opt_out=plan.ignores_opt_out,
        ),
    )
