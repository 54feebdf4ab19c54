"""The one place where topics and groups are made, grown and checked; every role does it, so that none has to be first."""

from collections.abc import Mapping
from typing import Final

import structlog

from gateway.bus import topics
from gateway.bus.kafka import DAY_MS, KafkaBus
from gateway.bus.kafka_topics import told
from gateway.intake.validity import MAX_VALIDITY_MS
from gateway.ports.bus import Bus
from gateway.settings import Settings, SettingsError
from gateway.store.leases import PostgresMembers
from gateway.store.pool import Database

log = structlog.get_logger()

_OUTAGE_MS: Final = DAY_MS
_ALIVE_MS: Final = 10_000
_GROUP_BY_TOPIC: Final = {
    topics.EVENTS: topics.RECORDER_GROUP,
    topics.RECEIPTS: topics.DLR_GROUP,
    topics.MO: topics.INBOUND_GROUP,
    topics.WEBHOOKS: topics.WEBHOOK_GROUP,
    topics.ESME: topics.ESME_GROUP,
    topics.CHANNELS: topics.CHANNELS_GROUP,
}


def shared_topics(settings: Settings) -> dict[str, int]:
    """Return how many partitions each topic that is not a lane should have."""
    wanted = settings.bus.partitions
    return {
        topics.EVENTS: wanted.events,
        topics.RECEIPTS: wanted.receipts,
        topics.MO: wanted.mo,
        topics.WEBHOOKS: wanted.webhooks,
        topics.ESME: wanted.esme,
        topics.CHANNELS: wanted.channels,
    }


async def make_topics(bus: Bus, settings: Settings) -> None:
    """Make every topic and group that any role needs; lanes grow with the shards of their carrier.

    SettingsError for a topic that cannot be used as it is.
    """
    shared = shared_topics(settings)
    lanes = {
        topic: carrier.shards for name, carrier in settings.carriers.items() for topic in topics.lanes(name)
    }
    await bus.ensure_topics({**shared, **lanes})
    await bus.widen_topics(lanes)
    await _check(bus, {topic: bus.partitions(topic) for topic in shared} | lanes)
    for topic, group in _GROUP_BY_TOPIC.items():
        await bus.register_group(group, [topic])
    for carrier in settings.carriers:
        await bus.register_group(topics.lane_group(carrier), topics.lanes(carrier))


async def open_topics(bus: Bus, settings: Settings, *, db: Database, role: str, owner: str) -> None:
    """Do the same at the start of a process: shared topics grow too, and the process is then known to be there.

    A key may change its partition when a topic grows, so that happens only where nobody else runs and nothing is
    unread: the events of one message must not be read by two at the same time. SettingsError for fewer partitions
    than there are.
    """
    members = PostgresMembers(db)
    async with members.one_at_a_time():
        await make_topics(bus, settings)
        narrow = {}
        for topic, wanted in shared_topics(settings).items():
            count = bus.partitions(topic)
            if wanted < count:
                raise SettingsError(
                    f"bus.partitions: {topic} has {count} partitions, {wanted} are configured; partitions can only "
                    f"grow, so configure {count} or more"
                )
            if wanted > count:
                narrow[topic] = wanted
        if narrow and not await _reason_to_wait(bus, narrow, members=members):
            await bus.widen_topics(narrow)
            await make_topics(bus, settings)
            log.info("bus.grown", topics=narrow)
        await members.beat(role, owner=owner, alive_ms=_ALIVE_MS)


async def _reason_to_wait(bus: Bus, narrow: Mapping[str, int], *, members: PostgresMembers) -> bool:
    others = await members.all_alive(alive_ms=_ALIVE_MS)
    unread = {}
    for topic in narrow:
        lags = await bus.lag(_GROUP_BY_TOPIC[topic])
        if count := sum(one.records for one in lags if one.topic == topic):
            unread[topic] = count
    if not others and not unread:
        return False
    log.warning(
        "bus.not_grown",
        wanted=dict(narrow),
        have={topic: bus.partitions(topic) for topic in narrow},
        running=[f"{role}:{owner}" for role, owner in others[:5]],
        unread=unread,
        action="stop api and dispatch, let back read what is there, stop back, start",
    )
    return True


async def _check(bus: Bus, wanted: dict[str, int]) -> None:
    """Look at how the cluster keeps the topics; SettingsError for what would lose records or stop us."""
    if not isinstance(bus, KafkaBus):
        return
    troubles = await bus.judge_topics(wanted, keep_ms=MAX_VALIDITY_MS + _OUTAGE_MS)
    for one in troubles:
        if not one.is_fatal:
            log.warning("kafka.topic", topic=one.topic, trouble=one.text)
    if fatal := [one for one in troubles if one.is_fatal]:
        raise SettingsError(f"kafka: {told(fatal)}")
