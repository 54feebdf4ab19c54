"""The admin port of one process: /metrics, /healthz, /readyz, and whatever else its owner adds (D12).

aiohttp rather than the API's stack: it starts in milliseconds and shares no middleware with customers' traffic.
"""

import asyncio
import errno
import os
from collections.abc import Callable
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from gateway.telemetry.metrics import gauge, histogram

VERSION = "0.1.0"
Readiness = Callable[[], dict[str, str]]
"""Return what is not ready, by name with its reason; empty when all is."""


class PortTakenError(OSError):
    """The address is in use; the text names it."""


def why_not(host: str, port: int, error: OSError) -> str:
    """Return why an address cannot be listened on, for people."""
    if error.errno == errno.EADDRINUSE:
        return f"{host}:{port} is in use by another program; is a gateway running already?"
    return f"cannot listen on {host}:{port}: {os.strerror(error.errno) if error.errno else error}"


class AdminServer:
    """Serves metrics and health of this process until `stop`."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        host: str,
        port: int,
        not_ready: Readiness,
        collect: Callable[[], None] = lambda: None,
        pages: dict[str, Callable[[], Any]] | None = None,
    ) -> None:
        self._registry = registry
        self._host = host
        self._wanted_port = port
        self._not_ready = not_ready
        self._collect = collect
        self._pages = pages or {}
        self._runner: web.AppRunner | None = None
        self._lag = histogram(registry, "event_loop_lag_seconds")
        gauge(registry, "build_info").labels(VERSION).set(1)
        self._lag_task: asyncio.Task[None] | None = None
        self.port = port

    async def start(self) -> int:
        """Listen; return the port. Raises PortTakenError."""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        for path, page in self._pages.items():
            app.router.add_get(path, self._page(page))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._wanted_port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise PortTakenError(f"admin.port: {why_not(self._host, self._wanted_port, error)}") from None
        self.port = self._runner.addresses[0][1]
        self._lag_task = asyncio.create_task(self._measure_lag(), name="admin.loop_lag")
        return self.port

    async def stop(self) -> None:
        """Stop listening."""
        if self._lag_task is not None:
            self._lag_task.cancel()
            await asyncio.gather(self._lag_task, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        self._collect()
        # Building the page takes tens of milliseconds with many series: not on the loop that paces carriers.
        page = await asyncio.to_thread(generate_latest, self._registry)
        return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _readyz(self, _: web.Request) -> web.Response:
        reasons = self._not_ready()
        return web.json_response(
            {"status": "not ready" if reasons else "ready", "reasons": reasons},
            status=503 if reasons else 200,
        )

    @staticmethod
    def _page(page: Callable[[], Any]) -> Callable[[web.Request], Any]:
        async def answer(_: web.Request) -> web.Response:
            return web.json_response(page())

        return answer

    async def _measure_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.1)
            self._lag.observe(max(0.0, loop.time() - before - 0.1))
