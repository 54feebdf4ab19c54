"""The reading half of reports: counts by period and group. Implements `gateway.ports.report_store.ReportViews`.

A query reads the rows of its spans along an index: of one account some 1,000 a day at most where it is busy, of all
accounts what there is.
"""

import asyncio
from typing import Any, Final

from gateway.ports.report_store import (
    HOUR_MS,
    Dimension,
    ReportLine,
    ReportQuery,
    Sums,
)
from gateway.ports.store import Transactions
from gateway.store.rows import DAY_MS

READ_S: Final = 20.0

_COLUMN: Final = {
    Dimension.ACCOUNT: "account_id",
    Dimension.CAMPAIGN: "campaign",
    Dimension.CARRIER: "carrier",
    Dimension.CHANNEL: "channel",
    Dimension.CLASS: "message_class",
    Dimension.COUNTRY: "country",
}
_ARRAYS: Final = ("submit_delays", "receipt_delays")
_PLAIN: Final = tuple([name for name in Sums._fields if name not in _ARRAYS])
_SUMS: Final = ", ".join(f"coalesce(sum(r.{name}), 0)" for name in _PLAIN)

_AS_OF: Final = """
WITH span AS (
    SELECT id_hour, computed_at, is_stale FROM report_hours WHERE id_hour >= $1 AND id_hour < $2 AND computed_at > 0
), wanted AS (
    SELECT id_hour FROM generate_series($1::bigint, $2::bigint - 1, {hour}) AS id_hour
)
SELECT least(
    coalesce((SELECT checked_at FROM report_progress), 0),
    (SELECT min(computed_at) FROM span WHERE is_stale),
    (SELECT min(id_hour) FROM (SELECT id_hour FROM wanted EXCEPT SELECT id_hour FROM span) AS missing)
)
"""


class PostgresReports:
    """Implements `gateway.ports.report_store.ReportViews`.

    `submit_buckets` and `receipt_buckets` are how many there are.
    """

    def __init__(self, db: Transactions, *, submit_buckets: int, receipt_buckets: int) -> None:
        self._db = db
        buckets = {"submit_delays": submit_buckets, "receipt_delays": receipt_buckets}
        self._submit_buckets = submit_buckets
        self._sums = ", ".join(
            [
                _SUMS,
                *(f"coalesce(sum(r.{name}[{n + 1}]), 0)" for name in _ARRAYS for n in range(buckets[name])),
            ]
        )

    async def lines(self, query: ReportQuery) -> list[ReportLine]:
        """Return the groups by span and value, at most `limit`."""
        if not query.spans:
            return []
        keys = ["p.n", *(f"r.{_COLUMN[one]}" for one in query.group_by)]
        arguments: list[Any] = []
        where = _where(query, arguments)
        if query.after is not None:
            span, values = query.after
            places = []
            for value in (span + 1, *values):
                arguments.append(value)
                places.append(f"${len(arguments)}")
            where += (
                f" AND ({', '.join(keys)}) > ({places[0]}::bigint{''.join(f', {one}' for one in places[1:])})"
            )
        arguments.append(query.limit)
        shown = ", ".join(keys)
        statement = (
            f"SELECT {shown}, {self._sums} FROM {_source(query)} WHERE {where} "
            f"GROUP BY {shown} ORDER BY {shown} LIMIT ${len(arguments)}"
        )
        rows = await self._fetch(statement, arguments)
        width = len(keys)
        return [ReportLine(row[0] - 1, tuple(row[1:width]), self._read(row[width:])) for row in rows]

    async def total(self, query: ReportQuery) -> Sums:
        """Return the sum over all spans and groups."""
        arguments: list[Any] = []
        where = _where(query, arguments)
        rows = await self._fetch(f"SELECT {self._sums} FROM {_source(query)} WHERE {where}", arguments)
        return self._read(rows[0])

    async def as_of(self, *, begins: int, ends: int, now_ms: int) -> int:
        """Return until when all that happened to messages accepted in a span is counted; 0 before the first count."""
        async with asyncio.timeout(READ_S), self._db.acquire() as connection:
            oldest = await connection.fetchval("SELECT id FROM messages ORDER BY id LIMIT 1")
            first = begins - DAY_MS  # an id may be made before its message is accepted
            if oldest is not None:
                first = max(first, oldest.int >> 80)
            last = min(ends, now_ms + 1) if oldest is not None else first
            found: int = await connection.fetchval(
                _AS_OF.format(hour=HOUR_MS), first - first % HOUR_MS, max(last, first - first % HOUR_MS)
            )
        return min(found, now_ms)

    async def _fetch(self, statement: str, arguments: list[Any]) -> list[Any]:
        async with asyncio.timeout(READ_S), self._db.transaction() as tx:
            # Reports are wide; these settings are for look-ups of single rows.
            await tx.execute("SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = on")
            found: list[Any] = await tx.fetch(statement, *arguments)
        return found

    def _read(self, row: Any) -> Sums:
        values = tuple(row)
        plain, buckets = values[: len(_PLAIN)], values[len(_PLAIN) :]
        return Sums._make((*plain, buckets[: self._submit_buckets], buckets[self._submit_buckets :]))


def _source(query: ReportQuery) -> str:
    """Return the rows of the spans, each looked up by itself: a filter on the account is one of the index."""
    account = " AND o.account_id = $3" if Dimension.ACCOUNT in query.filters else ""
    return (
        "unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS p (begins, ends, n) CROSS JOIN LATERAL "
        f"(SELECT * FROM report_rows AS o WHERE o.at >= p.begins AND o.at < p.ends{account} OFFSET 0) AS r"
    )


def _where(query: ReportQuery, arguments: list[Any]) -> str:
    """Return the conditions, and put what they and the source need into `arguments`."""
    arguments += [[one[0] for one in query.spans], [one[1] for one in query.spans]]
    conditions = ["true"]
    # The account comes first: the source names it, too.
    for dimension in sorted(query.filters, key=lambda one: one is not Dimension.ACCOUNT):
        arguments.append(query.filters[dimension])
        conditions.append(f"r.{_COLUMN[dimension]} = ${len(arguments)}")
    return " AND ".join(conditions)
