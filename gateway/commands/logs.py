"""`caudal logs`: let a running gateway log more or less, without a restart."""

import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import click

from gateway.commands.shared import config_option, fail, json_option, load, user_name

_DURATION = re.compile(r"(\d{1,6})(s|m|h|d)")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_ANSWER_S = 15.0

_url_option = click.option(
    "--url",
    default=None,
    help="Admin address of one process, such as http://127.0.0.1:8091; default is `caudal serve` here with its roles.",
)


@click.group()
def logs() -> None:
    """Log more or less, while the gateway runs."""


@logs.command("level")
@config_option
@click.argument("words", nargs=-1, required=True, metavar="[LOGGER] LEVEL")
@click.option(
    "--for",
    "duration",
    default=None,
    metavar="10m",
    help="Until then; default is until the process ends.",
)
@_url_option
@json_option
def logs_level(
    config_path: Path | None,
    words: tuple[str, ...],
    duration: str | None,
    url: str | None,
    as_json: bool,  # noqa: FBT001 - click passes flags by name
) -> None:
    """Set the least LEVEL that is logged: debug, info, warning or error; `default` ends what was set.

    LOGGER is the first word of events, such as `bind` of bind.changed; without it the level is for all. What is set
    goes into the audit, outlives reloads, and ends with the process.
    """
    if len(words) > 2:
        raise click.UsageError(f"{len(words)} words, expected [LOGGER] LEVEL")
    told = {
        "level": words[-1],
        "logger": words[0] if len(words) == 2 else "",
        "for_s": _seconds(duration),
        "actor": f"cli:{user_name()}",
    }
    _print(_ask(url or _address(config_path), told), as_json=as_json)


@logs.command("show")
@config_option
@_url_option
@json_option
def logs_show(config_path: Path | None, url: str | None, as_json: bool) -> None:  # noqa: FBT001 - click passes flags by name
    """Show the level of `caudal serve`, or of the process at --url, and what was set beside it."""
    _print({"process": _ask(url or _address(config_path), None)}, as_json=as_json)


def _seconds(duration: str | None) -> int | None:
    if duration is None:
        return None
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise click.UsageError(f"--for {duration!r} is not a number with s, m, h or d, such as 10m")
    return int(found[1]) * _UNIT_S[found[2]]


def _address(config_path: Path | None) -> str:
    """Return the admin address of the supervisor that runs on this configuration's state directory."""
    from gateway.runtime.children import authority
    from gateway.runtime.pidfile import find_supervisor

    settings, _ = load(config_path)
    found = find_supervisor(settings.state_dir)
    port = found.admin_port if found is not None and found.admin_port else settings.admin.port
    if not port:
        fail(f"`caudal serve` does not run on {settings.state_dir}; name a process with --url")
    return f"http://{authority(settings.admin.host, port)}"


def _ask(url: str, told: dict[str, Any] | None) -> dict[str, Any]:
    from gateway.runtime.log_levels import LEVEL_PATH

    if not url.startswith(("http://", "https://")):
        raise click.UsageError(f"--url {url!r} does not begin with http:// or https://")
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked
        url.rstrip("/") + LEVEL_PATH,
        data=None if told is None else json.dumps(told).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        try:
            detail = json.load(error)["error"]
        except (ValueError, KeyError, TypeError):
            detail = str(error)
        fail(str(detail))
    except (OSError, ValueError) as error:
        fail(f"no gateway answers at {url}: {getattr(error, 'reason', error)}")
    return found


def _print(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for name, levels in found.items():
        if "error" in levels:
            click.echo(f"{name}: not told ({levels['error']})", err=True)
            continue
        ordered = ", ".join(
            f"{one['logger'] or 'all'} {one['level']}" + (f" for {one['for_s']} s" if one["for_s"] else "")
            for one in levels["ordered"]
        )
        click.echo(f"{name}: {levels['configured']}" + (f"; ordered: {ordered}" if ordered else ""))
