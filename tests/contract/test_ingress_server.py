"""The application behind the real HTTP server: what only sockets can show."""

import asyncio
import io
import json
from contextlib import asynccontextmanager

import aiohttp

from gateway.ingress.hot import HotEndpoint
from gateway.ports.intake_store import KeyRejection
from gateway.runtime.http_protocol import HttpProtocol
from gateway.runtime.server import ApiServer
from tests.contract.test_ingress_send import OTP
from tests.support.asgi import AsgiClient
from tests.support.intake import Bench

KEY = {"authorization": "Bearer good"}


@asynccontextmanager
async def served(bench):
    async with (
        listening(bench) as server,
        aiohttp.ClientSession(
            f"http://127.0.0.1:{server.port}", headers=KEY, timeout=aiohttp.ClientTimeout(20)
        ) as session,
    ):
        yield session


@asynccontextmanager
async def listening(bench):
    server = ApiServer(bench.app, host="127.0.0.1", port=0, drain_delay_s=0.0, fast=bench.app.fast)
    task = asyncio.create_task(server.run())
    try:
        async with asyncio.timeout(10):
            while server.not_ready():  # noqa: ASYNC110 - the server has no event to wait for
                await asyncio.sleep(0.01)
        yield server
    finally:
        server.stop()
        await asyncio.wait_for(task, 15)


class Raw:
    """One connection, octet by octet."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def send(self, octets):
        self.writer.write(octets)

    async def answer(self):
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:-2])
            body = await self.reader.readexactly(int(headers["content-length"]))
        return int(head[0].split()[1]), headers, body

    async def is_closed(self):
        async with asyncio.timeout(10):
            return await self.reader.read(1) == b""


@asynccontextmanager
async def connected(bench):
    async with listening(bench) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            yield Raw(reader, writer)
        finally:
            writer.close()


def posted(body=OTP, **headers):
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"host": "x", "authorization": "Bearer good", "content-type": "application/json", **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"POST /v1/messages HTTP/1.1\r\n{head}content-length: {len(octets)}\r\n\r\n".encode() + octets


async def test_requests_in_pieces_behind_one_another_and_apart_get_their_answers_in_order():
    bench = Bench()
    async with connected(bench) as raw:
        whole = posted()
        refs = [OTP | {"client_ref": f"r{number}"} for number in range(6)]
        raw.send(posted(refs[0]))
        first = await raw.answer()
        assert json.loads(first[2])["client_ref"] == "r0"
        assert first[1]["location"] == f"/v1/messages/{json.loads(first[2])['id']}"
        assert first[1]["date"].endswith("gmt")
        # Three at once: whole, unusual, whole.
        raw.send(posted(refs[1]) + posted(refs[2], idempotency_key="k") + posted(refs[3]))
        for ref in ("r1", "r2", "r3"):
            status, headers, body = await raw.answer()
            assert (status, json.loads(body)["client_ref"]) == (202, ref)
            assert headers["x-request-id"] != first[1]["x-request-id"]
        for cut in (5, whole.index(b"\r\n\r\n") + 4, len(whole) - 3):
            raw.send(whole[:cut])
            await raw.writer.drain()
            await asyncio.sleep(0.02)  # so that the pieces come apart; together they are the usual case
            raw.send(whole[cut:])
            assert (await raw.answer())[0] == 202
        raw.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await raw.answer())[0] == 200
        raw.send(posted({"to": "1"}))
        status, headers, body = await raw.answer()
        assert (status, headers["content-type"]) == (422, "application/problem+json")
        raw.send(posted(refs[5], expect="100-continue"))
        async with asyncio.timeout(10):
            assert await raw.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await raw.answer())[0] == 202
    assert len(bench.accepted_messages()) == 8


async def test_requests_alike_are_not_parsed_again_and_get_the_same_answers(monkeypatch):
    parsed = []
    begin = HttpProtocol.on_message_begin
    monkeypatch.setattr(HttpProtocol, "on_message_begin", lambda self: (parsed.append(1), begin(self)))
    bench = Bench()
    async with connected(bench) as raw:

        async def sent(octets, status=202):
            before = len(parsed)
            raw.send(octets)
            found, headers, body = await raw.answer()
            assert found == status, body
            return len(parsed) - before, headers, json.loads(body)

        assert (await sent(posted()))[0] == 1
        seen = set()
        for number in range(5):  # of different lengths
            count, headers, body = await sent(posted(OTP | {"client_ref": "r" * (1 + 10 * number)}))
            assert count == 0
            assert headers["location"] == f"/v1/messages/{body['id']}"
            seen |= {body["id"], headers["x-request-id"]}
        assert len(seen) == 10
        # What the short way leaves alone is parsed after all, and so is whatever is not the same.
        assert (await sent(posted({"to": "1"}), 422))[0] == 1
        assert (await sent(posted(), 202))[0] == 0
        assert (await sent(posted(authorization="Bearer unknown"), 401))[0] == 1
        assert (await sent(posted(authorization="Bearer limited"), 202))[0] == 1
        assert (await sent(posted(authorization="Bearer limited"), 202))[0] == 0
        assert (await sent(posted(idempotency_key="k"), 202))[0] == 1
        # A part of a request that is like the last one is not the request.
        whole = posted(authorization="Bearer limited")
        for cut in (1, 60, whole.index(b"\r\n\r\n") + 4, len(whole) - 1):
            raw.send(whole[:cut])
            await raw.writer.drain()
            await asyncio.sleep(0.02)  # so that the pieces come apart; together they are the usual case
            raw.send(whole[cut:])
            assert (await raw.answer())[0] == 202
        assert (await sent(whole + whole))[0] == 2
        assert (await raw.answer())[0] == 202
        # A body that looks like a request is a body.
        assert (await sent(posted(posted(authorization="Bearer limited")), 400))[0] == 1
        # A key that is looked up again and found revoked.
        bench.keys.keys["limited"] = KeyRejection.REVOKED
        bench.clock.advance(1)
        assert (await sent(posted(authorization="Bearer limited"), 401))[0] == 1
    assert len(bench.accepted_messages()) == 1 + 5 + 1 + 2 + 1 + 4 + 2


async def test_connection_ends_where_the_client_says_so_and_where_it_sends_no_http():
    for last, status in ((posted(connection="close"), 202), (posted().replace(b"1.1", b"1.0", 1), 202)):
        async with connected(Bench()) as raw:
            raw.send(last)
            found, headers, _ = await raw.answer()
            assert (found, headers["connection"]) == (status, "close")
            assert await raw.is_closed()
    async with connected(Bench()) as raw:
        raw.send(b"NONSENSE\r\n\r\n")
        async with asyncio.timeout(10):
            assert (await raw.reader.read()).startswith(b"HTTP/1.1 400 ")


async def test_client_that_goes_away_before_its_answer_disturbs_nobody():
    bench = Bench()
    bench.database.hold = asyncio.Event()
    async with listening(bench) as server:
        gone, there = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
        gone[1].write(posted())
        there[1].write(posted())
        async with asyncio.timeout(10):
            while bench.journal.pending_messages < 2:  # noqa: ASYNC110 - the journal has no event for it
                await asyncio.sleep(0.01)
        gone[1].transport.abort()
        await asyncio.sleep(0.05)  # the server sees it; were it later, the test would prove less and not fail
        bench.database.hold.set()
        assert (await Raw(*there).answer())[0] == 202
        there[1].close()
    assert len(bench.accepted_messages()) == 2
    assert bench.sample("http_requests_in_flight") == 0


async def test_an_idle_connection_is_closed_and_one_in_use_is_not():
    bench = Bench()
    async with listening(bench) as server:
        server._server.config.timeout_keep_alive = 1.0
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        raw = Raw(reader, writer)
        for _ in range(2):
            raw.send(posted())
            assert (await raw.answer())[0] == 202
        bench.database.hold = asyncio.Event()
        raw.send(posted())
        await asyncio.sleep(1.2)  # longer than an idle one may be: this one waits for its answer
        bench.database.hold.set()
        assert (await raw.answer())[0] == 202
        assert await raw.is_closed()
        writer.close()


async def test_stopping_waits_for_a_message_that_is_being_kept():
    bench = Bench()
    bench.database.hold = asyncio.Event()
    async with listening(bench) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(posted())
        async with asyncio.timeout(10):
            while not bench.journal.pending_messages:  # noqa: ASYNC110 - the journal has no event for it
                await asyncio.sleep(0.01)
        server.stop()
        await asyncio.sleep(0.3)  # the server looks ten times a second
        bench.database.hold.set()
        raw = Raw(reader, writer)
        status, headers, _ = await raw.answer()
        assert (status, headers["connection"]) == (202, "close")
        assert await raw.is_closed()
        writer.close()
    assert len(bench.accepted_messages()) == 1


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
