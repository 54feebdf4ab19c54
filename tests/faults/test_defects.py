"""A load test finds what is wrong with a gateway, and finds nothing where nothing is. All defects: tests/faults/defects.py."""

from pathlib import Path

import pytest

from loadtest.promises import FIGURES
from tests.faults.defects import DEFECTS, Defect, run
from tests.faults.planting import PLANTS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PROMISES = {
    "lost": "0",
    "duplicated": "0",
    "wrong_order": "0",
    "callbacks_missing": "0",
    "error_ratio": "<= 0",
}
EVERYTHING = Defect("everything", PROMISES, hold="2s")


def test_a_sound_gateway_keeps_what_it_promises(tmp_path: Path) -> None:
    found = run(EVERYTHING.scenario(), planted=(), folder=tmp_path)
    assert set(found.promises) == set(PROMISES)
    assert [figure for figure in PROMISES if found.missed(figure)] == [], found.reasons


def test_what_is_lost_doubled_overtaken_untold_and_unanswered_is_found(tmp_path: Path) -> None:
    scenario = Defect("several", PROMISES, hold="2s", drain="4s").scenario()
    planted = ("loses", "doubles", "overtakes", "forgets_callbacks", "crashes")
    found = run(scenario, planted=planted, folder=tmp_path)
    assert [figure for figure in PROMISES if not found.missed(figure)] == [], found.reasons
    assert found.verdict == "FAIL"


def test_every_figure_has_a_defect_that_breaks_it() -> None:
    assert {figure for defect in DEFECTS for figure in defect.breaks} == set(FIGURES)
    assert {defect.name for defect in DEFECTS} == set(PLANTS)
