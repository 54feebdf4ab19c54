"""The API's HTTP server: uvicorn without its own signals, its port taken early and with a clear error."""

import asyncio
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from functools import partial

import uvicorn
from fastapi import FastAPI

from gateway.ingress.fast import FastPath
from gateway.runtime.admin import PortTakenError, why_not
from gateway.runtime.http_protocol import HttpProtocol

_BACKLOG = 2048


class _Server(uvicorn.Server):
    """uvicorn, with the signals left to the role."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield


class ApiServer:
    """One listening socket and the server on it. `fast` are the short ways of the application, by raw path."""

    def __init__(
        self,
        app: FastAPI,
        *,
        host: str,
        port: int,
        drain_delay_s: float,
        fast: Mapping[bytes, FastPath] | None = None,
    ) -> None:
        self._socket = listen(host, port, setting="api.port")
        self.port: int = self._socket.getsockname()[1]
        self._drain_delay_s = drain_delay_s
        self._draining = asyncio.Event()
        self._server = _Server(
            uvicorn.Config(
                app,
                loop="none",
                http=partial(HttpProtocol, fast=fast) if fast else "httptools",  # type: ignore[arg-type]  # a maker will do
                ws="none",
                lifespan="on",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                date_header=True,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=10,
                backlog=_BACKLOG,
            )
        )

    async def run(self) -> None:
        """Serve until `stop`; open requests are finished."""
        serving = asyncio.create_task(self._server.serve([self._socket]), name="api.server")
        stopping = asyncio.create_task(self._stop_when_asked(), name="api.drain")
        try:
            await serving
        finally:
            stopping.cancel()
            with suppress(asyncio.CancelledError):
                await stopping

    async def _stop_when_asked(self) -> None:
        await self._draining.wait()
        if self._drain_delay_s:  # time for a load balancer to see /readyz turn
            await asyncio.sleep(self._drain_delay_s)
        self._server.should_exit = True

    def stop(self) -> None:
        """Turn unready, wait the drain delay, finish what is open, end."""
        self._draining.set()

    def not_ready(self) -> dict[str, str]:
        """Return `starting` or `draining` while that is so."""
        if self._draining.is_set():
            return {"api": "draining"}
        return {} if self._server.started else {"api": "starting"}


def listen(host: str, port: int, *, setting: str) -> socket.socket:
    """Return a listening socket; PortTakenError names the setting."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise PortTakenError(f"{setting}: {why_not(host, port, error)}") from None
    return listener
