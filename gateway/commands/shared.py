"""What the commands of `caudal` share: options, settings, the way to the database, and how rows are printed."""

import asyncio
import getpass
import json
import os
import re
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn

import click

from gateway.settings import Settings, SettingsError, load_settings

# `password`, `secret`, `access_token`, `Authorization`, `X-Api-Key`; `secret_file` and `secret_env` only say where one is.
_SECRET_NAME = re.compile(
    r"(?i)(^|[-_])(password|secret|token|auth|authorization|cookie|api[-_]?key)$"
).search

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=None,
    help="TOML file; default caudal.toml.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def load(path: Path | None) -> tuple[Settings, str]:
    try:
        return load_settings(path)
    except SettingsError as error:
        fail(str(error))


def with_database(settings: Settings) -> Settings:
    """Fill in the address of the embedded server that `caudal serve` runs in this folder."""
    from gateway.store.embedded import dsn_of_running

    if settings.database_url:
        return settings
    dsn = dsn_of_running(settings.state_dir)
    if dsn is None:
        fail(
            f"no database: `caudal serve` does not run on {settings.state_dir}, and CAUDAL_DATABASE_URL is not set"
        )
    return settings.model_copy(update={"database_url": dsn})


def wait_for(make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    from gateway.store.errors import StoreError

    try:
        return asyncio.run(make())
    except (SettingsError, StoreError, OSError, ValueError) as error:
        fail(str(error) or type(error).__name__)


def redact(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {
            key: "[redacted]" if value and not isinstance(value, dict) and _is_secret(key) else redact(value)
            for key, value in tree.items()
        }
    return [redact(one) for one in tree] if isinstance(tree, list) else tree


def _is_secret(key: str) -> bool:
    # Names of HTTP headers are keys here as well.
    return key in ("pepper", "database_url") or _SECRET_NAME(key) is not None


def print_rows(rows: list[dict[str, Any]], *, as_json: bool) -> None:
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


def user_name() -> str:
    """Return who runs the command, for the audit."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid{os.getuid()}"


def fail(text: str) -> NoReturn:
    click.echo(f"caudal: {text}", err=True)
    sys.exit(1)
