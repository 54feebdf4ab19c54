"""What dlr tells Prometheus of receipts; one bundle per process of the role `back`."""

from collections import Counter
from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from dlr.correlate import Effect
from dlr.traces import ReceiptSpans
from gateway.bus.reader_metrics import PendingMetrics
from gateway.domain.lifecycle import FINALS
from gateway.domain.receipts import MessageState, Receipt
from gateway.ports.record_store import Submission
from gateway.telemetry.metrics import counter, gauge, histogram, observe_many


class ConservationMetrics:
    """What the search for messages without an end found; one bundle per process.

    A message that nobody submitted by its receipt deadline, 72 h after its validity, was lost by us: dispatch expires
    what it has, so nobody had it.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lost = counter(registry, "conservation_lost_messages_total")
        self.checked = gauge(registry, "conservation_check_timestamp_seconds")


class DlrMetrics:
    """One bundle per process. `carriers` are the configured ids, so that every series exists from the start.

    `spans` takes the receipts of sampled messages, None where traces are off.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        carriers: Sequence[str] = (),
        pending: PendingMetrics | None = None,
        spans: ReceiptSpans | None = None,
    ) -> None:
        self._spans = spans
        self._pending = pending
        self._repeats = counter(registry, "messages_deduplicated_total").labels("dlr")
        self.received = counter(registry, "dlr_received_total")
        self.latency = histogram(registry, "dlr_latency_seconds")
        self._processing = histogram(registry, "dlr_processing_seconds")
        self.unmatched = counter(registry, "dlr_unmatched_total")
        self.duplicate = counter(registry, "dlr_duplicate_total")
        self.out_of_order = counter(registry, "dlr_out_of_order_total")
        self.doubles = counter(registry, "channel_double_deliveries_total")
        self.touch(carriers)

    def touch(self, carriers: Sequence[str]) -> None:
        """Make the series of these carriers exist."""
        for carrier in carriers:
            for state in MessageState:
                self.received.labels(carrier, state.value)
            for one in (self.latency, self.unmatched, self.duplicate, self.out_of_order, self.doubles):
                one.labels(carrier)

    def judged(
        self,
        plain: Sequence[tuple[Receipt, int]],
        counted: Sequence[tuple[Receipt, Submission, Effect]],
        *,
        now_ms: int,
    ) -> None:
        """Count the receipts of a batch that found their segment and are stored now.

        Each of `plain`, with the time of its submit, delivered its message.
        """
        if self._spans is not None:
            self._spans.judged(plain, counted, now_ms=now_ms)
        kinds = Counter((receipt.carrier, receipt.message_state, effect) for receipt, _, effect in counted)
        for (carrier, message_state, effect), count in kinds.items():
            self.received.labels(carrier, message_state.value).inc(count)
            if effect is Effect.DUPLICATE:
                self.duplicate.labels(carrier).inc(count)
                self._repeats.inc(count)
            elif effect not in (Effect.APPLIED, Effect.READ):
                self.out_of_order.labels(carrier).inc(count)
        waited_s: dict[str, list[float]] = {receipt.carrier: [] for receipt, _ in plain}
        for receipt, submitted_at in plain:
            waited_s[receipt.carrier].append(max(0, receipt.received_at - submitted_at) / 1000)
        for carrier, waited in waited_s.items():
            self.received.labels(carrier, MessageState.DELIVERED.value).inc(len(waited))
        stored_s = [max(0, now_ms - receipt.received_at) / 1000 for receipt, _ in plain]
        for receipt, submission, effect in counted:
            received_at = receipt.received_at
            stored_s.append(max(0, now_ms - received_at) / 1000)
            if effect is Effect.APPLIED and submission.receipt_state in FINALS:
                waited = waited_s.setdefault(receipt.carrier, [])
                waited.append(max(0, received_at - submission.submitted_at) / 1000)
        observe_many(self._processing, stored_s)
        for carrier, waited in waited_s.items():
            observe_many(self.latency.labels(carrier), waited)
            if self._pending is not None:
                self._pending.ended(carrier, len(waited))
