"""What a load run leaves on disk: written second by second, read back whole, wrong files told by file and line."""

import json

import pytest

from loadtest.results import ResultsError, ResultsWriter, read_results
from tests.support.load_results import Course, made_run, made_seconds, make_results

SHORT = Course(length=12, ramp=3, drain=2, outage=(5, 7))


def test_what_is_written_is_read_back(tmp_path):
    directory = make_results(tmp_path / "run", SHORT)

    found = read_results(directory)

    assert found.is_complete
    assert found.run == made_run(SHORT)
    assert found.seconds == made_seconds(SHORT)
    assert 'name = "carrier-outage"' in found.scenario_text
    assert "listen" in found.gateway_text


def test_each_second_is_on_disk_before_the_next(tmp_path):
    writer = ResultsWriter(tmp_path)
    for count, second in enumerate(made_seconds(SHORT), start=1):
        writer.add(second)
        assert len(read_results(tmp_path).seconds) == count
    writer.close(None)
    with pytest.raises(ValueError, match=r"results\.jsonl is closed"):
        writer.add(second)


def test_a_killed_run_is_interrupted_and_keeps_its_seconds(tmp_path):
    directory = make_results(tmp_path / "run", SHORT, killed=True)
    with (directory / "results.jsonl").open("a") as file:
        file.write('{"t":13.0,"stage":"dr')

    found = read_results(directory)

    assert not found.is_complete
    assert found.run.verdict == "INTERRUPTED"
    assert found.run.name == "carrier-outage"
    assert found.run.duration_s == 12.0
    assert len(found.seconds) == 12
    assert "run.json is missing" in found.run.reasons[0]


def test_results_are_never_written_over(tmp_path):
    directory = make_results(tmp_path / "run", SHORT)
    with pytest.raises(FileExistsError):
        ResultsWriter(directory)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("results.jsonl", "{}\n", r"results\.jsonl:1: Object missing required field `t`"),
        ("results.jsonl", "nonsense\n", r"results\.jsonl:1: "),
        ("results.jsonl", '{"t": "x"}\n', r"results\.jsonl:1: Expected `float`, got `str` - at `\$\.t`"),
        ("run.json", '{"format": 2}', r"run\.json: format 2 is not 1"),
        ("run.json", "[]", r"run\.json: Expected `object`, got `array`"),
        ("run.json", '{"format": 1}', r"run\.json: Object missing required field `name`"),
    ],
)
def test_wrong_files_are_told_by_file_and_line(tmp_path, name, text, said):
    directory = make_results(tmp_path / "run", SHORT)
    (directory / name).write_text(text)
    with pytest.raises(ResultsError, match=said):
        read_results(directory)


def test_the_line_that_is_wrong_is_named(tmp_path):
    directory = make_results(tmp_path / "run", SHORT)
    lines = (directory / "results.jsonl").read_text().splitlines()
    lines[6] = json.dumps({**json.loads(lines[6]), "offered": "many"})
    (directory / "results.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(ResultsError, match=r"results\.jsonl:7: .*\$\.offered"):
        read_results(directory)


def test_a_directory_without_results_is_refused(tmp_path):
    with pytest.raises(ResultsError, match=r"neither run\.json nor results\.jsonl"):
        read_results(tmp_path)
