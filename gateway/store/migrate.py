"""Forward-only migrations: the plain SQL files of `gateway.store.migrations`, in order, each in a transaction.

Any number of processes may start at once: one migrates, the others wait and find nothing to do.
"""

import asyncio
import hashlib
import importlib.resources
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from gateway.store.errors import StoreError
from gateway.store.pool import Database, pause

_PACKAGE = "gateway.store.migrations"
_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
_LOCK = 0x6361756461  # "cauda"
_LOCK_POLL_S = 0.1
LOCK_S = 120.0
STATEMENTS_S = 1800.0


class MigrationError(StoreError):
    """The database's schema and this program do not fit; the text says which one is ahead."""


class Migration(NamedTuple):
    """One file. `checksum` is the SHA-256 of its text, in hex."""

    name: str
    sql: str
    checksum: str


def bundled() -> list[Migration]:
    """Return this program's migrations in order; MigrationError for two with one number."""
    found = []
    for entry in importlib.resources.files(_PACKAGE).iterdir():
        if _NAME.match(entry.name):
            sql = entry.read_text(encoding="utf-8")
            found.append(
                Migration(entry.name.removesuffix(".sql"), sql, hashlib.sha256(sql.encode()).hexdigest())
            )
    found.sort()
    numbers = [migration.name[:4] for migration in found]
    if len(set(numbers)) != len(numbers):
        raise MigrationError(f"two migrations share a number: {', '.join(one.name for one in found)}")
    return found


async def migrate(
    target: Database | str, *, migrations: Sequence[Migration] | None = None, lock_s: float = LOCK_S
) -> list[str]:
    """Bring the schema up to date and return the names of what was applied.

    MigrationError when the database is newer than the program, or a file was changed after it was applied;
    TimeoutError when another process holds the lock for longer than `lock_s`.
    """
    steps = bundled() if migrations is None else list(migrations)
    if isinstance(target, Database):
        return await _migrate(target, steps, lock_s)
    database = await Database.connect(target, min_size=1, max_size=1, name="caudal.migrate")
    try:
        return await _migrate(database, steps, lock_s)
    finally:
        await database.close()


async def _migrate(database: Database, steps: list[Migration], lock_s: float) -> list[str]:
    async with database.acquire() as connection:
        await _lock(connection, lock_s)
        try:
            return await _apply(connection, steps)
        finally:
            if not connection.is_closed():
                await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def _lock(connection: Any, lock_s: float) -> None:
    # Polled: a session that waits inside PostgreSQL holds a snapshot, and CREATE INDEX CONCURRENTLY waits for those.
    loop = asyncio.get_running_loop()
    until = loop.time() + lock_s
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
        if loop.time() > until:
            raise TimeoutError(f"another process has been migrating for more than {lock_s:g} s")
        await pause(_LOCK_POLL_S)


async def _apply(connection: Any, steps: list[Migration]) -> list[str]:
    await connection.execute(
        """
        CREATE TABLE IF NOT EXISTS schema_migrations (
            name       text        PRIMARY KEY,
            checksum   text        NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    known: dict[str, str] = dict(await connection.fetch("SELECT name, checksum FROM schema_migrations"))
    _compare(known, steps)
    applied = []
    for step in steps:
        if step.name not in known:
            async with connection.transaction():
                await connection.execute(step.sql, timeout=STATEMENTS_S)
                await connection.execute(
                    "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)", step.name, step.checksum
                )
            applied.append(step.name)
    return applied


def _compare(known: dict[str, str], steps: list[Migration]) -> None:
    ours = {step.name: step.checksum for step in steps}
    if ahead := sorted(known.keys() - ours.keys()):
        raise MigrationError(
            f"the database is newer than this program: it has {', '.join(ahead)}; start a version that knows them"
        )
    for name, checksum in sorted(known.items()):
        if ours[name] != checksum:
            raise MigrationError(
                f"migration {name} was changed after it was applied here; write a new one instead"
            )
    last = max(known, default="")
    if late := [step.name for step in steps if step.name < last and step.name not in known]:
        raise MigrationError(
            f"{', '.join(late)} would come after {last}, which is applied: give it a higher number"
        )
