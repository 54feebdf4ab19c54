"""Draws panels of the dashboards as SVG, over a time that a Prometheus has figures of.

    python deploy/docs/make_charts.py --prometheus http://127.0.0.1:9090 --start 1795357000 --end 1795359400 \
        --out deploy/docs/charts --band outage:360:960 --band stall:1320:1680

The queries are those of deploy/grafana/dashboards. Times of bands are seconds after --start. `make docs` does not run
it: what it draws is a run, not the code.
"""

import argparse
import json
import math
import re
import sys
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

DASHBOARDS = Path(__file__).parents[1] / "grafana" / "dashboards"
MOST_LINES = 12
TIMEOUT_S = 30
_UNITS = {"reqps": "per second", "s": "seconds", "percentunit": "share", "short": "", "bytes": "bytes"}
_SEVERITIES = {"page": "#c4162a", "ticket": "#e0a800"}


@dataclass(frozen=True)
class Chart:
    """One file: panels by (dashboard, title), one below the other."""

    name: str
    title: str
    panels: tuple[tuple[str, str], ...] = ()
    alerts: bool = False


CHARTS = (
    Chart(
        "incident-messages",
        "Messages through the gateway",
        (("caudal-sla", "Through the gateway"), ("caudal-carriers", "Segments submitted")),
    ),
    Chart(
        "incident-waiting",
        "What waits, and for how long",
        (
            ("caudal-sla", "Accepted to acknowledged by a carrier, p99"),
            ("caudal-pipeline", "Age of the oldest"),
        ),
    ),
    Chart(
        "incident-alerts",
        "Burn rates and alerts",
        (("caudal-sla", "Burn rate"),),
        alerts=True,
    ),
)


@dataclass
class Source:
    """A Prometheus and the time to draw."""

    url: str
    start: float
    end: float
    step: float = 15.0
    bands: list[tuple[str, float, float]] = field(default_factory=list)

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an expression; SystemExit with its text when Prometheus refuses it."""
        for name, value in {"__rate_interval": "60s", "carrier": ".*"}.items():
            expression = re.sub(rf"\$\{{?{name}\b\}}?", value, expression)
        form = {"query": expression, "start": self.start, "end": self.end, "step": self.step}
        url = f"{self.url}/api/v1/query_range?{urllib.parse.urlencode(form)}"
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - the operator's own address
            body = json.load(answer)
        if body["status"] != "success":
            raise SystemExit(f"{expression}: {body.get('error')}")
        result: list[dict[str, Any]] = body["data"]["result"]
        return result

    def minutes(self, values: Sequence[Sequence[Any]]) -> tuple[list[float], list[float]]:
        """Return minutes after the start and the values; gaps stay gaps."""
        found = {round((float(at) - self.start) / self.step): float(value) for at, value in values}
        count = math.floor((self.end - self.start) / self.step) + 1
        return (
            [index * self.step / 60 for index in range(count)],
            [found.get(index, math.nan) for index in range(count)],
        )


def panel(board: str, title: str) -> dict[str, Any]:
    """Return a panel of a dashboard; SystemExit when there is none of that title."""
    page = json.loads((DASHBOARDS / f"{board}.json").read_text())
    for one in page["panels"]:
        if one["title"] == title and one["type"] != "row":
            found: dict[str, Any] = one
            return found
    raise SystemExit(f"{board} has no panel {title!r}")


def draw(chart: Chart, source: Source, folder: Path) -> Path:
    """Write one file; return its path."""
    count = len(chart.panels) + chart.alerts
    figure, axes = plt.subplots(count, 1, figsize=(10, 3.1 * count), sharex=True, squeeze=False)
    rows = list(axes[:, 0])
    for (board, title), ax in zip(chart.panels, rows, strict=False):
        _lines(ax, panel(board, title), source)
    if chart.alerts:
        _alerts(rows[-1], source)
    for ax in rows:
        for number, (_, start, end) in enumerate(source.bands):
            ax.axvspan(start / 60, end / 60, color=("#d0d7e5", "#ecd9c6")[number % 2], zorder=0, lw=0)
        ax.grid(color="#dddddd", lw=0.5)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    for name, start, end in source.bands:
        at = (start + end) / 120
        rows[0].annotate(
            name,
            (at, 1.0),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="bottom",
            fontsize=8,
            color="#555",
        )
    rows[-1].set_xlabel("minutes")
    rows[-1].set_xlim(0, (source.end - source.start) / 60)
    figure.suptitle(chart.title, fontsize=11, x=0.01, ha="left")
    figure.tight_layout()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{chart.name}.svg"
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    path.write_text("".join(f"{line.rstrip()}\n" for line in path.read_text().splitlines()))
    return path


def _lines(ax: Axes, found: dict[str, Any], source: Source) -> None:
    lines = []
    for target in found["targets"]:
        for one in source.ask(target["expr"]):
            labels = one["metric"]
            legend = re.sub(
                r"\{\{\s*(\w+)\s*\}\}", lambda m, o=labels: o.get(m[1], ""), target["legendFormat"]
            )
            lines.append((legend, *source.minutes(one["values"])))
    # The tallest ones: a chart is not a dashboard, nobody can point at a line.
    lines.sort(key=lambda line: -max((value for value in line[2] if math.isfinite(value)), default=0.0))
    for legend, minutes, values in lines[:MOST_LINES]:
        ax.plot(minutes, values, lw=1.2, label=legend)
    unit = _UNITS.get(found["fieldConfig"]["defaults"]["unit"], "")
    ax.set_title(found["title"], fontsize=9, loc="left", pad=12)
    ax.set_ylabel(unit, fontsize=8)
    ax.set_ylim(bottom=0)
    if lines:
        ax.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)


def _alerts(ax: Axes, source: Source) -> None:
    firing = source.ask('ALERTS{alertstate="firing"}')
    pending = source.ask('ALERTS{alertstate="pending"}')

    def name(one: dict[str, Any]) -> str:
        labels = one["metric"]
        own = [labels[key] for key in ("carrier", "topic", "queue", "table", "role") if key in labels]
        return " ".join([labels["alertname"], *own])

    names = sorted({name(one) for one in firing}, reverse=True)
    for state, width in ((pending, 0.15), (firing, 0.6)):
        for one in state:
            if name(one) not in names:
                continue
            bars = [((float(at) - source.start) / 60, source.step / 60) for at, _ in one["values"]]
            colour = _SEVERITIES.get(one["metric"].get("severity", ""), "#888888")
            ax.broken_barh(_joined(bars), (names.index(name(one)) - width / 2, width), color=colour, lw=0)
    ax.set_yticks(range(len(names)), names, fontsize=7)
    ax.set_ylim(-0.7, max(len(names), 1) - 0.3)
    ax.set_title("Alerts: thin pending, thick firing; red pages, yellow tickets", fontsize=9, loc="left")


def _joined(bars: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for start, width in bars:
        if found and start - (found[-1][0] + found[-1][1]) < width / 2:
            found[-1] = (found[-1][0], start + width - found[-1][0])
        else:
            found.append((start, width))
    return found


def main() -> None:
    """Draw every chart."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prometheus", required=True, help="its address")
    parser.add_argument("--start", type=float, required=True, help="Unix seconds")
    parser.add_argument("--end", type=float, required=True, help="Unix seconds")
    parser.add_argument("--step", type=float, default=15.0, help="seconds between points")
    parser.add_argument("--out", type=Path, required=True, help="folder of the SVG files")
    parser.add_argument("--band", action="append", default=[], help="NAME:FROM:UNTIL to shade, repeatable")
    chosen = parser.parse_args()
    bands = [(name, float(start), float(end)) for name, start, end in (one.split(":") for one in chosen.band)]
    source = Source(chosen.prometheus.rstrip("/"), chosen.start, chosen.end, chosen.step, bands)
    # Text stays text, and the same figures give the same file.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "caudal", "font.family": "sans-serif"})
    for chart in CHARTS:
        sys.stdout.write(f"{draw(chart, source, chosen.out)}\n")


if __name__ == "__main__":
    main()
