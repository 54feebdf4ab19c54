"""What `caudal accounts` does to a running gateway, through its database."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gateway.ports.intake_store import Account
from gateway.runtime.admin_tasks import open_database
from gateway.runtime.pepper import load_pepper
from gateway.settings import Settings
from gateway.store.accounts import Accounts

_REGION = re.compile(r"[A-Z]{2}")


async def list_accounts(settings: Settings) -> list[dict[str, Any]]:
    """Return every account with its settings, by name."""
    async with open_database(settings) as db:
        found = await Accounts(db, pepper=load_pepper(settings)).list_accounts()
    return [_shown(account, settings) for account in found]


async def change_account(settings: Settings, name: str, changes: Mapping[str, Any]) -> dict[str, Any] | None:
    """Change an account's settings; None when there is no such account, ValueError for a value out of range."""
    days = changes.get("retention_days")
    if days is not None and days > settings.retention_days:
        raise ValueError(
            f"retention of {days} days: days are dropped for everybody after {settings.retention_days} (retention_days)"
        )
    region = changes.get("default_region")
    if region is not None and not _REGION.fullmatch(region):
        raise ValueError(f"region {region!r} is not two capital letters, such as MX")
    async with open_database(settings) as db:
        accounts = Accounts(db, pepper=load_pepper(settings))
        account = await accounts.find_account(name)
        if account is None:
            return None
        changed = replace(account, **changes)
        if not await accounts.update_account(changed):
            return None
    return _shown(changed, settings)


def _shown(account: Account, settings: Settings) -> dict[str, Any]:
    days = account.retention_days
    return {
        "account": account.id,
        "transliterate": account.transliterate,
        "max_segments": account.max_segments,
        "messages_per_second": account.messages_per_second,
        "default_region": account.default_region,
        "bare_international": account.bare_international,
        "otp_despite_opt_out": account.otp_despite_opt_out,
        # The days of everybody may have been lowered since.
        "retention_days": settings.retention_days if days is None else min(days, settings.retention_days),
    }
