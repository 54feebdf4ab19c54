"""Every query of every dashboard and every rule, asked of a real Prometheus that watched a gateway through an incident.

The incident is rehearsed: the shipped rules with all windows divided by `SCALE`. The one at full length is
`python -m tests.scenarios incident`; `test_incident.py` replays it.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.architecture.promql import series_named
from tests.architecture.test_observability import ROOT, all_rules
from tests.support import grafana
from tests.support.peers import need_command
from tests.support.prometheus import Prometheus, Series
from tests.support.watched import FIRST, a_prometheus_of, a_watched_gateway

pytestmark = [pytest.mark.peer, pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(300)]

SCALE = 30
SCRAPE_S = 0.5
CALM_S, AFTER_S = 6.0, 4.0
PATIENCE_S = 60.0
POSTS_PER_S = 12.0
DOWN, UNAVAILABLE = "CarrierAllBindsDown", "SloIngressAvailabilityBurnsQuick"

MOVED = "sum(changes(caudal_message_failovers_total[1m])) >= 4"
"""Messages of the carrier that is away went to the other one, and so many scrapes saw it."""

RIGHTLY_EMPTY = {
    "caudal-carriers / Calls of HTTP carriers / A": "both carriers speak SMPP",
}
"""Queries that show nothing in this run, each with its reason; one that does show something must leave the list."""

WITHOUT_SERIES: dict[str, str] = {}
"""The same for series that rules name."""


@dataclass(frozen=True)
class Rehearsal:
    """A Prometheus with the whole incident in it, and when its parts began (Unix seconds)."""

    prometheus: Prometheus
    began: dict[str, float]

    @property
    def view(self) -> grafana.View:
        """All of it, as a dashboard would show it."""
        return grafana.View(self.began["calm"], self.began["end"], step=1.0, scrape=SCRAPE_S)

    async def firing(self, name: str) -> list[Series]:
        """Return the samples of an alert while it fired."""
        span_s = int(self.began["end"] - self.began["calm"]) + 5
        expression = f'ALERTS{{alertname="{name}",alertstate="firing"}}[{span_s}s]'
        return await self.prometheus.query(expression, at=self.began["end"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rehearsal]:
    """Calm, a carrier away, calm, the database stands still, calm; nothing is posted any more when the tests ask."""
    need_command("prometheus", package="prometheus")
    rules = _scaled_rules(tmp_path_factory.mktemp("rules"))
    began: dict[str, float] = {}
    async with a_watched_gateway() as watched:
        watched.start_load(per_s=POSTS_PER_S)
        async with a_prometheus_of(watched, rules=rules, scrape=f"{SCRAPE_S * 1000:.0f}ms") as prometheus:
            began["calm"] = time.time()
            await asyncio.sleep(CALM_S)
            began["outage"] = time.time()
            async with watched.outage():
                await prometheus.until_firing(DOWN, limit_s=PATIENCE_S)
                # A message waits for its carrier for a while before it moves: longer than the scaled alert does.
                await prometheus.until_shown(MOVED, limit_s=PATIENCE_S)
            began["between"] = time.time()
            await prometheus.until_firing(DOWN, limit_s=PATIENCE_S, is_firing=False)
            began["stall"] = time.time()
            async with watched.stall():
                await prometheus.until_firing(UNAVAILABLE, limit_s=PATIENCE_S)
            began["after"] = time.time()
            await asyncio.sleep(AFTER_S)
            began["end"] = time.time()
            await watched.stop_load()
            yield Rehearsal(prometheus, began)


def _scaled_rules(folder: Path) -> list[Path]:
    sys.path.insert(0, str(ROOT / "deploy/slo"))
    try:
        import make_rules
    finally:
        sys.path.pop(0)
    return make_rules.write_scaled(folder, SCALE)


@pytest.mark.asyncio(loop_scope="module")
async def test_every_query_of_every_dashboard_shows_something(rehearsal: Rehearsal) -> None:
    view, wrong, empty = rehearsal.view, {}, set()
    for query in grafana.queries():
        choices = (".*", FIRST) if "$carrier" in query.expression else ("",)
        for choice in choices:
            answer = await rehearsal.prometheus.query_range(
                query.filled(view, carrier=choice), start=view.start, end=view.end, step=view.step
            )
            faults = query.faults(answer)
            if faults == ["empty"]:
                empty.add(query.name)
            elif faults:
                wrong[query.name] = faults
    assert wrong == {}
    assert sorted(empty - RIGHTLY_EMPTY.keys()) == [], "these show nothing"
    assert sorted(RIGHTLY_EMPTY.keys() - empty) == [], "these show something: take them out of the list"


@pytest.mark.asyncio(loop_scope="module")
async def test_variables_of_dashboards_have_values(rehearsal: Rehearsal) -> None:
    found = {}
    for board, name, series, _ in grafana.variables():
        values = await rehearsal.prometheus.get(
            f"v1/label/{name}/values", **{"match[]": series, "start": rehearsal.began["calm"]}
        )
        found[board, name] = values
    assert found == {("caudal-carriers", "carrier"): ["first", "second"]}


@pytest.mark.asyncio(loop_scope="module")
async def test_every_rule_is_evaluated_and_the_series_that_it_names_exist(rehearsal: Rehearsal) -> None:
    prometheus, view = rehearsal.prometheus, rehearsal.view
    loaded = await prometheus.rules()
    assert len(loaded) == len(all_rules())
    assert {rule["name"]: rule["lastError"] for rule in loaded if rule["health"] != "ok"} == {}
    missing: dict[str, str] = {}
    for rule in all_rules():
        for selector in series_named(rule["expr"]):
            if selector not in missing and not await _exists(prometheus, selector, view):
                missing[selector] = rule.get("alert", rule.get("record", ""))
        await prometheus.query(rule["expr"], at=view.end)  # as shipped, with its own windows
        if "record" in rule:
            labels = ",".join(f'{name}="{value}"' for name, value in rule.get("labels", {}).items())
            recorded = f"{rule['record']}{{{labels}}}"
            if not await _exists(prometheus, recorded, view):
                missing[recorded] = "recorded"
    assert {name: used for name, used in missing.items() if name not in WITHOUT_SERIES} == {}
    assert sorted(WITHOUT_SERIES.keys() - missing.keys()) == [], "these exist: take them out of the list"


async def _exists(prometheus: Prometheus, selector: str, view: grafana.View) -> bool:
    span_s = int(view.end - view.start)
    answer = await prometheus.query(f"count(last_over_time({selector}[{span_s}s]))", at=view.end)
    return bool(answer) and answer[0].points[0][1] > 0


@pytest.mark.asyncio(loop_scope="module")
async def test_a_carrier_that_is_away_pages_for_itself_alone_and_ends(rehearsal: Rehearsal) -> None:
    began = rehearsal.began
    during = [
        one
        for one in await rehearsal.firing(DOWN)
        if any(began["outage"] <= at < began["stall"] for at, _ in one.points)
    ]
    assert [one.labels["carrier"] for one in during] == [FIRST]
    ats = [at for at, _ in during[0].points if at < began["stall"]]
    assert ats[0] >= began["outage"] + 60 / SCALE


@pytest.mark.asyncio(loop_scope="module")
async def test_a_database_that_stands_still_pages_for_availability_and_what_went_before_did_not(
    rehearsal: Rehearsal,
) -> None:
    began = rehearsal.began
    (paged,) = await rehearsal.firing(UNAVAILABLE)
    assert paged.labels["severity"] == "page"
    # No sooner than two minutes after the first 503.
    assert paged.points[0][0] >= began["stall"] + 120 / SCALE
