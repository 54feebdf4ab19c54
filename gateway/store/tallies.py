"""What is counted for the metrics, never more than a bounded number of rows. Used by `gateway.recorder.tallies`."""

import asyncio
from typing import Final

from gateway.domain.lifecycle import FINALS
from gateway.ports.store import Transactions
from gateway.store.rows import DEADLINE_S

_DEAD: Final = "SELECT count(*) FROM (SELECT FROM dead_records LIMIT $1) AS counted"

# Newest first: what waits for its receipt is at the end of the last days.
_PENDING: Final = """
SELECT carrier, count(*) AS segments
FROM (SELECT carrier, state, receipt_state FROM submissions ORDER BY message_id DESC LIMIT $1) AS newest
WHERE state = 'submitted' AND (receipt_state IS NULL OR receipt_state <> ALL ($2::text[]))
GROUP BY carrier
"""


class PostgresTallies:
    """Implements `gateway.recorder.tallies.TallyStore`. Every call has a deadline."""

    def __init__(self, db: Transactions) -> None:
        self._db = db

    async def dead_records(self, *, limit: int) -> int:
        """Return how many dead records there are, counting to `limit`."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            return int(await connection.fetchval(_DEAD, limit))

    async def pending_segments(self, *, limit: int) -> dict[str, int]:
        """Return, by carrier, which of the newest `limit` submitted segments have no final receipt."""
        finals = [state.value for state in FINALS]
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            return {row[0]: row[1] for row in await connection.fetch(_PENDING, limit, finals)}
