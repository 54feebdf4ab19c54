"""What people read of mobile-originated messages; implements `gateway.ports.inbound_store.InboundViews`."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from gateway.domain.ids import MAX_TIME_MS, uuid7_floor
from gateway.ports.inbound_store import InboundFilters, InboundMessage
from gateway.ports.store import Transactions
from gateway.store.rows import day_floor

_DEADLINE_S: Final = 5.0
_MAX_LIMIT: Final = 1000
MESSAGE_COLUMNS: Final = ", ".join(InboundMessage.__dataclass_fields__)
_JSON: Final = msgspec.json.Decoder(dict[str, Any])

_GET: Final = f"""
SELECT {MESSAGE_COLUMNS} FROM inbound_messages WHERE id = $1 AND account_id IS NOT DISTINCT FROM $2
"""


class PostgresInboundViews:
    """Reads of mobile-originated messages. Every answer is bounded and has a deadline."""

    def __init__(self, db: Transactions) -> None:
        self._db = db

    async def get_inbound(self, account_id: str | None, message_id: UUID) -> InboundMessage | None:
        """Return the message, or None when this account has no such one."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            row = await connection.fetchrow(_GET, message_id, account_id)
        return None if row is None else message_of(row)

    async def list_inbound(
        self, account_id: str | None, filters: InboundFilters, *, limit: int, before: UUID | None
    ) -> list[InboundMessage]:
        """Return the messages that match, newest first, with ids below `before` where it is given."""
        arguments: list[object] = []
        where: list[str] = []

        def also(condition: str, value: object) -> None:
            arguments.append(value)
            where.append(condition.format(f"${len(arguments)}"))

        if account_id is None:
            where.append("account_id IS NULL")
        else:
            also("account_id = {}", account_id)
        if before is not None:
            also("id < {}", before)
        if filters.since is not None:
            # The id's time is that of its receipt; the day only leaves partitions out.
            since = min(max(filters.since, 0), MAX_TIME_MS)
            where.append(f"id >= '{day_floor(since)}'")
            also("id >= {}", uuid7_floor(since))
        if filters.sender is not None:
            also("sender = {}", filters.sender)
        if filters.recipient is not None:
            also("recipient = {}", filters.recipient)
        arguments.append(min(max(limit, 1), _MAX_LIMIT))
        statement = (
            f"SELECT {MESSAGE_COLUMNS} FROM inbound_messages WHERE {' AND '.join(where)} "
            f"ORDER BY id DESC LIMIT ${len(arguments)}"
        )
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(statement, *arguments)
        return [message_of(row) for row in rows]

    async def newest(self, *, limit: int) -> list[InboundMessage]:
        """Return the newest messages of all accounts; for operators, not for accounts."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(
                f"SELECT {MESSAGE_COLUMNS} FROM inbound_messages ORDER BY id DESC LIMIT $1",
                min(max(limit, 1), _MAX_LIMIT),
            )
        return [message_of(row) for row in rows]


def message_of(row: Mapping[str, Any]) -> InboundMessage:
    """Return the message of a row with `MESSAGE_COLUMNS`."""
    values = dict(row)
    values["missing"] = tuple(values["missing"])
    values["raw"] = _JSON.decode(values["raw"])
    values["channel"] = values["channel"] or "sms"
    values["media"] = None if values["media"] is None else _JSON.decode(values["media"])
    return InboundMessage(**values)
