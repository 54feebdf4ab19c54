"""`caudal smpp credentials`: who may bind to the SMPP server, with which limits; running gateways see changes at once."""

import json
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
from gateway.domain.alphabets import TextAlphabet
from gateway.domain.message import CLASSES, MessageClass

_CLASS = click.Choice([one.value for one in CLASSES])
_ALPHABET = click.Choice([one.value for one in TextAlphabet if one is not TextAlphabet.BINARY])
_BINDS = click.IntRange(1, 100)
_WINDOW = click.IntRange(1, 1000)
_MPS = click.IntRange(0, 1_000_000)


@click.group()
def smpp() -> None:
    """The SMPP server for customers."""


@smpp.group("credentials")
def credentials() -> None:
    """Who may bind to it."""


@credentials.command("create")
@config_option
@click.option("--account", required=True, help="Name of the account; made if it does not exist.")
@click.option("--system-id", required=True, help="Login name, at most 15 characters.")
@click.option(
    "--password", default=None, help="1 to 8 characters; without it one is drawn and printed, once."
)
@click.option("--max-binds", type=_BINDS, default=2, show_default=True, help="Sessions at a time.")
@click.option("--window", type=_WINDOW, default=50, show_default=True, help="Unanswered submits a session.")
@click.option(
    "--mps", type=_MPS, default=0, show_default=True, help="Submits a second; 0: the account's rate."
)
@click.option("--allow", "networks", multiple=True, metavar="CIDR", help="Where from; default anywhere.")
@click.option(
    "--class",
    "message_class",
    type=_CLASS,
    default="transactional",
    show_default=True,
    help="Of its messages.",
)
@click.option(
    "--alphabet", type=_ALPHABET, default="gsm7", show_default=True, help="What data_coding 0 means."
)
@json_option
def create(
    config_path: Path | None,
    account: str,
    system_id: str,
    password: str | None,
    max_binds: int,
    window: int,
    mps: int,
    networks: tuple[str, ...],
    message_class: str,
    alphabet: str,
    as_json: bool,  # noqa: FBT001 - click passes flags by name
) -> None:
    """Make a credential and print its password."""
    from gateway.runtime.smpp_tasks import create_credential
    from gateway.store.smpp_credentials import CredentialDraft

    settings = with_database(load(config_path)[0])
    draft = CredentialDraft(
        system_id=system_id,
        account=account,
        max_binds=max_binds,
        window=window,
        messages_per_second=mps or None,
        allowed_networks=networks,
        message_class=MessageClass(message_class),
        alphabet=TextAlphabet(alphabet),
    )
    made = wait_for(lambda: create_credential(settings, draft, password=password))
    click.echo(json.dumps(made) if as_json else made["password"])


@credentials.command("list")
@config_option
@json_option
@click.option("--account", default=None, help="Only this account.")
def list_(config_path: Path | None, account: str | None, as_json: bool) -> None:  # noqa: FBT001 - click passes flags by name
    """List the credentials, never their passwords."""
    from gateway.runtime.smpp_tasks import list_credentials

    settings = with_database(load(config_path)[0])
    print_rows(wait_for(lambda: list_credentials(settings, account=account)), as_json=as_json)


@credentials.command("set")
@config_option
@click.argument("system_id")
@click.option("--password", default=None, help="A new password of 1 to 8 characters.")
@click.option("--new-password", is_flag=True, help="Draw a new password and print it, once.")
@click.option("--max-binds", type=_BINDS, default=None, help="Sessions at a time.")
@click.option("--window", type=_WINDOW, default=None, help="Unanswered submits a session.")
@click.option("--mps", type=_MPS, default=None, help="Submits a second; 0: the account's rate.")
@click.option("--allow", "networks", multiple=True, metavar="CIDR", help="Where from; replaces the list.")
@click.option("--allow-any", is_flag=True, help="From anywhere.")
@click.option("--class", "message_class", type=_CLASS, default=None, help="Of its messages.")
@click.option("--alphabet", type=_ALPHABET, default=None, help="What data_coding 0 means.")
def set_(
    config_path: Path | None,
    system_id: str,
    password: str | None,
    new_password: bool,  # noqa: FBT001 - click passes flags by name
    networks: tuple[str, ...],
    allow_any: bool,  # noqa: FBT001 - as above
    mps: int | None,
    message_class: str | None,
    alphabet: str | None,
    **limits: int | None,
) -> None:
    """Change the credential SYSTEM_ID; bound sessions follow, a new password is asked for at the next bind."""
    from gateway.runtime.smpp_tasks import new_password as draw

    if networks and allow_any:
        fail("--allow and --allow-any exclude each other")
    if password is not None and new_password:
        fail("--password and --new-password exclude each other")
    changes: dict[str, Any] = {name: value for name, value in limits.items() if value is not None}
    if mps is not None:
        changes["messages_per_second"] = mps or None
    if networks or allow_any:
        changes["allowed_networks"] = networks
    if message_class is not None:
        changes["message_class"] = MessageClass(message_class)
    if alphabet is not None:
        changes["alphabet"] = TextAlphabet(alphabet)
    if password is not None or new_password:
        changes["password"] = draw() if password is None else password
    if not changes:
        fail("nothing to change; see --help")
    _change(config_path, system_id, changes)
    if new_password:
        click.echo(changes["password"])


@credentials.command("disable")
@config_option
@click.argument("system_id")
def disable(config_path: Path | None, system_id: str) -> None:
    """Send SYSTEM_ID away and let it bind no more; its receipts wait."""
    _change(config_path, system_id, {"enabled": False})
    click.echo("disabled")


@credentials.command("enable")
@config_option
@click.argument("system_id")
def enable(config_path: Path | None, system_id: str) -> None:
    """Let SYSTEM_ID bind again."""
    _change(config_path, system_id, {"enabled": True})
    click.echo("enabled")


@credentials.command("delete")
@config_option
@click.argument("system_id")
def delete(config_path: Path | None, system_id: str) -> None:
    """Delete SYSTEM_ID; its sessions end at once, receipts that wait are not delivered any more."""
    from gateway.runtime.smpp_tasks import delete_credential

    settings = with_database(load(config_path)[0])
    if not wait_for(lambda: delete_credential(settings, system_id)):
        fail(f"no credential {system_id!r}")
    click.echo("deleted")


def _change(config_path: Path | None, system_id: str, changes: dict[str, Any]) -> None:
    from gateway.runtime.smpp_tasks import change_credential

    settings = with_database(load(config_path)[0])
    if wait_for(lambda: change_credential(settings, system_id, changes)) is None:
        fail(f"no credential {system_id!r}")
