"""Operators' orders with their audit, the reports of dispatch, and its members (`gateway.ports.control_store`).

Dispatch reads the orders and reports; the API and `caudal carriers` give orders and read the rest. Changes of the
orders are serialised by one row, whose number is new only when the change can be read.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.ports.bus import Transaction
from gateway.ports.control_store import (
    MAX_ORDERS,
    AuditEntry,
    CarrierReport,
    Order,
    OrderKind,
    TooManyOrdersError,
)
from gateway.ports.store import Transactions
from gateway.store.rows import storable

DEADLINE_S: Final = 5.0
KEEP_MS: Final = 600_000
"""How long reports and members are kept that nobody renews, and orders that expired."""
MAX_PAGE: Final = 1000

_COLUMNS: Final = "carrier, kind, target, value, reason, actor, ordered_at, expires_at"

_NEXT_VERSION: Final = "UPDATE operator_order_version SET version = version + 1 RETURNING version"
_VERSION: Final = "SELECT version FROM operator_order_version WHERE is_only"
_FIND: Final = f"SELECT {_COLUMNS} FROM operator_orders WHERE carrier = $1 AND kind = $2 AND target = $3"
_GIVE: Final = f"""
INSERT INTO operator_orders ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (carrier, kind, target) DO UPDATE
SET value = excluded.value, reason = excluded.reason, actor = excluded.actor,
    ordered_at = excluded.ordered_at, expires_at = excluded.expires_at
"""
_WITHDRAW: Final = f"""
DELETE FROM operator_orders WHERE carrier = $1 AND kind = $2 AND target = $3 RETURNING {_COLUMNS}
"""
_STANDING: Final = f"""
SELECT {_COLUMNS} FROM operator_orders
WHERE expires_at IS NULL OR expires_at > $1 ORDER BY carrier, kind, target LIMIT $2
"""

_COUNT: Final = "SELECT count(*) FROM operator_orders WHERE expires_at IS NULL OR expires_at > $1"

_NOTE: Final = """
INSERT INTO operator_audit (at, actor, action, subject, reason, detail) VALUES ($1, $2, $3, $4, $5, $6::jsonb)
"""
_AUDIT: Final = """
SELECT id, at, actor, action, subject, reason, detail FROM operator_audit
WHERE id < $1 ORDER BY id DESC LIMIT $2
"""
_MAX_ID: Final = (1 << 63) - 1

_REPORT: Final = """
INSERT INTO carrier_reports (carrier, shard, owner, at, picture)
SELECT row.carrier, row.shard, row.owner, row.at, row.picture::json
FROM unnest($1::text[], $2::int[], $3::text[], $4::bigint[], $5::text[])
     AS row (carrier, shard, owner, at, picture)
ON CONFLICT (carrier, shard) DO UPDATE
SET owner = excluded.owner, at = excluded.at, picture = excluded.picture
"""
_REPORTS: Final = """
SELECT carrier, shard, owner, at, picture FROM carrier_reports WHERE at >= $1 ORDER BY carrier, shard
"""

_BEAT: Final = """
INSERT INTO dispatch_members (owner, seen_at) VALUES ($1, $2)
ON CONFLICT (owner) DO UPDATE SET seen_at = excluded.seen_at
"""
_MEMBERS: Final = "SELECT owner FROM dispatch_members WHERE seen_at >= $1"
_LEAVE: Final = "DELETE FROM dispatch_members WHERE owner = $1"

_PURGES: Final = (
    "DELETE FROM carrier_reports WHERE at < $1",
    "DELETE FROM dispatch_members WHERE seen_at < $1",
    "DELETE FROM operator_orders WHERE expires_at < $1",
)

_JSON: Final = msgspec.json.Decoder(dict[str, Any])


class PostgresControls:
    """The tables `operator_*`, `carrier_reports` and `dispatch_members`; implements `ControlStore`.

    Every call raises TimeoutError past `DEADLINE_S`, StoreUnavailableError when the database is away.
    """

    def __init__(self, db: Transactions) -> None:
        self._db = db

    async def give(self, order: Order) -> None:
        """Make an order stand, in the place of the one before; a RECONNECT without value gets the next number."""
        async with asyncio.timeout(DEADLINE_S), self._db.transaction() as tx:
            version: int = await tx.fetchval(_NEXT_VERSION)
            if order.kind is OrderKind.RECONNECT and not order.value:
                order = order._replace(value=str(version))
            found = await tx.fetchrow(_FIND, *order[:3])
            before = None if found is None else _order(found)
            is_replaced = before is not None and not _is_over(before, order.ordered_at)
            if not is_replaced and await tx.fetchval(_COUNT, order.ordered_at) >= MAX_ORDERS:
                raise TooManyOrdersError(f"{MAX_ORDERS} orders stand, which is the limit: end some first")
            order = order._replace(reason=storable(order.reason))
            await tx.execute(_GIVE, *order)
            detail: dict[str, Any] = {"value": order.value, "expires_at": order.expires_at}
            if before is not None and is_replaced:
                detail["before"] = {"value": before.value, "expires_at": before.expires_at}
            action = "replace" if is_replaced else "give"
            await _note(
                tx,
                AuditEntry(order.ordered_at, order.actor, action, subject_of(order), order.reason, detail),
            )

    async def withdraw(
        self, carrier: str, kind: OrderKind, target: str, *, actor: str, reason: str, now_ms: int
    ) -> bool:
        """End an order; False when none stands."""
        async with asyncio.timeout(DEADLINE_S), self._db.transaction() as tx:
            await tx.execute(_NEXT_VERSION)
            found = await tx.fetchrow(_WITHDRAW, carrier, kind, target)
            if found is None:
                return False
            before = _order(found)
            if _is_over(before, now_ms):
                return False
            detail = {"before": {"value": before.value, "expires_at": before.expires_at}}
            await _note(tx, AuditEntry(now_ms, actor, "withdraw", subject_of(before), reason, detail))
        return True

    async def standing(self, *, now_ms: int) -> list[Order]:
        """Return the orders that stand at `now_ms`, by carrier, kind and target."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            found = await connection.fetch(_STANDING, now_ms, MAX_ORDERS)
        return [_order(row) for row in found]

    async def version(self) -> int:
        """Return a number that grows with every change of the orders."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            version: int = await connection.fetchval(_VERSION)
        return version

    async def note(self, entry: AuditEntry) -> None:
        """Write a line of the audit."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            await _note(connection, entry)

    async def audit(self, *, before_id: int | None, limit: int) -> list[tuple[int, AuditEntry]]:
        """Return (id, entry), the newest first, below `before_id` where it is given; at most `MAX_PAGE`."""
        below = _MAX_ID if before_id is None else before_id
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            found = await connection.fetch(_AUDIT, below, min(limit, MAX_PAGE))
        return [
            (entry_id, AuditEntry(at, actor, action, subject, reason, _JSON.decode(detail)))
            for entry_id, at, actor, action, subject, reason, detail in found
        ]

    async def report(self, reports: Sequence[CarrierReport]) -> None:
        """Replace what is known of these shards."""
        if not reports:
            return
        # In one order, or two that report at once could wait for each other's rows.
        latest = {(one.carrier, one.shard): one for one in reports}
        rows = [latest[key] for key in sorted(latest)]
        carriers, shards, owners, times, pictures = zip(*rows, strict=True)
        texts = [msgspec.json.encode(picture).decode() for picture in pictures]
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            await connection.execute(_REPORT, list(carriers), list(shards), list(owners), list(times), texts)

    async def reports(self, *, since_ms: int) -> list[CarrierReport]:
        """Return the reports not older than `since_ms`, by carrier and shard."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            found = await connection.fetch(_REPORTS, since_ms)
        return [
            CarrierReport(carrier, shard, owner, at, _JSON.decode(picture))
            for carrier, shard, owner, at, picture in found
        ]

    async def beat(self, owner: str, *, now_ms: int) -> None:
        """Say that this dispatch process lives."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            await connection.execute(_BEAT, owner, now_ms)

    async def members(self, *, since_ms: int) -> list[str]:
        """Return the dispatch processes that lived at `since_ms` or later, sorted."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            found = await connection.fetch(_MEMBERS, since_ms)
        return sorted(row[0] for row in found)

    async def leave(self, owner: str) -> None:
        """Say that this process goes: its shards are free for others."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            await connection.execute(_LEAVE, owner)

    async def purge(self, *, now_ms: int) -> None:
        """Delete what nobody renewed, and orders that expired, `KEEP_MS` ago."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            for statement in _PURGES:
                await connection.execute(statement, now_ms - KEEP_MS)


def subject_of(order: Order) -> str:
    """Return how the audit names an order: `telco_a pause tx1`, `all hold_class marketing`."""
    return " ".join(part for part in (order.carrier or "all", order.kind.value, order.target) if part)


def _is_over(order: Order, now_ms: int) -> bool:
    return order.expires_at is not None and order.expires_at <= now_ms


def _order(row: Any) -> Order:
    carrier, kind, *rest = row
    return Order(carrier, OrderKind(kind), *rest)


async def _note(tx: Transaction, entry: AuditEntry) -> None:
    detail = msgspec.json.encode(entry.detail).decode()
    await tx.execute(_NOTE, *entry[:4], storable(entry.reason), detail)
