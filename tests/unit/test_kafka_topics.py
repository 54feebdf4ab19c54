"""What is wrong with a topic as a cluster keeps it: judged from its facts, with value and limit."""

import pytest

from gateway.bus.kafka_topics import MAX_BATCH_OCTETS, TopicFacts, TopicWish, judge, told

DAY = 86_400_000
GOOD = {
    "cleanup.policy": "delete",
    "retention.ms": str(7 * DAY),
    "retention.bytes": "-1",
    "min.insync.replicas": "2",
    "max.message.bytes": "1048588",
    "unclean.leader.election.enable": "false",
}
WISH = TopicWish(partitions=4, replicas=3, keep_ms=4 * DAY)


def facts(*, partitions: int = 4, replicas: int = 3, **changes: str) -> TopicFacts:
    settings = GOOD | {name.replace("_", "."): value for name, value in changes.items()}
    return TopicFacts("caudal.events", partitions, replicas, settings)


def test_a_topic_as_we_make_it_has_no_trouble():
    assert judge(facts(), WISH) == []
    assert judge(facts(partitions=9, replicas=5), WISH) == []
    assert judge(facts(retention_ms="-1"), WISH) == []
    assert judge(TopicFacts("caudal.events", 4, 3, {}), WISH._replace(replicas=1))[0].is_fatal is False


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (facts(partitions=2), ("2 partitions", "4 are needed")),
        (facts(cleanup_policy="compact"), ("cleanup.policy is compact", "must be delete")),
        (facts(cleanup_policy="compact,delete"), ("cleanup.policy is compact,delete",)),
        (facts(min_insync_replicas="4"), ("min.insync.replicas is 4", "3 replicas")),
        (facts(max_message_bytes="100000"), ("max.message.bytes is 100000", str(MAX_BATCH_OCTETS))),
    ],
)
def test_what_loses_records_or_stops_us_is_fatal_and_names_value_and_limit(found, words):
    [trouble] = judge(found, WISH)
    assert trouble.is_fatal
    assert trouble.topic == "caudal.events"
    for word in words:
        assert word in trouble.text
    assert told([trouble]).startswith("topic caudal.events: ")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (facts(retention_ms=str(DAY)), (f"retention.ms is {DAY}", f"below {4 * DAY}")),
        (facts(retention_bytes="1000"), ("retention.bytes is 1000",)),
        (facts(replicas=2), ("2 replicas", "kafka.replication is 3")),
        (facts(min_insync_replicas="1"), ("min.insync.replicas is 1",)),
        (facts(unclean_leader_election_enable="true"), ("unclean.leader.election.enable is true",)),
    ],
)
def test_what_makes_records_less_safe_is_a_warning(found, words):
    [trouble] = judge(found, WISH)
    assert not trouble.is_fatal
    for word in words:
        assert word in trouble.text


def test_what_is_fatal_comes_first():
    found = judge(facts(partitions=1, retention_ms="0", cleanup_policy="compact"), WISH)
    assert [one.is_fatal for one in found] == [True, True, False]
