"""What the pipeline of mobile-originated messages tells Prometheus."""

from collections.abc import Sequence
from typing import Final

from prometheus_client import CollectorRegistry

from gateway.inbound.reassembly import Why
from gateway.policy.keywords import KeywordAction, recognise_keyword
from gateway.telemetry.metrics import counter, gauge

_KINDS: Final = {
    KeywordAction.OPT_OUT: "opt_out",
    KeywordAction.OPT_IN: "opt_in",
    KeywordAction.HELP: "keyword",
    KeywordAction.MO: "other",
}


class InboundMetrics:
    """One bundle per process. `carriers` are the configured ids, so that every series exists from the start."""

    def __init__(self, registry: CollectorRegistry, *, carriers: Sequence[str] = ()) -> None:
        self._received = counter(registry, "mo_received_total")
        self.unassigned = counter(registry, "mo_unassigned_total")
        self.partial = counter(registry, "mo_partial_total")
        self.malformed = counter(registry, "mo_malformed_total")
        self.repeated = counter(registry, "mo_segments_repeated_total")
        self.waiting = gauge(registry, "inbound_parts_waiting")
        self.touch(carriers)

    def touch(self, carriers: Sequence[str]) -> None:
        """Make the series of these carriers exist."""
        for carrier in carriers:
            for one in (self.unassigned, self.malformed):
                one.labels(carrier)
            for kind in set(_KINDS.values()):
                self._received.labels(carrier, kind)
            for why in (Why.TIMEOUT, Why.SUPERSEDED, Why.CROWDED):
                self.partial.labels(carrier, why.value)

    def received(self, carrier: str, text: str | None) -> None:
        """Count a whole message by what it says: an opt-out, an opt-in, another word of ours, or anything else."""
        action = KeywordAction.MO if text is None else recognise_keyword(text)
        self._received.labels(carrier, _KINDS[action]).inc()
