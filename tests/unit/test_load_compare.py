"""What CI and people do with results: the JUnit file, the comparison of two runs, the commands around both."""

from xml.etree import ElementTree as ET

import msgspec
import pytest
from click.testing import CliRunner

from loadtest.cli import main
from loadtest.report.compare import compare
from loadtest.report.junit import write_junit
from loadtest.results import ProcessCost, read_results
from tests.support.load_results import FIGURES, HOST, Course, made_run, make_results

SHORT = Course(length=8, ramp=2, drain=2, outage=(3, 5), histogram=False)


@pytest.fixture
def run(tmp_path):
    """Return a function that makes results and returns their directory."""
    made = []

    def make(**changes):
        made.append(tmp_path / f"run-{len(made)}")
        return make_results(made[-1], SHORT, **changes)

    return make


def outcomes(first, second, **options):
    found = compare(read_results(first), read_results(second), **options)
    return {change.name: change.outcome for change in found.changes if change.outcome != "same"}, found


def cases(directory):
    suite = ET.parse(write_junit(directory)).getroot().find("testsuite")
    found = {}
    for case in suite.findall("testcase"):
        bad = [child.tag for child in case if child.tag in ("failure", "error")]
        found[case.get("name")] = bad[0] if bad else "passed"
    failures = sum(kind == "failure" for kind in found.values())
    errors = sum(kind == "error" for kind in found.values())
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == tuple(
        str(count) for count in (len(found), failures, errors)
    )
    return found


def test_junit_has_a_case_for_each_promise_one_for_validity_and_one_for_conservation(run):
    found = cases(run())
    assert list(found) == [row.figure for row in made_run(SHORT).promises] + ["validity", "conservation"]
    assert set(found.values()) == {"passed"}


def test_junit_fails_what_was_missed_and_only_that(run):
    found = cases(run(figures={**FIGURES, "accept_p99": 0.3}))
    assert [name for name, kind in found.items() if kind != "passed"] == ["accept_p99"]


def test_junit_tells_an_invalid_run_as_an_error(run):
    found = cases(run(verdict="INVALID", reasons=["The generator was late: p99 80 ms."]))
    assert found["validity"] == "error"


@pytest.mark.parametrize("finding", ["stuck", "invented", "incomplete", "unclaimed", "accepted_twice"])
def test_junit_fails_conservation_where_something_vanished_or_came_from_nowhere(run, finding):
    ledger = {**made_run(SHORT).ledger, finding: {"count": 1, "examples": ["A"]}}
    assert cases(run(ledger=ledger))["conservation"] == "failure"


def test_junit_of_a_killed_run_reconciles_nothing(run):
    assert cases(run(killed=True)) == {"validity": "error", "conservation": "error"}


def test_junit_survives_characters_that_xml_has_not(run):
    directory = run(about="\x00", name="a\x1bb", reasons=["\ufffe & < \x00"], verdict="INVALID")
    assert cases(directory)["validity"] == "error"


def test_the_same_run_has_no_regression(run):
    first = run()
    found, comparison = outcomes(first, first)
    assert found == {}
    assert comparison.is_comparable
    assert comparison.regressions == []


@pytest.mark.parametrize(
    ("figure", "value", "expected"),
    [
        ("submitted_mps_worst_minute", 240.0, "worse"),
        ("submitted_mps_worst_minute", 340.0, "better"),
        ("submitted_mps_worst_minute", 280.0, None),
        ("accept_p99", 0.060, "worse"),
        ("accept_p99", 0.020, "better"),
        ("accept_p99", 0.044, None),
        ("accept_p50", 0.0069, None),  # 13 % more, and less than a millisecond
        ("error_ratio", 0.002, "worse"),
        ("error_ratio", 0.00005, None),
        ("lost", 1.0, "worse"),
        ("recovery_after_event", 14.0, "worse"),
        ("recovery_after_event", None, "gone"),
        ("receipt_p95", 2.0, "new"),
    ],
)
def test_figures_are_judged_in_their_direction(run, figure, value, expected):
    found, comparison = outcomes(run(), run(figures={**FIGURES, figure: value}))
    assert found.get(figure) == expected
    assert [change.name for change in comparison.regressions] == (
        [figure] if expected in ("worse", "gone") else []
    )


def test_below_the_contract_there_is_no_better_and_no_worse(run):
    low, full, over = (run(figures={"contract_worst_second": share}) for share in (0.5, 0.99, 1.2))
    assert outcomes(low, full)[0] == {}
    assert outcomes(full, over)[0] == {"contract_worst_second": "worse"}


def test_one_more_lost_is_a_regression_whatever_the_tolerance(run):
    first, second = (run(figures={**FIGURES, "lost": count}) for count in (100.0, 101.0))
    assert outcomes(first, second, tolerance=5.0)[0] == {"lost": "worse"}


def test_processor_time_is_compared_by_process_and_the_tools_own_is_no_regression(run):
    second = run(
        processes={
            "api": ProcessCost(157.0, 2.6, 192.0),
            "postgres": ProcessCost(78.0, 1.04, 240.0),
            "generator": ProcessCost(24.0, 0.64, 90.0),
            "telco_a": ProcessCost(24.0, 0.64, 70.0),
        }
    )
    found, comparison = outcomes(run(), second)
    assert found == {
        "gateway CPU per 1,000": "worse",
        "process api CPU per 1,000": "worse",
        "process generator CPU per 1,000": "moved",
        "process telco_a CPU per 1,000": "moved",
    }
    assert len(comparison.regressions) == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scenario_digest": "f" * 32, "scenario": {"load": {}}}, "other scenarios"),
        ({"host": msgspec.structs.replace(HOST, cpu_model="Another CPU")}, "other processors"),
        ({"host": msgspec.structs.replace(HOST, cores=8)}, "other numbers of cores: 2 and 8"),
        ({"verdict": "INVALID", "reasons": ["Late."]}, "the second run is INVALID: Late."),
        ({"killed": True}, "the second run is INTERRUPTED"),
    ],
)
def test_runs_that_are_not_of_one_thing_are_not_comparable(run, changes, said):
    _, comparison = outcomes(run(), run(**changes))
    assert not comparison.is_comparable
    assert any(said in doubt for doubt in comparison.doubts)


def test_another_seed_is_another_sample_of_the_same(run):
    first = run(scenario={"scenario": {"name": "x", "seed": 1}}, scenario_digest="a")
    second = run(scenario={"scenario": {"name": "x", "seed": 2}}, scenario_digest="b")
    assert outcomes(first, second)[1].is_comparable


def test_the_command_exits_by_what_it_found(run):
    same, other = run(), run()
    worse, foreign = run(figures={**FIGURES, "accept_p99": 0.09}), run(verdict="INVALID", reasons=["Late."])

    def call(*words):
        return CliRunner().invoke(main, ["compare", *map(str, words)])

    assert call(same, other).exit_code == 0
    found = call(same, worse)
    assert found.exit_code == 1
    assert "accept_p99" in next(line for line in found.output.splitlines() if "REGRESSION" in line)
    assert call(same, worse, "--tolerance", "3").exit_code == 0
    found = call(same, foreign)
    assert found.exit_code == 2
    assert "not comparable: the second run is INVALID" in found.output
    assert "nothing follows from these figures" in found.output
    assert call(same, foreign, "--anyway").exit_code == 0
    answer = msgspec.json.decode(call(same, worse, "--json").output)
    assert answer["regressions"] == ["accept_p99"]
    unjudged = call(foreign, worse).output
    assert "REGRESSION" not in unjudged
    assert "accept_p99" in unjudged
    assert "REGRESSION" in call(foreign, worse, "--anyway").output
    assert call(same, same.parent).exit_code == 2
    assert call(same, same.parent / "nowhere").exit_code == 2


def test_the_report_command_writes_and_names_the_files_and_refuses_other_directories(run, tmp_path):
    directory = run()
    found = CliRunner().invoke(main, ["report", str(directory)])
    assert found.exit_code == 0
    assert found.output.split() == [
        str(directory / name) for name in ("report.html", "junit.xml", "summary.png")
    ]
    (directory / "run.json").write_text("{")
    found = CliRunner().invoke(main, ["report", str(directory)])
    assert found.exit_code == 2
    assert "run.json" in found.output
