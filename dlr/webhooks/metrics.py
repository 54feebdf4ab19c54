"""What webhooks tell Prometheus; one bundle per process."""

from prometheus_client import CollectorRegistry

from dlr.webhooks.client import Outcome
from gateway.telemetry.metrics import counter, gauge, histogram


class WebhookMetrics:
    """Attempts by outcome, delay of the delivered, what waits, endpoints disabled."""

    def __init__(self, registry: CollectorRegistry) -> None:
        attempts = counter(registry, "webhook_attempts_total")
        self._attempts = {outcome: attempts.labels(outcome.value) for outcome in Outcome}
        self.delay = histogram(registry, "webhook_delivery_delay_seconds")
        self.disabled = gauge(registry, "webhook_endpoints_disabled")
        self._pending = gauge(registry, "webhook_pending")
        self._pending_by_shard: dict[int, int] = {}

    def attempted(self, outcome: Outcome, events: int) -> None:
        """Count the events of one POST."""
        self._attempts[outcome].inc(events)

    def pending(self, shard: int, events: int) -> None:
        """Report what waits in one shard; 0 when it is not ours any more."""
        self._pending_by_shard[shard] = events
        self._pending.set(sum(self._pending_by_shard.values()))
