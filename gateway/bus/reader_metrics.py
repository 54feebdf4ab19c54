"""What every consumer of a topic tells Prometheus; one bundle per process, shared by its consumers."""

from prometheus_client import CollectorRegistry

from gateway.ports.bus import Lag
from gateway.telemetry.metrics import counter, gauge, histogram


class ReaderMetrics:
    """Lag and progress by group, writes by table, dead records by reason."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.write_duration = histogram(registry, "store_write_duration_seconds")
        self.batch_rows = histogram(registry, "store_batch_rows")
        self.errors = counter(registry, "store_errors_total")
        self.dead = counter(registry, "messages_dead_lettered_total")
        self._lag = gauge(registry, "queue_lag_messages")
        self._oldest = gauge(registry, "queue_oldest_message_timestamp_seconds")
        self._progress = gauge(registry, "queue_consumer_last_progress_timestamp_seconds")
        for reason in ("envelope", "rejected", "unexpected"):
            self.dead.labels(reason)

    def introduce(self, *, topic: str, group: str, table: str) -> None:
        """Make the series of one consumer exist before anything happens."""
        self._lag.labels(topic, group)
        self._progress.labels(topic, group)
        self._oldest.labels(topic)
        self.write_duration.labels(table)
        for reason in ("database", "rejected"):
            self.errors.labels(table, reason)

    def progressed(self, *, topic: str, group: str, now_ms: int) -> None:
        """Note that the group committed, or had nothing to do."""
        self._progress.labels(topic, group).set(now_ms / 1000)

    def lag(self, lags: list[Lag], *, topic: str, group: str, now_ms: int) -> None:
        """Report how far the group is behind."""
        self._lag.labels(topic, group).set(sum(one.records for one in lags if one.topic == topic))
        oldest = [one.oldest_ms for one in lags if one.topic == topic and one.oldest_ms is not None]
        self._oldest.labels(topic).set(min(oldest, default=now_ms) / 1000)
