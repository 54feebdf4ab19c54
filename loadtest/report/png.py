"""`summary.png`: a run on one picture of 1200 by 800, for a message or a pull request. matplotlib is imported late."""

import os
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from loadtest.report.evidence import finding_count
from loadtest.report.points import Values, column, spread, thinned
from loadtest.report.sections import further_reasons, promise_value, target_text, verdict_sentence
from loadtest.report.wording import change_text, clock_text, count_text, moment_text, seconds_text
from loadtest.results import Results, Run, Verdict, read_results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUMMARY_FILE: Final = "summary.png"
WIDTH, HEIGHT, DPI = 1200, 800, 100
MAX_PROMISES: Final = 14
_INK, _SOFT, _RULE, _BAND = "#1d2125", "#5b6168", "#dcd8d0", "#cf4a1c"
_COLOURS: Final[dict[Verdict, str]] = {
    "PASS": "#0b6e4c",
    "FAIL": "#a8261a",
    "INVALID": "#8a5a00",
    "INTERRUPTED": "#8a5a00",
}
_LINES: Final = (
    ("target", "#8b9097"),
    ("offered", "#1264b0"),
    ("submitted", "#cf4a1c"),
    ("final", "#7846b4"),
)
_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 86_400)
_PERCENTILES: Final = (("p50", "#0b8457"), ("p90", "#1264b0"), ("p99", "#cf4a1c"), ("max", "#7846b4"))


def write_summary_png(directory: Path) -> Path:
    """Write `summary.png` beside the results and return its path. Raises ResultsError, OSError, ImportError."""
    results = read_results(directory)
    _keep_caches_out_of_home()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor="#fdfcfa")
    FigureCanvasAgg(figure)
    _heading(figure, results.run)
    _rates(figure.add_axes((0.055, 0.455, 0.555, 0.30)), results)
    _latencies(figure.add_axes((0.055, 0.075, 0.555, 0.27)), results)
    _promises(figure, results.run)
    path = directory / SUMMARY_FILE
    draft = path.with_suffix(".png.part")
    figure.savefig(draft, format="png", dpi=DPI, metadata={"Software": None})
    draft.replace(path)
    return path


def _keep_caches_out_of_home() -> None:
    """Let matplotlib keep its font cache in a directory of this user among temporary files, unless one is set."""
    if os.environ.get("MPLCONFIGDIR"):
        return
    room = Path(tempfile.gettempdir()) / f"loadtest-matplotlib-{os.getuid()}"
    try:
        room.mkdir(mode=0o700, exist_ok=True)
        facts = room.lstat()
        is_ours = room.is_dir() and not room.is_symlink() and facts.st_uid == os.getuid()
    except OSError:
        is_ours = False
    os.environ["MPLCONFIGDIR"] = str(room) if is_ours else tempfile.mkdtemp(prefix="loadtest-matplotlib-")


def _say(figure: "Figure", x: float, y: float, text: str, **looks: Any) -> None:
    """Write text as it is: a dollar sign of a scenario is no formula."""
    figure.text(x, y, text, parse_math=False, **{"color": _INK, "va": "top", **looks})


def _heading(figure: "Figure", run: Run) -> None:
    colour = _COLOURS[run.verdict]
    _say(figure, 0.03, 0.965, _cut(run.name, 48), fontsize=21, family="serif", weight="bold")
    _say(
        figure, 0.97, 0.965, run.verdict, fontsize=21, family="serif", weight="bold", color=colour, ha="right"
    )
    sentence = verdict_sentence(run)
    _say(figure, 0.03, 0.908, sentence[:1].upper() + sentence[1:], fontsize=12, color=colour)
    told = textwrap.wrap(" ".join(further_reasons(run)), 150)[:2]
    _say(figure, 0.03, 0.876, "\n".join(told), fontsize=9.5, color=_SOFT, linespacing=1.4)
    facts = [
        moment_text(run.started_at) if run.started_at else "",
        f"{seconds_text(run.duration_s)}",
        f"target {count_text(run.target_per_s)} segments/s",
    ]
    facts.append(f"{run.host.cores} cores" if run.host.cores else "")
    _say(figure, 0.97, 0.905, "   ".join(filter(None, facts)), fontsize=9.5, color=_SOFT, ha="right")


def _rates(axes: "Axes", results: Results) -> None:
    seconds = results.seconds
    series = [spread(column(seconds, lambda one, name=name: getattr(one, name))) for name, _ in _LINES]  # type: ignore[misc]
    _draw(axes, results, series, _LINES)
    axes.set_ylim(bottom=0)
    _title(axes, "Messages a second")


def _latencies(axes: "Axes", results: Results) -> None:
    series: list[Values] = [
        [
            None if one.accept is None else max(1e-3, getattr(one.accept, f"{name}_ms"))
            for one in results.seconds
        ]
        for name, _ in _PERCENTILES
    ]
    _draw(axes, results, series, _PERCENTILES)
    if any(value is not None for values in series for value in values):
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(_minor)
    axes.yaxis.set_major_formatter(lambda value, _: seconds_text(value / 1e3))
    _title(axes, "Acceptance, from the intended start")


def _minor(value: float, _: object) -> str:
    """Name 20 and 50 between 10 and 100, so that a plot within one decade has a scale too."""
    return seconds_text(value / 1e3) if f"{value:e}"[0] in "25" else ""


def _draw(axes: "Axes", results: Results, series: list[Values], looks: Sequence[tuple[str, str]]) -> None:
    """Draw lines over time with faults behind them; a gap stays a gap."""
    axes.set_facecolor("#fdfcfa")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_RULE)
    axes.tick_params(which="both", colors=_SOFT, labelsize=8.5, length=0)
    axes.grid(visible=True, color=_RULE, linewidth=0.6)
    axes.xaxis.set_major_formatter(lambda value, _: clock_text(value))
    for event in results.run.events:
        axes.axvspan(event.at_s, max(event.until_s, event.at_s + 0.5), color=_BAND, alpha=0.11, linewidth=0)
    times, values, _ = thinned([second.t for second in results.seconds], series)
    if not times:
        axes.text(0.5, 0.5, "no seconds", transform=axes.transAxes, ha="center", color=_SOFT)
        axes.set_xlim(0, 1)
        return
    axes.set_xlim(0, max(times[-1], 1))
    step = next((one for one in _STEPS_S if times[-1] / one <= 8), _STEPS_S[-1])
    axes.set_xticks(range(0, int(times[-1]) + 1, step))
    for (name, colour), one in zip(looks, values, strict=True):
        drawn = [float("nan") if value is None else value for value in one]
        style = (0, (4, 3)) if name == "target" else "solid"
        label = "submitted (segments)" if name == "submitted" else name
        axes.plot(times, drawn, color=colour, linewidth=1.2, linestyle=style, label=label)
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=len(looks),
        frameon=False,
        fontsize=9,
        labelcolor=_INK,
        handlelength=1.4,
        borderaxespad=0.2,
    )


def _title(axes: "Axes", text: str) -> None:
    axes.set_title(text, loc="left", fontsize=10, color=_INK, pad=7)


def _promises(figure: "Figure", run: Run) -> None:
    _say(figure, 0.645, 0.79, "Promises", fontsize=13, family="serif", weight="bold")
    step = min(0.062, 0.68 / max(1, min(len(run.promises), MAX_PROMISES)))
    for at, row in enumerate(run.promises[:MAX_PROMISES]):
        top = 0.745 - at * step
        colour = _COLOURS["PASS" if row.is_kept else "FAIL"]
        _say(figure, 0.645, top, "✓" if row.is_kept else "✗", fontsize=11, color=colour, weight="bold")
        _say(figure, 0.665, top, _cut(row.figure.replace("_", " "), 30), fontsize=10)
        _say(
            figure,
            0.97,
            top,
            promise_value(row, row.measured),
            fontsize=10,
            weight="bold",
            color=colour,
            ha="right",
        )
        margin = "" if row.margin is None else f"margin {change_text(row.margin)}"
        _say(figure, 0.665, top - 0.024, target_text(row), fontsize=8.5, color=_SOFT)
        _say(figure, 0.97, top - 0.024, margin, fontsize=8.5, color=_SOFT, ha="right")
    end = 0.745 - min(len(run.promises), MAX_PROMISES) * step
    if end > 0.3:
        _account(figure, run)
    if not run.promises:
        _say(figure, 0.645, 0.745, "None were judged.", fontsize=10, color=_SOFT)
    elif len(run.promises) > MAX_PROMISES:
        _say(figure, 0.645, 0.06, f"and {len(run.promises) - MAX_PROMISES} more", fontsize=9, color=_SOFT)


def _account(figure: "Figure", run: Run) -> None:
    """Write conservation and costs where there is room under the promises."""
    counted = [
        (name, finding_count(run.ledger, name))
        for name in ("accepted", "ended", "lost", "duplicated", "stuck")
    ]
    rows = [(name, count_text(count)) for name, count in counted if count is not None]
    cost_s = run.cpu_s_per_1000()
    if cost_s is not None:
        rows.append(("gateway's CPU per 1,000 messages", f"{cost_s:.2f} s"))
    if not rows:
        return
    _say(figure, 0.645, 0.265, "Conservation and cost", fontsize=13, family="serif", weight="bold")
    for at, (name, value) in enumerate(rows):
        _say(figure, 0.645, 0.222 - at * 0.027, name, fontsize=9.5, color=_SOFT)
        _say(figure, 0.97, 0.222 - at * 0.027, value, fontsize=9.5, ha="right")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
