"""The settler of a process that traces: the same, with a span for each attempt of a sampled message.

Made by `gateway.dispatch.lane` instead of the other where traces are on, so that nothing is asked where they are off.
"""

from collections import OrderedDict
from typing import Any, Final
from uuid import UUID

from gateway.dispatch.settle import Settler
from gateway.dispatch.steps import begun_at
from gateway.dispatch.work import Work
from gateway.domain.ids import format_id
from gateway.domain.message import OutboundSegment
from gateway.domain.outcomes import Ambiguous, Refused, SubmitOutcome
from gateway.domain.traces import ENQUEUED, SUBMITTED, span_id_of, trace_of
from gateway.telemetry.spans import Span, SpanKind

_MAX_BEGUN: Final = 10_000
_SMPP_STATUS: Final = "ESME_"


class TracedSettler(Settler):
    """Its metrics have a place for spans."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._begun_ms: OrderedDict[tuple[UUID, int], int] = OrderedDict()  # of attempts of sampled messages

    def settled(self, work: Work, segment: OutboundSegment, outcome: SubmitOutcome) -> None:
        """Take the outcome of one submit, and note when the first one of a sampled message began."""
        message = work.message
        if trace_of(message) is not None:
            key = message.id, message.attempt
            if key not in self._begun_ms and segment.submitted_at_ns:
                ago_ms = (self._clock.monotonic_ns() - segment.submitted_at_ns) // 1_000_000
                self._begun_ms[key] = self._clock.now_ms() - ago_ms
                if len(self._begun_ms) > _MAX_BEGUN:
                    self._begun_ms.popitem(last=False)
        super().settled(work, segment, outcome)

    def conclude(self, work: Work, now_ms: int) -> None:
        """Write down the end of an attempt, with its span."""
        trace_id = trace_of(work.message)
        if trace_id is not None:
            self._trace(work, trace_id, now_ms)
        super().conclude(work, now_ms)

    def _trace(self, work: Work, trace_id: str, now_ms: int) -> None:
        message, spans = work.message, self._metrics.spans
        begun_ms = self._begun_ms.pop((message.id, message.attempt), now_ms)
        if work.submitted:
            self._metrics.attach_exemplars(
                work.lane,
                delay_ms=now_ms - begun_at(message),
                response_ms=max([one.response_ms for one in work.submitted]),
                trace_id=trace_id,
                now_ms=now_ms,
            )
        if spans is not None:
            spans.add(self._span(work, trace_id, begun_ms=begun_ms, now_ms=now_ms))

    def _span(self, work: Work, trace_id: str, *, begun_ms: int, now_ms: int) -> Span:
        message, refused = work.message, [outcome for _, outcome in work.refused]
        outcome = _outcome_of(work, refused)
        statuses = [one.status for one in refused if isinstance(one, Refused)]
        status = statuses[0] if statuses else ("ESME_ROK" if outcome == "submitted" else None)
        binds = [one.bind for one in work.submitted] + [one.bind for one in refused]
        carrier_speaks_smpp = status is not None and status.startswith(_SMPP_STATUS)
        return Span(
            f"submit {message.carrier}",
            SpanKind.CLIENT,
            trace_id,
            # Receipts find the one that submitted something; nobody looks for the others.
            span_id_of(message.id, SUBMITTED, message.attempt)
            if work.submitted
            else f"{self._random.getrandbits(64) or 1:016x}",
            begun_ms * 1_000_000,
            now_ms * 1_000_000,
            span_id_of(message.id, ENQUEUED),
            attributes={
                "messaging.system": "caudal",
                "messaging.operation.type": "send",
                "messaging.operation.name": "submit",
                "messaging.message.id": format_id("msg", message.id),
                "caudal.carrier": message.carrier,
                "caudal.channel": message.channel.value,
                "caudal.bind": binds[0] if binds else None,
                "caudal.attempt": message.attempt,
                "caudal.segments": len(work.segments),
                "caudal.outcome": outcome,
                "caudal.queued_ms": max(0, begun_ms - begun_at(message)),
                "smpp.command_status": status if carrier_speaks_smpp else None,
                "caudal.status": None if carrier_speaks_smpp else status,
            },
            error="" if outcome == "submitted" else (status or outcome),
        )


def _outcome_of(work: Work, refused: list[Refused | Ambiguous]) -> str:
    """Return in a word how an attempt ended: the closed set of `caudal.outcome`."""
    if not refused and not work.todo:
        return "submitted"
    if work.submitted:
        return "partial"
    if not refused:
        return "not_sent"
    return "ambiguous" if any(isinstance(one, Ambiguous) for one in refused) else "refused"
