"""The tables `inbound_messages`, `inbound_sets`, `inbound_parts` and `inbound_numbers`, as `gateway.inbound` uses them."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from gateway.domain.ids import MAX_TIME_MS, uuid7_floor
from gateway.ports.bus import Transaction
from gateway.ports.inbound_store import (
    Conversation,
    InboundMessage,
    NumberRow,
    PartRow,
    Sent,
    SetRow,
    SourceRow,
)
from gateway.ports.record_store import DeadRow
from gateway.ports.store import Transactions
from gateway.store import rows as common
from gateway.store.errors import StoreError
from gateway.store.inbound_views import MESSAGE_COLUMNS, message_of
from gateway.store.rows import DAY_MS, DEADLINE_S, by_meaning, day_floor

_LOCK: Final = 0x6D6F_7365_7473  # "mosets"
_REMEMBERED: Final = 4
_LOOKED_AT: Final = 100
_LAST: Final = UUID(int=(1 << 128) - 1)
_MAX_NUMBERS: Final = 10_000

_SET_COLUMNS: Final = ", ".join(SetRow._fields)
_KEY_TYPES: Final = ("text", "text", "text", "text", "int", "smallint")
_KEY_COLUMNS: Final = SetRow._fields[1:7]
_KEYS: Final = (
    f"unnest({', '.join(f'${n}::{kind}[]' for n, kind in enumerate(_KEY_TYPES, start=1))}) "
    f"AS k ({', '.join(_KEY_COLUMNS)})"
)
_SAME_KEY: Final = " AND ".join(f"c.{column} = k.{column}" for column in _KEY_COLUMNS)

# What has a LIMIT or OFFSET is looked up for each key: see `gateway.store.rows`.
_SETS_OF: Final = f"""
SELECT {", ".join(f"s.{column}" for column in SetRow._fields)} FROM {_KEYS}
CROSS JOIN LATERAL (
    (SELECT {_SET_COLUMNS} FROM inbound_sets AS c WHERE {_SAME_KEY} AND c.done_at IS NULL LIMIT 1)
    UNION ALL
    (SELECT {_SET_COLUMNS} FROM inbound_sets AS c WHERE {_SAME_KEY} AND c.done_at IS NOT NULL
     ORDER BY c.done_at DESC LIMIT {_REMEMBERED})
) AS s
"""
_PARTS_OF: Final = """
SELECT p.set_id, p.segment_index, p.digest, p.received_at, p.value
FROM unnest($1::uuid[]) AS k (id)
CROSS JOIN LATERAL (SELECT * FROM inbound_parts AS c WHERE c.set_id = k.id OFFSET 0) AS p
"""
_EXPIRED: Final = f"""
SELECT {_SET_COLUMNS} FROM inbound_sets WHERE done_at IS NULL AND expires_at <= $1 ORDER BY expires_at LIMIT $2
"""
_CROWDING: Final = f"""
SELECT {", ".join(f"s.{column}" for column in SetRow._fields)}
FROM unnest($1::text[], $2::text[]) AS k (carrier, sender)
CROSS JOIN LATERAL (
    SELECT *, sum(part_count) OVER (ORDER BY opened_at DESC, id DESC) AS running FROM inbound_sets AS c
    WHERE c.carrier = k.carrier AND c.sender = k.sender AND c.done_at IS NULL OFFSET 0
) AS s
WHERE s.running > $3
"""
_OLDEST: Final = f"""
SELECT {_SET_COLUMNS} FROM (
    SELECT *, sum(part_count) OVER (ORDER BY opened_at, id) AS running FROM (
        SELECT * FROM inbound_sets WHERE done_at IS NULL ORDER BY opened_at, id LIMIT $2
    ) AS old
) AS s
WHERE s.running - s.part_count < $1
"""
_WAITING: Final = "SELECT coalesce(sum(part_count), 0)::bigint FROM inbound_sets WHERE done_at IS NULL"

_WRITE_SET: Final = f"""
INSERT INTO inbound_sets ({_SET_COLUMNS})
VALUES ({", ".join(f"${n}" for n in range(1, len(SetRow._fields) + 1))})
ON CONFLICT (id) DO UPDATE SET
    expires_at = EXCLUDED.expires_at, part_count = EXCLUDED.part_count, done_at = EXCLUDED.done_at,
    digests = EXCLUDED.digests
"""
_DELETE_PARTS: Final = "DELETE FROM inbound_parts WHERE set_id = ANY ($1::uuid[])"
_DELETE_SETS: Final = "DELETE FROM inbound_sets WHERE id = ANY ($1::uuid[])"
_FORGET: Final = """
DELETE FROM inbound_sets WHERE id = ANY (ARRAY (
    SELECT id FROM inbound_sets WHERE done_at < $1 ORDER BY done_at LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""

_NUMBERS: Final = """
SELECT number, carrier, account_id, created_at FROM inbound_numbers WHERE number = ANY ($1::text[])
"""

# Only what may have reached the person counts, and few enough messages are looked at whoever gets thousands a day. A
# message sent from a name went out under a number of the carrier's own where names are not allowed, so a reply to such
# a number answers it; a reply to a number of ours never answers what was sent from another one.
_LAST_SENT: Final = """
SELECT k.n, m.id, m.account_id, m.same_number
FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::uuid[]) WITH ORDINALITY
     AS k (carrier, person, number, floor, ceiling, n)
CROSS JOIN LATERAL (
    SELECT r.id, r.account_id, r.sender = k.number AS same_number
    FROM (
        SELECT c.id, c.account_id, c.sender, c.state, coalesce(c.carrier, c.first_carrier) AS over
        FROM messages AS c
        WHERE c.recipient = k.person AND c.id >= k.floor AND c.id < k.ceiling
          AND c.id >= '{floor}' AND c.id < '{ceiling}'
        ORDER BY c.id DESC LIMIT {looked_at}
    ) AS r
    WHERE (r.sender = k.number OR (r.over = k.carrier AND r.sender ~ '[A-Za-z]'))
      AND r.state NOT IN ('scheduled', 'rejected', 'cancelled')
    ORDER BY (r.sender = k.number) DESC, r.id DESC LIMIT 1
) AS m
"""

_INSERT: Final = """
INSERT INTO inbound_messages SELECT * FROM json_populate_recordset(NULL::inbound_messages, $1::json)
ON CONFLICT (id) DO NOTHING RETURNING id
"""

_CLAIM: Final = """
INSERT INTO inbound_sources (carrier, source_id, message_id, seen_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[])
ON CONFLICT (carrier, source_id) DO NOTHING RETURNING message_id
"""
_FORGET_SOURCES: Final = """
DELETE FROM inbound_sources WHERE ctid = ANY (ARRAY (
    SELECT ctid FROM inbound_sources WHERE seen_at < $1 ORDER BY seen_at LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""

_UNASSIGNED: Final = f"""
SELECT {MESSAGE_COLUMNS} FROM inbound_messages WHERE account_id IS NULL AND id >= $1 AND id < $2
ORDER BY id DESC LIMIT $3
"""
_ASSIGN: Final = """
UPDATE inbound_messages AS m SET
    account_id = p.account_id, assigned_by = p.assigned_by, in_reply_to = p.in_reply_to
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[]) AS p (id, account_id, assigned_by, in_reply_to)
WHERE m.id = ANY (ARRAY[p.id]) AND m.account_id IS NULL
RETURNING m.id
"""

_JSON: Final = msgspec.json.Encoder()


class PostgresInbound:
    """Implements `gateway.ports.inbound_store.InboundStore`."""

    def __init__(self, db: Transactions) -> None:
        self._db = db

    async def lock(self, tx: Transaction) -> None:
        """Be the only one that touches waiting sets until `tx` ends."""
        async with asyncio.timeout(DEADLINE_S):
            await tx.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)

    async def sets_of(self, tx: Transaction, keys: Sequence[tuple[object, ...]]) -> list[SetRow]:
        """Return the open set and the few newest done ones of each key."""
        if not keys:
            return []
        with by_meaning():
            async with asyncio.timeout(DEADLINE_S):
                found = await tx.fetch(_SETS_OF, *(list(column) for column in zip(*keys, strict=True)))
        return [SetRow(*row) for row in found]

    async def parts_of(self, tx: Transaction, set_ids: Sequence[UUID]) -> list[PartRow]:
        """Return the segments that wait in these sets."""
        if not set_ids:
            return []
        async with asyncio.timeout(DEADLINE_S):
            return [PartRow(*row) for row in await tx.fetch(_PARTS_OF, list(set_ids))]

    async def expired(self, tx: Transaction, *, now_ms: int, limit: int) -> list[SetRow]:
        """Return up to `limit` open sets that are past their time, the oldest first."""
        async with asyncio.timeout(DEADLINE_S):
            return [SetRow(*row) for row in await tx.fetch(_EXPIRED, now_ms, limit)]

    async def crowding(
        self, tx: Transaction, senders: Sequence[tuple[str, str]], *, max_parts: int
    ) -> list[SetRow]:
        """Return the oldest open sets of each (carrier, sender) beyond `max_parts` waiting segments."""
        carriers, addresses = [one[0] for one in senders], [one[1] for one in senders]
        async with asyncio.timeout(DEADLINE_S):
            return [SetRow(*row) for row in await tx.fetch(_CROWDING, carriers, addresses, max_parts)]

    async def oldest(self, tx: Transaction, *, max_parts: int, limit: int) -> list[SetRow]:
        """Return up to `limit` oldest open sets beyond `max_parts` waiting segments of all senders together."""
        async with asyncio.timeout(DEADLINE_S):
            beyond = await tx.fetchval(_WAITING) - max_parts
            if beyond <= 0:
                return []
            return [SetRow(*row) for row in await tx.fetch(_OLDEST, beyond, limit)]

    async def waiting(self) -> int:
        """Return how many segments wait."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            count: int = await connection.fetchval(_WAITING)
        return count

    async def write_sets(
        self,
        tx: Transaction,
        *,
        sets: Sequence[SetRow],
        parts: Sequence[PartRow],
        emptied: Sequence[UUID],
        dropped: Sequence[UUID],
    ) -> None:
        """Write sets and segments; delete the segments of `emptied` sets, and `dropped` sets with theirs."""
        with by_meaning():
            async with asyncio.timeout(DEADLINE_S):
                if emptied or dropped:
                    await tx.execute(_DELETE_PARTS, [*emptied, *dropped])
                if dropped:
                    await tx.execute(_DELETE_SETS, list(dropped))
                if sets:
                    await tx.executemany(_WRITE_SET, sets)
                if parts:
                    await tx.copy_records_to_table("inbound_parts", records=parts, columns=PartRow._fields)

    async def forget_done(self, *, before_ms: int, limit: int) -> int:
        """Delete up to `limit` sets done before a time; return how many."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            tag: str = await connection.execute(_FORGET, before_ms, limit)
        return int(tag.rsplit(maxsplit=1)[-1])

    async def numbers(self, tx: Transaction, numbers: Sequence[str]) -> list[NumberRow]:
        """Return who owns these numbers."""
        with by_meaning():
            async with asyncio.timeout(DEADLINE_S):
                return [NumberRow(*row) for row in await tx.fetch(_NUMBERS, list(numbers))]

    async def last_sent(
        self, tx: Transaction, conversations: Sequence[Conversation]
    ) -> dict[Conversation, Sent]:
        """Return for each the newest message to the person from that number, else from a name over that carrier."""
        if not conversations:
            return {}
        carriers, people, numbers, since, before = zip(*conversations, strict=True)
        # Literal bounds keep the partitions of other days out of the plan.
        statement = _LAST_SENT.format(
            floor=day_floor(min(since)),
            ceiling=day_floor(max(before) + DAY_MS),
            looked_at=_LOOKED_AT,
        )
        with by_meaning():
            async with asyncio.timeout(DEADLINE_S):
                found = await tx.fetch(
                    statement,
                    list(carriers),
                    list(people),
                    list(numbers),
                    [_floor(at) for at in since],
                    [_floor(at) for at in before],
                )
        return {conversations[n - 1]: Sent(*sent) for n, *sent in found}

    async def claim_sources(self, tx: Transaction, rows: Sequence[SourceRow]) -> set[UUID]:
        """Keep the carriers' ids of messages; return the messages whose id was not known yet."""
        if not rows:
            return set()
        # In the order of the key: two consumers never wait for each other crosswise.
        columns = zip(*sorted(rows), strict=True)
        with by_meaning():
            async with asyncio.timeout(DEADLINE_S):
                return {row[0] for row in await tx.fetch(_CLAIM, *(list(column) for column in columns))}

    async def forget_sources(self, *, before_ms: int, limit: int) -> int:
        """Delete up to `limit` of the carriers' ids that were seen before a time; return how many."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            tag: str = await connection.execute(_FORGET_SOURCES, before_ms, limit)
        return int(tag.rsplit(maxsplit=1)[-1])

    async def insert_messages(self, tx: Transaction, messages: Sequence[InboundMessage]) -> set[UUID]:
        """Write messages; return the ids of those that were new."""
        if not messages:
            return set()
        with by_meaning():
            async with asyncio.timeout(DEADLINE_S):
                return {row[0] for row in await tx.fetch(_INSERT, _JSON.encode(messages).decode())}

    async def unassigned(
        self, tx: Transaction, *, since_ms: int, before: UUID | None, limit: int
    ) -> list[InboundMessage]:
        """Return up to `limit` messages without an account, received since then, newest first, ids below `before`."""
        async with asyncio.timeout(DEADLINE_S):
            rows = await tx.fetch(_UNASSIGNED, _floor(since_ms), before or _LAST, limit)
        return [message_of(row) for row in rows]

    async def assign(self, tx: Transaction, messages: Sequence[InboundMessage]) -> set[UUID]:
        """Write the accounts of messages that have none; return the ids of those that this changed."""
        if not messages:
            return set()
        columns = zip(
            *((one.id, one.account_id, one.assigned_by, one.in_reply_to) for one in messages), strict=True
        )
        async with asyncio.timeout(DEADLINE_S):
            return {row[0] for row in await tx.fetch(_ASSIGN, *(list(column) for column in columns))}

    async def insert_dead(self, tx: Transaction, rows: Sequence[DeadRow]) -> None:
        """Keep records that could not be processed; one known already is left as it is."""
        async with asyncio.timeout(DEADLINE_S):
            await common.insert_dead(tx, list(rows))


def _floor(time_ms: int) -> UUID:
    return uuid7_floor(min(max(time_ms, 0), MAX_TIME_MS))


class UnknownAccountError(StoreError):
    """There is no account of that name."""


class InboundNumbers:
    """Which account answers for which number of ours; for operators."""

    def __init__(self, db: Transactions) -> None:
        self._db = db

    async def add(self, row: NumberRow) -> str | None:
        """Give a number to an account; return whose it was before. UnknownAccountError names an account not there."""
        async with asyncio.timeout(DEADLINE_S), self._db.transaction() as tx:
            if await tx.fetchval("SELECT id FROM accounts WHERE id = $1", row.account_id) is None:
                raise UnknownAccountError(f"there is no account {row.account_id!r}")
            before: str | None = await tx.fetchval(
                "SELECT account_id FROM inbound_numbers WHERE number = $1 AND carrier = $2 FOR UPDATE",
                row.number,
                row.carrier,
            )
            await tx.execute(
                "INSERT INTO inbound_numbers (number, carrier, account_id, created_at) VALUES ($1, $2, $3, $4) "
                "ON CONFLICT (number, carrier) DO UPDATE "
                "SET account_id = EXCLUDED.account_id, created_at = EXCLUDED.created_at",
                *row,
            )
        return before

    async def remove(self, number: str, carrier: str) -> bool:
        """Take a number away from its account; False when nobody has it."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            tag: str = await connection.execute(
                "DELETE FROM inbound_numbers WHERE number = $1 AND carrier = $2", number, carrier
            )
        return not tag.endswith(" 0")

    async def all(self) -> list[NumberRow]:
        """Return every number with its account, by number."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            rows: list[Any] = await connection.fetch(
                "SELECT number, carrier, account_id, created_at FROM inbound_numbers "
                "ORDER BY number, carrier LIMIT $1",
                _MAX_NUMBERS,
            )
        return [NumberRow(*row) for row in rows]
