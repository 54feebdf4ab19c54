"""Parts of customers' long messages, from their answer until they are one message."""

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from gateway.ports.bus import Transaction
from gateway.ports.smpp_store import PartRow
from gateway.store.pool import Database

_DEADLINE_S: Final = 5.0
_COLUMNS: Final = "system_id, set_key, sequence, total, part_id, octets, facts, received_at"

_KEEP: Final = f"""
INSERT INTO smpp_parts ({_COLUMNS})
SELECT * FROM unnest($1::text[], $2::bytea[], $3::int[], $4::int[], $5::uuid[], $6::bytea[], $7::text[], $8::bigint[])
ON CONFLICT DO NOTHING
"""
_KEPT: Final = """
SELECT (SELECT part.part_id FROM smpp_parts AS part
        WHERE part.system_id = batch.system_id AND part.set_key = batch.set_key AND part.sequence = batch.sequence
              AND part.octets = batch.octets)
FROM unnest($1::text[], $2::bytea[], $3::int[], $4::bytea[])
     WITH ORDINALITY AS batch (system_id, set_key, sequence, octets, n)
ORDER BY batch.n
"""
_SETS: Final = f"""
SELECT part.* FROM unnest($1::text[], $2::bytea[]) AS wanted (system_id, set_key)
CROSS JOIN LATERAL (
    SELECT {_COLUMNS} FROM smpp_parts AS one
    WHERE one.system_id = wanted.system_id AND one.set_key = wanted.set_key ORDER BY one.sequence LIMIT 255
) AS part
ORDER BY part.system_id, part.set_key, part.sequence
"""
_FORGET: Final = """
DELETE FROM smpp_parts AS part USING unnest($1::text[], $2::bytea[], $3::uuid[]) AS batch (system_id, set_key, part_id)
WHERE part.system_id = ANY (ARRAY[batch.system_id]) AND part.set_key = ANY (ARRAY[batch.set_key])
      AND part.part_id = batch.part_id
"""
_STALE: Final = """
SELECT DISTINCT system_id, set_key FROM (
    SELECT system_id, set_key FROM smpp_parts WHERE received_at < $1 ORDER BY received_at LIMIT $2
) AS old
"""
_TAKE: Final = f"""
WITH old AS MATERIALIZED (
    SELECT system_id, set_key, sequence, total FROM smpp_parts WHERE received_at < $1
    ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED
), given_up AS MATERIALIZED (
    SELECT old.system_id, old.set_key, old.sequence FROM old CROSS JOIN LATERAL (
        SELECT count(*) AS there, max(one.received_at) AS newest FROM smpp_parts AS one
        WHERE one.system_id = old.system_id AND one.set_key = old.set_key
    ) AS whole WHERE whole.there < old.total AND whole.newest < $1
)
DELETE FROM smpp_parts AS part USING given_up
WHERE part.system_id = ANY (ARRAY[given_up.system_id]) AND part.set_key = ANY (ARRAY[given_up.set_key])
      AND part.sequence = given_up.sequence
RETURNING {", ".join(f"part.{column}" for column in _COLUMNS.split(", "))}
"""


class PostgresParts:
    """The table `smpp_parts`; implements `gateway.ports.smpp_store.PartStore`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def keep(self, rows: Sequence[PartRow]) -> list[UUID | None]:
        """Make parts durable; return for each the id that it is kept under, None where its place is taken."""
        if not rows:
            return []
        columns = [list(column) for column in zip(*rows, strict=True)]
        async with asyncio.timeout(_DEADLINE_S), self._db.transaction() as tx:
            await tx.execute(_KEEP, *columns)
            found = await tx.fetch(_KEPT, columns[0], columns[1], columns[2], columns[5])
        return [row[0] for row in found]

    async def complete(self, keys: Sequence[tuple[str, bytes]]) -> list[list[PartRow]]:
        """Return those sets that have all their parts, each in the order of its parts."""
        wanted = sorted(set(keys))
        if not wanted:
            return []
        names, digests = zip(*wanted, strict=True)
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            found = await connection.fetch(_SETS, list(names), list(digests))
        sets: dict[tuple[str, bytes], list[PartRow]] = {}
        for row in found:
            part = PartRow(*row)
            sets.setdefault(part[:2], []).append(part)
        return [parts for parts in sets.values() if len(parts) == parts[0].total]

    async def forget(self, rows: Sequence[PartRow]) -> None:
        """Delete the parts of sets that became messages."""
        if rows:
            async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
                await connection.execute(
                    _FORGET,
                    [row.system_id for row in rows],
                    [row.set_key for row in rows],
                    [row.part_id for row in rows],
                )

    async def stale(self, *, before_ms: int, limit: int) -> list[tuple[str, bytes]]:
        """Return the keys of sets with a part older than `before_ms`, oldest first."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            found = await connection.fetch(_STALE, before_ms, limit)
        return [(row[0], row[1]) for row in found]

    async def take_incomplete(self, tx: Transaction, *, before_ms: int, limit: int) -> list[PartRow]:
        """Delete and return parts of incomplete sets whose newest part is older than `before_ms`."""
        async with asyncio.timeout(_DEADLINE_S):
            found = await tx.fetch(_TAKE, before_ms, limit)
        return [PartRow(*row) for row in found]
