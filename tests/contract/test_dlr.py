"""Receipts on a real database: early, repeated, out of order, contradicting, foreign; none lost, one final state."""

import asyncio
import contextlib
from typing import Any

import pytest

from dlr.parking import PARKED_MS, replay_orphans
from dlr.silence import RECEIPT_WAIT_MS
from gateway.bus.codec import encode
from gateway.bus.topics import DLR_GROUP, EVENTS, RECEIPTS, RECORDER_GROUP
from gateway.domain.events import Accepted
from gateway.domain.lifecycle import State
from gateway.domain.message import Message
from gateway.domain.receipts import MessageState
from gateway.ports.bus import Lag, Record
from gateway.ports.record_store import (
    CarrierKey,
    MessagePatch,
    PlainReceipt,
    ReceiptRaceError,
    ReceiptUpdate,
)
from gateway.store.pool import Database
from gateway.store.tallies import PostgresTallies
from tests.support.records import DAY, NOON, BackHalf, a_message, attempted, receipt

pytestmark = pytest.mark.postgres


@pytest.fixture
async def back(db: Database) -> BackHalf:
    return await BackHalf(db).start()


async def effects(back: BackHalf, message: Message) -> list[str]:
    """The effect of each receipt in the timeline; the deciding one shows as its state."""
    lines = await back.views.list_events("acme", message.id, limit=100, after=None)
    assert lines is not None
    return [str(line.detail.get("effect", line.detail["state"])) for line in lines if line.type == "dlr"]


async def test_f15_a_receipt_before_its_submission_is_parked_and_then_paired(back: BackHalf) -> None:
    message = await back.accepted()
    await back.put_receipts(receipt("early"))
    await back.turn()
    assert await back.count("parked_receipts") == 1
    assert back.metric("dlr_unmatched_total", carrier="telco_a") == 1

    await back.put(attempted(message, "early"))
    await back.turn()
    assert await back.state(message) == ("delivered", False)
    assert await back.count("parked_receipts") == 0


async def test_f15_a_pair_that_both_sides_missed_is_found_by_the_sweeper(
    back: BackHalf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recorder and dlr die between their commit and their look."""

    async def look_at_nothing(*_: Any) -> list[Any]:
        return []

    message = await back.accepted()
    await back.put_receipts(receipt("lost"), receipt("foreign"))
    await back.turn()
    with monkeypatch.context() as patch:
        patch.setattr(back.parked, "take", look_at_nothing)
        await back.put(attempted(message, "lost"))
        await back.turn()
    assert await back.state(message) == ("submitted", False)
    assert await back.sweeper.sweep() == 1
    await back.turn()
    assert await back.state(message) == ("delivered", False)
    assert await back.count("parked_receipts") == 1
    assert await back.sweeper.sweep() == 0


async def test_f15_submission_committed_between_look_up_and_parking_is_seen_by_the_second_look(
    back: BackHalf, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = await back.accepted()
    await back.turn()
    park = back.parked.park

    async def park_late(tx: Any, rows: Any) -> None:
        if rows:
            await back.put(attempted(message, "race"))
            await back.recorder.reader.drain()
        await park(tx, rows)

    monkeypatch.setattr(back.parked, "park", park_late)
    await back.put_receipts(receipt("race"))
    assert await back.dlr.reader.drain() == 2  # once unmatched, once handed back by the second look
    await back.turn()
    assert await back.state(message) == ("delivered", False)


async def test_parked_receipts_become_orphans_after_a_day_and_are_bounded_in_number(back: BackHalf) -> None:
    await back.put_receipts(*(receipt(f"foreign{n}") for n in range(8)))
    await back.turn()
    assert await back.parking.expire(limit=100, max_rows=5) == 3
    assert await back.sweeper.sweep() == 0
    assert (await back.count("parked_receipts"), await back.count("orphan_receipts")) == (5, 3)
    assert (back.metric("dlr_parked_receipts"), back.metric("dlr_orphan_receipts")) == (5, 3)
    back.clock.ms += PARKED_MS
    await back.sweeper.sweep()
    assert (await back.count("parked_receipts"), await back.count("orphan_receipts")) == (0, 8)
    assert back.metric("messages_dead_lettered_total", reason="receipt_without_submission") == 5
    found = await back.orphans.list_orphans(carrier=None, since=None, limit=10, before=None)
    assert [(one.carrier_message_id, one.reason) for one in found] == [
        *((f"foreign{n}", "expired") for n in (7, 6, 5, 4, 3)),
        *((f"foreign{n}", "crowded_out") for n in (2, 1, 0)),
    ]


async def test_an_orphan_is_listed_and_finds_its_message_when_it_is_played_again(back: BackHalf) -> None:
    """As when the id format of a carrier was configured wrongly, and then mended."""
    message = await back.accepted()
    await back.put_receipts(receipt("early"), receipt("foreign", carrier="telco_b"), receipt("foreign"))
    await back.turn()
    back.clock.ms += PARKED_MS
    await back.sweeper.sweep()
    await back.put(attempted(message, "early"))
    await back.turn()
    assert await back.state(message) == ("submitted", False)
    assert await replay_orphans(back.bus, db=back.db, orphans=back.orphans, carrier="telco_a", limit=1) == 1
    assert await replay_orphans(back.bus, db=back.db, orphans=back.orphans, carrier="telco_a") == 1
    await back.turn()
    assert await back.state(message) == ("delivered", False)
    assert await effects(back, message) == ["delivered"]
    # The foreign one of this carrier waits for another day; that of the other was left where it was.
    assert (await back.count("parked_receipts"), await back.count("orphan_receipts")) == (1, 1)


async def test_a_replay_that_is_cut_off_loses_and_doubles_nothing(
    back: BackHalf, monkeypatch: pytest.MonkeyPatch
) -> None:
    await back.put_receipts(*(receipt(f"foreign{n}") for n in range(5)))
    await back.turn()
    await back.parking.expire(limit=100, max_rows=0)
    append = back.bus.append

    async def die(*arguments: Any, **named: Any) -> None:
        await append(*arguments, **named)
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(back.bus, "append", die)
        with pytest.raises(RuntimeError):
            await replay_orphans(back.bus, db=back.db, orphans=back.orphans)
    assert await back.count("orphan_receipts") == 5
    assert await replay_orphans(back.bus, db=back.db, orphans=back.orphans) == 5
    await back.turn()
    assert (await back.count("parked_receipts"), await back.count("orphan_receipts")) == (5, 0)


async def test_orphans_are_bounded_too_and_what_is_dropped_is_counted(back: BackHalf) -> None:
    await back.put_receipts(*(receipt(f"foreign{n}") for n in range(8)))
    await back.turn()
    await back.parking.expire(limit=100, max_rows=0)
    assert await back.parking.drop_orphans(limit=100, max_rows=10) == 0
    assert await back.parking.drop_orphans(limit=2, max_rows=5) == 2
    assert await back.parking.drop_orphans(limit=2, max_rows=5) == 1
    assert await back.count("orphan_receipts") == 5


async def test_the_list_of_orphans_holds_those_that_still_wait_and_goes_by_pages(back: BackHalf) -> None:
    await back.put_receipts(*(receipt(f"f{n}", carrier=f"telco_{'ab'[n % 2]}") for n in range(8)))
    await back.turn()
    await back.parking.expire(limit=100, max_rows=5)
    seen, before = [], None
    while page := await back.orphans.list_orphans(carrier=None, since=None, limit=3, before=before):
        seen += page
        before = page[-1].id
    assert sorted(one.reason for one in seen) == ["crowded_out"] * 3 + ["waiting"] * 5
    assert [one.id for one in seen] == sorted((one.id for one in seen), reverse=True)
    ours = await back.orphans.list_orphans(carrier="telco_a", since=None, limit=100, before=None)
    assert {one.carrier for one in ours} == {"telco_a"}
    assert len(ours) == 4
    later = back.clock.ms + 1
    assert await back.orphans.list_orphans(carrier=None, since=later, limit=100, before=None) == []


async def test_the_timeline_tells_that_a_receipt_was_parked_and_when_it_was_paired(back: BackHalf) -> None:
    message = await back.accepted()
    await back.put_receipts(receipt("early", MessageState.ENROUTE), receipt("early"))
    await back.turn()
    parked_at = back.clock.ms
    back.clock.ms += 7_000
    await back.put(attempted(message, "early"))
    await back.turn()
    lines = await back.views.list_events("acme", message.id, limit=100, after=None)
    assert lines is not None
    details = [line.detail for line in lines if line.type == "dlr"]
    assert [one["parked_at"] for one in details] == [parked_at, parked_at]
    assert [one.get("paired_at") for one in details if one["state"] == "delivered"] == [parked_at + 7_000]

    direct = await back.submitted("direct")
    await back.put_receipts(receipt("direct"))
    await back.turn()
    lines = await back.views.list_events("acme", direct.id, limit=100, after=None)
    assert lines is not None
    assert "parked_at" not in lines[-1].detail


async def test_f16_a_receipt_three_times_counts_once(back: BackHalf) -> None:
    message = await back.submitted("a")
    await back.put_receipts(receipt("a"), receipt("a"))
    await back.turn()
    await back.put_receipts(receipt("a"))
    await back.turn()
    assert await back.state(message) == ("delivered", False)
    assert await effects(back, message) == ["delivered", "duplicate", "duplicate"]
    assert back.metric("dlr_duplicate_total", carrier="telco_a") == 2
    assert back.metric("messages_final_total", carrier="telco_a", state="delivered") == 1
    assert back.metric("dlr_latency_seconds_count", carrier="telco_a") == 1
    assert back.metric("dlr_received_total", carrier="telco_a", state="DELIVERED") == 3


async def test_f16_an_intermediate_after_the_final_is_late(back: BackHalf) -> None:
    message = await back.submitted("a")
    await back.put_receipts(
        receipt("a", MessageState.ENROUTE),
        receipt("a", MessageState.ENROUTE),
        receipt("a"),
        receipt("a", MessageState.ACCEPTED),
    )
    await back.turn()
    assert await back.state(message) == ("delivered", False)
    assert await effects(back, message) == ["delivered", "applied", "duplicate", "late"]
    assert back.metric("dlr_out_of_order_total", carrier="telco_a") == 1


async def test_intermediate_states_only_go_forward(back: BackHalf) -> None:
    message = await back.submitted("a")
    await back.put_receipts(
        receipt("a", MessageState.SCHEDULED),
        receipt("a", MessageState.ACCEPTED),
        receipt("a", MessageState.ENROUTE),
        receipt("a", MessageState.UNKNOWN),
        receipt("a"),
    )
    await back.turn()
    assert await effects(back, message) == ["delivered", "applied", "applied", "late", "applied"]
    assert back.metric("dlr_out_of_order_total", carrier="telco_a") == 1
    assert await back.state(message) == ("delivered", False)


async def test_f14_unknown_is_closed_by_the_deadline_and_a_final_before_it_still_counts(
    back: BackHalf,
) -> None:
    closed, mended = await back.submitted("closed"), await back.submitted("mended")
    await back.put_receipts(receipt("closed", MessageState.UNKNOWN), receipt("mended", MessageState.UNKNOWN))
    await back.turn()
    assert {await back.state(one) for one in (closed, mended)} == {("submitted", False)}
    back.clock.ms = closed.valid_until + RECEIPT_WAIT_MS - 1
    await back.put_receipts(receipt("mended", received_at=back.clock.ms))
    await back.turn()
    assert await back.silence.sweep() == 0
    back.clock.ms += 1
    assert await back.silence.sweep() == 1
    await back.turn()
    assert await back.state(closed) == ("unknown", False)
    assert await back.state(mended) == ("delivered", False)
    await back.put_receipts(receipt("closed", received_at=back.clock.ms + 1))
    await back.turn()
    assert await back.state(closed) == (
        "unknown",
        False,
    )  # the first final stays, the receipt is in the timeline
    lines = await back.views.list_events("acme", closed.id, limit=100, after=None)
    assert lines is not None
    assert [(line.type, line.detail["state"]) for line in lines[-2:]] == [
        ("receipt_deadline", "unknown"),
        ("dlr", "delivered"),
    ]


async def test_what_waits_for_receipts_and_what_was_lost_is_counted(back: BackHalf) -> None:
    tallies = PostgresTallies(back.db)
    never_sent = await back.accepted()
    waiting = await back.submitted("w1", "w2")
    await back.submitted("d")
    assert back.metric("dlr_pending_messages", carrier="telco_a") == 3
    assert await tallies.pending_segments(limit=100) == {"telco_a": 3}
    await back.put_receipts(receipt("d"), receipt("d"), receipt("w1", MessageState.ENROUTE))
    await back.turn()
    assert back.metric("dlr_pending_messages", carrier="telco_a") == 2
    assert back.metric("messages_deduplicated_total", stage="dlr") == 1
    assert await tallies.pending_segments(limit=100) == {"telco_a": 2}
    assert await tallies.pending_segments(limit=1) == {}
    back.clock.ms = max(never_sent.valid_until, waiting.valid_until) + RECEIPT_WAIT_MS
    assert await back.silence.sweep() == 2
    assert back.metric("conservation_lost_messages_total") == 1
    assert back.metric("conservation_check_timestamp_seconds") == back.clock.ms / 1000


async def test_of_two_contradicting_finals_the_first_wins(back: BackHalf) -> None:
    message = await back.submitted("a")
    await back.put_receipts(receipt("a", MessageState.UNDELIVERABLE, err="21b"), receipt("a"))
    await back.turn()
    assert await back.state(message) == ("undeliverable", False)
    assert await effects(back, message) == ["undeliverable", "conflict"]
    view = await back.views.get_message("acme", message.id)
    assert view is not None
    assert view.error == "UNDELIVERABLE err:21b"


async def test_f14_an_intermediate_notification_never_delivers(back: BackHalf) -> None:
    message = await back.submitted("a")
    await back.put_receipts(receipt("a", intermediate=True))
    await back.turn()
    assert await back.state(message) == ("submitted", False)
    await back.put_receipts(receipt("a"))
    await back.turn()
    assert await back.state(message) == ("delivered", False)


async def test_the_same_id_at_another_carrier_is_another_message(back: BackHalf) -> None:
    ours = await back.submitted("77")
    theirs = await back.accepted(carrier="telco_b")
    await back.put(attempted(theirs, "77", carrier="telco_b"))
    await back.turn()
    await back.put_receipts(receipt("77", MessageState.REJECTED, carrier="telco_b"))
    await back.turn()
    assert await back.state(ours) == ("submitted", False)
    assert await back.state(theirs) == ("rejected", False)


async def test_f15_receipts_find_their_message_on_any_bind_and_after_a_restart(back: BackHalf) -> None:
    message = await back.submitted("a", "b", "c")
    await back.put_receipts(receipt("a", bind="tx1"))
    await back.turn()
    await back.put_receipts(receipt("b", bind="rx7"), receipt("c", bind="trx2"))
    restarted = back.new_dlr()
    assert await restarted.reader.drain() == 2
    await back.new_recorder().reader.drain()
    assert await back.state(message) == ("delivered", False)
    lines = await back.views.list_events("acme", message.id, limit=100, after=None)
    assert lines is not None
    assert {line.detail["bind"] for line in lines if line.type == "dlr"} == {"tx1", "rx7", "trx2"}


async def test_a_reused_id_belongs_to_the_newest_submission(back: BackHalf) -> None:
    """Carriers reuse ids; the order of acceptance does not matter, the order of submits does."""
    submitted_last = await back.accepted()
    submitted_first = await back.accepted()
    await back.put(attempted(submitted_first, "1", at=NOON + 100))
    await back.put(attempted(submitted_last, "1", at=NOON + 9_000))
    await back.put_receipts(receipt("1", received_at=NOON + 10_000))
    await back.turn()
    assert await back.state(submitted_first) == ("submitted", False)
    assert await back.state(submitted_last) == ("delivered", False)


async def test_f3_the_second_id_matches_where_the_first_does_not(back: BackHalf) -> None:
    matched = await back.submitted("text-id")
    await back.put_receipts(receipt("tlv-id", second_id="text-id"))
    await back.turn()
    assert await back.state(matched) == ("delivered", False)

    early = await back.accepted()
    await back.put_receipts(receipt("tlv-2", second_id="text-2"))
    await back.turn()
    await back.put(attempted(early, "text-2"))
    await back.turn()
    assert await back.state(early) == ("delivered", False)


async def test_f20_a_submission_without_carrier_id_matches_nothing(back: BackHalf) -> None:
    message = await back.accepted()
    await back.put(attempted(message, ""))
    await back.put_receipts(receipt(""))
    await back.turn()
    assert await back.state(message) == ("submitted", False)
    assert await back.count("parked_receipts") == 1


async def test_a_receipt_finds_a_message_of_days_ago(back: BackHalf) -> None:
    """The oldest: 14 days until send_at, three of validity, three more for the receipt."""
    for days in (4, 20):
        old = await back.submitted(f"old{days}", accepted_at=NOON - days * DAY)
        await back.put_receipts(receipt(f"old{days}"))
        await back.turn()
        assert await back.state(old) == ("delivered", False)


async def test_f17_the_worst_final_wins_with_partial(back: BackHalf) -> None:
    message = await back.submitted("a", "b", "c")
    await back.put_receipts(
        receipt("b", MessageState.EXPIRED), receipt("a"), receipt("c", MessageState.UNDELIVERABLE)
    )
    await back.turn()
    assert await back.state(message) == ("undeliverable", True)


async def test_f17_two_consumers_with_one_segment_each_close_the_message(db: Database) -> None:
    """Each holds the receipt of one segment at the same time; whoever is second must see the first."""
    back = await BackHalf(db).start(receipt_partitions=2)
    by_partition: dict[int, list[str]] = {0: [], 1: []}
    for n in range(200):
        await back.put_receipts(receipt(f"p{n}"))
        found = [await back.bus.read(RECEIPTS, one, offset=0, limit=1000) for one in (0, 1)]
        for one in (0, 1):
            if len(found[one]) > len(by_partition[one]):
                by_partition[one].append(f"p{n}")
        if all(len(ids) >= 20 for ids in by_partition.values()):
            break
    await back.turn()
    pairs = list(zip(by_partition[0], by_partition[1], strict=False))[:20]
    async with db.acquire() as connection:
        await connection.execute("DELETE FROM parked_receipts")
    messages = [await back.submitted(*pair) for pair in pairs]
    await back.put_receipts(*(receipt(one) for pair in pairs for one in pair))
    consumers = [back.new_dlr(partitions=(one,), batch_limit=1) for one in (0, 1)]
    await asyncio.gather(*(one.reader.drain() for one in consumers))
    await back.turn()
    assert {await back.state(one) for one in messages} == {("delivered", False)}


async def test_f17_a_recorder_and_dlr_at_the_same_time_close_the_message(back: BackHalf) -> None:
    """One segment fails at submit while the other's receipt is being judged."""
    messages = []
    for n in range(20):
        message = await back.accepted(segment_count=2)
        await back.put(attempted(message, f"r{n}"))
        messages.append(message)
    await back.turn()
    for n, message in enumerate(messages):
        await back.put(attempted(message, None, first=2, attempt=2, state=State.REJECTED))
        await back.put_receipts(receipt(f"r{n}"))
    small_recorder, small_dlr = back.new_recorder(batch_limit=1), back.new_dlr(batch_limit=1)
    await asyncio.gather(small_recorder.reader.drain(), small_dlr.reader.drain())
    await back.recorder.reader.drain()
    await back.turn()
    assert {await back.state(one) for one in messages} == {("rejected", True)}


async def test_an_undeliverable_first_attempt_waits_for_the_second(back: BackHalf) -> None:
    message = await back.submitted("one")
    await back.put(attempted(message, "two", attempt=2, at=NOON + 11_000))
    await back.turn()
    await back.put_receipts(receipt("one", MessageState.UNDELIVERABLE))
    await back.turn()
    assert await back.state(message) == ("submitted", False)
    await back.put_receipts(receipt("two"))
    await back.turn()
    assert await back.state(message) == ("delivered", False)


async def test_any_order_and_any_number_of_receipts_end_in_the_same_state(back: BackHalf) -> None:
    orders = (("a", "b", "b", "a"), ("b", "a"), ("a", "a", "a", "b"))
    for n, order in enumerate(orders):
        message = await back.accepted(segment_count=2)
        await back.put_receipts(receipt(f"{n}{order[0]}"))  # before the submission
        await back.turn()
        await back.put(attempted(message, f"{n}a", f"{n}b"))
        await back.put_receipts(*(receipt(f"{n}{one}") for one in order))
        await back.turn()
        assert await back.state(message) == ("delivered", False)


async def test_a_poison_receipt_is_kept_and_passed(back: BackHalf) -> None:
    message = await back.submitted("a")
    await back.bus.append(
        [Record(RECEIPTS, b"k", b"\xff"), Record(RECEIPTS, b"k", encode(Accepted(message)))]
    )
    await back.put_receipts(receipt("a"))
    await back.turn()
    assert await back.state(message) == ("delivered", False)
    assert await back.count("dead_records") == 2
    assert sum(lag.records for lag in await back.bus.lag(DLR_GROUP)) == 0


async def test_a_value_the_database_refuses_kills_only_its_own_receipt(back: BackHalf) -> None:
    message = await back.submitted("a", "b")
    await back.put_receipts(receipt("a", carrier="telco\x00"), receipt("b"), receipt("a"))
    await back.turn()
    assert await back.state(message) == ("delivered", False)
    assert await back.count("dead_records") == 1


async def test_a_crash_before_the_commit_leaves_no_trace(
    back: BackHalf, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = await back.submitted("a")
    await back.put_receipts(receipt("a"), receipt("unknown"))

    async def die(*_: Any, **__: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(back.bus, "commit", die)
        with pytest.raises(RuntimeError):
            await back.dlr.reader.drain()
    assert await back.count("parked_receipts") == 0
    await back.turn()
    assert await back.new_dlr().reader.drain() == 0
    await back.turn()
    assert await back.state(message) == ("delivered", False)
    assert await effects(back, message) == ["delivered"]


async def test_an_update_of_a_submission_that_has_its_final_receipt_by_now_is_refused(back: BackHalf) -> None:
    message = await back.submitted("a")
    update = ReceiptUpdate(message.id, 1, 1, "delivered", "{}")
    async with back.db.transaction() as tx:
        await back.submissions.apply(tx, [update])
    with pytest.raises(ReceiptRaceError):
        async with back.db.transaction() as tx:
            await back.submissions.apply(tx, [update])


async def test_a_young_receipt_waits_for_the_recorder_and_an_old_one_does_not(
    back: BackHalf, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = back.new_dlr(settle_s=0.2)
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(round(seconds, 3))

    monkeypatch.setattr(consumer.reader, "pause", pause)
    for age_ms in (0, 150, 60_000, -60_000):
        await back.put_receipts(receipt("x", received_at=back.clock.ms - age_ms))
        await consumer.reader.drain()
    assert [one for one in pauses if one > 0] == [0.2, 0.05, 0.2]


async def test_in_a_storm_of_receipts_the_recorder_is_let_follow_but_not_waited_for_for_ever(
    back: BackHalf, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = back.new_dlr(batch_limit=8)  # four of each of the two partitions
    pauses: list[float] = []
    behind = [5_000, 3_000, 2_000]

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async def lag(group: str) -> list[Lag]:
        assert group == RECORDER_GROUP
        return [Lag(EVENTS, 0, behind.pop(0) if len(behind) > 1 else behind[0], None)]

    monkeypatch.setattr(consumer.reader, "pause", pause)
    monkeypatch.setattr(back.bus, "lag", lag)
    await back.put_receipts(receipt("x"))
    await consumer.reader.drain()
    assert behind == [5_000, 3_000, 2_000]  # a batch that is not full asks nobody
    await back.put_receipts(*(receipt("x") for _ in range(4)))
    await consumer.reader.drain()
    assert [one for one in pauses if one > 0] == [0.1, 0.1]
    behind = [9_000]
    pauses.clear()
    await back.put_receipts(*(receipt("x") for _ in range(4)))
    await consumer.reader.drain()
    assert len([one for one in pauses if one > 0]) == 20
    assert await back.count("parked_receipts") == 9


class Plans:
    """Asks for the plan of a batch statement, on a connection of the product's own pool."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def of(self, statement: str, *arguments: object) -> str:
        async with self.db.acquire() as connection:
            prepared = await connection.prepare(f"EXPLAIN {statement}")
            return "\n".join(row[0] for row in await prepared.fetch(*arguments))


async def test_batches_are_index_look_ups_in_partitions_without_statistics(back: BackHalf) -> None:
    """Every midnight a fresh partition has no statistics; a hash join or sequential scan costs ten times as much."""
    statements: list[tuple[str, tuple[Any, ...]]] = []

    class Spy:
        def __init__(self, tx: Any) -> None:
            self.tx = tx

        async def fetch(self, statement: str, *arguments: Any) -> Any:
            statements.append((statement, arguments))
            return await self.tx.fetch(statement, *arguments)

        async def execute(self, statement: str, *arguments: Any) -> Any:
            statements.append((statement, arguments))
            return await self.tx.execute(statement, *arguments)

    await back.partitions.keep(now_ms=NOON - 3 * DAY)
    message = await back.submitted("a")
    async with back.db.transaction() as tx:
        spy = Spy(tx)
        found = await back.submissions.find(spy, [key_of("a")], now_ms=NOON)
        assert len(found) == 1
        await back.submissions.submissions_of(spy, [message.id])
        await back.submissions.apply(spy, [ReceiptUpdate(message.id, 1, 1, "delivered", "{}")])
        await back.messages.patch_messages(spy, [patch_of(message)])
        await back.parked.take(spy, [key_of("a")])
    other = await back.submitted("b")
    async with back.db.transaction() as tx:
        for accounts in (None, [other.account_id]):
            settled = await back.messages.settle(Spy(tx), [delivery_of("b")], now_ms=NOON, accounts=accounts)
            assert settled.places == ([0] if accounts is None else [])
    assert len(statements) == 7
    for statement, arguments in statements:
        plan = await Plans(back.db).of(statement, *arguments)
        assert "Seq Scan" not in plan, plan
        assert "Hash Join" not in plan, plan
        assert "Merge Join" not in plan, plan
        # Read once and compared with every row of the batch: what a range of days on the large table leads to.
        assert "Join Filter" not in plan, plan
        assert "Index Cond" in plan, plan


def key_of(carrier_message_id: str) -> CarrierKey:
    return CarrierKey("telco_a", carrier_message_id)


def delivery_of(carrier_message_id: str) -> PlainReceipt:
    return PlainReceipt("telco_a", carrier_message_id, NOON + 1, "{}")


def patch_of(message: Message) -> MessagePatch:
    return MessagePatch(message.id, "submitted", 2, False, "telco_a", 1, NOON, None, "")


@pytest.mark.parametrize("analyzed_rows", [0, 1, 10, 50, 300])
async def test_a_batch_reads_only_its_own_rows_whatever_the_statistics_say(
    back: BackHalf, analyzed_rows: int
) -> None:
    """A partition is empty at midnight and analyzed when it is small; what is planned then must hold for a full one."""
    made = 0

    async def fill(count: int) -> list[Message]:
        nonlocal made
        messages = [a_message() for _ in range(count)]
        await back.put(*(Accepted(one) for one in messages))
        await back.put(*(attempted(one, f"id{made + n}") for n, one in enumerate(messages)))
        await back.put_receipts(*(receipt(f"early{made + n}") for n in range(count)))
        await back.turn()
        made += count
        return messages

    first = await fill(analyzed_rows or 50)
    if analyzed_rows:
        async with back.db.acquire() as connection:
            await connection.execute("ANALYZE")
    # A plan made for the small partition stays with the session.
    await read_per_statement(back, first, ids=range(made))
    await fill(2_500)
    last = await fill(50)
    for name, rows in (await read_per_statement(back, last, ids=range(made - 50, made))).items():
        assert rows <= 50 * 3, f"{name} read {rows} rows for 50"


async def read_per_statement(back: BackHalf, messages: list[Message], *, ids: range) -> dict[str, int]:
    """Run each batch statement for these messages, undone at the end; return how many rows each has read."""
    read: dict[str, int] = {}
    keys = [key_of(f"id{n}") for n in ids]
    updates = [ReceiptUpdate(one.id, 1, 1, "delivered", "{}") for one in messages]
    patches = [patch_of(one) for one in messages]
    with contextlib.suppress(UndoneError):
        async with back.db.transaction() as tx:
            statements = {
                "find": lambda: back.submissions.find(tx, keys, now_ms=NOON),
                "submissions_of": lambda: back.submissions.submissions_of(tx, [one.id for one in messages]),
                "apply": lambda: back.submissions.apply(tx, updates),
                "patch": lambda: back.messages.patch_messages(tx, patches),
                "take": lambda: back.parked.take(tx, [key_of(f"early{n}") for n in ids]),
            }
            for name, run in statements.items():
                before = await tx.fetchval(ROWS_READ)
                await run()
                read[name] = await tx.fetchval(ROWS_READ) - before
            raise UndoneError
    with contextlib.suppress(UndoneError):
        async with back.db.transaction() as tx:
            before = await tx.fetchval(ROWS_READ)
            settled = await back.messages.settle(
                tx, [delivery_of(f"id{n}") for n in ids], now_ms=NOON, accounts=None
            )
            read["settle"] = await tx.fetchval(ROWS_READ) - before
            assert len(settled.places) == len(messages)
            raise UndoneError
    assert read["find"] >= len(keys), read  # the counters count
    return read


class UndoneError(Exception):
    """Takes back what was only tried."""


# Of this transaction alone, and of the plans that the product really runs.
ROWS_READ = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_xact_user_tables"


async def recorded(back: BackHalf) -> int:
    """Return how many events the recorder has committed."""
    places = [await back.bus.position(RECORDER_GROUP, EVENTS, partition) for partition in (0, 1)]
    return sum(place.offset for place in places)


async def test_receipts_that_deliver_need_no_event_and_every_one_is_in_the_timeline(
    back: BackHalf,
) -> None:
    """F17: a receipt that leaves the message open changes nothing, and the last one moves it at once."""
    message = await back.submitted("a", "b", "c")
    start = await recorded(back)
    await back.put_receipts(receipt("a"), receipt("b"), receipt("c"), receipt("a"))
    await back.dlr.reader.drain()
    assert await back.state(message) == ("delivered", False)
    assert back.metric("messages_final_total", carrier="telco_a", state="delivered") == 1
    await back.turn()
    assert await recorded(back) - start == 1  # the duplicate, which has no row to be in
    assert await back.state(message) == ("delivered", False)
    assert (await back.timeline(message)).count("dlr") == 4


async def test_what_the_carrier_says_of_a_failure_is_the_error_of_the_message(back: BackHalf) -> None:
    message = await back.submitted("a")
    await back.put_receipts(receipt("a", MessageState.UNDELIVERABLE, err="012"))
    await back.turn()
    view = await back.views.get_message("acme", message.id)
    assert view is not None
    assert (view.state, view.error) == ("undeliverable", "UNDELIVERABLE err:012")


async def test_read_after_delivered_is_news_once_and_changes_no_state(back: BackHalf) -> None:
    message = await back.submitted("wamid.1")
    delivered, read = receipt("wamid.1"), receipt("wamid.1", MessageState.READ, received_at=NOON + 9_000)
    await back.put_receipts(delivered)
    await back.turn()
    await back.put_receipts(read, delivered, read)
    await back.turn()
    await back.put_receipts(read)
    await back.turn()
    assert await back.state(message) == ("delivered", False)
    assert await effects(back, message) == [
        "delivered",
        "duplicate",
        "read",
        "duplicate",
        "duplicate",
    ]
    assert back.metric("dlr_out_of_order_total", carrier="telco_a") == 0
    assert back.metric("dlr_duplicate_total", carrier="telco_a") == 3
    assert back.metric("dlr_received_total", carrier="telco_a", state="READ") == 3
    async with back.db.acquire() as connection:
        assert await connection.fetchval("SELECT read_at FROM submissions") == NOON + 9_000


async def test_read_before_delivered_delivers_and_the_delivery_is_late(back: BackHalf) -> None:
    message = await back.submitted("wamid.2")
    await back.put_receipts(receipt("wamid.2", MessageState.READ), receipt("wamid.2", MessageState.ENROUTE))
    await back.turn()
    assert await back.state(message) == ("delivered", False)
    await back.put_receipts(receipt("wamid.2"), receipt("wamid.2", MessageState.READ))
    await back.turn()
    assert await back.state(message) == ("delivered", False)
    assert await effects(back, message) == ["delivered", "late", "late", "duplicate"]
    assert back.metric("dlr_out_of_order_total", carrier="telco_a") == 2
