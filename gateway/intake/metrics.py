"""What intake counts. Label values come from closed sets and are touched at start."""

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry

from gateway.domain.message import CLASSES, Channel, Message, Source
from gateway.telemetry.metrics import counter, histogram

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


class IntakeMetrics:
    """One bundle per process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        accepted = counter(registry, "messages_accepted_total")
        rejected = counter(registry, "messages_rejected_total")
        self._accepted = {
            (source, message_class): accepted.labels(Channel.SMS.value, message_class.value, source.value)
            for source in Source
            for message_class in CLASSES
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
            self._accepted[source, messages[0].message_class].inc()
            return
        by_class = dict.fromkeys(CLASSES, 0)
        for message in messages:
            by_class[message.message_class] += 1
        for message_class, count in by_class.items():
            if count:
                self._accepted[source, message_class].inc(count)

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
