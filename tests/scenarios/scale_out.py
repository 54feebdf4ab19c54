"""Several processes of each role on one PostgreSQL and one Kafka: they come, go and die while messages flow (D3)."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.scenarios.dispatch import BURST_SHARE, tree, until_received
from tests.scenarios.judging import worst_window
from tests.scenarios.posting import numbered, post_many
from tests.support.kafka import kafka_server
from tests.support.ledger import database
from tests.support.smsc import Smsc
from tests.support.stack import BIN, START_S, Stack, until

TAKEN_OVER_S = 15.0
SECOND_NS = 1_000_000_000
_GROUPS = ("@recorder", "@dlr")


class Extra:
    """A role started by hand beside the supervised ones, as on another host."""

    def __init__(self, stack: Stack, role: str, index: int) -> None:
        self._stack = stack
        self.role = role
        self._index = index
        self.api = ""
        self.lines: list[str] = []
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> "Extra":
        """Start it and wait until it says that it is ready."""
        self._process = process = await asyncio.create_subprocess_exec(
            str(BIN / "caudal"),
            *("run", self.role, "--index", str(self._index)),
            cwd=self._stack.folder,
            env=self._stack.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=sys.stderr,
        )
        ready = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read(process, ready), name=f"scenario.{self.role}")
        try:
            facts = await asyncio.wait_for(ready, START_S)
        except TimeoutError:
            raise AssertionError(
                f"{self.role} is not ready after {START_S:.0f} s: {self.lines[-20:]}"
            ) from None
        if "port" in facts:
            self.api = f"http://127.0.0.1:{facts['port']}"
        return self

    async def end(self, signum: signal.Signals = signal.SIGTERM) -> None:
        """End it, in order or by kill -9; nothing happens when it has ended."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.send_signal(signum)
        await asyncio.wait_for(self._process.wait(), 60)
        if self._reading is not None:
            await self._reading

    async def _read(
        self, process: asyncio.subprocess.Process, ready: "asyncio.Future[dict[str, Any]]"
    ) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self.lines = [*self.lines[-200:], line.decode(errors="replace").rstrip()]
            if not ready.done() and line.startswith(b'{"event": "ready"'):
                ready.set_result(json.loads(line))
        if not ready.done():
            ready.set_exception(AssertionError(f"{self.role} did not start: {self.lines[-20:]}"))


@contextlib.contextmanager
def broker(bootstrap: str = "") -> Iterator[dict[str, Any]]:
    """Give the settings of a bus on Kafka: of the cluster given, or of one started for this."""
    bootstrap = bootstrap or os.environ.get("CAUDAL_KAFKA_BOOTSTRAP", "")
    with contextlib.nullcontext() if bootstrap else kafka_server() as server:
        address = bootstrap or server.bootstrap  # type: ignore[union-attr]  # it is there when started
        yield {"bootstrap": address, "prefix": f"s{secrets.token_hex(4)}."}


@asynccontextmanager
async def extras(stack: Stack) -> AsyncIterator[list[Extra]]:
    """Keep what is started beside the stack, and kill what is left of it at the end."""
    started: list[Extra] = []
    try:
        yield started
    finally:
        for one in started:
            await one.end(signal.SIGKILL)


async def owners(stack: Stack, *names: str) -> dict[str, Counter[str]]:
    """Return, for carriers' shards and `@group`s' partitions, how many each owner has."""
    connection = await database(stack)
    try:
        rows = await connection.fetch(
            "SELECT carrier, owner, count(*) AS n FROM lane_leases"
            " WHERE carrier = ANY ($1::text[]) AND expires_at > now() GROUP BY carrier, owner",
            list(names),
        )
    finally:
        await connection.close()
    found: dict[str, Counter[str]] = {name: Counter() for name in names}
    for row in rows:
        found[row["carrier"]][row["owner"]] = row["n"]
    return found


async def until_shared(
    stack: Stack, *names: str, parts: int, processes: int, limit_s: float = TAKEN_OVER_S
) -> float:
    """Wait until everything is owned, in fair shares by that many processes; return the seconds it took."""
    began = time.monotonic()
    fair = sorted(parts // processes + (n < parts % processes) for n in range(processes))

    async def is_shared() -> bool:
        return all(sorted(one.values()) == fair for one in (await owners(stack, *names)).values())

    await until(is_shared, limit_s=limit_s, every_s=0.2)
    return round(time.monotonic() - began, 1)


async def kafka_handover(*, mps: float = 1000, seconds: float = 60, bootstrap: str = "") -> dict[str, Any]:
    """P3, D3: two dispatch processes on Kafka drain one carrier at its rate while one is killed and replaced.

    The dead one's half of the rate is idle until another has its shards, some second, and again a moment while the new
    one gets its part. Over a minute before and a minute after the kill 99 to 100 % of the contract is used, and no
    second goes above it.
    """
    limit = mps + max(1, int(mps * BURST_SHARE))
    with broker(bootstrap) as kafka:
        async with Smsc("--no-receipts", "--latency", "5ms") as smsc:
            carrier = smsc.carrier(rate=f"{mps:g}/s", binds=4, shards=4, window=200)
            async with (
                Stack(tree({"telco": carrier}) | {"kafka": kafka}) as stack,
                extras(stack) as started,
            ):
                started.append(await Extra(stack, "dispatch", 7).start())
                shared_s = await until_shared(stack, "telco", parts=4, processes=2, limit_s=40)
                total = int(mps * (seconds * 2 + 15))
                posting = asyncio.create_task(post_many(stack, total, **{"class": "transactional"}))
                await until_received(smsc, int(mps * 2), limit_s=60)
                before_ns = time.monotonic_ns() + SECOND_NS
                await asyncio.sleep(seconds + 1)
                killed_ns = time.monotonic_ns()
                await started[0].end(signal.SIGKILL)
                taken_s = await until_shared(stack, "telco", parts=4, processes=1, limit_s=30)
                taken_ns = time.monotonic_ns()
                started.append(await Extra(stack, "dispatch", 8).start())
                again_s = await until_shared(stack, "telco", parts=4, processes=2, limit_s=40)
                again_ns = time.monotonic_ns()
                await asyncio.sleep(max(1.0, seconds - (again_ns - killed_ns) / SECOND_NS))
                end_ns = time.monotonic_ns()
                posting.cancel()
                await asyncio.gather(posting, return_exceptions=True)
                received = await smsc.messages()
    arrivals = [one["arrival_ns"] for one in received]

    def share(start_ns: int, stop_ns: int) -> float:
        return round(
            sum(start_ns <= at < stop_ns for at in arrivals) / mps / ((stop_ns - start_ns) / SECOND_NS), 3
        )

    figures = {
        "mps": mps,
        "shared_after_s": shared_s,
        "taken_over_after_s": taken_s,
        "shared_again_after_s": again_s,
        "received": len(arrivals),
        "worst_second": worst_window(arrivals),
        "allowed": limit,
        "share_before": share(before_ns, killed_ns),
        "share_while_shards_are_free": share(killed_ns, taken_ns),
        "share_while_the_new_one_starts": share(taken_ns, again_ns),
        "share_after": share(again_ns, end_ns),
        "share_over_all": share(before_ns, end_ns),
        "worst_10_s": min(
            share(at, at + 10 * SECOND_NS) for at in range(before_ns, end_ns - 10 * SECOND_NS, SECOND_NS)
        ),
        "sent_twice": sum(n - 1 for n in Counter(one["destination"] for one in received).values()),
    }
    assert figures["taken_over_after_s"] <= TAKEN_OVER_S, figures
    assert figures["worst_second"] <= limit, figures
    assert seconds < 60 or 0.99 <= figures["share_over_all"] <= 1.0 + 1 / seconds, figures
    # P2: the windows of the dead one's two shards, and a quarter of a second of their rate.
    assert figures["sent_twice"] <= 2 * 50 + mps / 8, figures
    return figures


async def scale_out(*, mps: float = 400, seconds: float = 40, bootstrap: str = "") -> dict[str, Any]:
    """P1 to P3: a second group of processes comes, one of them dies, the others go; every message has one end."""
    with broker(bootstrap) as kafka:
        async with Smsc("--latency", "5ms", "--receipt-delay", "100ms") as smsc:
            carrier = smsc.carrier(rate=f"{mps:g}/s", binds=2, shards=2, window=50)
            shared = {"events": 4, "receipts": 4, "webhooks": 2}
            settings = tree({"telco": carrier}) | {"kafka": kafka, "bus": {"partitions": shared}}
            async with Stack(settings) as stack, extras(stack) as started:
                figures = await _come_and_go(stack, started, mps=mps, seconds=seconds)
                received = Counter(
                    one["destination"] for one in await smsc.messages() if one["status"] == "ESME_ROK"
                )
                arrivals = [one["arrival_ns"] for one in await smsc.messages()]
    accepted = figures.pop("accepted_numbers")
    figures["accepted"] = len(accepted)
    figures["lost"] = sum(not received[one] for one in accepted)
    figures["sent_twice"] = sum(received[one] - 1 for one in accepted if received[one])
    figures["worst_second"] = worst_window(arrivals)
    figures["allowed"] = mps + max(1, int(mps * BURST_SHARE))
    assert figures["lost"] == 0, figures
    assert figures["states"] == {"delivered": len(accepted)}, figures
    assert figures["sent_twice"] <= 50 + mps / 4, figures  # one crash of one shard
    assert figures["worst_second"] <= figures["allowed"], figures
    return figures


async def _come_and_go(stack: Stack, started: list[Extra], *, mps: float, seconds: float) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    accepted: set[str] = set()
    apis = [stack.api]
    is_over = asyncio.Event()
    posting = asyncio.create_task(_post(stack, apis, accepted, per_s=mps / 2, is_over=is_over))
    try:
        await _change_hands(stack, started, apis, figures, seconds=seconds)
    finally:
        is_over.set()
        await posting
    connection = await database(stack)
    try:

        async def is_settled() -> bool:
            rows = await connection.fetch("SELECT state, count(*) AS n FROM messages GROUP BY state")
            figures["states"] = {row["state"]: row["n"] for row in rows}
            return figures["states"] == {"delivered": len(accepted)}

        with contextlib.suppress(AssertionError):  # told by the figures
            await until(is_settled, limit_s=60, every_s=0.5)
    finally:
        await connection.close()
    return figures | {"accepted_numbers": accepted}


async def _change_hands(
    stack: Stack, started: list[Extra], apis: list[str], figures: dict[str, Any], *, seconds: float
) -> None:
    began = time.monotonic()
    started += [Extra(stack, role, index) for index, role in enumerate(("api", "dispatch", "back"), start=5)]
    await asyncio.gather(*(one.start() for one in started))
    api, dispatch, back = started
    apis.append(api.api)
    figures["dispatch_joined_s"] = await until_shared(stack, "telco", parts=2, processes=2)
    figures["back_joined_s"] = await until_shared(stack, *_GROUPS, parts=4, processes=2)
    await asyncio.sleep(max(1.0, seconds / 6))
    await asyncio.gather(dispatch.end(signal.SIGKILL), back.end(signal.SIGKILL))
    figures["back_followed_s"] = await until_shared(stack, *_GROUPS, parts=4, processes=1)
    figures["dispatch_followed_s"] = await until_shared(stack, "telco", parts=2, processes=1)
    second = await Extra(stack, "back", 7).start()
    started.append(second)
    await until_shared(stack, *_GROUPS, parts=4, processes=2)
    await second.end(signal.SIGTERM)
    figures["back_left_s"] = await until_shared(stack, *_GROUPS, parts=4, processes=1)
    apis.remove(api.api)
    await api.end(signal.SIGTERM)
    await asyncio.sleep(max(0.0, seconds - (time.monotonic() - began)))


async def _post(
    stack: Stack, apis: list[str], accepted: set[str], *, per_s: float, is_over: asyncio.Event
) -> None:
    """Post small batches to the APIs in turn; one that gets no answer is posted to another, by the same key."""
    size, index = 10, 0
    headers = {"Authorization": f"Bearer {stack.key}"}
    began = time.monotonic()
    async with aiohttp.ClientSession(headers=headers) as http:
        while not is_over.is_set():
            messages = list(numbered(size, start=index))
            body = {"defaults": {"from": "CAUDAL", "class": "transactional"}, "messages": messages}
            key = {"Idempotency-Key": f"scale-{index}"}
            status = 0
            for attempt in range(100):
                api = apis[(index // size + attempt) % len(apis)]
                with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                    async with http.post(api + "/v1/messages:batch", json=body, headers=key) as answer:
                        status = answer.status
                if status == 202:
                    break
                await asyncio.sleep(0.1)
            assert status == 202, status
            accepted.update(one["to"].lstrip("+") for one in messages)
            index += size
            await asyncio.sleep(max(0.0, began + index / per_s - time.monotonic()))
