"""What `caudal smpp` does to a running gateway, through its database."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gateway.domain.message import MessageClass
from gateway.ports.clock import SystemClock
from gateway.ports.smpp_store import SmppCredential
from gateway.runtime.admin_tasks import open_database
from gateway.runtime.pepper import load_pepper
from gateway.settings import Settings
from gateway.store.smpp_credentials import CredentialDraft, SmppCredentials, make_password


async def create_credential(
    settings: Settings, draft: CredentialDraft, *, password: str | None
) -> dict[str, Any]:
    """Make a credential, and its account if it is new; return it with its password, which is shown once.

    ValueError for a value out of range, or a system_id that is taken.
    """
    chosen = make_password(secrets.token_bytes) if password is None else password
    async with open_database(settings) as db:
        store = SmppCredentials(db, pepper=load_pepper(settings))
        if not await store.create(draft, password=chosen, now_ms=SystemClock().now_ms()):
            raise ValueError(f"system_id {draft.system_id!r} is taken")
    return {"system_id": draft.system_id, "password": chosen, "account": draft.account}


async def list_credentials(settings: Settings, *, account: str | None) -> list[dict[str, Any]]:
    """Return the credentials without their passwords, by system_id."""
    async with open_database(settings) as db:
        found = await SmppCredentials(db, pepper=load_pepper(settings)).list_all(account)
    return [_shown(one) for one in found]


async def change_credential(
    settings: Settings, system_id: str, changes: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Change limits, `enabled` or the `password`; None when there is no such system_id, ValueError out of range."""
    rest = dict(changes)
    enabled, password = rest.pop("enabled", None), rest.pop("password", None)
    async with open_database(settings) as db:
        store = SmppCredentials(db, pepper=load_pepper(settings))
        found = await store.find(system_id)
        if found is None:
            return None
        draft = replace(_draft(found), **rest)
        is_enabled = found.enabled if enabled is None else enabled
        if not await store.change(draft, enabled=is_enabled, password=password):
            return None
        changed = await store.find(system_id)
    return None if changed is None else _shown(changed)


async def delete_credential(settings: Settings, system_id: str) -> bool:
    """Delete a credential; its sessions end at once. False when there is none."""
    async with open_database(settings) as db:
        return await SmppCredentials(db, pepper=load_pepper(settings)).delete(system_id)


def new_password() -> str:
    """Return a password for `change_credential`."""
    return make_password(secrets.token_bytes)


def _draft(credential: SmppCredential) -> CredentialDraft:
    return CredentialDraft(
        system_id=credential.system_id,
        account=credential.account.id,
        max_binds=credential.max_binds,
        window=credential.window,
        messages_per_second=credential.messages_per_second,
        allowed_networks=credential.allowed_networks,
        message_class=MessageClass(credential.message_class),
        alphabet=credential.alphabet,
    )


def _shown(credential: SmppCredential) -> dict[str, Any]:
    mps = credential.messages_per_second
    return {
        "system_id": credential.system_id,
        "account": credential.account.id,
        "state": "enabled" if credential.enabled else "disabled",
        "max_binds": credential.max_binds,
        "window": credential.window,
        "mps": "none" if mps is None else mps,
        "allow": ",".join(credential.allowed_networks) or "any",
        "class": credential.message_class.value,
        "alphabet": credential.alphabet.value,
        "created_at": datetime.fromtimestamp(credential.created_at / 1000, UTC).isoformat(timespec="seconds"),
    }
