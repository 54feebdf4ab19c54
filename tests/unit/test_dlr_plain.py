"""The short way of dlr comes to what the long way comes to, for every receipt that goes it."""

from itertools import product

from dlr.aggregate import weigh
from dlr.correlate import Effect, after, is_plain, judge
from gateway.domain.ids import new_uuid7
from gateway.domain.lifecycle import FINALS, State
from gateway.domain.receipts import MessageState, Receipt
from gateway.ports.record_store import Submission

_MESSAGE_ID = new_uuid7(1_000, 1)
_SUBMISSIONS = [
    Submission(_MESSAGE_ID, 1, attempt, segment_count, state, receipt_state, receipt_stat, 2_000)
    for attempt, segment_count, state, receipt_state, receipt_stat in product(
        (1, 2),
        (1, 2),
        (State.SUBMITTED, *sorted(FINALS)),
        (None, State.SUBMITTED, State.DELIVERED, State.EXPIRED),
        (None, MessageState.ENROUTE, MessageState.DELIVERED),
    )
    if (receipt_state is None) == (receipt_stat is None)
]
_RECEIPTS = [
    Receipt("telco_a", "rx1", "7F", message_state, 5_000, intermediate)
    for message_state, intermediate in product(MessageState, (False, True))
]


def test_a_plain_receipt_is_applied_and_delivers_its_message_whole() -> None:
    plain = [pair for pair in product(_SUBMISSIONS, _RECEIPTS) if is_plain(pair[1], pair[0])]
    assert plain
    for submission, receipt in plain:
        assert judge(submission, receipt) is Effect.APPLIED
        changed = after(submission, receipt, Effect.APPLIED)
        assert weigh([changed], submission.segment_count) == (State.DELIVERED, False)


def test_only_the_first_delivery_of_an_only_submit_is_plain() -> None:
    plain = {
        (receipt.message_state, receipt.intermediate, *submission[1:7])
        for submission, receipt in product(_SUBMISSIONS, _RECEIPTS)
        if is_plain(receipt, submission)
    }
    assert plain == {(MessageState.DELIVERED, False, 1, 1, 1, State.SUBMITTED, None, None)}


def test_a_message_with_channels_left_is_not_plain() -> None:
    submission = Submission(_MESSAGE_ID, 1, 1, 1, State.SUBMITTED, None, None, 2_000, steps_left=1)
    assert not is_plain(Receipt("telco_a", "rx1", "7F", MessageState.DELIVERED, 5_000), submission)
