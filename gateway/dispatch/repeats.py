"""Messages that were appended a second time because it was unknown whether the first time had worked.

Intake marks them (`gateway.intake.doubts`); a shard that has met the id lately drops the repeat. Needed where the bus is
not in the database, so that an append can outlive the transaction around it.
"""

from collections import deque
from typing import Final
from uuid import UUID

from gateway.domain.carried import replace
from gateway.domain.message import APPENDED_AGAIN, Message

KEPT_IDS: Final = 100_000


class Repeats:
    """The ids of the last messages that one shard met for the first time; some 10 MB when full."""

    __slots__ = ("_ids", "_limit", "_order")

    def __init__(self, limit: int = KEPT_IDS) -> None:
        self._limit = limit
        self._ids: set[UUID] = set()
        self._order: deque[UUID] = deque()

    def sift(self, message: Message) -> Message | None:
        """Return the message to go on with; None where it is a repeat of one that is on its way, or was."""
        attempt = message.attempt
        if attempt > 1:
            return message
        if attempt == APPENDED_AGAIN:
            if message.id in self._ids:
                return None
            message = replace(message, attempt=1)
        if message.id not in self._ids:
            self._ids.add(message.id)
            self._order.append(message.id)
            if len(self._order) > self._limit:
                self._ids.discard(self._order.popleft())
        return message
