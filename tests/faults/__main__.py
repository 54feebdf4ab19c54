"""`python -m tests.faults --runs 20 [--only NAME] [--bus kafka] [--write]`: every fault, seeded, as a table.

With `--write` the table replaces the one in deploy/docs/reliability.md.
"""

import argparse
import asyncio
import json
import sys
from contextlib import nullcontext
from pathlib import Path

from tests.faults.harness import FAULTS, Fault, Outcome, under_fault
from tests.support.kafka import kafka_server

PAGE = Path(__file__).parents[2] / "deploy" / "docs" / "reliability.md"
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
COLUMNS = ("fault", "bus", "runs", "accepted", "lost", "doubled, worst run", "bound", "recovery, worst")


def row(outcomes: list[Outcome]) -> str:
    """Return the line of one fault on one bus."""
    first = outcomes[0]
    cells = (
        first.fault,
        first.bus,
        len(outcomes),
        sum(one.accepted for one in outcomes),
        sum(one.lost for one in outcomes),
        max(one.doubled for one in outcomes),
        first.bound,
        f"{max(one.recovery_s for one in outcomes):.1f} s",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def run(faults: list[Fault], *, runs: int, buses: list[str]) -> tuple[list[str], int]:
    """Run them all; return the lines of the table and how many runs broke a promise."""
    lines, broken = [], 0
    with kafka_server() if "kafka" in buses else nullcontext() as server:
        for fault in faults:
            for bus in [one for one in buses if one in fault.buses]:
                outcomes = []
                for seed in range(1, runs + 1):
                    outcome = asyncio.run(
                        under_fault(fault, seed=seed, bus=bus, broker=server if bus == "kafka" else None)
                    )
                    print(json.dumps(vars(outcome)), flush=True)
                    try:
                        outcome.check()
                    except AssertionError:
                        broken += 1
                        print(f"BROKEN {fault.name} seed {seed} on {bus}", flush=True)
                    outcomes.append(outcome)
                lines.append(row(outcomes))
    return lines, broken


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", choices=sorted(FAULTS), action="append")
    parser.add_argument("--bus", choices=["postgres", "kafka"], action="append")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    faults = [FAULTS[name] for name in options.only or FAULTS]
    lines, broken = run(faults, runs=options.runs, buses=options.bus or ["postgres", "kafka"])
    head = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    table = "\n".join([*head, *lines])
    print(table)
    if options.write:
        text = PAGE.read_text()
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
