"""The simulated JSON SMS API and the generic carrier over real sockets: answers, callbacks, record, process."""

import asyncio
import hashlib
import hmac
import json
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import Any

import pytest

from loadtest.http_carrier import GenericSettings, HttpCarrier, HttpCarrierSettings
from loadtest.http_client import Answer, HttpChannel, parse_url
from tests.scenarios.judging import worst_window
from tests.support.callback_sink import CallbackSink

NUMBER = "5255123456"
PATH = "/sms/2/messages"


class Client:
    """One keep-alive connection to a carrier."""

    def __init__(self, url: str) -> None:
        self.channel = HttpChannel(parse_url(url))

    async def post(
        self, tree: Any, *, path: str = PATH, token: str = "token", timeout_s: float = 30
    ) -> Answer:
        body = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
        headers = f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n".encode()
        return await self.channel.request("POST", path, headers=headers, body=body, timeout_s=timeout_s)

    async def get(self, path: str) -> Any:
        return json.loads((await self.channel.request("GET", path, timeout_s=30)).body)


@asynccontextmanager
async def rig(**settings: Any):
    async with (
        CallbackSink() as sink,
        HttpCarrier(
            HttpCarrierSettings(**{"callback_url": sink.url, "callback_retry_s": 0.01, **settings})
        ) as carrier,
    ):
        client = Client(carrier.url)
        try:
            yield carrier, sink, client
        finally:
            client.channel.close()


def message(suffix: str, **more: Any) -> dict[str, Any]:
    return {"to": NUMBER + suffix, "from": "CAUDAL", "text": "hola", **more}


def acknowledged(carrier: HttpCarrier, count: int) -> Any:
    return lambda: carrier.stats()["callbacks"]["acknowledged"] >= count


async def test_a_message_is_taken_and_its_receipt_is_signed_over_timestamp_and_body():
    async with rig(secret="geheim") as (carrier, sink, client):
        answer = await client.post(message("78", ref="order-1"))
        (item,) = json.loads(answer.body)["messages"]
        assert (answer.status, item["status"]) == (200, {"code": 0, "name": "ACCEPTED"})
        await carrier.until(acknowledged(carrier, 1))
        (call,) = sink.calls
        assert call.tree["event"] == "receipt"
        assert (call.tree["id"], call.tree["ref"], call.tree["to"]) == (item["id"], "order-1", NUMBER + "78")
        assert call.tree["status"] == {"code": 0, "name": "DELIVERED"}
        signed = call.headers["x-timestamp"].encode() + b"." + call.body
        wanted = hmac.new(b"geheim", signed, hashlib.sha256).hexdigest()
        assert call.headers["x-signature"] == f"sha256={wanted}"
        (row,) = carrier.record.rows()
        assert (row["destination"], row["ref"], row["text"], row["receipt"]) == (
            NUMBER + "78",
            "order-1",
            "hola",
            "acknowledged",
        )


async def test_each_item_of_a_bulk_request_has_its_own_answer_in_its_order():
    async with rig() as (carrier, sink, client):
        items = [
            message("78", ref="a"),
            message("06", ref="b"),
            message("02", ref="c"),
            {"to": "nobody", "text": "hola"},
            message("79", text=""),
            message("79", **{"from": "x" * 21}),
        ]
        answer = await client.post({"messages": items})
        names = [item["status"]["name"] for item in json.loads(answer.body)["messages"]]
        assert names == [
            "ACCEPTED",
            "INVALID_DESTINATION",
            "ACCEPTED",
            "INVALID_DESTINATION",
            "INVALID_TEXT",
            "INVALID_SENDER",
        ]
        await carrier.until(acknowledged(carrier, 2))
        told = {call.tree["ref"]: call.tree["status"]["name"] for call in sink.calls}
        assert told == {"a": "DELIVERED", "c": "UNDELIVERABLE"}


@pytest.mark.parametrize(
    ("given", "status", "why"),
    [
        ({"token": "wrong"}, 401, "UNAUTHORIZED"),
        ({"path": "/other"}, 404, "NOT_FOUND"),
        ({"tree": b"{"}, 400, "truncated"),
        ({"tree": {"messages": []}}, 400, "messages has 0 entries, the limits are 1 and 3"),
        ({"tree": {"messages": [message("78")] * 4}}, 400, "messages has 4 entries, the limits are 1 and 3"),
    ],
)
async def test_a_request_that_is_wrong_as_a_whole_takes_nothing(given, status, why):
    async with rig(max_bulk=3) as (carrier, _, client):
        answer = await client.post(given.pop("tree", message("78")), **given)
        assert answer.status == status
        assert why in answer.body.decode()
        assert carrier.record.next_number == 0


async def test_replies_and_raw_bodies_are_posted_on_order():
    async with rig() as (carrier, sink, _client):
        control = Client(carrier.control_url)
        await control.post({"from": NUMBER + "78", "to": "12345", "text": "BAJA"}, path="/mo")
        await control.post(b'{"odd": true}', path="/callback")
        await carrier.until(acknowledged(carrier, 2))
        reply, odd = sink.calls
        assert {**reply.tree, "id": "", "at": ""} == {
            "event": "reply",
            "id": "",
            "from": NUMBER + "78",
            "to": "12345",
            "text": "BAJA",
            "at": "",
        }
        assert odd.body == b'{"odd": true}'
        refused = await control.post({"from": "1"}, path="/mo")
        assert (refused.status, b"a reply has from, to, text" in refused.body) == (400, True)
        control.channel.close()


async def test_a_callback_that_fails_comes_again_until_it_is_acknowledged():
    async with rig() as (carrier, sink, client):
        sink.answer = lambda _: (503, "") if len(sink.calls) < 3 else (200, "")
        await client.post(message("78"))
        await carrier.until(acknowledged(carrier, 1))
        assert len(sink.calls) == 3
        assert len({call.body[:80] for call in sink.calls}) == 1
        assert carrier.stats()["callbacks"]["refused"] == 2


async def test_a_callback_nobody_takes_is_given_up_after_the_last_try():
    async with rig(callback_tries=2) as (carrier, sink, client):
        sink.answer = lambda _: (500, "")
        await client.post(message("78"))
        await carrier.until(lambda: carrier.stats()["callbacks"]["given_up"] == 1)
        assert len(sink.calls) == 2
        assert carrier.record.rows()[0]["receipt"] == "sent"


async def test_receipts_come_in_batches_when_they_wait_for_each_other():
    async with rig(faults={"receipt_batch": 10, "hold_receipts": True}) as (carrier, sink, client):
        await client.post({"messages": [message("78", ref=str(n)) for n in range(14)]})
        await carrier.until(lambda: carrier.stats()["callbacks"]["waiting"] == 14)
        assert sink.calls == []
        carrier.set(hold_receipts=False)
        await carrier.until(acknowledged(carrier, 2))
        assert sorted(len(call.tree["events"]) for call in sink.calls) == [4, 10]


async def test_the_record_counts_arrivals_repeats_and_the_order_of_each_recipient(tmp_path):
    file = tmp_path / "record.jsonl"
    async with rig(record_file=file) as (carrier, _, client):
        for suffix, ref in (("78", "a"), ("79", "b"), ("78", "a"), ("06", "b")):
            await client.post(message(suffix, ref=ref, text=f"hola {suffix}"))
        arrivals = [at for column in carrier.record.arrivals() for at in column]
        assert worst_window(arrivals) == carrier.stats()["windows"]["worst_1s_count"] == 4
        control = Client(carrier.control_url)
        repeats = await control.get("/repeats?by=ref")
        assert repeats == {"groups": 1, "surplus": 1, "examples": [{"key": "a", "numbers": [0, 2]}]}
        assert (await control.get("/repeats?by=text"))["groups"] == 1
        order = await control.get(f"/order?destination={NUMBER}78")
        assert [row["number"] for row in order] == [0, 2]
        rate = await control.get("/rate?series=1")
        assert (rate["count"], sum(count for _, count in rate["per_second"])) == (4, 4)
        page = await control.get("/messages?after=0&limit=2")
        assert ([row["number"] for row in page["messages"]], page["has_more"]) == ([1, 2], True)
        assert page["messages"][0]["message_id"] == carrier.message_id(1)
        await control.post({}, path="/reset")
        assert (await control.get("/stats"))["messages"] == 0
        control.channel.close()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["number"], line["ref"], line["code"]) for line in lines] == [
        (0, "a", ""),
        (1, "b", ""),
        (2, "a", ""),
        (3, "b", "INVALID_DESTINATION"),
    ]


async def test_the_same_seed_refuses_the_same_messages():
    async def refused() -> list[bool]:
        async with rig(seed=7, faults={"errors": "BLOCKED=0.4", "receipts": False}) as (carrier, _, client):
            await client.post({"messages": [message("78")] * 50})
            return [row["is_taken"] for row in carrier.record.rows()]

    first, second = await refused(), await refused()
    assert first == second
    assert {True, False} == set(first)


async def test_pipelined_requests_are_answered_in_their_order():
    async with rig(faults={"latency": "p50=1ms,p99=9ms"}) as (carrier, _, _client):
        reader, writer = await asyncio.open_connection("127.0.0.1", carrier.port)
        head = b"POST /sms/2/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token\r\nContent-Length: %d\r\n\r\n%b"
        bodies = [json.dumps(message("78", ref=f"r{n:02}")).encode() for n in range(20)]
        writer.write(b"".join(head % (len(body), body) for body in bodies))
        seen = []
        while len(seen) < 20:
            octets = await asyncio.wait_for(reader.readuntil(b"]}"), 30)
            seen.append(octets.partition(b'"ref":"')[2][:3].decode())
        assert seen == [f"r{n:02}" for n in range(20)]
        writer.close()


async def test_the_generic_carrier_takes_anything_and_answers_what_it_is_told():
    generic = GenericSettings(status=202, body='{"sid": "{id}"}', ref_field="meta.ref", to_field="recipient")
    async with rig(kind="generic", generic=generic) as (carrier, _sink, client):
        answer = await client.post(
            {"recipient": "a@example.com", "meta": {"ref": "r1"}}, path="/mail/send?x=1"
        )
        assert (answer.status, json.loads(answer.body)) == (202, {"sid": carrier.message_id(0)})
        (row,) = carrier.record.rows()
        assert (row["destination"], row["ref"]) == ("a@example.com", "r1")
        control = Client(carrier.control_url)
        (kept,) = await control.get("/requests")
        assert (kept["method"], kept["path"], kept["query"]) == ("POST", "/mail/send", "x=1")
        control.channel.close()
        carrier.set(errors={"503": 1})
        assert (await client.post({}, path="/any")).status == 503


async def test_a_knob_that_cannot_be_is_refused_before_it_listens():
    with pytest.raises(ValueError, match="fault 'lag' is not one of latency"):
        HttpCarrier(HttpCarrierSettings(faults={"lag": 1}))
    with pytest.raises(ValueError, match="kind 'smoke' is not one of json, whatsapp, generic"):
        HttpCarrierSettings(kind="smoke")
    with pytest.raises(ValueError, match=r"timeline step 1: receipt_batch 0 is outside 1\.\.1000"):
        HttpCarrier(HttpCarrierSettings(timeline=[{"at": "1s", "set": {"receipt_batch": 0}}]))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_command_says_where_it_listens_refuses_a_second_start_and_ends_clean(how):
    command = [sys.executable, "-m", "loadtest.cli", "http-carrier", "--kind", "whatsapp", "--port"]
    with subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, text=True) as process:
        try:
            listening = json.loads(process.stdout.readline())
            assert (listening["event"], listening["kind"]) == ("listening", "whatsapp")
            if how == signal.SIGTERM:
                port = str(listening["port"])
                second = subprocess.run(
                    [*command, port], capture_output=True, text=True, check=False, timeout=60
                )
                assert second.returncode == 3
                assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in second.stderr
            process.send_signal(how)
            assert process.wait(30) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--fault", "latency"], "is not NAME=VALUE"),
        (["--fault", "latency=soon"], "duration 'soon' is not a number with a unit"),
        (["--timeline", '[{"at": "1s", "set": {"mps": -1}}]'], "mps -1 is outside 0..1e+06"),
        (["--template", "Hola"], "template 'Hola' is not name:language"),
    ],
)
def test_wrong_usage_is_told_with_the_value(options, why):
    from click.testing import CliRunner

    from loadtest.cli import main

    ended = CliRunner().invoke(main, ["http-carrier", "--port", "0", *options])
    assert ended.exit_code == 2
    assert why in ended.output
