"""Rules, alerts and dashboards name series that exist, are what their sources make, and behave as their tests say."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from gateway.cli import main as caudal
from gateway.telemetry.metrics import CATALOGUE
from tests.architecture.promql import grouping, parse, selectors

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
GRAFANA = ROOT / "deploy/grafana"
RULES = sorted((PROMETHEUS / "rules").glob("*.rules.yml"))
BOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
GIVEN_BY_SCRAPES = {"job", "instance", "role"}
OF_PROCESSES = {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "up"}


def all_rules() -> list[dict[str, Any]]:
    return [
        rule
        for path in RULES
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in all_rules() if "alert" in rule]


def series() -> dict[str, tuple[str, set[str], tuple[float, ...]]]:
    """Every series by name: its kind, its labels, its bucket edges."""
    found = {
        f"caudal_{name}{suffix}": (
            spec.kind,
            {*spec.labels, *(["le"] if suffix == "_bucket" else [])},
            spec.buckets,
        )
        for name, spec in CATALOGUE.items()
        for suffix in SUFFIXES[spec.kind]
    }
    for rule in all_rules():
        if "record" in rule:
            found[rule["record"]] = ("gauge", {*rule.get("labels", {}), *grouping(rule["expr"])}, ())
    for name in OF_PROCESSES:
        found[name] = ("counter" if name.endswith("_total") else "gauge", set(), ())
    return found


def faults(expression: str, known: dict[str, tuple[str, set[str], tuple[float, ...]]]) -> list[str]:
    """What is wrong with a query, by our rules."""
    found = []
    for one in selectors(parse(expression)):
        if one.name not in known:
            found.append(f"no series {one.name}")
            continue
        kind, labels, buckets = known[one.name]
        for label, value in one.labels:
            if label not in labels | GIVEN_BY_SCRAPES:
                found.append(f"{one.name} has no label {label}")
            if label == "le" and value not in {str(float(edge)) for edge in buckets} | {"+Inf"}:
                found.append(f"{one.name} has no edge {value}")
        counts = kind == "counter" or one.name.endswith(("_bucket", "_count", "_sum"))
        if counts and one.within not in ("rate", "increase"):
            found.append(f"the counter {one.name} stands outside of rate and increase")
        if kind == "gauge" and not counts and one.within in ("rate", "increase"):
            found.append(f"the gauge {one.name} stands inside of {one.within}")
    return found


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("sum(rate(caudal_no_such_total[5m]))", "no series caudal_no_such_total"),
        (
            'sum(rate(caudal_http_requests_total{colour="red"}[5m]))',
            "caudal_http_requests_total has no label colour",
        ),
        (
            'rate(caudal_http_request_duration_seconds_bucket{le="0.11"}[5m])',
            "caudal_http_request_duration_seconds_bucket has no edge 0.11",
        ),
        (
            "caudal_http_requests_total > 5",
            "the counter caudal_http_requests_total stands outside of rate and increase",
        ),
        (
            "increase(caudal_webhook_pending[5m])",
            "the gauge caudal_webhook_pending stands inside of increase",
        ),
    ],
)
def test_the_checker_finds_a_planted_fault(expression: str, fault: str):
    assert faults(expression, series()) == [fault]


def test_rules_name_series_labels_and_edges_that_exist():
    known = series()
    assert {
        rule.get("alert", rule.get("record")): found
        for rule in all_rules()
        if (found := faults(rule["expr"], known))
    } == {}


def test_slo_rules_are_what_the_objectives_make():
    sys.path.insert(0, str(ROOT / "deploy/slo"))
    try:
        import make_rules
    finally:
        sys.path.pop(0)
    assert make_rules.TARGET.read_text() == make_rules.text(), "run `make docs`"


def test_every_alert_says_what_to_do():
    runbook = (ROOT / "deploy/docs/runbook.md").read_text()
    headings = {
        line.removeprefix("## ").strip().lower() for line in runbook.splitlines() if line.startswith("## ")
    }
    boards = [json.loads(path.read_text()) for path in BOARDS]
    panels = {board["uid"]: {panel["title"] for panel in board["panels"]} for board in boards}
    for alert in alerts():
        notes = alert["annotations"]
        page, _, anchor = notes["runbook_url"].partition("#")
        assert page == "deploy/docs/runbook.md"
        assert anchor in headings, f"{alert['alert']}: no section {anchor} in the runbook"
        assert notes["panel"] in panels[notes["dashboard"]], f"{alert['alert']}: no panel {notes['panel']}"
        assert alert["labels"]["severity"] in ("page", "ticket")
    wanted = {alert["annotations"]["runbook_url"].partition("#")[2] for alert in alerts()}
    assert headings == wanted, "a section without an alert, or the other way round"


def test_every_section_of_the_runbook_answers_the_four_questions():
    runbook = (ROOT / "deploy/docs/runbook.md").read_text()
    for section in runbook.split("\n## ")[1:]:
        title = section.splitlines()[0]
        for question in ("**Customers feel**", "**First**", "**Likely**", "**Ends**"):
            assert f"- {question}: " in section, f"{title}: {question} is missing"


def test_commands_of_the_runbook_exist():
    text = (ROOT / "deploy/docs/runbook.md").read_text()
    context = click.Context(caudal)
    for line in re.findall(r"`caudal ([a-z][^`]*)`", text):
        words = line.split()
        group = caudal.get_command(context, words[0])
        assert group is not None, f"no command caudal {words[0]}"
        if isinstance(group, click.Group):
            command = group.get_command(context, words[1])
            assert command is not None, f"no command caudal {words[0]} {words[1]}"
            options = {option for parameter in command.params for option in parameter.opts}
            for word in words[2:]:
                assert not word.startswith("--") or word in options, f"caudal {line}: no option {word}"


def test_dashboards_are_what_their_code_makes():
    made = subprocess.run(
        [
            sys.executable,
            "-c",
            "import json, make_dashboards as m; print(json.dumps({str(p): t for p, t in m.pages().items()}))",
        ],
        cwd=GRAFANA,
        capture_output=True,
        text=True,
        check=True,
    )
    pages = json.loads(made.stdout)
    assert {Path(path).name for path in pages} == {path.name for path in BOARDS}
    for path, text in pages.items():
        assert Path(path).read_text() == text, f"{Path(path).name}: run `make docs`"


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_dashboards_keep_our_rules(path: Path):
    board = json.loads(path.read_text())
    known = series()
    assert board["uid"] == path.stem
    assert board["editable"] is False
    variables = {one["name"] for one in board["templating"]["list"]}
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24, panel["title"]
        assert not cells & taken, f"{panel['title']} lies on another panel"
        taken |= cells
        if panel["type"] == "row":
            continue
        assert panel["title"]
        assert panel["description"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        refs = [target["refId"] for target in panel["targets"]]
        assert len(refs) == len(set(refs)) > 0
        for target in panel["targets"]:
            expression = target["expr"]
            assert faults(expression, known) == [], f"{panel['title']}: {expression}"
            used = set(re.findall(r"\$\{?([a-z][a-z_]*)", expression))
            assert used <= variables | {"datasource"}, f"{panel['title']}: unknown variable in {expression}"
            assert "instance=" not in expression
            legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert legend <= grouping(expression) | {"slo"}, f"{panel['title']}: {target['legendFormat']}"


def test_every_metric_is_on_a_board_or_in_a_rule():
    shown = "".join(path.read_text() for path in (*BOARDS, *RULES))
    hidden = [name for name in CATALOGUE if not re.search(rf"\bcaudal_{name}(_bucket|_count|_sum)?\b", shown)]
    assert hidden == [], "nobody would see these"


def test_provisioning_points_at_what_compose_mounts():
    compose = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    mounts = dict(volume.split(":")[:2] for volume in compose["services"]["grafana"]["volumes"])
    provider = yaml.safe_load((GRAFANA / "provisioning/dashboards/caudal.yaml").read_text())["providers"][0]
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    assert "./grafana/provisioning" in mounts
    source = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yaml").read_text())[
        "datasources"
    ][0]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in compose["services"]


def test_every_cause_alert_has_a_case_with_and_one_without():
    text = "".join(path.read_text() for path in (PROMETHEUS / "tests").glob("*.test.yml"))
    for alert in alerts():
        if alert["alert"].endswith("BurnsSlow"):
            continue  # the same series as its quick twin, over longer windows
        checks = re.findall(rf'alertname="{alert["alert"]}".*?value: (\d)', text)
        assert "1" in checks, f"{alert['alert']}: no case in which it fires"
        slo = alert["alert"].startswith("Slo")
        assert slo or "0" in checks, f"{alert['alert']}: no case in which it keeps silent"


def test_objectives_are_in_the_runbook():
    slos = tomllib.loads((ROOT / "deploy/slo/slos.toml").read_text())["slo"]
    runbook = (ROOT / "deploy/docs/runbook.md").read_text()
    assert [one["name"] for one in slos if f"## slo-{one['name']}\n" not in runbook] == []
