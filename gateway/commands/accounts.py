"""`caudal accounts`: the accounts with their defaults, and how to change them while the gateway runs."""

from pathlib import Path
from typing import Any

import click

from gateway.commands.shared import (
    config_option,
    fail,
    json_option,
    load,
    print_rows,
    wait_for,
    with_database,
)

_UNLIMITED = "none"


class _OrNone(click.ParamType[Any]):
    """A positive number up to a limit, or the word none."""

    name = "number"

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if str(value).lower() == _UNLIMITED:
            return _UNLIMITED
        if not str(value).isascii() or not str(value).isdigit() or not 1 <= int(value) <= self._limit:
            self.fail(f"{value!r} is not a number from 1 to {self._limit:,}, or none", param, ctx)
        return int(value)


@click.group()
def accounts() -> None:
    """Accounts and their defaults."""


@accounts.command("list")
@config_option
@json_option
def accounts_list(config_path: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click passes flags by name
    """List the accounts with their settings."""
    from gateway.runtime.account_tasks import list_accounts

    settings = with_database(load(config_path)[0])
    print_rows(wait_for(lambda: list_accounts(settings)), as_json=as_json)


@accounts.command("set")
@config_option
@click.argument("name")
@click.option("--transliterate/--no-transliterate", default=None, help="Whether texts are transliterated.")
@click.option(
    "--max-segments", type=click.IntRange(1, 255), default=None, help="Most segments of one message."
)
@click.option(
    "--messages-per-second", type=_OrNone(1_000_000), default=None, help="Most messages a second, or none."
)
@click.option("--default-region", default=None, help="Where national numbers belong, as MX; or none.")
@click.option(
    "--bare-international/--no-bare-international",
    default=None,
    help="Whether digits without plus are international.",
)
@click.option(
    "--otp-despite-opt-out/--no-otp-despite-opt-out",
    default=None,
    help="Whether one-time passwords go out although the person opted out.",
)
@click.option(
    "--retention-days",
    type=_OrNone(3650),
    default=None,
    help="Days its messages are kept, at most retention_days of the configuration; none: those.",
)
def accounts_set(config_path: Path | None, name: str, **changes: Any) -> None:
    """Change settings of the account NAME; running gateways see them at once."""
    from gateway.runtime.account_tasks import change_account

    given = {
        key: None if value == _UNLIMITED else value for key, value in changes.items() if value is not None
    }
    if not given:
        raise click.UsageError("nothing to change: give at least one option")
    settings = with_database(load(config_path)[0])
    changed = wait_for(lambda: change_account(settings, name, given))
    if changed is None:
        fail(f"there is no account {name!r}")
    print_rows([changed], as_json=False)
