"""What every role is made of: settings, clock, database and bus, and what a role's part looks like from outside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector

from gateway.bus import topics
from gateway.ports.bus import Bus
from gateway.ports.clock import SystemClock
from gateway.runtime.wiring.bus import open_bus
from gateway.settings import Settings, SettingsError
from gateway.store.pool import Database

_POOL = {"api": 8, "dispatch": 8, "back": 10}


class Part(Protocol):
    """What a role runs."""

    async def run(self) -> None:
        """Work until `stop`, or raise."""

    def stop(self) -> None:
        """End `run` in order."""

    def not_ready(self) -> dict[str, str]:
        """Return what is missing, by name with its reason."""

    def facts(self) -> dict[str, Any]:
        """Return what others may want to know once it is ready (ports)."""

    async def reload(self, settings: Settings) -> None:
        """Go on with these carriers and routes; the topics of their lanes are there. Safe to repeat."""


@dataclass(frozen=True, slots=True)
class Base:
    """What every role has."""

    settings: Settings
    registry: CollectorRegistry
    clock: SystemClock
    db: Database
    bus: Bus
    slot: str = ""


@asynccontextmanager
async def open_base(settings: Settings, role: str, *, slot: str = "") -> AsyncIterator[Base]:
    """Connect to the database and the bus; close both at the end.

    `slot` names the place of this process under its supervisor, who has seen the process before it end.
    """
    if not settings.database_url:
        raise SettingsError("database_url is not set")
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    db = await Database.connect(settings.database_url, max_size=_POOL[role], name=f"caudal.{role}")
    try:
        async with open_bus(settings, db, client_id=f"caudal.{role}") as bus:
            await make_topics(bus, settings)
            yield Base(settings, registry, SystemClock(), db, bus, slot)
    finally:
        await db.close()


async def make_topics(bus: Bus, settings: Settings) -> None:
    """Make every topic and group that any role needs, so that no role has to be the first."""
    lanes = {
        topic: carrier.shards for name, carrier in settings.carriers.items() for topic in topics.lanes(name)
    }
    await bus.ensure_topics(
        {topics.EVENTS: 1, topics.RECEIPTS: 1, topics.MO: 1, topics.WEBHOOKS: 1, topics.ESME: 1, **lanes}
    )
    await bus.widen_topics(lanes)
    await bus.register_group(topics.RECORDER_GROUP, [topics.EVENTS])
    await bus.register_group(topics.DLR_GROUP, [topics.RECEIPTS])
    await bus.register_group(topics.INBOUND_GROUP, [topics.MO])
    await bus.register_group(topics.WEBHOOK_GROUP, [topics.WEBHOOKS])
    await bus.register_group(topics.ESME_GROUP, [topics.ESME])
    for carrier in settings.carriers:
        await bus.register_group(topics.lane_group(carrier), topics.lanes(carrier))
