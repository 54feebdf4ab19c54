"""Receipts that wait for a customer's bind, in order, until they are acknowledged or expire (sms-domain H14)."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

from gateway.ports.bus import Transaction
from gateway.ports.smpp_store import WaitingReceipt
from gateway.store.pool import Database

CHANNEL: Final = "caudal_smpp_receipts"
_DEADLINE_S: Final = 5.0

_ADD: Final = """
INSERT INTO smpp_outbox (system_id, message_id, told_id, head, state, submitted_at, done_at, expires_at, due_at)
SELECT row.system_id, row.message_id, row.told_id, row.head, row.state, row.submitted_at, row.done_at, row.expires_at, 0
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::bytea[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[])
     WITH ORDINALITY AS row (system_id, message_id, told_id, head, state, submitted_at, done_at, expires_at, n)
ORDER BY row.n
ON CONFLICT DO NOTHING
"""
_FETCH: Final = """
SELECT id, system_id, message_id, told_id, head, state, submitted_at, done_at, expires_at, attempts
FROM smpp_outbox
WHERE system_id = $1 AND due_at <= $4 AND expires_at > $4 AND id <> ALL ($3::bigint[])
ORDER BY system_id, id LIMIT $2
"""
_DONE: Final = "DELETE FROM smpp_outbox WHERE id = ANY ($1::bigint[])"
_AGAIN: Final = """
UPDATE smpp_outbox AS waiting SET attempts = attempts + 1, due_at = batch.due_at
FROM unnest($1::bigint[], $2::bigint[]) AS batch (id, due_at)
WHERE waiting.id = ANY (ARRAY[batch.id])
"""
_HOLD: Final = """
INSERT INTO smpp_drains AS held (system_id, owner, expires_at)
SELECT wanted.system_id, $2, clock_timestamp() + $3::bigint * interval '1 millisecond'
FROM unnest($1::text[]) AS wanted (system_id) ORDER BY wanted.system_id
ON CONFLICT (system_id) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
WHERE held.owner = excluded.owner OR held.expires_at <= clock_timestamp()
RETURNING system_id
"""
_RELEASE: Final = (
    "DELETE FROM smpp_drains WHERE system_id = ANY ($1::text[]) AND owner = $2 RETURNING system_id"
)
_PURGE: Final = """
DELETE FROM smpp_outbox WHERE id = ANY (ARRAY (
    SELECT id FROM smpp_outbox WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
)) RETURNING id
"""
_COUNT: Final = "SELECT count(*) FROM (SELECT 1 FROM smpp_outbox ORDER BY id LIMIT $1) AS waiting"


class PostgresOutbox:
    """The tables `smpp_outbox` and `smpp_drains`; implements `gateway.ports.smpp_store.ReceiptQueue`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, tx: Transaction, receipts: Sequence[WaitingReceipt]) -> None:
        """Keep receipts and wake whoever delivers; one that waits already stays as it is."""
        if not receipts:
            return
        async with asyncio.timeout(_DEADLINE_S):
            columns = list(zip(*(receipt[1:9] for receipt in receipts), strict=True))
            await tx.execute(_ADD, *(list(column) for column in columns))
            await _notify(tx, {receipt.system_id for receipt in receipts})

    async def fetch(
        self, system_id: str, *, limit: int, leave_out: Collection[int], now_ms: int
    ) -> list[WaitingReceipt]:
        """Return the next receipts that are due and not expired, without those of `leave_out`."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(_FETCH, system_id, limit, list(leave_out), now_ms)
        return [WaitingReceipt(*row) for row in rows]

    async def settle(self, *, done: Sequence[int], again: Sequence[tuple[int, int]]) -> None:
        """Forget the receipts `done`; put off each (id, due time in milliseconds) of `again`, one attempt spent."""
        async with asyncio.timeout(_DEADLINE_S), self._db.transaction() as tx:
            if done:
                await tx.execute(_DONE, list(done))
            if again:
                ids, due = zip(*again, strict=True)
                await tx.execute(_AGAIN, list(ids), list(due))

    async def hold(self, system_ids: Sequence[str], *, owner: str, ttl_ms: int) -> set[str]:
        """Take or keep the drains of these system_ids; return those that are now ours."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(_HOLD, list(system_ids), owner, ttl_ms)
        return {row["system_id"] for row in rows}

    async def release(self, system_ids: Sequence[str], *, owner: str) -> None:
        """Give drains up, so that another may take them at once."""
        async with asyncio.timeout(_DEADLINE_S), self._db.transaction() as tx:
            rows = await tx.fetch(_RELEASE, list(system_ids), owner)
            await _notify(tx, {row["system_id"] for row in rows})

    async def purge(self, *, now_ms: int, limit: int) -> int:
        """Delete receipts that have expired, at most `limit`; return how many."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            return len(await connection.fetch(_PURGE, now_ms, limit))

    async def count(self, *, limit: int) -> int:
        """Return how many receipts wait, counted up to `limit`."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            found: int = await connection.fetchval(_COUNT, limit)
        return found


async def _notify(tx: Transaction, system_ids: set[str]) -> None:
    if system_ids:
        await tx.execute(
            "SELECT pg_notify($1, system_id) FROM unnest($2::text[]) AS woken (system_id)",
            CHANNEL,
            sorted(system_ids),
        )
