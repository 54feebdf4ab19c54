"""Calls an ASGI application directly, with the events a server would send; no socket and no client library."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote


@dataclass
class AsgiAnswer:
    status: int
    headers: dict[str, str]
    body: bytes
    received_octets: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class AsgiClient:
    """One application; every request is a call of it. `short`: whole requests are first offered to its short ways."""

    def __init__(self, app: Any, *, headers: dict[str, str] | None = None, short: bool = False) -> None:
        self.app = app
        self.headers = headers or {}
        self.short = short

    async def request(
        self,
        method: str,
        target: str,
        *,
        body: bytes | list[bytes] = b"",
        json: Any = None,
        headers: dict[str, str | None] | None = None,
        gone: bool = False,
    ) -> AsgiAnswer:
        """Send one request. A list as body is a stream of chunks without Content-Length; None drops a header."""
        path, _, query = target.partition("?")
        merged: dict[str, str] = {"host": "localhost"} | {k.lower(): v for k, v in self.headers.items()}
        if json is not None:
            body = _dumps(json)
        chunks = body if isinstance(body, list) else [body]
        if method == "POST":
            merged.setdefault("content-type", "application/json")
            if not isinstance(body, list):
                merged.setdefault("content-length", str(len(body)))
        for name, value in (headers or {}).items():
            if value is None:
                merged.pop(name.lower(), None)
            else:
                merged[name.lower()] = value
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in merged.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        if self.short and method == "POST" and not gone and not isinstance(body, list):
            answer = await _by_short_way(self.app, target, scope["headers"], body)
            if answer is not None:
                return answer
        position = 0
        received = 0

        async def receive() -> dict[str, Any]:
            nonlocal position, received
            if gone:
                return {"type": "http.disconnect"}
            if position >= len(chunks):
                await asyncio.Event().wait()
            chunk = chunks[position]
            position += 1
            received += len(chunk)
            return {"type": "http.request", "body": chunk, "more_body": position < len(chunks)}

        start: dict[str, Any] = {}
        parts: list[bytes] = []

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                assert not start, "two answers to one request"
                start.update(message)
            else:
                parts.append(message.get("body", b""))

        async with asyncio.timeout(30):
            await self.app(scope, receive, send)
        if not start:
            return AsgiAnswer(0, {}, b"", received)
        answered = {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]}
        return AsgiAnswer(start["status"], answered, b"".join(parts), received)

    async def get(self, target: str, **more: Any) -> AsgiAnswer:
        return await self.request("GET", target, **more)

    async def post(self, target: str, **more: Any) -> AsgiAnswer:
        return await self.request("POST", target, **more)


class _Exchange:
    def __init__(self) -> None:
        self.answered: asyncio.Future[tuple[int, bytes, bytes]] = asyncio.get_running_loop().create_future()

    def answer(self, status: int, fields: bytes, body: bytes) -> None:
        assert not self.answered.done(), "two answers to one request"
        self.answered.set_result((status, fields, body))


async def _by_short_way(app: Any, target: str, headers: Any, body: bytes) -> AsgiAnswer | None:
    way = app.fast.get(target.encode())
    exchange = _Exchange()
    caller = None if way is None else way.caller(headers)
    if caller is None or not way.take(caller, body, exchange):
        return None
    async with asyncio.timeout(30):
        status, fields, answered = await exchange.answered
    assert fields.endswith(b"\r\n")
    lines = [line.partition(": ") for line in fields.decode("latin-1").split("\r\n")[:-1]]
    return AsgiAnswer(status, {name: value for name, _, value in lines}, answered, len(body))


def _dumps(value: Any) -> bytes:
    return json.dumps(value).encode()


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """Run the application's lifespan around the block."""
    to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    task = asyncio.create_task(app(scope, to_app.get, from_app.put), name="test.lifespan")
    await to_app.put({"type": "lifespan.startup"})
    async with asyncio.timeout(10):
        started = await from_app.get()
    assert started["type"] == "lifespan.startup.complete", started
    try:
        yield
    finally:
        await to_app.put({"type": "lifespan.shutdown"})
        async with asyncio.timeout(10):
            await from_app.get()
            await task
