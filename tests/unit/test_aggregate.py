"""From submissions to the state of a message (F17)."""

import pytest

from dlr.aggregate import segment_state, weigh
from gateway.domain.ids import new_uuid7
from gateway.domain.lifecycle import State
from gateway.ports.record_store import Submission

S = State


def one(
    index: int, receipt_state: State | None = None, *, attempt: int = 1, state: State = S.SUBMITTED
) -> Submission:
    return Submission(new_uuid7(1, 1), index, attempt, 3, state, receipt_state, None, 1_000)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ((S.DELIVERED, S.DELIVERED, S.DELIVERED), (S.DELIVERED, False)),
        ((S.DELIVERED, S.DELIVERED, None), (S.SUBMITTED, False)),
        ((S.UNDELIVERABLE, None, S.DELIVERED), (S.SUBMITTED, False)),
        ((S.UNDELIVERABLE, S.EXPIRED, S.DELIVERED), (S.UNDELIVERABLE, True)),
        ((S.EXPIRED, S.REJECTED, S.UNDELIVERABLE), (S.REJECTED, False)),
        ((S.SUBMITTED, S.DELIVERED, S.DELIVERED), (S.SUBMITTED, False)),
    ],
)
def test_f17_delivered_only_when_all_are_else_the_worst(
    states: tuple[State | None, ...], expected: tuple[State, bool]
) -> None:
    assert weigh((one(n, state) for n, state in enumerate(states, start=1)), 3) == expected


def test_f17_a_segment_without_submission_keeps_the_message_open() -> None:
    assert weigh([one(1, S.DELIVERED), one(2, S.DELIVERED)], 3) == (S.SUBMITTED, False)
    assert weigh([], 3) == (S.QUEUED, False)


def test_f17_a_segment_refused_at_submit_counts_at_once() -> None:
    assert weigh([one(1, S.DELIVERED), one(2, state=S.REJECTED)], 2) == (S.REJECTED, True)
    assert weigh([one(1), one(2, state=S.REJECTED)], 2) == (S.SUBMITTED, False)


def test_delivered_by_any_attempt_is_delivered() -> None:
    assert segment_state([one(1, S.UNDELIVERABLE), one(1, S.DELIVERED, attempt=2)]) is S.DELIVERED
    assert segment_state([one(1, S.DELIVERED), one(1, attempt=2)]) is S.DELIVERED
    assert segment_state([one(1, S.DELIVERED), one(1, state=S.REJECTED, attempt=2)]) is S.DELIVERED


def test_an_open_attempt_keeps_the_segment_open() -> None:
    assert segment_state([one(1, S.UNDELIVERABLE), one(1, attempt=2)]) is S.SUBMITTED


def test_when_all_attempts_are_over_the_last_has_the_word() -> None:
    attempts = [one(1, S.EXPIRED, attempt=2), one(1, S.UNDELIVERABLE)]
    assert segment_state(attempts) is S.EXPIRED
    assert segment_state(reversed(attempts)) is S.EXPIRED
