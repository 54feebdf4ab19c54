"""Spans of the events posted for sampled messages: one for each event and attempt, from the rows of the ledger."""

from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from dlr.traces import LateSpans, receipt_span_id
from dlr.webhooks.directory import Directory
from gateway.domain.ids import format_id, uuid7_time_ms
from gateway.domain.traces import ENQUEUED, span_id_of
from gateway.ports.record_store import CarrierKey
from gateway.ports.trace_store import TraceRow
from gateway.ports.webhook_store import DELIVERED, AttemptRow
from gateway.telemetry.spans import Span, SpanKind

OnAttempts = Callable[[Sequence[AttemptRow]], None]

_OF_MESSAGES: Final = "message."
_OF_RECEIPTS: Final = frozenset({"message.delivered", "message.undeliverable"})


class WebhookSpans:
    """One per process; `attempted` is called with the rows that are written of POSTs."""

    def __init__(self, late: LateSpans, *, directory: Directory) -> None:
        self._late = late
        self._directory = directory

    def attempted(self, rows: Sequence[AttemptRow]) -> None:
        """Put the attempts of messages aside; what was given up without a POST (attempt 0) has no span."""
        of_messages: list[tuple[UUID | CarrierKey, AttemptRow]] = [
            (row.message_id, row) for row in rows if row.attempt and row.type.startswith(_OF_MESSAGES)
        ]
        if of_messages:
            self._late.put(of_messages, self._span)

    def _span(self, row: AttemptRow, trace: TraceRow) -> Span:
        destination = self._directory.get(row.endpoint_id)
        # Path and query are the account's own, and may hold its secrets.
        url = urlsplit(destination.url) if destination is not None else None
        end_ms = uuid7_time_ms(row.id)
        return Span(
            f"webhook {row.type}",
            SpanKind.CLIENT,
            trace.trace_id,
            # Within one attempt a crash may post twice: two rows, two spans.
            span_id_of(row.id, row.type),
            (end_ms - row.duration_ms) * 1_000_000,
            end_ms * 1_000_000,
            span_id_of(row.message_id, ENQUEUED),
            links=(receipt_span_id(row.message_id),) if row.type in _OF_RECEIPTS else (),
            attributes={
                "http.request.method": "POST",
                "http.request.resend_count": row.attempt - 1 or None,
                "http.response.status_code": row.status_code,
                "server.address": url.hostname if url is not None else None,
                "server.port": (url.port or (443 if url.scheme == "https" else 80))
                if url is not None
                else None,
                "url.scheme": url.scheme if url is not None else None,
                "messaging.message.id": format_id("msg", row.message_id),
                "caudal.account": row.account_id,
                "caudal.endpoint": row.endpoint_id,
                "caudal.event": row.type,
                "caudal.attempt": row.attempt,
                "caudal.outcome": row.state,
                "error.type": (row.error.partition(":")[0] or None) if row.state != DELIVERED else None,
            },
            error=row.error.partition(":")[0] if row.state != DELIVERED else "",
        )
