"""`loadtest find-max`: the highest rate at which every promise holds, and what stands in the way of a higher one.

`Search` and `binding` are pure. All loads go to one bench, one after the other, each drained before the next.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console

from loadtest.report.live import LiveView, Totals
from loadtest.results import ResultsWriter, Run, Second
from loadtest.running.bench import Bench
from loadtest.running.children import ChildError
from loadtest.running.gateway import GatewayError
from loadtest.running.measured import Measured
from loadtest.running.one_load import OneLoad
from loadtest.running.outcome import cores, make_run
from loadtest.running.run import EXIT_CODES, Interrupts, Options, a_bench, new_directory
from loadtest.running.verdict import MAX_FOREIGN, Conditions, doubts
from loadtest.scenario import Scenario

GROWTH: Final = 1.5
SATURATED: Final = 85.0
"""Percent of a core from which on a process of one thread has nothing left."""
BUSY: Final = 0.95
AT_CONTRACT: Final = 0.97
LOWEST_PER_S: Final = 1.0


class Search:
    """Which rate to try next: up by half until one breaks, then in the middle. Pure."""

    def __init__(self, start_per_s: float, *, tolerance: float, max_steps: int) -> None:
        if start_per_s <= 0:
            raise ValueError(f"rate {start_per_s} is not above 0")
        self._start_per_s = start_per_s
        self._tolerance = tolerance
        self._left = max_steps
        self.kept_per_s: float | None = None
        self.missed_per_s: float | None = None

    def next_rate(self) -> float | None:
        """Return the rate to try, None when the search is over."""
        kept, missed = self.kept_per_s, self.missed_per_s
        if self._left <= 0:
            return None
        if kept is None and missed is None:
            return self._start_per_s
        if missed is None:
            return _whole((kept or 0.0) * GROWTH)
        if kept is None:
            return _whole(missed / 2) if missed / 2 >= LOWEST_PER_S else None
        middle = _whole((kept + missed) / 2)
        is_close = missed <= kept * (1 + self._tolerance)
        return None if is_close or not kept < middle < missed else middle

    def tell(self, rate_per_s: float, *, is_kept: bool) -> None:
        """Note how the load of a rate went."""
        self._left -= 1
        if is_kept:
            self.kept_per_s = max(rate_per_s, self.kept_per_s or 0.0)
        else:
            self.missed_per_s = min(rate_per_s, self.missed_per_s or rate_per_s)


def _whole(rate: float) -> float:
    return float(round(rate)) if rate >= 10 else round(rate, 1)


@dataclass(frozen=True, slots=True)
class Strain:
    """How hard everything worked in one load: percent of a core by process, the machine, the carriers, the generator.

    `busy` is the part of all cores that was used, `foreign` what other programs had of them.
    """

    cpu: Mapping[str, float]
    busy: float
    submitted_per_s: float
    contract_per_s: float
    doubts: Sequence[str] = ()
    throttled_ratio: float = 0.0
    foreign: float = 0.0


def binding(strain: Strain, *, parts: Sequence[str] = ("api", "dispatch", "back")) -> str:
    """Return what stands in the way of a higher rate, in words."""
    if strain.contract_per_s and strain.submitted_per_s >= AT_CONTRACT * strain.contract_per_s:
        return f"the carriers' contract of {strain.contract_per_s:g} segments a second"
    full = {name: share for name, share in strain.cpu.items() if share >= SATURATED and name != "postgres"}
    if full:
        name = max(full, key=full.__getitem__)
        what = f"the CPU of {name}" if name in parts else f"the load tool itself: the CPU of {name}"
        return f"{what} ({full[name]:.0f} % of a core)"
    if strain.busy >= BUSY and strain.foreign > MAX_FOREIGN:
        return f"other programs: they had {strain.foreign:.0%} of the machine's {cores()} cores; measure when it is idle"
    if strain.busy >= BUSY:
        top = sorted(strain.cpu.items(), key=lambda item: -item[1])[:3]
        shares = ", ".join(f"{name} {share:.0f} %" for name, share in top)
        return f"the machine: {strain.busy:.0%} of its {cores()} cores are busy ({shares} of a core)"
    if strain.cpu.get("postgres", 0.0) >= SATURATED:
        return f"postgres ({strain.cpu['postgres']:.0f} % of a core over all its processes)"
    if strain.throttled_ratio > 0.01:
        return f"the carriers throttle: {strain.throttled_ratio:.1%} of the submits"
    if strain.doubts:
        return f"the generator: {strain.doubts[0]}"
    return "no processor: something waits (the disk of postgres, windows, or the carriers' latency)"


def scaled(scenario: Scenario, rate_per_s: float) -> Scenario:
    """Return the scenario with its highest rate at `rate_per_s`, the others in proportion."""
    factor = rate_per_s / scenario.load.load().peak_per_s
    tree = scenario.model_dump(mode="json", by_alias=True, exclude_unset=True)
    for stage in tree["load"]["stages"]:
        if stage.get("to"):
            stage["to"] *= factor
    return Scenario.model_validate(tree)


def strain_of(found: Measured, seconds: Sequence[Second]) -> Strain:
    """Return how hard everything worked while the load was on."""
    shown = [one for one in seconds if one.t <= found.load.duration_s + 1 and one.stage.startswith("hold")]
    names = {name for one in shown for name in one.cpu}
    cpu = {name: sum(one.cpu.get(name, 0.0) for one in shown) / len(shown) for name in names}
    late = found.account.lateness_s
    conditions = Conditions(found.account.offered, found.account.sent, late[1] if late else None)
    submitted = sum(one.submitted for one in shown) / len(shown) if shown else 0.0
    return Strain(
        cpu=cpu,
        busy=found.watch.busy,
        submitted_per_s=submitted,
        contract_per_s=sum(one.limit or one.mps for one in found.scenario.carrier),
        doubts=doubts(conditions),
        throttled_ratio=found.watch.throttled_ratio or 0.0,
        foreign=found.watch.foreign,
    )


@dataclass
class Step:
    """One load of the search."""

    rate_per_s: float
    run: Run
    strain: Strain


async def find_maximum(
    scenario: Scenario, options: Options, console: Console, *, tolerance: float, max_steps: int
) -> int:
    """Search, print each step and the result, leave `find-max.json`; return the exit code. Raises OSError."""
    directory = new_directory(options.out, f"{scenario.scenario.name}-max")
    search = Search(scenario.load.load().peak_per_s, tolerance=tolerance, max_steps=max_steps)
    steps: list[Step] = []
    trouble = ""
    with Interrupts() as interrupts:
        try:
            async with a_bench(scenario, options, directory) as bench:
                interrupts.has_load = True
                while not interrupts.event.is_set():
                    rate = search.next_rate()
                    if rate is None:
                        break
                    step = await _step(
                        bench,
                        scaled(scenario, rate),
                        rate,
                        options,
                        console,
                        interrupts,
                        directory,
                        number=len(steps) + 1,
                    )
                    if step.run.verdict == "INTERRUPTED" or not step.run.promises:
                        break
                    steps.append(step)
                    if not step.run.generator.sent:
                        trouble = step.run.reasons[0]
                        break
                    search.tell(rate, is_kept=step.run.verdict == "PASS")
                    _print_step(console, step)
        except (GatewayError, ChildError) as error:
            trouble = str(error)
        except asyncio.CancelledError:
            return EXIT_CODES["INTERRUPTED"]
    return _tell(console, directory, search, steps, trouble=trouble, is_interrupted=interrupts.event.is_set())


async def _step(
    bench: Bench,
    scenario: Scenario,
    rate: float,
    options: Options,
    console: Console,
    interrupts: Interrupts,
    directory: Path,
    *,
    number: int,
) -> Step:
    folder = directory / f"{number:02}-{rate:g}"
    seconds: list[Second] = []
    for carrier in bench.carriers:
        if carrier.is_ours:
            await carrier.reset(bench.http)
    seed = scenario.scenario.seed
    load = OneLoad(bench, scenario, folder=bench.folder, seed=seed, max_open=options.max_open)
    quiet = LiveView(scenario, console, scenario.load.load().duration_s)
    with ResultsWriter(folder) as writer, contextlib.ExitStack() as stack:
        if console.is_terminal:
            stack.enter_context(quiet)

        def on_second(second: Second, totals: Totals) -> None:
            seconds.append(second)
            writer.add(second)
            if console.is_terminal:
                quiet.update(second, totals)

        found = await load.run(on_second=on_second, interrupted=interrupts.event, say=console.print)
        run = make_run(bench, found, overrides=options.overrides, seed=seed)
        writer.close(run)
    return Step(rate, run, strain_of(found, seconds))


def _print_step(console: Console, step: Step) -> None:
    missed = [row.figure for row in step.run.promises if not row.is_kept]
    said = "kept" if step.run.verdict == "PASS" else f"missed {', '.join(missed) or step.run.reasons[0]}"
    busiest = sorted(step.strain.cpu.items(), key=lambda item: -item[1])[:4]
    cpu = " ".join(f"{name} {share:.0f} %" for name, share in busiest)
    p99 = step.run.figures.get("accept_p99")
    accept = "" if p99 is None else f"  accept p99 {p99 * 1000:.0f} ms"
    console.print(
        f"{step.rate_per_s:>8g}/s  {said}  at the carriers {step.strain.submitted_per_s:.0f}/s{accept}  cpu {cpu}",
        highlight=False,
        soft_wrap=True,
    )


def _tell(
    console: Console,
    directory: Path,
    search: Search,
    steps: Sequence[Step],
    *,
    trouble: str,
    is_interrupted: bool,
) -> int:
    """Print and write the result; return the exit code."""
    missed = [step for step in steps if step.run.verdict != "PASS"]
    nearest = min(missed, key=lambda step: step.rate_per_s, default=steps[-1] if steps else None)
    binds = binding(nearest.strain) if nearest is not None else None
    result: dict[str, Any] = {
        "name": directory.name,
        "max_per_s": search.kept_per_s,
        "missed_at_per_s": search.missed_per_s,
        "binds": binds,
        "reasons": [] if nearest is None else nearest.run.reasons,
        "trouble": trouble,
        "steps": [
            {
                "rate_per_s": step.rate_per_s,
                "verdict": step.run.verdict,
                "figures": step.run.figures,
                "cpu": {name: round(share, 1) for name, share in step.strain.cpu.items()},
            }
            for step in steps
        ],
    }
    (directory / "find-max.json").write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))
    if trouble:
        console.print(f"INVALID: {trouble}", highlight=False, soft_wrap=True)
        return EXIT_CODES["INVALID"]
    if is_interrupted:
        return EXIT_CODES["INTERRUPTED"]
    if search.kept_per_s is None:
        for reason in result["reasons"]:
            console.print(reason, highlight=False, soft_wrap=True)
        console.print(f"no rate kept the promises; what binds: {binds}", highlight=False, soft_wrap=True)
        return EXIT_CODES["FAIL"]
    above = "" if search.missed_per_s is None else f", broken at {search.missed_per_s:g}"
    console.print(f"max sustainable: {search.kept_per_s:g} messages a second{above}", highlight=False)
    console.print(f"what binds: {binds}", highlight=False, soft_wrap=True)
    console.print(f"{directory}", highlight=False, soft_wrap=True)
    return EXIT_CODES["PASS"]
