"""`caudal`: serve, run ROLE, migrate, config, keys, messages, inspect.

Exit codes: 0 done, 1 it failed (the text on standard error says why), 2 usage.
"""

import json
import sys
from pathlib import Path

import click

from gateway.commands.accounts import accounts
from gateway.commands.carrier_test import carriers_test
from gateway.commands.carriers import carriers
from gateway.commands.dlq import dlq
from gateway.commands.inbound import inbound
from gateway.commands.logs import logs
from gateway.commands.optouts import optouts
from gateway.commands.receipts import receipts
from gateway.commands.reports import reports
from gateway.commands.routes import explain_route, routes
from gateway.commands.shared import (
    config_option,
    fail,
    json_option,
    load,
    print_rows,
    redact,
    wait_for,
    with_database,
)
from gateway.commands.smpp import smpp
from gateway.commands.top import top
from gateway.commands.webhooks import webhooks
from gateway.settings import SettingsError, check_exposure


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="caudal")
def main() -> None:
    """Caudal, the messaging gateway."""


@main.command()
@config_option
def serve(config_path: Path | None) -> None:
    """Run the whole gateway here: database, roles and, in the demo, the simulator."""
    from gateway.runtime.carriers import check_carriers
    from gateway.runtime.supervisor import StartError
    from gateway.runtime.supervisor import serve as run_all
    from gateway.runtime.tracing import check_tracing
    from gateway.store.errors import StoreError
    from gateway.telemetry.logs import configure_logs

    settings, source = load(config_path)
    configure_logs(level=settings.log_level, role="supervisor")
    try:
        check_carriers(settings, source=source)
        check_tracing(settings)
        sys.exit(run_all(settings, source=source))
    except (StartError, SettingsError, StoreError, OSError) as error:
        fail(str(error))


@main.command()
@click.argument("role", type=click.Choice(["api", "dispatch", "back"]))
@config_option
@click.option("--settings-from-stdin", is_flag=True, hidden=True)
@click.option(
    "--index", default=1, show_default=True, help="Which admin port to take, counted from admin.port."
)
def run(role: str, config_path: Path | None, settings_from_stdin: bool, index: int) -> None:  # noqa: FBT001 - click passes flags by name
    """Run one role alone, against the database of the configuration."""
    from gateway.runtime.feed import SettingsFeed
    from gateway.runtime.roles import run_role
    from gateway.store.errors import StoreError
    from gateway.telemetry.logs import configure_logs

    source: SettingsFeed | str
    if settings_from_stdin:
        source = SettingsFeed(sys.stdin.fileno())
        settings = source.first()
    else:
        settings, source = load(config_path)
        settings = with_database(settings)
    configure_logs(level=settings.log_level, role=role)
    try:
        sys.exit(run_role(role, settings, index=index, source=source))
    except (SettingsError, StoreError, OSError) as error:
        fail(str(error))


@main.command()
@config_option
def migrate(config_path: Path | None) -> None:
    """Bring the database schema up to date."""
    from gateway.store.migrate import migrate as run_migrations

    settings = with_database(load(config_path)[0])
    applied = wait_for(lambda: run_migrations(settings.database_url or ""))
    click.echo("\n".join(applied) if applied else "nothing to do")


@main.group()
def config() -> None:
    """Look at the configuration, and load it again."""


@config.command("check")
@config_option
def config_check(config_path: Path | None) -> None:
    """Say whether the configuration can be used."""
    from gateway.runtime.carriers import check_carriers
    from gateway.runtime.tracing import check_tracing

    settings, source = load(config_path)
    try:
        check_carriers(settings, source=source)
        check_tracing(settings)
    except SettingsError as error:
        fail(str(error))
    for warning in check_exposure(settings):
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{source}: fine, {len(settings.carriers)} carriers, {len(settings.routes)} routes")


@config.command("reload")
@config_option
@click.option(
    "--check/--no-check",
    default=True,
    show_default=True,
    help="Check passwords and certificates here first; `caudal serve`, which may see other variables, does in any case.",
)
def config_reload(config_path: Path | None, check: bool) -> None:  # noqa: FBT001 - click passes flags by name
    """Check the file, then let the running `caudal serve` follow it: carriers, routes and log_level."""
    from gateway.runtime.reload import ask_to_reload

    settings, source = load(config_path)
    try:
        click.echo(ask_to_reload(settings, chosen=source if config_path else None, checks=check))
    except (SettingsError, OSError) as error:
        fail(str(error))


@config.command("show")
@config_option
@click.option("--redacted/--no-redacted", default=True, show_default=True, help="Hide the secrets.")
def config_show(config_path: Path | None, redacted: bool) -> None:  # noqa: FBT001 - click passes flags by name
    """Print every setting with its value."""
    settings, _ = load(config_path)
    tree = settings.model_dump(mode="json", by_alias=True)
    if redacted:  # whatever the collector's owner calls the header that holds the key
        tree["tracing"]["headers"] = dict.fromkeys(settings.tracing.headers, "[redacted]")
    click.echo(json.dumps(redact(tree) if redacted else tree, indent=2, ensure_ascii=False))


@main.group()
def keys() -> None:
    """API keys."""


@keys.command("create")
@config_option
@click.option("--account", required=True, help="Name of the account; made if it does not exist.")
@click.option(
    "--scope", "scopes", multiple=True, help="What the key may do; default messages:send and messages:read."
)
@click.option("--expires-days", type=click.IntRange(1, 3650), default=None, help="Days the key lives.")
@click.option("--test", "is_test", is_flag=True, help="A key whose messages only go to the simulator.")
def keys_create(
    config_path: Path | None,
    account: str,
    scopes: tuple[str, ...],
    expires_days: int | None,
    is_test: bool,  # noqa: FBT001 - click passes flags by name
) -> None:
    """Make a key and print it, once."""
    from gateway.runtime.admin_tasks import create_key

    settings = with_database(load(config_path)[0])
    key = wait_for(
        lambda: create_key(
            settings, account=account, scopes=scopes, expires_days=expires_days, is_test=is_test
        )
    )
    click.echo(key)


@keys.command("list")
@config_option
@json_option
@click.option("--account", default=None, help="Only this account.")
def keys_list(config_path: Path | None, account: str | None, as_json: bool) -> None:  # noqa: FBT001 - click passes flags by name
    """List the keys, never their secrets."""
    from gateway.runtime.admin_tasks import list_keys

    settings = with_database(load(config_path)[0])
    print_rows(wait_for(lambda: list_keys(settings, account=account)), as_json=as_json)


@keys.command("revoke")
@config_option
@click.argument("key_id")
def keys_revoke(config_path: Path | None, key_id: str) -> None:
    """Make a key useless, at once. KEY_ID is its middle part, or the whole key."""
    from gateway.runtime.admin_tasks import revoke_key

    settings = with_database(load(config_path)[0])
    if not wait_for(lambda: revoke_key(settings, key_id=key_id)):
        fail("no live key has that id")
    click.echo("revoked")


@main.group()
def messages() -> None:
    """Look at messages."""


@messages.command("show")
@config_option
@click.argument("message_id")
def messages_show(config_path: Path | None, message_id: str) -> None:
    """Print a message with its timeline, as JSON."""
    from gateway.runtime.admin_tasks import show_message

    settings = with_database(load(config_path)[0])
    found = wait_for(lambda: show_message(settings, message_id))
    if found is None:
        fail(f"no message {message_id!r}")
    click.echo(json.dumps(found, indent=2, ensure_ascii=False, default=str))


@main.command()
@click.argument(
    "what", type=click.Choice(["text", "pdu", "receipt", "match", "status", "number", "sender", "keyword"])
)
def inspect(what: str) -> None:
    """Read JSON lines, write what Caudal makes of each: how a text is cut, what a PDU says, what a status leads to.

    The answers are JSON lines too, one for each line read; on a terminal they are text for people.
    """
    from gateway.runtime.inspect import EXAMPLES, inspect_line

    if sys.stdin.isatty():
        click.echo(f"One JSON object a line, such as {EXAMPLES[what]}; Ctrl-D ends.", err=True)
    readable = sys.stdout.isatty()
    # Octets, not text: one line that is not UTF-8 must not end the command, whatever the locale.
    for line in sys.stdin.buffer:
        click.echo(inspect_line(what, line, readable=readable))  # flushes: a bench waits for each answer


main.add_command(accounts)
main.add_command(optouts)
carriers.add_command(carriers_test)
carriers.add_command(explain_route)
main.add_command(carriers)
main.add_command(dlq)
main.add_command(inbound)
main.add_command(logs)
main.add_command(receipts)
main.add_command(reports)
main.add_command(routes)
main.add_command(smpp)
main.add_command(webhooks)
main.add_command(top)


if __name__ == "__main__":
    main()
