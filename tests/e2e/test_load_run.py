"""`loadtest run` as a person starts it: one command, a verdict, results on disk, and nothing left behind."""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from loadtest.cli import main
from loadtest.results import read_results

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(400)]

LOADTEST = Path(sys.executable).parent / "loadtest"


def processes_under(folder: Path) -> list[str]:
    """Return the commands of processes that work in a folder, or were told of it."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [process.cwd(), *process.cmdline()]
        except (psutil.Error, OSError):
            continue
        if any(str(folder) in word for word in words):
            found.append(" ".join(words))
    return found


def results_in(folder: Path) -> list[Path]:
    """Return the directories of runs."""
    return list(folder.glob("smoke-*"))


def folders_of_runs(folder: Path) -> list[Path]:
    """Return what runs have left there."""
    return list(folder.glob("cdlload*"))


async def loadtest(*arguments: str, folder: Path) -> tuple[int, str]:
    """Run the command with temporary files in `folder`; return exit code and output."""
    process = await asyncio.create_subprocess_exec(
        str(LOADTEST),
        *arguments,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 380)
    assert process.returncode is not None
    return process.returncode, out.decode()


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder with a short path: the socket of the database is in it."""
    folder = Path(tempfile.mkdtemp(prefix="cdl"))
    yield folder
    shutil.rmtree(folder)


async def test_one_command_proves_a_load_and_leaves_its_results_and_nothing_else(
    scratch: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, said = await loadtest(
        *("run", "smoke", "--out", str(out), "--seed", "7"),
        *("--set", 'load.stages=[{to=50,over="1s"},{hold="5s"}]'),
        *("--set", "load.drain=60s", "--set", "promise.wrong_order=0"),
        *("--set", 'promise.accept_p99="<= 60s"'),
        folder=scratch,
    )
    (directory,) = results_in(out)
    results = read_results(directory)
    run = results.run
    # A machine that others keep busy may make the generator late; the ledger counts all the same.
    assert code in (0, 3), said
    assert run.verdict == {0: "PASS", 3: "INVALID"}[code]
    if code == 3:
        assert "generator" in run.reasons[0], run.reasons
    assert [row.figure for row in run.promises if not row.is_kept] == []

    ledger = run.ledger
    assert ledger["accepted"] == ledger["ended"] == run.generator.sent > 100
    assert ledger["taken_segments"] > ledger["accepted"]  # some texts have several segments
    assert ledger["told"] >= ledger["accepted"]
    findings = {name: value["count"] for name, value in ledger.items() if isinstance(value, dict)}
    assert {name for name, count in findings.items() if count} <= {"callbacks_repeated"}
    assert run.final_states == {"delivered": ledger["accepted"]}
    assert run.carriers["telco_a"].taken == ledger["taken_segments"]
    assert run.latencies["accept"].count == run.generator.requests - run.generator.repeated
    assert run.latencies["receipt"].count == ledger["accepted"]
    assert {"api", "dispatch", "back", "postgres", "generator", "telco_a"} <= set(run.processes)

    assert sum(second.accepted for second in results.seconds) == ledger["accepted"]
    assert {second.stage for second in results.seconds} >= {"ramp to 50/s", "hold 50/s"}
    assert run.seed == 7
    assert len(run.overrides) == 5
    assert '"***"' in (results.gateway_text or "")
    assert "secret" not in (results.gateway_text or "")
    assert (directory / "report.html").stat().st_size > 0
    assert (directory / "junit.xml").stat().st_size > 0

    assert processes_under(scratch) == []
    assert folders_of_runs(scratch) == []


async def test_a_target_that_is_not_there_makes_the_run_invalid(tmp_path: Path) -> None:
    code, said = await loadtest(
        *("run", "smoke", "--out", str(tmp_path), "--target", "http://127.0.0.1:1", "--key", "cdl_live_none"),
        folder=tmp_path,
    )
    assert code == 3, said
    assert "the target http://127.0.0.1:1 cannot be reached" in said
    (directory,) = results_in(tmp_path)
    assert json.loads((directory / "run.json").read_text())["verdict"] == "INVALID"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "no-such-scenario"], "no such file or scenario"),
        (["run", "smoke", "--set", "load.batch=0"], "load.batch"),
        (["run", "smoke", "--set", "carrier.telco_a.errors={ESME_NONE=0.1}"], "ESME_NONE"),
        (["run", "carrier-outage", "--set", 'event=[{at="1s",carrier="telco_a",set={speed=1}}]'], "speed"),
        (["run", "broker-restart", "--set", 'event=[{at="1s",kill="kafka"}]'], "has no Kafka"),
        (["run", "broker-restart", "--target", "http://127.0.0.1:1", "--key", "k"], "not ours to break"),
        (["run", "smoke", "--target", "http://127.0.0.1:1"], "needs --key"),
        (["run", "smoke", "--simulator", "telco_a=http://127.0.0.1:1"], "is for --target"),
        (["run", "smoke", "--target", "127.0.0.1", "--key", "k"], "is not http"),
        (["show", "no-such-scenario"], "shipped: broker-restart"),
        (["validate", "smoke", "--set", "promise.speed=1"], "speed"),
    ],
)
def test_what_cannot_be_run_is_told_with_exit_code_2(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2, result.output
    assert words in result.output


def test_shipped_scenarios_are_listed_shown_and_valid() -> None:
    listed = CliRunner().invoke(main, ["list"])
    assert listed.exit_code == 0
    names = [line.split()[0] for line in listed.output.splitlines()]
    assert len(names) >= 15
    for name in names:
        assert CliRunner().invoke(main, ["show", name]).output.startswith("[scenario]\n")
        for more in ([], ["--quick"]):
            result = CliRunner().invoke(main, ["validate", name, *more])
            assert result.exit_code == 0, result.output
