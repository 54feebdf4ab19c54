"""What `caudal optouts` does, through the database of a gateway."""

from collections.abc import Iterable
from typing import Any

from gateway.domain.addresses import parse_sender
from gateway.domain.errors import AddressError
from gateway.domain.instants import rfc3339
from gateway.domain.message import Channel
from gateway.intake.numbers import parse_recipient
from gateway.ports.clock import SystemClock
from gateway.ports.consent_store import EVERY, MAX_IMPORT, OptOut
from gateway.runtime.admin_tasks import open_database
from gateway.settings import Settings
from gateway.store.consents import PostgresConsents

_PAGE = 1_000


async def add_opt_outs(
    settings: Settings, account: str, numbers: Iterable[str], *, channel: str, sender: str, source: str
) -> dict[str, int]:
    """Record opt-outs; ValueError naming the first number, channel, sender or account that cannot be used."""
    clock = SystemClock()
    sender = _sender(sender)
    rows = [
        OptOut(account, _number(text, line), _channel(channel), sender, source, clock.now_ms())
        for line, text in enumerate(numbers, start=1)
    ]
    added = 0
    async with open_database(settings) as db:
        store = PostgresConsents(db, clock=clock)
        for start in range(0, len(rows), MAX_IMPORT):
            added += await store.opt_out(rows[start : start + MAX_IMPORT])
    return {"recipients": len({row.recipient for row in rows}), "added": added}


async def remove_opt_out(settings: Settings, account: str, number: str, *, channel: str, sender: str) -> bool:
    """Withdraw one opt-out; False when there is none."""
    async with open_database(settings) as db:
        return await PostgresConsents(db, clock=SystemClock()).opt_in(
            account, _number(number, 1), channel=_channel(channel), sender=_sender(sender)
        )


async def list_opt_outs(settings: Settings, account: str, *, limit: int) -> list[dict[str, Any]]:
    """Return up to `limit` opt-outs of an account, by recipient."""
    found: list[OptOut] = []
    async with open_database(settings) as db:
        store = PostgresConsents(db, clock=SystemClock())
        while len(found) < limit:
            page = await store.list_opt_outs(
                account,
                recipient=None,
                channel=None,
                limit=min(_PAGE, limit - len(found)),
                after=found[-1] if found else None,
            )
            if not page:
                break
            found += page
    return [
        {
            "recipient": f"+{one.recipient}",
            "channel": one.channel,
            "sender": one.sender,
            "source": one.source,
            "at": rfc3339(one.at),
        }
        for one in found
    ]


def _number(text: str, line: int) -> str:
    try:
        return parse_recipient(text.strip()).msisdn
    except AddressError as error:
        raise ValueError(f"number {line}: {error.detail}") from None


def _channel(text: str) -> str:
    if text != EVERY and text not in list(Channel):
        raise ValueError(f"channel {text!r} is not one of {', '.join(Channel)}, or {EVERY}")
    return text


def _sender(text: str) -> str:
    return text if text == EVERY else parse_sender(text).source_addr
