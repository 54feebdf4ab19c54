"""The admin port of one process: /metrics, /healthz, /readyz, and whatever pages and orders its owner adds (D12).

aiohttp rather than the API's stack: it starts in milliseconds and shares no middleware with customers' traffic.
"""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from gateway.telemetry.metrics import histogram

VERSION = "0.1.0"
Readiness = Callable[[], dict[str, str]]
"""Return what is not ready, by name with its reason; empty when all is."""


Order = Callable[[dict[str, Any]], Awaitable[Any]]
"""Takes the JSON object that was posted, returns what is answered; ValueError is the sender's fault."""

_MAX_ORDER_OCTETS = 4096


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
        orders: dict[str, Order] | None = None,
    ) -> None:
        self._registry = registry
        self._host = host
        self._wanted_port = port
        self._not_ready = not_ready
        self._collect = collect
        self._pages = pages or {}
        self._orders = orders or {}
        self._runner: web.AppRunner | None = None
        self._lag = histogram(registry, "event_loop_lag_seconds")
        self._lag_task: asyncio.Task[None] | None = None
        self.port = port

    async def start(self) -> int:
        """Listen; return the port. Raises PortTakenError."""
        app = web.Application(client_max_size=_MAX_ORDER_OCTETS)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        for path, page in self._pages.items():
            app.router.add_get(path, self._page(page))
        for path, order in self._orders.items():
            app.router.add_post(path, self._order(order))
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

    async def _metrics(self, request: web.Request) -> web.Response:
        self._collect()
        # OpenMetrics, which alone has exemplars, to who asks for it.
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        # Building the page takes tens of milliseconds with many series: not on the loop that paces carriers.
        page = await asyncio.to_thread(encode, self._registry)
        return web.Response(body=page, headers={"Content-Type": content_type})

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

    @staticmethod
    def _order(order: Order) -> Callable[[web.Request], Any]:
        async def answer(request: web.Request) -> web.Response:
            # A page in somebody's browser may post to this machine, but neither as JSON nor without its Origin.
            if request.content_type != "application/json" or "Origin" in request.headers:
                return web.json_response({"error": "send JSON, and not from a browser"}, status=415)
            try:
                told = await request.json()
                if not isinstance(told, dict):
                    raise ValueError("the body is no JSON object")  # noqa: TRY004 - the sender's fault, not a caller's
                return web.json_response(await order(told))
            except ValueError as error:
                return web.json_response({"error": str(error)}, status=400)

        return answer

    async def _measure_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.1)
            self._lag.observe(max(0.0, loop.time() - before - 0.1))
