"""What consumers of topics tell Prometheus; one bundle of each kind per process, shared by its consumers."""

from collections.abc import Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry

from gateway.ports.bus import Lag
from gateway.telemetry.metrics import counter, gauge, histogram

DEAD_REASONS: Final = ("envelope", "rejected", "unexpected")


class PendingMetrics:
    """Segments that wait for their final receipt; the recorder adds, dlr takes away. One bundle per process.

    The processes share both kinds of work, so the figure of one may be below 0; their sum is what counts.
    """

    def __init__(self, registry: CollectorRegistry, *, carriers: Sequence[str] = ()) -> None:
        self._pending = gauge(registry, "dlr_pending_messages")
        self.touch(carriers)

    def touch(self, carriers: Sequence[str]) -> None:
        """Make the series of these carriers exist."""
        for carrier in carriers:
            self._pending.labels(carrier)

    def seed(self, found: Mapping[str, int]) -> None:
        """Begin with what a process before this one left waiting."""
        self.submitted(found)

    def submitted(self, counts: Mapping[str, int]) -> None:
        """Add segments by carrier that were recorded as submitted."""
        for carrier, count in counts.items():
            self._pending.labels(carrier).inc(count)

    def ended(self, carrier: str, count: int) -> None:
        """Take away segments that got their final receipt, or will never get one."""
        self._pending.labels(carrier).dec(count)


class ReaderMetrics:
    """Lag and progress by group, writes by table, dead records by reason."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.write_duration = histogram(registry, "store_write_duration_seconds")
        self.batch_rows = histogram(registry, "store_batch_rows")
        self.errors = counter(registry, "store_errors_total")
        self.dead = counter(registry, "messages_dead_lettered_total")
        self.rebalances = counter(registry, "consumer_rebalances_total")
        self.commit_failures = counter(registry, "consumer_commit_failures_total")
        self._lag = gauge(registry, "queue_lag_messages")
        self._oldest = gauge(registry, "queue_oldest_message_timestamp_seconds")
        self._progress = gauge(registry, "queue_consumer_last_progress_timestamp_seconds")
        for reason in DEAD_REASONS:
            self.dead.labels(reason)

    def introduce(self, *, topic: str, group: str, table: str) -> None:
        """Make the series of one consumer exist before anything happens."""
        self._lag.labels(topic, group)
        self._progress.labels(topic, group)
        self._oldest.labels(topic)
        self.rebalances.labels(group)
        self.commit_failures.labels(group)
        for one in (self.write_duration, self.batch_rows):
            one.labels(table)
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
