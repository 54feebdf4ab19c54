"""`caudal receipts`: receipts that never found their message, and the way back for them."""

from pathlib import Path

import click

from gateway.commands.shared import config_option, json_option, load, print_rows, wait_for, with_database

_carrier_option = click.option("--carrier", default=None, help="Only this carrier.")


@click.group()
def receipts() -> None:
    """Receipts of carriers."""


@receipts.command("orphans")
@config_option
@json_option
@_carrier_option
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Most lines.")
def receipts_orphans(config_path: Path | None, as_json: bool, carrier: str | None, limit: int) -> None:  # noqa: FBT001 - click passes flags by name
    """List receipts without a message, newest first: those that still wait for it, and those given up."""
    from gateway.runtime.receipt_tasks import list_orphans

    settings = with_database(load(config_path)[0])
    print_rows(wait_for(lambda: list_orphans(settings, carrier=carrier, limit=limit)), as_json=as_json)


@receipts.command("replay-orphans")
@config_option
@_carrier_option
@click.option(
    "--limit", type=click.IntRange(1, 1_000_000), default=1_000_000, show_default=True, help="Most receipts."
)
def receipts_replay_orphans(config_path: Path | None, carrier: str | None, limit: int) -> None:
    """Look once more for the messages of receipts that were given up, as when an id format was wrong."""
    from gateway.runtime.receipt_tasks import replay

    settings = with_database(load(config_path)[0])
    count = wait_for(lambda: replay(settings, carrier=carrier, limit=limit))
    click.echo(f"{count} receipts are on their topic again")
