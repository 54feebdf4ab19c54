"""Messages of accounts that keep theirs for a shorter time than the rest: deleted row by row, in bounded chunks.

Whole days go with their partitions (`gateway.store.partitions`); this serves the accounts with `retention_days` of
their own. Called by the role `back` every few minutes; safe from several processes, and after an interruption it goes
on with what is left. Only messages in a final state are deleted: an open one still has its receipt to come.
"""

import asyncio
from typing import Any, Final, NamedTuple
from uuid import UUID

import structlog

from gateway.domain.ids import uuid7_floor, uuid7_time_ms
from gateway.ports.store import Transactions
from gateway.ports.webhook_store import POST_SLOT_MS
from gateway.store.pool import pause
from gateway.store.report_rollups import RemovedCounts
from gateway.store.rows import DAY_MS, DEADLINE_S, day_floor
from gateway.store.webhook_attempts import slot_ceiling, slot_floor

_log = structlog.get_logger()

CHUNK: Final = 500
PAUSE_S: Final = 0.02
"""Rest between two chunks: some 10,000 messages a second at most, while everybody else goes first."""
BUDGET_S: Final = 5.0
"""Longest work of one call: who stops the role waits for its end."""
REST_MS: Final = 3_600_000
"""How long an account's messages are left alone once they were all looked at: what was open then still is, mostly."""

_NOBODY: Final = UUID(int=0)

_SHORTER: Final = """
SELECT id, retention_days FROM accounts WHERE retention_days < $1 ORDER BY id
"""
# Literal days leave out the partitions of all others.
_CHUNK: Final = """
SELECT id FROM {table}
WHERE account_id = $1 AND id > $2 AND id < $3 AND id < '{ceiling}'{only} ORDER BY id LIMIT $4
"""
_DELETE: Final = """
DELETE FROM {table} WHERE {key} = ANY ($1::uuid[]) AND {key} >= '{floor}' AND {key} < '{ceiling}'
"""
# Of the slots that the messages are in: nothing younger is in them, as the end of the retention is the end of one.
_DELETE_POSTS: Final = """
DELETE FROM webhook_posts
WHERE account_id = $1 AND first_message_id >= $2 AND first_message_id < $3
  AND first_message_id >= '{floor}' AND first_message_id < '{ceiling}'
"""
_DELETE_WAITING: Final = """
DELETE FROM webhook_backlog AS b
USING webhook_endpoints AS e CROSS JOIN unnest($2::uuid[]) AS gone (id)
WHERE e.account_id = $1 AND b.endpoint_id = ANY (ARRAY[e.id]) AND b.subject_id = ANY (ARRAY[gone.id])
"""


class _Root(NamedTuple):
    """A table with an account's rows, and what hangs on them: (table, column with the id of the row)."""

    table: str
    only: str
    branches: tuple[tuple[str, str], ...]


_ROOTS: Final = (
    _Root(
        "messages",
        " AND state_rank = 3",
        (
            ("submissions", "message_id"),
            ("message_events", "message_id"),
            ("message_traces", "message_id"),
            ("webhook_deliveries", "message_id"),
        ),
    ),
    _Root("inbound_messages", "", (("webhook_deliveries", "message_id"),)),
)


class AccountRetention:
    """Implements `gateway.ports.record_store.Housekeeping`. `retention_days` is everybody's.

    `removed` keeps for reports what was deleted.
    """

    def __init__(
        self,
        db: Transactions,
        *,
        retention_days: int,
        chunk: int = CHUNK,
        pause_s: float = PAUSE_S,
        budget_s: float = BUDGET_S,
        rest_ms: int = REST_MS,
        removed: RemovedCounts | None = None,
    ) -> None:
        self._db = db
        self._retention_days = retention_days
        self._chunk = chunk
        self._pause_s = pause_s
        self._budget_s = budget_s
        self._rest_ms = rest_ms
        self._removed = removed
        self._reached: dict[tuple[str, str], UUID] = {}
        self._rests_until: dict[tuple[str, str], int] = {}

    async def keep(self, *, now_ms: int) -> None:
        """Delete what is past the retention of its account, for some seconds; the next call goes on from there."""
        until = asyncio.get_running_loop().time() + self._budget_s
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(_SHORTER, self._retention_days)
        keys = {(account_id, root.table) for account_id, _ in rows for root in _ROOTS}
        for known in (self._reached, self._rests_until):
            for gone in known.keys() - keys:
                del known[gone]
        for account_id, days in rows:
            for root in _ROOTS:
                key = (account_id, root.table)
                if now_ms < self._rests_until.get(key, 0):
                    continue
                if not await self._clear(root, account_id, before_ms=now_ms - days * DAY_MS, until=until):
                    return
                self._rests_until[key] = now_ms + self._rest_ms

    async def _clear(self, root: _Root, account_id: str, *, before_ms: int, until: float) -> bool:
        """Delete chunk by chunk; False when the time is up before the end."""
        before_ms = max(before_ms - before_ms % POST_SLOT_MS, 0)
        before = uuid7_floor(before_ms)
        statement = _CHUNK.format(table=root.table, only=root.only, ceiling=day_floor(before_ms + DAY_MS))
        key = (account_id, root.table)
        deleted, is_done = 0, False
        while not is_done and asyncio.get_running_loop().time() < until:
            after = self._reached.get(key, _NOBODY)
            async with asyncio.timeout(DEADLINE_S), self._db.transaction() as tx:
                rows = await tx.fetch(statement, account_id, after, before, self._chunk)
                ids = [row[0] for row in rows]
                await _delete(tx, root, account_id, ids, removed=self._removed)
            deleted += len(ids)
            is_done = len(ids) < self._chunk
            if is_done:
                self._reached.pop(key, None)
            else:
                self._reached[key] = ids[-1]
                await pause(self._pause_s)
        if deleted:
            _log.info("retention.cleared", account=account_id, table=root.table, rows=deleted)
        return is_done


async def _delete(
    tx: Any, root: _Root, account_id: str, ids: list[UUID], *, removed: RemovedCounts | None
) -> None:
    if not ids:
        return
    # A delete that a crash undoes is simply done again.
    await tx.execute("SET LOCAL synchronous_commit = off")
    floor = day_floor(uuid7_time_ms(ids[0]))
    ceiling = day_floor(uuid7_time_ms(ids[-1]) + DAY_MS)
    # What an account's endpoint has not taken by now tells of nothing any more. The key begins with the endpoint.
    await tx.execute(_DELETE_WAITING, account_id, ids)
    await tx.execute(
        _DELETE_POSTS.format(floor=floor, ceiling=ceiling),
        account_id,
        slot_floor(ids[0]),
        slot_ceiling(ids[-1]),
    )
    # The row itself goes last, in the same transaction: an interrupted chunk is found again.
    for table, key in root.branches:
        await tx.execute(_DELETE.format(table=table, key=key, floor=floor, ceiling=ceiling), ids)
    if removed is None:
        await tx.execute(_DELETE.format(table=root.table, key="id", floor=floor, ceiling=ceiling), ids)
    else:
        await removed.delete(tx, root.table, ids)
