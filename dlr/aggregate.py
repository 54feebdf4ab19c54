"""From submissions to the state of a message (sms-domain F17). Pure.

Used by dlr for every receipt, and by the recorder, which is given `weigh` at construction, for a segment that fails
at submit after the others already have their receipts.
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
        return current_state(known[0]), False
    if len({one.attempt for one in known}) == 1:  # nearly all the others: one submission for each segment
        return message_state(map(current_state, known), segment_count=segment_count)
    segments: dict[int, list[Submission]] = {}
    for one in known:
        segments.setdefault(one.segment_index, []).append(one)
    return message_state(
        (segment_state(attempts) for attempts in segments.values()), segment_count=segment_count
    )


def _attempt(submission: Submission) -> int:
    return submission.attempt
