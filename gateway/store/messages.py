"""The tables `messages` and `message_events`: written in batches by the recorder and dlr, read for silence by dlr."""

import asyncio
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from gateway.domain.ids import uuid7_floor
from gateway.domain.notices import MessageFacts
from gateway.ports.bus import Transaction
from gateway.ports.record_store import (
    DeadRow,
    Delivered,
    EventRow,
    FinalCount,
    MessagePatch,
    MessageRow,
    PlainReceipt,
    Settled,
    SilentPage,
    StateChange,
)
from gateway.ports.store import Transactions
from gateway.store import rows as common
from gateway.store import settling
from gateway.store.rows import DAY_MS, DEADLINE_S, by_meaning, facts_of

FINAL_RANK: Final = 3

# `= ANY (ARRAY[...])`: see `gateway.store.rows`. PostgreSQL prunes to the patch's day while it runs. A literal range of
# days looks helpful and is a trap: the planner reads the whole range once and tries every patch on every row.
_UPDATE: Final = """
    UPDATE messages AS m SET
        state = CASE WHEN p.state_rank > m.state_rank THEN p.state ELSE m.state END,
        state_rank = greatest(m.state_rank, p.state_rank),
        partial = CASE WHEN p.state_rank > m.state_rank THEN p.partial ELSE m.partial END,
        carrier = CASE WHEN p.attempt = 0 OR p.attempt >= m.attempt
                       THEN coalesce(p.carrier, m.carrier) ELSE m.carrier END,
        attempt = greatest(m.attempt, p.attempt),
        submitted_at = least(m.submitted_at, p.submitted_at),
        final_at = coalesce(m.final_at, p.final_at),
        error = CASE WHEN p.state_rank > m.state_rank THEN p.error ELSE m.error END
    FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::boolean[], $5::text[], $6::smallint[], $7::bigint[],
                $8::bigint[], $9::text[])
         AS p (id, state, state_rank, partial, carrier, attempt, submitted_at, final_at, error)
"""
# The other way on: all segments of a message are delivered. The values come as one text each, as in `store.receipts`.
_DELIVER_UPDATE: Final = """
    UPDATE messages AS m SET state = 'delivered', state_rank = 3, partial = false, final_at = p.at, error = ''
    FROM unnest($1::text::uuid[], $2::text::bigint[]) AS p (id, at)
"""


def _counting(update: str) -> str:
    """Return the statement that runs an update and counts what became final by it."""
    return f"""
WITH changed AS (
    {update}
    WHERE m.id = ANY (ARRAY[p.id]) AND m.state_rank < 3
    RETURNING m.carrier, m.state, m.state_rank
)
SELECT coalesce(carrier, ''), state, count(*) FROM changed WHERE state_rank = 3 GROUP BY carrier, state
"""


_FACTS: Final = ", ".join(MessageFacts._fields)
_COUNTED: Final = ", ".join(name if name in ("carrier", "state") else "NULL" for name in MessageFacts._fields)


def _telling(update: str, *, accounts: str) -> str:
    """Return the same with the rows whose state changed and whose account, among `accounts`, wants to know.

    An UPDATE cannot return what was there before, so the old rank is looked up beside it. Who moves a message from
    queued holds its events alone, so that it is what the UPDATE found.
    """
    return f"""
WITH changed AS (
    {update}
    CROSS JOIN LATERAL (SELECT o.state_rank AS rank FROM messages AS o WHERE o.id = p.id OFFSET 0) AS before
    WHERE m.id = ANY (ARRAY[p.id]) AND m.state_rank < 3
    RETURNING {", ".join(f"m.{name}" for name in MessageFacts._fields)}, m.state_rank, before.rank AS rank_before
)
SELECT 0 AS finals, rank_before, {_FACTS} FROM changed
WHERE state_rank > rank_before AND state_rank >= 2 AND (origin IS NOT NULL OR account_id IN (SELECT unnest({accounts}::text[])))
UNION ALL
SELECT count(*), 3, {_COUNTED} FROM changed WHERE state_rank = 3 GROUP BY carrier, state
"""


_PATCH: Final = _counting(_UPDATE)
_PATCH_AND_TELL: Final = _telling(_UPDATE, accounts="$10")
_DELIVER: Final = _counting(_DELIVER_UPDATE)
_DELIVER_AND_TELL: Final = _telling(_DELIVER_UPDATE, accounts="$3")

_SET_CHANNELS: Final = """
UPDATE messages AS m
SET channel = coalesce(m.channels -> (jsonb_array_length(m.channels) - 1 - p.steps_left) ->> 'channel', m.channel),
    sender = coalesce(m.channels -> (jsonb_array_length(m.channels) - 1 - p.steps_left) ->> 'from', m.sender)
FROM unnest($1::uuid[], $2::smallint[]) AS p (id, steps_left)
WHERE m.id = ANY (ARRAY[p.id]) AND (m.state_rank < 3 OR m.id = ANY ($3::uuid[])) AND m.channels IS NOT NULL
"""

_ID_NUMBER: Final = attrgetter("id.int")
_NUMBER: Final = attrgetter("int")

_INSERT_MESSAGE: Final = (
    f"INSERT INTO messages ({', '.join(MessageRow._fields)}) "
    f"VALUES ({', '.join(f'${n}' for n in range(1, len(MessageRow._fields) + 1))}) ON CONFLICT DO NOTHING"
)
_INSERT_EVENT: Final = f"INSERT INTO message_events ({', '.join(EventRow._fields)}) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"

_PAGE: Final = """
SELECT count(*) AS read, (max(id::text))::uuid AS last_id,
       count(*) FILTER (WHERE state_rank < 3) AS open,
       count(*) FILTER (WHERE state_rank < 2 AND valid_until <= $4) AS lost,
       array_agg(id) FILTER (WHERE state_rank < 3 AND valid_until <= $4) AS silent
FROM (
    SELECT id, state_rank, valid_until FROM messages
    WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3
) AS page
"""


class PostgresMessages:
    """Implements `gateway.ports.record_store.RecordStore`."""

    async def insert_messages(
        self, tx: Transaction, rows: Sequence[MessageRow], *, careful: bool = False
    ) -> None:
        """Write new messages; RowsExistError for a known id unless `careful`."""
        await _insert(
            tx, "messages", MessageRow._fields, rows, careful_sql=_INSERT_MESSAGE if careful else None
        )

    async def insert_events(
        self, tx: Transaction, rows: Sequence[EventRow], *, careful: bool = False
    ) -> None:
        """Write timeline rows; RowsExistError for a known place on the bus unless `careful`."""
        await _insert(
            tx, "message_events", EventRow._fields, rows, careful_sql=_INSERT_EVENT if careful else None
        )

    async def patch_messages(self, tx: Transaction, patches: Sequence[MessagePatch]) -> list[FinalCount]:
        """Move messages forward; those with a final state, and unknown ones, stay as they are."""
        if not patches:
            return []
        # In the order of the ids: two writers never wait for each other crosswise.
        columns = zip(*sorted(patches, key=_ID_NUMBER), strict=True)
        with by_meaning():
            async with asyncio.timeout(DEADLINE_S):
                found = await tx.fetch(_PATCH, *map(list, columns))
        return [FinalCount(*row) for row in found]

    async def patch_and_tell(
        self, tx: Transaction, patches: Sequence[MessagePatch], *, accounts: Sequence[str]
    ) -> tuple[list[FinalCount], list[StateChange]]:
        """Do the same, and return what changed its state of these accounts and of messages with an origin."""
        if not patches:
            return [], []
        columns = zip(*sorted(patches, key=_ID_NUMBER), strict=True)
        with by_meaning():
            async with asyncio.timeout(DEADLINE_S):
                found = await tx.fetch(_PATCH_AND_TELL, *map(list, columns), list(accounts))
        return _told(found)

    async def deliver(self, tx: Transaction, rows: Sequence[Delivered]) -> list[FinalCount]:
        """Move messages to delivered; those with a final state, and unknown ones, stay as they are."""
        if not rows:
            return []
        with by_meaning():
            async with asyncio.timeout(DEADLINE_S):
                found = await tx.fetch(_DELIVER, *_as_texts(rows))
        return [FinalCount(*row) for row in found]

    async def deliver_and_tell(
        self, tx: Transaction, rows: Sequence[Delivered], *, accounts: Sequence[str]
    ) -> tuple[list[FinalCount], list[StateChange]]:
        """Do the same, and return what changed its state of these accounts and of messages with an origin."""
        if not rows:
            return [], []
        with by_meaning():
            async with asyncio.timeout(DEADLINE_S):
                found = await tx.fetch(_DELIVER_AND_TELL, *_as_texts(rows), list(accounts))
        return _told(found)

    async def settle(
        self,
        tx: Transaction,
        receipts: Sequence[PlainReceipt],
        *,
        now_ms: int,
        accounts: Sequence[str] | None,
    ) -> Settled:
        """Store receipts of messages that each delivers by itself, and move those; leave all others as they are."""
        return await settling.settle(tx, receipts, now_ms=now_ms, accounts=accounts)

    async def set_channels(self, tx: Transaction, steps: Mapping[UUID, int], *, new: Sequence[UUID]) -> None:
        """Note on which of its channels each message is, and from whom; final ones stay as they are, but for those in `new`."""
        ids = sorted(steps, key=_NUMBER)  # two writers never wait for each other crosswise
        async with asyncio.timeout(DEADLINE_S):
            await tx.execute(_SET_CHANNELS, ids, [steps[one] for one in ids], list(new))

    async def insert_dead(self, tx: Transaction, rows: Sequence[DeadRow]) -> None:
        """Keep records that could not be processed."""
        async with asyncio.timeout(DEADLINE_S):
            await common.insert_dead(tx, list(rows))


def _as_texts(rows: Sequence[Delivered]) -> tuple[str, str]:
    # In the order of the ids, as all who change messages. One text costs a third of an array.
    ids, ats = zip(*sorted(rows), strict=True)
    return f"{{{','.join(map(str, ids))}}}", f"{{{','.join(map(str, ats))}}}"


def _told(found: Sequence[Sequence[Any]]) -> tuple[list[FinalCount], list[StateChange]]:
    finals, changes = [], []
    for count, rank_before, *columns in found:
        facts = facts_of(columns)
        if count:
            finals.append(FinalCount(facts.carrier or "", facts.state, count))
        else:
            changes.append(StateChange(facts, rank_before))
    return finals, changes


class PostgresSilence:
    """Finds messages without a final state, day by day; implements `gateway.ports.record_store.SilenceStore`.

    There is no index on the state, as it would make every update of it dearer; a day is read once in slices along
    its key, and never again when nothing in it is open.
    """

    def __init__(self, db: Transactions) -> None:
        self._db = db

    async def open_days(self, *, before_ms: int) -> list[int]:
        """Return the days up to `before_ms` that may hold open messages, oldest first."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            oldest: UUID | None = await connection.fetchval("SELECT id FROM messages ORDER BY id LIMIT 1")
            closed = await connection.fetch("SELECT day_at FROM closed_days")
        if oldest is None:
            return []
        done = {row[0] for row in closed}
        first = common.day_of(oldest.int >> 80)
        return [day_at for day_at in range(first, before_ms, DAY_MS) if day_at not in done]

    async def silent_page(
        self, day_at: int, *, after: UUID | None, valid_before_ms: int, limit: int
    ) -> SilentPage:
        """Read the next `limit` messages of a day behind `after`."""
        start = after if after is not None else UUID(int=uuid7_floor(day_at).int - 1)
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            row = await connection.fetchrow(
                _PAGE, start, uuid7_floor(day_at + DAY_MS), limit, valid_before_ms
            )
        is_end = row["read"] < limit
        next_id = None if is_end else row["last_id"]
        return SilentPage(list(row["silent"] or ()), row["open"], next_id, row["lost"])

    async def close_day(self, day_at: int) -> None:
        """Remember that every message of the day has its final state."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            await connection.execute("INSERT INTO closed_days VALUES ($1) ON CONFLICT DO NOTHING", day_at)


async def _insert(
    tx: Transaction,
    table: str,
    columns: tuple[str, ...],
    rows: Sequence[tuple[object, ...]],
    *,
    careful_sql: str | None,
) -> None:
    if not rows:
        return
    with by_meaning():
        async with asyncio.timeout(DEADLINE_S):
            if careful_sql is None:
                # COPY costs half of INSERT with arrays, but cannot step over a row that is there already.
                await tx.copy_records_to_table(table, records=rows, columns=columns)
            else:
                await tx.executemany(careful_sql, rows)
