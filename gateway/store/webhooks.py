"""Webhook endpoints, and what people read of attempts and of events that wait.

Implements `gateway.ports.webhook_store.WebhookStore` together with `gateway.store.webhook_replay`. Used by the API, the
command line and the timeline; delivery has statements of its own in `gateway.store.webhook_delivery`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from gateway.ports.store import Transactions
from gateway.ports.webhook_store import (
    BY_ACCOUNT,
    CHANNEL,
    DELIVERED,
    MAX_ENDPOINTS,
    Attempt,
    Endpoint,
    EndpointLimitError,
    EndpointSettings,
    Replayed,
    ReplayFilter,
    Waiting,
)
from gateway.store.rows import storable
from gateway.store.webhook_attempts import ATTEMPT, attempt_of, attempts_at, attempts_of
from gateway.store.webhook_delivery import chosen_of
from gateway.store.webhook_replay import replay

_DEADLINE_S: Final = 5.0
_MAX_LIMIT: Final = 1000
_ID: Final = attrgetter("id.int")

_COLUMNS: Final = """
e.id, e.account_id, e.url, e.types, e.description, e.batch_max, e.max_in_flight, e.created_at, e.updated_at,
e.disabled_at, e.disabled_reason, CASE WHEN s.old_secret IS NOT NULL THEN s.old_until END AS old_secret_until,
h.failing_since, h.last_success_at, coalesce(h.last_error, '') AS last_error
"""
_FROM: Final = """
FROM webhook_endpoints AS e
LEFT JOIN webhook_secrets AS s ON s.endpoint_id = e.id
LEFT JOIN webhook_health AS h ON h.endpoint_id = e.id
"""
_LIST: Final = f"SELECT {_COLUMNS} {_FROM} WHERE e.account_id = $1 ORDER BY e.id LIMIT {_MAX_LIMIT}"
_GET: Final = f"SELECT {_COLUMNS} {_FROM} WHERE e.account_id = $1 AND e.id = $2"

# Locks the account's endpoints against a second creation until the commit.
_COUNT: Final = "SELECT count(*) FROM webhook_endpoints WHERE account_id = $1"
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('webhooks:' || $1, 0))"
_INSERT: Final = """
INSERT INTO webhook_endpoints (id, account_id, url, types, description, batch_max, max_in_flight, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
"""
_UPDATE: Final = """
UPDATE webhook_endpoints SET url = $3, types = $4, description = $5, batch_max = $6, max_in_flight = $7, updated_at = $8
WHERE account_id = $1 AND id = $2
"""
_ROTATE: Final = """
UPDATE webhook_secrets SET old_secret = secret, old_until = $4, secret = $3
WHERE endpoint_id = (SELECT id FROM webhook_endpoints WHERE account_id = $1 AND id = $2)
"""
_DISABLE: Final = """
UPDATE webhook_endpoints SET disabled_at = $3, disabled_reason = $4, updated_at = $3
WHERE account_id = $1 AND id = $2 AND disabled_at IS NULL
"""
_ENABLE: Final = """
UPDATE webhook_endpoints SET disabled_at = NULL, disabled_reason = '', updated_at = $3
WHERE account_id = $1 AND id = $2 AND disabled_at IS NOT NULL
"""
_FORGIVE: Final = """
UPDATE webhook_health SET failing_since = NULL, failures = 0, due_at = 0 WHERE endpoint_id = $1
"""
_DELETE: Final = "DELETE FROM webhook_endpoints WHERE account_id = $1 AND id = $2"
_DELETE_HEALTH: Final = "DELETE FROM webhook_health WHERE endpoint_id = $1"
_ACCOUNT_OF: Final = "SELECT account_id FROM webhook_endpoints WHERE id = $1"
_CHANGED: Final = (
    "WITH changed AS (UPDATE webhook_version SET version = version + 1) SELECT pg_notify($1, '')"
)

_WAITING: Final = """
SELECT id, endpoint_id, event_id, type, subject_id, attempts, waits_since, due_at, last_error FROM webhook_backlog
WHERE account_id = $1 AND endpoint_id = $2 AND id > $3 ORDER BY id LIMIT $4
"""
_BACKLOG: Final = """
SELECT e.id, (SELECT count(*) FROM (SELECT FROM webhook_backlog AS b WHERE b.endpoint_id = e.id LIMIT $2) AS counted)
FROM webhook_endpoints AS e WHERE e.account_id = $1
"""


class PostgresWebhooks:
    """See the port. `shards` is the number of partitions of the topic `webhook.due`."""

    def __init__(self, db: Transactions, *, shards: int = 1) -> None:
        self._db = db
        self._shards = shards

    async def create(
        self, account_id: str, endpoint_id: str, settings: EndpointSettings, *, secret: str, now_ms: int
    ) -> Endpoint:
        """Add a live endpoint; EndpointLimitError past `MAX_ENDPOINTS`."""
        async with asyncio.timeout(_DEADLINE_S), self._db.transaction() as tx:
            await tx.execute(_LOCK, account_id)
            if await tx.fetchval(_COUNT, account_id) >= MAX_ENDPOINTS:
                raise EndpointLimitError(f"an account has at most {MAX_ENDPOINTS} webhook endpoints")
            await tx.execute(_INSERT, endpoint_id, account_id, *_chosen(settings), now_ms)
            await tx.execute(
                "INSERT INTO webhook_secrets (endpoint_id, secret) VALUES ($1, $2)", endpoint_id, secret
            )
            await tx.execute(_CHANGED, CHANNEL)
            row = await tx.fetchrow(_GET, account_id, endpoint_id)
        return _endpoint(row)

    async def list_endpoints(self, account_id: str) -> list[Endpoint]:
        """Return the account's endpoints, the oldest first."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(_LIST, account_id)
        return [_endpoint(row) for row in rows]

    async def get(self, account_id: str, endpoint_id: str) -> Endpoint | None:
        """Return one endpoint."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            row = await connection.fetchrow(_GET, account_id, endpoint_id)
        return _endpoint(row) if row is not None else None

    async def update(
        self, account_id: str, endpoint_id: str, settings: EndpointSettings, *, now_ms: int
    ) -> Endpoint | None:
        """Replace what the account chose; None for an unknown endpoint."""
        return await self._change(account_id, endpoint_id, _UPDATE, *_chosen(settings), now_ms)

    async def rotate_secret(
        self, account_id: str, endpoint_id: str, *, secret: str, old_until: int, now_ms: int
    ) -> Endpoint | None:
        """Sign with a new secret, and with the one until now until `old_until`; None for an unknown endpoint."""
        del now_ms
        return await self._change(account_id, endpoint_id, _ROTATE, secret, old_until)

    async def disable(
        self, account_id: str, endpoint_id: str, *, reason: str = BY_ACCOUNT, now_ms: int
    ) -> Endpoint | None:
        """Send nothing more; one that is disabled already keeps its reason. None for an unknown endpoint."""
        return await self._change(account_id, endpoint_id, _DISABLE, now_ms, storable(reason))

    async def enable(self, account_id: str, endpoint_id: str, *, now_ms: int) -> Endpoint | None:
        """Send again, as if it had never failed; None for an unknown endpoint."""
        async with asyncio.timeout(_DEADLINE_S), self._db.transaction() as tx:
            if await tx.execute(_ENABLE, account_id, endpoint_id, now_ms) != "UPDATE 0":
                await tx.execute(_FORGIVE, endpoint_id)
                await tx.execute(_CHANGED, CHANNEL)
            row = await tx.fetchrow(_GET, account_id, endpoint_id)
        return _endpoint(row) if row is not None else None

    async def delete(self, account_id: str, endpoint_id: str) -> bool:
        """Forget the endpoint; what waits for it is dropped later. False for an unknown endpoint."""
        async with asyncio.timeout(_DEADLINE_S), self._db.transaction() as tx:
            is_deleted: bool = await tx.execute(_DELETE, account_id, endpoint_id) != "DELETE 0"
            if is_deleted:
                await tx.execute(_DELETE_HEALTH, endpoint_id)
                await tx.execute(_CHANGED, CHANNEL)
        return is_deleted

    async def account_of(self, endpoint_id: str) -> str | None:
        """Return whose endpoint it is; for operators, not for accounts."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            found: str | None = await connection.fetchval(_ACCOUNT_OF, endpoint_id)
        return found

    async def attempts(
        self,
        account_id: str,
        endpoint_id: str,
        *,
        states: Sequence[str] = (),
        types: Sequence[str] = (),
        limit: int,
        before: UUID | None = None,
    ) -> list[Attempt]:
        """Return attempts, the newest first, with ids below `before`."""
        arguments: list[object] = [account_id, endpoint_id]
        where = ["account_id = $1", "endpoint_id = $2"]
        for condition, value in (
            ("id < ${}", before),
            ("state = ANY (${}::text[])", list(states) or None),
            ("type = ANY (${}::text[])", list(types) or None),
        ):
            if value is not None:
                arguments.append(value)
                where.append(condition.format(len(arguments)))
        arguments.append(_clamp(limit))
        statement = f"SELECT {ATTEMPT} WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ${len(arguments)}"
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(statement, *arguments)
            found = [attempt_of(row) for row in rows]
            if not states or DELIVERED in states:
                found += await attempts_at(
                    connection, account_id, endpoint_id, types=types, limit=_clamp(limit), before=before
                )
        return sorted(found, key=_ID, reverse=True)[: _clamp(limit)]

    async def attempts_of(self, subject_id: UUID, *, limit: int) -> list[Attempt]:
        """Return the attempts of a message's events at all its account's endpoints, the oldest first."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            return await attempts_of(connection, subject_id, limit=_clamp(limit))

    async def waiting(
        self, account_id: str, endpoint_id: str, *, limit: int, after: int = 0
    ) -> list[Waiting]:
        """Return what waits for this endpoint with ids behind `after`, by id."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(_WAITING, account_id, endpoint_id, after, _clamp(limit))
        return [Waiting(*row) for row in rows]

    async def backlog(self, account_id: str, *, at_most: int = 10_000) -> dict[str, int]:
        """Return how many events wait by endpoint, counting no further than `at_most` each."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(_BACKLOG, account_id, at_most)
        return dict(map(tuple, rows))

    async def replay(
        self, account_id: str, endpoint_id: str, which: ReplayFilter, *, limit: int, now_ms: int
    ) -> Replayed:
        """Let up to `limit` events wait again, oldest first, with their first ids; one that waits already is left."""
        return await replay(
            self._db,
            account_id,
            endpoint_id,
            which,
            limit=_clamp(limit),
            now_ms=now_ms,
            shards=self._shards,
        )

    async def _change(
        self, account_id: str, endpoint_id: str, statement: str, *arguments: object
    ) -> Endpoint | None:
        async with asyncio.timeout(_DEADLINE_S), self._db.transaction() as tx:
            if await tx.execute(statement, account_id, endpoint_id, *arguments) != "UPDATE 0":
                await tx.execute(_CHANGED, CHANNEL)
            row = await tx.fetchrow(_GET, account_id, endpoint_id)
        return _endpoint(row) if row is not None else None


def _endpoint(row: Mapping[str, Any]) -> Endpoint:
    return Endpoint(
        row["id"],
        row["account_id"],
        chosen_of(row),
        row["created_at"],
        row["updated_at"],
        row["disabled_at"],
        row["disabled_reason"],
        row["old_secret_until"],
        row["failing_since"],
        row["last_success_at"],
        row["last_error"],
    )


def _chosen(settings: EndpointSettings) -> tuple[object, ...]:
    return (
        storable(settings.url),
        [storable(one) for one in settings.types],
        storable(settings.description),
        settings.batch_max,
        settings.max_in_flight,
    )


def _clamp(limit: int) -> int:
    return min(max(limit, 1), _MAX_LIMIT)
