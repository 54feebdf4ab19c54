"""Metrics of dispatch: one bundle per process, one set of cached children per carrier."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram

from gateway.dispatch.plan import SMPP_STATUSES
from gateway.domain.message import CLASSES
from gateway.domain.outcomes import Ambiguous, Refused, SubmitOutcome, Submitted, Throttled, Unsent
from gateway.ports.links import BindChanged, BindFigures, BindState
from gateway.telemetry import metrics as catalogue

RETRY_REASONS = ("retry_later", "resend_in_doubt", "drained")
DEAD_REASONS = ("envelope", "uncuttable")
CIRCUIT_STATES = ("closed", "half_open", "open")
FAILOVER_REASONS = (
    "carrier_down",
    "drained",
    "failover",
    "otp_failover",
    "resend_in_doubt",
    "retries_used_up",
    "route_refused",
)


class ShardFigures(NamedTuple):
    """What one shard of a carrier adds to the gauges of its process."""

    queue_depth: tuple[int, ...]
    limit_per_s: float
    effective_per_s: float
    breaker: str
    is_paused: bool


class DispatchMetrics:
    """The bundle. Label values come from the configuration and from closed sets; `carriers` are touched at once."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        carriers: Sequence[str] = (),
        statuses: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.queue_depth = catalogue.gauge(registry, "carrier_queue_depth_messages")
        self.bind_state = catalogue.gauge(registry, "carrier_bind_state")
        self.bind_transitions = catalogue.counter(registry, "carrier_bind_transitions_total")
        self.bind_up_since = catalogue.gauge(registry, "carrier_bind_up_since_timestamp_seconds")
        self.window_in_use = catalogue.gauge(registry, "carrier_window_in_use")
        self.window_size = catalogue.gauge(registry, "carrier_window_size")
        self.mps_limit = catalogue.gauge(registry, "carrier_mps_limit")
        self.mps_effective = catalogue.gauge(registry, "carrier_mps_effective_limit")
        self.circuit_state = catalogue.gauge(registry, "carrier_circuit_state")
        self.paused = catalogue.gauge(registry, "carrier_paused")
        self.responses = catalogue.counter(registry, "carrier_submit_responses_total")
        self.submitted = catalogue.counter(registry, "carrier_segments_submitted_total")
        self.submit_seconds = catalogue.histogram(registry, "carrier_submit_duration_seconds")
        self.throttled = catalogue.counter(registry, "carrier_throttled_total")
        self.timeouts = catalogue.counter(registry, "carrier_submit_timeouts_total")
        self.delay = catalogue.histogram(registry, "message_submit_delay_seconds")
        self.retries = catalogue.counter(registry, "message_retries_total")
        self.failovers = catalogue.counter(registry, "message_failovers_total")
        self.dead = catalogue.counter(registry, "messages_dead_lettered_total")
        self.expired = catalogue.counter(registry, "messages_expired_total")
        self.mo_received = catalogue.counter(registry, "mo_received_total")
        self.expired_by_class = tuple(self.expired.labels(name) for name in CLASSES)
        self.dead_by_reason = {reason: self.dead.labels(reason) for reason in DEAD_REASONS}
        self._carriers: dict[str, CarrierMetrics] = {}
        self._statuses: dict[str, Sequence[str]] = {}
        self.touch(carriers, statuses=statuses)

    def touch(self, carriers: Sequence[str], *, statuses: Mapping[str, Sequence[str]] | None = None) -> None:
        """Make every known label value of these carriers appear; `statuses` are their usual answers, success first."""
        self._statuses.update(statuses or {})
        for carrier in carriers:
            self.carrier(carrier)
            for other in carriers:
                if other != carrier:
                    for reason in FAILOVER_REASONS:
                        self.failovers.labels(carrier, other, reason)

    def carrier(self, carrier: str) -> "CarrierMetrics":
        """Return the children of one carrier, the same for all its shards, every known label value touched."""
        found = self._carriers.get(carrier)
        if found is None:
            statuses = self._statuses.get(carrier, SMPP_STATUSES)
            found = self._carriers[carrier] = CarrierMetrics(self, carrier, statuses=statuses)
        return found


class CarrierMetrics:
    """The children of one carrier; hot ones are counted locally and written once per flush."""

    def __init__(self, bundle: DispatchMetrics, carrier: str, *, statuses: Sequence[str]) -> None:
        self._bundle = bundle
        self._carrier = carrier
        self._statuses: dict[str, Counter] = {}
        self.expired_by_class = bundle.expired_by_class
        self.dead_by_reason = bundle.dead_by_reason
        self.queue_depth = tuple(bundle.queue_depth.labels(carrier, name) for name in CLASSES)
        self.delay = tuple(bundle.delay.labels(carrier, name) for name in CLASSES)
        self.submitted = bundle.submitted.labels(carrier)
        self.submit_seconds = bundle.submit_seconds.labels(carrier)
        self.throttled = bundle.throttled.labels(carrier)
        self.timeouts = bundle.timeouts.labels(carrier)
        self.mo_received = bundle.mo_received.labels(carrier)
        self.retries = {reason: bundle.retries.labels(carrier, reason) for reason in RETRY_REASONS}
        self._success = statuses[0]
        for status in (*statuses, "none"):
            self._status(status)
        self._shards: dict[int, ShardFigures] = {}
        self._show()

    def show_shard(self, shard: int, figures: ShardFigures) -> None:
        """Publish the gauges of the carrier with what this shard adds to them now."""
        self._shards[shard] = figures
        self._show()

    def forget_shard(self, shard: int, *, binds: Iterable[str]) -> None:
        """Take a shard that another process may own by now out of the gauges, and its binds."""
        self._shards.pop(shard, None)
        self._show()
        bundle, carrier = self._bundle, self._carrier
        for bind in binds:
            for gauge in (bundle.window_in_use, bundle.window_size, bundle.bind_up_since):
                gauge.labels(carrier, bind).set(0)
            for state in BindState:
                bundle.bind_state.labels(carrier, bind, state).set(0)

    def _show(self) -> None:
        bundle, carrier, shards = self._bundle, self._carrier, self._shards.values()
        for index, gauge in enumerate(self.queue_depth):
            gauge.set(sum([shard.queue_depth[index] for shard in shards]))
        bundle.mps_limit.labels(carrier).set(sum([shard.limit_per_s for shard in shards]))
        bundle.mps_effective.labels(carrier).set(sum([shard.effective_per_s for shard in shards]))
        bundle.paused.labels(carrier).set(any(shard.is_paused for shard in shards))
        breakers = {shard.breaker for shard in shards}
        best = next((state for state in CIRCUIT_STATES if state in breakers), None)
        for state in CIRCUIT_STATES:
            bundle.circuit_state.labels(carrier, state).set(state == best)

    def failed_over(self, to_carrier: str, reason: str) -> None:
        """Count one message that left for another carrier."""
        reason = reason if reason in FAILOVER_REASONS else "failover"
        self._bundle.failovers.labels(self._carrier, to_carrier, reason).inc()

    def count_outcome(self, outcome: SubmitOutcome) -> None:
        """Count an outcome that is not Submitted; these are rare enough to count one by one."""
        match outcome:
            case Throttled():
                self.throttled.inc()
                self._status(outcome.status).inc()
            case Refused():
                self._status(outcome.status).inc()
            case Ambiguous():
                self.timeouts.inc()
                self._status("none").inc()
            case Unsent() | Submitted():
                pass

    def count_submitted(self, response_ms: list[int]) -> None:
        """Count a flush's worth of accepted segments."""
        if response_ms:
            _observe_all(self.submit_seconds, response_ms, catalogue.SUBMIT_BUCKETS)
            self._status(self._success).inc(len(response_ms))

    def count_delays(self, delays_ms: Iterable[tuple[int, int]]) -> None:
        """Count a flush's worth of (class index, milliseconds from acceptance to the carrier's answer)."""
        by_class: dict[int, list[int]] = {}
        for index, delay_ms in delays_ms:
            by_class.setdefault(index, []).append(delay_ms)
        for index, values in by_class.items():
            _observe_all(self.delay[index], values, catalogue.DELAY_BUCKETS)

    def show_binds(self, figures: Iterable[BindFigures]) -> None:
        """Publish the live figures of every bind."""
        bundle, carrier = self._bundle, self._carrier
        for bind in figures:
            bundle.window_in_use.labels(carrier, bind.bind).set(bind.window_in_use)
            bundle.window_size.labels(carrier, bind.bind).set(bind.window_slots)
            bundle.bind_up_since.labels(carrier, bind.bind).set((bind.bound_since_ms or 0) / 1000)
            for state in BindState:
                bundle.bind_state.labels(carrier, bind.bind, state).set(state is bind.state)

    def bind_changed(self, event: BindChanged) -> None:
        """Count a change of bind state."""
        self._bundle.bind_transitions.labels(self._carrier, event.bind, event.state).inc()

    def _status(self, status: str) -> Counter:
        child = self._statuses.get(status)
        if child is None:
            # A carrier may invent any of 2^32 codes: past a hundred they count as one.
            name = status if len(self._statuses) < 100 else "other"
            child = self._bundle.responses.labels(self._carrier, name)
            if name == status:
                self._statuses[status] = child
        return child


def _observe_all(histogram: Histogram, values_ms: list[int], bounds_s: Sequence[float]) -> None:
    """Observe many durations at a tenth of the cost of one `observe` each."""
    values_ms.sort()
    below = 0
    # The client has no call for this; the layout of its children has not changed in years, and a test compares.
    for bound_s, bucket in zip(bounds_s, histogram._buckets, strict=False):  # noqa: SLF001
        upto = bisect_right(values_ms, bound_s * 1000)
        if upto > below:
            bucket.inc(upto - below)
            below = upto
    if len(values_ms) > below:
        histogram._buckets[-1].inc(len(values_ms) - below)  # noqa: SLF001
    histogram._sum.inc(sum(values_ms) / 1000)  # noqa: SLF001
