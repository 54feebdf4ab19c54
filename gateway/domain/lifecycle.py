"""States of messages and segments: one transition table; late or illegal input changes nothing.

States only move forward. The first final wins; what comes later is recorded by the caller and counted.
"""

from collections.abc import Iterable
from enum import StrEnum


class State(StrEnum):
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SUBMITTED = "submitted"
    DELIVERED = "delivered"
    UNDELIVERABLE = "undeliverable"
    REJECTED = "rejected"
    EXPIRED = "expired"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """True when nothing can follow."""
        return not MOVES[self]


FINALS = frozenset(
    {
        State.DELIVERED,
        State.UNDELIVERABLE,
        State.REJECTED,
        State.EXPIRED,
        State.FAILED,
        State.CANCELLED,
        State.UNKNOWN,
    }
)

MOVES: dict[State, frozenset[State]] = {
    State.SCHEDULED: FINALS | {State.QUEUED, State.SUBMITTED},
    # A receipt can be recorded before the submit it belongs to, so queued reaches every final.
    State.QUEUED: FINALS | {State.SUBMITTED},
    State.SUBMITTED: FINALS,
    **{final: frozenset() for final in FINALS},
}

# Worst first: a message of several segments takes the first of these that any segment reached.
_WORST_FIRST = (
    State.REJECTED,
    State.UNDELIVERABLE,
    State.FAILED,
    State.EXPIRED,
    State.CANCELLED,
    State.UNKNOWN,
    State.DELIVERED,
)


def move(now: State, to: State) -> tuple[State, bool]:
    """Return (state after, whether it changed)."""
    return (to, True) if to in MOVES[now] else (now, False)


def message_state(segments: Iterable[State], *, segment_count: int) -> tuple[State, bool]:
    """Return (state of the message, partial) from the states of its segments.

    Delivered only when every segment is; a final failure waits until all segments are final, then the worst state
    wins, with `partial` when some were delivered.
    """
    states = list(segments)
    if len(states) < segment_count or any(not state.is_final for state in states):
        any_left = any(state is not State.QUEUED and state is not State.SCHEDULED for state in states)
        return (State.SUBMITTED if any_left else State.QUEUED), False
    worst = next(state for state in _WORST_FIRST if state in states)
    return worst, worst is not State.DELIVERED and State.DELIVERED in states
