"""An HTTP carrier as cheap as it can be: raw octets in, ready-made octets out, no HTTP library at all.

`python -m tests.perf.http_sink` prints its port as one JSON line and serves until its standard input ends. A body with
`"messages"` gets an entry for each of its `"reference"`s, any other one id.
"""

import asyncio
import json
import re
import sys
from typing import Any

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_REFERENCE = re.compile(rb'"reference":"([^"]+)"')


class Sink(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
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
            body, self._read = self._read[end + 4 : size], self._read[size:]
            self._transport.write(_answer(body))


def _answer(body: bytes) -> bytes:
    if b'"messages"' in body:
        entries = b",".join(
            [
                b'{"id":"%b","reference":"%b"}' % (reference, reference)
                for reference in _REFERENCE.findall(body)
            ]
        )
        said = b'{"messages":[' + entries + b"]}"
    else:
        said = b'{"id":"0123456789abcdef"}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(said) + said


async def main() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Sink, "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
