"""Traces in one process: the header, the choice, the envelope, the queue to the collector, and what leaves."""

import threading
from collections.abc import Callable, Sequence
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.openmetrics.exposition import generate_latest

from gateway.bus.codec import decode, encode, encode_accepted
from gateway.domain.events import Accepted, TracedAccepted
from gateway.domain.lifecycle import State
from gateway.domain.message import Message
from gateway.domain.steps import StepFailed, StepSubmitted
from gateway.domain.traces import (
    SUBMITTED,
    TraceParent,
    format_traceparent,
    parse_traceparent,
    span_id_of,
    trace_of,
)
from gateway.intake.tracing import IntakeTracing
from gateway.telemetry import spans as spans_module
from gateway.telemetry.metrics import attach_exemplar, observe_many
from gateway.telemetry.otlp import otlp_export
from gateway.telemetry.sampling import MAX_PER_REQUEST, Sampler
from gateway.telemetry.spans import Span, SpanKind, SpanMetrics, Spans, clean
from tests.support.heard import heard
from tests.support.tracing import PARENT, TRACE, KeptSpans, traced
from tests.unit.test_bus_codec import GOLDEN, MESSAGE, ON_WHATSAPP

# --- the header ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (f"00-{TRACE}-{PARENT}-01", TraceParent(TRACE, PARENT, is_sampled=True)),
        (f" 00-{TRACE}-{PARENT}-00\t", TraceParent(TRACE, PARENT, is_sampled=False)),
        (f"00-{TRACE}-{PARENT}-ff", TraceParent(TRACE, PARENT, is_sampled=True)),
        (f"00-{TRACE}-{PARENT}-02", TraceParent(TRACE, PARENT, is_sampled=False)),
        # A version to come may say more; it is read as far as it is known.
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-brings", TraceParent(TRACE, PARENT, is_sampled=True)),
        (f"00-{TRACE}-{PARENT}-01-more", None),
        (f"ff-{TRACE}-{PARENT}-01", None),
        (f"00-{'0' * 32}-{PARENT}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{PARENT}-01", None),
        (f"00-{TRACE[:-1]}-{PARENT}-01", None),
        (f"00-{TRACE}-{PARENT}-1", None),
        (f"cc-{TRACE}-{PARENT}-01x", None),
        ("cc-" + f"{TRACE}-{PARENT}-01-" + "x" * 300, None),
        ("", None),
    ],
)
def test_a_traceparent_is_read_as_w3c_says(value: str, found: TraceParent | None) -> None:
    assert parse_traceparent(value.encode()) == found


@given(st.binary(max_size=300))
def test_no_octets_break_the_reader_of_traceparent(value: bytes) -> None:
    found = parse_traceparent(value)
    if found is not None:
        assert parse_traceparent(format_traceparent(*found[:2]).encode()) == found._replace(is_sampled=True)


def test_span_ids_follow_from_the_message_and_differ_by_what_and_how_often() -> None:
    ids = {span_id_of(MESSAGE.id, what, number) for what in ("enqueued", SUBMITTED) for number in range(50)}
    assert len(ids) == 100
    assert span_id_of(MESSAGE.id, SUBMITTED, 2) == span_id_of(UUID(int=MESSAGE.id.int), SUBMITTED, 2)
    assert all(len(one) == 16 and int(one, 16) for one in ids)


# --- the envelope -------------------------------------------------------------------------------------------


def test_an_envelope_grows_only_for_a_sampled_message() -> None:
    written = [line for line in GOLDEN.read_bytes().splitlines() if b'"t":"message"' in line]
    assert encode(MESSAGE).startswith(b'{"v":1,"t":"message","d":')
    assert b"trace" not in encode(MESSAGE)
    assert decode(written[0]) == MESSAGE
    assert len(encode(traced(MESSAGE))) - len(encode(MESSAGE)) < 70


@pytest.mark.parametrize(
    "payload",
    [
        traced(MESSAGE),
        TracedAccepted(traced(MESSAGE)),
        Accepted(traced(MESSAGE)),
        StepSubmitted(traced(ON_WHATSAPP), 7),
        StepFailed(MESSAGE.id, 1, 7, State.REJECTED, "refused", traced(ON_WHATSAPP)),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_holds_a_sampled_message_comes_back_with_its_trace(payload: Any) -> None:
    for value in (encode(payload), encode(payload) + b"\n"):  # the quick way and the long way
        found: Any = decode(value)
        assert isinstance(found, type(payload))
        assert trace_of(found if isinstance(found, Message) else found.message) == TRACE


def test_an_accepted_sampled_message_is_written_from_what_its_lane_gets() -> None:
    message = traced(MESSAGE)
    assert encode_accepted(encode(message), State.QUEUED) == encode(Accepted(message, State.QUEUED))


def test_a_program_that_knows_no_traces_reads_a_sampled_message() -> None:
    value = encode(traced(MESSAGE))
    # It looks at `v`, `t` and `d`, as this one does with what else there may be.
    found = decode(value.replace(b'"traced":true,', b'"unheard":7,'))
    assert found == MESSAGE
    assert type(found) is Message


# --- the choice ---------------------------------------------------------------------------------------------


def drawn(sampler: Sampler, sizes: Sequence[int]) -> int:
    return sum(len(sampler.draw(size, now_ns=turn * 10**9)) for turn, size in enumerate(sizes))


@pytest.mark.parametrize("size", [1, 7, 100])
def test_the_share_is_kept_whatever_the_size_of_requests(size: int) -> None:
    sampler = Sampler(0.01, max_per_s=1_000, random=Random(7))
    assert drawn(sampler, [size] * (200_000 // size)) == pytest.approx(2_000, rel=0.1)


def test_none_and_all_are_shares_too() -> None:
    assert drawn(Sampler(0.0, max_per_s=1_000, random=Random(7)), [1_000] * 50) == 0
    assert drawn(Sampler(1.0, max_per_s=1_000, random=Random(7)), [10] * 50) == 500


@given(st.floats(0.0, 1.0), st.lists(st.integers(0, 200), max_size=30), st.integers(0, 2**32))
def test_places_are_in_order_within_the_request_and_bounded(
    ratio: float, sizes: list[int], seed: int
) -> None:
    sampler = Sampler(ratio, max_per_s=1_000_000, random=Random(seed))
    for size in sizes:
        for places in (sampler.draw(size, now_ns=0), sampler.follow(size, now_ns=0)):
            assert list(places) == sorted(set(places))
            assert all(0 <= place < size for place in places)
            assert len(places) <= MAX_PER_REQUEST


def test_a_second_has_a_bound_whatever_callers_ask_for() -> None:
    sampler = Sampler(0.0, max_per_s=30, random=Random(7))
    assert [len(sampler.follow(50, now_ns=5 * 10**9)) for _ in range(3)] == [20, 10, 0]
    assert len(sampler.follow(50, now_ns=6 * 10**9)) == 20


class _Clock:
    def now_ms(self) -> int:
        return 1_795_564_800_000

    def monotonic_ns(self) -> int:
        return 5_000_000_000


def tracing(kept: KeptSpans, ratio: float = 0.0) -> IntakeTracing:
    sampler = Sampler(ratio, max_per_s=100, random=Random(7))
    return IntakeTracing(kept, sampler=sampler, clock=_Clock(), random=Random(7))  # type: ignore[arg-type]


def headers(*values: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"x"), *((b"traceparent", value.encode()) for value in values)]


@pytest.mark.parametrize(
    ("values", "is_sampled"),
    [
        ([f"00-{TRACE}-{PARENT}-01"], True),
        ([f"00-{TRACE}-{PARENT}-00"], False),
        (["rubbish"], True),  # as if it were not there: the share decides, which is all here
        ([f"00-{TRACE}-{PARENT}-00"] * 2, True),
        ([], True),
    ],
)
def test_a_valid_header_decides_and_any_other_leaves_it_to_the_share(
    values: list[str], is_sampled: bool
) -> None:
    trace = tracing(KeptSpans(), ratio=1.0).begin(headers(*values))
    chosen = trace.choose([MESSAGE])
    assert (trace_of(chosen[0]) is not None) == is_sampled
    assert bool(trace.trace_id) == is_sampled


def test_a_message_that_repeats_another_has_no_span() -> None:
    kept = KeptSpans()
    trace = tracing(kept).begin(headers(f"00-{TRACE}-{PARENT}-01"))
    trace.choose([MESSAGE])
    trace.kept({MESSAGE.id})
    assert kept.spans == []


def test_messages_without_a_request_have_a_trace_each() -> None:
    kept = KeptSpans()
    trace = tracing(kept, ratio=1.0).apart()
    chosen = trace.choose([MESSAGE, MESSAGE])
    trace.kept()
    assert len({trace_of(one) for one in chosen}) == 2
    assert [span.parent_id for span in kept.spans] == ["", ""]


# --- to the collector ---------------------------------------------------------------------------------------


def a_span(name: str = "submit telco_a", **attributes: Any) -> Span:
    return Span(name, SpanKind.CLIENT, TRACE, PARENT, 1, 2, attributes=attributes)


def spans_to(
    export: Callable[[Sequence[Span]], None], **chosen: Any
) -> tuple[Spans, Callable[[str], float], CollectorRegistry]:
    registry = CollectorRegistry()
    spans = Spans(export, metrics=SpanMetrics(registry), **{"queue_spans": 10, "linger_s": 0.01, **chosen})

    def dropped(reason: str) -> float:
        return registry.get_sample_value("caudal_traces_spans_dropped_total", {"reason": reason}) or 0.0

    return spans, dropped, registry


def test_what_waits_is_exported_at_the_end() -> None:
    exported: list[Span] = []
    spans, dropped, registry = spans_to(exported.extend, linger_s=60.0)
    spans.start()
    for _ in range(7):
        spans.add(a_span())
    spans.close(deadline_s=5.0)
    spans.add(a_span())
    assert len(exported) == 7
    assert dropped("shutdown") == 1
    assert registry.get_sample_value("caudal_traces_spans_exported_total") == 7


def test_a_collector_that_hangs_holds_up_nobody_and_the_queue_stays_bounded() -> None:
    hangs, entered = threading.Event(), threading.Event()

    def export(_: Sequence[Span]) -> None:
        entered.set()
        hangs.wait(30)

    spans, dropped, _ = spans_to(export, batch_spans=1)
    spans.start()
    spans.add(a_span())
    assert entered.wait(10)
    for _ in range(25):
        spans.add(a_span())
    assert dropped("queue_full") == 15
    spans.close(deadline_s=0.05)
    assert dropped("shutdown") == 10
    hangs.set()


def test_a_collector_that_is_away_costs_one_line_a_minute() -> None:
    now_s = 100.0

    def export(_: Sequence[Span]) -> None:
        raise ConnectionError("nobody listens")

    spans, dropped, _ = spans_to(export, now_s=lambda: now_s)
    with heard(spans_module) as logs:
        for turn in range(5):
            now_s = 100.0 + 29 * turn
            spans.add(a_span())
            spans._send()
    assert dropped("export_failed") == 5
    lines = [line for line in logs if line["event"] == "tracing.export_failed"]
    assert len(lines) == 2
    assert "nobody listens" in lines[0]["error"]


def test_p8_only_known_attributes_leave_and_no_full_number_in_any() -> None:
    told = clean(
        {
            "caudal.carrier": "telco_a",
            "caudal.status": "refused +525512345678",
            "messaging.message.id": "msg_01kaq3m7x2f0g8h9jkmnpqrstv",
            "caudal.attempt": 2,
            "caudal.bind": None,
            "text": "Tu cita es el 7 de mayo",
            "recipient": "525512345678",
        }
    )
    assert told == {
        "caudal.carrier": "telco_a",
        "caudal.status": "refused +52551•••••78",
        "messaging.message.id": "msg_01kaq3m7x2f0g8h9jkmnpqrstv",
        "caudal.attempt": 2,
    }


def test_an_exporter_without_a_collector_says_so_within_its_deadline() -> None:
    export = otlp_export(
        "http://127.0.0.1:9/v1/traces", headers={}, timeout_s=0.2, resource={"service.name": "x"}, version="1"
    )
    with pytest.raises(Exception, match="did not take the spans"):
        export([a_span()])


def test_an_exemplar_is_of_the_bucket_that_counts_its_value() -> None:
    registry = CollectorRegistry()
    histogram = Histogram("wait", "Wait.", buckets=(0.1, 1.0), registry=registry)
    observe_many(histogram, [0.5, 0.05])
    attach_exemplar(histogram, 0.5, trace_id=TRACE, at_ms=1_795_564_800_250)
    attach_exemplar(histogram, 77.0, trace_id=PARENT, at_ms=1_795_564_800_250)
    page = generate_latest(registry).decode()
    assert f'wait_bucket{{le="1.0"}} 2.0 # {{trace_id="{TRACE}"}} 0.5 1795564800.25' in page
    assert f'wait_bucket{{le="+Inf"}} 2.0 # {{trace_id="{PARENT}"}} 77.0' in page
    assert 'le="0.1"} 1.0\n' in page
