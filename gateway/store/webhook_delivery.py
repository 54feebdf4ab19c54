"""The tables of webhooks as delivery uses them; implements `gateway.ports.webhook_store.DeliveryStore`.

Looked up as everywhere: one index look-up for each key of a batch (see `gateway.store.rows`).
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from gateway.ports.bus import Transaction
from gateway.ports.record_store import DeadRow
from gateway.ports.store import Transactions
from gateway.ports.webhook_store import (
    AttemptRow,
    Delay,
    DueRow,
    Endpoint,
    EndpointSettings,
    EventRow,
    Health,
    LiveEndpoint,
    PostRow,
)
from gateway.store import rows as common
from gateway.store.rows import DEADLINE_S, by_meaning, storable

_CHANGED: Final = "UPDATE webhook_version SET version = version + 1"

_LIVE: Final = """
SELECT e.id, e.account_id, e.url, e.types, e.description, e.batch_max, e.max_in_flight, e.created_at, e.updated_at,
       s.secret, CASE WHEN s.old_until > $1 THEN s.old_secret END AS old_secret
FROM webhook_endpoints AS e JOIN webhook_secrets AS s ON s.endpoint_id = e.id
WHERE e.disabled_at IS NULL ORDER BY e.id
"""
_DISABLED: Final = """
SELECT count(*) FROM webhook_endpoints WHERE disabled_at IS NOT NULL AND disabled_reason IN ('gone', 'failing')
"""
_DISABLE: Final = """
UPDATE webhook_endpoints SET disabled_at = $2, disabled_reason = $3, updated_at = $2
WHERE id = $1 AND disabled_at IS NULL
"""
# An endpoint that was deleted meanwhile leaves nothing.
_HEALTH: Final = """
INSERT INTO webhook_health AS h (endpoint_id, failing_since, failures, due_at, last_success_at, last_error)
SELECT n.* FROM unnest($1::text[], $2::bigint[], $3::int[], $4::bigint[], $5::bigint[], $6::text[])
     AS n (endpoint_id, failing_since, failures, due_at, last_success_at, last_error)
WHERE EXISTS (SELECT FROM webhook_endpoints AS e WHERE e.id = n.endpoint_id)
ON CONFLICT (endpoint_id) DO UPDATE SET
    failing_since = excluded.failing_since, failures = excluded.failures, due_at = excluded.due_at,
    last_success_at = coalesce(excluded.last_success_at, h.last_success_at), last_error = excluded.last_error
"""
_HEALTHS: Final = (
    "SELECT endpoint_id, failing_since, failures, due_at, last_success_at, last_error FROM webhook_health"
)
_ADD: Final = f"""
INSERT INTO webhook_backlog ({", ".join(EventRow._fields)})
SELECT * FROM unnest($1::int[], $2::bigint[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::text[], $8::bigint[],
                     $9::bytea[], $10::smallint[], $11::bigint[], $12::bigint[], $13::text[])
ON CONFLICT DO NOTHING
"""
_REMOVE: Final = "DELETE FROM webhook_backlog WHERE id = ANY ($1::bigint[])"
_DELAY: Final = """
UPDATE webhook_backlog AS b SET attempts = d.attempts, due_at = d.due_at, last_error = d.last_error
FROM unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::text[]) AS d (id, attempts, due_at, last_error)
WHERE b.id = ANY (ARRAY[d.id])
"""
_SUBJECTS: Final = """
SELECT k.endpoint_id, k.subject_id FROM unnest($1::text[], $2::uuid[]) AS k (endpoint_id, subject_id)
CROSS JOIN LATERAL (
    SELECT FROM webhook_backlog AS b
    WHERE b.endpoint_id = k.endpoint_id AND b.subject_id = k.subject_id LIMIT 1
) AS found
"""
_DUE: Final = f"""
SELECT id, {", ".join(EventRow._fields)} FROM webhook_backlog AS b
WHERE shard = $1 AND endpoint_id = $2 AND due_at <= $3 AND NOT EXISTS (
    SELECT FROM webhook_backlog AS earlier
    WHERE earlier.endpoint_id = b.endpoint_id AND earlier.subject_id = b.subject_id
      AND (earlier.place, earlier.id) < (b.place, b.id)
)
ORDER BY due_at, id LIMIT $4
"""
_OVER: Final = f"""
SELECT id, {", ".join(EventRow._fields)} FROM webhook_backlog
WHERE shard = $1 AND endpoint_id = $2 AND due_at < $3 ORDER BY due_at, id LIMIT $4
"""
_PULL_IN: Final = """
UPDATE webhook_backlog SET due_at = $4
WHERE id = ANY (ARRAY (
    SELECT id FROM webhook_backlog WHERE shard = $1 AND endpoint_id = $2 AND due_at > $4 AND attempts <= $3 LIMIT 10000
))
"""
_NEXT_DUE: Final = """
SELECT k.endpoint_id, found.due_at FROM unnest($2::text[]) AS k (endpoint_id)
CROSS JOIN LATERAL (
    SELECT due_at FROM webhook_backlog AS b WHERE b.shard = $1 AND b.endpoint_id = k.endpoint_id
    ORDER BY due_at LIMIT 1
) AS found
"""
_COUNTS: Final = "SELECT endpoint_id, count(*) FROM webhook_backlog WHERE shard = $1 GROUP BY endpoint_id ORDER BY endpoint_id"
# Walks from one endpoint to the next along the index, however many rows each has.
_ENDPOINTS: Final = """
WITH RECURSIVE walk AS (
    (SELECT endpoint_id FROM webhook_backlog WHERE shard = $1 ORDER BY endpoint_id LIMIT 1)
    UNION ALL
    SELECT (SELECT b.endpoint_id FROM webhook_backlog AS b WHERE b.shard = $1 AND b.endpoint_id > walk.endpoint_id
            ORDER BY b.endpoint_id LIMIT 1)
    FROM walk WHERE walk.endpoint_id IS NOT NULL
)
SELECT endpoint_id FROM walk WHERE endpoint_id IS NOT NULL AND NOT endpoint_id = ANY ($2::text[])
"""
_DROP: Final = """
DELETE FROM webhook_backlog WHERE id = ANY (ARRAY (
    SELECT id FROM webhook_backlog WHERE shard = $1 AND endpoint_id = $2 LIMIT $3
))
"""


class PostgresDelivery:
    """See the port."""

    def __init__(self, db: Transactions) -> None:
        self._db = db

    async def version(self) -> int:
        """Return a number that changes with every change of the endpoints."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            version: int = await connection.fetchval("SELECT version FROM webhook_version")
        return version

    async def live(self, *, now_ms: int) -> list[LiveEndpoint]:
        """Return every endpoint that is not disabled, with the secrets that sign at `now_ms`."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(_LIVE, now_ms)
        return [
            LiveEndpoint(
                Endpoint(row["id"], row["account_id"], chosen_of(row), row["created_at"], row["updated_at"]),
                (row["secret"],) if row["old_secret"] is None else (row["secret"], row["old_secret"]),
            )
            for row in rows
        ]

    async def disabled_count(self) -> int:
        """Return how many endpoints are disabled for what they answered (not by their account)."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            count: int = await connection.fetchval(_DISABLED)
        return count

    async def healths(self) -> list[Health]:
        """Return what is known of endpoints that were tried."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(_HEALTHS)
        return [Health(*row) for row in rows]

    async def note_health(self, tx: Transaction, rows: Sequence[Health]) -> None:
        """Replace what is known of these endpoints."""
        if rows:
            columns = zip(*sorted(rows), strict=True)
            async with asyncio.timeout(DEADLINE_S):
                await tx.execute(_HEALTH, *map(list, columns))

    async def disable_failing(self, endpoint_id: str, *, reason: str, now_ms: int) -> bool:
        """Disable an endpoint on its own account; False when it is disabled or gone already."""
        async with asyncio.timeout(DEADLINE_S), self._db.transaction() as tx:
            is_changed: bool = await tx.execute(_DISABLE, endpoint_id, now_ms, reason) != "UPDATE 0"
            if is_changed:
                await tx.execute(_CHANGED)
        return is_changed

    async def add(self, tx: Transaction, rows: Sequence[EventRow]) -> None:
        """Let events wait, in this order; one that waits already is left as it is."""
        await insert_waiting(tx, rows)

    async def record(self, tx: Transaction, rows: Sequence[AttemptRow]) -> None:
        """Write attempts."""
        if rows:
            with by_meaning():
                async with asyncio.timeout(DEADLINE_S):
                    await tx.copy_records_to_table(
                        "webhook_deliveries", records=rows, columns=AttemptRow._fields
                    )

    async def record_posts(self, tx: Transaction, rows: Sequence[PostRow]) -> None:
        """Write what was taken at the first attempt."""
        if rows:
            with by_meaning():
                async with asyncio.timeout(DEADLINE_S):
                    await tx.copy_records_to_table("webhook_posts", records=rows, columns=PostRow._fields)

    async def remove(self, tx: Transaction, ids: Sequence[int]) -> None:
        """Take events out that need no more attempts."""
        if ids:
            async with asyncio.timeout(DEADLINE_S):
                await tx.execute(_REMOVE, list(ids))

    async def delay(self, tx: Transaction, delays: Sequence[Delay]) -> None:
        """Let events wait until their next attempt."""
        if delays:
            columns = zip(*sorted(delays), strict=True)
            async with asyncio.timeout(DEADLINE_S):
                await tx.execute(_DELAY, *map(list, columns))

    async def bury(self, tx: Transaction, rows: Sequence[DeadRow]) -> None:
        """Keep records that could not be read."""
        if rows:
            async with asyncio.timeout(DEADLINE_S):
                await common.insert_dead(tx, list(rows))

    async def subjects_waiting(
        self, endpoint_ids: Sequence[str], subject_ids: Sequence[UUID]
    ) -> set[tuple[str, UUID]]:
        """Return those pairs (position by position) of endpoint and subject that an event waits for."""
        if not endpoint_ids:
            return set()
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(_SUBJECTS, list(endpoint_ids), list(subject_ids))
        return {(row[0], row[1]) for row in rows}

    async def due(self, shard: int, endpoint_id: str, *, now_ms: int, limit: int) -> list[DueRow]:
        """Return events that are due, the longest due first; of one subject only the first that waits."""
        return await self._rows(_DUE, shard, endpoint_id, now_ms, limit)

    async def over(self, shard: int, endpoint_id: str, *, before_ms: int, limit: int) -> list[DueRow]:
        """Return events that were due before `before_ms` already."""
        return await self._rows(_OVER, shard, endpoint_id, before_ms, limit)

    async def pull_in(self, shard: int, endpoint_id: str, *, max_attempts: int, now_ms: int) -> int:
        """Make events due now that had up to `max_attempts`; for an endpoint that answers again."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            tag: str = await connection.execute(_PULL_IN, shard, endpoint_id, max_attempts, now_ms)
        return _count(tag)

    async def next_due(self, shard: int, endpoint_ids: Sequence[str]) -> dict[str, int]:
        """Return the earliest due time of each endpoint that anything waits for."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(_NEXT_DUE, shard, list(endpoint_ids))
        return {row[0]: row[1] for row in rows}

    async def counts(self, shard: int) -> dict[str, int]:
        """Return how many events wait, by endpoint."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(_COUNTS, shard)
        return {row[0]: row[1] for row in rows}

    async def strangers(self, shard: int, live_ids: Sequence[str]) -> list[str]:
        """Return the endpoints that something waits for and that are not among `live_ids`."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(_ENDPOINTS, shard, list(live_ids))
        return [row[0] for row in rows]

    async def exists(self, endpoint_id: str) -> bool:
        """Tell whether the endpoint is there, disabled or not."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            found = await connection.fetchval("SELECT true FROM webhook_endpoints WHERE id = $1", endpoint_id)
        return found is True

    async def drop(self, shard: int, endpoint_id: str, *, limit: int) -> int:
        """Forget up to `limit` events of an endpoint that was deleted; return how many."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            tag: str = await connection.execute(_DROP, shard, endpoint_id, limit)
        return _count(tag)

    async def _rows(self, statement: str, *arguments: object) -> list[DueRow]:
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(statement, *arguments)
        return [DueRow(row[0], EventRow._make(tuple(row)[1:])) for row in rows]


async def insert_waiting(tx: Transaction, rows: Sequence[EventRow]) -> int:
    """Let events wait, in this order, leaving those that wait already; return how many were added."""
    if not rows:
        return 0
    columns = [list(column) for column in zip(*rows, strict=True)]
    columns[-1] = [storable(text) for text in columns[-1]]
    with by_meaning():
        async with asyncio.timeout(DEADLINE_S):
            tag: str = await tx.execute(_ADD, *columns)
    return _count(tag)


def chosen_of(row: Mapping[str, Any]) -> EndpointSettings:
    """Return what the account chose for the endpoint of this row."""
    return EndpointSettings(
        row["url"], tuple(row["types"]), row["description"], row["batch_max"], row["max_in_flight"]
    )


def _count(tag: str) -> int:
    return int(tag.rsplit(maxsplit=1)[-1])
