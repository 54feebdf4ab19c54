"""What the pipeline of mobile-originated messages tells Prometheus."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from gateway.inbound.reassembly import Why
from gateway.telemetry.metrics import counter, gauge


class InboundMetrics:
    """One bundle per process. `carriers` are the configured ids, so that every series exists from the start."""

    def __init__(self, registry: CollectorRegistry, *, carriers: Sequence[str] = ()) -> None:
        self.stored = counter(registry, "mo_stored_total")
        self.unassigned = counter(registry, "mo_unassigned_total")
        self.partial = counter(registry, "mo_partial_total")
        self.malformed = counter(registry, "mo_malformed_total")
        self.repeated = counter(registry, "mo_segments_repeated_total")
        self.waiting = gauge(registry, "inbound_parts_waiting")
        self.touch(carriers)

    def touch(self, carriers: Sequence[str]) -> None:
        """Make the series of these carriers exist."""
        for carrier in carriers:
            for one in (self.stored, self.unassigned, self.malformed):
                one.labels(carrier)
            for why in (Why.TIMEOUT, Why.SUPERSEDED, Why.CROWDED):
                self.partial.labels(carrier, why.value)
