"""Traces go on after the carrier: spans of receipts and of events posted, for the messages that were sampled.

Neither a receipt nor an event says whether its message was. So what happened is put aside here, and a task of its own
asks for the traces of many messages at once, behind the work that it tells of. Where it cannot keep up or the database
does not answer, spans are lost and nothing else. Runs in the role `back`, where traces are on.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import structlog

from dlr.correlate import Effect
from gateway.bus.topics import RECEIPTS
from gateway.domain.ids import format_id
from gateway.domain.lifecycle import FINALS, State
from gateway.domain.receipts import Receipt
from gateway.domain.traces import ENQUEUED, RECEIPTED, SUBMITTED, span_id_of
from gateway.ports.clock import Clock
from gateway.ports.record_store import CarrierKey, Submission
from gateway.ports.trace_store import TraceRow, TraceStore
from gateway.telemetry.spans import Span, SpanKind, Spans

_log = structlog.get_logger()

LINGER_S: Final = 0.25
MAX_ASIDE: Final = 50_000
_BATCH: Final = 2_000
_REPORT_EVERY_S: Final = 60.0

MakeSpan = Callable[[Any, TraceRow], Span]
"""Makes the span of what happened to a sampled message."""


class _Happened(NamedTuple):
    key: UUID | CarrierKey
    what: Any
    make: MakeSpan


class LateSpans:
    """One per process. `run` until `stop`; then what was put aside is still asked for once."""

    def __init__(
        self,
        spans: Spans,
        *,
        traces: TraceStore,
        clock: Clock,
        linger_s: float = LINGER_S,
        max_aside: int = MAX_ASIDE,
    ) -> None:
        self._spans = spans
        self._traces = traces
        self._clock = clock
        self._linger_s = linger_s
        self._aside: deque[_Happened] = deque(maxlen=max_aside)
        self._stopping = asyncio.Event()
        self._report_due_ns = 0

    def put(self, happened: Iterable[tuple[UUID | CarrierKey, Any]], make: MakeSpan) -> None:
        """Put aside what happened to messages, each named by its id or by that of its only submit.

        Never waits, and pushes the oldest out where too much is there.
        """
        self._aside.extend([_Happened(key, what, make) for key, what in happened])

    def stop(self) -> None:
        """End `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Give the spans of sampled messages out until `stop`."""
        is_over = False
        while not is_over:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._linger_s):
                    await self._stopping.wait()
            is_over = self._stopping.is_set()
            while self._aside:
                await self.look()

    async def look(self) -> None:
        """Ask for one batch."""
        aside = self._aside
        batch = [aside.popleft() for _ in range(min(len(aside), _BATCH))]
        ids = {one.key for one in batch if isinstance(one.key, UUID)}
        keys = {one.key for one in batch if isinstance(one.key, CarrierKey)}
        found: dict[Any, TraceRow] = {}
        try:
            if ids:
                found |= await self._traces.traces_of(list(ids))
            if keys:
                found |= await self._traces.traces_by_submit(list(keys), now_ms=self._clock.now_ms())
        except Exception as error:  # noqa: BLE001 - spans are lost, and nothing else
            self._report(error)
            if self._stopping.is_set():  # nobody waits for a database that is away
                aside.clear()
        if found:
            for key, what, make in batch:
                row = found.get(key)
                if row is not None:
                    self._spans.add(make(what, row))

    def _report(self, error: Exception) -> None:
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._report_due_ns:
            self._report_due_ns = now_ns + int(_REPORT_EVERY_S * 1e9)
            _log.warning("tracing.look_up_failed", error=type(error).__name__)


class ReceiptSpans:
    """What dlr tells of the receipts that found their segment."""

    def __init__(self, late: LateSpans) -> None:
        self._late = late

    def judged(
        self,
        plain: Sequence[tuple[Receipt, int]],
        counted: Sequence[tuple[Receipt, Submission, Effect]],
        *,
        now_ms: int,
    ) -> None:
        """Put a batch aside that is stored `now_ms`; each of `plain`, with the time of its submit, delivered its message."""
        happened: list[tuple[UUID | CarrierKey, Any]] = [
            (CarrierKey(receipt.carrier, receipt.carrier_message_id), (receipt, submitted_at, now_ms))
            for receipt, submitted_at in plain
        ]
        if happened:
            self._late.put(happened, _plain_span)
        if counted:
            self._late.put([(one[1].message_id, (*one, now_ms)) for one in counted], _judged_span)


def receipt_span_id(message_id: UUID, segment_index: int = 1) -> str:
    """Return the id of the span of the receipt that ended a segment."""
    return span_id_of(message_id, f"{RECEIPTED}.{segment_index}")


def _plain_span(what: tuple[Receipt, int, int], row: TraceRow) -> Span:
    receipt, submitted_at, now_ms = what
    submission = Submission(row.message_id, 1, 1, 1, State.SUBMITTED, State.DELIVERED, None, submitted_at)
    return _judged_span((receipt, submission, Effect.APPLIED, now_ms), row)


def _judged_span(what: tuple[Receipt, Submission, Effect, int], row: TraceRow) -> Span:
    receipt, submission, effect, now_ms = what
    message_id, index = row.message_id, submission.segment_index
    if effect is Effect.APPLIED and submission.receipt_state in FINALS:
        span_id = receipt_span_id(message_id, index)  # a segment has one of these
    else:
        span_id = span_id_of(message_id, f"{RECEIPTED}.{index}.{receipt.message_state}", receipt.received_at)
    is_bad = receipt.state in FINALS and receipt.state is not State.DELIVERED
    return Span(
        f"receipt {receipt.carrier}",
        SpanKind.CONSUMER,
        row.trace_id,
        span_id,
        receipt.received_at * 1_000_000,
        now_ms * 1_000_000,
        span_id_of(message_id, ENQUEUED),
        links=(span_id_of(message_id, SUBMITTED, submission.attempt),),
        attributes={
            "messaging.system": "caudal",
            "messaging.operation.type": "process",
            "messaging.operation.name": "receipt",
            "messaging.destination.name": RECEIPTS,
            "messaging.message.id": format_id("msg", message_id),
            "caudal.carrier": receipt.carrier,
            "caudal.bind": receipt.bind,
            "caudal.attempt": submission.attempt,
            "caudal.segment": index,
            "caudal.segments": submission.segment_count,
            "caudal.state": receipt.state.value,
            "caudal.status": receipt.message_state.value,
            "caudal.effect": effect.value,
            "caudal.receipt_after_ms": max(0, receipt.received_at - submission.submitted_at),
        },
        error=receipt.state.value if is_bad else "",
    )
