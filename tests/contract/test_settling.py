"""Receipts that need no judgement, on PostgreSQL: which of them are taken, and that all others are left to dlr."""

import pytest

from gateway.domain.lifecycle import State
from gateway.domain.message import Message
from gateway.domain.receipts import MessageState
from gateway.ports.record_store import PlainReceipt
from gateway.store.pool import Database
from tests.support.records import DAY, NOON, BackHalf, attempted, receipt

pytestmark = pytest.mark.postgres


@pytest.fixture
async def back(db: Database) -> BackHalf:
    return await BackHalf(db).start()


async def settle(back: BackHalf, *ids: str, accounts: list[str] | None = None) -> list[str]:
    """Settle a delivery of each id; return the ids that were taken."""
    rows = [PlainReceipt("telco_a", one, NOON + 4_000, '{"message_state":"DELIVERED"}') for one in ids]
    async with back.db.transaction() as tx:
        settled = await back.messages.settle(tx, rows, now_ms=NOON + 5_000, accounts=accounts)
    assert settled.submitted_ats == [NOON + 40] * len(settled.places)
    assert len(settled.changes) == (len(settled.places) if accounts else 0)
    return [ids[place] for place in settled.places]


async def test_only_the_first_receipt_of_a_messages_only_submit_is_settled(back: BackHalf) -> None:
    plain = await back.submitted("plain")
    await back.submitted("part 1", "part 2")
    await back.submitted("reused", accepted_at=NOON - DAY)
    await back.submitted("reused")
    known = await back.submitted("en route")
    await back.put_receipts(receipt("en route", MessageState.ENROUTE))
    retried = await back.submitted("first try")
    await back.put(attempted(retried, "second try", attempt=2))
    undeliverable = await back.submitted("failed")
    await back.put_receipts(receipt("failed", MessageState.UNDELIVERABLE))
    await back.turn()

    others = ("part 1", "reused", "en route", "second try", "failed", "unknown", "a\x1eb")
    assert await settle(back, *others) == []
    assert await settle(back, "plain", *others[:-1], accounts=["acme"]) == ["plain"]
    assert await settle(back, "plain") == [], "it has a final receipt by now"

    assert await back.state(plain) == ("delivered", False)
    assert await back.state(known) == ("submitted", False)
    assert await back.state(undeliverable) == ("undeliverable", False)


async def test_a_batch_of_plain_and_other_receipts_keeps_the_order_of_each_segment(back: BackHalf) -> None:
    ids = ("one", "two", "three", "four")
    messages: dict[str, Message] = {one: await back.submitted(one) for one in ids}
    await back.put_receipts(
        receipt("one"),
        receipt("one", MessageState.UNDELIVERABLE),
        receipt("two", MessageState.UNDELIVERABLE),
        receipt("two"),
        receipt("three", MessageState.ENROUTE, second_id="four"),
        receipt("three"),
        receipt("four"),
    )
    await back.turn()
    states = {one: (await back.state(message))[0] for one, message in messages.items()}
    assert states == {
        "one": State.DELIVERED,
        "two": State.UNDELIVERABLE,
        "three": State.DELIVERED,
        "four": State.DELIVERED,
    }
    assert back.metric("messages_final_total", carrier="telco_a", state="delivered") == 3
    assert back.metric("dlr_received_total", carrier="telco_a", state="DELIVERED") == 4
    assert back.metric("dlr_out_of_order_total", carrier="telco_a") == 2
