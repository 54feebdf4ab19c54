"""Who wrote to our numbers, and whom they wrote to: read of the tables of replies and messages.

Implements `gateway.ports.conversation.ConversationStore`; dispatch follows it once a second, never for a message.
"""

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from gateway.domain.ids import uuid7_floor
from gateway.ports.conversation import Heard
from gateway.ports.store import Transactions
from gateway.store.rows import DAY_MS

DEADLINE_S: Final = 10.0

# Literal bounds keep the partitions of other days out of the plan.
_HEARD: Final = """
SELECT id, carrier, sender, received_at FROM inbound_messages
WHERE id >= '{floor}' AND id > $1 AND carrier = ANY ($2::text[]) ORDER BY id LIMIT $3
"""
# A message may be sent long after its id was made: a day beyond the span is looked at for those that waited.
_REACHED: Final = """
SELECT recipient, max(submitted_at) AS at FROM messages
WHERE id >= '{floor}' AND carrier = $1 AND submitted_at >= $2 GROUP BY recipient ORDER BY at DESC LIMIT $3
"""


class PostgresConversations:
    """Implements `ConversationStore`."""

    def __init__(self, db: Transactions) -> None:
        self._db = db

    async def heard(
        self, carriers: Sequence[str], *, since_ms: int, after: UUID | None, limit: int
    ) -> list[Heard]:
        """Return messages of people over the carriers, received since then, by id, those after `after`."""
        floor = uuid7_floor(max(0, since_ms))
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(_HEARD.format(floor=floor), after or floor, list(carriers), limit)
        return [Heard(*row) for row in rows]

    async def reached(self, carrier: str, *, since_ms: int, limit: int) -> list[tuple[str, int]]:
        """Return (person, time) of messages that the carrier took since then, the newest of each person."""
        floor = uuid7_floor(max(0, since_ms - DAY_MS))
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(_REACHED.format(floor=floor), carrier, since_ms, limit)
        return [(row[0], row[1]) for row in rows]
