"""The compliance page says what the tests say."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).resolve().parents[2] / "deploy" / "docs"
# How many rows each section of the domain rules has: a row cannot be left out unseen.
SECTIONS = {"A": 13, "B": 28, "C": 6, "D": 11, "E": 11, "F": 21, "G": 6, "H": 18, "I": 10}


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_compliance", DOCS / "make_compliance.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_its_generator_makes(generator: ModuleType) -> None:
    committed = (DOCS / "compliance.md").read_text("utf-8")
    assert committed == generator.make_page(), "run .venv/bin/python deploy/docs/make_compliance.py"


def test_every_row_of_every_section_is_there(generator: ModuleType) -> None:
    rows = list(generator.load_rows()["rows"])
    assert rows == [f"{letter}{n}" for letter, count in SECTIONS.items() for n in range(1, count + 1)]


def test_a_must_row_is_tested_or_says_why_not(generator: ModuleType) -> None:
    data = generator.load_rows()
    tests = generator.find_tests(data)
    silent = [
        row_id for row_id, row in data["rows"].items() if not tests.get(row_id) and not row.get("reason")
    ]
    assert silent == []


def test_a_row_that_is_not_named_is_not_tested(generator: ModuleType) -> None:
    assert generator.status_of({"level": "MUST"}, []) == "not yet"
    assert generator.status_of({"level": "MUST"}, ["unit/test_x.py::test_a1"]) == "tested"
    assert generator.status_of({"status": "deviation"}, ["unit/test_x.py::test_a1"]) == "deviation"


def test_tests_name_only_rows_that_exist(generator: ModuleType) -> None:
    data = generator.load_rows()
    named = {row for row in generator.find_tests(data) if re.fullmatch(r"[A-I]\d+", row)}
    assert named - set(data["rows"]) == set()
