"""Retention per account: its final messages go early with all that hangs on them, in chunks; nothing else does."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.domain.ids import new_uuid7
from gateway.domain.lifecycle import State
from gateway.domain.message import Message
from gateway.domain.receipts import MessageState
from gateway.store.accounts import Accounts
from gateway.store.partitions import Partitions
from gateway.store.pool import Database
from gateway.store.retention import AccountRetention
from tests.support.records import DAY, HOUR, NOON, BackHalf, attempted, receipt

pytestmark = pytest.mark.postgres


@pytest.fixture
async def back(db: Database) -> BackHalf:
    back = await BackHalf(db).start()
    accounts = Accounts(db, pepper=b"pepper")
    for name in ("acme", "other", "patient"):
        await accounts.create_account(name, now_ms=NOON)
    found = await accounts.find_account("acme")
    assert found is not None
    await accounts.update_account(replace(found, retention_days=2))
    patient = await accounts.find_account("patient")
    assert patient is not None
    await accounts.update_account(replace(patient, retention_days=400))
    return back


def retention(back: BackHalf, **changes: Any) -> AccountRetention:
    return AccountRetention(back.db, retention_days=30, chunk=3, pause_s=0.0, **changes)


async def delivered(back: BackHalf, key: str, **changes: object) -> Message:
    message = await back.submitted(key, **changes)
    await back.put_receipts(receipt(key, MessageState.ENROUTE), receipt(key), receipt(key))
    await back.turn()
    return message


async def rows_of(back: BackHalf, message: Message) -> dict[str, int]:
    counts = {}
    async with back.db.acquire() as connection:
        for table, key in (
            ("messages", "id"),
            ("submissions", "message_id"),
            ("message_events", "message_id"),
            ("webhook_deliveries", "message_id"),
            ("webhook_backlog", "subject_id"),
        ):
            counts[table] = await connection.fetchval(
                f"SELECT count(*) FROM {table} WHERE {key} = $1", message.id
            )
    return counts


async def delivery_to(back: BackHalf, message: Message) -> None:
    async with back.db.acquire() as connection:
        await connection.execute(
            "INSERT INTO webhook_deliveries VALUES ($1, $2, 'whk_1', $3, $4, 'message.delivered', 1, 'delivered', "
            "200, 12, '', $5, NULL)",
            new_uuid7(NOON, 1),
            message.id,
            message.account_id,
            new_uuid7(NOON, 2),
            NOON,
        )


async def taken_by_an_endpoint(back: BackHalf, *messages: Message) -> None:
    ids = sorted(message.id for message in messages)
    async with back.db.acquire() as connection:
        await connection.execute(
            "INSERT INTO webhook_posts VALUES ($1, $2, 'whk_1', $3, 'message.delivered', 200, 12, $4, $4, $5)",
            new_uuid7(NOON, 1 << 8),
            ids[0],
            messages[0].account_id,
            b"".join([one.bytes for one in ids]),
            bytes(8 * len(ids)),
        )


async def waits(back: BackHalf, *messages: Message) -> None:
    """Let an event of each message wait for an endpoint of its account that does not answer."""
    async with back.db.acquire() as connection:
        await connection.execute(
            "INSERT INTO webhook_endpoints VALUES ('whk_1', 'acme', 'https://example.com/', '{*}', '', 1, 1, $1, $1)",
            NOON,
        )
        for n, message in enumerate(messages):
            await connection.execute(
                "INSERT INTO webhook_backlog (endpoint_id, subject_id, event_id, shard, place, account_id, type, at, "
                "body, attempts, waits_since, due_at, last_error) "
                "VALUES ('whk_1', $1, $2, 0, $3, 'acme', 'message.delivered', $4, '{}', 3, $4, $4, 'connect')",
                message.id,
                new_uuid7(NOON, 10 + n),
                n,
                NOON,
            )


async def test_what_waits_for_an_endpoint_goes_with_the_retention_of_all(back: BackHalf) -> None:
    old = await delivered(back, "old", accepted_at=NOON - 3 * DAY)
    young = await delivered(back, "young", accepted_at=NOON)
    await waits(back, old, young)
    await Partitions(back.db, retention_days=2).keep(now_ms=NOON)
    assert (await rows_of(back, old))["webhook_backlog"] == 0
    assert (await rows_of(back, young))["webhook_backlog"] == 1


async def test_an_accounts_old_messages_go_with_all_that_hangs_on_them(back: BackHalf) -> None:
    old = [await delivered(back, f"old{n}", accepted_at=NOON - 3 * DAY + n) for n in range(8)]
    await delivery_to(back, old[0])
    young = await delivered(back, "young", accepted_at=NOON - 2 * DAY + HOUR)
    await waits(back, old[0], old[1], young)
    foreign = await delivered(back, "foreign", accepted_at=NOON - 3 * DAY, account_id="other")
    patient = await delivered(back, "patient", accepted_at=NOON - 3 * DAY, account_id="patient")
    for messages in (old, [young], [foreign], [patient]):
        await taken_by_an_endpoint(back, *messages)
    await retention(back).keep(now_ms=NOON)
    async with back.db.acquire() as connection:
        left = await connection.fetch("SELECT first_message_id FROM webhook_posts")
    assert {row[0] for row in left} == {young.id, foreign.id, patient.id}
    for message in old:
        assert not any((await rows_of(back, message)).values())
    assert (await rows_of(back, young))["webhook_backlog"] == 1
    for message in (young, foreign, patient):
        kept = await rows_of(back, message)
        assert (kept["messages"], kept["submissions"], kept["message_events"]) == (1, 1, 2)


async def test_an_open_message_stays_until_it_has_its_final_state(back: BackHalf) -> None:
    message = await back.submitted("open", accepted_at=NOON - 3 * DAY)
    await retention(back).keep(now_ms=NOON)
    assert await back.state(message) == (State.SUBMITTED, False)
    await back.put_receipts(receipt("open"))
    await back.turn()
    await retention(back).keep(now_ms=NOON)
    assert await back.views.get_message("acme", message.id) is None


async def test_an_interrupted_clearing_goes_on_with_what_is_left(
    back: BackHalf, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = [await delivered(back, f"m{n}", accepted_at=NOON - 3 * DAY + n) for n in range(7)]

    async def die(_: float) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("gateway.store.retention.pause", die)
        with pytest.raises(RuntimeError):
            await retention(back).keep(now_ms=NOON)
    assert [(await rows_of(back, one))["messages"] for one in messages] == [0, 0, 0, 1, 1, 1, 1]
    await retention(back).keep(now_ms=NOON)
    assert not any([(await rows_of(back, one))["submissions"] for one in messages])


async def test_one_call_takes_its_time_and_the_next_goes_on(back: BackHalf) -> None:
    messages = [await delivered(back, f"m{n}", accepted_at=NOON - 3 * DAY + n) for n in range(7)]
    hasty = retention(back, budget_s=0.0)
    await hasty.keep(now_ms=NOON)
    assert [(await rows_of(back, one))["messages"] for one in messages] == [1] * 7
    hasty._budget_s = 5.0
    patient = hasty
    await patient.keep(now_ms=NOON)
    assert [(await rows_of(back, one))["messages"] for one in messages] == [0] * 7
    late = await delivered(back, "late", accepted_at=NOON - 3 * DAY)
    await patient.keep(now_ms=NOON + HOUR - 1)
    assert (await rows_of(back, late))["messages"] == 1  # it has looked at all, and rests
    await patient.keep(now_ms=NOON + HOUR)
    assert (await rows_of(back, late))["messages"] == 0


async def test_a_receipt_for_a_message_that_was_deleted_is_an_orphan_and_not_lost(back: BackHalf) -> None:
    await delivered(back, "gone", accepted_at=NOON - 3 * DAY)
    await retention(back).keep(now_ms=NOON)
    await back.put_receipts(receipt("gone", MessageState.UNDELIVERABLE))
    await back.turn()
    assert await back.count("parked_receipts") == 1


async def test_replies_of_the_account_go_too(back: BackHalf) -> None:
    insert = (
        "INSERT INTO inbound_messages VALUES ($1, $2, 'number', 'telco_a', 'rx1', '525512345678', true, '4477', 'hola', "
        "'gsm7', 1, '{}', $3, NULL, '{}')"
    )
    old, young, foreign = (new_uuid7(at, n) for n, at in enumerate((NOON - 3 * DAY, NOON, NOON - 3 * DAY)))
    async with back.db.acquire() as connection:
        for reply, account in ((old, "acme"), (young, "acme"), (foreign, "other")):
            await connection.execute(insert, reply, account, NOON)
    await retention(back).keep(now_ms=NOON)
    async with back.db.acquire() as connection:
        left = {row[0] for row in await connection.fetch("SELECT id FROM inbound_messages")}
    assert left == {young, foreign}


async def test_a_late_submit_of_a_deleted_message_changes_nothing(back: BackHalf) -> None:
    message = await delivered(back, "late", accepted_at=NOON - 3 * DAY)
    await retention(back).keep(now_ms=NOON)
    await back.put(attempted(message, "late2", attempt=2))
    await back.turn()
    assert await back.views.get_message("acme", message.id) is None
