"""`make bench`: what the whole life of a message costs, through real processes against the simulator.

Prints messages per second and CPU seconds per 1,000 messages by process: batches of 100 and single POSTs with receipts,
the same with every delivery called back in batches (P9), batches without receipts; and by stage. `--accept` compares
single POSTs with a bare route instead, `--bus both` the buses, `--sustained RATE SECONDS` holds an open-loop rate and
prints API latency and memory by role. Figures depend on the machine: compare only what one run printed.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psutil

from tests.perf.figures import NOT_OURS, pace_ms, percentile
from tests.perf.raw_load import Request, in_parallel
from tests.perf.report import Cell, Report, json_option
from tests.perf.sink import Sink
from tests.perf.stages import by_stage
from tests.support.ledger import Ledger, until_settled
from tests.support.stack import Stack, demo_tree, until
from tests.support.traffic import batches, rows

DEFAULTS = {"from": "CAUDAL", "class": "transactional"}
MAX_ACCEPT_RATIO = 1.3
MAX_LIFE_CPU_S = 0.25
_TOLD = "batches, called back"
_TURNS = 3


@dataclass
class Usage:
    """CPU seconds and resident megabytes of one process (the database: of all its processes)."""

    cpu_s: float
    rss_mb: float


async def usage(stack: Stack) -> dict[str, Usage]:
    """Return the usage by role, of the supervisor, the database, the simulator and this load generator."""
    found: dict[str, Usage] = {}
    for name, facts in (await stack.roles()).items():
        process = psutil.Process(facts["pid"])
        times = process.cpu_times()
        found[name] = Usage(times.user + times.system, process.memory_info().rss / 1e6)
    assert stack.process is not None
    supervisor = psutil.Process(stack.process.pid)
    times = supervisor.cpu_times()
    found["supervisor"] = Usage(times.user + times.system, supervisor.memory_info().rss / 1e6)
    for child in supervisor.children():
        if child.name() == "postgres":
            found["postgres"] = _family(child)
    own = psutil.Process().cpu_times()
    found["generator"] = Usage(own.user + own.system, psutil.Process().memory_info().rss / 1e6)
    return found


def _family(postmaster: psutil.Process) -> Usage:
    # A backend that ended is counted by its parent, so nothing is lost between two looks.
    times = postmaster.cpu_times()
    total = Usage(times.user + times.system + times.children_user + times.children_system, 0.0)
    for backend in postmaster.children():
        try:
            times = backend.cpu_times()
            total.cpu_s += times.user + times.system
            total.rss_mb += backend.memory_full_info().uss / 1e6
        except psutil.NoSuchProcess:
            continue
    return total


async def post_batches(
    stack: Stack, messages: list[dict[str, Any]], *, size: int, at_once: int
) -> list[float]:
    """Post everything with `at_once` requests open; return the latencies in seconds."""
    todo = list(batches(messages, size))
    latencies: list[float] = []

    async def worker() -> None:
        while todo:
            part = todo.pop()
            started = time.perf_counter()
            if size == 1:
                status, body = await stack.request("POST", "/v1/messages", json={**DEFAULTS, **part[0]})
            else:
                status, body = await stack.request(
                    "POST", "/v1/messages:batch", json={"defaults": DEFAULTS, "messages": part}
                )
            assert status == 202, body
            latencies.append(time.perf_counter() - started)

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return latencies


def show(
    title: str, count: int, seconds: float, before: dict[str, Usage], after: dict[str, Usage]
) -> dict[str, Cell]:
    """Print one table and return it as a column of a report."""
    print(f"\n{title}: {count} messages in {seconds:.1f} s = {count / seconds:,.0f} messages/s end to end")
    print(f"  {'process':<12}{'CPU s per 1,000':>16}{'memory MB':>12}")
    column: dict[str, Cell] = {"messages": count, "messages/s": count / seconds}
    product, memory = 0.0, {}
    for name in sorted(after):
        spent = (after[name].cpu_s - before[name].cpu_s) / count * 1000
        if name not in NOT_OURS:
            product += spent
            memory[f"MB {name}"] = round(after[name].rss_mb)
        column[f"CPU {name}"] = spent
        print(f"  {name:<12}{spent:>16.4f}{after[name].rss_mb:>12.0f}")
    print(f"  {'gateway':<12}{product:>16.4f}   (all but generator and simulator)")
    return {**column, "CPU gateway": product, **memory}


async def measure(
    stack: Stack,
    title: str,
    count: int,
    post: Callable[[list[dict[str, Any]]], Coroutine[Any, Any, list[float]]],
    *,
    single_segment: bool = False,
    sink: Sink | None = None,
    open_states: tuple[str, ...] = (),
) -> dict[str, Cell]:
    """Post, wait until all are delivered (and called back to `sink`) or in one of `open_states`; print and return."""
    ledger = Ledger(accepted={str(i): ("", "") for i in range(count)})
    messages = [
        {key: value for key, value in row.items() if key != "client_ref"}
        for row in rows(count, single_segment=single_segment)
    ]
    told = 0 if sink is None else sink.events + count
    acknowledged = await receipts_acknowledged(stack) + count
    # What the rounds before have left is not looked at: it would be more and more work of the database.
    since_ms = time.time_ns() // 1_000_000
    pace_before_ms = pace_ms()
    before, started = await usage(stack), time.perf_counter()
    latencies = await post(messages)
    # A look reads all that was accepted, which is the database's work: first wait for what can be known elsewhere.
    if sink is not None:
        await until(lambda: sink.events >= told, limit_s=300 + count / 200)
    elif not open_states:
        await until_acknowledged(stack, acknowledged, limit_s=300)
    await until_settled(stack, ledger, limit_s=300, open_states=open_states, since_ms=since_ms)
    seconds = time.perf_counter() - started
    column = show(title, count, seconds, before, await usage(stack))
    p50, p99 = (percentile(latencies, share) * 1000 for share in (0.5, 0.99))
    print(f"  POST p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    pace = (pace_before_ms + pace_ms()) / 2
    print(f"  pace {pace:.1f} ms")
    return {"pace ms": pace, "POST p50 ms": p50, "POST p99 ms": p99, **column}


async def receipts_acknowledged(stack: Stack) -> int:
    """Return how many receipts the simulator was told are taken."""
    stats = await stack.get_json(f"{await stack.simulator()}/stats")
    return int(stats["receipts"]["acknowledged"])


async def until_acknowledged(stack: Stack, wanted: int, *, limit_s: float) -> None:
    """Wait until the simulator was told so of as many."""

    async def enough() -> bool:
        return await receipts_acknowledged(stack) >= wanted

    await until(enough, limit_s=limit_s, every_s=0.25)


async def states(stack: Stack) -> dict[str, int]:
    """Return the number of messages by state."""
    from tests.support.ledger import database

    connection = await database(stack)
    try:
        return {
            r["state"]: r["n"]
            for r in await connection.fetch("SELECT state, count(*) AS n FROM messages GROUP BY state")
        }
    finally:
        await connection.close()


async def sustained(rate: int, seconds: int, report: Report) -> None:
    """Hold an open-loop rate of batches of 50; latency counts from the intended start of each request."""
    batch = 50
    async with Stack(demo_tree(rate=f"{rate * 3}/s", window=200)) as stack:
        total = rate * seconds
        parts = list(batches(list(rows(total)), batch))
        latencies: list[float] = []
        refused = 0

        async def one(part: list[dict[str, Any]], due: float) -> None:
            nonlocal refused
            status, _ = await stack.request(
                "POST", "/v1/messages:batch", json={"defaults": DEFAULTS, "messages": part}
            )
            refused += status != 202
            latencies.append(asyncio.get_running_loop().time() - due)

        before, memory = await usage(stack), []
        start = asyncio.get_running_loop().time() + 0.5
        began, late = time.perf_counter(), []
        async with asyncio.TaskGroup() as tasks:
            for index, part in enumerate(parts):
                due = start + index * batch / rate
                await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
                late.append(asyncio.get_running_loop().time() - due)
                tasks.create_task(one(part, due))
                if index % (5 * rate // batch) == 0:
                    memory.append({name: round(u.rss_mb) for name, u in (await usage(stack)).items()})
        ledger = Ledger(accepted={str(i): ("", "") for i in range(total)})
        await until_settled(stack, ledger, limit_s=120)
        elapsed = time.perf_counter() - began
        title = f"Sustained {rate}/s for {seconds} s, batches of {batch}"
        column = show(title, total, elapsed, before, await usage(stack))
        stats = await stack.get_json(await stack.simulator() + "/stats")
        p50, p99 = (percentile(latencies, share) * 1000 for share in (0.5, 0.99))
        report.beside(title, {"": {"POST p50 ms": p50, "POST p99 ms": p99, **column}})
        report.note(
            f"POST max {max(latencies) * 1000:.0f} ms; refused {refused}; generator late p99 {percentile(late, 0.99) * 1000:.1f} ms;"
            f" states {dict(ledger.states)}; simulator {stats['statuses']}"
        )
        print("  memory MB every 5 s:")
        for name in memory[0]:
            print(f"    {name:<12}{' '.join(str(m[name]) for m in memory)}")


async def whole_life(count: int, single_count: int, report: Report) -> None:
    """Measure both ways of posting on one gateway, with and without receipts and callbacks, and the stages."""
    tree = demo_tree(rate="50000/s", window=500)
    tree["webhooks"] = {"allow_loopback": True}
    ways: dict[str, dict[str, Cell]] = {}

    async def way(title: str, many: int, *, size: int = 100, **how: Any) -> None:
        at_once = 64 if size == 1 else 4
        ways[title] = await measure(
            stack, title, many, lambda m: post_batches(stack, m, size=size, at_once=at_once), **how
        )

    async with Stack(tree) as stack, Sink() as sink:
        warm_up = [dict(row, client_ref=f"w{i}") for i, row in enumerate(rows(1_000))]
        await post_batches(stack, warm_up, size=100, at_once=2)
        await way("batches, all lengths", count)
        await way("batches", count, single_segment=True)
        await way("single POSTs", single_count, size=1, single_segment=True)
        stages = await by_stage(
            stack, sink, count, usage=usage, post=lambda s, m: post_batches(s, m, size=100, at_once=4)
        )
        turns = []
        for _ in range(_TURNS):
            await way(_TOLD, count, single_segment=True, sink=sink)
            turns.append(ways[_TOLD])
        ways[_TOLD] = sorted(turns, key=lambda turn: float(turn["CPU gateway"] or 0))[_TURNS // 2]
        await way("single POSTs, called back", single_count, size=1, single_segment=True, sink=sink)
        await stack.post_json(f"{await stack.simulator()}/faults", {"receipts_lost": 1.0})
        await way("batches, no receipts", count, single_segment=True, open_states=("submitted",))
        report.beside(
            "Accept to final state, CPU in s per 1,000 messages",
            ways,
            note=f"Batches of 100, 4 at once; single POSTs 64 at once. One segment but for the first. Called back: up to 100 deliveries a POST, the median of {_TURNS} turns. Pace: what a fixed piece of Python took before and after, so how fast the machine was meanwhile.",
        )
        told, pace = ways[_TOLD]["CPU gateway"], ways[_TOLD]["pace ms"]
        report.headline(
            f"The whole life of a message in batches of 100, with its receipt and its delivery called back, costs {told:.3f} CPU s per 1,000 (the promise: at most {MAX_LIFE_CPU_S}), at a pace of {pace:.1f} ms."
        )
        report.table("By stage, CPU s per 1,000 messages of one segment", *stages)
        await reconcile_counts(stack, report)


async def accept(count: int, report: Report, turns: int = 3) -> None:
    """Compare what accepting single POSTs costs the role `api` with a bare route, in turns."""
    bare = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.perf.bare_route", stdout=asyncio.subprocess.PIPE
    )
    assert bare.stdout is not None
    try:
        bare_port = int(await bare.stdout.readline())
        async with Stack(demo_tree(rate="50000/s", window=500)) as stack:
            await stack.caudal("carriers", "pause", "simulator", "--reason", "accepting alone")
            api_port = urlsplit(stack.api).port
            assert api_port is not None
            pid = (await stack.roles())["api"]["pid"]
            targets = {
                "bare Starlette route": (bare.pid, bare_port, "/v1/messages"),
                "FastAPI endpoint with a pydantic body": (bare.pid, bare_port, "/fastapi"),
                "role `api`": (pid, api_port, "/v1/messages"),
            }
            headers = f"Authorization: Bearer {stack.key}\r\nContent-Type: application/json\r\n".encode()
            bodies = [
                json.dumps({**DEFAULTS, **row}).encode()
                for row in rows(count, prefix="a", single_segment=True)
            ]
            spent: dict[str, list[float]] = {name: [] for name in targets}
            for turn in range(turns + 1):
                for name, (serving, port, path) in targets.items():
                    before = psutil.Process(serving).cpu_times()
                    posts = [Request("POST", path, headers, body) for body in bodies]
                    await in_parallel(port, posts, at_once=64)
                    after = psutil.Process(serving).cpu_times()
                    used = after.user + after.system - before.user - before.system
                    if turn:  # the first warms up
                        spent[name].append(used / count * 1000)
    finally:
        bare.terminate()
        await bare.wait()
    found = {name: statistics.median(values) for name, values in spent.items()}
    # The pace of the machine changes within seconds: what is compared was measured one after the other.
    floors = spent["bare Starlette route"]
    times = {
        name: statistics.median(own / floor for own, floor in zip(values, floors, strict=True))
        for name, values in spent.items()
    }
    report.table(
        f"Accepting single POSTs, {count} in each of {turns} turns: median CPU s per 1,000 of the serving process",
        ["", "CPU s per 1,000", "times the route"],
        [[name, cost, times[name]] for name, cost in found.items()],
        note="Times the route: the median of the turns, each by itself.",
    )
    report.headline(
        f"Accepting a single POST durably costs the role `api` {times['role `api`']:.2f} times what a bare route costs that keeps nothing (the promise: at most {MAX_ACCEPT_RATIO})."
    )


async def reconcile_counts(stack: Stack, report: Report) -> None:
    """Print the conservation line, so that no figure stands for lost work."""
    found = await states(stack)
    stats = await stack.get_json(await stack.simulator() + "/stats")
    report.note(
        f"Conservation: messages by state {found}; at the simulator {stats['statuses']}, receipts {stats['receipts']}."
    )


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--single", type=int, default=5_000)
    parser.add_argument(
        "--accept", action="store_true", help="compare single POSTs with a bare route, nothing else"
    )
    parser.add_argument(
        "--bus",
        choices=("postgres", "kafka", "both"),
        help="both ways of posting on one bus, or on both in turns",
    )
    parser.add_argument("--turns", type=int, default=3, help="of --bus and --accept")
    parser.add_argument("--sustained", nargs=2, type=int, metavar=("RATE", "SECONDS"))
    json_option(parser)
    chosen = parser.parse_args()
    if chosen.sustained:
        report = Report("sustained")
        asyncio.run(sustained(*chosen.sustained, report))
    elif chosen.bus:
        from tests.perf.bench_buses import side_by_side  # it measures with what is above

        report = Report("buses")
        asyncio.run(
            side_by_side(
                chosen.bus, report, count=chosen.count, single_count=chosen.single, turns=chosen.turns
            )
        )
    elif chosen.accept:
        report = Report("accept")
        asyncio.run(accept(chosen.single, report, turns=chosen.turns))
    else:
        report = Report("whole-life")
        asyncio.run(whole_life(chosen.count, chosen.single, report))
    report.write(chosen.json)


if __name__ == "__main__":
    main()
