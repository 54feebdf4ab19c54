"""Which segment a receipt belongs to, and what it changes there. Pure: the look-ups are given.

A receipt is matched by (carrier, carrier message id) and nothing else, never by the number it came for
(sms-domain F20). Carriers reuse ids, so the newest submission has them.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from gateway.domain.lifecycle import FINALS, State
from gateway.domain.receipts import MessageState, Receipt
from gateway.ports.record_store import CarrierKey, Submission

_ON_THE_WAY: Final[dict[str, int]] = {
    MessageState.SCHEDULED: 1,
    MessageState.ENROUTE: 2,
    MessageState.ACCEPTED: 3,
}
_ALWAYS_NEWS: Final = (
    4  # UNKNOWN, or an intermediate notification of anything else: it has no place on the way
)


class Effect(StrEnum):
    """What a receipt does to its segment."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    LATE = "late"
    CONFLICT = "conflict"
    READ = "read"  # news of a delivered segment, which stays delivered


def keys_of(receipt: Receipt) -> tuple[CarrierKey, ...]:
    """Return the keys to look for, the strongest first; empty when the carrier named no id at all."""
    first, second = receipt.carrier_message_id, receipt.second_id
    if not second or second == first:
        return (CarrierKey(receipt.carrier, first),) if first else ()
    keys = (CarrierKey(receipt.carrier, first), CarrierKey(receipt.carrier, second))
    return keys if first else keys[1:]


def match(keys: Sequence[CarrierKey], found: Mapping[CarrierKey, Sequence[Submission]]) -> Submission | None:
    """Return the newest submission that has the receipt's id, else its second id; None when there is none."""
    for key in keys:
        candidates = found.get(key)
        if candidates:
            return max(candidates, key=_age) if len(candidates) > 1 else candidates[0]
    return None


def _age(submission: Submission) -> tuple[int, int, int]:
    return submission.submitted_at, submission.message_id.int, submission.attempt


def current_state(submission: Submission) -> State:
    """Return the state of one submission: what the submit said if that was final, else what receipts said."""
    state, receipt_state = submission.state, submission.receipt_state
    return state if receipt_state is None or state in FINALS else receipt_state


def judge(submission: Submission, receipt: Receipt) -> Effect:
    """Return what the receipt does: only the first final and news on the way to it are applied (F14, F16).

    News goes forward: an ENROUTE that an ACCEPTED has overtaken is late.
    """
    now = current_state(submission)
    to = receipt.state
    if now in FINALS:
        if to not in FINALS:
            return Effect.LATE
        return _again(submission, receipt) if to is now else Effect.CONFLICT
    known = submission.receipt_stat
    if known is not None and to not in FINALS:
        if known == receipt.message_state:
            return Effect.DUPLICATE
        if _ON_THE_WAY.get(known, 0) > _ON_THE_WAY.get(receipt.message_state, _ALWAYS_NEWS):
            return Effect.LATE
    return Effect.APPLIED


def _again(submission: Submission, receipt: Receipt) -> Effect:
    """Return what a receipt does that says the same final once more; read is more than delivered."""
    was_read = submission.receipt_stat == MessageState.READ or submission.read_at is not None
    if receipt.message_state is MessageState.READ:
        return Effect.DUPLICATE if was_read else Effect.READ
    # A channel that tells both may tell them in any order: the delivery was overtaken.
    return Effect.LATE if submission.receipt_stat == MessageState.READ else Effect.DUPLICATE


def may_be_plain(receipt: Receipt) -> bool:
    """Tell whether this may be what nearly all receipts are: the first one, delivered, of a message's only submit."""
    return (
        receipt.message_state is MessageState.DELIVERED
        and not receipt.intermediate
        and receipt.second_id is None
        and bool(receipt.carrier_message_id)
    )


def after(submission: Submission, receipt: Receipt, effect: Effect) -> Submission:
    """Return the submission as it is once the receipt was judged."""
    if effect is Effect.READ:
        return submission._replace(read_at=receipt.received_at)
    if effect is not Effect.APPLIED:
        return submission
    # The first five columns say which it is and what the submit said; `_replace` costs three times as much.
    return Submission(*submission[:5], receipt.state, receipt.message_state, *submission[7:])
