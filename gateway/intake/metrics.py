"""What intake counts. Label values come from closed sets and are touched at start."""

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry

from gateway.bus.topics import lane_group, lanes
from gateway.domain.message import CLASSES, Channel, Message, MessageClass, Source
from gateway.telemetry.metrics import counter, gauge, histogram

REASONS = frozenset(
    {
        "invalid_number",
        "opted_out",
        "quiet_hours",
        "frequency_cap",
        "rate_limited",
        "quota",
        "no_route",
        "backpressure",
        "auth",
        "other",
    }
)
"""Why a message is refused: the closed list of http-api section 2."""

ACCOUNT_LIMITER = "account"
CREDENTIAL_LIMITER = "smpp_credential"
LIMITERS = (ACCOUNT_LIMITER, CREDENTIAL_LIMITER)


class IntakeMetrics:
    """One bundle per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        accepted = counter(registry, "messages_accepted_total")
        rejected = counter(registry, "messages_rejected_total")
        self._accepted = {
            (source, message_class, channel): accepted.labels(
                channel.value, message_class.value, source.value
            )
            for source in Source
            for message_class in CLASSES
            for channel in Channel
        }
        self._rejected = {reason: rejected.labels(reason) for reason in sorted(REASONS)}
        self._deduplicated = counter(registry, "messages_deduplicated_total").labels("ingress")
        self._batch_sizes = histogram(registry, "batch_size_messages").labels("/v1/messages:batch")
        self._flush = histogram(registry, "ingress_produce_duration_seconds")

    def accepted(self, messages: Sequence[Message]) -> None:
        """Count messages that are durable; those of one call have one source."""
        if not messages:
            return
        source = messages[0].source
        if len(messages) == 1:
            self._accepted[source, messages[0].message_class, messages[0].channel].inc()
            return
        counts: dict[tuple[MessageClass, Channel], int] = {}
        for message in messages:
            kind = message.message_class, message.channel
            counts[kind] = counts.get(kind, 0) + 1
        for (message_class, channel), count in counts.items():
            self._accepted[source, message_class, channel].inc(count)

    def rejected(self, codes: Iterable[str]) -> None:
        """Count refused messages by their code; codes outside the closed list are `other`."""
        for code in codes:
            self._rejected[code if code in REASONS else "other"].inc()

    def deduplicated(self, count: int) -> None:
        """Count repeats that were recognised."""
        self._deduplicated.inc(count)

    def batch_size(self, count: int) -> None:
        """Observe how many messages one batch brought; a single message needs no histogram."""
        self._batch_sizes.observe(count)

    def flushed(self, duration_s: float) -> None:
        """Observe one group commit."""
        self._flush.observe(duration_s)


class LimiterMetrics:
    """What the rates that we keep customers to decided; where there is no rate nothing is asked and nothing counted."""

    def __init__(self, registry: CollectorRegistry) -> None:
        decisions = counter(registry, "ratelimit_decisions_total")
        self._decisions = {
            (limiter, is_allowed): decisions.labels(limiter, "allow" if is_allowed else "deny")
            for limiter in LIMITERS
            for is_allowed in (True, False)
        }

    def decided(self, limiter: str, *, is_allowed: bool) -> None:
        """Count one answer of a limiter."""
        self._decisions[limiter, is_allowed].inc()


class LaneMetrics:
    """How much waits on each lane, as the bus counts it. Every api process says the same: take the maximum."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lag = gauge(registry, "queue_lag_messages")
        self._oldest = gauge(registry, "queue_oldest_message_timestamp_seconds")

    def show(
        self, carrier: str, *, records: Mapping[str, int], oldest_ms: Mapping[str, int], now_ms: int
    ) -> None:
        """Publish, by topic, the records that wait and when the oldest came; an empty lane's oldest is of now."""
        group = lane_group(carrier)
        for topic in lanes(carrier):
            self._lag.labels(topic, group).set(records.get(topic, 0))
            self._oldest.labels(topic).set(oldest_ms.get(topic, now_ms) / 1000)

    def forget(self, carrier: str) -> None:
        """Take a carrier that is not configured any more out of the gauges."""
        group = lane_group(carrier)
        for topic in lanes(carrier):
            self._lag.remove(topic, group)
            self._oldest.remove(topic)
