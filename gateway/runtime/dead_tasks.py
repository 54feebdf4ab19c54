"""What `caudal dlq` does to a running gateway, through its database."""

from collections.abc import Sequence
from typing import Any

from gateway.domain.instants import rfc3339
from gateway.runtime.admin_tasks import open_database
from gateway.runtime.wiring.bus import open_bus
from gateway.settings import Settings
from gateway.store.dead import PostgresDead


async def list_dead(settings: Settings, *, topic: str | None, limit: int) -> list[dict[str, Any]]:
    """Return the newest dead records, without what is in them."""
    async with open_database(settings) as db:
        found = await PostgresDead(db).page(topic=topic, before_id=None, limit=limit)
    return [
        {
            "id": one.id,
            "topic": one.topic,
            "place": f"{one.partition}/{one.log_offset}",
            "at": rfc3339(one.at),
            "octets": one.octets,
            "error": one.error,
        }
        for one in found
    ]


async def replay_dead(settings: Settings, *, topic: str | None, ids: Sequence[int] | None) -> int:
    """Put dead records on their topic again; return how many."""
    async with open_database(settings) as db, open_bus(settings, db, client_id="caudal.cli") as bus:
        return await PostgresDead(db).replay(bus, topic=topic, ids=ids)


async def drop_dead(settings: Settings, *, topic: str | None, ids: Sequence[int] | None) -> int:
    """Delete dead records; return how many."""
    async with open_database(settings) as db:
        return await PostgresDead(db).drop(topic=topic, ids=ids)
