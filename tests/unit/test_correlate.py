"""Which segment a receipt belongs to, and what it changes there."""

import pytest

from dlr.correlate import Effect, after, current_state, judge, keys_of, match
from gateway.domain.ids import new_uuid7
from gateway.domain.lifecycle import State
from gateway.domain.receipts import MessageState, Receipt
from gateway.ports.record_store import CarrierKey, Submission

M = MessageState


def submission(n: int = 1, **changes: object) -> Submission:
    base = Submission(new_uuid7(1_000, n), 1, 1, 1, State.SUBMITTED, None, None, 2_000)
    return base._replace(**changes)


def receipt(
    state: MessageState = M.DELIVERED, *, carrier_message_id: str = "7F", **changes: object
) -> Receipt:
    return Receipt("telco_a", "rx1", carrier_message_id, state, 5_000, **changes)


def test_f3_the_first_id_comes_before_the_second() -> None:
    assert keys_of(receipt(second_id="9")) == (CarrierKey("telco_a", "7F"), CarrierKey("telco_a", "9"))


def test_the_same_id_twice_is_one_key() -> None:
    assert keys_of(receipt(second_id="7F")) == (CarrierKey("telco_a", "7F"),)


def test_f20_no_id_is_no_key() -> None:
    assert keys_of(receipt(carrier_message_id="")) == ()
    assert match((), {CarrierKey("telco_a", ""): [submission()]}) is None


def test_another_carriers_id_does_not_match() -> None:
    assert match(keys_of(receipt()), {CarrierKey("telco_b", "7F"): [submission()]}) is None


def test_the_newest_submission_has_a_reused_id() -> None:
    old, new = submission(9, submitted_at=2_000), submission(1, submitted_at=3_000)
    assert match(keys_of(receipt()), {CarrierKey("telco_a", "7F"): [old, new]}) == new
    assert match(keys_of(receipt()), {CarrierKey("telco_a", "7F"): [new, old]}) == new


def test_f3_the_second_id_is_used_only_where_the_first_finds_nothing() -> None:
    first, second = submission(1), submission(2)
    both = {CarrierKey("telco_a", "7F"): [first], CarrierKey("telco_a", "9"): [second]}
    assert match(keys_of(receipt(second_id="9")), both) == first
    assert match(keys_of(receipt(second_id="9")), {CarrierKey("telco_a", "9"): [second]}) == second
    assert (
        match(
            keys_of(receipt(second_id="9")),
            {CarrierKey("telco_a", "7F"): [], CarrierKey("telco_a", "9"): [second]},
        )
        == second
    )


@pytest.mark.parametrize(
    ("state", "stat", "came", "effect"),
    [
        (None, None, receipt(M.DELIVERED), Effect.APPLIED),
        (None, None, receipt(M.ENROUTE), Effect.APPLIED),
        (State.SUBMITTED, "ENROUTE", receipt(M.ENROUTE), Effect.DUPLICATE),
        (State.SUBMITTED, "ENROUTE", receipt(M.ACCEPTED), Effect.APPLIED),
        (State.SUBMITTED, "UNKNOWN", receipt(M.DELIVERED), Effect.APPLIED),
        (State.SUBMITTED, "ENROUTE", receipt(M.EXPIRED), Effect.APPLIED),
        (State.DELIVERED, "DELIVERED", receipt(M.DELIVERED), Effect.DUPLICATE),
        (State.DELIVERED, "DELIVERED", receipt(M.ENROUTE), Effect.LATE),
        (State.DELIVERED, "DELIVERED", receipt(M.DELIVERED, intermediate=True), Effect.LATE),
        (State.DELIVERED, "DELIVERED", receipt(M.REJECTED), Effect.CONFLICT),
        (State.UNDELIVERABLE, "UNDELIVERABLE", receipt(M.DELIVERED), Effect.CONFLICT),
        (
            State.UNDELIVERABLE,
            "UNDELIVERABLE",
            receipt(M.DELETED),
            Effect.DUPLICATE,
        ),  # the same state of ours
        (None, None, receipt(M.DELIVERED, intermediate=True), Effect.APPLIED),
    ],
)
def test_f14_f16_what_a_receipt_does(
    state: State | None, stat: str | None, came: Receipt, effect: Effect
) -> None:
    assert judge(submission(receipt_state=state, receipt_stat=stat), came) is effect


def test_a_segment_that_was_refused_stays_refused() -> None:
    refused = submission(state=State.REJECTED)
    assert judge(refused, receipt()) is Effect.CONFLICT
    assert current_state(refused._replace(receipt_state=State.DELIVERED)) is State.REJECTED


def test_only_an_applied_receipt_changes_the_submission() -> None:
    open_one = submission()
    done = after(open_one, receipt(), Effect.APPLIED)
    assert (done.receipt_state, done.receipt_stat) == (State.DELIVERED, "DELIVERED")
    for effect in (Effect.DUPLICATE, Effect.LATE, Effect.CONFLICT):
        assert after(done, receipt(M.REJECTED), effect) == done


@pytest.mark.parametrize(
    ("known", "comes", "effect"),
    [
        (None, M.SCHEDULED, Effect.APPLIED),
        (M.SCHEDULED, M.ENROUTE, Effect.APPLIED),
        (M.ENROUTE, M.ACCEPTED, Effect.APPLIED),
        (M.ACCEPTED, M.ENROUTE, Effect.LATE),
        (M.ENROUTE, M.SCHEDULED, Effect.LATE),
        (M.ACCEPTED, M.UNKNOWN, Effect.APPLIED),
        (M.UNKNOWN, M.ENROUTE, Effect.APPLIED),
        (M.UNKNOWN, M.UNKNOWN, Effect.DUPLICATE),
        (M.ACCEPTED, M.DELIVERED, Effect.APPLIED),
        (M.UNKNOWN, M.EXPIRED, Effect.APPLIED),
    ],
)
def test_f14_news_on_the_way_to_the_final_state_only_goes_forward(
    known: MessageState | None, comes: MessageState, effect: Effect
) -> None:
    state = None if known is None else State.SUBMITTED
    before = submission(receipt_state=state, receipt_stat=None if known is None else known.value)
    assert judge(before, receipt(comes)) is effect


@pytest.mark.parametrize(
    ("stat", "read_at", "comes", "effect"),
    [
        ("DELIVERED", None, M.READ, Effect.READ),
        ("DELIVERED", 5_000, M.READ, Effect.DUPLICATE),
        ("DELIVERED", 5_000, M.DELIVERED, Effect.DUPLICATE),
        ("DELIVERED", 5_000, M.UNDELIVERABLE, Effect.CONFLICT),
        ("READ", None, M.READ, Effect.DUPLICATE),
        ("READ", None, M.DELIVERED, Effect.LATE),
        ("READ", None, M.ENROUTE, Effect.LATE),
        ("READ", None, M.EXPIRED, Effect.CONFLICT),
    ],
)
def test_read_is_more_than_delivered_and_changes_no_state(
    stat: str, read_at: int | None, comes: MessageState, effect: Effect
) -> None:
    before = submission(receipt_state=State.DELIVERED, receipt_stat=stat, read_at=read_at)
    assert judge(before, receipt(comes)) is effect
    assert current_state(after(before, receipt(comes), effect)) is State.DELIVERED


def test_read_delivers_what_nothing_was_known_of_and_is_remembered_when_it_comes_after() -> None:
    assert judge(submission(), receipt(M.READ)) is Effect.APPLIED
    assert after(submission(), receipt(M.READ), Effect.APPLIED).receipt_state is State.DELIVERED
    delivered = submission(receipt_state=State.DELIVERED, receipt_stat="DELIVERED")
    read = after(delivered, receipt(M.READ), Effect.READ)
    assert (read.receipt_stat, read.read_at) == ("DELIVERED", 5_000)


def test_f14_a_notification_of_a_final_state_does_not_bar_the_way() -> None:
    before = submission(receipt_state=State.SUBMITTED, receipt_stat=M.DELIVERED.value)
    assert judge(before, receipt(M.ENROUTE)) is Effect.APPLIED
    assert judge(before, receipt(M.DELIVERED)) is Effect.APPLIED
