"""What `caudal inbound` does to a running gateway, through its database. No text is shown, and people's numbers masked."""

from typing import Any

from gateway.domain.ids import format_id
from gateway.domain.instants import rfc3339
from gateway.inbound.delivery import Delivery, plain_number
from gateway.inbound.ownership import Ownership
from gateway.inbound.sweeper import look_again
from gateway.ports.clock import SystemClock
from gateway.ports.inbound_store import InboundFilters, InboundMessage, NumberRow
from gateway.runtime.admin_tasks import open_database
from gateway.runtime.wiring.bus import open_bus
from gateway.settings import Settings, SettingsError
from gateway.store.inbound import InboundNumbers, PostgresInbound
from gateway.store.inbound_views import PostgresInboundViews
from gateway.telemetry.logs import mask_number

_MAX_NUMBER = 65
_DAY_MS = 86_400_000


async def list_inbound(
    settings: Settings, *, account: str | None, unassigned: bool, limit: int
) -> list[dict[str, Any]]:
    """Return the newest messages: of an account, of nobody, or of all."""
    async with open_database(settings) as db:
        views = PostgresInboundViews(db)
        if unassigned or account is not None:
            found = await views.list_inbound(
                None if unassigned else account, InboundFilters(), limit=limit, before=None
            )
        else:
            found = await views.newest(limit=limit)
    return [_line(one) for one in found]


async def assign(settings: Settings, *, days: int) -> int:
    """Look for the accounts of messages of the last days that are nobody's; return how many were found."""
    since_ms = SystemClock().now_ms() - days * _DAY_MS
    async with open_database(settings) as db:
        store = PostgresInbound(db)
        delivery = Delivery(store, ownership=Ownership(store, reply_days=settings.inbound.reply_days))
        async with open_bus(settings, db, client_id="caudal.cli") as bus:
            return await look_again(bus, db=db, delivery=delivery, since_ms=since_ms)


async def add_number(settings: Settings, *, number: str, account: str, carrier: str | None) -> str:
    """Give a number to an account; return what was done."""
    row = NumberRow(_checked(number), carrier or "", account, SystemClock().now_ms())
    if carrier is not None and carrier not in settings.carriers:
        known = ", ".join(sorted(settings.carriers)) or "none"
        raise SettingsError(f"carrier {carrier!r} is not configured; there are: {known}")
    async with open_database(settings) as db:
        before = await InboundNumbers(db).add(row)
    if before is None or before == account:
        return f"{row.number} belongs to {account}"
    return f"{row.number} belongs to {account}, no longer to {before}"


async def list_numbers(settings: Settings) -> list[dict[str, Any]]:
    """Return every number with its account."""
    async with open_database(settings) as db:
        rows = await InboundNumbers(db).all()
    return [
        {
            "number": row.number,
            "carrier": row.carrier or "any",
            "account": row.account_id,
            "since": rfc3339(row.created_at),
        }
        for row in rows
    ]


async def remove_number(settings: Settings, *, number: str, carrier: str | None) -> bool:
    """Take a number away from its account; False when nobody has it."""
    async with open_database(settings) as db:
        return await InboundNumbers(db).remove(_checked(number), carrier or "")


def _checked(number: str) -> str:
    plain = plain_number(number.strip())
    if not plain or len(plain) > _MAX_NUMBER or not plain.isprintable():
        raise SettingsError(f"{number[:80]!r} is no number: 1 to {_MAX_NUMBER} printable characters")
    return plain


def _line(message: InboundMessage) -> dict[str, Any]:
    return {
        "id": format_id("mo", message.id),
        "received_at": rfc3339(message.received_at),
        "account": message.account_id or "-",
        "from": mask_number(message.sender),
        "to": message.recipient,
        "carrier": message.carrier,
        "encoding": message.encoding,
        "segments": message.segment_count,
        "missing": ",".join(map(str, message.missing)) or "-",
        "assigned_by": message.assigned_by or "-",
        "in_reply_to": "-" if message.in_reply_to is None else format_id("msg", message.in_reply_to),
    }
