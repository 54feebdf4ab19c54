"""`caudal inbound`: what people wrote, and which account answers for which number."""

from pathlib import Path

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

_carrier_option = click.option("--carrier", default=None, help="Only where it comes over this carrier.")


@click.group()
def inbound() -> None:
    """Messages that people sent to our numbers."""


@inbound.command("list")
@config_option
@json_option
@click.option("--account", default=None, help="Only this account's.")
@click.option("--unassigned", is_flag=True, help="Only those that no account was found for.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=50, show_default=True, help="Most lines.")
def inbound_list(
    config_path: Path | None,
    as_json: bool,  # noqa: FBT001 - click passes flags by name
    account: str | None,
    unassigned: bool,  # noqa: FBT001 - click passes flags by name
    limit: int,
) -> None:
    """List messages, newest first, without their text."""
    from gateway.runtime.inbound_tasks import list_inbound

    if unassigned and account is not None:
        raise click.UsageError("--unassigned has no --account: it is what no account was found for")
    settings = with_database(load(config_path)[0])
    rows = wait_for(lambda: list_inbound(settings, account=account, unassigned=unassigned, limit=limit))
    print_rows(rows, as_json=as_json)


@inbound.command("assign")
@config_option
@click.option(
    "--days", type=click.IntRange(1, 3650), default=1, show_default=True, help="How far back to look."
)
def inbound_assign(config_path: Path | None, days: int) -> None:
    """Look once more for the accounts of messages that are nobody's; those accounts are told."""
    from gateway.runtime.inbound_tasks import assign

    settings = with_database(load(config_path)[0])
    click.echo(f"messages that have an account now: {wait_for(lambda: assign(settings, days=days))}")


@inbound.group()
def numbers() -> None:
    """Our numbers and short codes, and whose they are."""


@numbers.command("add")
@config_option
@click.argument("number")
@click.option("--account", required=True, help="Whose it is.")
@_carrier_option
def numbers_add(config_path: Path | None, number: str, account: str, carrier: str | None) -> None:
    """Give NUMBER to an account: what people write to it is that account's from now on.

    Of what is there already, `caudal inbound assign` gives it what is nobody's.
    """
    from gateway.runtime.inbound_tasks import add_number

    settings = with_database(load(config_path)[0])
    click.echo(wait_for(lambda: add_number(settings, number=number, account=account, carrier=carrier)))


@numbers.command("list")
@config_option
@json_option
def numbers_list(config_path: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click passes flags by name
    """List the numbers with their accounts."""
    from gateway.runtime.inbound_tasks import list_numbers

    settings = with_database(load(config_path)[0])
    print_rows(wait_for(lambda: list_numbers(settings)), as_json=as_json)


@numbers.command("remove")
@config_option
@click.argument("number")
@_carrier_option
def numbers_remove(config_path: Path | None, number: str, carrier: str | None) -> None:
    """Take NUMBER away from its account; messages that are there stay where they are."""
    from gateway.runtime.inbound_tasks import remove_number

    settings = with_database(load(config_path)[0])
    if not wait_for(lambda: remove_number(settings, number=number, carrier=carrier)):
        fail(f"nobody has {number!r} {'there' if carrier else 'for every carrier'}")
    click.echo("removed")
