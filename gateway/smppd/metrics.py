"""What the SMPP server counts. Label values come from closed sets and are touched at start."""

from collections import Counter as Tally
from typing import Final

from prometheus_client import CollectorRegistry

from adapters.smpp.wire import constants as c
from gateway.intake.metrics import CREDENTIAL_LIMITER, LimiterMetrics
from gateway.smppd.statuses import SUBMIT_STATUSES
from gateway.telemetry.metrics import counter, gauge

SESSION_STATES: Final = ("open", "bound_tx", "bound_rx", "bound_trx")
BIND_RESULTS: Final = (
    "accepted",
    "credentials",
    "network",
    "too_many_binds",
    "too_many_failures",
    "unavailable",
)


class ServerMetrics:
    """One bundle of the process that listens."""

    def __init__(self, registry: CollectorRegistry, *, limiters: LimiterMetrics | None = None) -> None:
        self._limiters = limiters
        sessions = gauge(registry, "smpp_server_sessions")
        self.sessions = {state: sessions.labels(state) for state in SESSION_STATES}
        binds = counter(registry, "smpp_server_binds_total")
        self._binds = {result: binds.labels(result) for result in BIND_RESULTS}
        submits = counter(registry, "smpp_server_submits_total")
        self._submits = {status: submits.labels(c.status_name(status)) for status in SUBMIT_STATUSES}
        self._other = submits.labels("other")
        receipts = counter(registry, "smpp_server_receipts_total")
        self._receipts = {
            result: receipts.labels(result)
            for result in ("acknowledged", "refused", "unanswered", "given_up")
        }

    def bound(self, result: str) -> None:
        """Count the verdict on a bind."""
        self._binds[result].inc()

    def submits(self, statuses: Tally[int]) -> None:
        """Count the answers to submits."""
        for status, count in statuses.items():
            self._submits.get(status, self._other).inc(count)

    def limited(self, *, is_allowed: bool) -> None:
        """Count what the rate of a credential decided."""
        if self._limiters is not None:
            self._limiters.decided(CREDENTIAL_LIMITER, is_allowed=is_allowed)

    def receipts(self, result: str, count: int = 1) -> None:
        """Count what became of receipts that were sent."""
        self._receipts[result].inc(count)


class CollectorMetrics:
    """One bundle of the process that keeps the receipts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.waiting = gauge(registry, "smpp_server_receipts_waiting")
        receipts = counter(registry, "smpp_server_receipts_total")
        self.queued = receipts.labels("queued")
        self.expired = receipts.labels("expired")
