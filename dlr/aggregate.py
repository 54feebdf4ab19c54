"""From submissions to the state of a message (sms-domain F17). Pure.

Used by dlr for every receipt, and by the recorder, which is given `weigh` at construction, for a segment that fails
at submit after the others already have their receipts.

A message that may try several channels has a step for each, named by how many come after it. Steps are alternatives,
weighed each for itself: delivered by any is delivered, and only the failure of the last one ends the message here;
while others are left `gateway.channels` decides.
"""

from collections.abc import Iterable

from dlr.correlate import current_state
from gateway.domain.lifecycle import FINALS, State, message_state
from gateway.ports.record_store import Submission


def segment_state(attempts: Iterable[Submission]) -> State:
    """Return the state of a segment from all its attempts (at least one).

    Delivered by any is delivered: the phone has it. Otherwise an open attempt keeps the segment open, and when all
    are over the last attempt has the word.
    """
    states = [current_state(one) for one in sorted(attempts, key=_attempt)]
    if State.DELIVERED in states:
        return State.DELIVERED
    return next((state for state in states if state not in FINALS), states[-1])


def weigh(submissions: Iterable[Submission], segment_count: int) -> tuple[State, bool]:
    """Return (state of the message, partial) from every submission of it that is known."""
    known = tuple(submissions)
    if len(known) == 1 == segment_count:  # most messages
        state, partial = current_state(known[0]), False
    elif len({one.attempt for one in known}) == 1:  # nearly all the others: one submission for each segment
        state, partial = message_state(map(current_state, known), segment_count=segment_count)
    elif any(one.steps_left for one in known):
        return _weigh_steps(known)
    else:
        return _weigh_attempts(known, segment_count)
    if known[0].steps_left and state in FINALS and state is not State.DELIVERED:
        return State.SUBMITTED, False
    return state, partial


def weigh_step(submissions: Iterable[Submission], steps_left: int) -> tuple[State, bool]:
    """Return (state, partial) of one step of a message, queued when nothing of it is known."""
    known = [one for one in submissions if one.steps_left == steps_left]
    if not known:
        return State.QUEUED, False
    return _weigh_attempts(known, max(known, key=_attempt).segment_count)


def _weigh_attempts(known: Iterable[Submission], segment_count: int) -> tuple[State, bool]:
    segments: dict[int, list[Submission]] = {}
    for one in known:
        segments.setdefault(one.segment_index, []).append(one)
    return message_state(
        (segment_state(attempts) for attempts in segments.values()), segment_count=segment_count
    )


def _weigh_steps(known: tuple[Submission, ...]) -> tuple[State, bool]:
    weighed = {left: weigh_step(known, left) for left in {one.steps_left for one in known}}
    if any(state is State.DELIVERED for state, _ in weighed.values()):
        return State.DELIVERED, False
    last = weighed.get(0)
    return last if last is not None and last[0] in FINALS else (State.SUBMITTED, False)


def _attempt(submission: Submission) -> int:
    return submission.attempt
