"""The recorder on a real database: every event counts once, whatever is repeated, refused or killed."""

import asyncio
from typing import Any

import pytest

from gateway.bus.topics import EVENTS, RECORDER_GROUP
from gateway.domain.events import Accepted, Attempted, Noted, SegmentResult
from gateway.domain.lifecycle import State
from gateway.domain.message import MessageClass
from gateway.domain.receipts import MessageState
from gateway.ports.bus import Record
from gateway.ports.intake_store import StoreUnavailableError
from gateway.store.pool import Database
from tests.support.records import DAY, HOUR, NOON, BackHalf, a_message, attempted, receipt

pytestmark = pytest.mark.postgres


@pytest.fixture
async def back(db: Database) -> BackHalf:
    return await BackHalf(db).start()


async def test_the_life_of_a_message_of_one_segment(back: BackHalf) -> None:
    message = await back.accepted(metadata={"team": "auth"}, client_ref="login-991")
    await back.turn()
    view = await back.views.get_message("acme", message.id)
    assert view is not None
    assert (view.state, view.attempt, view.carrier, view.metadata) == (
        "queued",
        0,
        "telco_a",
        {"team": "auth"},
    )

    await back.put(attempted(message, "7f3a"))
    await back.turn()
    view = await back.views.get_message("acme", message.id)
    assert view is not None
    assert (view.state, view.attempt, view.submitted_at, view.final_at) == ("submitted", 1, NOON + 40, None)

    await back.put_receipts(receipt("7f3a"))
    await back.turn()
    view = await back.views.get_message("acme", message.id)
    assert view is not None
    assert (view.state, view.final_at, view.error, view.partial) == ("delivered", NOON + 4_000, "", False)
    lines = await back.views.list_events("acme", message.id, limit=100, after=None)
    assert lines is not None
    assert [(line.at - NOON, line.type) for line in lines] == [
        (0, "accepted"),
        (0, "queued"),
        (0, "routed"),
        (4, "submitted"),
        (40, "acknowledged"),
        (4000, "dlr"),
    ]
    detail = {line.type: line.detail for line in lines}
    assert detail["accepted"] == {"source": "api", "request_id": "req_1"}
    assert detail["queued"] == {"topic": "lane.telco_a.transactional"}
    assert detail["routed"] == {"carrier": "telco_a", "why": "prefix 52"}
    assert detail["submitted"] == {
        "segment": 1,
        "attempt": 1,
        "carrier": "telco_a",
        "bind": "tx1",
        "sequence": 4001,
    }
    assert detail["acknowledged"]["carrier_message_id"] == "7f3a"
    assert detail["acknowledged"]["dur_ms"] == 36
    assert detail["dlr"]["state"] == "delivered"
    assert detail["dlr"]["raw"] == "id:7f3a stat:DELIVER err:000"
    assert detail["dlr"]["err"] == "000"
    # What the rows tell already is not written a second time.
    assert await back.count("message_events") == 0
    assert back.metric("messages_final_total", carrier="telco_a", state="delivered") == 1


async def test_a_whole_life_in_one_batch_is_written_once(back: BackHalf) -> None:
    message = a_message()
    await back.put(Accepted(message), attempted(message, None, state=State.REJECTED, reason="refused"))
    await back.turn()
    view = await back.views.get_message("acme", message.id)
    assert view is not None
    assert (view.state, view.error, view.attempt) == ("rejected", "refused", 1)
    assert back.metric("messages_final_total", carrier="telco_a", state="rejected") == 1
    assert await back.timeline(message) == [
        "accepted",
        "queued",
        "routed",
        "submitted",
        "refused",
        "segment_failed",
        "rejected",
    ]


async def test_a_message_of_three_segments_is_delivered_when_the_last_is(back: BackHalf) -> None:
    """F17"""
    message = await back.submitted("a", "b", "c")
    await back.put_receipts(receipt("c"), receipt("a"))
    await back.turn()
    assert await back.state(message) == ("submitted", False)
    await back.put_receipts(receipt("b"))
    await back.turn()
    assert await back.state(message) == ("delivered", False)


async def test_segments_refused_at_submit_after_the_others_were_delivered_close_the_message(
    back: BackHalf,
) -> None:
    """F17: no receipt will come for a segment that was never taken."""
    message = await back.accepted(segment_count=2)
    retry = SegmentResult(2, State.QUEUED, NOON + 40, "refused", "ESME_RMSGQFUL", "tx1", 5, 9)
    await back.put(attempted(message, "a", retries=(retry,), retry_at=NOON + 1_040, reason="retry_later"))
    await back.turn()
    await back.put_receipts(receipt("a"))
    await back.turn()
    assert await back.state(message) == ("submitted", False)

    await back.put(
        attempted(message, None, first=2, attempt=2, at=NOON + 9_000, state=State.REJECTED, reason="refused")
    )
    await back.turn()
    assert await back.state(message) == ("rejected", True)
    types = await back.timeline(message)
    assert types[-1] == "settled"
    assert types.count("retry") == 1


async def test_a_refused_segment_waits_for_the_receipts_of_the_others(back: BackHalf) -> None:
    """F17"""
    message = await back.accepted(segment_count=2)
    await back.put(attempted(message, "a", None))
    await back.turn()
    assert await back.state(message) == ("submitted", False)
    await back.put_receipts(receipt("a"))
    await back.turn()
    assert await back.state(message) == ("rejected", True)


async def test_the_same_events_again_change_nothing(back: BackHalf) -> None:
    message = a_message(segment_count=2)
    events = [
        Accepted(message),
        attempted(message, "a", "b"),
        Noted(message.id, NOON, "moved", carrier="telco_b"),
    ]
    await back.put(*events)
    await back.turn()
    await back.put_receipts(receipt("a"), receipt("b"))
    await back.turn()
    before = [await back.count(table) for table in ("messages", "submissions", "message_events")]
    await back.put(*events, Accepted(a_message()))
    await back.turn()
    assert await back.state(message) == ("delivered", False)
    after = [await back.count(table) for table in ("messages", "submissions", "message_events")]
    assert after == [before[0] + 1, before[1], before[2] + 1]  # the new message, and the note said twice
    assert back.metric("messages_final_total", carrier="telco_b", state="delivered") == 1


async def test_a_batch_read_twice_is_stored_once(back: BackHalf) -> None:
    """On a bus outside the database the position can be lost after the rows were committed."""
    message = a_message()
    await back.put(
        Accepted(message), attempted(message, "a"), Noted(message.id, NOON, "requeued", reason="breaker")
    )
    await back.turn()
    async with back.db.acquire() as connection:
        await connection.execute("UPDATE bus_position SET next_offset = 0")
    again = back.new_recorder()
    assert await again.reader.drain() == 3
    assert await back.count("messages") == 1
    assert await back.count("submissions") == 1
    assert await back.count("message_events") == 1


async def test_a_crash_before_the_commit_leaves_no_trace(
    back: BackHalf, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = a_message()
    await back.put(Accepted(message), attempted(message, "a"))

    async def die(*_: Any, **__: Any) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr(back.bus, "commit", die)
        with pytest.raises(StoreUnavailableError):
            await back.recorder.reader.drain()
    assert await back.count("messages") == 0
    assert await back.new_recorder().reader.drain() == 2
    assert await back.state(message) == ("submitted", False)


async def test_the_state_never_goes_back(back: BackHalf) -> None:
    message = await back.submitted("a")
    await back.put(Noted(message.id, NOON, "requeued", state=State.QUEUED))
    await back.turn()
    assert await back.state(message) == ("submitted", False)
    await back.put(Noted(message.id, NOON + 50, "expired", state=State.EXPIRED))
    await back.put(Noted(message.id, NOON + 60, "failed", state=State.FAILED))
    await back.turn()
    assert await back.state(message) == ("expired", False)
    assert back.metric("messages_final_total", carrier="telco_a", state="expired") == 1
    assert back.metric("messages_final_total", carrier="telco_a", state="failed") == 0


async def test_a_poison_record_is_kept_and_passed(back: BackHalf) -> None:
    message = a_message()
    await back.bus.append(
        [Record(EVENTS, b"k", b"not an envelope"), Record(EVENTS, b"k", b'{"v":9,"t":"x","d":{}}')]
    )
    await back.put(Accepted(message))
    await back.turn()
    assert await back.state(message) == ("queued", False)
    assert await back.count("dead_records") == 2
    assert back.metric("messages_dead_lettered_total", reason="envelope") == 2
    assert sum(lag.records for lag in await back.bus.lag(RECORDER_GROUP)) == 0


async def test_a_value_the_database_refuses_kills_only_its_own_record(back: BackHalf) -> None:
    good, bad, other = a_message(), a_message(), a_message()
    await back.put(
        Accepted(good), Attempted(bad.id, NOON, "telco_a", 70_000, 1, (), State.QUEUED), Accepted(bad)
    )
    huge = SegmentResult(1, State.SUBMITTED, NOON, "submitted", response_ms=1 << 40, carrier_message_id="z")
    await back.put(Accepted(other), Attempted(other.id, NOON, "telco_a", 1, 1, (huge,), State.SUBMITTED))
    await back.turn()
    assert await back.state(good) == ("queued", False)
    assert await back.state(bad) == ("queued", False)
    assert await back.count("dead_records") == 2
    assert back.metric("messages_dead_lettered_total", reason="rejected") == 2


async def test_nul_characters_are_stored_as_replacement_characters(back: BackHalf) -> None:
    message = a_message(text="a\x00b", sender="A\x00", metadata={"k": "v\x00"}, client_ref="r\x00")
    await back.put(Accepted(message), attempted(message, "id\x00"))
    await back.put_receipts(receipt("id\x00", raw="id:\x00"))
    await back.turn()
    view = await back.views.get_message("acme", message.id)
    assert view is not None
    assert (view.state, view.sender, view.metadata) == ("delivered", "A\ufffd", {"k": "v\ufffd"})
    assert await back.count("dead_records") == 0


async def test_a_late_answer_brings_the_carrier_id_and_the_receipt_finds_it(back: BackHalf) -> None:
    message = await back.accepted(message_class=MessageClass.COLLECTIONS)
    doubt = SegmentResult(1, State.SUBMITTED, NOON + 20_000, "ambiguous", "timeout", "tx1", 7, 20_000)
    await back.put(
        Attempted(message.id, NOON + 20_000, "telco_a", 1, 1, (doubt,), State.SUBMITTED, reason="in_doubt")
    )
    await back.turn()
    view = await back.views.get_message("acme", message.id)
    assert view is not None
    assert (view.state, view.submitted_at) == ("submitted", None)

    await back.put(attempted(message, "late", at=NOON + 25_000))
    await back.put_receipts(receipt("late", received_at=NOON + 30_000))
    await back.turn()
    assert await back.state(message) == ("delivered", False)
    assert await back.timeline(message) == [
        "accepted",
        "queued",
        "routed",
        "submitted",
        "in_doubt",
        "submitted",
        "acknowledged",
        "dlr",
    ]


async def test_a_failover_shows_where_the_message_went_and_why(back: BackHalf) -> None:
    message = await back.accepted()
    refused = SegmentResult(1, State.QUEUED, NOON + 40, "refused", "ESME_RSUBMITFAIL", "tx1", 5, 9)
    await back.put(
        attempted(message, state=State.QUEUED, retries=(refused,), next_carrier="telco_b", reason="failover"),
        attempted(message, "x", carrier="telco_b", attempt=2, at=NOON + 90),
    )
    await back.turn()
    view = await back.views.get_message("acme", message.id)
    assert view is not None
    assert (view.state, view.carrier, view.attempt) == ("submitted", "telco_b", 2)
    lines = await back.views.list_events("acme", message.id, limit=100, after=None)
    assert lines is not None
    by_type = {line.type: line.detail for line in lines}
    assert by_type["refused"]["command_status"] == "ESME_RSUBMITFAIL"
    assert by_type["moved"] == {"from_carrier": "telco_a", "carrier": "telco_b", "reason": "failover"}


async def test_many_messages_over_two_days_are_updated_in_one_batch(back: BackHalf) -> None:
    old = [a_message(accepted_at=NOON - DAY + n) for n in range(30)]
    new = [a_message(accepted_at=NOON + n) for n in range(30)]
    await back.put(*(Accepted(one) for one in old + new))
    await back.turn()
    await back.put(*(attempted(one, f"id{n}") for n, one in enumerate(old + new)))
    await back.turn()
    await back.put_receipts(*(receipt(f"id{n}") for n in range(60)))
    await back.turn()
    assert {await back.state(one) for one in old + new} == {("delivered", False)}
    assert await back.count("messages_default") == 0


async def test_run_works_until_stop_and_finishes_the_batch_in_hand(back: BackHalf) -> None:
    recorder = back.new_recorder(linger_s=0.0)
    task = asyncio.create_task(recorder.run(), name="recorder")
    message = a_message()
    await back.put(Accepted(message))
    async with asyncio.timeout(10):
        while not await back.count("messages"):
            await back.bus.wait([EVENTS], timeout_s=0.01)
        recorder.stop()
        await task
    assert await back.state(message) == ("queued", False)


async def test_run_outlives_a_database_that_fails(back: BackHalf, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = back.new_recorder(linger_s=0.0)
    failures = iter((OSError("gone"), TimeoutError()))
    good = back.bus.position

    async def position(*args: Any) -> Any:
        if error := next(failures, None):
            raise error
        return await good(*args)

    monkeypatch.setattr(back.bus, "position", position)
    await back.put(Accepted(a_message()))
    task = asyncio.create_task(recorder.run(), name="recorder")
    async with asyncio.timeout(10):
        while not await back.count("messages"):
            await back.bus.wait([EVENTS], timeout_s=0.01)
        recorder.stop()
        await task
    assert back.metric("store_errors_total", table="messages", reason="database") == 2


async def test_a_message_that_nobody_answered_ends_as_unknown_at_the_receipt_deadline(back: BackHalf) -> None:
    """P6"""
    silent = [await back.submitted(f"s{n}") for n in range(7)]
    longer = await back.submitted("l", valid_until=NOON + 40 * HOUR)
    heard = await back.submitted("h")
    await back.put_receipts(receipt("h"))
    await back.turn()

    back.clock.ms = NOON + 72 * HOUR
    assert await back.silence.sweep() == 0  # validity is an hour more
    back.clock.ms = NOON + 74 * HOUR
    assert await back.silence.sweep() == 7
    await back.turn()
    assert {await back.state(one) for one in silent} == {("unknown", False)}
    assert await back.state(longer) == ("submitted", False)
    assert await back.state(heard) == ("delivered", False)
    assert (await back.timeline(silent[0]))[-1] == "receipt_deadline"

    # A receipt after the deadline is recorded and changes nothing; the rest of the day closes for good.
    await back.put_receipts(receipt("s0"))
    await back.turn()
    assert await back.state(silent[0]) == ("unknown", False)
    back.clock.ms = NOON + 200 * HOUR
    assert await back.silence.sweep() == 1
    await back.turn()
    assert await back.silence.sweep() == 0
    assert await back.count("closed_days") >= 1


async def test_intermediate_unknown_stays_open_until_the_deadline(back: BackHalf) -> None:
    """F14"""
    message = await back.submitted("u")
    await back.put_receipts(receipt("u", MessageState.UNKNOWN), receipt("u", MessageState.ACCEPTED))
    await back.turn()
    assert await back.state(message) == ("submitted", False)
    await back.put_receipts(receipt("u"))
    await back.turn()
    assert await back.state(message) == ("delivered", False)
    assert (await back.timeline(message)).count("dlr") == 3


async def test_days_are_made_ahead_and_dropped_after_their_retention(back: BackHalf) -> None:
    early = a_message(accepted_at=NOON + 20 * DAY)  # its day is not made yet
    await back.put(Accepted(early))
    await back.turn()
    assert await back.count("messages_default") == 1
    back.clock.ms = NOON + 20 * DAY
    await back.partitions.keep(now_ms=back.clock.ms)
    assert await back.count("messages_default") == 0
    assert await back.state(early) == ("queued", False)
    message = await back.accepted()
    await back.turn()
    assert await back.state(message) == ("queued", False)
    await back.partitions.keep(now_ms=NOON + 32 * DAY)
    assert await back.views.get_message("acme", message.id) is None
    assert await back.state(early) == ("queued", False)


async def test_partitions_may_be_kept_by_several_processes_at_once(db: Database) -> None:
    back = BackHalf(db)
    await asyncio.gather(*(back.partitions.keep(now_ms=NOON) for _ in range(4)))
    async with db.acquire() as connection:
        names = await connection.fetch(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'messages'::regclass"
        )
    assert len(names) == 10  # yesterday, today, a week ahead, default
