"""The promises of dispatch as scenarios; each returns its figures and raises AssertionError where one is broken."""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from typing import Any

from tests.scenarios.judging import percentile, resident_mb, slowest_window, worst_window
from tests.scenarios.posting import post_many, post_steadily
from tests.support.http_simulator import HttpSimulator
from tests.support.ledger import database
from tests.support.smsc import Smsc
from tests.support.stack import BIN, Stack, until

BURST_SHARE = 0.02
"""What a carrier without `burst` may see above its rate in any second: 2 %, at least one segment."""


def tree(carriers: dict[str, Any], routes: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return a configuration with these carriers, without a simulator of its own."""
    return {
        "api": {"port": 0},
        "admin": {"port": 0},
        "carriers": carriers,
        **({"routes": routes} if routes else {}),
    }


def a_carrier(protocol: str, *, latency: str, receipts: bool = True) -> Smsc:
    """Return a simulator to be entered; one of HTTP has nowhere to send its receipts to."""
    if protocol == "http":
        return HttpSimulator("--fault", f"latency={latency}", "--fault", "receipts=false")
    return Smsc(*(() if receipts else ("--no-receipts",)), "--latency", latency)


async def rate(
    *, mps: float = 500, binds: int = 1, seconds: float = 20, protocol: str = "smpp", bulk: int = 1
) -> dict[str, Any]:
    """P3: work waits all the time; no second above mps + burst, no ten seconds below 99 % of mps."""
    count = max(3, int(mps * seconds))
    own = {"bulk": bulk} if protocol == "http" else {}
    async with (
        a_carrier(protocol, latency="2ms", receipts=False) as smsc,
        Stack(tree({"telco": smsc.carrier(rate=f"{mps:g}/s", binds=binds, window=200, **own)})) as stack,
    ):
        await stack.caudal("carriers", "pause", "telco", "--reason", "fill the lane first")
        await until(lambda: is_paused(stack), limit_s=15)
        await post_many(stack, count, **{"class": "transactional"})
        await stack.caudal("carriers", "resume", "telco", "--reason", "go")
        await until_received(smsc, count, limit_s=seconds * 2 + 30)
        arrivals = [one["arrival_ns"] for one in await smsc.messages()]
        seen = await smsc.get("/rate")
    allowed = mps + max(1, int(mps * BURST_SHARE))
    window_s = min(10, seconds / 2)
    # The first second is left out: what comes after a pause starts slowly on purpose.
    steady = [at for at in arrivals if at > arrivals[0] + 12e9] if seconds > 24 else arrivals
    least = slowest_window(steady, int(window_s * 1e9))
    figures = {
        "mps": mps,
        "binds": binds,
        "received": len(arrivals),
        "worst_second": worst_window(arrivals),
        "worst_second_by_simulator": seen["worst_count"],
        "allowed": allowed,
        f"least_in_{window_s:g}_s": least,
        "wanted_at_least": 0.99 * mps * window_s,
        "mean_per_s": seen["mean_per_s"],
    }
    assert len(arrivals) == count, figures
    assert figures["worst_second"] <= allowed, figures
    assert least is None or least >= int(0.99 * mps * window_s), figures
    return figures


async def hidden_limit(
    *, mps: float = 400, limit: float = 150, binds: int = 1, seconds: float = 40
) -> dict[str, Any]:
    """AIMD: settles within 10 % of a limit that nobody told, and wastes less than 2 % of its submits."""
    async with (
        Smsc("--no-receipts", "--latency", "20ms", "--mps", f"{limit:g}") as smsc,
        Stack(tree({"telco": smsc.carrier(rate=f"{mps:g}/s", binds=binds)})) as stack,
    ):
        await post_many(stack, int(limit * (seconds + 20)), **{"class": "marketing"})
        await smsc.reset()
        began = time.monotonic()
        await asyncio.sleep(seconds)
        records = await smsc.messages()
        connection = await database(stack)
        try:
            attempts = await connection.fetchval("SELECT max(attempt) FROM messages")
        finally:
            await connection.close()
        lasted_s = time.monotonic() - began
    first_ns = records[0]["arrival_ns"]
    half_ns = first_ns + int(lasted_s * 0.5e9)
    late = [one for one in records if one["arrival_ns"] >= half_ns]
    taken = sum(one["status"] == "ESME_ROK" for one in late)
    late_s = (late[-1]["arrival_ns"] - half_ns) / 1e9
    throttled = sum(one["status"] != "ESME_ROK" for one in records)
    figures = {
        "limit": limit,
        "configured": mps,
        "accepted_per_s_in_the_second_half": round(taken / late_s, 1),
        "wasted_share": round(throttled / len(records), 4),
        "submits": len(records),
        "attempts": attempts,
    }
    assert attempts == 1, figures
    assert 0.9 * limit <= taken / late_s <= 1.1 * limit, figures
    assert throttled / len(records) < 0.02, figures
    return figures


async def otp_under_campaign(
    *, backlog: int = 1_000_000, mps: float = 500, seconds: float = 300, most_mb: float = 300
) -> dict[str, Any]:
    """P4: with a campaign queued on the carrier one OTP a second still leaves at once, and dispatch stays small."""
    accepted: dict[str, float] = {}
    async with (
        Smsc("--no-receipts", "--latency", "5ms") as smsc,
        Stack(tree({"telco": smsc.carrier(rate=f"{mps:g}/s", binds=2)})) as stack,
    ):
        posted = await post_many(stack, backlog, start=1_000_000, **{"class": "marketing"})
        pid = (await stack.roles())["dispatch"]["pid"]
        queued = await queued_messages(stack, "telco")
        peak_mb = 0.0

        def note(_: str, recipient: str, at_s: float) -> None:
            nonlocal peak_mb
            accepted[recipient] = at_s
            peak_mb = max(peak_mb, resident_mb(pid))

        await post_steadily(stack, per_s=1, seconds=seconds, note=note, **{"class": "otp"})
        await asyncio.sleep(1)
        arrived = {
            one["destination"]: one["arrival_unix_ns"] / 1e9
            for one in await smsc.messages()
            if one["destination"] in accepted
        }
    waits_ms = [(arrived[to] - at_s) * 1000 for to, at_s in accepted.items() if to in arrived]
    figures = {
        "marketing_posted": posted,
        "queued_at_the_start": queued,
        "otps": len(accepted),
        "p50_ms": round(percentile(waits_ms, 0.5), 1),
        "p99_ms": round(percentile(waits_ms, 0.99), 1),
        "max_ms": round(max(waits_ms), 1),
        "dispatch_peak_mb": round(peak_mb, 1),
    }
    assert len(waits_ms) == len(accepted), figures
    assert figures["p99_ms"] < 250, figures
    assert peak_mb < most_mb, figures
    return figures


async def outage(
    *,
    mps: float = 500,
    before_s: float = 10,
    down_s: float = 60,
    after_s: float = 140,
    protocol: str = "smpp",
) -> dict[str, Any]:
    """P5: a carrier is gone for a while; nothing is lost, OTPs move within 5 s, afterwards it gets its share again.

    The one that goes is of `protocol`, the one that helps out of SMPP. Its share counts in the second half of `after_s`:
    by then every bind has tried again, which may take a minute, and has its rate.
    """
    otp_at: dict[str, float] = {}
    async with a_carrier(protocol, latency="5ms") as first, Smsc("--latency", "5ms") as second:
        carriers = {
            "first": first.carrier(rate=f"{mps * 1.5:g}/s", binds=2),
            "second": second.carrier(rate=f"{mps * 1.5:g}/s", binds=2),
        }
        async with Stack(tree(carriers, [{"carriers": ["first", "second"]}])) as stack:
            total_s = before_s + down_s + after_s

            def note(_: str, recipient: str, at_s: float) -> None:
                otp_at[recipient] = at_s

            posting = asyncio.gather(
                post_steadily(stack, per_s=mps, seconds=total_s, **{"class": "transactional"}),
                post_steadily(
                    stack, per_s=5, seconds=total_s, start=2_000_000, note=note, **{"class": "otp"}
                ),
            )
            await asyncio.sleep(before_s)
            window_s = time.time()
            await first.faults(refuse_binds=True, disconnect=True)
            await asyncio.sleep(down_s)
            await first.faults(refuse_binds=False)
            back_s = time.time()
            ordinary, otps = await posting
            ids = len(ordinary) + len(otps)
            states = await until_final(stack, ids, limit_s=60, most_open=400 if protocol == "smpp" else ids)
            records = {"first": await first.messages(), "second": await second.messages()}
    taken = [one for side in records.values() for one in side if one["status"] == "ESME_ROK"]
    per_number = Counter(one["destination"] for one in taken)
    arrived = {one["destination"]: one["arrival_unix_ns"] / 1e9 for one in taken}
    otp_waits = [arrived[to] - at_s for to, at_s in otp_at.items() if window_s - 1 <= at_s <= back_s]
    after_return = Counter(
        side
        for side, rows in records.items()
        for one in rows
        if one["arrival_unix_ns"] / 1e9 > back_s + after_s / 2 and one["status"] == "ESME_ROK"
    )
    figures = {
        "accepted": ids,
        "states": dict(states),
        "received": len(taken),
        "doubled": sum(count - 1 for count in per_number.values()),
        "in_flight_window": 400,
        "otp_wait_during_outage_max_s": round(max(otp_waits), 2),
        "share_of_the_first_after_its_return": round(after_return["first"] / max(1, after_return.total()), 3),
    }
    assert states["delivered"] + states["submitted"] == ids, figures
    assert len(per_number) == ids, figures
    assert figures["doubled"] <= figures["in_flight_window"], figures
    assert figures["otp_wait_during_outage_max_s"] <= 5, figures
    assert figures["share_of_the_first_after_its_return"] > 0.9, figures
    return figures


async def handover(*, mps: float = 400, seconds: float = 20) -> dict[str, Any]:
    """P3, D3: two dispatch processes share a carrier; one is killed and replaced, and the rate is never exceeded."""
    async with Smsc("--no-receipts", "--latency", "5ms") as smsc:
        carrier = smsc.carrier(rate=f"{mps:g}/s", binds=4, shards=4)
        async with Stack(tree({"telco": carrier})) as stack:
            other = await asyncio.create_subprocess_exec(
                str(BIN / "caudal"),
                *("run", "dispatch", "--index", "7"),
                cwd=stack.folder,
                env=stack.environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=sys.stderr,
            )
            try:
                assert other.stdout is not None
                reading = asyncio.create_task(read_all(other.stdout), name="scenario.other")
                owners = await until(lambda: two_owners(stack), limit_s=40, every_s=0.5)
                await post_many(stack, int(mps * (seconds * 2 + 30)), **{"class": "transactional"})
                await asyncio.sleep(seconds)
                os.kill(other.pid, signal.SIGKILL)
                await other.wait()
                killed_at = time.time()
                await until(lambda: single_owner(stack), limit_s=30, every_s=0.25)
                replaced_s = time.time() - killed_at
                await asyncio.sleep(seconds)
                arrivals = [one["arrival_ns"] for one in await smsc.messages()]
                reading.cancel()
            finally:
                if other.returncode is None:
                    other.kill()
                    await other.wait()
    figures = {
        "owners": owners,
        "replaced_after_s": round(replaced_s, 1),
        "worst_second": worst_window(arrivals),
        "allowed": mps + max(1, int(mps * BURST_SHARE)),
        "received": len(arrivals),
    }
    assert replaced_s <= 15, figures
    assert figures["worst_second"] <= figures["allowed"], figures
    return figures


async def is_paused(stack: Stack) -> bool:
    """Tell whether dispatch follows the order to pause."""
    port = (await stack.roles())["dispatch"]["admin_port"]
    return all(
        one["constraint"] == "paused" for one in await stack.get_json(f"http://127.0.0.1:{port}/explain")
    )


async def read_all(stream: asyncio.StreamReader) -> None:
    """Keep a pipe empty."""
    while await stream.readline():
        pass


async def until_received(smsc: Smsc, count: int, *, limit_s: float) -> None:
    """Wait until the simulator has seen that many submits."""

    async def is_reached() -> bool:
        # Not /rate: it goes through the whole record, and that disturbs what it measures.
        return (await smsc.get("/stats"))["record"]["next_number"] >= count

    await until(is_reached, limit_s=limit_s, every_s=1.0)


async def until_final(stack: Stack, count: int, *, limit_s: float, most_open: int = 400) -> Counter[str]:
    """Wait until nothing moves any more; return messages by state (in doubt ones stay submitted)."""
    connection = await database(stack)
    states: Counter[str] = Counter()
    try:

        async def is_settled() -> bool:
            nonlocal states
            rows = await connection.fetch("SELECT state, count(*) AS n FROM messages GROUP BY state")
            states = Counter({row["state"]: row["n"] for row in rows})
            return states.total() == count and not states["queued"] and states["submitted"] <= most_open

        await until(is_settled, limit_s=limit_s, every_s=0.5)
        await asyncio.sleep(3)
        await is_settled()
    finally:
        await connection.close()
    return states


async def queued_messages(stack: Stack, carrier: str) -> int:
    """Return the messages that wait in a carrier's lanes."""
    connection = await database(stack)
    try:
        return int(
            await connection.fetchval(
                """SELECT coalesce(sum(p.next_offset - coalesce(g.next_offset, p.first_offset)), 0)
                   FROM bus_partition p LEFT JOIN bus_position g USING (topic, partition)
                   WHERE p.topic LIKE 'lane.' || $1 || '.%'""",
                carrier,
            )
        )
    finally:
        await connection.close()


async def lease_owners(stack: Stack) -> dict[str, int]:
    """Return how many shards of the carrier each live owner has."""
    connection = await database(stack)
    try:
        rows = await connection.fetch(
            "SELECT owner, count(*) AS n FROM lane_leases"
            " WHERE carrier = 'telco' AND expires_at > now() GROUP BY owner"
        )
    finally:
        await connection.close()
    return {row["owner"]: row["n"] for row in rows}


async def two_owners(stack: Stack) -> dict[str, int] | None:
    """Return the owners once two of them have two shards each."""
    owners = await lease_owners(stack)
    return owners if sorted(owners.values()) == [2, 2] else None


async def single_owner(stack: Stack) -> bool:
    """Tell whether one process has all four shards."""
    return list((await lease_owners(stack)).values()) == [4]
