"""`loadtest`: the load tool and its carrier simulator. Exit codes: 0 pass, 1 fail, 2 usage, 3 invalid run."""

import tomllib
from pathlib import Path
from typing import Any

import click

EXIT_USAGE = 2
EXIT_INVALID = 3


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Prove what the gateway can carry."""


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
    if isinstance(values.get("errors"), dict):
        values["errors"] = ",".join(f"{name}={share}" for name, share in values["errors"].items())
    context.default_map = {**(context.default_map or {}), **values}
    return path


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
    from loadtest.smsc.service import die_with_parent as follow_parent
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
    except OSError as error:
        click.echo(f"loadtest smsc: {error}", err=True)
        raise SystemExit(EXIT_INVALID) from None


if __name__ == "__main__":
    main()
