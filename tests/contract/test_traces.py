"""Traces of messages in a real database: kept with the message, found by its id and by its submit, gone when its time is over."""

import pytest

from dlr.metrics import DlrMetrics
from dlr.traces import LateSpans, ReceiptSpans
from gateway.bus.topics import EVENTS, RECORDER_GROUP
from gateway.domain.events import Accepted
from gateway.domain.message import Message
from gateway.domain.receipts import MessageState
from gateway.ports.record_store import CarrierKey
from gateway.ports.trace_store import TraceRow
from gateway.store.pool import Database
from gateway.store.traces import PostgresTraces
from tests.support.records import DAY, NOON, BackHalf, a_message, attempted, receipt
from tests.support.tracing import TRACE, KeptSpans, traced

pytestmark = pytest.mark.postgres


@pytest.fixture
async def back(db: Database) -> BackHalf:
    back = await BackHalf(db).start()
    back.recorder = back.new_recorder(traces=PostgresTraces(db))
    back.dlr = back.new_dlr()
    return back


async def sampled(back: BackHalf, *ids: str, **changes: object) -> Message:
    message = traced(a_message(segment_count=len(ids), **changes))
    await back.put(Accepted(message), attempted(message, *ids))
    await back.turn()
    return message


async def test_the_trace_of_a_message_is_shown_with_it_and_found_both_ways(back: BackHalf) -> None:
    message, other = await sampled(back, "7f3a"), await back.submitted("7f3b")
    store = PostgresTraces(back.db)
    row = TraceRow(message.id, TRACE)
    assert await store.traces_of([message.id, other.id]) == {message.id: row}
    keys = [CarrierKey("telco_a", one) for one in ("7f3b", "7f3a", "unheard")]
    assert await store.traces_by_submit(keys, now_ms=NOON) == {keys[1]: row}
    view, plain = [await back.views.get_message("acme", one.id) for one in (message, other)]
    assert view is not None
    assert plain is not None
    assert (view.trace_id, plain.trace_id) == (TRACE, None)
    lines = await back.views.list_events("acme", message.id, limit=1, after=None)
    assert lines is not None
    assert lines[0].detail == {"source": "api", "request_id": "req_1", "trace_id": TRACE}


async def test_a_batch_that_is_written_twice_keeps_one_trace(back: BackHalf) -> None:
    message = await sampled(back, "7f3a")
    async with back.db.acquire() as connection:
        await connection.execute(
            "UPDATE bus_position SET next_offset = 0, completed = '{}' WHERE group_name = $1 AND topic = $2",
            RECORDER_GROUP,
            EVENTS,
        )
    again = back.new_recorder(traces=PostgresTraces(back.db))
    assert await again.reader.drain() == 2
    assert await back.count("message_traces") == 1
    assert await back.state(message) == ("submitted", False)


async def test_receipts_of_every_kind_have_their_span(back: BackHalf) -> None:
    kept = KeptSpans()
    late = LateSpans(kept, traces=PostgresTraces(back.db), clock=back.clock)  # type: ignore[arg-type]
    back.dlr_metrics._spans = ReceiptSpans(late)
    assert isinstance(back.dlr_metrics, DlrMetrics)
    await sampled(back, "plain")
    await sampled(back, "one", "two")
    await back.submitted("unsampled")
    await back.put_receipts(
        receipt("plain"),
        receipt("one", MessageState.ENROUTE),
        receipt("one"),
        receipt("two", MessageState.UNDELIVERABLE),
        receipt("two", MessageState.UNDELIVERABLE),
        receipt("unsampled"),
    )
    await back.turn()
    while late._aside:
        await late.look()
    told = sorted(map(str, kept.told("caudal.segment", "caudal.state", "caudal.effect")))
    assert told == sorted(
        map(
            str,
            [
                (1, "delivered", "applied"),
                (1, "submitted", "applied"),
                (1, "delivered", "applied"),
                (2, "undeliverable", "applied"),
                (2, "undeliverable", "duplicate"),
            ],
        )
    )
    assert len({span.span_id for span in kept.spans}) == 5


async def test_traces_go_when_their_messages_do(back: BackHalf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.partitions._TRACES_AT_A_TIME", 2)
    for number in range(5):
        await sampled(back, f"7f3{number}")
    await back.partitions.keep(now_ms=NOON)
    assert await back.count("message_traces") == 5
    await back.partitions.keep(now_ms=NOON + 31 * DAY)
    assert await back.count("message_traces") == 0
