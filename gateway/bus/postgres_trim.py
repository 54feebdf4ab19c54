"""Retention of the Postgres bus: what every group has read is deleted, and its pages are written again soon.

Called by `gateway.bus.postgres` every few seconds, in one process at a time.
"""

from typing import Final

from gateway.bus import postgres_sql as sql
from gateway.ports.store import Transactions

TRIM_CHUNK: Final = 5_000
MAX_TRIM_CHUNKS: Final = 200

# A block fills a page. Below 8 MB there is nothing to win; below a tenth of the log, looking through its index costs
# more than the pages are worth; and a log of more than 512 MB, which waits for somebody anyway, is autovacuum's, which
# has the time.
MIN_DEAD_BLOCKS: Final = 1_000
_MIN_DEAD_SHARE: Final = 0.1
_MAX_PAGES: Final = 65_536


class Trimmer:
    """Counts the blocks it has deleted since their pages were last given free."""

    def __init__(self, db: Transactions) -> None:
        self._db = db
        self._dead_blocks = 0

    async def trim(self) -> int:
        """Delete what every registered group has committed; return the number of records."""
        async with self._db.acquire() as connection:
            rows = await connection.fetch(sql.TRIMMABLE)
        deleted = chunks = 0
        for (partition_id,) in rows:
            more = True
            while more and chunks < MAX_TRIM_CHUNKS:
                chunks += 1
                records = await self._trim_chunk(partition_id)
                if records is None:
                    return deleted
                deleted += records
                more = records == TRIM_CHUNK
        await self._recycle()
        return deleted

    async def _trim_chunk(self, partition_id: int) -> int | None:
        """Delete one chunk and return its number of records; None while another process trims."""
        async with self._db.transaction() as tx:
            if not await tx.fetchval(sql.TRY_RETENTION):
                return None
            bounds = await tx.fetchrow(sql.TRIM_BOUNDS, partition_id, TRIM_CHUNK)
            if bounds is None:
                return 0
            blocks: int = await tx.fetchval(sql.TRIM, partition_id, *bounds)
        self._dead_blocks += blocks
        first, end = bounds
        return int(end - first)

    async def _recycle(self) -> None:
        """Let appends write again to the pages of what was deleted.

        A log that grows by seconds of load between two rounds of autovacuum outgrows the buffers: each of its pages is
        then made, mapped by every process that reads it, and written to disk once, which costs as much as the append.
        """
        dead = self._dead_blocks
        if dead < MIN_DEAD_BLOCKS:
            return
        async with self._db.acquire() as connection:
            pages = await connection.fetchval(sql.LOG_PAGES)
            if dead < pages * _MIN_DEAD_SHARE:
                return
            self._dead_blocks = 0
            if pages <= _MAX_PAGES:
                await connection.execute(sql.RECYCLE)
