"""What every role is made of: settings, clock, database and bus, and what a role's part looks like from outside."""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector

from gateway.ports.bus import Bus
from gateway.ports.clock import SystemClock
from gateway.runtime.tracing import open_spans
from gateway.runtime.wiring.bus import open_bus
from gateway.runtime.wiring.topics import open_topics
from gateway.settings import Settings, SettingsError
from gateway.store.embedded import dsn_of_running
from gateway.store.leases import PostgresMembers
from gateway.store.pool import Database
from gateway.store.pool_metrics import PoolMetrics
from gateway.telemetry.spans import Spans

_log = structlog.get_logger()

_BEAT_S = 3.0
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
    """What every role has. `owner` names this process among all that work on the same database.

    `spans` takes what is traced, None where traces are off.
    """

    settings: Settings
    registry: CollectorRegistry
    clock: SystemClock
    db: Database
    bus: Bus
    owner: str
    spans: Spans | None = None


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
    PoolMetrics(registry, db)
    try:
        async with open_bus(settings, db, client_id=f"caudal.{role}") as bus:
            owner = _owner(settings, role, slot=slot)
            await open_topics(bus, settings, db=db, role=role, owner=owner)
            members = PostgresMembers(db)
            known = asyncio.create_task(_stay_known(members, role, owner), name="role.known")
            try:
                async with open_spans(settings, registry, role=role, owner=owner) as spans:
                    yield Base(settings, registry, SystemClock(), db, bus, owner, spans)
            finally:
                known.cancel()
                with contextlib.suppress(Exception, asyncio.CancelledError):
                    await known
                with contextlib.suppress(Exception):  # it is forgotten anyway
                    await members.leave(role, owner=owner)
    finally:
        await db.close()


async def _stay_known(members: PostgresMembers, role: str, owner: str) -> None:
    """Say every few seconds that this process lives, until cancelled."""
    while True:
        try:
            await members.beat(role, owner=owner, alive_ms=0)
        except Exception as error:  # noqa: BLE001 - it is for those who start, and they look at the database too
            _log.debug("members.not_told", error=type(error).__name__)
        await asyncio.sleep(_BEAT_S)


def _owner(settings: Settings, role: str, *, slot: str) -> str:
    """Return the name that this process owns things under: that of the one before where that is known to be dead.

    A supervisor starts a role again only when it has seen it end, and the embedded database belongs to one supervisor
    at a time, whose death its roles do not survive. Whoever was started by hand has a name that nobody had before.
    """
    host = socket.gethostname()
    if not slot:
        return f"{host}.{os.getpid()}.{secrets.token_hex(4)}"
    if settings.database_url == dsn_of_running(settings.state_dir):
        return f"{host}.embedded.{role}"
    return f"{host}.{slot}.{role}"
