"""Who is told of a change of state: exactly once for each change, in order, whatever is repeated or written twice."""

from collections.abc import Mapping
from typing import Any

import pytest

from gateway.bus.codec import decode
from gateway.bus.topics import ESME, WEBHOOKS
from gateway.domain.events import Accepted, Noted, Receipted
from gateway.domain.ids import derived_uuid, format_id
from gateway.domain.lifecycle import State
from gateway.domain.message import Message, Source
from gateway.domain.notices import MessageFacts, Notice, message_notice
from gateway.domain.receipts import MessageState
from gateway.store.pool import Database
from tests.support.records import NOON, BackHalf, a_message, attempted, receipt

pytestmark = pytest.mark.postgres


class Told:
    """An audience that the test writes."""

    def __init__(self, wanted: Mapping[str, set[str]]) -> None:
        self.wanted = wanted

    async def subscriptions(self) -> Mapping[str, set[str]]:
        return self.wanted


async def listening(db: Database, wanted: Mapping[str, set[str]], **changes: Any) -> BackHalf:
    back = BackHalf(db)
    await back.bus.ensure_topics({WEBHOOKS: 1, ESME: 1})
    back = await back.start()
    back.recorder = back.new_recorder(audience=Told(wanted), **changes)
    back.dlr = back.new_dlr()  # with what that recorder tells
    return back


async def notices(back: BackHalf, topic: str = WEBHOOKS) -> list[Notice]:
    told = [decode(value) for _, value in await back.bus.read(topic, 0, offset=0, limit=100)]
    return [message_notice(one, one.state) if isinstance(one, MessageFacts) else one for one in told]


async def types(back: BackHalf, topic: str = WEBHOOKS) -> list[str]:
    return [one.type for one in await notices(back, topic)]


async def lived(back: BackHalf, **changes: Any) -> Message:
    message = a_message(**changes)
    await back.put(Accepted(message))
    await back.turn()
    await back.put(attempted(message, "a"))
    await back.turn()
    await back.put_receipts(receipt("a"))
    await back.turn()
    return message


async def test_each_change_is_told_once_with_what_the_api_shows(db: Database) -> None:
    back = await listening(db, {"acme": {"*"}})
    message = await lived(back, client_ref="login-991", metadata={"team": "auth\u0000"})
    submitted, delivered = await notices(back)
    assert submitted.type == "message.submitted"
    assert submitted.id == derived_uuid(message.id, "message.submitted")
    assert submitted.at == NOON + 40
    assert (submitted.data["status"], submitted.data["final_at"]) == ("submitted", None)
    assert delivered == Notice(
        derived_uuid(message.id, "message.delivered"),
        "acme",
        "message.delivered",
        NOON + 4_000,
        message.id,
        {
            "id": format_id("msg", message.id),
            "status": "delivered",
            "to": "+525512345678",
            "from": "ACME",
            "channel": "sms",
            "class": "transactional",
            "encoding": "gsm7",
            "segments": 1,
            "partial": False,
            "carrier": "telco_a",
            "attempts": 1,
            "client_ref": "login-991",
            "batch_id": None,
            "error": None,
            "created_at": "2026-11-25T00:00:00.000Z",
            "submitted_at": "2026-11-25T00:00:00.040Z",
            "final_at": "2026-11-25T00:00:04.000Z",
            "metadata": {"team": "auth\ufffd"},
        },
    )


async def test_only_the_types_and_accounts_that_are_wanted_cost_anything(db: Database) -> None:
    back = await listening(db, {"acme": {"message.delivered"}})
    await lived(back)
    await lived(back, account_id="other")
    assert await types(back) == ["message.delivered"]


async def test_without_subscribers_nothing_is_appended(db: Database) -> None:
    back = await listening(db, {})
    await lived(back, origin="esme")
    assert await types(back) == []
    assert await types(back, ESME) == []


async def test_f16_a_repeated_or_late_receipt_tells_nobody_again(db: Database) -> None:
    back = await listening(db, {"acme": {"*"}})
    await lived(back)
    await back.put_receipts(
        receipt("a"), receipt("a", MessageState.ENROUTE), receipt("a", MessageState.EXPIRED)
    )
    await back.turn()
    assert await types(back) == ["message.submitted", "message.delivered"]


async def test_a_whole_life_in_one_batch_tells_both_steps_in_order(db: Database) -> None:
    back = await listening(db, {"acme": {"*"}})
    message = a_message()
    await back.put(
        Accepted(message),
        attempted(message, "a"),
        Receipted(message.id, NOON + 99, 1, 1, State.DELIVERED, State.DELIVERED, "applied"),
    )
    await back.turn()
    submitted, delivered = await notices(back)
    assert (submitted.type, submitted.data["status"], submitted.at) == (
        "message.submitted",
        "submitted",
        NOON + 40,
    )
    assert (delivered.type, delivered.data["submitted_at"]) == (
        "message.delivered",
        "2026-11-25T00:00:00.040Z",
    )


async def test_a_stored_message_that_jumps_to_its_end_tells_both_steps(db: Database) -> None:
    back = await listening(db, {"acme": {"*"}})
    message = await back.accepted()
    await back.turn()
    await back.put(
        attempted(message, "a"),
        Receipted(
            message.id, NOON + 99, 1, 1, State.UNDELIVERABLE, State.UNDELIVERABLE, "applied", error="050"
        ),
    )
    await back.turn()
    submitted, final = await notices(back)
    assert submitted.type == "message.submitted"
    assert submitted.data["error"] is None
    assert (final.type, final.data["error"]) == ("message.undeliverable", "050")


async def test_a_message_that_no_carrier_took_was_never_submitted(db: Database) -> None:
    back = await listening(db, {"acme": {"*"}})
    message = await back.accepted()
    await back.turn()
    await back.put(attempted(message, None, state=State.REJECTED, reason="refused"))
    expired = await back.accepted()
    await back.put(Noted(expired.id, NOON, "expired", state=State.EXPIRED, reason="validity ran out"))
    await back.turn()
    assert sorted(await types(back)) == ["message.expired", "message.rejected"]


async def test_f17_segments_are_told_of_as_one_message(db: Database) -> None:
    back = await listening(db, {"acme": {"*"}})
    message = await back.accepted(segment_count=2)
    await back.turn()
    await back.put(attempted(message, "a", None))
    await back.turn()
    assert await types(back) == ["message.submitted"]
    await back.put_receipts(receipt("a"))
    await back.turn()
    _, final = await notices(back)
    assert (final.type, final.data["partial"]) == ("message.rejected", True)


async def test_a_second_attempt_does_not_submit_again(db: Database) -> None:
    back = await listening(db, {"acme": {"*"}})
    message = await back.accepted(segment_count=2)
    await back.put(attempted(message, "a"))
    await back.turn()
    await back.put(attempted(message, "b", first=2, attempt=2, at=NOON + 10))
    await back.turn()
    assert await types(back) == ["message.submitted"]


async def test_a_batch_written_twice_is_told_once_or_with_the_same_ids(db: Database) -> None:
    back = await listening(db, {"acme": {"*"}})
    message = await lived(back)
    before = await notices(back)
    async with back.db.acquire() as connection:
        await connection.execute("UPDATE bus_position SET next_offset = 0 WHERE group_name = 'recorder'")
    again = back.new_recorder(audience=Told({"acme": {"*"}}))
    other = a_message()
    await back.put(Accepted(other), attempted(other, "z"))
    await again.reader.drain()
    told = await notices(back)
    assert {one.id for one in told if one.subject_id == message.id} == {one.id for one in before}
    assert [one.type for one in told if one.subject_id == other.id] == ["message.submitted"]
    assert len(told) == len(before) + 1


async def test_a_crash_before_the_commit_tells_nobody_and_then_the_same(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = await listening(db, {"acme": {"*"}})
    message = a_message()
    await back.put(Accepted(message), attempted(message, "a"))
    append = back.bus.append

    async def die(*_: Any, **__: Any) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(back.bus, "append", die)
    with pytest.raises(Exception, match="ConnectionResetError"):
        await back.recorder.reader.drain()
    monkeypatch.setattr(back.bus, "append", append)
    assert await notices(back) == []
    await back.new_recorder(audience=Told({"acme": {"*"}})).reader.drain()
    assert await types(back) == ["message.submitted"]


async def test_an_esme_is_told_of_its_messages_with_their_origin(db: Database) -> None:
    back = await listening(db, {}, tells_origins=True)
    message = await lived(back, source=Source.SMPP, origin='{"id":"1"}')
    await lived(back)
    told = await notices(back, ESME)
    assert [(one.type, one.subject_id, one.origin) for one in told] == [
        ("message.submitted", message.id, '{"id":"1"}'),
        ("message.delivered", message.id, '{"id":"1"}'),
    ]
    assert await types(back) == []


async def test_a_message_that_names_its_endpoint_says_so_in_its_notices(db: Database) -> None:
    back = await listening(db, {"acme": {"message.delivered"}})
    await lived(back, webhook_id="whk_1")
    (told,) = await notices(back)
    assert told.endpoint_id == "whk_1"
