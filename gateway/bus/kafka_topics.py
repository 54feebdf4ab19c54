"""What is wrong with a topic as the cluster keeps it. Pure; `gateway.bus.kafka` asks the cluster.

We make our topics ourselves, but clusters have defaults, policies and administrators. What would lose records or stop
the gateway is an error, and said before the first message is accepted; what makes them less safe is a warning.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

MAX_BATCH_OCTETS: Final = 900_000
"""Largest batch that we send, and so the least that a topic must take."""


class TopicFacts(NamedTuple):
    """A topic as it is. `settings` are the cluster's names and values."""

    name: str
    partitions: int
    replicas: int
    settings: Mapping[str, str]


class TopicWish(NamedTuple):
    """What we need of it. `keep_ms` is the longest that a record may have to wait for its reader."""

    partitions: int
    replicas: int
    keep_ms: int


class Trouble(NamedTuple):
    """One thing that is wrong, with its value and its limit."""

    topic: str
    is_fatal: bool
    text: str


def judge(facts: TopicFacts, wish: TopicWish) -> list[Trouble]:
    """Return what is wrong with a topic, what is fatal first."""
    found = [Trouble(facts.name, True, text) for text in _fatal(facts, wish)]
    return found + [Trouble(facts.name, False, text) for text in _doubtful(facts, wish)]


def told(troubles: Iterable[Trouble]) -> str:
    """Return the troubles as one line."""
    return "; ".join(f"topic {one.topic}: {one.text}" for one in troubles)


def _fatal(facts: TopicFacts, wish: TopicWish) -> Iterator[str]:
    settings = facts.settings
    if facts.partitions < wish.partitions:
        yield f"it has {facts.partitions} partitions, {wish.partitions} are needed"
    if "compact" in settings.get("cleanup.policy", "delete"):
        yield (
            f"cleanup.policy is {settings['cleanup.policy']}; it must be delete: compaction drops all but the last "
            "record of a key"
        )
    in_sync = _number(settings, "min.insync.replicas", 1)
    if in_sync > facts.replicas:
        yield (
            f"min.insync.replicas is {in_sync}, but it has {facts.replicas} replicas: nothing can be written to it"
        )
    octets = _number(settings, "max.message.bytes", MAX_BATCH_OCTETS)
    if octets < MAX_BATCH_OCTETS:
        yield f"max.message.bytes is {octets}; batches have up to {MAX_BATCH_OCTETS}"


def _doubtful(facts: TopicFacts, wish: TopicWish) -> Iterator[str]:
    settings = facts.settings
    kept_ms = _number(settings, "retention.ms", -1)
    if 0 <= kept_ms < wish.keep_ms:
        yield (
            f"retention.ms is {kept_ms}; below {wish.keep_ms} a message can be dropped before its validity and an "
            "outage of a day are over"
        )
    octets = _number(settings, "retention.bytes", -1)
    if octets >= 0:
        yield f"retention.bytes is {octets}; without -1 a long queue loses its oldest records unread"
    if facts.replicas < wish.replicas:
        yield f"it has {facts.replicas} replicas, kafka.replication is {wish.replicas}"
    if facts.replicas > 2 and _number(settings, "min.insync.replicas", 1) < 2:
        yield "min.insync.replicas is 1; below 2 what was acknowledged may be on one broker alone"
    if settings.get("unclean.leader.election.enable") == "true":
        yield "unclean.leader.election.enable is true; it must be false, or acknowledged records can vanish"


def _number(settings: Mapping[str, str], name: str, otherwise: int) -> int:
    try:
        return int(settings.get(name, otherwise))
    except ValueError:
        return otherwise
