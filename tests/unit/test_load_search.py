"""`find-max`: which rate comes next, and what is said to bind."""

import contextlib
import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from loadtest.results import GeneratorFacts, HostFacts, PromiseRow, Run
from loadtest.running import find_max
from loadtest.running.find_max import Search, Strain, binding, scaled
from loadtest.running.run import Options
from loadtest.scenario import Scenario, read_scenario


def search(
    start: float, highest: float, *, tolerance: float = 0.05, max_steps: int = 30
) -> tuple[Search, list[float]]:
    """Search a gateway that keeps everything up to `highest`."""
    found, tried = Search(start, tolerance=tolerance, max_steps=max_steps), []
    while (rate := found.next_rate()) is not None:
        tried.append(rate)
        found.tell(rate, is_kept=rate <= highest)
    return found, tried


def test_the_rate_grows_by_half_until_one_breaks_and_then_closes_in() -> None:
    found, tried = search(500, 1_000)
    assert tried[:4] == [500, 750, 1125, 938]
    assert found.kept_per_s is not None
    assert found.missed_per_s is not None
    assert found.kept_per_s <= 1_000 < found.missed_per_s <= 1.05 * found.kept_per_s


def test_where_the_first_rate_breaks_the_search_goes_down_and_ends_without_a_rate_at_last() -> None:
    found, tried = search(500, 100)
    assert tried[:4] == [500, 250, 125, 62]
    assert found.kept_per_s is not None
    assert 94 <= found.kept_per_s <= 100
    found, tried = search(20, 0)
    assert found.kept_per_s is None
    assert tried[-1] >= 1


def test_the_number_of_loads_is_bounded() -> None:
    _, tried = search(1, 1e9, max_steps=6)
    assert len(tried) == 6


@given(start=st.floats(1, 5_000), highest=st.floats(1, 100_000), tolerance=st.floats(0.01, 0.5))
def test_the_rate_that_is_found_was_kept_and_the_next_one_broke(
    start: float, highest: float, tolerance: float
) -> None:
    found, tried = search(start, highest, tolerance=tolerance, max_steps=200)
    assert len(tried) == len(set(tried))
    if found.kept_per_s is not None and found.missed_per_s is not None:
        assert found.kept_per_s <= highest < found.missed_per_s


STRAIN = Strain(cpu={"api": 40, "postgres": 50}, busy=0.5, submitted_per_s=500, contract_per_s=1_000)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"submitted_per_s": 990}, "the carriers' contract of 1000"),
        ({"cpu": {"api": 97, "dispatch": 90}}, "the CPU of api (97 %"),
        ({"cpu": {"generator": 97, "api": 50}}, "the load tool itself: the CPU of generator"),
        ({"busy": 0.98}, "the machine: 98%"),
        ({"busy": 0.98, "foreign": 0.6}, "other programs: they had 60%"),
        ({"cpu": {"postgres": 120, "api": 30}}, "postgres (120 %"),
        ({"throttled_ratio": 0.2}, "the carriers throttle: 20.0%"),
        ({"doubts": ["the generator was late"]}, "the generator: the generator was late"),
        ({}, "something waits"),
    ],
)
def test_what_binds_is_what_had_nothing_left(changes: dict[str, object], words: str) -> None:
    assert words in binding(replace(STRAIN, **changes))  # type: ignore[arg-type]  # a table of fields


def test_a_scenario_is_raised_with_all_its_stages_and_keeps_its_carriers() -> None:
    scenario = read_scenario("peak-spike")
    raised = scaled(scenario, 5556)
    assert raised.load.load().peak_per_s == pytest.approx(5556)
    assert raised.target_per_s == pytest.approx(2 * scenario.target_per_s)
    assert raised.load.load().stages[0].rate_per_s == pytest.approx(556)
    assert raised.carrier == scenario.carrier


def folders_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


async def find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, highest: float, sent: int = 1
) -> tuple[int, str, dict[str, Any]]:
    """Search on a bench that is made of paper: every rate up to `highest` is kept."""

    @contextlib.asynccontextmanager
    async def paper_bench(*_: object) -> AsyncIterator[Any]:
        yield SimpleNamespace(carriers=[], folder=tmp_path)

    class PaperLoad:
        def __init__(self, _: object, scenario: Scenario, **more: object) -> None:
            self.scenario = scenario

        async def run(self, **_: object) -> Scenario:
            return self.scenario

    def paper_run(_: object, scenario: Scenario, **more: object) -> Run:
        rate = scenario.load.load().peak_per_s
        row = PromiseRow("accept_p99", "", "<= 1s", 1.0, rate / highest, rate <= highest)
        return Run(
            name="paper",
            started_at="",
            duration_s=1.0,
            seed=1,
            scenario_digest="",
            target_per_s=rate,
            verdict="PASS" if row.is_kept else "FAIL",
            reasons=["all kept" if row.is_kept else "accept_p99 was missed"],
            promises=[row],
            figures={"accept_p99": row.measured},
            generator=GeneratorFacts(sent=sent),
            host=HostFacts(cores=2),
        )

    monkeypatch.setattr(find_max, "a_bench", paper_bench)
    monkeypatch.setattr(find_max, "OneLoad", PaperLoad)
    monkeypatch.setattr(find_max, "make_run", paper_run)
    monkeypatch.setattr(find_max, "strain_of", lambda *_: replace(STRAIN, cpu={"api": 97.0}))
    console = Console(file=io.StringIO(), width=200)
    options = Options(out=tmp_path, source_text="")
    code = await find_max.find_maximum(
        read_scenario("find-max"), options, console, tolerance=0.05, max_steps=20
    )
    (directory,) = folders_in(tmp_path)
    return code, console.file.getvalue(), json.loads((directory / "find-max.json").read_text())


async def test_the_search_prints_its_steps_the_highest_rate_and_what_binds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said, result = await find(tmp_path, monkeypatch, highest=1_000)
    assert code == 0
    assert "1125/s  missed accept_p99" in said
    assert f"max sustainable: {result['max_per_s']:g} messages a second, broken at" in said
    assert "what binds: the CPU of api" in said
    assert 950 <= result["max_per_s"] <= 1_000
    assert [step["rate_per_s"] for step in result["steps"]][:3] == [500, 750, 1125]
    (directory,) = folders_in(tmp_path)
    folders = [path.name for path in folders_in(directory)]
    assert folders[:3] == ["01-500", "02-750", "03-1125"]


async def test_no_rate_that_is_kept_fails_and_nothing_sent_is_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    code, said, result = await find(tmp_path / "a", monkeypatch, highest=0.1)
    assert (code, result["max_per_s"]) == (1, None)
    assert "no rate kept the promises; what binds: the CPU of api" in said
    code, said, _ = await find(tmp_path / "b", monkeypatch, highest=1_000, sent=0)
    assert code == 3
    assert said.startswith("INVALID: all kept")
