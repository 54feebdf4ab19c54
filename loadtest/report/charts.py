"""A chart of the HTML report: its figure with caption, data table and words for who cannot see it, and its points.

`sections` makes them; `report.js` draws the points with uPlot.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from loadtest.report.markup import Child, Html, el, joined, table
from loadtest.report.points import Values, percentile_curves, rows_of, thinned
from loadtest.report.wording import UNMEASURED, clock_text, count_text, seconds_text
from loadtest.results import EventBand, Latency

Unit = Literal["rate", "count", "ms", "s", "percent"]
_DIGITS: Final = 4
_TABLE_PERCENTILES: Final = (0.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99)


@dataclass(frozen=True, slots=True)
class Line:
    """One series. `colour` is a palette number (0 is grey); `how` is what a row of the data table shows of its seconds."""

    label: str
    values: Values
    colour: int
    is_dashed: bool = False
    how: Literal["mean", "max", "last"] = "mean"


@dataclass(slots=True)
class Charts:
    """The charts of one report. `specs` becomes the JSON that the script reads."""

    times: list[float]
    bands: list[EventBand]
    stages: list[tuple[float, str]]
    specs: list[dict[str, Any]] = field(default_factory=list)

    def over_time(
        self,
        title: str,
        lines: Sequence[Line],
        *,
        unit: Unit,
        note: str = "",
        is_log: bool = False,
        height: int = 260,
        ceiling: float | None = None,
    ) -> Html:
        """Add a chart of seconds and return its figure; without any value it says so instead.

        `ceiling` is a value that the scale always shows.
        """
        there = [line for line in lines if any(value is not None for value in line.values)]
        if not there:
            return _empty(title, note)
        times, values, span = thinned(self.times, [line.values for line in there])
        spec = {
            "kind": "time",
            "unit": unit,
            "log": is_log,
            "height": height,
            "ceiling": ceiling,
            "x": [_short(value, 7) for value in times],
            "bands": [[band.at_s, band.until_s] for band in self.bands],
            "stages": [[at, name] for at, name in self.stages],
        }
        if span > 1:
            note = f"{note} Each {span} seconds are drawn as their lowest and highest value."
        rows, row_span = rows_of(
            self.times, [line.values for line in there], worst=[line.how for line in there]
        )
        heads = ["Time", *(_head(line, row_span) for line in there)]
        body: list[list[Child]] = [
            [clock_text(at), *(value_text(value, unit) for value in found)] for at, found in rows
        ]
        described = "; ".join(_described(line, unit) for line in there)
        return self._figure(title, note, spec, there, values, table(heads, body), described)

    def by_percentile(
        self, title: str, latencies: dict[str, Latency], *, note: str = "", height: int = 300
    ) -> Html:
        """Add a plot of distributions on a scale of nines and return its figure."""
        odds, curves = percentile_curves(latencies)
        if not curves:
            return _empty(title, note)
        lines = [Line(name, values, at) for at, (name, values) in enumerate(curves.items(), start=1)]
        spec = {
            "kind": "nines",
            "unit": "ms",
            "log": True,
            "height": height,
            "x": [_short(value, 7) for value in odds],
        }
        rows: list[list[Child]] = []
        for percentile in _TABLE_PERCENTILES:
            at = _nearest(odds, percentile)
            if at is not None:
                rows.append([f"{percentile:g} %", *(value_text(line.values[at], "ms") for line in lines)])
        described = "; ".join(
            f"{name}: median {seconds_text(latencies[name].p50_s)}, 99th percentile {seconds_text(latencies[name].p99_s)}"
            for name in curves
        )
        heads = ["Percentile", *curves]
        return self._figure(
            title, note, spec, lines, [line.values for line in lines], table(heads, rows), described
        )

    def _figure(
        self,
        title: str,
        note: str,
        spec: dict[str, Any],
        lines: Sequence[Line],
        values: Sequence[Values],
        data: Html,
        described: str,
    ) -> Html:
        number = len(self.specs)
        spec["series"] = [
            {
                "label": line.label,
                "colour": line.colour,
                "dash": line.is_dashed,
                "y": [None if value is None else _short(value) for value in found],
            }
            for line, found in zip(lines, values, strict=True)
        ]
        self.specs.append(spec)
        return el(
            "figure",
            _caption(title, note),
            el(
                "div",
                id=f"chart-{number}",
                class_="plot",
                role="img",
                aria_label=f"{title}. {described}",
                style=f"min-height:{spec['height'] + 40}px",
            ),
            el("details", el("summary", "Data"), el("div", data, class_="scroll", tabindex=0)),
            class_="chart",
        )


def value_text(value: float | None, unit: Unit) -> str:
    """Return a value of a chart with its unit."""
    if value is None:
        return UNMEASURED
    if unit == "ms":
        return seconds_text(value / 1e3)
    if unit == "s":
        return seconds_text(value)
    return f"{count_text(value)} %" if unit == "percent" else count_text(value)


def _head(line: Line, span: int) -> str:
    return line.label if span == 1 else f"{line.label} ({line.how} of {span} s)"


def _described(line: Line, unit: Unit) -> str:
    there = [value for value in line.values if value is not None]
    mean = sum(there) / len(there)
    low, mid, high = (value_text(value, unit) for value in (min(there), mean, max(there)))
    return f"{line.label}: lowest {low}, mean {mid}, highest {high}"


def _nearest(odds: Sequence[float], percentile: float) -> int | None:
    """Return the place on the scale that is nearest to a percentile, None beyond its end."""
    wanted = 1 / (1 - percentile / 100)
    if wanted > odds[-1] * 1.01:
        return None
    return min(range(len(odds)), key=lambda at: abs(odds[at] / wanted - 1))


def _caption(title: str, note: str) -> Html:
    return el("figcaption", el("strong", title), joined(" ", el("span", note)) if note else None)


def _empty(title: str, note: str) -> Html:
    return el(
        "figure", _caption(title, note), el("p", "Not measured in this run.", class_="empty"), class_="chart"
    )


def _short(value: float, digits: int = _DIGITS) -> float:
    """Return a number without digits that no eye can see, whole numbers as such."""
    short = float(f"{value:.{digits}g}") if abs(value) < 10**digits else round(value)
    return int(short) if short == int(short) else short
