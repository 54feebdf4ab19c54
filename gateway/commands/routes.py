"""`caudal routes`: why a message would go where it goes."""

import json
from pathlib import Path

import click

from gateway.commands.shared import config_option, fail, load, wait_for
from gateway.domain.message import CLASSES, Channel, MessageClass


@click.command("explain-route")
@config_option
@click.option("--to", required=True, help="Recipient, E.164 with plus.")
@click.option("--from", "sender", default=None, help="Sender.")
@click.option(
    "--class",
    "message_class",
    type=click.Choice([name.value for name in CLASSES]),
    default=MessageClass.TRANSACTIONAL.value,
    show_default=True,
    help="Class of the message.",
)
@click.option(
    "--channel",
    type=click.Choice([name.value for name in Channel]),
    default=Channel.SMS.value,
    show_default=True,
    help="Channel of the message.",
)
@click.option(
    "--account", default="", help="Account of the sender; without it rules for one account do not fit."
)
@click.option("--prefer", multiple=True, help="Carrier that the request would prefer; may be repeated.")
@click.option("--no-failover", is_flag=True, help="As `route.failover: false` of a request.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def explain_route(
    config_path: Path | None,
    to: str,
    sender: str | None,
    message_class: str,
    channel: str,
    account: str,
    prefer: tuple[str, ...],
    no_failover: bool,  # noqa: FBT001 - click passes flags by name
    as_json: bool,  # noqa: FBT001 - click passes flags by name
) -> None:
    """Say which carrier a message would go to, which ones after it, and why.

    It works from the configuration, and adds how the carriers are while a gateway runs on it. Exit code 1 when there is
    no route.
    """
    from gateway.runtime import route_tasks

    settings, _ = load(config_path)
    answer = wait_for(
        lambda: route_tasks.explain_route(
            settings,
            to=to,
            sender=sender,
            message_class=MessageClass(message_class),
            account=account,
            prefer=prefer,
            failover=not no_failover,
            channel=Channel(channel),
        )
    )
    click.echo(json.dumps(answer, indent=2) if as_json else route_tasks.explanation_text(answer))
    if answer["carrier"] is None:
        fail(f"no route: {answer['reason']}")


@click.group()
def routes() -> None:
    """Look at the routing rules."""


routes.add_command(explain_route, "explain")
