"""Pages of the docs that are made from code are what the code makes."""

import runpy
from pathlib import Path

import pytest

from gateway.dispatch.constraints import CONSTRAINTS
from loadtest.promises import FIGURES
from loadtest.scenario import LoadSettings

DOCS = Path(__file__).resolve().parents[2] / "deploy" / "docs"
PAGES = runpy.run_path(str(DOCS / "make_pages.py"))["PAGES"]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_page_is_what_the_code_makes(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run: python deploy/docs/make_pages.py"


def test_the_tables_of_sizes_are_what_their_figures_make() -> None:
    made = runpy.run_path(str(DOCS / "make_sizing.py"))
    text = made["PAGE"].read_text(encoding="utf-8")
    assert made["page"](text) == text, "run: python deploy/docs/make_sizing.py"


def test_the_page_on_carriers_names_every_constraint_as_the_code_does() -> None:
    page = (DOCS / "operating-carriers.md").read_text(encoding="utf-8")
    missing = [name for name, text in CONSTRAINTS.items() if f"| `{name}` | {text} |" not in page]
    assert missing == []


def test_the_page_on_load_tests_names_every_figure_and_every_key_of_a_load() -> None:
    page = (DOCS / "load-tests.md").read_text(encoding="utf-8")
    missing = [name for name, text in FIGURES.items() if f"| `{name}` | {text} |" not in page]
    missing += [key for key in LoadSettings.model_fields if key != "model" and f"`{key}`" not in page]
    assert missing == []
