"""`caudal reports`: what was sent, how much of it arrived, how fast, and what it cost; by day, week or month."""

import json
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click

from gateway.commands.shared import config_option, fail, json_option, load, wait_for, with_database

_DIMENSIONS = ("account", "campaign", "carrier", "channel", "class", "country")
_COLUMNS = (
    ("messages", "messages"),
    ("segments", "segments"),
    ("delivered", "delivered"),
    ("open", "open"),
    ("ratio", "of final"),
    ("submit", "submit p95"),
    ("receipt", "receipt p95"),
    ("sla", "SLA"),
    ("replies", "replies"),
    ("cost", "cost"),
)
_PIPE_WIDTH = 240
_OPEN = ("scheduled", "queued", "submitted")


@click.command("reports")
@config_option
@json_option
@click.argument("period", type=click.Choice(["day", "week", "month"]))
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), default=None, help="First day.")
@click.option(
    "--to", "last", type=click.DateTime(["%Y-%m-%d"]), default=None, help="Last day, included; default today."
)
@click.option("--tz", default="UTC", show_default=True, help="Time zone that days begin in.")
@click.option(
    "--by", "group_by", default="", help=f"Any of {', '.join(_DIMENSIONS)}, with commas between them."
)
@click.option("--account", default=None, help="Only this account; default all.")
@click.option("--campaign", default=None, help="Only this campaign.")
@click.option("--carrier", default=None, help="Only this carrier.")
@click.option("--channel", default=None, help="Only this channel.")
@click.option("--class", "message_class", default=None, help="Only this class.")
@click.option("--country", default=None, help="Only this country, as MX.")
@click.option("--csv", "csv_path", type=click.Path(path_type=Path, dir_okay=False), help="Write a CSV file.")
def reports(
    config_path: Path | None,
    as_json: bool,  # noqa: FBT001 - click passes flags by name
    period: str,
    first: datetime | None,
    last: datetime | None,
    tz: str,
    group_by: str,
    csv_path: Path | None,
    **filters: str | None,
) -> None:
    """Show a report of the last PERIODs; `day`, `week` or `month`."""
    from gateway.reporting.desk import csv_text, report_json
    from gateway.runtime.report_tasks import read_report

    names = [name.strip() for name in group_by.split(",") if name.strip()]
    for name in names:
        if name not in _DIMENSIONS:
            raise click.UsageError(f"--by {name!r} is not one of {', '.join(_DIMENSIONS)}")
    settings = with_database(load(config_path)[0])
    report = wait_for(
        lambda: read_report(
            settings,
            period=period,
            first=_day(first),
            last=_day(last),
            zone=tz,
            group_by=names,
            filters=_given(filters),
        )
    )
    if csv_path is not None:
        try:
            csv_path.write_text(csv_text(report), encoding="utf-8", newline="")
        except OSError as error:
            fail(f"{csv_path}: {error.strerror}")
        click.echo(f"{csv_path}: {len(report.lines)} rows")
    elif as_json:
        click.echo(json.dumps(report_json(report), indent=2, ensure_ascii=False))
    else:
        _print(report_json(report))


def _day(at: datetime | None) -> date | None:
    return None if at is None else at.date()


def _given(filters: dict[str, str | None]) -> dict[str, str]:
    given = {name: value for name, value in filters.items() if value is not None}
    if "message_class" in given:
        given["class"] = given.pop("message_class")
    if "country" in given:
        given["country"] = given["country"].upper()
    return given


def _print(report: dict[str, Any]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    title = f"{report['from']} to {report['to']}, {report['tz']}; counted until {report['as_of'] or 'never'}"
    table = Table(title=title, title_justify="left", show_footer=True, header_style="bold", box=SIMPLE_HEAD)
    total = _cells(report["total"])
    table.add_column("period", footer="total", no_wrap=True)
    for name in report["group_by"]:
        table.add_column(name)
    for name, heading in _COLUMNS:
        table.add_column(heading, footer=total[name], justify="right")
    for line in report["data"]:
        # What clients wrote is no markup of ours.
        values = [Text(_plain(value)) for value in line["group"].values()]
        cells = _cells(line)
        table.add_row(line["period"], *values, *[cells[name] for name, _ in _COLUMNS])
    # A pipe has no width of its own; the rich one would cut off what is in the cells.
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(table)


def _plain(value: str | None) -> str:
    return "-" if value is None else "".join(one if one.isprintable() else "?" for one in value)


def _cells(line: dict[str, Any]) -> dict[str, str]:
    return {
        "messages": f"{line['messages']:,}",
        "segments": f"{line['segments']:,}",
        "delivered": f"{line['states']['delivered']:,}",
        "open": f"{sum([line['states'][name] for name in _OPEN]):,}",
        "ratio": _percent(line["delivery_ratio"]),
        "submit": _seconds(line["submit_delay"]["p95_s"]),
        "receipt": _seconds(line["receipt_delay"]["p95_s"]),
        "sla": _percent(line["sla"]["attained"]),
        "replies": f"{line['replies']:,}",
        "cost": f"{line['cost']}{' +' if line['unpriced_segments'] else ''}",
    }


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share * 100:.2f} %"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:g} s"
