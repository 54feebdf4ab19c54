"""`caudal optouts`: who does not want to be written to, of one account."""

from pathlib import Path
from typing import TextIO

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

_ACCOUNT = click.option("--account", required=True, help="Account that they opted out of.")
_CHANNEL = click.option("--channel", default="*", show_default=True, help="Channel, or * for all.")
_SENDER = click.option("--sender", default="*", show_default=True, help="Sender, or * for all.")


@click.group()
def optouts() -> None:
    """Opt-outs of an account; running gateways see a change at once."""


@optouts.command("list")
@config_option
@_ACCOUNT
@click.option(
    "--limit", type=click.IntRange(1, 1_000_000), default=1_000, show_default=True, help="Most rows."
)
@json_option
def optouts_list(config_path: Path | None, account: str, limit: int, as_json: bool) -> None:  # noqa: FBT001 - click passes flags by name
    """List the opt-outs, by recipient."""
    from gateway.runtime.consent_tasks import list_opt_outs

    settings = with_database(load(config_path)[0])
    print_rows(wait_for(lambda: list_opt_outs(settings, account, limit=limit)), as_json=as_json)


@optouts.command("add")
@config_option
@_ACCOUNT
@_CHANNEL
@_SENDER
@click.argument("numbers", nargs=-1, required=True)
def optouts_add(
    config_path: Path | None, account: str, channel: str, sender: str, numbers: tuple[str, ...]
) -> None:
    """Record that the people with these NUMBERS (E.164 with plus) do not want messages."""
    _add(config_path, account, list(numbers), channel=channel, sender=sender, source="cli")


@optouts.command("import")
@config_option
@_ACCOUNT
@_CHANNEL
@_SENDER
@click.argument("file", type=click.File("r", encoding="utf-8"))
def optouts_import(config_path: Path | None, account: str, channel: str, sender: str, file: TextIO) -> None:
    """Record opt-outs from a FILE with a number on each line (the first column, where it has several)."""
    lines = [line.split(",")[0].strip().strip('"') for line in file]
    _add(
        config_path,
        account,
        [line for line in lines if line],
        channel=channel,
        sender=sender,
        source="import",
    )


@optouts.command("remove")
@config_option
@_ACCOUNT
@_CHANNEL
@_SENDER
@click.argument("number")
def optouts_remove(config_path: Path | None, account: str, channel: str, sender: str, number: str) -> None:
    """Withdraw exactly this opt-out of the person with this NUMBER."""
    from gateway.runtime.consent_tasks import remove_opt_out

    settings = with_database(load(config_path)[0])
    if not wait_for(lambda: remove_opt_out(settings, account, number, channel=channel, sender=sender)):
        fail(f"{number} has no such opt-out")
    click.echo("withdrawn")


def _add(
    config_path: Path | None, account: str, numbers: list[str], *, channel: str, sender: str, source: str
) -> None:
    from gateway.runtime.consent_tasks import add_opt_outs

    settings = with_database(load(config_path)[0])
    done = wait_for(
        lambda: add_opt_outs(settings, account, numbers, channel=channel, sender=sender, source=source)
    )
    click.echo(f"{done['recipients']} recipients, {done['added']} of them new")
