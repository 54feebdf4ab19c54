"""Records that could not be processed: looked at, brought back, or dropped by a person."""

import asyncio
from collections.abc import Sequence
from itertools import count
from operator import itemgetter
from typing import Any, Final, NamedTuple
from zlib import crc32

from gateway.ports.bus import Bus, Record
from gateway.ports.store import Transactions
from gateway.store.rows import DEADLINE_S

_CHUNK: Final = 500

_LIST: Final = """
SELECT id, topic, partition, log_offset, at, error, length(value) AS octets FROM dead_records
WHERE ($1::text IS NULL OR topic = $1) AND ($2::bigint IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
"""

_COUNT: Final = "SELECT topic, count(*) FROM dead_records GROUP BY topic ORDER BY topic"

_TAKE: Final = """
DELETE FROM dead_records WHERE id IN (
    SELECT id FROM dead_records
    WHERE ($1::text IS NULL OR topic = $1) AND ($2::bigint[] IS NULL OR id = ANY ($2)) AND id <= $3
    ORDER BY id LIMIT $4 FOR UPDATE SKIP LOCKED
) RETURNING id, topic, partition, value
"""


class DeadRecord(NamedTuple):
    """One record as it is listed; its value may hold a message's text and is not."""

    id: int
    topic: str
    partition: int
    log_offset: int
    at: int
    error: str
    octets: int


class PostgresDead:
    """The table `dead_records` for people. Every call has a deadline."""

    def __init__(self, db: Transactions) -> None:
        self._db = db

    async def page(self, *, topic: str | None, before_id: int | None, limit: int) -> list[DeadRecord]:
        """Return dead records, the newest first."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            return [DeadRecord(*row) for row in await connection.fetch(_LIST, topic, before_id, limit)]

    async def counts(self) -> dict[str, int]:
        """Return how many wait, by topic."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            return dict(await connection.fetch(_COUNT))

    async def replay(self, bus: Bus, *, topic: str | None = None, ids: Sequence[int] | None = None) -> int:
        """Put records on their topic again, in the order they died; return how many.

        Taking a record out and appending it is one transaction. What cannot be processed this time either dies again.
        """
        last_id, replayed = await self._newest(), 0
        while True:
            async with asyncio.timeout(DEADLINE_S), self._db.transaction() as tx:
                rows = await self._take(tx, topic=topic, ids=ids, last_id=last_id)
                if rows:
                    await bus.append(
                        [
                            Record(row["topic"], _key_for(bus, row["topic"], row["partition"]), row["value"])
                            for row in rows
                        ],
                        tx=tx,
                    )
            replayed += len(rows)
            if len(rows) < _CHUNK:
                return replayed

    async def drop(self, *, topic: str | None = None, ids: Sequence[int] | None = None) -> int:
        """Delete records for good; return how many."""
        last_id, dropped = await self._newest(), 0
        while True:
            async with asyncio.timeout(DEADLINE_S), self._db.transaction() as tx:
                rows = await self._take(tx, topic=topic, ids=ids, last_id=last_id)
            dropped += len(rows)
            if len(rows) < _CHUNK:
                return dropped

    async def _newest(self) -> int:
        """Return the last id there is now: what dies again meanwhile is not taken again."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            return int(await connection.fetchval("SELECT coalesce(max(id), 0) FROM dead_records"))

    async def _take(
        self, tx: Any, *, topic: str | None, ids: Sequence[int] | None, last_id: int
    ) -> list[Any]:
        rows = await tx.fetch(_TAKE, topic, None if ids is None else list(ids), last_id, _CHUNK)
        return sorted(rows, key=itemgetter("id"))


def _key_for(bus: Bus, topic: str, partition: int) -> bytes:
    """Return a key of the partition: the record's own was not kept, its place is what keeps the order."""
    partitions = bus.partitions(topic)
    return next(
        key for key in (b"%d" % n for n in count()) if crc32(key) % partitions == partition % partitions
    )
