"""Metrics of dispatch: one bundle per process, one set of cached children per carrier."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram

from gateway.bus.topics import lane_group
from gateway.dispatch.plan import SMPP_STATUSES
from gateway.domain.message import CLASSES
from gateway.domain.outcomes import Ambiguous, Refused, SubmitOutcome, Submitted, Throttled, Unsent
from gateway.ports.links import BindChanged, BindFigures, BindState
from gateway.telemetry import metrics as catalogue
from gateway.telemetry.spans import Spans

RETRY_REASONS = ("retry_later", "resend_in_doubt", "drained")
DEAD_REASONS = ("envelope", "uncuttable")
QUEUED = "queued"
BEGUN = "begun"
"""Stages that a message expires in: before any of its segments was submitted, or after some were."""
CIRCUIT_STATES = ("closed", "half_open", "open")
NO_ANSWER = "none"
_MAX_STATUSES = 100
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
    """The bundle. Label values come from the configuration and from closed sets; `carriers` are touched at once.

    `spans` takes the attempts of sampled messages, None where traces are off.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        carriers: Sequence[str] = (),
        statuses: Mapping[str, Sequence[str]] | None = None,
        pairs: Iterable[tuple[str, str]] | None = None,
        spans: Spans | None = None,
    ) -> None:
        self.spans = spans
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
        self.mo_received = catalogue.counter(registry, "mo_segments_received_total")
        self.enquire_link_seconds = catalogue.histogram(registry, "carrier_enquire_link_duration_seconds")
        self.commit_failures = catalogue.counter(registry, "consumer_commit_failures_total")
        self.repeats = catalogue.counter(registry, "messages_deduplicated_total").labels("dispatch")
        self.expired_by_class = tuple(self.expired.labels(name, QUEUED) for name in CLASSES)
        self.expired_begun_by_class = tuple(self.expired.labels(name, BEGUN) for name in CLASSES)
        self.dead_by_reason = {reason: self.dead.labels(reason) for reason in DEAD_REASONS}
        self._carriers: dict[str, CarrierMetrics] = {}
        self._pairs: frozenset[tuple[str, str]] | None = None if pairs is None else frozenset(pairs)
        self._statuses: dict[str, Sequence[str]] = {}
        self.touch(carriers, statuses=statuses)

    def touch(self, carriers: Sequence[str], *, statuses: Mapping[str, Sequence[str]] | None = None) -> None:
        """Make every known label value of these carriers appear; `statuses` are their usual answers, success first."""
        self._statuses.update(statuses or {})
        for carrier in carriers:
            self.carrier(carrier)
        for pair in permutations(carriers, 2) if self._pairs is None else self._pairs:
            for reason in FAILOVER_REASONS:
                self.failovers.labels(*pair, reason)

    def expect_failovers(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Let these pairs of carriers be the known ones from the next `touch` on; without this all are."""
        self._pairs = frozenset(pairs)

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
        self.spans = bundle.spans
        self._carrier = carrier
        self._answers: dict[tuple[str, str], Counter] = {}
        self._binds: dict[str, int] = {}  # enquire_links answered, as last seen
        self.expired_by_class = bundle.expired_by_class
        self.expired_begun_by_class = bundle.expired_begun_by_class
        self.repeats = bundle.repeats
        self.enquire_link_seconds = bundle.enquire_link_seconds.labels(carrier)
        self.commit_failures = bundle.commit_failures.labels(lane_group(carrier))
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
        self._known_statuses = (*statuses, NO_ANSWER)
        self._names = set(self._known_statuses)
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
                self._answer(outcome.bind, outcome.status).inc()
            case Refused():
                self._answer(outcome.bind, outcome.status).inc()
            case Ambiguous():
                self.timeouts.inc()
                self._answer(outcome.bind, NO_ANSWER).inc()
            case Unsent() | Submitted():
                pass

    def count_submitted(self, response_ms: list[int], *, by_bind: Mapping[str, int]) -> None:
        """Count a flush's worth of accepted segments: their response times, and how many each bind brought."""
        if response_ms:
            _observe_all(self.submit_seconds, response_ms, catalogue.SUBMIT_BUCKETS)
            for bind, count in by_bind.items():
                self._answer(bind, self._success).inc(count)

    def count_delays(self, delays_ms: Sequence[list[int]]) -> None:
        """Count a flush's worth of milliseconds from acceptance to the carrier's answer, by class."""
        for histogram, values in zip(self.delay, delays_ms, strict=True):
            if values:
                _observe_all(histogram, values, catalogue.DELAY_BUCKETS)

    def attach_exemplars(
        self, lane: int, *, delay_ms: int, response_ms: int, trace_id: str, now_ms: int
    ) -> None:
        """Let the buckets of a sampled message, which a flush counts, name its trace."""
        attach = catalogue.attach_exemplar
        attach(self.delay[lane], delay_ms / 1000, trace_id=trace_id, at_ms=now_ms)
        attach(self.submit_seconds, response_ms / 1000, trace_id=trace_id, at_ms=now_ms)

    def show_binds(self, figures: Iterable[BindFigures]) -> None:
        """Publish the live figures of every bind."""
        bundle, carrier = self._bundle, self._carrier
        for bind in figures:
            if bind.bind not in self._binds:
                self._introduce(bind.bind)
            self._observe_enquire_links(bind)
            bundle.window_in_use.labels(carrier, bind.bind).set(bind.window_in_use)
            bundle.window_size.labels(carrier, bind.bind).set(bind.window_slots)
            bundle.bind_up_since.labels(carrier, bind.bind).set((bind.bound_since_ms or 0) / 1000)
            for state in BindState:
                bundle.bind_state.labels(carrier, bind.bind, state).set(state is bind.state)

    def bind_changed(self, event: BindChanged) -> None:
        """Count a change of bind state."""
        self._bundle.bind_transitions.labels(self._carrier, event.bind, event.state).inc()

    def _introduce(self, bind: str) -> None:
        """Make the series of a bind exist before anything happens on it."""
        self._binds[bind] = 0
        for status in self._known_statuses:
            self._answer(bind, status)
        for state in BindState:
            self._bundle.bind_transitions.labels(self._carrier, bind, state)

    def _observe_enquire_links(self, bind: BindFigures) -> None:
        # Figures come every second, enquire_links every half minute: the last answer is every answer.
        if bind.enquire_link_count != self._binds[bind.bind]:
            self._binds[bind.bind] = bind.enquire_link_count
            self.enquire_link_seconds.observe(bind.enquire_link_ns / 1e9)

    def _answer(self, bind: str, status: str) -> Counter:
        child = self._answers.get((bind, status))
        if child is None:
            # A carrier may invent any of 2^32 codes: past a hundred they count as one.
            if status not in self._names and len(self._names) >= _MAX_STATUSES:
                status = "other"
            self._names.add(status)
            child = self._answers[bind, status] = self._bundle.responses.labels(self._carrier, bind, status)
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
