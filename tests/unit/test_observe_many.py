"""A batch in a histogram counts exactly as its values one by one."""

from prometheus_client import CollectorRegistry, generate_latest

from gateway.telemetry.metrics import DELAY_BUCKETS, histogram, observe_many


def test_many_values_count_as_each_of_them_would() -> None:
    values = [0.0, *DELAY_BUCKETS, *(edge * 1.01 for edge in DELAY_BUCKETS), 1e9, 0.0501, 0.0499]
    batch, single = CollectorRegistry(), CollectorRegistry()
    observe_many(histogram(batch, "dlr_processing_seconds"), values)
    one = histogram(single, "dlr_processing_seconds")
    for value in values:
        one.observe(value)
    assert generate_latest(batch) == generate_latest(single)


def test_no_values_change_nothing_and_labels_keep_apart() -> None:
    batch, single = CollectorRegistry(), CollectorRegistry()
    many, one = histogram(batch, "dlr_latency_seconds"), histogram(single, "dlr_latency_seconds")
    observe_many(many.labels("telco_a"), [3.0, 7.0])
    observe_many(many.labels("telco_b"), [])
    one.labels("telco_a").observe(3.0)
    one.labels("telco_a").observe(7.0)
    one.labels("telco_b")
    assert generate_latest(batch) == generate_latest(single)
