"""What an account reads of its messages: its own only, in pages, by filter."""

import pytest

from gateway.domain.events import Accepted, Noted
from gateway.domain.ids import new_uuid7
from gateway.domain.lifecycle import State
from gateway.domain.message import MessageClass
from gateway.domain.receipts import MessageState
from gateway.ports.ingress_store import EventPosition, MessageFilters
from gateway.store.pool import Database
from tests.support.records import DAY, HOUR, NOON, BackHalf, a_message, attempted, receipt

pytestmark = pytest.mark.postgres

ALL = MessageFilters()


@pytest.fixture
async def back(db: Database) -> BackHalf:
    return await BackHalf(db).start()


async def test_another_accounts_message_does_not_exist(back: BackHalf) -> None:
    message = await back.accepted()
    await back.turn()
    assert await back.views.get_message("other", message.id) is None
    assert await back.views.list_events("other", message.id, limit=10, after=None) is None
    assert await back.views.list_messages("other", ALL, limit=10, before=None) == []


async def test_a_message_that_does_not_exist_is_none(back: BackHalf) -> None:
    assert await back.views.get_message("acme", a_message().id) is None
    assert await back.views.list_events("acme", a_message().id, limit=10, after=None) is None


async def test_every_column_is_in_the_view(back: BackHalf) -> None:
    batch = a_message().id
    message = a_message(
        send_at=NOON + HOUR,
        batch_id=batch,
        client_ref="r",
        metadata={"a": "b"},
        message_class=MessageClass.OTP,
    )
    await back.put(Accepted(message, State.SCHEDULED))
    await back.turn()
    view = await back.views.get_message("acme", message.id)
    assert view is not None
    assert (view.id, view.account_id, view.message_class, view.channel) == (message.id, "acme", "otp", "sms")
    assert (view.recipient, view.sender, view.encoding, view.segment_count) == (
        "525512345678",
        "ACME",
        "gsm7",
        1,
    )
    assert (view.state, view.accepted_at, view.valid_until, view.send_at) == (
        "scheduled",
        NOON,
        NOON + HOUR,
        NOON + HOUR,
    )
    assert (view.client_ref, view.batch_id, view.metadata, view.request_id) == (
        "r",
        batch,
        {"a": "b"},
        "req_1",
    )
    lines = await back.views.list_events("acme", message.id, limit=10, after=None)
    assert lines is not None
    assert [(line.type, dict(line.detail)) for line in lines][1] == ("scheduled", {"send_at": NOON + HOUR})


async def test_pages_by_cursor_hold_every_message_once_newest_first(back: BackHalf) -> None:
    messages = [a_message(accepted_at=NOON + n) for n in range(25)]
    messages += [a_message(accepted_at=NOON - DAY + n) for n in range(25)]
    await back.put(*(Accepted(one) for one in messages), Accepted(a_message(account_id="other")))
    await back.turn()
    seen, before = [], None
    while page := await back.views.list_messages("acme", ALL, limit=7, before=before):
        assert len(page) <= 7
        seen += [one.id for one in page]
        before = page[-1].id
    assert seen == sorted((one.id for one in messages), reverse=True)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (MessageFilters(recipient="56987654321"), {"chile"}),
        (MessageFilters(recipient="+56987654321"), {"chile"}),
        (MessageFilters(state="delivered"), {"delivered"}),
        (MessageFilters(state="queued", message_class="otp"), {"otp"}),
        (MessageFilters(client_ref="ref-1"), {"ref"}),
        (MessageFilters(carrier="telco_b"), {"telco_b"}),
        (MessageFilters(since=NOON), {"chile", "delivered", "otp", "ref", "telco_b"}),
        (MessageFilters(since=NOON + 1), set()),
        (MessageFilters(state="queued", recipient="56987654321", since=NOON - 2 * DAY), {"chile"}),
    ],
)
async def test_filters_narrow_the_list(back: BackHalf, filters: MessageFilters, expected: set[str]) -> None:
    messages = {
        "chile": a_message(recipient="56987654321"),
        "delivered": a_message(),
        "otp": a_message(message_class=MessageClass.OTP),
        "ref": a_message(client_ref="ref-1"),
        "telco_b": a_message(carrier="telco_b"),
        "yesterday": a_message(accepted_at=NOON - DAY),
    }
    await back.put(*(Accepted(one) for one in messages.values()), attempted(messages["delivered"], "a"))
    await back.turn()
    await back.put_receipts(receipt("a"))
    await back.turn()
    names = {one.id: name for name, one in messages.items()}
    page = await back.views.list_messages("acme", filters, limit=100, before=None)
    assert {names[one.id] for one in page} == expected


async def test_a_timeline_in_pages_is_the_timeline(back: BackHalf) -> None:
    message = await back.submitted("a", "b")
    await back.put(Noted(message.id, NOON + 50, "webhook", reason="sent", detail={"status_code": 200}))
    await back.put_receipts(receipt("a", MessageState.ENROUTE), receipt("a"), receipt("a"), receipt("b"))
    await back.turn()
    whole = await back.views.list_events("acme", message.id, limit=100, after=None)
    assert whole is not None
    assert len({(line.at, line.seq) for line in whole}) == len(whole) == 3 + 4 + 1 + 4
    paged, after = [], None
    while page := await back.views.list_events("acme", message.id, limit=2, after=after):
        paged += page
        after = EventPosition(page[-1].at, page[-1].seq)
    assert paged == whole
    assert all(line.seq < 1 << 53 for line in whole)  # survives a JSON reader with doubles


async def test_attempts_to_tell_the_account_are_in_the_timeline(back: BackHalf) -> None:
    message = await back.submitted("a")
    await back.put_receipts(receipt("a"))
    await back.turn()
    rows = [
        (new_uuid7(NOON + 5_000, 7), 1, "failed", 503, 34, "http_5xx 503"),
        (new_uuid7(NOON + 10_000, 3), 2, "delivered", 200, 21, ""),
        (new_uuid7(NOON + 10_000, 9), 1, "failed", None, 15_000, "timeout"),
    ]
    async with back.db.acquire() as connection:
        for row_id, attempt, state, status, duration, error in rows:
            await connection.execute(
                "INSERT INTO webhook_deliveries VALUES "
                "($1, $2, 'whk_1', 'acme', $3, 'message.delivered', $4, $5, $6, $7, $8, $9, NULL)",
                row_id,
                message.id,
                new_uuid7(NOON, 1),
                attempt,
                state,
                status,
                duration,
                error,
                NOON + 4_000,
            )
    lines = await back.views.list_events("acme", message.id, limit=100, after=None)
    assert lines is not None
    assert [line.type for line in lines][-4:] == ["dlr", "webhook", "webhook", "webhook"]
    assert len({(line.at, line.seq) for line in lines}) == len(lines)
    assert (lines[-3].at, dict(lines[-3].detail)) == (
        NOON + 5_000,
        {
            "endpoint": "whk_1",
            "event": "message.delivered",
            "attempt": 1,
            "state": "failed",
            "status_code": 503,
            "dur_ms": 34,
            "error": "http_5xx 503",
        },
    )


async def test_the_raw_fields_of_every_receipt_are_kept_and_shown(back: BackHalf) -> None:
    message = await back.submitted("a")
    await back.put_receipts(
        receipt("a", MessageState.UNDELIVERABLE, err="21b", network_error_type=3, network_error_code=27),
        receipt("a", MessageState.REJECTED, err="0x9", raw_stat="REJECTD"),
    )
    await back.turn()
    lines = await back.views.list_events("acme", message.id, limit=100, after=None)
    assert lines is not None
    first, second = (line.detail for line in lines if line.type == "dlr")
    assert (first["err"], first["network_error_type"], first["network_error_code"]) == ("21b", 3, 27)
    assert (first["message_state"], first["done_date"]) == ("UNDELIVERABLE", "2611241200")
    assert (second["err"], second["stat"], second["effect"]) == ("0x9", "REJECTD", "conflict")


async def test_a_throttled_try_shows_its_status_and_the_time_of_the_next(back: BackHalf) -> None:
    from gateway.domain.events import SegmentResult

    message = await back.accepted()
    throttled = SegmentResult(1, State.QUEUED, NOON + 22, "throttled", "ESME_RTHROTTLED", "tx1", 9, 12)
    await back.put(
        attempted(message, state=State.QUEUED, at=NOON + 22, retries=(throttled,), retry_at=NOON + 522)
    )
    await back.put(attempted(message, "a", at=NOON + 600))
    await back.turn()
    lines = await back.views.list_events("acme", message.id, limit=100, after=None)
    assert lines is not None
    assert [line.type for line in lines][3:] == [
        "submitted",
        "throttled",
        "retry",
        "submitted",
        "acknowledged",
    ]
    assert lines[4].detail["command_status"] == "ESME_RTHROTTLED"
    assert lines[5].detail["retry_in_ms"] == 500


async def test_limits_are_kept_within_bounds(back: BackHalf) -> None:
    await back.accepted()
    await back.turn()
    assert len(await back.views.list_messages("acme", ALL, limit=0, before=None)) == 1
    assert len(await back.views.list_messages("acme", ALL, limit=10**9, before=None)) == 1
    assert (
        len(await back.views.list_messages("acme", MessageFilters(since=1 << 60), limit=5, before=None)) == 0
    )
