"""The application behind the real HTTP server: what only sockets can show."""

import asyncio
import io
import socket
from contextlib import asynccontextmanager

import aiohttp
import uvicorn

from gateway.ingress.hot import HotEndpoint
from tests.contract.test_ingress_send import OTP
from tests.support.asgi import AsgiClient
from tests.support.intake import Bench

KEY = {"authorization": "Bearer good"}


@asynccontextmanager
async def served(bench):
    config = uvicorn.Config(bench.app, http="httptools", access_log=False, log_level="warning", lifespan="on")
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(10):
            while not server.started:  # noqa: ASYNC110 - the server has no event to wait for
                await asyncio.sleep(0.01)
        async with aiohttp.ClientSession(
            f"http://127.0.0.1:{listener.getsockname()[1]}", headers=KEY, timeout=aiohttp.ClientTimeout(20)
        ) as session:
            yield session
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, 10)
        listener.close()


async def test_body_of_11_mb_gets_its_413_over_a_socket_and_the_connection_lives():
    async with served(Bench()) as session:
        body = b'{"to": "' + b"5" * (11 * 1024 * 1024) + b'"}'

        async def chunks():
            for _ in range(12):
                yield b"x" * 1024 * 1024

        for data in (io.BytesIO(body), chunks()):
            async with session.post(
                "/v1/messages:batch", data=data, headers={"content-type": "application/json"}
            ) as answer:
                assert answer.status == 413
                assert answer.content_type == "application/problem+json"
                assert (await answer.json(content_type=None))["code"] == "body_too_large"
        async with session.post("/v1/messages", json=OTP) as answer:
            assert answer.status == 202


async def test_stopping_the_server_flushes_what_it_accepted():
    bench = Bench()
    async with served(bench) as session:
        answers = await asyncio.gather(*(session.post("/v1/messages", json=OTP) for _ in range(20)))
        assert [answer.status for answer in answers] == [202] * 20
    assert len(bench.accepted_messages()) == 20
    assert bench.journal.pending_messages == 0


async def test_a_body_that_stops_coming_is_408():
    bench = Bench()
    for endpoint in bench.app.hot.values():
        inner = endpoint._app
        assert isinstance(inner, HotEndpoint)
        inner._body_deadline_s = 0.05
    events = iter([{"type": "http.request", "body": b"{", "more_body": True}])

    client = AsgiClient(bench.app, headers=KEY)
    original = client.app

    async def stalled(scope, receive, send):
        async def slow():
            event = next(events, None)
            return event if event is not None else await asyncio.Event().wait()

        await original(scope, slow, send)

    client.app = stalled
    answer = await client.post("/v1/messages", json=OTP)
    assert (answer.status, answer.json["code"]) == (408, "request_timeout")
    assert answer.headers["connection"] == "close"
