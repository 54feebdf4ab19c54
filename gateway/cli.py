"""`caudal`: serve, run ROLE, migrate, config, keys, messages, inspect.

Exit codes: 0 done, 1 it failed (the text on standard error says why), 2 usage.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn

import click

from gateway.settings import Settings, SettingsError, check_exposure, load_settings

_config = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=None,
    help="TOML file; default caudal.toml.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="caudal")
def main() -> None:
    """Caudal, the messaging gateway."""


@main.command()
@_config
def serve(config_path: Path | None) -> None:
    """Run the whole gateway here: database, roles and, in the demo, the simulator."""
    from gateway.runtime.carriers import check_carriers
    from gateway.runtime.supervisor import StartError
    from gateway.runtime.supervisor import serve as run_all
    from gateway.store.errors import StoreError
    from gateway.telemetry.logs import configure_logs

    settings, source = _load(config_path)
    configure_logs(level=settings.log_level, role="supervisor")
    try:
        check_carriers(settings, source=source)
        sys.exit(run_all(settings, source=source))
    except (StartError, SettingsError, StoreError, OSError) as error:
        _fail(str(error))


@main.command()
@click.argument("role", type=click.Choice(["api", "dispatch", "back"]))
@_config
@click.option("--settings-from-stdin", is_flag=True, hidden=True)
@click.option(
    "--index", default=1, show_default=True, help="Which admin port to take, counted from admin.port."
)
def run(role: str, config_path: Path | None, settings_from_stdin: bool, index: int) -> None:  # noqa: FBT001 - click passes flags by name
    """Run one role alone, against the database of the configuration."""
    from gateway.runtime.roles import run_role
    from gateway.store.errors import StoreError
    from gateway.telemetry.logs import configure_logs

    if settings_from_stdin:
        settings = Settings(**json.loads(sys.stdin.read()))
    else:
        settings, _ = _load(config_path)
        settings = _with_database(settings)
    configure_logs(level=settings.log_level, role=role)
    try:
        sys.exit(run_role(role, settings, index=index))
    except (SettingsError, StoreError, OSError) as error:
        _fail(str(error))


@main.command()
@_config
def migrate(config_path: Path | None) -> None:
    """Bring the database schema up to date."""
    from gateway.store.migrate import migrate as run_migrations

    settings = _with_database(_load(config_path)[0])
    applied = _await(lambda: run_migrations(settings.database_url or ""))
    click.echo("\n".join(applied) if applied else "nothing to do")


@main.group()
def config() -> None:
    """Look at the configuration."""


@config.command("check")
@_config
def config_check(config_path: Path | None) -> None:
    """Say whether the configuration can be used."""
    from gateway.runtime.carriers import check_carriers

    settings, source = _load(config_path)
    try:
        check_carriers(settings, source=source)
    except SettingsError as error:
        _fail(str(error))
    for warning in check_exposure(settings):
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{source}: fine, {len(settings.carriers)} carriers, {len(settings.routes)} routes")


@config.command("show")
@_config
@click.option("--redacted/--no-redacted", default=True, show_default=True, help="Hide the secrets.")
def config_show(config_path: Path | None, redacted: bool) -> None:  # noqa: FBT001 - click passes flags by name
    """Print every setting with its value."""
    settings, _ = _load(config_path)
    tree = settings.model_dump(mode="json", by_alias=True)
    click.echo(json.dumps(_redact(tree) if redacted else tree, indent=2, ensure_ascii=False))


@main.group()
def keys() -> None:
    """API keys."""


@keys.command("create")
@_config
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

    settings = _with_database(_load(config_path)[0])
    key = _await(
        lambda: create_key(
            settings, account=account, scopes=scopes, expires_days=expires_days, is_test=is_test
        )
    )
    click.echo(key)


@keys.command("list")
@_config
@_as_json
@click.option("--account", default=None, help="Only this account.")
def keys_list(config_path: Path | None, account: str | None, as_json: bool) -> None:  # noqa: FBT001 - click passes flags by name
    """List the keys, never their secrets."""
    from gateway.runtime.admin_tasks import list_keys

    settings = _with_database(_load(config_path)[0])
    _print_rows(_await(lambda: list_keys(settings, account=account)), as_json=as_json)


@keys.command("revoke")
@_config
@click.argument("key_id")
def keys_revoke(config_path: Path | None, key_id: str) -> None:
    """Make a key useless, at once. KEY_ID is its middle part, or the whole key."""
    from gateway.runtime.admin_tasks import revoke_key

    settings = _with_database(_load(config_path)[0])
    if not _await(lambda: revoke_key(settings, key_id=key_id)):
        _fail("no live key has that id")
    click.echo("revoked")


@main.group()
def messages() -> None:
    """Look at messages."""


@messages.command("show")
@_config
@click.argument("message_id")
def messages_show(config_path: Path | None, message_id: str) -> None:
    """Print a message with its timeline, as JSON."""
    from gateway.runtime.admin_tasks import show_message

    settings = _with_database(_load(config_path)[0])
    found = _await(lambda: show_message(settings, message_id))
    if found is None:
        _fail(f"no message {message_id!r}")
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


def _load(path: Path | None) -> tuple[Settings, str]:
    try:
        return load_settings(path)
    except SettingsError as error:
        _fail(str(error))


def _with_database(settings: Settings) -> Settings:
    """Fill in the address of the embedded server that `caudal serve` runs in this folder."""
    from gateway.store.embedded import dsn_of_running

    if settings.database_url:
        return settings
    dsn = dsn_of_running(settings.state_dir)
    if dsn is None:
        _fail(
            f"no database: `caudal serve` does not run on {settings.state_dir}, and CAUDAL_DATABASE_URL is not set"
        )
    return settings.model_copy(update={"database_url": dsn})


def _await(make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    from gateway.store.errors import StoreError

    try:
        return asyncio.run(make())
    except (SettingsError, StoreError, OSError, ValueError) as error:
        _fail(str(error))


def _redact(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {
            key: "[redacted]" if value and key in ("password", "pepper", "database_url") else _redact(value)
            for key, value in tree.items()
        }
    return [_redact(one) for one in tree] if isinstance(tree, list) else tree


def _print_rows(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows, indent=2, default=str))
        return
    if not rows:
        click.echo("none")
        return
    columns = list(rows[0])
    cells = [columns, *([str(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _fail(text: str) -> NoReturn:
    click.echo(f"caudal: {text}", err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
