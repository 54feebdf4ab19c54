"""`loadtest`: the load tool and its carrier simulator. Exit codes: 0 pass, 1 fail, 2 usage, 3 invalid run."""

import json
import tomllib
from pathlib import Path
from typing import Any

import click

from loadtest.commands.results import compare, report
from loadtest.commands.run import find_max, list_scenarios, run, show, validate

EXIT_USAGE = 2
EXIT_INVALID = 3


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Prove what the gateway can carry."""


main.add_command(run)
main.add_command(list_scenarios)
main.add_command(show)
main.add_command(validate)
main.add_command(find_max)
main.add_command(report)
main.add_command(compare)


def _read_config(context: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """Let a TOML file give the defaults; its keys are the option names with `_` for `-`."""
    if path is None:
        return None
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.BadParameter(f"{path}: {error}") from None
    known = {parameter.name for parameter in context.command.params} - {"config"}
    unknown = sorted(set(values) - known)
    if unknown:
        raise click.BadParameter(
            f"{path}: unknown key {', '.join(unknown)}; known: {', '.join(sorted(filter(None, known)))}"
        )
    for name in ("system_id", "password"):
        if isinstance(values.get(name), str):
            values[name] = [values[name]]
    if isinstance(values.get("faults"), dict):
        values["faults"] = [f"{name}={json.dumps(value)}" for name, value in values["faults"].items()]
    if isinstance(values.get("timeline"), list):
        values["timeline"] = json.dumps(values["timeline"])
    if isinstance(values.get("errors"), dict):
        values["errors"] = ",".join(f"{name}={share}" for name, share in values["errors"].items())
    context.default_map = {**(context.default_map or {}), **values}
    return path


def _read_faults(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    """Read `NAME=VALUE` pairs; a value is JSON where it can be, else text."""
    faults: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise click.BadParameter(f"{one!r} is not NAME=VALUE")
        try:
            faults[name] = json.loads(value)
        except ValueError:
            faults[name] = value
    return faults


def _read_timeline(_: click.Context, __: click.Parameter, text: str | None) -> Any:
    from loadtest.faults import read_timeline

    try:
        return () if text is None else read_timeline(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


_FAULT_HELP = "A knob, as POST /faults takes it: --fault receipts_lost=0.01 --fault silence=submits; repeat."
_TIMELINE_HELP = (
    "Faults by time: a TOML file with [[step]] tables, or JSON: "
    '[{"at": "5s", "for": "10s", "set": {"silence": "all"}}].'
)


_SMSC_HELP = """Run the message centre simulator until SIGTERM.

\b
Destinations ending in
  01 delivered      02 undeliverable       03 expired           04 no receipt
  05 throttled twice, then taken           06 refused (ESME_RINVDSTADR)
  07 system error twice, then taken        08 no submit response
  09 receipt before the submit response    any other: delivered
"""


@main.command(help=_SMSC_HELP)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    is_eager=True,
    callback=_read_config,
    help="TOML file with defaults for these options.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=2775, show_default=True, help="SMPP port; 0 takes a free one.")
@click.option(
    "--http-port", default=0, show_default=True, help="Port of the HTTP API; 0 takes a free one, -1 none."
)
@click.option(
    "--system-id",
    multiple=True,
    default=("caudal",),
    show_default=True,
    help="Login; repeat for more accounts.",
)
@click.option(
    "--password", multiple=True, default=("secret",), help="Password of each --system-id, in order."
)
@click.option(
    "--latency",
    default="0",
    show_default=True,
    help='Delay of submit responses: "20ms" or "p50=20ms,p99=120ms".',
)
@click.option(
    "--receipt-delay",
    default="0",
    show_default=True,
    help="Delay of receipts after the response, written the same way.",
)
@click.option("--errors", default="", help='Error mix: "ESME_RSUBMITFAIL=0.01,ESME_RTHROTTLED=0.05".')
@click.option("--mps", type=float, default=None, help="Hidden limit per system_id; above it ESME_RTHROTTLED.")
@click.option(
    "--message-id-format",
    type=click.Choice(["decimal", "hex", "uuid"]),
    default="decimal",
    show_default=True,
    help="Message ids in responses.",
)
@click.option(
    "--receipt-id-format",
    type=click.Choice(["same", "decimal", "hex", "uuid"]),
    default="same",
    show_default=True,
    help="Message ids in receipts.",
)
@click.option(
    "--first-message-id",
    type=int,
    default=None,
    help="Number of the first id; by default above those of earlier starts.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of every random draw.")
@click.option(
    "--receipts/--no-receipts",
    "sends_receipts",
    default=True,
    show_default=True,
    help="Send the receipts that are asked for.",
)
@click.option(
    "--magic/--no-magic",
    "is_magic",
    default=True,
    show_default=True,
    help="Let the last two digits of the destination choose the outcome.",
)
@click.option(
    "--window", "window_slots", default=100, show_default=True, help="Unacknowledged receipts per session."
)
@click.option("--max-binds", default=100, show_default=True, help="Binds per system_id.")
@click.option("--record-limit", default=2_000_000, show_default=True, help="Segments kept for GET /messages.")
@click.option(
    "--receipt-limit",
    default=1_000_000,
    show_default=True,
    help="Receipts that may wait for their time or a receiver.",
)
@click.option(
    "--receipt-timeout",
    "receipt_timeout_s",
    default=30.0,
    show_default=True,
    help="Seconds until an unacknowledged receipt is sent again.",
)
@click.option(
    "--enquire-link",
    "enquire_link_s",
    default=30.0,
    show_default=True,
    help="Seconds of silence before a probe.",
)
@click.option("--fault", "faults", multiple=True, callback=_read_faults, help=_FAULT_HELP)
@click.option("--timeline", callback=_read_timeline, help=_TIMELINE_HELP)
@click.option("--die-with-parent", is_flag=True, help="End when the parent process ends (Linux).")
def smsc(
    *,
    config: Path | None,
    die_with_parent: bool,
    system_id: tuple[str, ...],
    password: tuple[str, ...],
    **options: Any,
) -> None:
    """Check the options, then serve; the help is `_SMSC_HELP`."""
    from loadtest.parents import die_with_parent as follow_parent
    from loadtest.smsc.service import serve
    from loadtest.smsc.settings import SmscSettings

    del config  # its callback has filled the defaults
    if len(system_id) != len(password):
        raise click.UsageError(f"{len(system_id)} system ids but {len(password)} passwords")
    if options["http_port"] == -1:
        options["http_port"] = None
    try:
        settings = SmscSettings(accounts=dict(zip(system_id, password, strict=True)), **options)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        if die_with_parent:
            follow_parent()
        serve(settings)
    except (ValueError, TypeError) as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        click.echo(f"loadtest smsc: {error}", err=True)
        raise SystemExit(EXIT_INVALID) from None


_HTTP_CARRIER_HELP = """Run a simulated HTTP carrier until SIGTERM.

\b
json      an aggregator's SMS API: POST /sms/2/messages
whatsapp  the WhatsApp Cloud API: POST /v21.0/{phone_number_id}/messages, /media
generic   takes anything and answers a fixed body

\b
Destinations ending in
  01 delivered (read)   02 undeliverable       03 expired           04 no receipt
  05 throttled twice, then taken               06 refused
  07 system error twice, then taken            08 no response
  09 receipt before the response               any other: delivered
"""


def _templates(given: tuple[str, ...]) -> dict[str, Any]:
    from loadtest.http_carrier.settings import Template

    return {"templates": tuple(map(Template.parse, given))} if given else {}


def _phone_number_ids(given: tuple[str, ...]) -> dict[str, Any]:
    pairs = [one.partition("=") for one in given]
    return {"phone_number_ids": {name: number or name for name, _, number in pairs}} if given else {}


@main.command("http-carrier", help=_HTTP_CARRIER_HELP)
@click.option("--kind", type=click.Choice(["json", "whatsapp", "generic"]), default="json", show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8095, show_default=True, help="Port of the carrier; 0 takes a free one.")
@click.option(
    "--control-port",
    default=0,
    show_default=True,
    help="Port of the control API; 0 takes a free one, -1 none.",
)
@click.option("--token", default="token", show_default=True, help="Bearer token that clients must show.")
@click.option("--callback-url", default="", help="Where receipts and replies are posted; none by default.")
@click.option("--secret", default="secret", show_default=True, help="Signs the callbacks.")
@click.option("--verify-token", default="verify", show_default=True, help="Token of the GET verification.")
@click.option("--verify", "verifies_at_start", is_flag=True, help="Verify the callback URL at the start.")
@click.option("--fault", "faults", multiple=True, callback=_read_faults, help=_FAULT_HELP)
@click.option("--timeline", callback=_read_timeline, help=_TIMELINE_HELP)
@click.option("--seed", default=0, show_default=True, help="Seed of every random draw.")
@click.option("--first-message-id", type=int, default=None, help="Number of the first id.")
@click.option("--max-bulk", default=1_000, show_default=True, help="Messages in one request (json).")
@click.option("--record-limit", default=2_000_000, show_default=True, help="Messages kept for GET /messages.")
@click.option(
    "--record-file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Append a JSON line for each message.",
)
@click.option(
    "--template", multiple=True, help="Approved template (whatsapp): name:language[:parameters]; repeat."
)
@click.option("--phone-number-id", multiple=True, help="Phone number (whatsapp): ID=NUMBER; repeat.")
@click.option(
    "--pair-gap", "pair_gap_s", type=float, default=None, help="Seconds between messages to one person."
)
@click.option(
    "--max-unique-recipients", type=int, default=None, help="People the business may write to in 24 h."
)
@click.option("--answer-status", default=200, show_default=True, help="Status of the generic answer.")
@click.option(
    "--answer-body", default='{"id": "{id}"}', show_default=True, help="Body of it; {id} is the message's id."
)
@click.option("--die-with-parent", is_flag=True, help="End when the parent process ends (Linux).")
def http_carrier(
    *,
    die_with_parent: bool,
    template: tuple[str, ...],
    phone_number_id: tuple[str, ...],
    pair_gap_s: float | None,
    max_unique_recipients: int | None,
    answer_status: int,
    answer_body: str,
    **options: Any,
) -> None:
    """Check the options, then serve; the help is `_HTTP_CARRIER_HELP`."""
    from loadtest.http_carrier.service import serve
    from loadtest.http_carrier.settings import GenericSettings, HttpCarrierSettings, WhatsAppSettings
    from loadtest.parents import die_with_parent as follow_parent

    if options["control_port"] == -1:
        options["control_port"] = None
    try:
        whatsapp = WhatsAppSettings(
            pair_gap_s=pair_gap_s,
            max_unique_recipients=max_unique_recipients,
            **_templates(template),
            **_phone_number_ids(phone_number_id),
        )
        generic = GenericSettings(status=answer_status, body=answer_body)
        settings = HttpCarrierSettings(whatsapp=whatsapp, generic=generic, **options)
        if die_with_parent:
            follow_parent()
        serve(settings)
    except (ValueError, TypeError) as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        click.echo(f"loadtest http-carrier: {error}", err=True)
        raise SystemExit(EXIT_INVALID) from None


if __name__ == "__main__":
    main()
