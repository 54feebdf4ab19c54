"""`caudal webhooks`: endpoints of accounts, tried out and mended while the gateway runs."""

import sys
from pathlib import Path
from typing import Any

import click

from gateway.commands.shared import (
    config_option,
    json_option,
    load,
    print_rows,
    wait_for,
    with_database,
)

_BRIEF = ("account", "id", "status", "url", "types", "waiting_events", "failing_since", "last_error")


@click.group()
def webhooks() -> None:
    """Webhook endpoints of accounts."""


@webhooks.command("list")
@config_option
@json_option
@click.option("--account", default=None, help="Only this account.")
def webhooks_list(config_path: Path | None, as_json: bool, account: str | None) -> None:  # noqa: FBT001 - click passes flags by name
    """List endpoints, how they are doing and how many events wait for them."""
    from gateway.runtime.webhook_tasks import list_webhooks

    settings = with_database(load(config_path)[0])
    rows = wait_for(lambda: list_webhooks(settings, account=account))
    if not as_json:
        rows = [{name: _cell(row[name]) for name in _BRIEF} for row in rows]
    print_rows(rows, as_json=as_json)


@webhooks.command("create")
@config_option
@json_option
@click.option("--account", required=True, help="Whose endpoint it is.")
@click.option("--url", required=True, help="Where events are posted to, https://...")
@click.option("--type", "types", multiple=True, help="Type of events, repeatable; default all.")
@click.option("--description", default="", help="For people.")
@click.option("--batch-max", type=click.IntRange(1, 100), default=1, help="Most events in one POST.")
@click.option("--max-in-flight", type=click.IntRange(1, 100), default=4, help="Most POSTs at a time.")
def webhooks_create(config_path: Path | None, as_json: bool, account: str, **wanted: Any) -> None:  # noqa: FBT001 - click passes flags by name
    """Make an endpoint and print it with its secret, once."""
    from gateway.ingress.webhook_desk import Wish
    from gateway.runtime.webhook_tasks import create_webhook

    wanted["types"] = list(wanted["types"]) or None
    settings = with_database(load(config_path)[0])
    made = wait_for(lambda: create_webhook(settings, account=account, wish=Wish(**wanted)))
    _print_one(made, as_json=as_json)


@webhooks.command("test")
@config_option
@json_option
@click.argument("webhook_id")
def webhooks_test(config_path: Path | None, as_json: bool, webhook_id: str) -> None:  # noqa: FBT001 - click passes flags by name
    """Send a signed test event now; exit code 1 when the endpoint did not take it."""
    outcome = _act(config_path, webhook_id, "test")
    _print_one(outcome, as_json=as_json)
    sys.exit(0 if outcome["is_ok"] else 1)


@webhooks.command("enable")
@config_option
@click.argument("webhook_id")
def webhooks_enable(config_path: Path | None, webhook_id: str) -> None:
    """Send events to the endpoint again."""
    _act(config_path, webhook_id, "enable")
    click.echo("live")


@webhooks.command("disable")
@config_option
@click.argument("webhook_id")
def webhooks_disable(config_path: Path | None, webhook_id: str) -> None:
    """Send nothing more to the endpoint."""
    _act(config_path, webhook_id, "disable")
    click.echo("disabled")


@webhooks.command("delete")
@config_option
@click.argument("webhook_id")
@click.confirmation_option(prompt="Delete it, and drop the events that wait for it?")
def webhooks_delete(config_path: Path | None, webhook_id: str) -> None:
    """Forget the endpoint."""
    _act(config_path, webhook_id, "delete")
    click.echo("deleted")


@webhooks.command("replay")
@config_option
@json_option
@click.argument("webhook_id")
@click.option("--event-id", default=None, help="This event alone.")
@click.option("--since-hours", type=click.FloatRange(0.0, 8_760.0), default=None, help="Default 24.")
@click.option("--type", "event_type", default=None, help="Only events of this type.")
@click.option(
    "--status",
    type=click.Choice(["exhausted", "delivered"]),
    default="exhausted",
    show_default=True,
    help="How they ended.",
)
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=1_000, show_default=True, help="Most events."
)
def webhooks_replay(config_path: Path | None, as_json: bool, webhook_id: str, **which: Any) -> None:  # noqa: FBT001 - click passes flags by name
    """Send events again that were given up."""
    from gateway.runtime.webhook_tasks import replay

    if which["event_id"] is not None and (
        which["since_hours"] is not None or which["event_type"] is not None
    ):
        raise click.UsageError("--event-id stands alone: --since-hours and --type describe many events")
    settings = with_database(load(config_path)[0])
    _print_one(wait_for(lambda: replay(settings, webhook_id, **which)), as_json=as_json)


@webhooks.command("attempts")
@config_option
@json_option
@click.argument("webhook_id")
@click.option(
    "--status", type=click.Choice(["delivered", "failed", "exhausted"]), default=None, help="How they ended."
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Most lines.")
def webhooks_attempts(
    config_path: Path | None,
    as_json: bool,  # noqa: FBT001 - click passes flags by name
    webhook_id: str,
    status: str | None,
    limit: int,
) -> None:
    """List POSTs to the endpoint, the newest first."""
    from gateway.runtime.webhook_tasks import list_attempts

    settings = with_database(load(config_path)[0])
    rows = wait_for(lambda: list_attempts(settings, webhook_id, status=status, limit=limit))
    print_rows(rows, as_json=as_json)


def _act(config_path: Path | None, webhook_id: str, verb: str) -> dict[str, Any]:
    from gateway.runtime.webhook_tasks import act

    settings = with_database(load(config_path)[0])
    done: dict[str, Any] = wait_for(lambda: act(settings, webhook_id, verb))
    return done


def _print_one(row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_rows([row], as_json=True)
        return
    width = max(map(len, row))
    for name, value in row.items():
        click.echo(f"{name.ljust(width)}  {_cell(value)}")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return ",".join(value) if isinstance(value, list) else str(value)
