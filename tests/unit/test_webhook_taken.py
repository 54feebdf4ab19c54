"""Events that one POST brought home, put together for storage and taken apart again."""

from random import Random
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from dlr.webhooks.directory import Destination
from dlr.webhooks.outlet import Slip
from dlr.webhooks.payloads import Event
from dlr.webhooks.taken import LEAST_EVENTS, attempts_in, post_rows
from gateway.domain.ids import derived_uuid, new_uuid7
from gateway.domain.lifecycle import State
from gateway.ports.webhook_store import POST_SLOT_MS
from gateway.recorder.notices import who_wants

NOON = 1_795_348_800_000
THERE = Destination("whk_1", "acme", "https://example.com/", frozenset({"*"}), 100, 4, (b"k",))


def slip(number: int, time_ms: int, event_type: str) -> Slip:
    subject = new_uuid7(time_ms, number)
    event = Event(derived_uuid(subject, event_type), "acme", event_type, time_ms + 5, subject, b"{}")
    return Slip(event, offset=number, left=1, taken_ns=0)


@given(
    st.lists(
        st.tuples(
            st.integers(NOON - 10_000, NOON), st.sampled_from(["message.submitted", "message.delivered"])
        ),
        max_size=100,
    )
)
def test_every_event_is_in_one_row_and_each_row_in_one_slot(drawn: list[tuple[int, str]]) -> None:
    batch = [slip(number, at, event_type) for number, (at, event_type) in enumerate(drawn)]
    rows, alone = post_rows(
        THERE, batch, status=204, duration_ms=7, now_ms=NOON + 900, random_bits=Random(1).getrandbits
    )
    attempts = attempts_in(rows)
    told = {(one.message_id, one.event_id, one.type, one.event_at) for one in attempts}
    told |= {(one.event.subject_id, one.event.id, one.event.type, one.event.at) for one in alone}
    assert told == {(one.event.subject_id, one.event.id, one.event.type, one.event.at) for one in batch}
    assert len(attempts) + len(alone) == len(batch)
    ids = [one.id for one in attempts]
    assert len(set(ids)) == len(ids)
    assert all(one.id.int >> 80 == NOON + 900 for one in attempts)
    assert {(one.status_code, one.duration_ms, one.attempt) for one in attempts} <= {(204, 7, 1)}
    for row in rows:
        messages = [UUID(bytes=row.message_ids[n : n + 16]) for n in range(0, len(row.message_ids), 16)]
        assert row.first_message_id == min(messages)
        assert len(messages) >= LEAST_EVENTS
        assert len({(one.int >> 80) // POST_SLOT_MS for one in messages}) == 1


def test_only_accounts_that_may_want_to_know_are_asked_for() -> None:
    wishes = {
        "all": {"*"},
        "ends": {"message.delivered"},
        "steps": {"message.submitted"},
        "replies": {"message.received"},
    }
    assert who_wants(wishes, {State.QUEUED}) == []
    assert who_wants(wishes, {State.SUBMITTED, State.QUEUED}) == ["all", "steps"]
    # What was queued until now was submitted in between.
    assert who_wants(wishes, {State.DELIVERED}) == ["all", "ends", "steps"]
    assert who_wants({}, {State.DELIVERED}) == []
