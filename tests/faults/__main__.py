"""`python -m tests.faults [--runs 20] [--only FAULT] [--bus kafka] [--jobs 2] [--write]`: every fault, seeded, as a table.

With `--write` the runs are added to the table of deploy/docs/reliability.md as they end (`--fresh` begins it anew), and
their seeds go on where the table stands. `--keep DIR` is where the log of a gateway goes whose run broke a promise. `--add PAGE` runs nothing: it adds the table of
another copy of the page, made elsewhere.
"""

import argparse
import asyncio
import json
import random
import shutil
import signal
import sys
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import table
from tests.faults.books import Outcome, look_back
from tests.faults.catalogue import BOTH, FAULTS, Fault
from tests.faults.clocks import library
from tests.faults.harness import under_fault
from tests.faults.rig import Broker, Rig, a_broker, a_rig


@dataclass
class Suite:
    """What is to be done, and what came of it. `done` is how many runs of each fault on each bus there were before."""

    options: argparse.Namespace
    table: table.Table
    done: dict[tuple[str, str], int]
    broken: int = 0
    took_s: list[float] = field(default_factory=list)

    async def run(self) -> None:
        """Do all rounds, some side by side."""
        faults = [FAULTS[name] for name in self.options.only or FAULTS]
        if library() is None and any(fault.clocked for fault in faults):
            print("LEFT OUT: clock steps: libfaketime is not installed", flush=True)
            faults = [fault for fault in faults if not fault.clocked]
        rounds: asyncio.Queue[tuple[str, int, list[Fault]]] = asyncio.Queue()
        for number in range(self.options.runs):
            for bus in self.options.bus or BOTH:
                for clocked in (False, True):
                    part = [one for one in faults if one.clocked is clocked and bus in one.buses]
                    if part:
                        rounds.put_nowait((bus, number, part))
        async with asyncio.TaskGroup() as group:
            for job in range(self.options.jobs):
                group.create_task(self._work(rounds), name=f"faults.job.{job}")

    async def _work(self, rounds: "asyncio.Queue[tuple[str, int, list[Fault]]]") -> None:
        async with AsyncExitStack() as stack:
            broker: Broker | None = None
            while not rounds.empty():
                bus, number, faults = rounds.get_nowait()
                if bus == "kafka" and broker is None:
                    broker = await stack.enter_async_context(a_broker())
                await self._round(faults, number, broker if bus == "kafka" else None)

    async def _round(self, faults: list[Fault], number: int, broker: Broker | None) -> None:
        """Do each fault once, in an order of this round's own, to one gateway as long as it keeps its promises."""
        bus = "kafka" if broker else "postgres"
        left = [(fault, self._seed(fault, bus, number)) for fault in faults]
        random.Random(f"{bus}:{number}:{left[0][1]}").shuffle(left)
        while left:
            outcomes: list[Outcome] = []
            try:
                async with a_rig(seed=left[0][1], broker=broker, clocked=left[0][0].clocked) as rig:
                    while left and not any(one.trouble for one in outcomes):
                        outcomes.append(await self._one(*left.pop(), rig))
                    await look_back(rig)
            except Exception as error:
                print(f"the gateway's end: {error!r}", flush=True)
                if not outcomes:
                    raise
            for outcome in outcomes:
                self._close(outcome)
            if self.options.write:
                table.write(self.table)

    def _seed(self, fault: Fault, bus: str, number: int) -> int:
        return (self.options.seed or self.done.get((fault.name, bus), 0) + 1) + number

    async def _one(self, fault: Fault, seed: int, rig: Rig) -> Outcome:
        try:
            outcome = await under_fault(fault, rig, seed=seed)
        except Exception as error:
            outcome = Outcome(fault.name, rig.bus, seed, bound=fault.bound)
            outcome.trouble.append(f"{error!r} {getattr(error, 'exceptions', '')}")
        try:
            outcome.check()
        except AssertionError:
            outcome.trouble.append("a promise is broken")
            self._keep(rig, outcome)
        print(json.dumps(outcome.facts()), flush=True)
        self.took_s.append(outcome.took_s)
        return outcome

    def _close(self, outcome: Outcome) -> None:
        """Count a run whose gateway is gone: nothing can change it now."""
        if outcome.trouble:
            self.broken += 1
            print(
                f"BROKEN {outcome.fault!r} seed {outcome.seed} on {outcome.bus}: {outcome.trouble}",
                flush=True,
            )
        self.table.add(outcome)

    def _keep(self, rig: Rig, outcome: Outcome) -> None:
        if self.options.keep:
            self.options.keep.mkdir(parents=True, exist_ok=True)
            name = f"{outcome.fault}-{outcome.bus}-{outcome.seed}-{time.time():.0f}.log".replace(" ", "_")
            (self.options.keep / name).write_text("\n".join(rig.stack.lines))
            with suppress(OSError):
                shutil.copy(rig.var / "postgres.log", self.options.keep / f"{name}.postgres")


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", choices=sorted(FAULTS), action="append")
    parser.add_argument("--bus", choices=BOTH, action="append")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--add", type=Path, action="append", metavar="PAGE")
    options = parser.parse_args()
    if options.add:
        pages = table.read()
        for page in options.add:
            pages.merge(table.read(page))
        table.write(pages)
        return 0
    before = table.read() if options.write and not options.fresh else table.Table()
    done = {(name, bus): before.runs(name, bus) for name in FAULTS for bus in BOTH}
    suite = Suite(options, before, done)
    started = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with suppress(KeyboardInterrupt):  # what is done is in the table
        asyncio.run(suite.run())
    print(suite.table)
    runs = len(suite.took_s)
    print(
        f"{runs} runs in {time.monotonic() - started:.0f} s, {sum(suite.took_s) / max(runs, 1):.1f} s each; "
        f"{suite.broken} broke a promise"
    )
    return 1 if suite.broken else 0


if __name__ == "__main__":
    sys.exit(main())
