"""A scripted HTTP carrier on a loopback socket, for tests of the HTTP link: full control of what it answers, and how.

It speaks HTTP/1.1 by hand, so that it can also answer late, with garbage, in pieces, or not at all.
"""

import asyncio
import json
import ssl
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What one request is answered with: a status with JSON, or `raw` octets as they are. `closes` ends the connection."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    closes: bool = False

    def octets(self) -> bytes:
        if self.raw is not None:
            return self.raw
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **self.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {self.status} Status\r\n{head}\r\n".encode() + body


@dataclass
class Heard:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: "_Connection" = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class _Connection(asyncio.Protocol):
    def __init__(self, carrier: "HttpCarrier") -> None:
        self._carrier = carrier
        self._read = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._carrier.connections.append(self)
        self._carrier.connection_count += 1
        if self._carrier.cuts_new_connections:
            transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        del error
        self._carrier.connections.remove(self)

    def data_received(self, data: bytes) -> None:
        self._read += data
        while b"\r\n\r\n" in self._read:
            head, _, rest = self._read.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {
                name.strip().lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines)
            }
            length = int(headers.get("content-length", 0))
            if len(rest) < length:
                return
            self._read = rest[length:]
            method, target, _ = first.split(" ")
            self._carrier._hear(Heard(method, target, headers, rest[:length], self))

    def reply(self, reply: Reply) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        self.transport.write(reply.octets())
        if reply.closes:
            self.transport.close()


class HttpCarrier:
    """Hears requests and answers as `answer(heard)` says; None leaves one open until `answer_held`.

    Everything heard is kept in `heard`. `connection_count` counts all connections there ever were.
    """

    def __init__(self) -> None:
        self.answer: Callable[[Heard], Reply | None] = self.accept
        self.heard: list[Heard] = []
        self.held: list[Heard] = []
        self.connections: list[_Connection] = []
        self.connection_count = 0
        self.cuts_new_connections = False
        self.port = 0
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/messages"

    def accept(self, heard: Heard) -> Reply:
        """Take every message: an id each, in the order of the request."""
        said = heard.json if heard.body else {}
        if isinstance(said, dict) and isinstance(said.get("messages"), list):
            number = len(self.heard)
            return Reply(
                body={
                    "messages": [
                        {"id": f"id-{number}-{index}", "reference": item.get("reference")}
                        for index, item in enumerate(said["messages"])
                    ]
                }
            )
        return Reply(body={"id": f"id-{len(self.heard)}"})

    def answer_held(self, reply: Reply | None = None) -> None:
        """Answer everything that was left open."""
        held, self.held = self.held, []
        for heard in held:
            heard.connection.reply(reply or self.accept(heard))

    def drop(self) -> None:
        """Cut every connection."""
        for connection in list(self.connections):
            if connection.transport is not None:
                connection.transport.abort()

    async def until(self, condition: Callable[[], object], limit_s: float = 30.0) -> None:
        """Wait for a condition on what was heard; fails with TimeoutError."""
        async with asyncio.timeout(limit_s):
            while not condition():  # noqa: ASYNC110 - conditions are about many things
                await asyncio.sleep(0.002)

    async def start(self, port: int = 0, *, tls: ssl.SSLContext | None = None) -> None:
        """Listen, on the port it had where none is given."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), "127.0.0.1", port or self.port, ssl=tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        self.drop()
        await server.wait_closed()

    def _hear(self, heard: Heard) -> None:
        self.heard.append(heard)
        reply = self.answer(heard)
        if reply is None:
            self.held.append(heard)
        else:
            heard.connection.reply(reply)


@asynccontextmanager
async def an_http_carrier():
    """Give a running carrier and stop it."""
    carrier = HttpCarrier()
    await carrier.start()
    try:
        yield carrier
    finally:
        await carrier.stop()
