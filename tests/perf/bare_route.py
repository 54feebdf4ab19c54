"""What accepting is compared with: one Starlette route that reads a message and answers an id, on our own server.

`python -m tests.perf.bare_route` prints its port and serves until SIGTERM. It keeps nothing.
"""

import asyncio
import signal
from itertools import count

import msgspec
import uvloop
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.runtime.server import ApiServer

_ids = count()


class _Content(msgspec.Struct):
    text: str


class _Message(msgspec.Struct, rename={"sender": "from"}):
    to: str
    content: _Content
    sender: str = ""


_decode = msgspec.json.Decoder(_Message).decode


async def accept(request: Request) -> Response:
    """Answer as the gateway does, without doing anything."""
    message = _decode(await request.body())
    answer = {"id": f"msg_{next(_ids):026}", "status": "queued", "to": message.to, "segments": 1}
    return Response(msgspec.json.encode(answer), status_code=202, media_type="application/json")


async def main() -> None:
    """Serve until SIGTERM."""
    app = FastAPI(routes=[Route("/v1/messages", accept, methods=["POST"])])
    server = ApiServer(app, host="127.0.0.1", port=0, drain_delay_s=0.0)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    print(server.port, flush=True)
    await server.run()


if __name__ == "__main__":
    uvloop.run(main())
