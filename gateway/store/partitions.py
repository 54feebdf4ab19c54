"""Daily partitions of the large tables, by UUIDv7 id: made ahead, dropped when their retention is over.

Called by the role `back` at start and every hour; safe from several processes at once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import structlog

from gateway.domain.ids import uuid7_floor
from gateway.ports.store import Transactions
from gateway.store.rows import DAY_MS, day_of

_log = structlog.get_logger()

AHEAD_DAYS: Final = 7
_EPOCH: Final = date(1970, 1, 1)
_DEADLINE_S: Final = 60.0
_LOCK: Final = 0x6361_7564_616C  # "caudal"

# Plans do not depend on the statistics of a day (`gateway.store.rows`), and making them costs half a second each time: a
# sample of 30,000 rows of thirty columns, twice. By the server's own settings they are made anew every few seconds
# under load. Three changes a message: so they are first made of 333,000 messages, and again when those have grown by a
# third.
_UPKEEP: Final = "autovacuum_analyze_threshold = 1000000, autovacuum_analyze_scale_factor = 1.0"

# name: (key column, storage parameters). A batch updates neighbouring rows in one transaction, so a page needs room for
# a second version of nearly all of them (a submission is four times its size with its receipt). Measured: these keep
# the updates heap-only and the tables no larger in the end, since new versions that go to other pages go into every
# index too; a receipt costs PostgreSQL half of what it does with 35 for submissions.
_TABLES: Final = {
    "messages": ("id", "fillfactor = 45"),
    "submissions": ("message_id", "fillfactor = 22"),
    "message_events": ("message_id", "fillfactor = 100"),
    "inbound_messages": ("id", "fillfactor = 90"),
    "webhook_deliveries": ("message_id", "fillfactor = 100"),
    "webhook_posts": ("first_message_id", "fillfactor = 100, toast_tuple_target = 8160"),
}

# What reports are made of.
_COUNTED: Final = frozenset({"messages", "inbound_messages"})

_LIST: Final = """
SELECT c.relname FROM pg_inherits AS i
JOIN pg_class AS c ON c.oid = i.inhrelid JOIN pg_class AS p ON p.oid = i.inhparent
WHERE p.oid = to_regclass($1)
"""
# In pieces: what nobody dropped for a while is no single statement's work.
_FORGET_TRACES: Final = """
DELETE FROM message_traces WHERE message_id = ANY (ARRAY(
    SELECT message_id FROM message_traces WHERE message_id < $1 ORDER BY message_id LIMIT $2))
"""
_TRACES_AT_A_TIME: Final = 50_000
# What an endpoint has not taken by now tells of a message that is gone. The key begins with the endpoint.
_FORGET_WAITING: Final = """
DELETE FROM webhook_backlog AS b USING webhook_endpoints AS e
WHERE b.endpoint_id = ANY (ARRAY[e.id]) AND b.subject_id < $1
"""


class Partitions:
    """Implements `gateway.ports.record_store.Housekeeping`.

    `retention_days` is how long messages, their timeline and dead records are kept. `before_drop` is called with the
    day (midnight UTC) before one that is counted in reports is dropped; while it fails the day stays, for one day more.
    """

    def __init__(
        self,
        db: Transactions,
        *,
        retention_days: int = 30,
        before_drop: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        self._db = db
        self._retention_days = retention_days
        self._before_drop = before_drop

    async def keep(self, *, now_ms: int) -> None:
        """Make yesterday's to next week's partitions and drop those older than the retention."""
        today = day_of(now_ms)
        oldest = today - self._retention_days * DAY_MS
        for table in _TABLES:
            present = await self._present(table)
            for day_at in range(today - DAY_MS, today + (AHEAD_DAYS + 1) * DAY_MS, DAY_MS):
                if _name(table, day_at) not in present:
                    await self._guarded(table, day_at, _create)
            for day_at in sorted(present.values()):
                if day_at < oldest and await self._may_drop(table, day_at, oldest=oldest):
                    await self._guarded(table, day_at, _drop)
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            await connection.execute("DELETE FROM closed_days WHERE day_at < $1", oldest)
            await connection.execute("DELETE FROM dead_records WHERE at < $1", oldest)
            await connection.execute("DELETE FROM orphan_receipts WHERE parked_at < $1", oldest)
            await connection.execute(_FORGET_WAITING, uuid7_floor(max(oldest, 0)))
            for table, (key, _) in _TABLES.items():
                # What no partition was made for has a retention too.
                await connection.execute(
                    f"DELETE FROM {table}_default WHERE {key} < $1", uuid7_floor(max(oldest, 0))
                )
        await self._forget_traces(uuid7_floor(max(oldest, 0)))

    async def _may_drop(self, table: str, day_at: int, *, oldest: int) -> bool:
        if self._before_drop is None or table not in _COUNTED:
            return True
        try:
            await self._before_drop(day_at)
        except Exception as error:  # noqa: BLE001 - reports must not fill the disk: a day later it goes uncounted
            is_late = day_at < oldest - DAY_MS
            _log.warning(
                "partitions.not_counted",
                table=table,
                day=_name(table, day_at),
                error=type(error).__name__,
                dropped=is_late,
            )
            return is_late
        return True

    async def _forget_traces(self, before: UUID) -> None:
        is_done = False
        while not is_done:
            async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
                said: str = await connection.execute(_FORGET_TRACES, before, _TRACES_AT_A_TIME)
            is_done = int(said.rpartition(" ")[2]) < _TRACES_AT_A_TIME

    async def _present(self, table: str) -> dict[str, int]:
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(_LIST, table)
        return {row[0]: _day_in(row[0]) for row in rows if row[0] != f"{table}_default"}

    async def _guarded(self, table: str, day_at: int, work: Any) -> None:
        # A reader's long transaction must not make every writer queue behind our lock: give up, next hour again.
        try:
            async with asyncio.timeout(_DEADLINE_S), self._db.transaction() as tx:
                await tx.execute("SET LOCAL lock_timeout = '3s'")
                await tx.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
                await work(tx, table, day_at)
        except asyncpg.LockNotAvailableError:
            _log.warning("partitions.busy", table=table, day=_name(table, day_at))


async def _create(tx: Any, table: str, day_at: int) -> None:
    name = _name(table, day_at)
    if await tx.fetchval("SELECT to_regclass($1) IS NOT NULL", name):
        return
    key, storage = _TABLES[table]
    floor, ceiling = uuid7_floor(day_at), uuid7_floor(day_at + DAY_MS)
    # Made apart and attached: CREATE ... PARTITION OF would lock the parent against all readers. Rows that came
    # before their day was made are in the DEFAULT partition and have to move, or the bounds would not hold.
    await tx.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL) WITH ({storage}, {_UPKEEP})")
    await tx.execute(f"LOCK TABLE {table}_default IN ACCESS EXCLUSIVE MODE")
    await tx.execute(
        f"WITH early AS (DELETE FROM {table}_default WHERE {key} >= '{floor}' AND {key} < '{ceiling}' RETURNING *) "
        f"INSERT INTO {name} SELECT * FROM early"
    )
    await tx.execute(
        f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{floor}') TO ('{ceiling}')"
    )


async def _drop(tx: Any, table: str, day_at: int) -> None:
    await tx.execute(f"DROP TABLE IF EXISTS {_name(table, day_at)}")
    _log.info("partitions.dropped", table=table, day=_name(table, day_at))


def _name(table: str, day_at: int) -> str:
    return f"{table}_{_EPOCH + timedelta(milliseconds=day_at):%Y%m%d}"


def day_of_partition(name: str) -> int | None:
    """Return the midnight (UTC) of the day that a partition is for, None for a DEFAULT partition."""
    return None if name.endswith("_default") else _day_in(name)


def _day_in(name: str) -> int:
    text = name.rpartition("_")[2]
    return (date(int(text[:4]), int(text[4:6]), int(text[6:])) - _EPOCH).days * DAY_MS
