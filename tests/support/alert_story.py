"""What an incident should set off and when, what did, and the recorded figures in the form that promtool tests rules on.

Times are seconds after the start of the incident. Used by `tests.scenarios.incident`, which lives through it, and by
the test that replays it.
"""

import gzip
import json
import math
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.architecture.promql import series_named
from tests.support.peers import need_command
from tests.support.prometheus import Prometheus, Series

_FIRING = 'ALERTS{alertstate="firing"}'
_PATIENCE_S = 600.0
GRID_S = 15.0
"""The shipped scrape and evaluation interval."""


class Span(NamedTuple):
    """When an alert fired; `end` None when it still did at the end."""

    alert: str
    labels: tuple[tuple[str, str], ...]
    start: float
    end: float | None

    @property
    def name(self) -> str:
        """The alert with what tells it from its like."""
        return _named(self.alert, dict(self.labels))


@dataclass(frozen=True)
class Expected:
    """An alert that should fire once: it begins within `start` and ends within `end` (earliest, latest)."""

    alert: str
    labels: Mapping[str, str]
    start: tuple[float, float]
    end: tuple[float, float]
    why: str

    @property
    def name(self) -> str:
        """The alert with what tells it from its like."""
        return _named(self.alert, self.labels)

    @property
    def key(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """What it is found by."""
        return self.alert, tuple(sorted(self.labels.items()))


def _named(alert: str, labels: Mapping[str, str]) -> str:
    own = ", ".join(labels[key] for key in sorted(labels) if key not in ("severity", "slo"))
    return f"{alert} ({own})" if own else alert


async def fired(prometheus: Prometheus, *, start: float, end: float) -> list[Span]:
    """Return every span in which an alert fired, from the samples that Prometheus wrote of it."""
    span_s = math.ceil(end - start)
    found = []
    for one in await prometheus.query(f"{_FIRING}[{span_s}s]", at=end):
        found += _spans(one, start=start, end=end)
    return sorted(found, key=lambda span: (span.start, span.alert, span.labels))


def _spans(one: Series, *, start: float, end: float) -> Iterable[Span]:
    labels = dict(one.labels)
    for name in ("__name__", "alertstate"):
        labels.pop(name, None)
    alert = labels.pop("alertname")
    key = tuple(sorted(labels.items()))
    ats = [at - start for at, _ in one.points]
    began = ats[0]
    for before, after in zip(ats, [*ats[1:], math.inf], strict=True):
        if after - before > 2.5 * GRID_S:
            is_over = end - start - before > 2.5 * GRID_S
            yield Span(alert, key, began, before + GRID_S if is_over else None)
            began = after


def dumped(spans: Iterable[Span]) -> list[dict[str, Any]]:
    """Return spans as a recording keeps them."""
    return [
        {
            "alert": one.alert,
            "labels": [list(pair) for pair in one.labels],
            "start": round(one.start, 1),
            "end": None if one.end is None else round(one.end, 1),
        }
        for one in spans
    ]


def compare(spans: Sequence[Span], expected: Sequence[Expected]) -> list[str]:
    """Return what differs from the expectation: missing, too early, too late, needless."""
    wrong, seen = [], set()
    wanted = {one.key: one for one in expected}
    for span in spans:
        want = wanted.get((span.alert, span.labels))
        if want is None or want.key in seen:
            wrong.append(f"{span.name} fired at {span.start:.0f} s and should not")
            continue
        seen.add(want.key)
        if not want.start[0] <= span.start <= want.start[1]:
            wrong.append(f"{span.name} fired at {span.start:.0f} s, not within {want.start}")
        if span.end is not None and not want.end[0] <= span.end <= want.end[1]:
            wrong.append(f"{span.name} ended at {span.end:.0f} s, not within {want.end}")
    wrong += [f"{one.name} did not fire" for key, one in wanted.items() if key not in seen]
    return wrong


# -- the figures of an incident --------------------------------------------------------------------------------------


async def record(
    prometheus: Prometheus, *, start: float, end: float, rules: Iterable[Path]
) -> dict[str, list[float | None]]:
    """Return every series of the gateway that the rules name, on a grid of 15 s; clocks begin with the incident."""
    named = set()
    for path in rules:
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                named |= {one for one in series_named(rule["expr"]) if _is_raw(one)}
    found: dict[str, list[float | None]] = {}
    count = int((end - start) // GRID_S) + 1
    for selector in sorted(named):
        answer = await prometheus.query_range(selector, start=start, end=end, step=GRID_S)
        for one in answer:
            values: list[float | None] = [None] * count
            shift = start if "_timestamp_seconds" in selector else 0.0
            for at, value in one.points:
                # A clock of zero says "never": it stays so.
                values[round((at - start) / GRID_S)] = round(value - shift if value else value, 6)
            found[_notation(one.labels)] = values
    return found


def _is_raw(selector: str) -> bool:
    return selector.startswith("caudal_")


def _notation(labels: Mapping[str, str]) -> str:
    inner = ",".join(
        f"{name}={json.dumps(value)}"
        for name, value in sorted(labels.items())
        if name not in ("__name__", "job")
    )
    return f"{labels['__name__']}{{{inner}}}"


def save(path: Path, facts: Mapping[str, Any]) -> None:
    """Write a recording; the same facts give the same octets."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def load(path: Path) -> dict[str, Any]:
    """Read a recording."""
    found: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return found


def replayed(
    series: Mapping[str, Sequence[float | None]], *, rules: Iterable[Path], until: float
) -> list[Span]:
    """Return every span in which an alert of these rules fires over the recorded figures, by promtool.

    promtool is told that nothing fires, at every 15 s; what it finds instead is in its complaints.
    """
    promtool = need_command("promtool", package="prometheus")
    wanted = [
        {"expr": _FIRING, "eval_time": f"{index * GRID_S:.0f}s"} for index in range(int(until // GRID_S) + 1)
    ]
    test = {
        "interval": f"{GRID_S:.0f}s",
        "input_series": [{"series": name, "values": _values(values)} for name, values in series.items()],
        "promql_expr_test": wanted,
    }
    with tempfile.TemporaryDirectory(prefix="cdlreplay") as folder:
        path = Path(folder) / "incident.test.yml"
        content = {
            "rule_files": [str(path) for path in rules],
            "evaluation_interval": f"{GRID_S:.0f}s",
            "tests": [test],
        }
        path.write_text(json.dumps(content))
        done = subprocess.run(
            [promtool, "test", "rules", str(path)],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    said = done.stdout + done.stderr
    assert done.returncode in (0, 1), said[-2000:]
    assert done.returncode == 0 or "got:" in said, said[-2000:]
    ats: dict[tuple[tuple[str, str], ...], list[float]] = {}
    for time, got in re.findall(r"time: (\S+),\s+exp:.*?got:(.*?)(?=\n\s*expr:|\Z)", said, flags=re.DOTALL):
        for labels in re.findall(r"\{__name__=\"ALERTS\"([^}]*)\}", got):
            ats.setdefault(tuple(re.findall(r"(\w+)=\"([^\"]*)\"", labels)), []).append(_seconds(time))
    found: list[Span] = []
    for key, seconds in ats.items():
        found += _spans(Series(dict(key), [(at, 1.0) for at in seconds]), start=0.0, end=until)
    return sorted(found, key=lambda span: (span.start, span.alert, span.labels))


def _seconds(duration: str) -> float:
    units = {"h": 3600, "m": 60, "s": 1}
    return float(sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([hms])", duration)))


def _values(values: Sequence[float | None]) -> str:
    return " ".join("_" if value is None else f"{value:.6f}".rstrip("0").rstrip(".") for value in values)
