"""What `caudal webhooks` does to a running gateway, through its database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway.domain.ids import parse_id
from gateway.ingress.webhook_desk import (
    NotLiveError,
    WebhookDesk,
    Wish,
    attempt_json,
    endpoint_json,
    event_filter,
    replayed_json,
    test_json,
)
from gateway.ports.clock import SystemClock
from gateway.ports.webhook_store import EXHAUSTED, EndpointLimitError, ReplayFilter
from gateway.runtime.admin_tasks import open_database
from gateway.runtime.ids import new_id_source
from gateway.runtime.pepper import load_pepper
from gateway.runtime.wiring.webhook_desk import make_webhook_desk
from gateway.runtime.wiring.webhooks import webhook_guard
from gateway.settings import Settings
from gateway.store.accounts import Accounts

_PAGE = 500


@asynccontextmanager
async def _desk(settings: Settings) -> AsyncIterator[WebhookDesk]:
    async with open_database(settings) as db:
        desk, client = make_webhook_desk(
            db, guard=webhook_guard(settings.webhooks), clock=SystemClock(), new_id=new_id_source()
        )
        try:
            yield desk
        finally:
            await client.close()


async def list_webhooks(settings: Settings, *, account: str | None) -> list[dict[str, Any]]:
    """Return the endpoints of an account, or of all."""
    shown: list[dict[str, Any]] = []
    async with open_database(settings) as db:
        found = await Accounts(db, pepper=load_pepper(settings)).list_accounts()
    names = [one.id for one in found] if account is None else [account]
    async with _desk(settings) as desk:
        for name in names:
            backlog = await desk.store.backlog(name)
            shown += [
                {"account": name, **endpoint_json(one, waiting=backlog.get(one.id, 0))}
                for one in await desk.store.list_endpoints(name)
            ]
    return shown


async def create_webhook(settings: Settings, *, account: str, wish: Wish) -> dict[str, Any]:
    """Make an endpoint; return it with its secret. ValueError for what it cannot have."""
    async with open_database(settings) as db:
        if await Accounts(db, pepper=load_pepper(settings)).find_account(account) is None:
            raise ValueError(f"there is no account {account!r}")
    async with _desk(settings) as desk:
        try:
            endpoint, secret = await desk.create(account, wish)
        except EndpointLimitError as error:
            raise ValueError(str(error)) from None
    return {"account": account, **endpoint_json(endpoint, secret=secret)}


async def act(settings: Settings, webhook_id: str, verb: str) -> dict[str, Any]:
    """Do `test`, `enable`, `disable` or `delete`; ValueError for an unknown endpoint."""
    async with _desk(settings) as desk:
        account = await _account_of(desk, webhook_id)
        if verb == "delete":
            return {"id": webhook_id, "deleted": await desk.store.delete(account, webhook_id)}
        if verb == "test":
            try:
                outcome = await desk.test(account, webhook_id)
            except NotLiveError:
                raise ValueError(f"{webhook_id} is disabled; enable it first") from None
            return {} if outcome is None else test_json(outcome)
        endpoint = await (desk.enable if verb == "enable" else desk.disable)(account, webhook_id)
        return {} if endpoint is None else endpoint_json(endpoint)


async def replay(
    settings: Settings,
    webhook_id: str,
    *,
    event_id: str | None,
    since_hours: float | None,
    event_type: str | None,
    status: str,
    limit: int,
) -> dict[str, Any]:
    """Send events again: one by its id, or those of the last hours; ValueError for an unknown endpoint."""
    if event_id is not None:
        which = event_filter(parse_id("evt", event_id))
    else:
        since = SystemClock().now_ms() - int((since_hours or 24.0) * 3_600_000)
        which = ReplayFilter(
            since=since, types=() if event_type is None else (event_type,), states=(status or EXHAUSTED,)
        )
    async with _desk(settings) as desk:
        account = await _account_of(desk, webhook_id)
        replayed = await desk.replay(account, webhook_id, which, limit=limit)
    return {} if replayed is None else replayed_json(replayed)


async def list_attempts(
    settings: Settings, webhook_id: str, *, status: str | None, limit: int
) -> list[dict[str, Any]]:
    """Return the newest attempts; ValueError for an unknown endpoint."""
    shown: list[dict[str, Any]] = []
    before = None
    async with _desk(settings) as desk:
        account = await _account_of(desk, webhook_id)
        while len(shown) < limit:
            wanted = min(_PAGE, limit - len(shown))
            page = await desk.store.attempts(
                account, webhook_id, states=[status] if status else [], limit=wanted, before=before
            )
            shown += [attempt_json(one) for one in page]
            if len(page) < wanted:
                break
            before = page[-1].id
    return shown


async def _account_of(desk: WebhookDesk, webhook_id: str) -> str:
    account = await desk.store.account_of(webhook_id)
    if account is None:
        raise ValueError(f"there is no webhook {webhook_id!r}")
    return account
