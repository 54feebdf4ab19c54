"""Webhooks on a real database: endpoints, what waits and in which order, attempts, replay."""

from dataclasses import replace
from uuid import UUID

import pytest

from gateway.domain.ids import derived_uuid, new_uuid7
from gateway.ports.webhook_store import (
    BY_ACCOUNT,
    DELIVERED,
    EXHAUSTED,
    MAX_ENDPOINTS,
    AttemptRow,
    Delay,
    EndpointLimitError,
    EndpointSettings,
    EventRow,
    Health,
    PostRow,
    ReplayFilter,
)
from gateway.store import messages, webhook_attempts, webhook_delivery
from gateway.store.partitions import Partitions
from gateway.store.pool import Database
from gateway.store.webhook_delivery import PostgresDelivery
from gateway.store.webhooks import PostgresWebhooks
from tests.support.records import HOUR, NOON, BackHalf, receipt

pytestmark = pytest.mark.postgres

HERE = EndpointSettings("https://example.com/hook", ("message.delivered",))
WHK = "whk_01kaq3m7x2f0000000000000aa"
OTHER = "whk_01kaq3m7x2f0000000000000bb"


def subject(number: int) -> UUID:
    return new_uuid7(NOON, number)


def waiting(number: int, *, event_type: str = "message.delivered", place: int = 0, **changes) -> EventRow:
    base = EventRow(
        shard=0,
        place=place or number,
        endpoint_id=WHK,
        account_id="acme",
        event_id=derived_uuid(subject(number), event_type),
        subject_id=subject(number),
        type=event_type,
        at=NOON,
        body=b'{"n":%d}' % number,
        attempts=0,
        waits_since=NOON,
        due_at=NOON,
        last_error="",
    )
    return base._replace(**changes)


def attempt(
    number: int, state: str, *, at: int = NOON + 100, body: bytes | None = None, **changes
) -> AttemptRow:
    base = AttemptRow(
        new_uuid7(at, number),
        subject(number),
        WHK,
        "acme",
        derived_uuid(subject(number), "message.delivered"),
        "message.delivered",
        1,
        state,
        200 if state == DELIVERED else 500,
        12,
        "" if state == DELIVERED else "http_5xx",
        NOON,
        body,
    )
    return base._replace(**changes)


@pytest.fixture
def store(db: Database) -> PostgresWebhooks:
    return PostgresWebhooks(db)


@pytest.fixture
def delivery(db: Database) -> PostgresDelivery:
    return PostgresDelivery(db)


async def a_live_one(store: PostgresWebhooks, **changes) -> None:
    await store.create("acme", WHK, replace(HERE, **changes), secret="whsec_one", now_ms=NOON)


async def test_an_endpoint_is_seen_by_its_own_account_alone(store: PostgresWebhooks) -> None:
    made = await store.create("acme", WHK, HERE, secret="whsec_one", now_ms=NOON)
    assert made.is_live
    assert made.settings == HERE
    assert await store.list_endpoints("acme") == [made]
    assert await store.get("acme", WHK) == made
    assert await store.list_endpoints("other") == []
    assert await store.get("other", WHK) is None
    assert await store.update("other", WHK, HERE, now_ms=NOON) is None
    assert await store.disable("other", WHK, now_ms=NOON) is None
    assert not await store.delete("other", WHK)
    assert await store.account_of(WHK) == "acme"


async def test_an_account_has_a_limited_number_of_endpoints(store: PostgresWebhooks) -> None:
    for number in range(MAX_ENDPOINTS):
        await store.create("acme", f"whk_{number}", HERE, secret="whsec_one", now_ms=NOON)
    with pytest.raises(EndpointLimitError, match="20"):
        await store.create("acme", WHK, HERE, secret="whsec_one", now_ms=NOON)
    await store.create("other", WHK, HERE, secret="whsec_one", now_ms=NOON)


async def test_every_change_of_an_endpoint_changes_the_version(
    store: PostgresWebhooks, delivery: PostgresDelivery
) -> None:
    seen = [await delivery.version()]

    async def is_new() -> bool:
        seen.append(await delivery.version())
        return seen[-1] not in seen[:-1]

    await a_live_one(store)
    assert await is_new()
    changed = await store.update("acme", WHK, replace(HERE, url="https://example.com/2"), now_ms=NOON + 1)
    assert changed is not None
    assert (changed.settings.url, changed.updated_at) == ("https://example.com/2", NOON + 1)
    assert await is_new()
    await store.rotate_secret("acme", WHK, secret="whsec_two", old_until=NOON + HOUR, now_ms=NOON)
    assert await is_new()
    disabled = await store.disable("acme", WHK, now_ms=NOON + 2)
    assert disabled is not None
    assert (disabled.disabled_at, disabled.disabled_reason) == (NOON + 2, BY_ACCOUNT)
    assert await is_new()
    again = await store.disable("acme", WHK, reason="gone", now_ms=NOON + 3)
    assert again == disabled
    assert not await is_new()
    enabled = await store.enable("acme", WHK, now_ms=NOON + 4)
    assert enabled is not None
    assert enabled.is_live
    assert await is_new()
    assert await store.delete("acme", WHK)
    assert await is_new()
    assert await delivery.live(now_ms=NOON) == []


async def test_secrets_go_to_delivery_and_the_old_one_ends_with_its_grace(
    store: PostgresWebhooks, delivery: PostgresDelivery
) -> None:
    await a_live_one(store)
    rotated = await store.rotate_secret("acme", WHK, secret="whsec_two", old_until=NOON + HOUR, now_ms=NOON)
    assert rotated is not None
    assert rotated.old_secret_until == NOON + HOUR
    assert "whsec" not in repr(rotated)
    (live,) = await delivery.live(now_ms=NOON)
    assert live.secrets == ("whsec_two", "whsec_one")
    assert "whsec" not in repr(live)
    (live,) = await delivery.live(now_ms=NOON + HOUR)
    assert live.secrets == ("whsec_two",)


async def test_enabling_forgives_what_failed(
    db: Database, store: PostgresWebhooks, delivery: PostgresDelivery
) -> None:
    await a_live_one(store)
    async with db.transaction() as tx:
        await delivery.note_health(
            tx,
            [Health(WHK, NOON, 9, NOON + HOUR, NOON - HOUR, "timeout"), Health("whk_gone", 1, 1, 1, 1, "")],
        )
    assert [one.endpoint_id for one in await delivery.healths()] == [WHK]
    failing = await store.get("acme", WHK)
    assert failing is not None
    assert (failing.failing_since, failing.last_success_at, failing.last_error) == (
        NOON,
        NOON - HOUR,
        "timeout",
    )
    assert await delivery.disable_failing(WHK, reason="failing", now_ms=NOON)
    assert not await delivery.disable_failing(WHK, reason="gone", now_ms=NOON)
    assert await delivery.disabled_count() == 1
    await store.enable("acme", WHK, now_ms=NOON)
    assert await delivery.disabled_count() == 0
    (health,) = await delivery.healths()
    assert (health.failing_since, health.failures, health.due_at) == (None, 0, 0)


async def test_of_one_subject_only_the_first_event_is_due(db: Database, delivery: PostgresDelivery) -> None:
    first = waiting(1, event_type="message.submitted", place=10)
    second = waiting(1, place=11)
    other = waiting(2, place=12)
    async with db.transaction() as tx:
        await delivery.add(tx, [second, first, other])  # whatever order they were written in
        await delivery.add(tx, [first._replace(attempts=5)])  # it waits already
    due = await delivery.due(0, WHK, now_ms=NOON, limit=10)
    assert {one.row.event_id for one in due} == {first.event_id, other.event_id}
    assert {one.row.attempts for one in due} == {0}
    assert await delivery.due(1, WHK, now_ms=NOON, limit=10) == []
    assert await delivery.subjects_waiting([WHK, WHK, OTHER], [subject(1), subject(3), subject(1)]) == {
        (WHK, subject(1))
    }
    assert await delivery.counts(0) == {WHK: 3}

    taken = next(one for one in due if one.row.event_id == first.event_id)
    async with db.transaction() as tx:
        await delivery.delay(tx, [Delay(taken.id, 1, NOON + 5_000, "timeout")])
    due = await delivery.due(0, WHK, now_ms=NOON, limit=10)
    assert {one.row.event_id for one in due} == {other.event_id}  # the second still waits behind the first
    assert await delivery.pull_in(0, WHK, max_attempts=3, now_ms=NOON) == 1
    async with db.transaction() as tx:
        await delivery.remove(tx, [taken.id])
    due = await delivery.due(0, WHK, now_ms=NOON, limit=10)
    assert {one.row.event_id for one in due} == {second.event_id, other.event_id}
    assert {one.row.body for one in due} == {b'{"n":1}', b'{"n":2}'}


async def test_who_has_something_waiting_is_found_by_walking(
    db: Database, delivery: PostgresDelivery
) -> None:
    async with db.transaction() as tx:
        await delivery.add(
            tx,
            [
                waiting(1),
                waiting(2, due_at=NOON - 1),
                waiting(3, endpoint_id=OTHER, due_at=NOON + 9),
                waiting(4, endpoint_id="whk_z", shard=1),
            ],
        )
    assert await delivery.next_due(0, [WHK, OTHER, "whk_z"]) == {WHK: NOON - 1, OTHER: NOON + 9}
    assert await delivery.strangers(0, [WHK]) == [OTHER]
    assert await delivery.strangers(0, [WHK, OTHER]) == []
    assert await delivery.drop(0, WHK, limit=1) == 1
    assert await delivery.drop(0, WHK, limit=5) == 1
    assert await delivery.strangers(0, []) == [OTHER]
    assert [one.row.subject_id for one in await delivery.over(0, OTHER, before_ms=NOON + 10, limit=5)] == [
        subject(3)
    ]


async def test_attempts_are_listed_by_endpoint_and_by_message(
    db: Database, store: PostgresWebhooks, delivery: PostgresDelivery
) -> None:
    rows = [
        attempt(1, "failed"),
        attempt(2, DELIVERED, at=NOON + 200),
        attempt(1, DELIVERED, at=NOON + 300, attempt=2),
    ]
    async with db.transaction() as tx:
        await delivery.record(tx, rows)
    listed = await store.attempts("acme", WHK, limit=2)
    assert [(one.at, one.state) for one in listed] == [(NOON + 300, DELIVERED), (NOON + 200, DELIVERED)]
    rest = await store.attempts("acme", WHK, limit=2, before=listed[-1].id)
    assert [(one.at, one.state, one.status_code) for one in rest] == [(NOON + 100, "failed", 500)]
    assert await store.attempts("other", WHK, limit=2) == []
    assert (
        len(await store.attempts("acme", WHK, states=["failed"], types=["message.delivered"], limit=9)) == 1
    )
    assert await store.attempts("acme", WHK, types=["message.failed"], limit=9) == []
    assert [one.attempt for one in await store.attempts_of(subject(1), limit=9)] == [1, 2]


def post(*numbers: int, at: int, **changes) -> PostRow:
    """Events of these subjects that one POST brought home."""
    ids = [subject(number) for number in numbers]
    base = PostRow(
        new_uuid7(at, 7 << 8),
        min(ids),
        WHK,
        "acme",
        "message.delivered",
        200,
        12,
        b"".join([one.bytes for one in ids]),
        b"".join([derived_uuid(one, "message.delivered").bytes for one in ids]),
        b"".join([(NOON + number).to_bytes(8, "big") for number in numbers]),
    )
    return base._replace(**changes)


async def test_attempts_that_share_a_row_are_listed_one_by_one_among_the_others(
    db: Database, store: PostgresWebhooks, delivery: PostgresDelivery
) -> None:
    async with db.transaction() as tx:
        await delivery.record(
            tx, [attempt(9, DELIVERED, at=NOON + 200), attempt(2, DELIVERED, at=NOON + 400)]
        )
        await delivery.record_posts(
            tx,
            [
                post(3, 1, 2, 4, at=NOON + 300),
                post(5, 6, 7, at=NOON + 100),
                post(1, 2, 3, at=NOON + 50, endpoint_id=OTHER),
                post(1, 2, 3, at=NOON + 60, type="message.failed"),
            ],
        )
    which = {"types": ["message.delivered"]}
    whole = await store.attempts("acme", WHK, limit=99, **which)
    assert [one.subject_id for one in whole] == [subject(n) for n in (2, 4, 2, 1, 3, 9, 7, 6, 5)]
    assert {(one.attempt, one.state, one.status_code, one.duration_ms) for one in whole} == {
        (1, DELIVERED, 200, 12)
    }
    for size in (1, 2, 3):
        paged, before = [], None
        while page := await store.attempts("acme", WHK, limit=size, before=before, **which):
            paged += page
            before = page[-1].id
        assert paged == whole
    assert len(await store.attempts("acme", WHK, limit=99)) == 12
    assert await store.attempts("acme", WHK, states=["failed"], limit=99) == []
    assert await store.attempts("other", WHK, limit=99) == []
    of_one = await store.attempts_of(subject(2), limit=9)
    assert [(one.at, one.endpoint_id, one.type) for one in of_one] == [
        (NOON + 50, OTHER, "message.delivered"),
        (NOON + 60, WHK, "message.failed"),
        (NOON + 300, WHK, "message.delivered"),
        (NOON + 400, WHK, "message.delivered"),
    ]
    assert await store.attempts_of(subject(11), limit=9) == []


async def test_what_was_taken_at_once_stands_in_the_way_of_a_replay_and_can_be_replayed_itself(
    db: Database, store: PostgresWebhooks, delivery: PostgresDelivery
) -> None:
    await a_live_one(store)
    back = await BackHalf(db).start()
    ours = [await back.submitted(key) for key in "abcd"]
    await back.put_receipts(*[receipt(key) for key in "abcd"])
    await back.turn()
    events = [derived_uuid(one.id, "message.delivered") for one in ours]
    row = post(1, 2, 3, 4, at=NOON + 100)._replace(
        first_message_id=min(one.id for one in ours),
        message_ids=b"".join([one.id.bytes for one in ours]),
        event_ids=b"".join([one.bytes for one in events]),
    )
    async with db.transaction() as tx:
        # Given up before a crash, and taken after it.
        await delivery.record(
            tx,
            [attempt(1, EXHAUSTED, at=NOON + 90, message_id=ours[0].id, event_id=events[0], body=b"{}")],
        )
        await delivery.record_posts(tx, [row])
        # Replayed and taken since.
        await delivery.record(
            tx, [attempt(2, DELIVERED, at=NOON + HOUR, message_id=ours[1].id, event_id=events[1])]
        )
    lost = ReplayFilter(NOON)
    assert (await store.replay("acme", WHK, lost, limit=9, now_ms=NOON + HOUR)).events == 0
    taken = ReplayFilter(NOON, NOON + 200, states=(DELIVERED,))
    one = await store.replay("acme", WHK, replace(taken, event_ids=(events[2],)), limit=9, now_ms=NOON + HOUR)
    assert (one.events, one.is_complete) == (1, True)
    rest = await store.replay("acme", WHK, taken, limit=9, now_ms=NOON + HOUR)
    assert (rest.events, rest.is_complete) == (2, True)
    waits = await store.waiting("acme", WHK, limit=9)
    assert {row.event_id for row in waits} == {events[0], events[2], events[3]}
    assert (await store.replay("other", WHK, taken, limit=9, now_ms=NOON + HOUR)).events == 0


async def test_no_event_is_left_out_where_a_replay_stops_within_a_millisecond(
    db: Database, store: PostgresWebhooks, delivery: PostgresDelivery
) -> None:
    await a_live_one(store)
    async with db.transaction() as tx:
        await delivery.record(
            tx,
            [attempt(n, EXHAUSTED, at=NOON + (1 if n < 2 else 2), body=b"{}") for n in range(1, 5)],
        )
    first = await store.replay("acme", WHK, ReplayFilter(NOON), limit=3, now_ms=NOON + HOUR)
    assert (first.events, first.is_complete) == (1, False)
    then = await store.replay("acme", WHK, ReplayFilter(first.next_since), limit=3, now_ms=NOON + HOUR)
    assert (then.events, then.is_complete) == (3, True)


async def test_an_exhausted_event_is_replayed_once_with_its_body(
    db: Database, store: PostgresWebhooks, delivery: PostgresDelivery
) -> None:
    await a_live_one(store)
    async with db.transaction() as tx:
        await delivery.record(
            tx,
            [
                attempt(1, EXHAUSTED, body=b'{"n":1}'),
                attempt(2, EXHAUSTED, at=NOON + 200, body=b'{"n":2}'),
                attempt(2, DELIVERED, at=NOON + 300),
                attempt(3, EXHAUSTED, at=NOON + HOUR, body=b'{"n":3}'),
            ],
        )
    which = ReplayFilter(NOON, NOON + HOUR)
    done = await store.replay("acme", WHK, which, limit=100, now_ms=NOON + 2 * HOUR)
    assert (done.events, done.is_complete) == (1, True)
    (row,) = await store.waiting("acme", WHK, limit=10)
    assert (row.subject_id, row.attempts, row.due_at) == (subject(1), 0, NOON + 2 * HOUR)
    again = await store.replay("acme", WHK, which, limit=100, now_ms=NOON + 2 * HOUR)
    assert again.events == 0
    assert await store.backlog("acme") == {WHK: 1}
    assert (await store.replay("other", WHK, which, limit=100, now_ms=NOON + HOUR)).events == 0
    (due,) = await delivery.due(0, WHK, now_ms=NOON + 2 * HOUR, limit=10)
    assert due.row.body == b'{"n":1}'
    narrowed = replace(which, until=None, event_ids=(attempt(3, EXHAUSTED).event_id,))
    assert (await store.replay("acme", WHK, narrowed, limit=100, now_ms=NOON + 2 * HOUR)).events == 1


async def test_a_replay_goes_on_where_its_limit_ended_it(
    db: Database, store: PostgresWebhooks, delivery: PostgresDelivery
) -> None:
    await a_live_one(store)
    async with db.transaction() as tx:
        await delivery.record(tx, [attempt(n, EXHAUSTED, at=NOON + n, body=b"{}") for n in range(1, 6)])
    since, total, calls = NOON, 0, 0
    while True:
        done = await store.replay("acme", WHK, ReplayFilter(since), limit=2, now_ms=NOON + HOUR)
        total, since, calls = total + done.events, done.next_since, calls + 1
        if done.is_complete:
            break
    assert (total, calls) == (5, 3)


async def test_a_delivered_event_is_made_anew_from_its_message(
    db: Database, store: PostgresWebhooks, delivery: PostgresDelivery
) -> None:
    await a_live_one(store)
    back = await BackHalf(db).start()
    message = await back.submitted("a")
    await back.put_receipts(receipt("a"))
    await back.turn()
    event_id = derived_uuid(message.id, "message.delivered")
    async with db.transaction() as tx:
        await delivery.record(
            tx, [attempt(1, DELIVERED, message_id=message.id, event_id=event_id, event_at=NOON + 4000)]
        )
    which = ReplayFilter(NOON, states=(DELIVERED,), types=("message.delivered",))
    assert (await store.replay("acme", WHK, which, limit=10, now_ms=NOON + HOUR)).events == 1
    (due,) = await delivery.due(0, WHK, now_ms=NOON + HOUR, limit=10)
    assert due.row.event_id == event_id
    assert b'"type":"message.delivered"' in due.row.body
    assert b'"status":"delivered"' in due.row.body
    assert b'"to":"+525512345678"' in due.row.body


@pytest.mark.parametrize(
    "name", ["patch_and_tell", "due", "subjects", "next_due", "over", "remove", "delay", "attempts_of"]
)
async def test_a_fresh_day_is_looked_up_by_index(db: Database, name: str) -> None:
    statement, arguments = {
        "patch_and_tell": (messages._PATCH_AND_TELL, 10 * ["'{}'"]),
        "due": (webhook_delivery._DUE, ["0", "'whk'", "1", "10"]),
        "subjects": (webhook_delivery._SUBJECTS, 2 * ["'{}'"]),
        "next_due": (webhook_delivery._NEXT_DUE, ["0", "'{}'"]),
        "over": (webhook_delivery._OVER, ["0", "'whk'", "1", "10"]),
        "remove": (webhook_delivery._REMOVE, ["'{}'"]),
        "delay": (webhook_delivery._DELAY, 4 * ["'{}'"]),
        "attempts_of": (webhook_attempts.ATTEMPTS_OF, [f"'{subject(1)}'", "10"]),
    }[name]
    await Partitions(db).keep(now_ms=NOON)
    async with db.acquire() as connection:
        await connection.execute(f"PREPARE one AS {statement}")
        plan = await connection.fetch(f"EXPLAIN EXECUTE one ({', '.join(arguments)})")
        await connection.execute("DEALLOCATE one")
    text = "\n".join(row[0] for row in plan)
    assert "Seq Scan" not in text, text
    assert "Hash Join" not in text, text
