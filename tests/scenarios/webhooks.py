"""The promises of webhooks as scenarios; each returns its figures and raises AssertionError where one is broken."""

import asyncio
import time
from collections import Counter
from datetime import datetime
from typing import Any, Self

import msgspec
from aiohttp import web

from tests.scenarios.judging import percentile, resident_mb
from tests.scenarios.posting import numbered
from tests.support.ledger import database
from tests.support.stack import Stack, demo_tree, until

VARIANTS = ("refuse", "503", "hang")
SETTLE_S = 20.0
"""Seconds at the start that no figure counts."""
CALM_S = 40.0
"""Seconds before the outage that the healthy endpoint is compared with."""
AFTER_S = 60.0
"""Seconds after the outage in which events still come about, while the backlog drains."""


MAX_CALM_P95_S = 2.0
"""From the receipt to the healthy endpoint before the outage, in a run that says anything."""


class Endpoint:
    """One customer's endpoint. `breaks` makes it refuse connections, answer 503 or never answer; `mends` ends that."""

    def __init__(self) -> None:
        self.port = 0
        self.taken: Counter[str] = Counter()
        """How often each message was told of, in requests that were answered with 200."""
        self.request_ids: Counter[str] = Counter()
        self.refused = 0
        self.delays: list[tuple[float, float]] = []
        """(when it came, seconds since it came about), in seconds of the monotonic clock."""
        self._trouble = ""
        self._mended = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=4 << 20)
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._mended.set()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def breaks(self, trouble: str) -> None:
        """Begin the outage."""
        self._mended.clear()
        self._trouble = trouble
        if trouble == "refuse" and self._site is not None:
            await self._site.stop()

    async def mends(self) -> None:
        """End it."""
        was, self._trouble = self._trouble, ""
        self._mended.set()
        if was == "refuse":
            await self._listen()

    def p95_s(self, start: float, end: float) -> float:
        """Return the 95th percentile of the delays of what came between two times."""
        return percentile([delay for at, delay in self.delays if start <= at < end] or [float("inf")], 0.95)

    def most_in(self, start: float, *, seconds: float) -> float:
        """Return the highest rate over that many seconds of what came after `start` and is older, in events per second."""
        ats = [at for at, delay in self.delays if at >= start > at - delay]
        most = first = 0
        for last, at in enumerate(ats):
            while ats[first] <= at - seconds:
                first += 1
            most = max(most, last - first + 1)
        return most / seconds

    def last_older_than(self, start: float) -> float:
        """Return when the last came of what came about before a time."""
        return max((at for at, delay in self.delays if at - delay < start), default=start)

    async def _listen(self) -> None:
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    async def _take(self, request: web.Request) -> web.Response:
        if self._trouble == "hang":
            self.refused += 1
            await self._mended.wait()
            return web.Response(status=503)
        if self._trouble:  # over a connection that was open before, also where new ones are refused
            self.refused += 1
            return web.Response(status=503, headers={"connection": "close"})
        body = msgspec.json.decode(await request.read())
        now, wall = time.monotonic(), time.time()
        self.request_ids[request.headers["webhook-id"]] += 1
        for event in body["data"] if body["type"] == "batch" else [body]:
            self.taken[event["data"]["id"]] += 1
            self.delays.append((now, wall - datetime.fromisoformat(event["timestamp"]).timestamp()))
        return web.Response()


class _Account:
    """One account with its endpoint, and what was accepted of it."""

    def __init__(self, name: str, endpoint: Endpoint) -> None:
        self.name = name
        self.endpoint = endpoint
        self.key = ""
        self.accepted: set[str] = set()

    async def open(self, stack: Stack, *, batch: int) -> None:
        self.key = await stack.caudal("keys", "create", "--account", self.name)
        wish = ("--url", self.endpoint.url, "--type", "message.delivered", "--batch-max", str(batch))
        await stack.caudal("webhooks", "create", "--account", self.name, *wish)

    async def post(self, stack: Stack, messages: list[dict[str, Any]]) -> None:
        body = {"defaults": {"from": "CAUDAL", "class": "transactional"}, "messages": messages}
        headers = {"Authorization": f"Bearer {self.key}"}
        status, answer = await stack.request("POST", "/v1/messages:batch", json=body, headers=headers)
        assert status == 202, answer
        self.accepted.update(result["id"] for result in answer["results"])

    async def post_steadily(self, stack: Stack, *, per_s: float, stop: asyncio.Event) -> None:
        """Post at a steady pace until `stop`, whatever the answers take."""
        size = max(1, int(per_s / 10))
        source = numbered(1_000_000)
        due = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                part = [next(source) for _ in range(size)]
                group.create_task(self.post(stack, part), name="scenario.post")
                due += size / per_s
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    def is_told(self) -> bool:
        """True when every accepted message was told of."""
        return len(self.endpoint.taken) >= len(self.accepted)


class _Peaks:
    """What is looked at every few seconds: events that wait, memory of the role `back`."""

    def __init__(self) -> None:
        self.backlog = 0
        self.back_mb = 0.0

    async def watch(self, stack: Stack) -> None:
        back = (await stack.roles())["back"]
        connection = await database(stack)
        try:
            while True:
                self.backlog = max(
                    self.backlog, await connection.fetchval("SELECT count(*) FROM webhook_backlog")
                )
                self.back_mb = max(self.back_mb, resident_mb(back["pid"]))
                await asyncio.sleep(5.0)
        finally:
            await connection.close()


async def slow_webhooks(
    *,
    minutes: float = 10.0,
    variant: str = "refuse",
    rate: float = 500.0,
    batch: int = 100,
    drain: float = 1_000.0,
) -> dict[str, Any]:
    """One of two endpoints is away for minutes at `rate` events a second each; `drain` is the rate of catching up."""
    assert variant in VARIANTS, f"variant {variant} is none of {', '.join(VARIANTS)}"
    tree = demo_tree(rate="5000/s", window=200, receipt_delay="50ms")
    tree["webhooks"] = {"allow_loopback": True, "drain_rate": f"{drain:g}/s"}
    async with Endpoint() as healthy, Endpoint() as broken, Stack(tree) as stack:
        accounts = [_Account("healthy", healthy), _Account("broken", broken)]
        for account in accounts:
            await account.open(stack, batch=batch)
        stop, peaks = asyncio.Event(), _Peaks()
        watching = asyncio.create_task(peaks.watch(stack), name="scenario.watch")
        sending = [
            asyncio.create_task(account.post_steadily(stack, per_s=rate, stop=stop), name="scenario.send")
            for account in accounts
        ]
        await asyncio.sleep(SETTLE_S)
        calm_at = time.monotonic()
        await asyncio.sleep(CALM_S)
        broke_at = time.monotonic()
        await broken.breaks(variant)
        await asyncio.sleep(minutes * 60)
        await broken.mends()
        mended_at = time.monotonic()
        await asyncio.sleep(AFTER_S)
        stop.set()
        await asyncio.gather(*sending)
        stopped_at = time.monotonic()
        limit_s = 120 + 3 * minutes * 60 * rate / drain
        await until(lambda: all(account.is_told() for account in accounts), limit_s=limit_s, every_s=0.5)
        await asyncio.sleep(3)  # what comes twice comes now
        await until(lambda: _is_empty(stack), limit_s=60)
        watching.cancel()
        figures = _figures(accounts, peaks, (calm_at, broke_at, mended_at, stopped_at))
    figures |= {"variant": variant, "minutes": minutes, "events_per_s_each": rate, "drain_rate": drain}
    _judge(figures, drain=drain, rate=rate)
    return figures


async def _is_empty(stack: Stack) -> bool:
    connection = await database(stack)
    try:
        return await connection.fetchval("SELECT count(*) FROM webhook_backlog") == 0
    finally:
        await connection.close()


def _figures(
    accounts: list[_Account], peaks: _Peaks, times: tuple[float, float, float, float]
) -> dict[str, Any]:
    calm_at, broke_at, mended_at, stopped_at = times
    healthy, broken = (account.endpoint for account in accounts)
    return {
        "accepted": [len(account.accepted) for account in accounts],
        "lost": sum(len(account.accepted - account.endpoint.taken.keys()) for account in accounts),
        "events_taken_twice": sum(
            count - 1 for account in accounts for count in account.endpoint.taken.values()
        ),
        "webhook_ids_taken_twice": sum(
            count - 1 for account in accounts for count in account.endpoint.request_ids.values()
        ),
        "requests_refused_in_outage": broken.refused,
        "most_waiting": peaks.backlog,
        "drained_within_s": round(broken.last_older_than(mended_at) - mended_at, 1),
        "most_per_s_over_10_s_after": round(broken.most_in(mended_at, seconds=10), 1),
        "healthy_p95_s": {
            "before": round(healthy.p95_s(calm_at, broke_at), 3),
            "during": round(healthy.p95_s(broke_at, mended_at), 3),
            "after": round(healthy.p95_s(mended_at, stopped_at), 3),
        },
        "broken_p95_s_before": round(broken.p95_s(calm_at, broke_at), 3),
        "back_peak_mb": round(peaks.back_mb),
    }


def _judge(figures: dict[str, Any], *, drain: float, rate: float) -> None:
    assert figures["lost"] == 0, figures
    assert figures["events_taken_twice"] == 0, figures
    assert figures["webhook_ids_taken_twice"] == 0, figures
    p95 = figures["healthy_p95_s"]
    # Then the way to the events is slower than they come, and every figure below is of that.
    assert p95["before"] <= MAX_CALM_P95_S, f"invalid run, the machine is too busy for this rate: {figures}"
    # What was on its way when the outage ended is no backlog: a second of it at most.
    assert figures["most_per_s_over_10_s_after"] <= drain * 1.1 + rate / 10, figures
    allowed_s = 1.5 * p95["before"] + 0.25
    assert p95["during"] <= allowed_s, (allowed_s, figures)
    assert p95["after"] <= allowed_s, (allowed_s, figures)
    assert figures["back_peak_mb"] <= 400, figures
