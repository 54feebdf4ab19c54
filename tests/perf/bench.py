"""`make bench`: what the whole life of a message costs, through real processes against the simulator.

Prints messages per second and CPU seconds per 1,000 messages by process: batches of 100 with receipts, the same with
every delivery called back in batches (P9), single POSTs; then by stage. `--accept` compares single POSTs with a bare
route instead, `--sustained RATE SECONDS` holds an open-loop rate and prints API latency and memory by role.
Figures depend on the machine: compare only what one run printed.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import psutil

from tests.perf.sink import Sink
from tests.perf.stages import by_stage
from tests.support.ledger import Ledger, until_settled
from tests.support.stack import Stack, demo_tree, until
from tests.support.traffic import batches, rows

DEFAULTS = {"from": "CAUDAL", "class": "transactional"}


@dataclass
class Usage:
    """CPU seconds and resident megabytes of one process (the database: of all its processes)."""

    cpu_s: float
    rss_mb: float


async def usage(stack: Stack) -> dict[str, Usage]:
    """Return the usage by role, of the database, the simulator and this load generator."""
    found: dict[str, Usage] = {}
    for name, facts in (await stack.roles()).items():
        process = psutil.Process(facts["pid"])
        times = process.cpu_times()
        found[name] = Usage(times.user + times.system, process.memory_info().rss / 1e6)
    assert stack.process is not None
    for child in psutil.Process(stack.process.pid).children():
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


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def show(title: str, count: int, seconds: float, before: dict[str, Usage], after: dict[str, Usage]) -> None:
    """Print one table."""
    print(f"\n{title}: {count} messages in {seconds:.1f} s = {count / seconds:,.0f} messages/s end to end")
    print(f"  {'process':<12}{'CPU s per 1,000':>16}{'memory MB':>12}")
    product = 0.0
    for name in sorted(after):
        spent = (after[name].cpu_s - before[name].cpu_s) / count * 1000
        if name not in ("generator", "simulator"):
            product += spent
        print(f"  {name:<12}{spent:>16.4f}{after[name].rss_mb:>12.0f}")
    print(f"  {'gateway':<12}{product:>16.4f}   (api + dispatch + back + postgres)")


async def measure(
    stack: Stack,
    title: str,
    count: int,
    post: Callable[[list[dict[str, Any]]], Coroutine[Any, Any, list[float]]],
    *,
    single_segment: bool = False,
    sink: Sink | None = None,
) -> None:
    """Post, wait until everything is delivered (and called back to `sink`), print."""
    ledger = Ledger(accepted={str(i): ("", "") for i in range(count)})
    known = sum((await states(stack)).values())
    ledger.accepted |= {f"old-{i}": ("", "") for i in range(known)}
    messages = [
        {key: value for key, value in row.items() if key != "client_ref"}
        for row in rows(count, single_segment=single_segment)
    ]
    told = 0 if sink is None else sink.events + count
    before, started = await usage(stack), time.perf_counter()
    latencies = await post(messages)
    await until_settled(stack, ledger, limit_s=300)
    if sink is not None:
        await until(lambda: sink.events >= told, limit_s=60 + count / 200)
    seconds = time.perf_counter() - started
    show(title, count, seconds, before, await usage(stack))
    print(
        f"  POST p50 {percentile(latencies, 0.5) * 1000:.1f} ms, p99 {percentile(latencies, 0.99) * 1000:.1f} ms"
    )


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


async def sustained(rate: int, seconds: int) -> None:
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
        show(
            f"sustained {rate}/s for {seconds} s, batches of {batch}",
            total,
            elapsed,
            before,
            await usage(stack),
        )
        stats = await stack.get_json(await stack.simulator() + "/stats")
        print(
            f"  API p50 {percentile(latencies, 0.5) * 1000:.1f} ms, p99 {percentile(latencies, 0.99) * 1000:.1f} ms, max {max(latencies) * 1000:.0f} ms; refused {refused}"
        )
        print(f"  generator late p99 {percentile(late, 0.99) * 1000:.1f} ms")
        print(f"  states {dict(ledger.states)}; simulator {stats['statuses']}")
        print("  memory MB every 5 s:")
        for name in memory[0]:
            print(f"    {name:<12}{' '.join(str(m[name]) for m in memory)}")


async def whole_life(count: int, single_count: int) -> None:
    """Measure both ways of posting on one gateway, then the stages."""
    tree = demo_tree(rate="50000/s", window=500)
    tree["webhooks"] = {"allow_loopback": True}
    async with Stack(tree) as stack, Sink() as sink:
        await post_batches(
            stack, [dict(row, client_ref=f"w{i}") for i, row in enumerate(rows(1_000))], size=100, at_once=2
        )
        await measure(stack, "batches of 100", count, lambda m: post_batches(stack, m, size=100, at_once=4))
        await measure(
            stack,
            "batches of 100, one segment each",
            count,
            lambda m: post_batches(stack, m, size=100, at_once=4),
            single_segment=True,
        )
        await measure(
            stack,
            "single POSTs, 64 at once",
            single_count,
            lambda m: post_batches(stack, m, size=1, at_once=64),
        )
        await by_stage(
            stack, sink, count, usage=usage, post=lambda s, m: post_batches(s, m, size=100, at_once=4)
        )
        await measure(
            stack,
            "batches of 100, one segment each, deliveries called back in batches",
            count,
            lambda m: post_batches(stack, m, size=100, at_once=4),
            single_segment=True,
            sink=sink,
        )
        await reconcile_counts(stack)


async def accept(count: int, turns: int = 3) -> None:
    """Compare what accepting single POSTs costs the role `api` with a bare route, in turns."""
    bare = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.perf.bare_route", stdout=asyncio.subprocess.PIPE
    )
    assert bare.stdout is not None
    try:
        url = f"http://127.0.0.1:{int(await bare.stdout.readline())}"
        async with Stack(demo_tree(rate="50000/s", window=500)) as stack:
            await stack.caudal("carriers", "pause", "simulator", "--reason", "accepting alone")
            gateway = stack.api
            pids = {gateway: (await stack.roles())["api"]["pid"], url: bare.pid}
            messages = [
                dict(row, client_ref=f"a{i}") for i, row in enumerate(rows(count, single_segment=True))
            ]
            spent: dict[str, list[float]] = {gateway: [], url: []}
            for turn in range(turns + 1):
                for target, pid in pids.items():
                    stack.api = target
                    before = psutil.Process(pid).cpu_times()
                    await post_batches(stack, messages, size=1, at_once=64)
                    after = psutil.Process(pid).cpu_times()
                    used = after.user + after.system - before.user - before.system
                    if turn:  # the first warms up
                        spent[target].append(used / count * 1000)
            stack.api = gateway
    finally:
        bare.terminate()
        await bare.wait()
    ours, floor = (sorted(spent[target])[turns // 2] for target in (gateway, url))
    print(f"\naccepting single POSTs, {count} x {turns}, median CPU s per 1,000 of the serving process")
    print(f"  bare route {floor:.4f}, role api {ours:.4f}: {ours / floor:.2f} times")


async def reconcile_counts(stack: Stack) -> None:
    """Print the conservation line, so that no figure stands for lost work."""
    found = await states(stack)
    stats = await stack.get_json(await stack.simulator() + "/stats")
    print(f"\nconservation: states {found}; simulator: {stats['statuses']}, receipts {stats['receipts']}")


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
    parser.add_argument("--sustained", nargs=2, type=int, metavar=("RATE", "SECONDS"))
    chosen = parser.parse_args()
    print(f"{psutil.cpu_count()} cores, load {psutil.getloadavg()[0]:.2f} before the run")
    if chosen.sustained:
        asyncio.run(sustained(*chosen.sustained))
    elif chosen.bus:
        from tests.perf.bench_buses import side_by_side  # it measures with what is above

        asyncio.run(side_by_side(chosen.bus, count=chosen.count, single_count=chosen.single))
    elif chosen.accept:
        asyncio.run(accept(chosen.single))
    else:
        asyncio.run(whole_life(chosen.count, chosen.single))


if __name__ == "__main__":
    main()
