"""Somebody to call: an HTTP server in the test's own loop that keeps what came and answers as it is told."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple, Self

from aiohttp import web


class Called(NamedTuple):
    """One call: headers have lower-case names."""

    method: str
    headers: dict[str, str]
    query: dict[str, str]
    body: bytes

    @property
    def tree(self) -> Any:
        return json.loads(self.body)


class CallbackSink:
    """Use `async with CallbackSink() as sink`; `answer(called)` says status and body."""

    def __init__(self) -> None:
        self.calls: list[Called] = []
        self.answer: Callable[[Called], tuple[int, str]] = lambda _: (200, "ok")
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/callbacks/telco", self._called)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/callbacks/telco"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _called(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        called = Called(request.method, headers, dict(request.query), await request.read())
        self.calls.append(called)
        status, body = self.answer(called)
        return web.Response(status=status, text=body)
