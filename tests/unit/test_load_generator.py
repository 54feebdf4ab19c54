"""The generator against a scripted API: what it does with each answer, and that it is honest about being late."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic_ns
from typing import Any

import pytest

from loadtest.running.generator import Generator
from loadtest.running.orders import Order
from tests.support.http_carrier import Heard, HttpCarrier, Reply, an_http_carrier


def accept(heard: Heard) -> Reply:
    """Take everything; ids tell the request."""
    body = heard.json
    key = heard.headers["idempotency-key"]
    if "messages" in body:
        return Reply(202, {"results": [{"id": f"msg_{key}_{n}"} for n in range(len(body["messages"]))]})
    return Reply(202, {"id": f"msg_{key}"})


def an_order(port: int, folder: Path, **changes: Any) -> Order:
    settings: dict[str, Any] = {
        "target": f"http://127.0.0.1:{port}",
        "key": "cdl_live_x",
        "accepted_path": str(folder / "accepted.jsonl"),
        "nonce": "abc",
        "stages": [(100.0, 100.0, 0.2)],
        "arrivals": "uniform",
        "batch": 5,
        "seed": 1,
        "mix": {"otp": 0.5, "marketing": 0.5},
        "gsm7": 1.0,
        "segments": {1: 1.0},
        "duplicates": 0.0,
        "recipients": 100,
        "timeout_s": 5.0,
    }
    return Order(**{**settings, **changes})


@pytest.fixture
async def api() -> AsyncIterator[HttpCarrier]:
    async with an_http_carrier() as found:
        found.answer = accept
        yield found


async def send(order: Order) -> Any:
    generator = Generator(order)
    try:
        await asyncio.wait_for(generator.run(monotonic_ns()), 20)
    finally:
        generator.close()
    return generator.finish()


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "accepted.jsonl").read_text().splitlines()]


async def test_everything_that_is_due_is_sent_in_batches_and_written_down(
    api: HttpCarrier, tmp_path: Path
) -> None:
    account = await send(an_order(api.port, tmp_path, first=7))
    assert (account.sent, account.accepted, account.requests, account.errors) == (20, 20, 4, 0)
    assert account.next == 27
    written = lines(tmp_path)
    assert sorted(line["first"] for line in written) == [7, 12, 17, 22]
    for line in written:
        assert line["ids"] == [f"msg_abc-{line['first']:x}_{n}" for n in range(5)]
        assert line["sent"] <= line["at"]
    messages = [message for heard in api.heard for message in heard.json["messages"]]
    assert len({message["content"]["text"] for message in messages}) == 20
    assert len({message["to"] for message in messages}) == 20
    assert api.heard[0].headers["authorization"] == "Bearer cdl_live_x"


async def test_single_messages_go_to_the_route_of_one(api: HttpCarrier, tmp_path: Path) -> None:
    account = await send(an_order(api.port, tmp_path, batch=1, stages=[(50.0, 50.0, 0.2)]))
    assert account.accepted == 10
    assert {heard.target for heard in api.heard} == {"/v1/messages"}


async def test_a_request_without_an_answer_is_repeated_with_its_key_until_it_has_one(
    api: HttpCarrier, tmp_path: Path
) -> None:
    first = [Reply(500, {}), Reply(409, {}), Reply(raw=b"HTTP/1.1 20", closes=True)]
    api.answer = lambda heard: first.pop(0) if first else accept(heard)
    account = await send(an_order(api.port, tmp_path, stages=[(10.0, 10.0, 0.5)]))
    assert account.accepted == 5
    assert len({heard.headers["idempotency-key"] for heard in api.heard}) == 1
    assert len({heard.body for heard in api.heard}) == 1
    assert account.errors >= 1
    assert account.refused == account.unsure == 0


@pytest.mark.parametrize(("status", "errors"), [(503, 1), (422, 0)])
async def test_a_clear_no_is_not_repeated(api: HttpCarrier, tmp_path: Path, status: int, errors: int) -> None:
    api.answer = lambda _: Reply(status, {"code": "no"})
    account = await send(an_order(api.port, tmp_path, stages=[(10.0, 10.0, 0.5)]))
    assert (len(api.heard), account.refused, account.errors, account.accepted) == (1, 5, errors, 0)
    assert any(f"HTTP {status}" in reason for reason in account.reasons)


async def test_what_a_batch_refuses_is_counted_and_not_in_the_ledger(
    api: HttpCarrier, tmp_path: Path
) -> None:
    api.answer = lambda _: Reply(202, {"results": [{"id": "msg_a"}, *[{"status": "rejected"}] * 4]})
    account = await send(an_order(api.port, tmp_path, stages=[(10.0, 10.0, 0.5)]))
    assert (account.accepted, account.refused) == (1, 4)
    assert lines(tmp_path)[0]["ids"] == ["msg_a", None, None, None, None]


async def test_duplicates_are_the_same_request_again_and_no_arrival(api: HttpCarrier, tmp_path: Path) -> None:
    account = await send(an_order(api.port, tmp_path, duplicates=1.0))
    assert (account.sent, account.accepted, account.repeated, account.requests) == (20, 20, 4, 8)
    assert len({heard.headers["idempotency-key"] for heard in api.heard}) == 4
    assert sum(line.get("repeat", False) for line in lines(tmp_path)) == 4


async def test_beyond_the_most_open_requests_the_generator_is_late_and_says_so(
    api: HttpCarrier, tmp_path: Path
) -> None:
    generator = Generator(an_order(api.port, tmp_path, max_open=1, timeout_s=20.0))
    api.answer = lambda _: None  # no answer yet
    start_ns = monotonic_ns() - 2_000_000_000  # everything was due long ago
    running = asyncio.create_task(generator.run(start_ns), name="test.generator")
    await api.until(lambda: api.heard)
    assert generator.account.sent == 5
    generator.stop()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    generator.close()
    assert generator.finish().lateness_s[0] >= 1.7


async def test_a_request_that_nobody_answers_is_given_up_at_the_end_and_counted_as_unsure(
    api: HttpCarrier, tmp_path: Path
) -> None:
    api.answer = lambda _: Reply(500, {})
    generator = Generator(an_order(api.port, tmp_path, stages=[(10.0, 10.0, 0.5)]))
    running = asyncio.create_task(generator.run(monotonic_ns()), name="test.generator")
    await api.until(lambda: generator.account.errors)
    generator.end()
    await asyncio.wait_for(running, 10)
    generator.close()
    account = generator.finish()
    assert (account.unsure, account.accepted, account.refused) == (5, 0, 0)
