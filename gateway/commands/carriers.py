"""`caudal carriers`: see what carriers do, and order what they shall do, while the gateway runs.

Orders go through the database; dispatch follows within about a second, and every order is in the audit.
"""

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.commands.shared import (
    config_option,
    json_option,
    load,
    print_rows,
    user_name,
    wait_for,
    with_database,
)
from gateway.domain.message import CLASSES
from gateway.ingress.desk import KEEP, MAX_AUDIT, By, Desk, rate_of

_DURATION = re.compile(r"(\d{1,6})(s|m|h|d)")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

_Found = TypeVar("_Found")

_reason_option = click.option("--reason", required=True, help="Why; goes into the audit.")
_for_option = click.option(
    "--for",
    "duration",
    default=None,
    metavar="30m",
    help="The order ends by itself after so many s, m, h or d.",
)
_bind_option = click.option("--bind", default="", help="One bind, such as trx1; default all.")


def _at_the_desk(config_path: Path | None, work: Callable[[Desk], Awaitable[_Found]]) -> _Found:
    """Do something at the desk of the gateway that runs here."""
    from gateway.runtime.carrier_tasks import open_desk

    settings = with_database(load(config_path)[0])

    async def at_desk() -> _Found:
        async with open_desk(settings) as desk:
            return await work(desk)

    found: _Found = wait_for(at_desk)
    return found


def _by(reason: str, duration: str | None = None) -> By:
    from gateway.ports.clock import SystemClock

    expires_at = None
    if duration is not None:
        found = _DURATION.fullmatch(duration)
        if found is None:
            raise click.UsageError(f"--for {duration!r} is not a number with s, m, h or d, such as 30m")
        expires_at = SystemClock().now_ms() + int(found[1]) * _UNIT_MS[found[2]]
    return By(f"cli:{user_name()}", reason, expires_at)


def _show_status(config_path: Path | None, carrier: str, order: Callable[[Desk], Awaitable[Any]]) -> None:
    """Give an order and print one line of what stands now."""

    async def give(desk: Desk) -> dict[str, Any]:
        await order(desk)
        return await desk.carrier(carrier)

    shown = _at_the_desk(config_path, give)
    effective = shown["effective"]
    orders = ", ".join(_order_text(one) for one in shown["orders"]) or "none"
    click.echo(
        f"{carrier}: {shown['status']}, rate {effective['rate']}, window {effective['window']}; orders: {orders}"
    )


def _order_text(order: dict[str, Any]) -> str:
    what = [order["kind"], *(order[key] for key in ("bind", "class", "account", "value") if order.get(key))]
    until = f" until {order['expires_at']}" if order["expires_at"] else ""
    return " ".join(what) + until


@click.group()
def carriers() -> None:
    """Look at carriers and control them at run time."""


@carriers.command("list")
@config_option
@json_option
def carriers_list(config_path: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click passes flags by name
    """Show every carrier as it is now."""
    found = _at_the_desk(config_path, lambda desk: desk.carriers())
    print_rows(found if as_json else [_row(one) for one in found], as_json=as_json)


def _row(carrier: dict[str, Any]) -> dict[str, Any]:
    binds = [bind for shard in carrier["shards"] for bind in shard["binds"]]
    constraints = sorted({str(shard.get("constraint", "")) for shard in carrier["shards"]} - {""})
    return {
        "carrier": carrier["id"],
        "status": carrier["status"],
        "rate": f"{carrier['effective']['rate']} of {carrier['configured']['rate']}",
        "binds": f"{sum(bind.get('state') == 'bound' for bind in binds)}/{len(binds)}",
        "window": f"{_sum(binds, 'window_in_use')}/{_sum(binds, 'window_slots')}",
        "waiting": sum(carrier["held"].values()),
        "submitted": _sum(binds, "submitted_count"),
        "throttled": _sum(binds, "throttled_count"),
        "constraint": ",".join(constraints) or "-",
        "orders": ", ".join(_order_text(order) for order in carrier["orders"]) or "-",
    }


def _sum(binds: list[dict[str, Any]], key: str) -> int:
    return sum(bind.get(key) or 0 for bind in binds)


@carriers.command("show")
@config_option
@click.argument("carrier")
def carriers_show(config_path: Path | None, carrier: str) -> None:
    """Print all that is known of one carrier, as JSON."""
    found = _at_the_desk(config_path, lambda desk: desk.carrier(carrier))
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))


@carriers.command("pause")
@config_option
@click.argument("carrier")
@_reason_option
@_bind_option
@_for_option
def carriers_pause(
    config_path: Path | None, carrier: str, reason: str, bind: str, duration: str | None
) -> None:
    """Stop submitting; sessions stay and receipts are heard."""
    by = _by(reason, duration)
    _show_status(config_path, carrier, lambda desk: desk.pause(carrier, bind=bind, by=by))


@carriers.command("resume")
@config_option
@click.argument("carrier")
@_reason_option
@_bind_option
def carriers_resume(config_path: Path | None, carrier: str, reason: str, bind: str) -> None:
    """End the pause of one bind, or every pause and the drain."""
    by = _by(reason)
    _show_status(config_path, carrier, lambda desk: desk.resume(carrier, bind=bind, by=by))


@carriers.command("drain")
@config_option
@click.argument("carrier")
@_reason_option
@_for_option
def carriers_drain(config_path: Path | None, carrier: str, reason: str, duration: str | None) -> None:
    """Let the windows empty, unbind and stay away until resumed."""
    by = _by(reason, duration)
    _show_status(config_path, carrier, lambda desk: desk.drain(carrier, by=by))


@carriers.command("reconnect")
@config_option
@click.argument("carrier")
@_reason_option
@_bind_option
def carriers_reconnect(config_path: Path | None, carrier: str, reason: str, bind: str) -> None:
    """Bind one bind, or each in turn, anew."""
    by = _by(reason)
    _show_status(config_path, carrier, lambda desk: desk.reconnect(carrier, bind=bind, by=by))


@carriers.command("set")
@config_option
@click.argument("carrier")
@click.option(
    "--mps", default=None, help="Segments per second, such as 80 or 80/s; at most the configured rate."
)
@click.option("--window", type=int, default=None, help="Unanswered submits on one bind.")
@_reason_option
@_for_option
def carriers_set(
    config_path: Path | None,
    carrier: str,
    mps: str | None,
    window: int | None,
    reason: str,
    duration: str | None,
) -> None:
    """Override rate, window or both."""
    if mps is None and window is None:
        raise click.UsageError("give --mps, --window or both")
    by = _by(reason, duration)
    rate = KEEP if mps is None else rate_of(mps)
    _show_status(
        config_path,
        carrier,
        lambda desk: desk.limit(carrier, rate=rate, window=KEEP if window is None else window, by=by),
    )


@carriers.command("unset")
@config_option
@click.argument("carrier")
@click.option("--mps", "of_rate", is_flag=True, help="Only the rate.")
@click.option("--window", "of_window", is_flag=True, help="Only the window.")
@_reason_option
def carriers_unset(
    config_path: Path | None,
    carrier: str,
    of_rate: bool,  # noqa: FBT001 - click passes flags by name
    of_window: bool,  # noqa: FBT001 - click passes flags by name
    reason: str,
) -> None:
    """Go back to the configured rate and window."""
    by = _by(reason)
    both = of_rate == of_window
    rate = None if both or of_rate else KEEP
    window = None if both or of_window else KEEP
    _show_status(config_path, carrier, lambda desk: desk.limit(carrier, rate=rate, window=window, by=by))


@carriers.command("hold")
@config_option
@click.option(
    "--class",
    "message_class",
    type=click.Choice([name.value for name in CLASSES]),
    default=None,
    help="Hold this class.",
)
@click.option("--account", default=None, help="Hold this account.")
@click.option("--carrier", default="", help="Only at this carrier; default at all.")
@_reason_option
@_for_option
def carriers_hold(
    config_path: Path | None,
    message_class: str | None,
    account: str | None,
    carrier: str,
    reason: str,
    duration: str | None,
) -> None:
    """Let the messages of a class or an account wait."""
    by = _by(reason, duration)
    hold = _at_the_desk(
        config_path,
        lambda desk: desk.hold(
            carrier=carrier, message_class=message_class or "", account=account or "", by=by
        ),
    )
    click.echo(f"{hold['id']}: {_hold_text(hold)} waits; `caudal carriers release {hold['id']}` ends it")


@carriers.command("holds")
@config_option
@json_option
def carriers_holds(config_path: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click passes flags by name
    """List the holds that stand."""
    print_rows(_at_the_desk(config_path, lambda desk: desk.holds()), as_json=as_json)


@carriers.command("release")
@config_option
@click.argument("hold_id")
@_reason_option
def carriers_release(config_path: Path | None, hold_id: str, reason: str) -> None:
    """End a hold by its id (see `caudal carriers holds`)."""
    by = _by(reason)
    hold = _at_the_desk(config_path, lambda desk: desk.release(hold_id, by=by))
    click.echo(f"{hold['id']}: {_hold_text(hold)} goes on")


def _hold_text(hold: dict[str, Any]) -> str:
    what = f"class {hold['class']}" if hold["class"] else f"account {hold['account']}"
    return f"{what} at {hold['carrier'] or 'all carriers'}"


@carriers.command("audit")
@config_option
@json_option
@click.option("--limit", type=click.IntRange(1, MAX_AUDIT), default=50, show_default=True, help="Most lines.")
def carriers_audit(config_path: Path | None, as_json: bool, limit: int) -> None:  # noqa: FBT001 - click passes flags by name
    """Show who ordered what, when and why, the newest first."""
    found, _ = _at_the_desk(config_path, lambda desk: desk.audit(before_id=None, limit=limit))
    if not as_json:
        found = [line | {"detail": json.dumps(line["detail"], ensure_ascii=False)} for line in found]
    print_rows(found, as_json=as_json)
