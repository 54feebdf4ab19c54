"""Looks at PromQL by its parts: which series a query names, and how each is used. For the tests of rules and boards."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser as promql

_VARIABLES = {"$__rate_interval": "5m", "$__interval": "1m", "$__range": "1h", "$carrier": "telco_a"}


@dataclass(frozen=True)
class Selector:
    """One place where a query names a series. `within` is the function around it, "" for none; `by` all grouping labels."""

    name: str
    labels: tuple[tuple[str, str], ...]
    within: str


def parse(expression: str) -> Any:
    """Return the syntax tree; variables of dashboards are put in first."""
    for variable, value in _VARIABLES.items():
        expression = expression.replace(variable, value)
    return promql.parse(expression)


def selectors(node: Any, within: str = "") -> Iterator[Selector]:
    """Return every selector below `node`."""
    kind = type(node).__name__
    if kind == "VectorSelector":
        matchers = node.matchers.matchers if node.matchers else []
        yield Selector(node.name or "", tuple((one.name, one.value) for one in matchers), within)
    elif kind == "MatrixSelector":
        yield from selectors(node.vector_selector, within)
    elif kind == "Call":
        for argument in node.args:
            yield from selectors(argument, node.func.name)
    elif kind == "AggregateExpr":
        yield from selectors(node.expr, within)
        if node.param is not None:
            yield from selectors(node.param, within)
    elif kind == "BinaryExpr":
        yield from selectors(node.lhs, within)
        yield from selectors(node.rhs, within)
    elif kind in ("ParenExpr", "UnaryExpr", "SubqueryExpr"):
        yield from selectors(node.expr, within)


def grouping(expression: str) -> set[str]:
    """Return every label that the query groups by."""
    found: set[str] = set()
    for labels in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression):
        found |= {label.strip() for label in labels.split(",") if label.strip()}
    return found


def series_named(expression: str) -> set[str]:
    """Return every selector of a query as Prometheus reads it, without its offset and its range."""
    return set(_named(parse(expression)))


def _named(node: Any) -> Iterator[str]:
    if type(node).__name__ == "VectorSelector":
        yield str(node).partition(" offset ")[0]
        return
    for child in ("vector_selector", "expr", "lhs", "rhs", "param"):
        below = getattr(node, child, None)
        if below is not None:
            yield from _named(below)
    for argument in getattr(node, "args", ()):
        yield from _named(argument)
