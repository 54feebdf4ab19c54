"""What accepting is compared with: routes that read a message and answer an id, on our own server. They keep nothing.

`python -m tests.perf.bare_route` prints its port and serves until SIGTERM: a Starlette route at /v1/messages, an ordinary
FastAPI endpoint with a pydantic body at /fastapi.
"""

import asyncio
import signal
from itertools import count
from typing import Any

import msgspec
import uvloop
from fastapi import FastAPI
from pydantic import BaseModel, Field
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


class ContentModel(BaseModel):
    text: str


class MessageModel(BaseModel):
    to: str
    content: ContentModel
    sender: str = Field("", alias="from")


async def accept_model(message: MessageModel) -> dict[str, Any]:
    """Answer the same, as most FastAPI applications are written."""
    return {"id": f"msg_{next(_ids):026}", "status": "queued", "to": message.to, "segments": 1}


async def main() -> None:
    """Serve until SIGTERM."""
    app = FastAPI(routes=[Route("/v1/messages", accept, methods=["POST"])])
    app.post("/fastapi", status_code=202)(accept_model)
    server = ApiServer(app, host="127.0.0.1", port=0, drain_delay_s=0.0)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    print(server.port, flush=True)
    await server.run()


if __name__ == "__main__":
    uvloop.run(main())
