"""Messages that wait for a time: written by intake and dispatch, claimed by the deferrer when due (D6)."""

import asyncio
from collections.abc import Sequence
from typing import Final

from gateway.ports.bus import Transaction
from gateway.ports.dispatch_store import DeferredRow
from gateway.ports.record_store import DeadRow
from gateway.ports.store import Transactions
from gateway.store.rows import insert_dead

_DEADLINE_S: Final = 10.0

_ADD: Final = """
INSERT INTO deferred (due_at, topic, key, value, message_id)
SELECT to_timestamp(row.due_at / 1000.0), row.topic, row.key, row.value, row.message_id
FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::bytea[], $5::uuid[])
     WITH ORDINALITY AS row (due_at, topic, key, value, message_id, n)
ORDER BY row.n
"""

# MATERIALIZED and the array keep the planner from joining the lock step against the whole table.
_CLAIM: Final = """
WITH due AS MATERIALIZED (
    SELECT id FROM deferred WHERE due_at <= to_timestamp($1::bigint / 1000.0)
    ORDER BY due_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
), taken AS (
    DELETE FROM deferred WHERE id = ANY (ARRAY (SELECT id FROM due))
    RETURNING id, due_at, topic, key, value, message_id
)
SELECT (extract(epoch FROM due_at) * 1000)::bigint AS due_ms, topic, key, value, message_id
FROM taken ORDER BY due_at, id
"""

_MAKE_DUE: Final = """
UPDATE deferred SET due_at = to_timestamp($3::bigint / 1000.0)
WHERE id = ANY (ARRAY (
    SELECT id FROM deferred
    WHERE due_at >= to_timestamp($1::bigint / 1000.0)
      AND NOT due_at = ANY (SELECT to_timestamp(kept / 1000.0) FROM unnest($2::bigint[]) AS kept)
    ORDER BY due_at, id LIMIT $4 FOR UPDATE SKIP LOCKED
))
"""

_NEXT_DUE: Final = """
SELECT (extract(epoch FROM due_at) * 1000)::bigint FROM deferred ORDER BY due_at, id LIMIT 1
"""


class PostgresDeferred:
    """The table `deferred`; implements `gateway.ports.dispatch_store.DeferredStore`."""

    def __init__(self, db: Transactions) -> None:
        self._db = db

    async def add(self, tx: Transaction, rows: Sequence[DeferredRow]) -> None:
        """Keep the rows until they are due; they exist when `tx` commits."""
        if not rows:
            return
        columns = zip(*rows, strict=True)
        async with asyncio.timeout(_DEADLINE_S):
            await tx.execute(_ADD, *(list(column) for column in columns))

    async def bury(self, tx: Transaction, rows: Sequence[DeadRow]) -> None:
        """Keep lane records that are no messages."""
        async with asyncio.timeout(_DEADLINE_S):
            await insert_dead(tx, list(rows))

    async def claim_due(self, tx: Transaction, *, now_ms: int, limit: int) -> list[DeferredRow]:
        """Take out up to `limit` rows that are due, oldest first, skipping rows that another transaction holds."""
        async with asyncio.timeout(_DEADLINE_S):
            found = await tx.fetch(_CLAIM, now_ms, limit)
        return [DeferredRow(*row) for row in found]

    async def make_due(self, *, from_ms: int, keep: Sequence[int], now_ms: int, limit: int) -> int:
        """Make up to `limit` rows due at `now_ms` that are due at `from_ms` or later, but at none of `keep`.

        Returns how many; those that another transaction holds are left out.
        """
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            done: str = await connection.execute(_MAKE_DUE, from_ms, list(keep), now_ms, limit)
        return int(done.rpartition(" ")[2])

    async def next_due_ms(self) -> int | None:
        """Return the earliest due time in milliseconds since the epoch, or None when nothing waits."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            due_ms: int | None = await connection.fetchval(_NEXT_DUE)
        return due_ms
