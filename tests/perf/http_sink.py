"""An HTTP carrier as cheap as it can be: raw octets in, ready-made octets out, no HTTP library at all.

`python -m tests.perf.http_sink` prints its port as one JSON line and serves until its standard input ends. A body with
`"messages"` gets an entry for each of its `"reference"`s, any other one id.
"""

import asyncio
import json
import re
import sys

from tests.perf.raw_sink import RawRequests

_REFERENCE = re.compile(rb'"reference":"([^"]+)"')


def _answer(_head: bytes, body: bytes) -> bytes:
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
    server = await loop.create_server(lambda: RawRequests(_answer), "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
