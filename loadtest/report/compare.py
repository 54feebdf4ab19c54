"""Two runs side by side: every figure, which way it moved, and whether that is a regression. Pure; for `loadtest compare`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from loadtest.promises import FIGURES
from loadtest.report.evidence import finding_count
from loadtest.report.wording import (
    Kind,
    change_text,
    count_text,
    figure_kind,
    figure_text,
    megabytes_text,
    seconds_text,
)
from loadtest.results import Results, Run

DEFAULT_TOLERANCE: Final = 0.1
Better = Literal["lower", "higher", "neither"]
Outcome = Literal["same", "better", "worse", "gone", "new", "moved"]

_NO_DAMAGE: Final = frozenset(
    ("lost", "duplicated", "stuck", "callbacks_missing", "wrong_order", "incomplete", "invented")
)
"""Counts of damage: one more is a regression, whatever the tolerance."""
_LEDGER_ONLY: Final = ("incomplete", "invented")

_FLOORS: Final[dict[Kind | Literal["memory", "cpu"], float]] = {
    "duration": 0.001,
    "share": 0.0001,
    "rate": 0.5,
    "count": 1.0,
    "memory": 8.0,
    "cpu": 0.001,
}
"""Below these differences nothing is said to be worse: they are noise, however large a share."""


@dataclass(frozen=True, slots=True)
class Change:
    """One figure in both runs. `share` is how far the second is from the first as a share of it."""

    name: str
    kind: Kind | Literal["memory", "cpu"]
    better: Better
    first: float | None
    second: float | None
    share: float | None
    outcome: Outcome
    is_regression: bool

    def text(self, value: float | None) -> str:
        """Return one of the values with its unit."""
        if self.kind == "memory":
            return megabytes_text(value)
        if self.kind in ("duration", "cpu"):
            return seconds_text(value)
        return figure_text(self.name, value) if self.name in FIGURES else count_text(value)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs. `doubts` say why they are no two runs of one thing; with any of them nothing follows from `changes`."""

    changes: list[Change]
    doubts: list[str]

    @property
    def regressions(self) -> list[Change]:
        """What is worse than the tolerance allows."""
        return [change for change in self.changes if change.is_regression]

    @property
    def is_comparable(self) -> bool:
        """Whether something follows from it."""
        return not self.doubts


def compare(first: Results, second: Results, *, tolerance: float = DEFAULT_TOLERANCE) -> Comparison:
    """Return the comparison of two runs; a regression is worse by more than `tolerance` as a share of the first."""
    before = {name: (kind, better, value) for name, kind, better, value in _measured(first.run)}
    after = {name: (kind, better, value) for name, kind, better, value in _measured(second.run)}
    promised = {row.figure for row in first.run.promises}
    changes = []
    for name in dict.fromkeys([*before, *after]):
        kind, better, _ = before.get(name) or after[name]
        change = _change(
            name,
            kind,
            better,
            before[name][2] if name in before else None,
            after[name][2] if name in after else None,
            tolerance=tolerance,
            is_promised=name in promised,
        )
        if change is not None:
            changes.append(change)
    return Comparison(changes, [*_doubts(first.run, second.run)])


def _measured(run: Run) -> Iterator[tuple[str, Kind | Literal["memory", "cpu"], Better, float | None]]:
    """Yield every figure of a run with its kind and which way is better."""
    for name, value in run.figures.items():
        kind = figure_kind(name)
        yield name, kind, "higher" if kind == "rate" else "lower", value
    for name in _LEDGER_ONLY:
        yield name, "count", "lower", finding_count(run.ledger, name)
    for name, latency in run.latencies.items():
        for part in ("p50", "p95", "p99", "p999", "max"):
            value = getattr(latency, f"{part}_s")
            yield f"{name} {part}", "duration", "neither" if part in ("p999", "max") else "lower", value
    for name, carrier in run.carriers.items():
        yield f"{name} mean per s", "rate", "higher", carrier.mean_per_s
        yield f"{name} worst second", "rate", "neither", float(carrier.worst_second)
    yield "gateway CPU per 1,000", "cpu", "lower", run.cpu_s_per_1000()
    for name, cost in run.processes.items():
        better: Better = "neither" if run.is_of_tool(name) else "lower"
        yield f"process {name} CPU per 1,000", "cpu", better, cost.cpu_s_per_1000
        yield f"process {name} memory", "memory", better, cost.rss_mb_max
    yield "generator lateness p99", "duration", "neither", run.generator.lateness_p99_s


def _change(
    name: str,
    kind: Kind | Literal["memory", "cpu"],
    better: Better,
    first: float | None,
    second: float | None,
    *,
    tolerance: float,
    is_promised: bool,
) -> Change | None:
    if first is None and second is None:
        return None
    if first is None or second is None:
        outcome: Outcome = "new" if first is None else "gone"
        # A promise that is not measured any more is not kept any more.
        return Change(name, kind, better, first, second, None, outcome, outcome == "gone" and is_promised)
    share = (second - first) / first if first else None
    worse_by = second - first if better == "lower" else first - second
    if name == "contract_worst_second":
        worse_by = max(second, 1.0) - max(first, 1.0)  # below the contract there is no better and no worse
    is_damage = name in _NO_DAMAGE
    allowed = 0.0 if is_damage else max(abs(first) * tolerance, _FLOORS[kind])
    outcome = "same"
    if better == "neither":
        outcome = "moved" if abs(worse_by) > allowed else "same"
    elif worse_by > allowed:
        outcome = "worse"
    elif worse_by < -allowed:
        outcome = "better"
    return Change(name, kind, better, first, second, share, outcome, outcome == "worse")


def _doubts(first: Run, second: Run) -> Iterator[str]:
    """Yield why two runs cannot be compared."""
    for which, run in (("first", first), ("second", second)):
        if run.verdict in ("INVALID", "INTERRUPTED"):
            yield f"the {which} run is {run.verdict}: {' '.join(run.reasons) or 'it proves nothing'}"
    if first.scenario_digest != second.scenario_digest and _subject(first) != _subject(second):
        yield (
            f"other scenarios: {first.name} ({first.scenario_digest or 'no digest'}) and "
            f"{second.name} ({second.scenario_digest or 'no digest'}); overrides count too"
        )
    for what, one, other in (
        ("processors", first.host.cpu_model, second.host.cpu_model),
        ("numbers of cores", str(first.host.cores), str(second.host.cores)),
        ("systems", first.host.platform, second.host.platform),
    ):
        if one != other:
            yield f"other {what}: {one or 'unknown'} and {other or 'unknown'}"


def _subject(run: Run) -> object:
    """Return what was run, without the seed: another seed is another sample of the same."""
    heading = run.scenario.get("scenario")
    if not isinstance(heading, dict):
        return run.scenario_digest
    return {**run.scenario, "scenario": {**heading, "seed": None}}


def told(comparison: Comparison, *, tolerance: float, anyway: bool = False) -> list[str]:
    """Return the comparison as lines of text, what is worse first. Without comparable runs nothing is judged.

    `anyway` judges those too.
    """
    is_judged = comparison.is_comparable or anyway
    order: dict[Outcome, int] = {"worse": 0, "gone": 1, "better": 2, "moved": 3, "new": 4, "same": 5}
    changes = sorted(comparison.changes, key=lambda change: (not change.is_regression, order[change.outcome]))
    rows = [("figure", "first", "second", "change", "")]
    rows += [
        (
            change.name,
            change.text(change.first),
            change.text(change.second),
            change_text(change.share),
            _word(change) if is_judged else "",
        )
        for change in changes
    ]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = [
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}  {row[4]}".rstrip()
        for row in rows
    ]
    count = len(comparison.regressions)
    lines.append("")
    lines += [f"not comparable: {doubt}" for doubt in comparison.doubts]
    if not is_judged:
        lines.append("nothing follows from these figures; --anyway judges them all the same")
    elif count:
        lines.append(f"{count} regression{'' if count == 1 else 's'} beyond {tolerance:.0%}")
    else:
        lines.append(f"no regression beyond {tolerance:.0%}")
    return lines


def _word(change: Change) -> str:
    if change.is_regression:
        return "REGRESSION"
    return "" if change.outcome == "same" else change.outcome
