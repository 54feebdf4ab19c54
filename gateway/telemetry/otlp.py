"""OTLP over HTTP by the OpenTelemetry SDK: the one module that knows it. Imported only where traces are switched on.

`otlp_export` makes the function that `gateway.telemetry.spans` calls in its thread.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags
from opentelemetry.trace import SpanKind as OtelKind

from gateway.telemetry.spans import Export, Span, SpanKind, clean

_KINDS: Final = {
    SpanKind.SERVER: OtelKind.SERVER,
    SpanKind.CLIENT: OtelKind.CLIENT,
    SpanKind.PRODUCER: OtelKind.PRODUCER,
    SpanKind.CONSUMER: OtelKind.CONSUMER,
}
_FLAGS: Final = TraceFlags(TraceFlags.SAMPLED)
_SDK_LOGGER: Final = "opentelemetry"


class ExportError(Exception):
    """The collector did not take the spans."""


def otlp_export(
    endpoint: str, *, headers: Mapping[str, str], timeout_s: float, resource: Mapping[str, str], version: str
) -> Export:
    """Return what sends spans to a collector; `resource` says which process they are of."""
    # It has a line for every try; one a minute is ours to write.
    logger = logging.getLogger(_SDK_LOGGER)
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    exporter = OTLPSpanExporter(endpoint=endpoint, headers=dict(headers), timeout=timeout_s)
    process = Resource(dict(resource))
    where = endpoint.rpartition("@")[2]  # what is before may be a password
    scope = InstrumentationScope("caudal", version)

    def export(spans: Sequence[Span]) -> None:
        result = exporter.export([_readable(span, process, scope) for span in spans])
        if result is not SpanExportResult.SUCCESS:
            raise ExportError(f"{where} did not take the spans")

    return export


def _readable(span: Span, resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    trace_id = int(span.trace_id, 16)
    return ReadableSpan(
        span.name,
        context=_context(trace_id, span.span_id),
        parent=_context(trace_id, span.parent_id, is_remote=True) if span.parent_id else None,
        resource=resource,
        attributes=clean(span.attributes),
        links=[Link(_context(trace_id, one)) for one in span.links],
        kind=_KINDS[span.kind],
        status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
        start_time=span.start_ns,
        end_time=max(span.start_ns, span.end_ns),
        instrumentation_scope=scope,
    )


def _context(trace_id: int, span_id: str, *, is_remote: bool = False) -> SpanContext:
    return SpanContext(trace_id, int(span_id, 16), is_remote, _FLAGS)
