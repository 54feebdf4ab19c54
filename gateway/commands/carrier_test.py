"""`caudal carriers test`: one message straight to a carrier, to see whether settings and carrier agree.

Exit codes: 0 the carrier took it, 1 it did not, 2 usage, 3 nobody knows.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click

from gateway.commands.shared import config_option, load, wait_for
from gateway.domain.message import CLASSES, ContentKind, MessageClass, RichContent
from gateway.telemetry.logs import mask_number

MAX_TIMEOUT_S = 300.0


@click.command("test")
@config_option
@click.argument("carrier")
@click.option("--to", "recipient", required=True, metavar="+52...", help="Who gets it: your own phone.")
@click.option("--from", "sender", default="Caudal", show_default=True, help="Sender.")
@click.option("--text", default=None, help="Text; default `Caudal test`, and none with a template.")
@click.option(
    "--class",
    "message_class",
    type=click.Choice([name.value for name in CLASSES]),
    default=MessageClass.TRANSACTIONAL.value,
    show_default=True,
    help="Class, by which a refusal is retried.",
)
@click.option("--template", default=None, help="Name of an approved template, on channels that have such.")
@click.option("--language", default="", help="Language of the template, exactly as approved.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="Parameter of the template.")
@click.option("--subject", default=None, help="Subject, of a mail.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(1, MAX_TIMEOUT_S),
    default=30.0,
    show_default=True,
    help="Seconds that all of it may take.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def carriers_test(
    config_path: Path | None,
    carrier: str,
    recipient: str,
    sender: str,
    text: str | None,
    message_class: str,
    template: str | None,
    language: str,
    params: tuple[str, ...],
    subject: str | None,
    timeout_s: float,
    as_json: bool,  # noqa: FBT001 - click passes flags by name
) -> None:
    """Send ONE message to a carrier, past every queue, and show what was said.

    It really sends, and the carrier bills it. Exit codes: 0 taken, 1 not taken, 2 usage, 3 nobody knows.
    """
    from gateway.runtime.carrier_test import Trial, try_carrier
    from gateway.telemetry.logs import configure_logs

    settings, _ = load(config_path)
    configure_logs(level="error")
    trial = Trial(
        carrier=carrier,
        recipient=recipient,
        sender=sender,
        text=text if text is not None else "" if template else "Caudal test",
        message_class=MessageClass(message_class),
        rich=_rich(template, language, params, subject),
        timeout_s=timeout_s,
    )
    click.echo(f"this really sends a message to {mask_number(recipient)} over {carrier}", err=True)
    found = wait_for(lambda: try_carrier(settings, trial))
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _print(found)
    sys.exit(found["exit_code"])


def _rich(
    template: str | None, language: str, params: tuple[str, ...], subject: str | None
) -> RichContent | None:
    if subject is not None:
        return RichContent(ContentKind.MAIL, subject=subject)
    if template is None:
        if language or params:
            raise click.UsageError("--language and --param belong to --template")
        return None
    named: dict[str, str] = {}
    for one in params:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--param {one!r} is not NAME=VALUE, such as 1=Ana")
        named[name] = value
    return RichContent(ContentKind.TEMPLATE, name=template, language=language, params=named or None)


def _print(found: dict[str, Any]) -> None:
    click.echo(
        f"{found['carrier']} ({found['protocol']}, {found['channel']}): {found['segments']} segment(s)"
    )
    for line in found["trace"]:
        arrow = {"out": "->", "in": "<-"}.get(line["direction"], "--")
        click.echo(f"{line['at_ms']:>9.1f} ms {arrow} {line['what']}")
        for name, value in line.items():
            if name not in ("at_ms", "direction", "what") and value not in ("", {}, None):
                shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                click.echo(f"             {name}: {shown}")
    phases = ", ".join(f"{name} {took:g} ms" for name, took in found["phases_ms"].items())
    click.echo(f"time: {phases or 'nothing was said'}")
    for outcome in found["outcomes"]:
        facts = ", ".join(
            f"{name} {value}" for name, value in outcome.items() if name != "kind" and value not in ("", None)
        )
        click.echo(f"outcome: {outcome['kind']}{f' ({facts})' if facts else ''}")
    after = found["next"]
    wait = f" in {after['delay_ms'] / 1000:g} s" if after["delay_ms"] else ""
    click.echo(f"next: {after['says']}{wait} ({after['reason']})")
