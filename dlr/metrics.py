"""What dlr tells Prometheus of receipts; one bundle per process of the role `back`."""

from collections import Counter
from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from dlr.correlate import Effect
from gateway.domain.lifecycle import FINALS
from gateway.domain.receipts import MessageState, Receipt
from gateway.ports.record_store import Submission
from gateway.telemetry.metrics import counter, histogram, observe_many


class DlrMetrics:
    """One bundle per process. `carriers` are the configured ids, so that every series exists from the start."""

    def __init__(self, registry: CollectorRegistry, *, carriers: Sequence[str] = ()) -> None:
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
        plain: Sequence[tuple[Receipt, Submission]],
        counted: Sequence[tuple[Receipt, Submission, Effect]],
        *,
        now_ms: int,
    ) -> None:
        """Count the receipts of a batch that found their segment and are stored now; `plain` delivered theirs."""
        kinds = Counter((receipt.carrier, receipt.message_state, effect) for receipt, _, effect in counted)
        for (carrier, message_state, effect), count in kinds.items():
            self.received.labels(carrier, message_state.value).inc(count)
            if effect is Effect.DUPLICATE:
                self.duplicate.labels(carrier).inc(count)
            elif effect not in (Effect.APPLIED, Effect.READ):
                self.out_of_order.labels(carrier).inc(count)
        waited_s: dict[str, list[float]] = {receipt.carrier: [] for receipt, _ in plain}
        for receipt, submission in plain:
            waited_s[receipt.carrier].append(max(0, receipt.received_at - submission.submitted_at) / 1000)
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
