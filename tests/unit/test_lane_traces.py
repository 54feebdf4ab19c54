"""Spans of attempts and of what comes after them: each says how it went, and to which it belongs."""

from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from dlr.traces import LateSpans, ReceiptSpans, receipt_span_id
from dlr.webhooks.traces import WebhookSpans
from gateway.bus.codec import decode_as
from gateway.dispatch.metrics import DispatchMetrics
from gateway.domain.ids import new_uuid7
from gateway.domain.message import Message, TracedMessage
from gateway.domain.receipts import MessageState, Receipt
from gateway.domain.traces import ENQUEUED, SUBMITTED, span_id_of
from gateway.ports.clock import SystemClock
from gateway.ports.trace_store import TraceRow
from gateway.ports.webhook_store import DELIVERED, FAILED, AttemptRow
from tests.support.fake_link import AMBIGUOUS, QUEUE_FULL, refused
from tests.support.lane_rig import CARRIER, TWO_SEGMENTS, LaneRig, a_message, until
from tests.support.tracing import TRACE, KeptSpans, traced

AT = 1_795_564_800_000


class TracedRig(LaneRig):
    def __init__(self, **chosen: Any) -> None:
        super().__init__(**chosen)
        self.kept = KeptSpans()
        self.registry = CollectorRegistry()
        self.metrics = DispatchMetrics(self.registry, spans=self.kept)  # type: ignore[arg-type]


async def test_an_attempt_of_a_sampled_message_is_one_span_however_many_its_segments() -> None:
    async with TracedRig() as rig:
        message = traced(a_message(text=TWO_SEGMENTS))
        await rig.put(a_message(), message)
        await rig.start()
        await until(lambda: len(rig.attempts()) == 2)
        (span,) = rig.kept.spans
        assert (span.name, span.trace_id) == (f"submit {CARRIER}", TRACE)
        assert span.parent_id == span_id_of(message.id, ENQUEUED)
        assert span.span_id == span_id_of(message.id, SUBMITTED, 1)
        assert rig.kept.told("caudal.segments", "caudal.outcome", "smpp.command_status") == [
            (2, "submitted", "ESME_ROK")
        ]
        assert span.error == ""
        assert span.start_ns <= span.end_ns
        page = generate_latest(rig.registry).decode()
        assert page.count(f'# {{trace_id="{TRACE}"}}') == 2


async def test_a_retry_is_another_span_and_takes_the_trace_along() -> None:
    async with TracedRig() as rig:
        rig.link.script = lambda segment: QUEUE_FULL
        message = traced(a_message())
        await rig.put(message)
        await rig.start()
        await until(lambda: rig.deferred.rows)
        (later,) = rig.deferred_messages()
        assert isinstance(later, TracedMessage)
        assert (later.trace_id, later.attempt) == (TRACE, 2)
        await rig.put(later)
        await until(lambda: len(rig.kept.spans) == 2)
        assert rig.kept.told("caudal.attempt", "caudal.outcome", "smpp.command_status") == [
            (1, "refused", "ESME_RMSGQFUL"),
            (2, "refused", "ESME_RMSGQFUL"),
        ]
        assert len({span.span_id for span in rig.kept.spans}) == 2
        assert {span.error for span in rig.kept.spans} == {"ESME_RMSGQFUL"}


async def test_what_ended_in_doubt_or_in_part_says_so() -> None:
    async with TracedRig(window=1) as rig:
        rig.link.script = lambda segment: AMBIGUOUS
        await rig.put(traced(a_message()))
        await rig.start()
        await until(lambda: len(rig.kept.spans) == 1)
        rig.link.script = lambda segment: refused() if segment.segment_index == 2 else None
        await rig.put(traced(a_message(text=TWO_SEGMENTS)))
        await until(lambda: rig.link.written and len(rig.link.written) >= 2)
        assert rig.kept.told("caudal.outcome")[0] == ("ambiguous",)


class Traces:
    """A store that knows one sampled message, or does not answer."""

    def __init__(self, row: TraceRow | None) -> None:
        self.row = row
        self.asked: list[Any] = []

    async def insert_traces(self, tx: Any, rows: Any) -> None:
        raise AssertionError

    async def traces_of(self, message_ids: Any) -> Any:
        self.asked.append(message_ids)
        if self.row is None:
            raise TimeoutError
        return {self.row.message_id: self.row} if self.row.message_id in message_ids else {}

    async def traces_by_submit(self, keys: Any, *, now_ms: int) -> Any:
        self.asked.append(keys)
        if self.row is None:
            raise TimeoutError
        return {key: self.row for key in keys if key.carrier_message_id == "traced"}


class Endpoints:
    def get(self, endpoint_id: str) -> Any:
        class Destination:
            url = "https://acme.example:8443/hook?key=hidden"

        return Destination() if endpoint_id == "whk_1" else None


def late(row: TraceRow | None, **chosen: Any) -> tuple[LateSpans, KeptSpans, Traces]:
    kept, traces = KeptSpans(), Traces(row)
    return LateSpans(kept, traces=traces, clock=SystemClock(), **chosen), kept, traces  # type: ignore[arg-type]


def a_receipt(carrier_message_id: str) -> Receipt:
    return Receipt("telco_a", "rx1", carrier_message_id, MessageState.DELIVERED, AT + 4_000)


def an_attempt(
    message: Message, number: int, *, state: str = DELIVERED, endpoint: str = "whk_1"
) -> AttemptRow:
    status, error = (200, "") if state == DELIVERED else (None, "timeout: no answer within 15 s")
    ended = new_uuid7(AT + 500, number)
    return AttemptRow(
        ended,
        message.id,
        endpoint,
        "acme",
        new_uuid7(AT, 3),
        "message.delivered",
        number,
        state,
        status,
        120,
        error,
        AT,
        None,
    )


async def test_a_receipt_is_linked_to_the_submit_that_it_answers() -> None:
    message = a_message()
    spans, kept, _ = late(TraceRow(message.id, TRACE))
    ReceiptSpans(spans).judged([(a_receipt("traced"), AT), (a_receipt("other"), AT)], [], now_ms=AT + 4_020)
    await spans.look()
    (span,) = kept.spans
    assert span.links == (span_id_of(message.id, SUBMITTED, 1),)
    assert (span.start_ns, span.end_ns) == ((AT + 4_000) * 1_000_000, (AT + 4_020) * 1_000_000)
    assert span.attributes["caudal.receipt_after_ms"] == 4_000


async def test_each_post_of_an_event_is_a_span_that_hides_the_path_of_its_endpoint() -> None:
    message = a_message()
    spans, kept, _ = late(TraceRow(message.id, TRACE))
    webhooks = WebhookSpans(spans, directory=Endpoints())  # type: ignore[arg-type]
    rows = [an_attempt(message, 1, state=FAILED), an_attempt(message, 2), an_attempt(message, 0)]
    webhooks.attempted([*rows, an_attempt(a_message(), 1), an_attempt(message, 3, endpoint="whk_gone")])
    await spans.look()
    assert kept.told("caudal.attempt", "http.response.status_code", "server.address", "error.type") == [
        (1, None, "acme.example", "timeout"),
        (2, 200, "acme.example", None),
        (3, 200, None, None),
    ]
    assert [span.error for span in kept.spans] == ["timeout", "", ""]
    assert {span.links for span in kept.spans} == {(receipt_span_id(message.id),)}
    assert len({span.span_id for span in kept.spans}) == 3
    assert "hidden" not in repr(kept.spans)


async def test_a_store_that_does_not_answer_costs_spans_and_nothing_else() -> None:
    spans, kept, traces = late(None)
    ReceiptSpans(spans).judged([(a_receipt("traced"), AT)], [], now_ms=AT)
    await spans.look()
    assert (kept.spans, len(traces.asked)) == ([], 1)


async def test_what_is_put_aside_is_bounded_and_asked_for_at_the_end() -> None:
    message = a_message()
    spans, kept, _ = late(TraceRow(message.id, TRACE), max_aside=10)
    ReceiptSpans(spans).judged([(a_receipt("traced"), AT)] * 25, [], now_ms=AT)
    spans.stop()
    await spans.run()
    assert len(kept.spans) == 10


def test_the_envelope_of_a_deferred_sampled_message_is_read_as_one() -> None:
    from gateway.dispatch.conclude import lane_record

    message = traced(a_message())
    assert decode_as(Message, lane_record(message).value) == message
