"""A gateway with two carriers, customers and webhooks under a light load that a real Prometheus watches.

For the tests of dashboards and alerts: what goes wrong is done to it by `outage` and `stall`.
"""

import asyncio
import contextlib
import itertools
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from tests.scenarios.posting import numbered
from tests.support.prometheus import RULES, Alertmanager, Prometheus
from tests.support.smsc import Smsc
from tests.support.stack import Stack
from tests.support.webhooks import Receiver, receiving

FIRST, SECOND = "first", "second"
PROCESSES = 4
"""Targets of `/sd`: the supervisor and three roles."""
MIX = ("otp", "transactional", "collections", "transactional", "marketing", "transactional")
_PATIENCE_S = 30.0
_REPEATED_EVERY, _INVALID_EVERY, _BATCH_EVERY, _REPLY_EVERY = 23, 31, 17, 13
_PERSON, _NUMBER = "525512345678", "22222"


class Watched:
    """What one run has. `answers` counts the answers to POSTs by status, 0 for none."""

    def __init__(self, stack: Stack, first: Smsc, second: Smsc, customer: Receiver) -> None:
        self.stack = stack
        self.first = first
        self.second = second
        self.customer = customer
        self.answers: Counter[int] = Counter()
        self._stopped = asyncio.Event()
        self._load: asyncio.Task[None] | None = None

    def start_load(self, *, per_s: float) -> None:
        """Post messages of all classes at a steady pace, whatever the answers take, until `stop_load`."""
        self._load = asyncio.create_task(self._post_steadily(per_s), name="watched.load")

    async def stop_load(self) -> None:
        """End the load when every POST has its answer."""
        self._stopped.set()
        if self._load is not None:
            await self._load

    @contextlib.asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """The first carrier is gone: it ends its binds and takes no new ones."""
        await self.first.faults(refuse_binds=True, disconnect=True)
        try:
            yield
        finally:
            await self.first.faults(refuse_binds=False)

    @contextlib.asynccontextmanager
    async def stall(self) -> AsyncIterator[None]:
        """The database stands still: connections stay up and nothing is answered."""
        stopped = []
        try:
            for process in _postgres(self.stack.folder / "var"):
                with contextlib.suppress(psutil.NoSuchProcess):
                    os.kill(process.pid, signal.SIGSTOP)
                    stopped.append(process)
            assert stopped, "no database server runs"
            yield
        finally:
            for process in stopped:
                with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                    os.kill(process.pid, signal.SIGCONT)

    async def _post_steadily(self, per_s: float) -> None:
        source = numbered(10_000_000)
        headers = {"Authorization": f"Bearer {self.stack.key}"}
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
        connector = aiohttp.TCPConnector(limit=0)
        due = time.monotonic()
        async with (
            aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as http,
            asyncio.TaskGroup() as group,
        ):
            for index in itertools.count():
                if self._stopped.is_set():
                    return
                defaults = {"from": "CAUDAL", "class": MIX[index % len(MIX)]}
                if index % _BATCH_EVERY == 0:
                    body: dict[str, Any] = {
                        "defaults": defaults,
                        "messages": list(itertools.islice(source, 3)),
                    }
                    group.create_task(self._post(http, "/v1/messages:batch", body), name="watched.post")
                else:
                    body = {**next(source), **defaults}
                    if index % _INVALID_EVERY == 0:
                        body["to"] = "+52"
                    key = {"Idempotency-Key": f"load-{index}"} if index % _REPEATED_EVERY == 0 else {}
                    repeats = 2 if key else 1
                    group.create_task(
                        self._post(http, "/v1/messages", body, repeats=repeats, **key), name="watched.post"
                    )
                if index % _REPLY_EVERY == 0:
                    group.create_task(self._reply(), name="watched.reply")
                due += 1 / per_s
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _post(
        self, http: aiohttp.ClientSession, path: str, body: Any, *, repeats: int = 1, **headers: str
    ) -> None:
        for _ in range(repeats):
            status = 0
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                async with http.post(self.stack.api + path, json=body, headers=headers) as answer:
                    status = answer.status
                    await answer.read()
            self.answers[status] += 1

    async def _reply(self) -> None:
        # A person who writes while no bind is up is the carrier's to keep; it says so and we go on.
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError, AssertionError):
            await self.second.originate(source=_PERSON, destination=_NUMBER, text="¿Me confirma, por favor?")


@contextlib.asynccontextmanager
async def a_watched_gateway(*, mps: float = 60) -> AsyncIterator[Watched]:
    """Run the gateway: `first`, else `second`, take everything; one endpoint hears everything, one is dead."""
    async with (
        Smsc("--latency", "10ms", "--receipt-delay", "300ms") as first,
        Smsc("--latency", "10ms", "--receipt-delay", "300ms") as second,
        receiving() as customer,
    ):
        profile = {"reconnect_min_s": 0.5, "reconnect_max_s": 5, "enquire_link_s": 3}
        own = {"rate": f"{mps:g}/s", "binds": 2, "credentials_expire": "2099-12-31", "profile": profile}
        tree = {
            "api": {"port": 0},
            "admin": {"port": 0},
            "webhooks": {"allow_loopback": True},
            "smpp_server": {"enabled": True, "port": 0},
            "carriers": {FIRST: first.carrier(**own), SECOND: second.carrier(**own)},
            "routes": [{"carriers": [FIRST, SECOND]}],
        }
        async with Stack(tree) as stack:
            for url in (customer.url, "http://127.0.0.1:1/dead"):
                await stack.caudal("webhooks", "create", "--account", "demo", "--url", url)
            await stack.caudal("inbound", "numbers", "add", _NUMBER, "--account", "demo")
            watched = Watched(stack, first, second, customer)
            try:
                yield watched
            finally:
                await watched.stop_load()


@contextlib.asynccontextmanager
async def a_prometheus_of(
    watched: Watched,
    *,
    rules: Sequence[Path] = RULES,
    scrape: str = "15s",
    alertmanager: Alertmanager | None = None,
) -> AsyncIterator[Prometheus]:
    """Run a Prometheus that scrapes every process of the gateway; it may outlive it."""
    async with Prometheus(
        f"{watched.stack.admin}/sd", rules=rules, scrape=scrape, alertmanager=alertmanager
    ) as prometheus:
        await prometheus.until_scraped(PROCESSES)
        yield prometheus


def _postgres(state: Path) -> list[psutil.Process]:
    """Return the processes of the embedded server, the postmaster first."""
    postmaster = psutil.Process(int((state / "data" / "postmaster.pid").read_text().split()[0]))
    return [postmaster, *postmaster.children(recursive=True)]
