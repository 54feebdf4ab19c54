"""The table `message_traces`: written by the recorder, asked by whoever continues a trace after it."""

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from gateway.domain.ids import uuid7_floor
from gateway.ports.bus import Transaction
from gateway.ports.record_store import CarrierKey
from gateway.ports.store import Transactions
from gateway.ports.trace_store import TraceRow
from gateway.store.receipts import near_window
from gateway.store.rows import DEADLINE_S, by_meaning

_INSERT: Final = """
INSERT INTO message_traces (message_id, trace_id) SELECT * FROM unnest($1::uuid[], $2::uuid[]) ON CONFLICT DO NOTHING
"""
# What has an OFFSET is looked up for each message: see `gateway.store.rows`.
_TRACE: Final = """
CROSS JOIN LATERAL (SELECT c.trace_id FROM message_traces AS c WHERE c.message_id = k.message_id OFFSET 0) AS t
"""
_FIND: Final = f"""
SELECT k.message_id, t.trace_id FROM unnest($1::uuid[]) AS k (message_id) {_TRACE}
"""
# The window is literal, as in `gateway.store.receipts`.
_BY_SUBMIT: Final = (
    """
SELECT k.n, k.message_id, t.trace_id
FROM (
    SELECT g.n, s.message_id
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS g (carrier, carrier_message_id, n)
    CROSS JOIN LATERAL (
        SELECT c.message_id FROM submissions AS c
        WHERE c.carrier = g.carrier AND c.carrier_message_id = g.carrier_message_id
          AND c.message_id >= '{floor}' AND c.message_id < '{ceiling}'
        ORDER BY c.message_id DESC LIMIT 1
    ) AS s
    OFFSET 0
) AS k
"""
    + _TRACE
)
_LOOK_UP_S: Final = 5.0


class PostgresTraces:
    """Implements `gateway.ports.trace_store.TraceStore`."""

    def __init__(self, db: Transactions) -> None:
        self._db = db

    async def insert_traces(self, tx: Transaction, rows: Sequence[TraceRow]) -> None:
        """Keep the traces of messages; one that is known stays as it is."""
        with by_meaning():
            ids = [row.message_id for row in rows]
            traces = [UUID(hex=row.trace_id) for row in rows]
            async with asyncio.timeout(DEADLINE_S):
                await tx.execute(_INSERT, ids, traces)

    async def traces_of(self, message_ids: Sequence[UUID]) -> dict[UUID, TraceRow]:
        """Return the traces of those of these messages that were sampled."""
        async with asyncio.timeout(_LOOK_UP_S), self._db.acquire() as connection:
            rows = await connection.fetch(_FIND, list(message_ids))
        return {row[0]: TraceRow(row[0], row[1].hex) for row in rows}

    async def traces_by_submit(
        self, keys: Sequence[CarrierKey], *, now_ms: int
    ) -> dict[CarrierKey, TraceRow]:
        """Return the traces of those that were sampled of the messages, of today and yesterday, with these submits."""
        floor_ms, ceiling_ms = near_window(now_ms)
        statement = _BY_SUBMIT.format(floor=uuid7_floor(floor_ms), ceiling=uuid7_floor(ceiling_ms))
        carriers, ids = zip(*keys, strict=True)
        async with asyncio.timeout(_LOOK_UP_S), self._db.acquire() as connection:
            rows = await connection.fetch(statement, list(carriers), list(ids))
        return {keys[row[0] - 1]: TraceRow(row[1], row[2].hex) for row in rows}
