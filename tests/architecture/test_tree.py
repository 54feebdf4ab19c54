"""The shape of the tree: sizes, docs that cannot drift, nothing left undone."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
from pydantic import BaseModel

from gateway.settings import Settings, load_settings
from gateway.telemetry.metrics import CATALOGUE

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gateway", "adapters", "throttling", "dlr", "loadtest")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
# Longer on purpose, each with its reason.
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}


def tracked_text() -> list[tuple[str, str]]:
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = []
    for name in names.stdout.split():
        path = ROOT / name
        if path.is_file() and path.suffix in {
            ".py",
            ".md",
            ".toml",
            ".sh",
            ".sql",
            ".txt",
            ".yaml",
            ".json",
            ".js",
            "",
        }:
            found.append((name, path.read_text(encoding="utf-8", errors="replace")))
    return found


def test_files_stay_below_the_soft_limit() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in SOURCES
        if (count := len(path.read_text().splitlines())) > MAX_FILE_LINES
    }
    assert set(long) == set(LONG_FILES), long


def test_functions_stay_below_the_soft_limit() -> None:
    long = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                lines = node.end_lineno - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = lines
    assert set(long) == set(LONG_FUNCTIONS), long


def test_every_task_has_a_name() -> None:
    unnamed = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "create_task"
            ) and not any(keyword.arg == "name" for keyword in node.keywords):
                unnamed.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert unnamed == []


def test_wall_and_monotonic_time_come_from_the_clock_port() -> None:
    allowed = {"gateway/ports/clock.py", "gateway/store/embedded.py", "gateway/runtime/supervisor.py"}
    found = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if path.parts[len(ROOT.parts)] != "loadtest"
        and re.search(r"\btime\.(time|time_ns|monotonic|monotonic_ns)\(", path.read_text())
    ]
    assert set(found) <= allowed, found


def test_packages_are_listed() -> None:
    import tomllib

    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    there = {".".join(path.parent.relative_to(ROOT).parts) for path in SOURCES if path.name == "__init__.py"}
    assert listed == there


def _described(model: type[BaseModel], seen: set[type[BaseModel]]) -> list[str]:
    if model in seen:
        return []
    seen.add(model)
    missing = []
    for name, field in model.model_fields.items():
        if not field.description:
            missing.append(f"{model.__name__}.{name}")
        for inner in re.findall(r"gateway\.settings\.\w+\.(\w+)", str(field.annotation)):
            import gateway.settings

            kind = getattr(gateway.settings, inner)
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                missing += _described(kind, seen)
    return missing


def test_every_setting_is_described() -> None:
    assert _described(Settings, set()) == []


def test_the_example_configuration_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELCO_A_PASSWORD", "secret")
    settings, _ = load_settings(ROOT / "caudal.example.toml")
    assert settings.carriers["telco_a"].resolved_password() == "secret"
    assert settings.carriers["telco_a"].rate == "100/s"


def test_metric_names_follow_the_rules() -> None:
    for name, spec in CATALOGUE.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]+", name)
        assert (spec.kind == "counter") == name.endswith("_total"), name
        assert (spec.kind == "histogram") == bool(spec.buckets), name
        assert not set(spec.labels) & {"account", "message_id", "recipient", "sender"}, name


def test_nothing_is_left_undone_and_no_host_of_a_registry_is_named() -> None:
    marks = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX|NotImplemented" + r"Error)\b")
    hosts = re.compile(r"://[^/\s]*(py" + r"pi|npm" + r"js|registry\.|mav" + r"en)")
    bad = [
        name
        for name, text in tracked_text()
        if name != "tests/architecture/test_tree.py" and (marks.search(text) or hosts.search(text))
    ]
    assert bad == []


def test_every_decision_record_has_its_parts() -> None:
    records = sorted((ROOT / "deploy/docs/decisions").glob("*.md"))
    assert len(records) >= 15
    for record in records:
        text = record.read_text()
        assert all(part in text for part in ("Status:", "## Context", "## Decision", "## Consequences")), (
            record.name
        )
