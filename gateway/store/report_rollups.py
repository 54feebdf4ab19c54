"""The counting half of reports: messages grouped in the database, ten minutes of ids at a time, and the hours they fill.

Implements `gateway.ports.report_store.RollupStore`, and the way in which retention keeps the counts of what it deletes.
Nothing here is written for each message. A span of ids is read along the primary key: 3 to 5 us of CPU a message.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from gateway.domain.ids import uuid7_floor, uuid7_time_ms
from gateway.ports.bus import Transaction
from gateway.ports.report_store import (
    HOUR_MS,
    OTHER,
    REPLY,
    SLICE_MS,
    Count,
    Counting,
    HourState,
    Replaced,
    ReportRow,
    Writes,
)
from gateway.ports.store import Transactions
from gateway.store.partitions import day_of_partition
from gateway.store.rows import DAY_MS

_DEADLINE_S: Final = 15.0
_COUNT_S: Final = 60.0
_TRIM_ROWS: Final = 20_000
_MAX_CAMPAIGN: Final = 64
_MAX_COUNTS: Final = 100_000
"""Counts that are fetched at once: some 50 MB."""
_SLICES: Final = HOUR_MS // SLICE_MS
_TABLES: Final = ("messages", "inbound_messages")

# In the order of `Count`; `m` is a row of messages.
_KEYS: Final = Count._fields[: Count._fields.index("messages")]
_AMOUNTS: Final = Count._fields[len(_KEYS) :]

# A delay is within a bound as in the metrics, that is also when it is as long.
_ALIKE: Final = """
    m.accepted_at - m.accepted_at % {hour} AS at, m.account_id,
    coalesce(left(m.metadata ->> {campaign_key}, {max_campaign}), '') AS campaign,
    coalesce(m.carrier, m.first_carrier) AS carrier, m.channel, m.message_class,
    {country} AS country, {zone} AS zone,
    CASE WHEN m.sender = ANY ({senders}::text[]) THEN m.sender ELSE '' END AS sender,
    m.state,
    (CASE WHEN m.submitted_at IS NULL THEN -1 ELSE width_bucket(
        m.submitted_at - greatest(m.accepted_at, m.send_at) - 1, '{{{submit_bounds}}}'::bigint[]) END)::smallint
        AS submit_bucket,
    (CASE WHEN m.submitted_at IS NULL OR m.state NOT IN ('delivered', 'undeliverable', 'rejected', 'expired') THEN -1
        ELSE width_bucket(m.final_at - m.submitted_at - 1, '{{{receipt_bounds}}}'::bigint[]) END)::smallint
        AS receipt_bucket,
    1 AS messages, m.segment_count AS segments,
    CASE WHEN m.submitted_at IS NULL THEN 0 WHEN m.channels IS NULL THEN m.segment_count ELSE coalesce(
        (SELECT (step ->> 'segments')::int FROM jsonb_array_elements(m.channels) AS step
         WHERE step ->> 'channel' = m.channel LIMIT 1), m.segment_count) END AS billed_segments,
    m.partial::int AS partial, (m.attempt > 1)::int AS retried
"""
_REPLIES: Final = """
    m.received_at - m.received_at % {hour} AS at, coalesce(m.account_id, '') AS account_id, '' AS campaign, m.carrier,
    coalesce(m.channel, 'sms') AS channel, '' AS message_class, {country} AS country, '' AS zone, '' AS sender,
    '{reply}' AS state, (-1)::smallint AS submit_bucket, (-1)::smallint AS receipt_bucket,
    1 AS messages, 0 AS segments, 0 AS billed_segments, 0 AS partial, 0 AS retried
"""

# Whoever waits for an answer goes first: one core, and an end. Grouping by sorting would compare eight texts by their
# collation for every message; which one looks cheaper changes with the day's statistics.
_SPARING: Final = (
    f"SET LOCAL statement_timeout = '{_COUNT_S:.0f}s'; SET LOCAL max_parallel_workers_per_gather = 0; "
    "SET LOCAL enable_sort = off; SET LOCAL work_mem = '32MB'"
)
_NEVER: Final = "CASE WHEN $4::jsonb IS NULL THEN '' END"

_HOUR_COLUMNS: Final = ", ".join(HourState._fields)
_WRITES: Final = """
SELECT c.relname, coalesce(s.n_tup_ins, 0), coalesce(s.n_tup_ins + s.n_tup_upd + s.n_tup_del, 0)
FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid LEFT JOIN pg_stat_user_tables AS s ON s.relid = c.oid
WHERE i.inhparent IN (to_regclass('messages'), to_regclass('inbound_messages'))
"""
_HAS_ROWS: Final = """
SELECT EXISTS (SELECT 1 FROM messages WHERE id >= $1 AND id < $2)
    OR EXISTS (SELECT 1 FROM inbound_messages WHERE id >= $1 AND id < $2)
    OR EXISTS (SELECT 1 FROM report_removed WHERE slice_at >= $3 AND slice_at < $4)
"""
_BEGIN: Final = f"""
INSERT INTO report_hours ({_HOUR_COLUMNS})
VALUES ($1, 0, 0, 0, 0, 0, 0, true, false, $2, 0) ON CONFLICT DO NOTHING
"""
_TAKE: Final = """
UPDATE report_hours SET version = version + 1, computed_at = $3, messages = $4, open = $5, inserts = $6, writes = $7,
    is_stale = false, work_ms = $8
WHERE id_hour = $1 AND version = $2 AND NOT is_closed AND messages <= $4
"""
_MARK: Final = """
UPDATE report_hours SET is_stale = NOT is_stale
WHERE id_hour >= $2 AND NOT is_closed AND computed_at > 0 AND is_stale <> (id_hour = ANY ($1::bigint[]))
"""
_CHECKED: Final = """
INSERT INTO report_progress (checked_at) VALUES ($1)
ON CONFLICT (is_only) DO UPDATE SET checked_at = greatest(report_progress.checked_at, EXCLUDED.checked_at)
"""
_TRIM: Final = """
DELETE FROM report_rows WHERE ctid = ANY (ARRAY(SELECT ctid FROM report_rows WHERE at < $1 LIMIT $2))
"""


class PostgresRollups:
    """Implements `gateway.ports.report_store.RollupStore`."""

    def __init__(self, db: Transactions) -> None:
        self._db = db

    async def first_hour(self) -> int | None:
        """Return the hour of the oldest message or reply."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            found = [
                await connection.fetchval(f"SELECT id FROM {table} ORDER BY id LIMIT 1") for table in _TABLES
            ]
        times = [uuid7_time_ms(one) for one in found if one is not None]
        return min(times) - min(times) % HOUR_MS if times else None

    async def writes(self) -> dict[int | None, Writes]:
        """Return PostgreSQL's counters by day, and as None those of days without a partition, which add to every day."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(_WRITES)
        days: dict[int, Writes] = {}
        everywhere = Writes(0, 0)
        for name, inserts, writes in rows:
            day_at = day_of_partition(name)
            if day_at is None:
                everywhere = _plus(everywhere, inserts, writes)
            else:
                days[day_at] = _plus(days.get(day_at, Writes(0, 0)), inserts, writes)
        return {None: everywhere} | {day_at: _plus(one, *everywhere) for day_at, one in days.items()}

    async def hours(self, *, since: int) -> dict[int, HourState]:
        """Return the hours from `since` on that were counted, or begun."""
        statement = f"SELECT {_HOUR_COLUMNS} FROM report_hours WHERE id_hour >= $1"
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(statement, since)
        return {row[0]: HourState(*row) for row in rows}

    async def has_rows(self, begins: int, ends: int) -> bool:
        """Return whether there is anything to count among the ids of a span."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            found: bool = await connection.fetchval(
                _HAS_ROWS, uuid7_floor(begins), uuid7_floor(ends), begins, ends
            )
        return found

    async def begin(self, id_hour: int, *, price_list: str, rules: str) -> tuple[HourState, str]:
        """Return an hour and the rules of its price list, which is the given one the first time."""
        async with asyncio.timeout(_DEADLINE_S), self._db.transaction() as tx:
            await tx.execute(
                "INSERT INTO report_prices (id, rules) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                price_list,
                rules,
            )
            await tx.execute(_BEGIN, id_hour, price_list)
            state = HourState(
                *await tx.fetchrow(f"SELECT {_HOUR_COLUMNS} FROM report_hours WHERE id_hour = $1", id_hour)
            )
            if state.price_list != price_list:
                rules = await tx.fetchval("SELECT rules FROM report_prices WHERE id = $1", state.price_list)
        return state, rules

    async def count(self, begins: int, ends: int, counting: Counting) -> list[Count]:
        """Count ids of a part of a day, in one statement: it sees one moment of the database."""
        day_at = begins - begins % DAY_MS
        arguments = (uuid7_floor(begins), uuid7_floor(ends), *_arguments(counting), begins, ends)
        async with asyncio.timeout(_COUNT_S), self._db.transaction() as tx:
            await tx.execute(_SPARING)
            rows = await tx.fetch(
                f"{_raw(counting, day_at=day_at)} LIMIT $9", *arguments, _MAX_COUNTS + 1, timeout=_COUNT_S
            )
            if len(rows) > _MAX_COUNTS:
                # What clients write into a field must not decide how much comes out.
                bounded = _bounded(_raw(counting, day_at=day_at))
                rows = await tx.fetch(bounded, *arguments, counting.max_campaigns, timeout=_COUNT_S)
        return [Count(*row) for row in rows]

    async def replace(self, state: HourState, rows: Sequence[ReportRow]) -> Replaced:
        """Put the rows in the place of those that are there, in one transaction."""
        async with asyncio.timeout(_DEADLINE_S), self._db.transaction() as tx:
            # What crashes is counted again.
            await tx.execute("SET LOCAL synchronous_commit = off")
            tag = await tx.execute(
                _TAKE,
                state.id_hour,
                state.version,
                state.computed_at,
                state.messages,
                state.open,
                state.inserts,
                state.writes,
                state.work_ms,
            )
            if tag != "UPDATE 1":
                found = await tx.fetchrow(
                    "SELECT version, is_closed FROM report_hours WHERE id_hour = $1", state.id_hour
                )
                if found is None or found["is_closed"] or found["version"] != state.version:
                    return Replaced.OVERTAKEN
                await tx.execute(
                    "UPDATE report_hours SET is_closed = true, is_stale = false WHERE id_hour = $1",
                    state.id_hour,
                )
                return Replaced.SHRANK
            await tx.execute("DELETE FROM report_rows WHERE id_hour = $1", state.id_hour)
            if rows:
                await tx.copy_records_to_table("report_rows", records=rows, columns=ReportRow._fields)
        return Replaced.DONE

    async def mark(self, stale: Sequence[int], *, since: int, checked_at: int) -> None:
        """Remember which hours from `since` on were written to, and that the others were not until `checked_at`."""
        async with asyncio.timeout(_DEADLINE_S), self._db.transaction() as tx:
            await tx.execute("SET LOCAL synchronous_commit = off")
            await tx.execute(_MARK, list(stale), since)
            await tx.execute(_CHECKED, checked_at)

    async def close(self, id_hours: Sequence[int]) -> None:
        """Let the hours stay as they are; what was kept of deleted messages is in them by now."""
        slices = [id_hour + n * SLICE_MS for id_hour in id_hours for n in range(_SLICES)]
        async with asyncio.timeout(_DEADLINE_S), self._db.transaction() as tx:
            await tx.execute(
                "UPDATE report_hours SET is_closed = true, is_stale = false, version = version + 1 "
                "WHERE id_hour = ANY ($1::bigint[]) AND NOT is_closed",
                list(id_hours),
            )
            await tx.execute("DELETE FROM report_removed WHERE slice_at = ANY ($1::bigint[])", slices)

    async def trim(self, *, before: int) -> None:
        """Forget what was accepted before a time, some thousand rows at once; the next call goes on."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            await connection.execute(_TRIM, before, _TRIM_ROWS)
            await connection.execute("DELETE FROM report_removed WHERE slice_at < $1", before)


class RemovedCounts:
    """Deletes messages and keeps their counts, both in one statement; handed to `gateway.store.retention`."""

    def __init__(self, counting: Counting) -> None:
        self.counting = counting

    async def delete(self, tx: Transaction, table: str, ids: Sequence[UUID]) -> None:
        """Delete rows of `messages` or `inbound_messages`; what another has deleted meanwhile is not counted again."""
        days = sorted({uuid7_time_ms(one) // DAY_MS * DAY_MS for one in ids})
        await tx.execute(
            _delete_statement(table, self.counting, first_day=days[0], last_day=days[-1]),
            list(ids),
            SLICE_MS,
            *_arguments(self.counting),
        )


def _delete_statement(table: str, counting: Counting, *, first_day: int, last_day: int) -> str:
    alike = _alike(counting) if table == "messages" else _replies()
    # The first 48 bits of an id are its time (RFC 9562 section 5.7).
    time_ms = "('x' || left(replace(m.id::text, '-', ''), 12))::bit(48)::bigint"
    return f"""
        WITH m AS (
            DELETE FROM {table} WHERE id = ANY ($1::uuid[])
                AND id >= '{uuid7_floor(first_day)}' AND id < '{uuid7_floor(last_day + DAY_MS)}' RETURNING *
        )
        INSERT INTO report_removed (slice_at, {", ".join(Count._fields)})
        SELECT slice_at, {_grouped()} FROM (
            SELECT {time_ms} - {time_ms} % $2::bigint AS slice_at, {alike} FROM m
            WHERE $6::text IS NOT NULL AND $5::text[] IS NOT NULL AND $4::jsonb IS NOT NULL
        ) AS each GROUP BY slice_at, {", ".join(_KEYS)}
    """


def _arguments(counting: Counting) -> tuple[Any, ...]:
    """Return what the statements have in common: $3 to $6."""
    return (
        msgspec.json.encode(dict(counting.countries)).decode(),
        msgspec.json.encode(dict.fromkeys(counting.zones, 1)).decode(),
        list(counting.senders),
        counting.campaign_key,
    )


def _country(column: str) -> str:
    return f"coalesce($3::jsonb ->> left({column}, CASE WHEN {column} LIKE '1%' THEN 4 ELSE 3 END), '')"


def _zone(counting: Counting) -> str:
    """Return the longest prefix with a price: one look-up for each length that there is."""
    lengths = sorted({len(one) for one in counting.zones}, reverse=True)
    tried = [
        f"CASE WHEN $4::jsonb ? left(m.recipient, {length}) THEN left(m.recipient, {length}) END"
        for length in lengths
    ]
    # $4 has to be named, or nobody knows its type.
    return f"coalesce({', '.join([*tried, _NEVER])}, '')"


def _alike(counting: Counting) -> str:
    return _ALIKE.format(
        hour=HOUR_MS,
        campaign_key="$6",
        max_campaign=_MAX_CAMPAIGN,
        country=_country("m.recipient"),
        zone=_zone(counting),
        senders="$5",
        submit_bounds=",".join(map(str, counting.submit_bounds_ms)),
        receipt_bounds=",".join(map(str, counting.receipt_bounds_ms)),
    )


def _replies() -> str:
    return _REPLIES.format(hour=HOUR_MS, country=_country("m.sender"), reply=REPLY)


def _grouped() -> str:
    return ", ".join([*_KEYS, *(f"sum({name})::bigint AS {name}" for name in _AMOUNTS)])


def _raw(counting: Counting, *, day_at: int) -> str:
    """Return the statement of a span; the literal day leaves out the partitions of all others."""
    keys, amounts = ", ".join(_KEYS), ", ".join(_AMOUNTS)
    day = f"m.id >= '{uuid7_floor(day_at)}' AND m.id < '{uuid7_floor(day_at + DAY_MS)}'"
    of_span = f"m.id >= $1 AND m.id < $2 AND {day}"
    return f"""
        SELECT {_grouped()} FROM (SELECT {_alike(counting)} FROM messages AS m WHERE {of_span}) AS each GROUP BY {keys}
        UNION ALL
        SELECT {_grouped()} FROM (SELECT {_replies()} FROM inbound_messages AS m WHERE {of_span}) AS each GROUP BY {keys}
        UNION ALL
        SELECT {keys}, {amounts} FROM report_removed WHERE slice_at >= $7 AND slice_at < $8
    """


def _bounded(raw: str) -> str:
    """Return the same with the campaigns of an account that have the most messages, and the others as one.

    Sorting the counts costs more than making them, so this is for when there are too many.
    """
    keys = ", ".join(_KEYS)
    shown = keys.replace(
        " campaign,", f" CASE WHEN place <= $9 THEN campaign ELSE '{OTHER}' END AS campaign,"
    )
    return f"""
        WITH raw AS ({raw}), weighed AS (
            SELECT *, sum(messages) OVER (PARTITION BY account_id, campaign) AS volume FROM raw
        ), ranked AS (
            SELECT *, dense_rank() OVER (PARTITION BY account_id ORDER BY campaign <> '', volume DESC, campaign) AS place
            FROM weighed
        )
        SELECT {_grouped()} FROM (SELECT {shown}, {", ".join(_AMOUNTS)} FROM ranked) AS bounded GROUP BY {keys}
    """


def _plus(one: Writes, inserts: int, writes: int) -> Writes:
    return Writes(one.inserts + inserts, one.writes + writes)
