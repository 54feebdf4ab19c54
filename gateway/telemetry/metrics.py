"""The metric catalogue as data, and how features make their bundles from it.

Names, labels, help and buckets are here and only here; a bundle class beside the code that uses it calls `counter`,
`gauge` or `histogram` with a name of the catalogue and touches every label value it knows in advance, so that rates
work from the first failure on.
"""

from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.samples import Exemplar

disable_created_metrics()  # type: ignore[no-untyped-call]  # the client has no annotation there

PREFIX = "caudal_"

INGRESS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
SUBMIT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
DELAY_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
RECEIPT_BUCKETS = (1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600, 14400, 86400)
BATCH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10000)


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One line of the catalogue."""

    kind: str
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


def _counter(help_text: str, *labels: str) -> MetricSpec:
    return MetricSpec("counter", labels, help_text)


def _gauge(help_text: str, *labels: str) -> MetricSpec:
    return MetricSpec("gauge", labels, help_text)


def _histogram(help_text: str, buckets: tuple[float, ...], *labels: str) -> MetricSpec:
    return MetricSpec("histogram", labels, help_text, buckets)


CATALOGUE: dict[str, MetricSpec] = {
    # ingress
    "http_requests_total": _counter("Finished API requests.", "route", "method", "code"),
    "http_request_duration_seconds": _histogram(
        "Time from request to last byte.", INGRESS_BUCKETS, "route", "method"
    ),
    "http_requests_in_flight": _gauge("API requests being answered now."),
    "messages_accepted_total": _counter("Messages the bus acknowledged.", "channel", "class", "source"),
    "messages_rejected_total": _counter("Messages refused at intake.", "reason"),
    "messages_deduplicated_total": _counter("Repeats recognised.", "stage"),
    "batch_size_messages": _histogram("Messages in one request.", BATCH_BUCKETS, "route"),
    "ingress_produce_duration_seconds": _histogram("Durable append of accepted messages.", INGRESS_BUCKETS),
    "ratelimit_decisions_total": _counter(
        "Requests that a rate of ours was asked for.", "limiter", "decision"
    ),
    # queues
    "queue_lag_messages": _gauge("Records not yet committed.", "topic", "group"),
    "queue_oldest_message_timestamp_seconds": _gauge("Append time of the oldest record not done.", "queue"),
    "queue_consumer_last_progress_timestamp_seconds": _gauge("Last commit of a group.", "topic", "group"),
    "consumer_rebalances_total": _counter("Times the partitions of this process changed.", "group"),
    "consumer_commit_failures_total": _counter("Batches whose position could not be stored.", "group"),
    "carrier_queue_depth_messages": _gauge("Messages read from a lane and not settled.", "carrier", "class"),
    # carrier and bind
    "carrier_bind_state": _gauge("1 for the state a bind is in.", "carrier", "bind", "state"),
    "carrier_bind_transitions_total": _counter("Changes of bind state.", "carrier", "bind", "to_state"),
    "carrier_bind_up_since_timestamp_seconds": _gauge(
        "When the bind came up; 0 when down.", "carrier", "bind"
    ),
    "carrier_window_in_use": _gauge("Submits waiting for a response.", "carrier", "bind"),
    "carrier_window_size": _gauge("Most submits that may wait for a response.", "carrier", "bind"),
    "carrier_mps_limit": _gauge("Segments per second as configured or ordered.", "carrier"),
    "carrier_mps_effective_limit": _gauge("Segments per second that the binds may do now.", "carrier"),
    "carrier_circuit_state": _gauge("1 for the state of the carrier's breaker.", "carrier", "state"),
    "carrier_paused": _gauge("1 while an operator pauses or drains the carrier.", "carrier"),
    "carrier_submit_responses_total": _counter(
        "Answers to submits, one a segment.", "carrier", "bind", "command_status"
    ),
    "carrier_segments_submitted_total": _counter("Segments written to the carrier.", "carrier"),
    "carrier_submit_duration_seconds": _histogram("Submit to response.", SUBMIT_BUCKETS, "carrier"),
    "carrier_throttled_total": _counter("Throttle answers.", "carrier"),
    "carrier_submit_timeouts_total": _counter("Submits without a response: outcome unknown.", "carrier"),
    "carrier_enquire_link_duration_seconds": _histogram(
        "enquire_link to its answer.", SUBMIT_BUCKETS, "carrier"
    ),
    "carrier_callbacks_total": _counter("Calls of HTTP carriers to us.", "carrier", "outcome"),
    # outcome
    "message_submit_delay_seconds": _histogram(
        "Accepted to acknowledged by the carrier.", DELAY_BUCKETS, "carrier", "class"
    ),
    "message_retries_total": _counter("Attempts put off to a later time.", "carrier", "reason"),
    "message_failovers_total": _counter(
        "Messages moved to another carrier.", "from_carrier", "to_carrier", "reason"
    ),
    "messages_dead_lettered_total": _counter("Records that could not be processed.", "reason"),
    "dead_letter_messages": _gauge(
        "Records that could not be processed and wait for a person, up to 100,000."
    ),
    "conservation_lost_messages_total": _counter(
        "Messages that the receipt deadline found accepted and never submitted: none should be."
    ),
    "conservation_check_timestamp_seconds": _gauge("End of the last search for messages without an end."),
    "messages_expired_total": _counter("Validity ran out before submit.", "class", "stage"),
    "messages_final_total": _counter("Messages that reached a final state.", "carrier", "state"),
    # receipts and store
    "dlr_received_total": _counter("Receipts received, intermediate ones too.", "carrier", "state"),
    "dlr_latency_seconds": _histogram("Submit acknowledgement to final receipt.", RECEIPT_BUCKETS, "carrier"),
    "dlr_processing_seconds": _histogram("Receipt received to stored.", DELAY_BUCKETS),
    "dlr_unmatched_total": _counter("Receipts parked because no segment has their id yet.", "carrier"),
    "dlr_duplicate_total": _counter("Receipts that repeated a known state.", "carrier"),
    "dlr_out_of_order_total": _counter("Receipts that came after a later or final state.", "carrier"),
    "dlr_pending_messages": _gauge("Segments with their carrier that no final receipt came for.", "carrier"),
    "dlr_parked_receipts": _gauge("Receipts that wait for their message to be known."),
    "dlr_orphan_receipts": _gauge("Receipts given up: no message was found; kept to be played again."),
    "mo_segments_received_total": _counter("Segments of mobile-originated messages.", "carrier"),
    "mo_received_total": _counter(
        "Mobile-originated messages stored, their segments joined.", "carrier", "kind"
    ),
    "mo_unassigned_total": _counter(
        "Mobile-originated messages that no account was found for when they came.", "carrier"
    ),
    "mo_partial_total": _counter(
        "Mobile-originated messages given out with segments missing.", "carrier", "reason"
    ),
    "mo_malformed_total": _counter("Mobile-originated messages with a header that lies.", "carrier"),
    "mo_segments_repeated_total": _counter("Segments that a carrier sent again."),
    "inbound_parts_waiting": _gauge("Segments that wait for the rest of their message."),
    "channel_fallbacks_total": _counter(
        "Messages that went on to another channel.", "from_channel", "to_channel", "reason"
    ),
    "channel_exhausted_total": _counter("Messages that ended because no channel was left.", "reason"),
    "channel_double_deliveries_total": _counter(
        "Messages delivered on a second channel too, by the carrier whose receipt came last.", "carrier"
    ),
    "channel_steps_due": _gauge("Channels of messages whose time is over and was not looked at yet."),
    "webhook_attempts_total": _counter("Events posted to endpoints of accounts.", "outcome"),
    "webhook_delivery_delay_seconds": _histogram("Event to the first 2xx.", DELAY_BUCKETS),
    "webhook_pending": _gauge("Events that wait for their delivery."),
    "webhook_endpoints_disabled": _gauge("Endpoints disabled for what they answered."),
    "store_write_duration_seconds": _histogram("One batch written.", INGRESS_BUCKETS, "table"),
    "store_batch_rows": _histogram("Rows in one batch.", BATCH_BUCKETS, "table"),
    "store_errors_total": _counter("Failed batches.", "table", "reason"),
    "store_pool_connections": _gauge("Connections to the database, and who waits for one.", "state"),
    # SMPP server for customers
    "smpp_server_sessions": _gauge("Connections of customers' ESMEs.", "state"),
    "smpp_server_binds_total": _counter("Verdicts on binds of customers.", "result"),
    "smpp_server_submits_total": _counter("Answers to submits of customers.", "status"),
    "smpp_server_receipts_total": _counter("Receipts for customers' ESMEs.", "result"),
    "smpp_server_receipts_waiting": _gauge("Receipts that wait for a customer's bind, up to 1,000,000."),
    # traces
    "traces_spans_exported_total": _counter("Spans that the collector took."),
    "traces_spans_dropped_total": _counter("Spans that were given up.", "reason"),
    # runtime
    "event_loop_lag_seconds": _histogram("Overshoot of a 0.1 s sleep.", INGRESS_BUCKETS),
    "build_info": _gauge("Version of the running program.", "version", "commit"),
    "config_info": _gauge("Configuration that this process runs, by its digest.", "hash"),
    "config_reload_success_timestamp_seconds": _gauge("When this process took its configuration over."),
    "credential_expiry_timestamp_seconds": _gauge(
        "When a password or certificate ends; 0 for a certificate that cannot be read.", "owner", "kind"
    ),
    "role_up": _gauge("1 while the supervised process runs.", "process"),
    "role_restarts_total": _counter("Times a process was started again.", "process"),
}


def counter(registry: CollectorRegistry, name: str) -> Counter:
    """Make the catalogue's counter in `registry`."""
    spec = _spec(name, "counter")
    return Counter(PREFIX + name, spec.help, spec.labels, registry=registry)


def gauge(registry: CollectorRegistry, name: str) -> Gauge:
    """Make the catalogue's gauge in `registry`."""
    spec = _spec(name, "gauge")
    return Gauge(PREFIX + name, spec.help, spec.labels, registry=registry)


def histogram(registry: CollectorRegistry, name: str) -> Histogram:
    """Make the catalogue's histogram in `registry`."""
    spec = _spec(name, "histogram")
    return Histogram(PREFIX + name, spec.help, spec.labels, buckets=spec.buckets, registry=registry)


def observe_many(child: Histogram, values: Sequence[float]) -> None:
    """Observe a batch in a histogram (one of its children, where it has labels) for a fraction of the price.

    The client takes 3 us for each value, which is a tenth of the whole cost of a receipt; it has no call for many.
    """
    bounds = child._upper_bounds  # noqa: SLF001 - a test holds this to what `observe` does
    counts = Counts(bisect_left(bounds, value) for value in values)
    for index, count in counts.items():
        child._buckets[index].inc(count)  # noqa: SLF001
    child._sum.inc(sum(values))  # noqa: SLF001


def attach_exemplar(child: Histogram, value: float, *, trace_id: str, at_ms: int) -> None:
    """Let the bucket of a value that is counted elsewhere name the trace that shows it."""
    index = bisect_left(child._upper_bounds, value)  # noqa: SLF001 - the client has no call for it
    exemplar = Exemplar({"trace_id": trace_id}, value, at_ms / 1000)
    child._buckets[index].set_exemplar(exemplar)  # noqa: SLF001


def _spec(name: str, kind: str) -> MetricSpec:
    spec = CATALOGUE[name]
    if spec.kind != kind:
        raise TypeError(f"{name} is a {spec.kind} in the catalogue, not a {kind}")
    return spec
