"""`loadtest run`: one scenario from start to verdict, with its results and reports on disk."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from rich.console import Console

from loadtest.delays import parse_duration_ns
from loadtest.report.live import LiveView, Totals
from loadtest.results import (
    GATEWAY_FILE,
    SCENARIO_FILE,
    HostFacts,
    ResultsWriter,
    Run,
    Second,
    Verdict,
)
from loadtest.running.bench import Bench, Target
from loadtest.running.children import ChildError
from loadtest.running.events import check_faults, check_parts
from loadtest.running.gateway import GatewayError, OwnGateway
from loadtest.running.load import DEFAULT_OPEN
from loadtest.running.measured import Measured
from loadtest.running.one_load import OneLoad
from loadtest.running.outcome import make_run
from loadtest.running.usage import host_facts
from loadtest.scenario import Scenario

EXIT_CODES: Final[dict[Verdict, int]] = {"PASS": 0, "FAIL": 1, "INVALID": 3, "INTERRUPTED": 130}
EXIT_USAGE: Final = 2


@dataclass(frozen=True)
class Options:
    """How a scenario is run. `source_text` is the scenario as written, `max_open` the most requests without answer."""

    out: Path
    source_text: str
    target: Target = field(default_factory=Target)
    overrides: Sequence[str] = ()
    keeps: bool = False
    max_open: int = DEFAULT_OPEN


class Interrupts:
    """SIGINT and SIGTERM as an event while a load is on; a second one, or one before, ends the work where it is."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.has_load = False
        self._task: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    def _hear(self) -> None:
        if self._task is not None and (self.event.is_set() or not self.has_load):
            self._task.cancel()
        self.event.set()


def check(scenario: Scenario, target: Target) -> None:
    """Raise ScenarioError for what can be known to be wrong before anything runs."""
    check_faults(scenario)
    check_parts(scenario, is_ours=target.is_ours, simulators=target.simulators)


def new_directory(out: Path, name: str) -> Path:
    """Make and return the directory of a run; two runs of one second do not share one."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    for attempt in range(100):
        directory = out / (f"{name}-{stamp}" if not attempt else f"{name}-{stamp}-{attempt + 1}")
        with contextlib.suppress(FileExistsError):
            directory.mkdir(parents=True)
            return directory
    raise FileExistsError(f"{out}: a hundred runs of {name} in one second")


def expected_segments(scenario: Scenario) -> int:
    """Return how many segments the carriers will see."""
    load = scenario.load
    return int((load.load().messages + load.waiting) * load.text.segments_per_message)


@contextlib.asynccontextmanager
async def a_bench(scenario: Scenario, options: Options, directory: Path) -> AsyncIterator[Bench]:
    """Run everything around a load, and write down how the gateway was configured."""
    async with Bench(
        scenario,
        options.target,
        log_path=directory / "gateway.log",
        keeps=options.keeps,
        expected=expected_segments(scenario),
    ) as bench:
        if isinstance(bench.gateway, OwnGateway):
            text = bench.gateway.masked_settings
            (directory / GATEWAY_FILE).write_text(text, encoding="utf-8")
        yield bench


async def run_scenario(scenario: Scenario, options: Options, console: Console) -> tuple[Path, Run]:
    """Run a scenario and leave its results; return where they are, and the outcome. Raises OSError."""
    directory = new_directory(options.out, scenario.scenario.name)
    (directory / SCENARIO_FILE).write_text(options.source_text, encoding="utf-8")
    drain_s = parse_duration_ns(scenario.load.drain) / 1e9
    live = LiveView(scenario, console, scenario.load.load().duration_s + drain_s)
    with ResultsWriter(directory) as writer, Interrupts() as interrupts:

        def on_second(second: Second, totals: Totals) -> None:
            writer.add(second)
            live.update(second, totals)

        console.print(f"{scenario.scenario.name}: starting; results in {directory}", highlight=False)
        folder: Path | None = None
        try:
            async with a_bench(scenario, options, directory) as bench:
                folder = bench.folder
                interrupts.has_load = True
                load = OneLoad(
                    bench,
                    scenario,
                    folder=bench.folder,
                    seed=scenario.scenario.seed,
                    max_open=options.max_open,
                )
                with live:
                    found: Measured = await load.run(
                        on_second=on_second,
                        interrupted=interrupts.event,
                        say=lambda text: console.print(text, highlight=False),
                    )
                run = make_run(bench, found, overrides=options.overrides, seed=scenario.scenario.seed)
        except (GatewayError, ChildError) as error:
            run = nothing_ran(scenario, options, "INVALID", str(error))
        except asyncio.CancelledError:
            run = nothing_ran(scenario, options, "INTERRUPTED", "The run was interrupted.")
        writer.close(run)
        if options.keeps and options.target.is_ours:
            console.print(f"the gateway's folder is kept: {folder}", highlight=False, soft_wrap=True)
    return directory, run


def nothing_ran(scenario: Scenario, options: Options, said: Verdict, reason: str) -> Run:
    """Return the outcome of a run that did not come to its load."""
    facts: HostFacts = host_facts(load_before=None, load_after=None, gateway_version=None, config_digest=None)
    return Run(
        name=scenario.scenario.name,
        about=scenario.scenario.about,
        started_at=datetime.now(UTC).isoformat(),
        duration_s=0.0,
        seed=scenario.scenario.seed,
        overrides=list(options.overrides),
        scenario=scenario.model_dump(mode="json", by_alias=True),
        scenario_digest=scenario.digest(),
        target_per_s=scenario.target_per_s,
        verdict=said,
        reasons=[reason],
        host=facts,
    )
