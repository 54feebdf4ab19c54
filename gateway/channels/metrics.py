"""What is counted of messages that try several channels."""

from prometheus_client import CollectorRegistry

from gateway.domain.message import Channel
from gateway.policy.channels import Nothing
from gateway.telemetry.metrics import counter, gauge

TIMEOUT = "timeout"
FAILED = "failed"


class ChannelMetrics:
    """One bundle per process. `reason` of a fallback is `timeout` or `failed`; the timeline says why it failed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        fallbacks = counter(registry, "channel_fallbacks_total")
        self.fallbacks = {
            (before, after, reason): fallbacks.labels(before.value, after.value, reason)
            for before in Channel
            for after in Channel
            for reason in (TIMEOUT, FAILED)
        }
        exhausted = counter(registry, "channel_exhausted_total")
        self.exhausted = {nothing: exhausted.labels(nothing.value) for nothing in Nothing}
        self.due = gauge(registry, "channel_steps_due")
