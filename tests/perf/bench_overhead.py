"""What metrics and logs cost: the same gateway with them, without, and with a clock around them, at a fixed rate.

`python -m tests.perf.bench_overhead [--messages N] [--rate PER_S] [--turns N] [--json FILE]` runs the three in turns and
prints CPU seconds per 1,000 messages by process. The difference of the first two is what the promise is about, but two
runs of one gateway differ by more than that on most machines; the clock says what the calls took, and its figure
stands on a busy machine too. All are scraped every few seconds, as Prometheus does.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from tests.perf.bench import DEFAULTS, Usage, usage
from tests.perf.figures import NOT_OURS
from tests.perf.report import Report, json_option
from tests.perf.unmeasured import WRITE_EVERY_S
from tests.support.ledger import Ledger, until_settled
from tests.support.stack import BIN, Stack, demo_tree
from tests.support.traffic import batches, rows

PROMISED_PERCENT = 5.0
PROMISED_RATE = 2778
SCRAPE_EVERY_S = 5.0

_BATCH = 50
_AT_ONCE = 16
_WARM_UP = 2_000
_TRIES = 60
_LAUNCHER = str(Path(__file__).with_name("unmeasured.py"))
_MODES = {
    "with": [str(BIN / "caudal"), "serve"],
    "without": [sys.executable, _LAUNCHER, "without", "serve"],
    "timed": [sys.executable, _LAUNCHER, "timed", "serve"],
}
_KINDS = ("metrics", "scrapes", "logs")
_PYTHON = ("api", "dispatch", "back")


async def post_at(stack: Stack, messages: list[dict[str, Any]], *, rate: float) -> None:
    """Post batches when they are due, at most some at once; what is late is made up for."""
    loop = asyncio.get_running_loop()
    room, start = asyncio.Semaphore(_AT_ONCE), loop.time()

    async def one(part: list[dict[str, Any]]) -> None:
        async with room:
            body = {"defaults": DEFAULTS, "messages": part}
            for _ in range(
                _TRIES
            ):  # a starved machine answers 503; client_ref keeps a repeat from being sent twice
                status, answer = await stack.request("POST", "/v1/messages:batch", json=body)
                if status != 503:
                    break
                await asyncio.sleep(0.5)
            assert status == 202, answer

    async with asyncio.TaskGroup() as group:
        for index, part in enumerate(batches(messages, _BATCH)):
            await asyncio.sleep(max(0.0, start + index * _BATCH / rate - loop.time()))
            group.create_task(one(part), name="overhead.post")


async def scrape(stack: Stack) -> None:
    """Fetch the metrics of every process, for ever."""
    while True:
        for target in await stack.get_json(stack.admin + "/sd"):
            await stack.get_text(f"http://{target['targets'][0]}/metrics")
        await asyncio.sleep(SCRAPE_EVERY_S)


async def turn(mode: str, count: int, *, rate: float) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Run one gateway, from first POST to last final state.

    Return CPU seconds per 1,000 messages by process, and, of the timed one, by role what went into which kind.
    """
    async with Stack(demo_tree(rate=f"{int(rate * 3)}/s", window=200), serve=_MODES[mode]) as stack:
        warm_up = list(rows(_WARM_UP, prefix="warm", single_segment=True))
        await post_at(stack, warm_up, rate=rate)
        ledger = Ledger(accepted={str(number): ("", "") for number in range(_WARM_UP)})
        await until_settled(stack, ledger, limit_s=120)
        before, clock = await usage(stack), timed(stack, mode)
        scraping = asyncio.create_task(scrape(stack), name="overhead.scrape")
        await post_at(stack, list(rows(count, single_segment=True)), rate=rate)
        ledger.accepted |= {f"m{number}": ("", "") for number in range(count)}
        await until_settled(stack, ledger, limit_s=300)
        scraping.cancel()
        await asyncio.gather(scraping, return_exceptions=True)
        await asyncio.sleep(2 * WRITE_EVERY_S)
        after, clock_after = await usage(stack), timed(stack, mode)
    spent = {name: _spent(before[name], one) / count * 1000 for name, one in after.items()}
    return spent, {
        role: {kind: (found[kind] - clock[role][kind]) / 1e9 / count * 1000 for kind in _KINDS}
        for role, found in clock_after.items()
    }


def timed(stack: Stack, mode: str) -> dict[str, dict[str, int]]:
    """Return the nanoseconds of CPU time by role and kind that the clocks show now."""
    if mode != "timed":
        return {}
    return {
        role: json.loads((stack.folder / f"overhead.{role}.json").read_text())["spent_ns"] for role in _PYTHON
    }


def _spent(before: Usage, after: Usage) -> float:
    return after.cpu_s - before.cpu_s


async def compare(count: int, report: Report, *, rate: float, turns: int) -> None:
    """Run all kinds in turns, each time another one first, and report the medians."""
    found: dict[str, list[dict[str, float]]] = {mode: [] for mode in _MODES}
    clocks: list[dict[str, dict[str, float]]] = []
    modes = list(_MODES)
    for number in range(turns):
        for mode in modes[number % len(modes) :] + modes[: number % len(modes)]:
            began = time.perf_counter()
            spent, clock = await turn(mode, count, rate=rate)
            found[mode].append(spent)
            if clock:
                clocks.append(clock)
            cells = ", ".join(f"{name} {spent[name]:.4f}" for name in (*_PYTHON, "postgres"))
            print(f"  turn {number + 1} {mode:<8}{cells}   ({time.perf_counter() - began:.0f} s)", flush=True)
    tell(
        report,
        found,
        clocks,
        about=f"at {rate:g} messages/s: CPU s per 1,000, medians of {turns} turns of {count}",
    )


def tell(
    report: Report,
    found: dict[str, list[dict[str, float]]],
    clocks: list[dict[str, dict[str, float]]],
    *,
    about: str,
) -> None:
    """Print and keep the tables."""
    names = [name for name in found["with"][0] if name not in NOT_OURS]
    medians = {
        mode: {name: statistics.median([one[name] for one in spent]) for name in names}
        for mode, spent in found.items()
    }
    for one in medians.values():
        one["gateway"] = sum(one[name] for name in names)
    measured, bare = medians["with"], medians["without"]
    report.table(
        f"With metrics and logs and without, {about}",
        ["", "with", "without", "difference %"],
        [[name, one, bare[name], (one - bare[name]) / one * 100] for name, one in measured.items()],
        note=f"Scraped every {SCRAPE_EVERY_S:g} s. Batches of {_BATCH}, one segment, receipts after 300 ms.",
    )
    clock = {
        role: {kind: statistics.median([one[role][kind] for one in clocks]) for kind in _KINDS}
        for role in _PYTHON
    }
    rows_of = [
        [role, *kinds.values(), sum(kinds.values()) / measured[role] * 100] for role, kinds in clock.items()
    ]
    total = {kind: sum(kinds[kind] for kinds in clock.values()) for kind in _KINDS}
    percent = sum(total.values()) / measured["gateway"] * 100
    report.table(
        f"What went into them by the clock, {about}",
        ["", *_KINDS, "% of the process"],
        [*rows_of, ["gateway", *total.values(), percent]],
        note="CPU time of the calls themselves, the clock's own included; the gateway is all its processes.",
    )
    report.headline(
        f"Metrics and logs take {percent:.1f} % of the gateway's CPU (the promise: at most {PROMISED_PERCENT:g} %)."
    )


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=12_000, help="in each turn")
    parser.add_argument("--rate", type=float, default=PROMISED_RATE, help="messages a second")
    parser.add_argument("--turns", type=int, default=3, help="of each kind")
    json_option(parser)
    chosen = parser.parse_args()
    report = Report("overhead")
    asyncio.run(compare(chosen.messages, report, rate=chosen.rate, turns=chosen.turns))
    report.write(chosen.json)


if __name__ == "__main__":
    main()
