"""The tables `parked_receipts` and `orphan_receipts`: receipts whose submission is not known yet, and those given up.

A receipt is in one of them from the moment dlr could not match it until it goes back to the topic, so none is lost
(D8). Read by dlr in the role `back`, by the API and by `caudal receipts`.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from gateway.ports.bus import Transaction
from gateway.ports.ingress_store import OrphanView
from gateway.ports.record_store import CarrierKey, Parked, ParkedRow
from gateway.ports.store import Transactions
from gateway.store.rows import DEADLINE_S, by_meaning

_READ_DEADLINE_S: Final = 5.0
_MAX_LIMIT: Final = 1000
_MAX_ID: Final = (1 << 63) - 1

_TAKE: Final = """
DELETE FROM parked_receipts WHERE id = ANY (ARRAY (
    SELECT found.id FROM unnest($1::text[], $2::text[]) AS k (carrier, carrier_message_id)
    CROSS JOIN LATERAL (
        SELECT id FROM parked_receipts AS p
        WHERE p.carrier = k.carrier AND p.carrier_message_id = k.carrier_message_id
        UNION ALL
        SELECT id FROM parked_receipts AS p WHERE p.carrier = k.carrier AND p.second_id = k.carrier_message_id
        OFFSET 0
    ) AS found
))
RETURNING carrier, carrier_message_id, value
"""

# Receipts that are given up move in one statement: they are never in none of the two tables.
_GIVE_UP: Final = """
WITH gone AS (
    DELETE FROM parked_receipts WHERE id = ANY (ARRAY ({chosen} FOR UPDATE SKIP LOCKED)) RETURNING *
)
INSERT INTO orphan_receipts
    (id, carrier, carrier_message_id, second_id, parked_at, expires_at, given_up_at, reason, value)
SELECT id, carrier, carrier_message_id, second_id, parked_at, expires_at, $2, '{reason}', value FROM gone
ON CONFLICT DO NOTHING
"""
_EXPIRE: Final = _GIVE_UP.format(
    chosen="SELECT id FROM parked_receipts WHERE expires_at <= $2 ORDER BY expires_at LIMIT $1",
    reason="expired",
)
_CROWD_OUT: Final = _GIVE_UP.format(
    chosen="SELECT id FROM parked_receipts ORDER BY id LIMIT $1", reason="crowded_out"
)

# Ids grow by one a row, so their span bounds the count from above; only a span too wide is counted.
_SPAN: Final = "SELECT coalesce(max(id) - min(id) + 1, 0) FROM {table}"
_COUNT: Final = "SELECT count(*) FROM (SELECT FROM {table} LIMIT $1) AS p"
_DROP_ORPHANS: Final = """
DELETE FROM orphan_receipts WHERE id = ANY (ARRAY (
    SELECT id FROM orphan_receipts ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
))
"""
# Two plans: the index by carrier is of no use to a statement that must also serve all carriers.
_ONE_CARRIER: Final = {True: "carrier = ${n}", False: "${n}::text IS NULL"}
_TAKE_ORPHANS: Final = """
DELETE FROM orphan_receipts WHERE id = ANY (ARRAY (
    SELECT id FROM orphan_receipts WHERE {one_carrier} AND id < $2 ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
))
RETURNING id, carrier, carrier_message_id, value
"""
_LIST: Final = """
SELECT * FROM (
    (SELECT id, carrier, carrier_message_id, second_id, parked_at, expires_at, NULL::bigint AS given_up_at,
            'waiting' AS reason, value
     FROM parked_receipts WHERE id < $1 AND {one_carrier} AND parked_at >= $3
     ORDER BY id DESC LIMIT $4)
    UNION ALL
    (SELECT id, carrier, carrier_message_id, second_id, parked_at, expires_at, given_up_at, reason, value
     FROM orphan_receipts WHERE id < $1 AND {one_carrier} AND parked_at >= $3
     ORDER BY id DESC LIMIT $4)
) AS both_tables ORDER BY id DESC LIMIT $4
"""


class PostgresParked:
    """Implements `gateway.ports.record_store.ParkedStore`."""

    def __init__(self, db: Transactions) -> None:
        self._db = db

    async def park(self, tx: Transaction, rows: Sequence[ParkedRow]) -> None:
        """Keep receipts until their submission is known."""
        if rows:
            with by_meaning():
                async with asyncio.timeout(DEADLINE_S):
                    await tx.copy_records_to_table("parked_receipts", records=rows, columns=ParkedRow._fields)

    async def is_empty(self) -> bool:
        """Tell whether no receipt at all is parked."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            return await connection.fetchval("SELECT id FROM parked_receipts ORDER BY id LIMIT 1") is None

    async def take(self, tx: Transaction, keys: Sequence[CarrierKey]) -> list[Parked]:
        """Take out the parked receipts that wait for one of the keys, by their first or second id."""
        if not keys:
            return []
        async with asyncio.timeout(DEADLINE_S):
            found = await tx.fetch(_TAKE, [key[0] for key in keys], [key[1] for key in keys])
        return [Parked(*row) for row in found]

    async def keys_after(self, row_id: int, *, limit: int) -> tuple[list[CarrierKey], int]:
        """Return the keys of the next parked rows behind `row_id`, and the last id read; ([], 0) at the end."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(
                "SELECT id, carrier, carrier_message_id, second_id FROM parked_receipts "
                "WHERE id > $1 ORDER BY id LIMIT $2",
                row_id,
                limit,
            )
        keys: list[CarrierKey] = []
        for _, carrier, first_id, second_id in rows:
            keys.extend(CarrierKey(carrier, one) for one in (first_id, second_id) if one)
        return keys, rows[-1]["id"] if rows else 0

    async def give_up(self, tx: Transaction, *, now_ms: int, max_rows: int, limit: int) -> int:
        """Make orphans of up to `limit` receipts that are past their time, or the oldest beyond `max_rows`."""
        async with asyncio.timeout(DEADLINE_S):
            given_up = _affected(await tx.execute(_EXPIRE, limit, now_ms))
            if not given_up:
                excess = await _excess(tx, "parked_receipts", max_rows=max_rows, limit=limit)
                if excess > 0:
                    given_up = _affected(await tx.execute(_CROWD_OUT, excess, now_ms))
        return given_up

    async def drop_orphans(self, tx: Transaction, *, max_rows: int, limit: int) -> int:
        """Delete up to `limit` of the oldest orphans beyond `max_rows`; return how many."""
        async with asyncio.timeout(DEADLINE_S):
            excess = await _excess(tx, "orphan_receipts", max_rows=max_rows, limit=limit)
            return _affected(await tx.execute(_DROP_ORPHANS, excess)) if excess > 0 else 0

    async def counts(self) -> tuple[int, int]:
        """Return how many receipts are parked and how many are orphans."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            row = await connection.fetchrow(
                "SELECT (SELECT count(*) FROM parked_receipts), (SELECT count(*) FROM orphan_receipts)"
            )
        return row[0], row[1]


class PostgresOrphans:
    """Receipts without a message, for operators; implements `gateway.ports.ingress_store.OrphanViews`."""

    def __init__(self, db: Transactions) -> None:
        self._db = db

    async def list_orphans(
        self, *, carrier: str | None, since: int | None, limit: int, before: int | None
    ) -> list[OrphanView]:
        """Return the newest receipts without a message, those that still wait and those given up."""
        async with asyncio.timeout(_READ_DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(
                _LIST.format(one_carrier=_ONE_CARRIER[carrier is not None].format(n=2)),
                _MAX_ID if before is None else min(max(before, 0), _MAX_ID),
                carrier,
                min(max(since or 0, 0), _MAX_ID),
                min(max(limit, 1), _MAX_LIMIT),
            )
        return [OrphanView(*row) for row in rows]

    async def newest(self) -> int:
        """Return the id of the newest orphan, 0 when there is none: where a replay ends."""
        async with asyncio.timeout(_READ_DEADLINE_S), self._db.acquire() as connection:
            newest: int = await connection.fetchval("SELECT coalesce(max(id), 0) FROM orphan_receipts")
        return newest

    async def take_orphans(
        self, tx: Transaction, *, carrier: str | None, before: int, limit: int
    ) -> list[Parked]:
        """Take out up to `limit` of the oldest orphans with ids below `before`."""
        async with asyncio.timeout(DEADLINE_S):
            one_carrier = _ONE_CARRIER[carrier is not None].format(n=1)
            found = await tx.fetch(_TAKE_ORPHANS.format(one_carrier=one_carrier), carrier, before, limit)
        # In the order they came: of two receipts of one segment the first final one counts.
        return [Parked(*row[1:]) for row in sorted(found)]


async def _excess(tx: Transaction, table: str, *, max_rows: int, limit: int) -> int:
    if await tx.fetchval(_SPAN.format(table=table)) <= max_rows:
        return 0
    counted: int = await tx.fetchval(_COUNT.format(table=table), max_rows + limit)
    return counted - max_rows


def _affected(tag: str) -> int:
    return int(tag.rsplit(maxsplit=1)[-1])
