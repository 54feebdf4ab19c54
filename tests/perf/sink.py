"""An endpoint of an account, for benches: takes every webhook and counts the events. Its cost is the generator's."""

from typing import Self

import msgspec
from aiohttp import web

from tests.support.stack import Stack


class Sink:
    """Use `async with Sink() as sink`, then `subscribe`."""

    def __init__(self) -> None:
        self.events = 0
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=4 << 20)
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def subscribe(self, stack: Stack, *types: str) -> None:
        """Have the account `demo` tell of these types, up to 100 events in a POST."""
        wish = [part for one in types for part in ("--type", one)]
        await stack.caudal(
            "webhooks", "create", "--account", "demo", "--url", self.url, "--batch-max", "100", *wish
        )

    async def _take(self, request: web.Request) -> web.Response:
        body = msgspec.json.decode(await request.read())
        self.events += len(body["data"]) if body["type"] == "batch" else 1
        return web.Response()
