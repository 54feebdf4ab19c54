"""The short way of dlr comes to what the long way comes to, for every receipt that goes it."""

from itertools import product

from dlr.aggregate import weigh
from dlr.correlate import Effect, after, judge, may_be_plain
from gateway.domain.ids import new_uuid7
from gateway.domain.lifecycle import State
from gateway.domain.receipts import MessageState, Receipt
from gateway.ports.record_store import Submission

_FIRST = Submission(new_uuid7(1_000, 1), 1, 1, 1, State.SUBMITTED, None, None, 2_000)
"""The only submit of a message, before any receipt: what `gateway.store.settling` takes (its test says so)."""


def test_a_plain_receipt_is_applied_and_delivers_its_message_whole() -> None:
    receipt = Receipt("telco_a", "rx1", "7F", MessageState.DELIVERED, 5_000)
    assert may_be_plain(receipt)
    assert judge(_FIRST, receipt) is Effect.APPLIED
    assert weigh([after(_FIRST, receipt, Effect.APPLIED)], 1) == (State.DELIVERED, False)


def test_only_a_final_delivery_with_one_id_may_be_plain() -> None:
    receipts = [
        Receipt("telco_a", "rx1", first, message_state, 5_000, intermediate, second)
        for message_state, intermediate, first, second in product(
            MessageState, (False, True), ("7F", ""), (None, "127")
        )
    ]
    assert [one for one in receipts if may_be_plain(one)] == [
        Receipt("telco_a", "rx1", "7F", MessageState.DELIVERED, 5_000)
    ]
