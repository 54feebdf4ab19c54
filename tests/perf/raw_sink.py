"""An endpoint of a customer, as cheap as it can be: raw octets in, one ready-made answer out, no HTTP library.

`tests.perf.bench_kannel` has both gateways tell it of their deliveries, in the process of the load generator, so that
neither waits for the sink. `heard` takes the request line's path and the body of each request.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Any, Self

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class RawSink:
    """Use `async with RawSink(heard) as sink`; it listens on `port` of loopback and keeps connections open."""

    def __init__(self, heard: Callable[[str, bytes], None]) -> None:
        self._heard = heard
        self._server: asyncio.Server | None = None
        self.requests = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: RawRequests(self._take), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    def _take(self, head: bytes, body: bytes) -> bytes:
        self.requests += 1
        self._heard(head.split(b" ", 2)[1].decode("ascii"), body)
        return _ANSWER


class RawRequests(asyncio.Protocol):
    """One connection; `answer` gets head and body of each request and returns the octets to write."""

    def __init__(self, answer: Callable[[bytes, bytes], bytes]) -> None:
        self._answer = answer
        self._read = b""
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Keep the way back."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is there as a whole."""
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(self._read, 0, end)
            size = end + 4 + (int(found[1]) if found else 0)
            if len(self._read) < size:
                return
            head, body, self._read = self._read[:end], self._read[end + 4 : size], self._read[size:]
            self._transport.write(self._answer(head, body))
