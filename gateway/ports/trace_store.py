"""Which messages were sampled, and their trace ids (32 hexadecimal digits). Implemented by `gateway.store.traces`."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from gateway.ports.bus import Transaction
from gateway.ports.record_store import CarrierKey


class TraceRow(NamedTuple):
    """One sampled message."""

    message_id: UUID
    trace_id: str


class TraceStore(Protocol):
    """Every call has a deadline of its own and raises `TimeoutError` past it."""

    async def insert_traces(self, tx: Transaction, rows: Sequence[TraceRow]) -> None:
        """Keep the traces of messages; one that is known stays as it is."""

    async def traces_of(self, message_ids: Sequence[UUID]) -> dict[UUID, TraceRow]:
        """Return the traces of those of these messages that were sampled."""

    async def traces_by_submit(
        self, keys: Sequence[CarrierKey], *, now_ms: int
    ) -> dict[CarrierKey, TraceRow]:
        """Return the traces of those that were sampled of the messages, of today and yesterday, with these submits."""
