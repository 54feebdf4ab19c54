"""A storm of receipts: the carrier holds them back and releases all at once, while messages go on being sent.

`python -m tests.perf.receipt_storm --count 50000 --background 500` prints what the storm costs and what it does to the
sending: dispatch's rate before and during it, peak memory of each role, CPU by process, how long receipts waited to be
stored, and that every message ended. `--background 0` measures the receipt path alone. `--webhooks` calls every final
state back to an endpoint of its own. `--rate 2778 --seconds 60` holds a steady rate of messages with receipts instead.
Exit code 1 when something was lost or a limit is broken.
"""

import argparse
import asyncio
import re
import sys
import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from tests.perf.bench import post_batches, show, until_acknowledged, usage
from tests.perf.report import Report, json_option
from tests.perf.sink import Sink
from tests.support.ledger import Ledger, database, until_settled
from tests.support.stack import Stack, demo_tree, until
from tests.support.traffic import rows

ROLES = ("api", "dispatch", "back")
MAX_RSS_MB = 400
MAX_STORED_P95_S = 1.0
WARM_S = 8.0
BUCKET = re.compile(r'^caudal_dlr_processing_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)
UNMATCHED = re.compile(r"^caudal_dlr_unmatched_total\{[^}]*\} (\S+)$", re.MULTILINE)
DEFAULTS = {"from": "CAUDAL", "class": "transactional"}


@dataclass
class Watch:
    """What is sampled while the storm rages. `submits` is the simulator's count at each second."""

    seconds: list[float] = field(default_factory=list)
    submits: list[int] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    peak_mb: dict[str, float] = field(default_factory=dict)

    def rate(self, start_s: float, end_s: float) -> tuple[float, float]:
        """Return (mean, worst second) of the submits between two times."""
        inside = [n for n, at in enumerate(self.seconds) if start_s <= at <= end_s]
        if len(inside) < 2:
            return 0.0, 0.0
        first, last = inside[0], inside[-1]
        mean = (self.submits[last] - self.submits[first]) / (self.seconds[last] - self.seconds[first])
        steps = [
            (self.submits[n] - self.submits[n - 1]) / (self.seconds[n] - self.seconds[n - 1])
            for n in inside[1:]
        ]
        return mean, min(steps)


def resident_mb(pid: int) -> float:
    """Return VmRSS of a process."""
    with Path(f"/proc/{pid}/status").open(encoding="ascii") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1000
    return 0.0


async def watch(stack: Stack, seen: Watch, *, every_s: float = 1.0) -> None:
    """Sample until cancelled."""
    base = await stack.simulator()
    pids = {name: facts["pid"] for name, facts in (await stack.roles()).items()}
    while True:
        stats = await stack.get_json(f"{base}/stats")
        seen.seconds.append(time.monotonic())
        seen.submits.append(sum(stats["statuses"].values()))
        seen.acknowledged.append(stats["receipts"]["acknowledged"])
        for name, pid in pids.items():
            seen.peak_mb[name] = max(seen.peak_mb.get(name, 0.0), resident_mb(pid))
        await asyncio.sleep(every_s)


async def send_steadily(stack: Stack, rate: int, sent: list[str], stop: asyncio.Event) -> None:
    """Send `rate` messages a second, in batches of a twentieth of that, until `stop`."""
    size = max(1, rate // 20)
    source = rows(10_000_000, prefix="steady", single_segment=True)
    due = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        while not stop.is_set():
            part = [next(source) for _ in range(size)]
            group.create_task(send(stack, part, sent))
            due += size / rate
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))


async def send(stack: Stack, part: list[dict[str, Any]], sent: list[str]) -> None:
    """Post one batch."""
    status, body = await stack.request(
        "POST", "/v1/messages:batch", json={"defaults": DEFAULTS, "messages": part}
    )
    assert status == 202, body
    sent += [result["id"] for result in body["results"]]


async def processing(stack: Stack) -> tuple[dict[float, float], float]:
    """Return (histogram of received-to-stored: receipts up to each edge in seconds, receipts that had to wait)."""
    port = (await stack.roles())["back"]["admin_port"]
    text = await stack.get_text(f"http://127.0.0.1:{port}/metrics")
    waited = sum(map(float, UNMATCHED.findall(text)))
    return {float(edge): float(count) for edge, count in BUCKET.findall(text)}, waited


def quantile(before: dict[float, float], after: dict[float, float], share: float) -> float:
    """Return the edge in seconds that `share` of the receipts in between did not exceed."""
    grown = {edge: after[edge] - before.get(edge, 0.0) for edge in sorted(after)}
    wanted = share * max(grown.values(), default=0.0)
    return next((edge for edge, count in grown.items() if count >= wanted), float("inf"))


async def delays(stack: Stack, since_ms: int, until_ms: int) -> tuple[float, float]:
    """Return p50 and p99 in ms from accept to the carrier's answer, of messages accepted between two times."""
    connection = await database(stack)
    try:
        row = await connection.fetchrow(
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY submitted_at - accepted_at), "
            "percentile_cont(0.99) WITHIN GROUP (ORDER BY submitted_at - accepted_at) "
            "FROM messages WHERE accepted_at BETWEEN $1 AND $2 AND submitted_at IS NOT NULL",
            since_ms,
            until_ms,
        )
        return float(row[0] or 0), float(row[1] or 0)
    finally:
        await connection.close()


async def prepare(stack: Stack, count: int) -> str:
    """Send `count` messages whose receipts the simulator keeps; return its address."""
    base = await stack.simulator()
    await stack.post_json(f"{base}/faults", {"hold_receipts": True})
    source = rows(count, single_segment=True)
    while part := [
        {key: value for key, value in row.items() if key != "client_ref"} for row in islice(source, 20_000)
    ]:
        await post_batches(stack, part, size=200, at_once=4)

    async def all_held() -> bool:
        stats = await stack.get_json(f"{base}/stats")
        return stats["waiting"]["receipts_held"] >= count

    await until(all_held, limit_s=60 + count / 500, every_s=0.5)
    connection = await database(stack)
    try:

        async def all_recorded() -> bool:
            return await connection.fetchval("SELECT count(*) FROM submissions") >= count

        await until(all_recorded, limit_s=60 + count / 500, every_s=look_every_s(count))
    finally:
        await connection.close()
    return base


async def storm(
    count: int, report: Report, *, background: int, calm_s: float, window: int, with_webhooks: bool
) -> list[str]:
    """Run the scenario; return what is wrong."""
    tree = demo_tree(rate="20000/s", window=200, receipt_delay="0", arguments=["--window", str(window)])
    tree["webhooks"] = {"allow_loopback": True}
    async with Stack(tree) as stack, Sink() as sink:
        if with_webhooks:
            await sink.subscribe(stack, "message.delivered")
        base = await prepare(stack, count)
        print(f"{count} receipts are held back; sending {background} messages/s")
        seen, sent, stop = Watch(), [], asyncio.Event()
        watching = asyncio.create_task(watch(stack, seen), name="storm.watch")
        sending = asyncio.create_task(send_steadily(stack, background, sent, stop)) if background else None
        before_ms = time.time_ns() // 1_000_000
        await asyncio.sleep(calm_s)
        (histogram, _), used = await processing(stack), await usage(stack)
        released, released_ms = time.monotonic(), time.time_ns() // 1_000_000
        held = (await stack.get_json(f"{base}/stats"))["waiting"]["receipts_held"]
        await stack.post_json(f"{base}/faults", {"hold_receipts": False})
        stored = await until_stored(stack, count, limit_s=120 + count / 300)
        stored_s, stored_ms = stored - released, time.time_ns() // 1_000_000
        acknowledged_s = next(
            (at - released for at, n in zip(seen.seconds, seen.acknowledged, strict=True) if n >= held),
            float("inf"),
        )
        used_after = await usage(stack)
        after, parked = await processing(stack)
        stop.set()
        if sending is not None:
            await sending
        await until_settled(
            stack, Ledger(accepted={str(n): ("", "") for n in range(count + len(sent))}), limit_s=120
        )
        called_back = await until_called_back(sink, count + len(sent)) - released if with_webhooks else 0.0
        watching.cancel()
        column = show("the storm", held, stored_s, used, used_after)
        waited = [quantile(histogram, after, share) for share in (0.5, 0.95, 0.99)]
        about = {
            "acknowledged to the carrier within, s": acknowledged_s,
            "stored within, s": stored_s,
            **{
                f"received to stored p{at}, at most s": one
                for at, one in zip((50, 95, 99), waited, strict=True)
            },
            "came before their submission was recorded": round(parked),
            **({"called back within, s": called_back} if with_webhooks else {}),
        }
        report.beside(f"{held} receipts released at once, CPU in s per 1,000", {"": {**column, **about}})
        if background:
            calm = seen.rate(released - calm_s + 1, released)
            rough = seen.rate(released, stored)
            print(f"  dispatch before: {calm[0]:.0f}/s, worst second {calm[1]:.0f}/s")
            print(f"  dispatch during: {rough[0]:.0f}/s, worst second {rough[1]:.0f}/s")
            for title, span in (("before", (before_ms, released_ms)), ("during", (released_ms, stored_ms))):
                p50, p99 = await delays(stack, *span)
                print(f"  accept to carrier {title}: p50 {p50:.0f} ms, p99 {p99:.0f} ms")
        print(
            "  peak memory MB: " + ", ".join(f"{name} {mb:.0f}" for name, mb in sorted(seen.peak_mb.items()))
        )
        return await faults(stack, seen, count=count + len(sent))


async def steady(rate: int, report: Report, *, seconds: float, with_webhooks: bool) -> list[str]:
    """Send `rate` messages a second, each with a receipt a second later; return what is wrong."""
    tree = demo_tree(rate=f"{rate * 3}/s", window=200, receipt_delay="1s")
    tree["webhooks"] = {"allow_loopback": True}
    async with Stack(tree) as stack, Sink() as sink:
        if with_webhooks:
            await sink.subscribe(stack, "message.delivered")
        seen, sent, stop = Watch(), [], asyncio.Event()
        watching = asyncio.create_task(watch(stack, seen), name="steady.watch")
        sending = asyncio.create_task(send_steadily(stack, rate, sent, stop), name="steady.send")
        await asyncio.sleep(WARM_S)
        (before, _), used, began, first = (
            await processing(stack),
            await usage(stack),
            time.monotonic(),
            len(sent),
        )
        await asyncio.sleep(seconds)
        (after, parked), used_after = await processing(stack), await usage(stack)
        took_s, count = time.monotonic() - began, len(sent) - first
        stop.set()
        await sending
        ledger = Ledger(accepted={str(n): ("", "") for n in range(len(sent))})
        await until_settled(stack, ledger, limit_s=120)
        if with_webhooks:
            await until_called_back(sink, len(sent))
        watching.cancel()
        stored = max(after.values(), default=0) - max(before.values(), default=0)
        column = show(f"steady {rate}/s", count, took_s, used, used_after)
        report.beside(f"{rate} messages/s with receipts for {seconds:.0f} s", {"": column})
        waited = [quantile(before, after, share) for share in (0.5, 0.95, 0.99)]
        print(f"  {stored:.0f} receipts stored, {stored / took_s:.0f}/s; parked first {parked:.0f}")
        print("  received to stored p50, p95, p99: at most " + ", ".join(f"{one:g} s" for one in waited))
        found = await faults(stack, seen, count=len(sent))
        if count < 0.97 * rate * took_s:
            found.append(f"the generator sent {count / took_s:.0f}/s, wanted {rate}/s: an invalid run")
        if waited[1] > MAX_STORED_P95_S:
            found.append(f"p95 from received to stored is {waited[1]:g} s, the limit is {MAX_STORED_P95_S:g}")
        return found


def look_every_s(count: int) -> float:
    """Return how often to count so many rows: the look must not weigh on what is looked at."""
    return max(0.25, count / 50_000)


async def until_called_back(sink: Sink, count: int) -> float:
    """Wait until the endpoint has as many events; return when that was."""
    await until(lambda: sink.events >= count, limit_s=120 + count / 300)
    return time.monotonic()


async def until_stored(stack: Stack, count: int, *, limit_s: float) -> float:
    """Wait until `count` messages are final; return when that was."""
    await until_acknowledged(stack, count, limit_s=limit_s)  # looks at the table weigh on the database
    connection = await database(stack)
    try:

        async def stored() -> bool:
            return await connection.fetchval("SELECT count(*) FROM messages WHERE state_rank = 3") >= count

        await until(stored, limit_s=limit_s, every_s=look_every_s(count))
        return time.monotonic()
    finally:
        await connection.close()


async def faults(stack: Stack, seen: Watch, *, count: int) -> list[str]:
    """Return what broke a promise."""
    found = [
        f"{name} took {seen.peak_mb[name]:.0f} MB, the limit is {MAX_RSS_MB}"
        for name in ROLES
        if seen.peak_mb[name] > MAX_RSS_MB
    ]
    connection = await database(stack)
    try:
        states = await connection.fetch("SELECT state, count(*) AS n FROM messages GROUP BY state")
        parked = await connection.fetchval("SELECT count(*) FROM parked_receipts")
        dead = await connection.fetchval("SELECT count(*) FROM dead_records")
    finally:
        await connection.close()
    by_state = {row["state"]: row["n"] for row in states}
    print(f"  states {by_state}; parked {parked}, dead {dead}")
    if by_state != {"delivered": count}:
        found.append(f"{count} messages were sent and should be delivered: {by_state}")
    if parked or dead:
        found.append(f"{parked} receipts are parked and {dead} records dead")
    return found


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50_000, help="receipts released at once")
    parser.add_argument("--background", type=int, default=500, help="messages sent per second meanwhile")
    parser.add_argument("--window", type=int, default=100, help="receipts the carrier sends unanswered")
    parser.add_argument("--webhooks", action="store_true", help="call every delivery back")
    parser.add_argument("--calm", type=float, default=8.0, help="seconds before the release")
    parser.add_argument(
        "--rate", type=int, default=0, help="messages per second, each with its receipt; no storm"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long that rate is held")
    json_option(parser)
    chosen = parser.parse_args()
    report = Report("receipts")
    wrong = asyncio.run(
        steady(chosen.rate, report, seconds=chosen.seconds, with_webhooks=chosen.webhooks)
        if chosen.rate
        else storm(
            chosen.count,
            report,
            background=chosen.background,
            calm_s=chosen.calm,
            window=chosen.window,
            with_webhooks=chosen.webhooks,
        )
    )
    for one in wrong:
        report.note(f"FAILED: {one}")
    report.write(chosen.json)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
