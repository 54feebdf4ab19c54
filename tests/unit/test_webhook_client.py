"""One POST, whatever the endpoint does: bounded in time, bounded in what is read, always an answer."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from dlr.webhooks.client import Answer, Client, Outcome
from dlr.webhooks.guard import Guard
from gateway.ports.clock import SystemClock
from tests.support.webhooks import SECRET, Heard, receiving


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    client = a_client()
    await client.start()
    yield client
    await client.close()


def a_client(*, timeout_s: float = 30.0) -> Client:
    return Client(Guard(allow_loopback=True), clock=SystemClock(), timeout_s=timeout_s, connect_s=30.0)


async def post(client: Client, url: str) -> Answer:
    return await client.post(url, keys=[b"k" * 32], webhook_id="evt_1", body=b"{}")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.OK),
        (204, Outcome.OK),
        (301, Outcome.HTTP_4XX),
        (404, Outcome.HTTP_4XX),
        (410, Outcome.HTTP_4XX),
        (500, Outcome.HTTP_5XX),
        (599, Outcome.HTTP_5XX),
    ],
)
async def test_the_status_decides(client: Client, status: int, outcome: Outcome) -> None:
    async with receiving(status) as receiver:
        answer = await post(client, receiver.url)
    assert (answer.outcome, answer.status, answer.is_gone) == (outcome, status, status == 410)
    assert answer.is_ok == (answer.error == "")
    (heard,) = receiver.heard
    assert heard.verify(SECRET) == {}
    assert "cookie" not in heard.headers


async def test_an_endless_answer_is_not_read_to_its_end(client: Client) -> None:
    async def endless(_: Heard) -> web.StreamResponse:
        return web.Response(body=b"x" * 5_000_000)

    async with receiving(endless) as receiver:
        assert (await post(client, receiver.url)).is_ok


async def test_silence_is_a_timeout() -> None:
    async def silent(_: Heard) -> int:
        await asyncio.sleep(5)
        return 200

    client = a_client(timeout_s=0.5)
    await client.start()
    async with receiving(silent) as receiver:
        answer = await post(client, receiver.url)
    await client.close()
    assert (answer.outcome, answer.status) == (Outcome.TIMEOUT, None)
    assert answer.error == "timeout: no answer within 0.5 s"
    assert 450 <= answer.duration_ms < 4_900  # it did not wait for the answer


async def test_nobody_there_is_a_connect_error(client: Client) -> None:
    async with receiving() as receiver:
        url = receiver.url
    answer = await post(client, url)
    assert answer.outcome is Outcome.CONNECT
    assert "Connect" in answer.error


async def test_an_answer_that_is_not_http_is_a_connect_error(client: Client) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"\x00\x01 nonsense\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        answer = await post(client, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert answer.outcome is Outcome.CONNECT


async def test_a_connection_that_the_endpoint_closed_while_idle_is_made_again(client: Client) -> None:
    connections = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await reader.read(1)  # the next request comes, and is not answered
        writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        assert (await post(client, url)).is_ok
        assert (await post(client, url)).is_ok
    assert connections == 2


@pytest.mark.parametrize("text", ["7", "7.5", "-1", "nan", "inf", "x"])
async def test_retry_after_is_read_where_it_is_a_number(client: Client, text: str) -> None:
    async with receiving(lambda _: web.Response(status=503, headers={"retry-after": text})) as receiver:
        answer = await post(client, receiver.url)
    assert answer.retry_after_s == (float(text) if text[0] == "7" else None)


@pytest.mark.parametrize(
    ("date", "wait_s"),
    [
        ("Wed, 25 Nov 2026 12:00:00 GMT", 90.0),
        ("Wed, 25 Nov 2026 12:01:30 GMT", 0.0),
        ("Wed, 25 Nov 2026 13:00:00 GMT", 0.0),
        ("Sunday, 25-Nov-26 12:01:00 GMT", 30.0),
        ("soon", None),
    ],
)
async def test_a_date_in_retry_after_counts_from_the_endpoints_own_clock(
    client: Client, date: str, wait_s: float | None
) -> None:
    headers = {"retry-after": "Wed, 25 Nov 2026 12:01:30 GMT", "date": date}
    async with receiving(lambda _: web.Response(status=503, headers=headers)) as receiver:
        answer = await post(client, receiver.url)
    assert answer.retry_after_s == wait_s


async def test_a_url_that_the_settings_no_longer_allow_is_blocked() -> None:
    client = Client(Guard(), clock=SystemClock())
    await client.start()
    async with receiving() as receiver:
        answer = await post(client, receiver.url)
    assert answer.outcome is Outcome.BLOCKED
    assert receiver.heard == []
    await client.close()
