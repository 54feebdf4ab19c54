"""Who wrote to a number of ours, and whom it wrote to first: what a messaging platform's rules are counted by.

Implemented by `gateway.store.conversations`; followed by `gateway.dispatch.acquaintance`, which keeps the answers in
memory, so that no message waits for a query. Times are integer milliseconds since the Unix epoch, UTC; people are
E.164 without plus.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol
from uuid import UUID


class Heard(NamedTuple):
    """One message of a person, at its place in the table."""

    id: UUID
    carrier: str
    person: str
    at: int


class ConversationStore(Protocol):
    """Every call has a deadline of its own and raises `TimeoutError` past it."""

    async def heard(
        self, carriers: Sequence[str], *, since_ms: int, after: UUID | None, limit: int
    ) -> list[Heard]:
        """Return messages of people over the carriers, received since then, by id, those after `after`, at most `limit`."""

    async def reached(self, carrier: str, *, since_ms: int, limit: int) -> list[tuple[str, int]]:
        """Return (person, time) of messages that the carrier took since then, the newest of each person, at most `limit`."""
