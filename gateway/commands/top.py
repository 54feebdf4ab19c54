"""`caudal top`: a live picture of the gateway in the terminal, without Prometheus."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import click

from gateway.commands.shared import config_option, fail, json_option, load


@click.command("top")
@config_option
@json_option
@click.option(
    "--admin", "admin_url", default=None, help="Admin address of the supervisor; default from the settings."
)
@click.option(
    "--every", default=2.0, type=click.FloatRange(0.5, 60), show_default=True, help="Seconds between looks."
)
@click.option("--once", is_flag=True, help="Print one picture and end.")
def top(config_path: Path | None, as_json: bool, admin_url: str | None, every: float, once: bool) -> None:  # noqa: FBT001 - click passes flags by name
    """Show carriers, rates, windows, queues and processes as they are now, until Ctrl-C."""
    from gateway.runtime.top import NothingThereError

    if admin_url is None:
        settings = load(config_path)[0]
        admin_url = f"http://{settings.admin.host}:{settings.admin_port(0)}"
    try:
        asyncio.run(_show(admin_url.rstrip("/"), every=every, once=once, as_json=as_json))
    except NothingThereError as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


async def _show(admin_url: str, *, every: float, once: bool, as_json: bool) -> None:
    from rich.console import Console
    from rich.live import Live

    from gateway.runtime.top import look, picture

    console = Console()
    before = await look(admin_url)
    if once or as_json or not console.is_terminal:
        while True:
            await asyncio.sleep(every)
            now = await look(admin_url)
            found = picture(before, now)
            click.echo(json.dumps(found) if as_json else plain(found))
            before = now
            if once:
                return
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            await asyncio.sleep(every)
            now = await look(admin_url)
            live.update(screen(picture(before, now)), refresh=True)
            before = now


def plain(found: dict[str, Any]) -> str:
    """Return a picture as lines without any colour: what a pipe gets."""
    totals = found["totals"]
    lines = [
        (
            f"accepted {totals['accepted_per_s']:.0f}/s  segments {totals['segments_per_s']:.0f}/s"
            f"  final {totals['final_per_s']:.0f}/s  refused {totals['refused_per_s']:.0f}/s"
            f"  webhooks {totals['webhooks_per_s']:.0f}/s  dead {totals['dead']:.0f}"
            f"  budget used {totals['budget_used']:.1%}"
        )
    ]
    lines += [
        f"carrier {one['carrier']}  {one['state']}  {one['per_s']:.0f}/{one['limit_per_s']:.0f}/s"
        f"  window {one['window_in_use']}/{one['window_size']}  p99 {_seconds(one['response_p99_s'])}"
        f"  throttled {one['throttled_per_s']:.1f}/s  waiting {sum(one['waiting'].values())}"
        for one in found["carriers"]
    ]
    lines += [
        f"queue {one['queue']}  {one['records']}  oldest {_seconds(one['oldest_s'])}"
        for one in found["queues"]
        if one["records"]
    ]
    lines += [
        f"process {one['role']} {one['target']}  cpu {one['cpu']:.0%}  {one['memory_bytes'] / 1e6:.0f} MB"
        f"  loop p99 {_seconds(one['loop_lag_p99_s'])}"
        for one in found["processes"]
    ]
    return "\n".join(lines)


def screen(found: dict[str, Any]) -> Any:
    """Return a picture as tables for a terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    totals = found["totals"]
    head = Text.assemble(
        ("Caudal  ", "bold"),
        f"accepted {totals['accepted_per_s']:,.0f}/s   segments {totals['segments_per_s']:,.0f}/s   ",
        f"final {totals['final_per_s']:,.0f}/s   receipts {totals['receipts_per_s']:,.0f}/s   ",
        f"webhooks {totals['webhooks_per_s']:,.0f}/s ({totals['webhooks_pending']:,.0f} wait)\n",
        (f"refused {totals['refused_per_s']:,.0f}/s   ", "yellow" if totals["refused_per_s"] else "dim"),
        (f"dead {totals['dead']:,.0f}   ", "bold red" if totals["dead"] else "dim"),
        (
            f"error budget used since the start {totals['budget_used']:.1%}",
            "bold red" if totals["budget_used"] > 1 else "green",
        ),
    )
    queues = Table(title="Queues", title_justify="left")
    for column in ("queue", "records", "oldest"):
        queues.add_column(column, justify="left" if column == "queue" else "right")
    for one in found["queues"]:
        if one["records"] or not one["queue"].startswith("lane."):
            queues.add_row(one["queue"], f"{one['records']:,}", _seconds(one["oldest_s"]))
    processes = Table(title="Processes", title_justify="left")
    for column in ("role", "admin port", "cpu", "memory", "loop p99"):
        processes.add_column(column, justify="left" if column in ("role", "admin port") else "right")
    for one in found["processes"]:
        processes.add_row(
            one["role"],
            one["target"],
            f"{one['cpu']:.0%}",
            f"{one['memory_bytes'] / 1e6:,.0f} MB",
            _seconds(one["loop_lag_p99_s"]),
        )
    return Group(head, _carriers(found), queues, processes)


def _carriers(found: dict[str, Any]) -> Any:
    from rich.table import Table
    from rich.text import Text

    carriers = Table(title="Carriers", title_justify="left", expand=True)
    for column in (
        "carrier",
        "state",
        "binds",
        "segments/s",
        "contract",
        "window",
        "p99",
        "throttled/s",
        "breaker",
    ):
        carriers.add_column(column, justify="left" if column in ("carrier", "state", "breaker") else "right")
    for message_class in ("otp", "transactional", "collections", "marketing"):
        carriers.add_column(message_class, justify="right")
    colours = {"up": "green", "degraded": "yellow", "held": "yellow", "down": "bold red"}
    for one in found["carriers"]:
        cut = one["effective_per_s"] < one["limit_per_s"]
        carriers.add_row(
            one["carrier"],
            Text(one["state"], colours[one["state"]]),
            f"{one['binds_up']}/{one['binds']}",
            f"{one['per_s']:,.0f}",
            f"{one['limit_per_s']:,.0f}" + (f" (now {one['effective_per_s']:,.0f})" if cut else ""),
            f"{one['window_in_use']}/{one['window_size']}",
            _seconds(one["response_p99_s"]),
            f"{one['throttled_per_s']:,.1f}",
            Text(one["breaker"], "green" if one["breaker"] == "closed" else "bold red"),
            *(f"{count:,}" for count in one["waiting"].values()),
        )
    return carriers


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.0f} min"
