"""Traces begin here: which messages of a request are sampled, and the spans of the request and of its durable append.

One `IntakeTracing` per process, made where traces are switched on. The HTTP door begins a `RequestTrace` with each
request and ends it with the answer; `gateway.intake.entry` and `gateway.intake.direct` choose messages in between.
"""

from collections.abc import Container, Iterable, Sequence
from random import Random
from typing import Any, Final
from uuid import UUID

from gateway.bus.topics import lane
from gateway.domain.ids import format_id
from gateway.domain.message import Message, TracedMessage
from gateway.domain.traces import ENQUEUED, TraceParent, format_traceparent, parse_traceparent, span_id_of
from gateway.ports.clock import Clock
from gateway.telemetry.sampling import Sampler
from gateway.telemetry.spans import Span, SpanKind, Spans

_HEADER: Final = b"traceparent"
_FIELDS: Final = Message.__struct_fields__


class IntakeTracing:
    """Makes the traces of one process."""

    def __init__(self, spans: Spans, *, sampler: Sampler, clock: Clock, random: Random) -> None:
        self.spans = spans
        self.sampler = sampler
        self.clock = clock
        self._bits = random.getrandbits

    def begin(self, headers: Iterable[tuple[bytes, bytes]]) -> "RequestTrace":
        """Begin with a request; a valid `traceparent` among its headers is followed."""
        values = [value for name, value in headers if name == _HEADER]
        parent = parse_traceparent(values[0]) if len(values) == 1 else None
        return RequestTrace(self, parent)

    def apart(self) -> "RequestTrace":
        """Begin for a door without requests: each message has a trace of its own."""
        return RequestTrace(self, None, is_request=False)

    def new_trace_id(self) -> str:
        """Return the id of a trace that begins here."""
        return f"{self._bits(128) or 1:032x}"

    def new_span_id(self) -> str:
        """Return the id of a span that nobody else has to know."""
        return f"{self._bits(64) or 1:016x}"


class RequestTrace:
    """The trace of one request; `trace_id` is empty while nothing of it is sampled."""

    __slots__ = (
        "_chosen",
        "_count",
        "_is_request",
        "_now_ms",
        "_parent",
        "_since_ns",
        "_tracing",
        "span_id",
        "trace_id",
    )

    def __init__(
        self, tracing: IntakeTracing, parent: TraceParent | None, *, is_request: bool = True
    ) -> None:
        self._tracing = tracing
        self._parent = parent
        self._is_request = is_request
        self._now_ms = tracing.clock.now_ms()
        self._since_ns = tracing.clock.monotonic_ns()
        self._chosen: list[tuple[TracedMessage, int]] = []
        self._count: int | None = None
        self.trace_id = ""
        self.span_id = ""
        if parent is not None and parent.is_sampled and tracing.sampler.follow(1, now_ns=self._since_ns):
            self._sample(parent.trace_id)

    @property
    def response(self) -> bytes:
        """Return the value of `traceresponse`; only of a sampled request."""
        return format_traceparent(self.trace_id, self.span_id).encode()

    def choose(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Return the messages, those that are sampled in a form that takes the trace along."""
        self._count = len(messages)
        now_ns = self._tracing.clock.monotonic_ns()
        sampler = self._tracing.sampler
        if self._parent is None:
            places = sampler.draw(len(messages), now_ns=now_ns)
        elif self.trace_id:
            places = sampler.follow(len(messages), now_ns=now_ns)
        else:
            return messages
        if not places:
            return messages
        if self._is_request and not self.trace_id:
            self._sample(self._tracing.new_trace_id())
        chosen = list(messages)
        for place in places:
            traced = chosen[place] = self._traced(messages[place])
            self._chosen.append((traced, now_ns))
        return chosen

    def kept(self, repeated: Container[UUID] = ()) -> None:
        """Note that the messages chosen are durable, but for those that repeat others."""
        end_ns = self._tracing.clock.monotonic_ns()
        for message, since_ns in self._chosen:
            if message.id not in repeated:
                self._tracing.spans.add(self._enqueued(message, since_ns, end_ns))
        self._chosen.clear()

    def finished(self, *, method: str, route: str, status: int, request_id: str) -> None:
        """End with the answer to the request; only of a sampled one."""
        self._tracing.spans.add(
            Span(
                f"{method} {route}",
                SpanKind.SERVER,
                self.trace_id,
                self.span_id,
                self._at_ns(self._since_ns),
                self._at_ns(self._tracing.clock.monotonic_ns()),
                self._parent.span_id if self._parent is not None else "",
                attributes={
                    "http.request.method": method,
                    "http.route": route,
                    "http.response.status_code": status,
                    "url.scheme": "http",
                    "caudal.request_id": request_id,
                    "messaging.batch.message_count": self._count,
                },
                error=str(status) if status >= 500 else "",
            )
        )

    def _sample(self, trace_id: str) -> None:
        self.trace_id, self.span_id = trace_id, self._tracing.new_span_id()

    def _traced(self, message: Message) -> TracedMessage:
        trace_id = self.trace_id or self._tracing.new_trace_id()
        copied: dict[str, Any] = {name: getattr(message, name) for name in _FIELDS}
        return TracedMessage(**copied, trace_id=trace_id)

    def _enqueued(self, message: TracedMessage, since_ns: int, end_ns: int) -> Span:
        return Span(
            f"enqueue {lane(message.carrier, message.message_class)}",
            SpanKind.PRODUCER,
            message.trace_id,
            span_id_of(message.id, ENQUEUED),
            self._at_ns(since_ns),
            self._at_ns(end_ns),
            self.span_id,
            attributes={
                "messaging.system": "caudal",
                "messaging.operation.type": "send",
                "messaging.operation.name": "enqueue",
                "messaging.destination.name": lane(message.carrier, message.message_class),
                "messaging.message.id": format_id("msg", message.id),
                "caudal.account": message.account_id,
                "caudal.carrier": message.carrier,
                "caudal.channel": message.channel.value,
                "caudal.class": message.message_class.value,
                "caudal.segments": message.segment_count,
                "caudal.source": message.source.value,
            },
        )

    def _at_ns(self, monotonic_ns: int) -> int:
        """Return the time of day of an instant of the monotonic clock, by the time when the request came."""
        return self._now_ms * 1_000_000 + monotonic_ns - self._since_ns
