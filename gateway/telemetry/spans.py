"""Spans of sampled messages and requests, handed to an exporter in a thread of its own (decision 0052).

Whoever measures makes a `Span` with the times it knows and gives it to `Spans.add`, which never waits. What is not
exported in time is dropped and counted: traces are never a reason to hold up a message.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic
from typing import Final

import structlog
from prometheus_client import CollectorRegistry

from gateway.telemetry.logs import masked
from gateway.telemetry.metrics import counter

_log = structlog.get_logger()

QUEUE_FULL: Final = "queue_full"
EXPORT_FAILED: Final = "export_failed"
SHUTDOWN: Final = "shutdown"
DROP_REASONS: Final = (QUEUE_FULL, EXPORT_FAILED, SHUTDOWN)

ATTRIBUTES: Final = frozenset(
    {
        "caudal.account",
        "caudal.attempt",
        "caudal.bind",
        "caudal.carrier",
        "caudal.channel",
        "caudal.class",
        "caudal.effect",
        "caudal.endpoint",
        "caudal.event",
        "caudal.outcome",
        "caudal.queued_ms",
        "caudal.receipt_after_ms",
        "caudal.request_id",
        "caudal.response_ms",
        "caudal.segment",
        "caudal.segments",
        "caudal.source",
        "caudal.state",
        "caudal.status",
        "error.type",
        "http.request.method",
        "http.request.resend_count",
        "http.response.status_code",
        "http.route",
        "messaging.batch.message_count",
        "messaging.destination.name",
        "messaging.message.id",
        "messaging.operation.name",
        "messaging.operation.type",
        "messaging.system",
        "server.address",
        "server.port",
        "smpp.command_status",
        "url.scheme",
    }
)
"""All there are: text and numbers of people have no place among them (P8)."""

BATCH_SPANS: Final = 512
LINGER_S: Final = 1.0
_REPORT_EVERY_S: Final = 60.0

Value = str | int | float | bool


class SpanKind(StrEnum):
    """What the span is to its neighbours, as OpenTelemetry has it."""

    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


@dataclass(slots=True)
class Span:
    """One finished piece of work. Ids are hexadecimal, times nanoseconds since the epoch, links spans of the same trace.

    `error` says in a word or two what went wrong, empty where nothing did.
    """

    name: str
    kind: SpanKind
    trace_id: str
    span_id: str
    start_ns: int
    end_ns: int
    parent_id: str = ""
    links: tuple[str, ...] = ()
    attributes: Mapping[str, Value | None] = field(default_factory=dict)
    error: str = ""


Export = Callable[[Sequence[Span]], None]
"""Sends spans, within a deadline of its own; raises when they did not arrive. Called in the thread of `Spans`."""


class SpanMetrics:
    """What becomes of spans in this process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.exported = counter(registry, "traces_spans_exported_total")
        dropped = counter(registry, "traces_spans_dropped_total")
        self.dropped = {reason: dropped.labels(reason) for reason in DROP_REASONS}


class Spans:
    """The spans of one process: a bounded queue and the thread that empties it. `start` once, `close` at the end."""

    def __init__(
        self,
        export: Export,
        *,
        metrics: SpanMetrics,
        queue_spans: int,
        batch_spans: int = BATCH_SPANS,
        linger_s: float = LINGER_S,
        now_s: Callable[[], float] = monotonic,
    ) -> None:
        self._export = export
        self._metrics = metrics
        self._queue_spans = queue_spans
        self._batch_spans = min(batch_spans, queue_spans)
        self._linger_s = linger_s
        self._now_s = now_s
        self._queue: deque[Span] = deque()
        self._wake = threading.Event()
        self._is_closing = False
        self._close_by_s = float("inf")
        self._lost = 0
        self._report_due_s = float("-inf")
        # A daemon: a collector that does not answer must not keep the process from its end. Its lines say what all say.
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._run,), name="tracing.export", daemon=True
        )

    def start(self) -> None:
        """Begin exporting."""
        self._thread.start()

    def add(self, span: Span) -> None:
        """Queue a span, or drop it where the queue is full; never waits."""
        queue = self._queue
        if self._is_closing or len(queue) >= self._queue_spans:
            self._drop(1, SHUTDOWN if self._is_closing else QUEUE_FULL)
            return
        queue.append(span)
        if len(queue) == self._batch_spans:
            self._wake.set()

    def close(self, *, deadline_s: float) -> None:
        """Export what waits, for as long as the deadline allows, and end the thread; blocks meanwhile."""
        self._is_closing, self._close_by_s = True, self._now_s() + deadline_s
        self._wake.set()
        self._thread.join(deadline_s)
        left = len(self._queue)
        if left:
            self._drop(left, SHUTDOWN)
            self._queue.clear()

    def _run(self) -> None:
        queue = self._queue
        while not self._is_closing:
            self._wake.wait(self._linger_s)
            self._wake.clear()
            while queue and not self._is_closing:
                self._send()
        while queue and self._now_s() < self._close_by_s:
            self._send()

    def _send(self) -> None:
        queue = self._queue
        # Only this thread takes out, so what was there is there.
        batch = [queue.popleft() for _ in range(min(len(queue), self._batch_spans))]
        try:
            self._export(batch)
        except Exception as error:  # noqa: BLE001 - whatever the collector does, the gateway goes on
            self._drop(len(batch), EXPORT_FAILED)
            self._report(error)
        else:
            self._metrics.exported.inc(len(batch))

    def _drop(self, count: int, reason: str) -> None:
        self._lost += count
        self._metrics.dropped[reason].inc(count)

    def _report(self, error: Exception) -> None:
        """Say that spans are lost, in one line a minute."""
        now_s = self._now_s()
        if now_s < self._report_due_s:
            return
        self._report_due_s = now_s + _REPORT_EVERY_S
        lost, self._lost = self._lost, 0
        _log.warning("tracing.export_failed", error=str(error)[:200] or type(error).__name__, spans_lost=lost)


def clean(attributes: Mapping[str, Value | None]) -> dict[str, Value]:
    """Return what may leave: known names alone, texts without whole numbers of people, nothing that is None."""
    kept: dict[str, Value] = {}
    for name, value in attributes.items():
        if value is not None and name in ATTRIBUTES:
            kept[name] = masked(value) if isinstance(value, str) else value
    return kept
