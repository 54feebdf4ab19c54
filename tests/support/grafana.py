"""The shipped dashboards as Grafana would ask for them: every query with its variables put in, and what is wrong with an answer."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.prometheus import Series

BOARDS = tuple(
    sorted((Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards").glob("caudal-*.json"))
)
MOST_SERIES = 60
"""More lines than that nobody reads."""


@dataclass(frozen=True)
class View:
    """What somebody looks at: from, until (Unix seconds), the step between points, and the data source's interval."""

    start: float
    end: float
    step: float
    scrape: float

    @property
    def variables(self) -> dict[str, str]:
        """The variables that Grafana makes: seconds of a range are whole, as it writes them."""
        rate_s = max(self.step + self.scrape, 4 * self.scrape)
        return {
            "__rate_interval": f"{rate_s:g}s" if rate_s >= 1 else f"{rate_s * 1000:g}ms",
            "__interval": f"{self.step:g}s",
            "__range": f"{math.ceil(self.end - self.start)}s",
        }


@dataclass(frozen=True)
class Query:
    """One query of one panel."""

    board: str
    panel: str
    ref: str
    expression: str
    legend: str

    @property
    def name(self) -> str:
        """How a test calls it."""
        return f"{self.board} / {self.panel} / {self.ref}"

    def filled(self, view: View, **chosen: str) -> str:
        """Return the expression with every variable put in; AssertionError for one that nobody knows."""
        expression = self.expression
        for name, value in {**view.variables, **chosen}.items():
            expression = re.sub(rf"\$(?:{name}\b|\{{{name}(?::\w+)?\}})", lambda _, v=value: v, expression)
        assert "$" not in re.sub(r'"\$\d"', "", expression), (
            f"{self.name}: a variable is left in {expression}"
        )
        return expression

    def faults(self, answer: Sequence[Series]) -> list[str]:
        """Return what is wrong with an answer; `empty` alone when there is none."""
        if not answer:
            return ["empty"]
        found = []
        if all(math.isnan(value) for one in answer for _, value in one.points):
            found.append("every value is NaN")
        if len(answer) > MOST_SERIES:
            found.append(f"{len(answer)} series, more than {MOST_SERIES}")
        for label in re.findall(r"\{\{\s*(\w+)\s*\}\}", self.legend):
            if any(label not in one.labels for one in answer):
                found.append(f"the legend's label {label} is missing")
        names = [
            re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda m, o=one: o.labels.get(m[1], ""), self.legend)
            for one in answer
        ]
        if self.legend != "__auto" and len(names) != len(set(names)):
            found.append("two series have one legend")
        return found


def queries() -> Iterator[Query]:
    """Yield every query of every panel."""
    for path in BOARDS:
        board = json.loads(path.read_text())
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                yield Query(
                    board["uid"], panel["title"], target["refId"], target["expr"], target["legendFormat"]
                )


def variables() -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yield (board, variable, the series that its values come from, its definition) of each that asks Prometheus."""
    for path in BOARDS:
        board = json.loads(path.read_text())
        for one in board["templating"]["list"]:
            if one["type"] != "query":
                continue
            asked = one["query"] if isinstance(one["query"], str) else one["query"]["query"]
            found = re.fullmatch(r"label_values\(([^,]+),\s*(\w+)\)", asked)
            assert found, f"{board['uid']}: {asked}"
            assert found[2] == one["name"], f"{board['uid']}: {one['name']} takes its values from {found[2]}"
            yield board["uid"], one["name"], found[1], one
