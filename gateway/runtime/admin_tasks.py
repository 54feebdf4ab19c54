"""What the command line does to a running gateway, through its database: keys and a look at messages."""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from gateway.domain.ids import format_id, parse_id
from gateway.ports.clock import SystemClock
from gateway.runtime.pepper import load_pepper
from gateway.settings import Settings
from gateway.store.accounts import DEFAULT_SCOPES, Accounts
from gateway.store.pool import Database
from gateway.store.views import PostgresViews
from gateway.telemetry.logs import mask_number

_DAY_MS = 86_400_000
_CONNECT_S = 5.0


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Lend the database of the gateway for one command."""
    db = await Database.connect(
        settings.database_url or "", max_size=2, name="caudal.cli", deadline_s=_CONNECT_S
    )
    try:
        yield db
    finally:
        await db.close()


async def create_key(
    settings: Settings, *, account: str, scopes: Sequence[str], expires_days: int | None, is_test: bool
) -> str:
    """Make the account if it is new, and a key for it; return the key."""
    now_ms = SystemClock().now_ms()
    async with open_database(settings) as db:
        accounts = Accounts(db, pepper=load_pepper(settings))
        new = await accounts.create_key(
            account,
            scopes=tuple(scopes) or DEFAULT_SCOPES,
            now_ms=now_ms,
            expires_at_ms=now_ms + expires_days * _DAY_MS if expires_days else None,
            is_test=is_test,
            random=secrets.token_bytes,
        )
    return new.text


async def list_keys(settings: Settings, *, account: str | None) -> list[dict[str, Any]]:
    """Return the keys without their secrets, oldest first."""
    async with open_database(settings) as db:
        stored = await Accounts(db, pepper=load_pepper(settings)).list_keys(account)
    return [
        {
            "id": key.id,
            "account": key.account.id,
            "kind": "test" if key.is_test else "live",
            "scopes": ",".join(sorted(key.scopes)),
            "state": "revoked" if key.revoked_at else "live",
            "created_at": instant(key.created_at),
            "expires_at": instant(key.expires_at),
            "last_used_at": instant(key.last_used_at),
        }
        for key in stored
    ]


async def revoke_key(settings: Settings, *, key_id: str) -> bool:
    """Revoke a key by its id or its whole text; False when there is no such live key."""
    async with open_database(settings) as db:
        accounts = Accounts(db, pepper=load_pepper(settings))
        return await accounts.revoke_key(key_id, now_ms=SystemClock().now_ms())


async def show_message(settings: Settings, message_id: str) -> dict[str, Any] | None:
    """Return a message with its timeline, its number masked; None when there is none."""
    wanted = parse_id("msg", message_id)
    async with open_database(settings) as db:
        views = PostgresViews(db)
        account = await views.account_of(wanted)
        found = await views.get_message(account, wanted) if account else None
        if found is None or account is None:
            return None
        events = await views.list_events(account, wanted, limit=1000, after=None) or []
    return {
        "id": format_id("msg", found.id),
        "account": found.account_id,
        "class": found.message_class,
        "to": mask_number(found.recipient),
        "from": found.sender,
        "status": found.state,
        "carrier": found.carrier,
        "segments": found.segment_count,
        "encoding": found.encoding,
        "accepted_at": instant(found.accepted_at),
        "final_at": instant(found.final_at),
        "events": [{"at": instant(one.at), "type": one.type, **one.detail} for one in events],
    }


def instant(time_ms: int | None) -> str | None:
    """Return a time in milliseconds since the epoch as RFC 3339 text."""
    if time_ms is None:
        return None
    return (
        datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
