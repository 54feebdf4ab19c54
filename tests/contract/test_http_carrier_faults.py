"""Every fault of the simulated HTTP carriers, seen by a client at the other end of a real socket."""

import asyncio
import json
import socket
from typing import Any

import pytest

from loadtest.http_carrier import callbacks
from loadtest.http_client import HttpChannel, parse_url
from tests.contract.test_http_carrier import Client, acknowledged, message, rig


async def raw(carrier: Any, body: bytes, **more: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Write one request and return the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", carrier.port, **more)
    head = b"POST /sms/2/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % len(body) + body)
    return reader, writer


async def all_octets(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the end, be it a reset."""
    octets = b""
    try:
        while piece := await asyncio.wait_for(reader.read(65_536), 30):
            octets += piece
    except ConnectionResetError:
        pass
    return octets


async def test_a_hidden_limit_answers_429_with_retry_after_or_a_code_in_the_body():
    async with rig(faults={"mps": 1, "retry_after_s": 7}) as (carrier, _, client):
        answers = [await client.post(message("78")) for _ in range(2)]
        assert [answer.status for answer in answers] == [200, 429]
        assert answers[1].headers["retry-after"] == "7"
        carrier.set(throttle_as="body")
        answer = await client.post({"messages": [message("78"), message("79")]})
        names = [item["status"]["name"] for item in json.loads(answer.body)["messages"]]
        assert (answer.status, names) == (200, ["THROTTLED", "THROTTLED"])
        assert carrier.stats()["taken"] == 1


async def test_an_error_mix_of_statuses_and_words_is_kept():
    async with rig(faults={"errors": {"503": 1}}) as (carrier, _, client):
        assert (await client.post(message("78"))).status == 503
        assert carrier.record.next_number == 0
        carrier.set(errors="NO_CREDIT=1")
        (item,) = json.loads((await client.post(message("78"))).body)["messages"]
        assert item["status"] == {"code": 7, "name": "NO_CREDIT"}
        with pytest.raises(ValueError, match="error 'HICCUP' is neither one of"):
            carrier.set(errors="HICCUP=1")


async def test_magic_numbers_throttle_and_fail_twice_before_they_are_taken():
    async with rig() as (_, __, client):
        statuses = [(await client.post(message("05"))).status for _ in range(3)]
        assert statuses == [429, 429, 200]
        names = []
        for _ in range(3):
            (item,) = json.loads((await client.post(message("07"))).body)["messages"]
            names.append(item["status"]["name"])
        assert names == ["SYSTEM_ERROR", "SYSTEM_ERROR", "ACCEPTED"]


async def test_a_silent_carrier_takes_the_request_and_never_answers():
    async with rig(faults={"silence": True}) as (carrier, _, __):
        reader, writer = await raw(carrier, json.dumps(message("78")).encode())
        await carrier.until(acknowledged(carrier, 1))
        (row,) = carrier.record.rows()
        assert (row["is_taken"], row["is_answered"]) == (True, False)
        writer.write_eof()
        assert await all_octets(reader) == b""
        writer.close()


async def test_a_hanging_carrier_reads_nothing_and_goes_on_later():
    async with rig(faults={"silence": "all"}) as (carrier, _, client):
        asked = asyncio.create_task(client.post(message("78")))
        await carrier.until(lambda: carrier.stats()["connections"]["open"] == 1)
        await asyncio.sleep(0.05)
        assert carrier.stats()["requests"] == 0
        carrier.set(silence="none")
        assert (await asked).status == 200


@pytest.mark.parametrize(
    ("how", "count", "least"), [("before_read", 0, 0), ("after_read", 1, 0), ("mid_answer", 1, 10)]
)
async def test_a_connection_breaks_where_it_is_told_to(how, count, least):
    async with rig(faults={"disconnect_mix": f"{how}=1"}) as (carrier, _, __):
        reader, writer = await raw(carrier, json.dumps(message("78")).encode())
        octets = await all_octets(reader)
        writer.close()
        assert carrier.record.next_number == count
        assert least <= len(octets) < 100
        assert (len(octets) > 0) == (least > 0)
        assert carrier.stats()["breaks"] == {how: 1}
        if count:
            await carrier.until(acknowledged(carrier, 1))  # it was taken all the same


async def test_every_connection_is_cut_at_once():
    async with rig() as (carrier, _, client):
        await client.post(message("78"))
        reader, writer = await asyncio.open_connection("127.0.0.1", carrier.port)
        await carrier.until(lambda: carrier.stats()["connections"]["open"] == 2)
        carrier.set(disconnect=True)
        assert await all_octets(reader) == b""
        await carrier.until(lambda: carrier.stats()["connections"]["open"] == 0)
        writer.close()


async def test_a_half_open_connection_says_nothing_and_a_new_one_works():
    async with rig() as (carrier, _, client):
        await client.post(message("78"))
        carrier.set(half_open=True)
        with pytest.raises(TimeoutError):
            await client.post(message("78"), timeout_s=0.1)
        assert carrier.record.next_number == 1
        assert (await client.post(message("78"))).status == 200


async def test_connections_are_refused_and_taken_again_on_the_same_port():
    async with rig() as (carrier, _, client):
        await client.post(message("78"))
        carrier.set(refuse=True)
        await carrier.settled()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", carrier.port)
        assert (await client.post(message("78"))).status == 200  # the ones that stand are not touched
        carrier.set(refuse=False)
        await carrier.settled()
        other = Client(carrier.url)
        assert (await other.post(message("78"))).status == 200
        other.channel.close()


async def test_a_carrier_that_is_out_ends_its_connections_and_takes_none_until_it_is_back():
    async with rig() as (carrier, _, client):
        await client.post(message("78"))
        carrier.set(outage=True)
        await carrier.settled()
        with pytest.raises(OSError):
            await client.post(message("78"))
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", carrier.port)
        carrier.set(outage=False)
        await carrier.settled()
        assert (await client.post(message("78"))).status == 200
        assert carrier.record.next_number == 2


async def test_a_slow_reader_leaves_octets_in_the_buffers_and_reads_them_in_the_end():
    async with rig(faults={"slow_reader": 1_000}) as (carrier, _, client):
        asked = asyncio.create_task(client.post(message("78", ref="x" * 150)))
        await carrier.until(lambda: carrier.stats()["connections"]["open"] == 1)
        await asyncio.sleep(0.05)
        assert carrier.stats()["requests"] == 0  # some 300 octets take 0.3 s
        assert (await asked).status == 200


async def test_a_slow_answer_comes_in_pieces():
    async with rig(faults={"slow_answer": 2_000}) as (carrier, _, __):
        reader, writer = await raw(carrier, json.dumps(message("78")).encode())
        pieces = [await asyncio.wait_for(reader.read(65_536), 30)]
        while not pieces[-1].endswith(b"]}"):
            pieces.append(await asyncio.wait_for(reader.read(65_536), 30))
        assert len(pieces) > 1
        assert len(pieces[0]) <= 80
        writer.close()


@pytest.mark.parametrize(
    ("how", "seen"),
    [
        ("octets", b"\x15\x03\x01"),
        ("html", b"<html>"),
        ("empty", b"Content-Length: 0\r\n\r\n"),
        ("cut_json", b'{"messages":[{"to"'),
        ("other_json", b'{"weather": "sunny"}'),
        ("wrong_length", b"Content-Length: 9"),
    ],
)
async def test_garbage_is_answered_of_each_kind(how, seen):
    async with rig(faults={"garbage": {how: 1}}) as (carrier, _, __):
        reader, writer = await raw(carrier, json.dumps(message("78")).encode())
        writer.write_eof()
        octets = await all_octets(reader)
        assert seen in octets
        if how == "cut_json":
            with pytest.raises(json.JSONDecodeError):
                json.loads(octets.partition(b"\r\n\r\n")[2])
        assert carrier.stats()["taken"] == 1
        writer.close()


async def test_receipts_are_lost_and_duplicated_by_their_shares():
    async with rig(faults={"receipts_lost": 1}) as (carrier, sink, client):
        await client.post(message("78", ref="lost"))
        carrier.set(receipts_lost=0, receipts_duplicated=1)
        await client.post(message("78", ref="twice"))
        await carrier.until(acknowledged(carrier, 2))
        assert [call.tree["ref"] for call in sink.calls] == ["twice", "twice"]


async def test_a_receipt_comes_before_the_response():
    async with rig() as (carrier, sink, client):
        heard = []
        sink.answer = lambda called: (heard.append("receipt"), (200, ""))[1]
        await client.post(message("09"))
        heard.append("response")
        carrier.set(receipts_first=1)
        await client.post(message("78"))
        heard.append("response")
        assert heard == ["receipt", "response"] * 2


async def test_a_response_does_not_wait_for_ever_for_a_receipt_nobody_takes():
    async with rig(callback_tries=1) as (_, sink, client):
        sink.answer = lambda _: (500, "")
        assert (await client.post(message("09"))).status == 200


async def test_a_late_receipt_is_overtaken():
    async with rig(faults={"late": 1, "late_delay": "1h"}) as (carrier, sink, client):
        await client.post(message("78", ref="late"))
        carrier.set(late=0)
        await client.post(message("78", ref="punctual"))
        await carrier.until(acknowledged(carrier, 1))
        assert [call.tree["ref"] for call in sink.calls] == ["punctual"]
        assert carrier.stats()["waiting"]["receipts_scheduled"] == 1


async def test_receipts_come_out_of_order():
    async with rig(seed=1, faults={"receipts_reordered": 1}) as (carrier, sink, client):
        await client.post({"messages": [message("78", ref=str(n)) for n in range(20)]})
        await carrier.until(acknowledged(carrier, 20))
        refs = [call.tree["ref"] for call in sink.calls]
        assert sorted(refs, key=int) == [str(n) for n in range(20)]
        assert refs != sorted(refs, key=int)


async def test_a_share_of_messages_fails_with_its_code_and_a_share_is_never_told():
    async with rig(faults={"fail": 1, "fail_code": 99}) as (carrier, sink, client):
        await client.post(message("78"))
        await carrier.until(acknowledged(carrier, 1))
        assert sink.calls[0].tree["status"] == {"code": 99, "name": "UNDELIVERABLE"}
        carrier.set(fail=0, silent=1)
        await client.post(message("78"))
        assert carrier.stats()["waiting"]["receipts_scheduled"] == 0
        assert carrier.record.rows()[1]["receipt"] == "none"


async def test_a_timeline_sets_and_restores_live_and_can_be_replaced_over_the_control_api():
    first = {"at": "0", "for": "1h", "set": {"errors": {"503": 1}}}
    async with rig(timeline=[first]) as (carrier, _, client):
        assert (await client.post(message("78"))).status == 503
        control = Client(carrier.control_url)
        (step,) = await control.get("/timeline")
        assert (step["state"], step["for_s"]) == ("active", 3600)
        changes: asyncio.Queue[Any] = asyncio.Queue()
        carrier.faults.timeline.on_change = lambda: changes.put_nowait(carrier.orders.standing()["errors"])
        short = {"at": "0", "for": "20ms", "set": {"errors": {"500": 1}}}
        await control.post([short], path="/timeline")
        seen = [await asyncio.wait_for(changes.get(), 30) for _ in range(3)]
        assert seen == [{}, {"500": 1}, {}]  # the first step ended, the second began, the second ended
        assert (await client.post(message("78"))).status == 200
        steps = [
            {"at": "0", "for": "1h", "set": {"silence": "all"}},
            {"at": "1h", "set": {"disconnect": True}},
        ]
        await control.post(steps, path="/timeline")
        assert (await control.get("/faults"))["silence"] == "all"
        await control.post([], path="/timeline")
        assert (await control.get("/faults"))["silence"] == "none"
        bad = await control.post([{"at": "soon", "set": {"mps": 1}}], path="/timeline")
        assert (bad.status, b"duration 'soon'" in bad.body) == (400, True)
        bad = await control.post({"latency": "5ms", "mps": -4}, path="/faults")
        assert (bad.status, b"mps -4 is outside 0..1e+06" in bad.body) == (400, True)
        assert (await control.get("/faults"))["latency"] == "0"
        control.channel.close()


async def test_what_is_no_http_or_too_long_is_refused_and_the_connection_ends():
    async with rig() as (carrier, _, __):
        for octets, status in (
            (b"\x16\x03\x01 hello\r\n\r\n", b" 400 "),
            (b"POST /sms/2/messages HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b" 413 "),
            (b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n\r\n", b" 414 "),
            (b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(120)) + b"\r\n", b" 431 "),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", carrier.port)
            writer.write(octets)
            assert status in (await all_octets(reader))[:20]
            writer.close()
        assert carrier.record.next_number == 0


async def test_nodelay_is_set_on_connections():
    async with rig() as (carrier, _, client):
        await client.post(message("78"))
        (session,) = carrier._sessions.values()
        given = session._transport.get_extra_info("socket")
        assert given.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


async def test_a_kept_connection_that_is_closed_is_made_anew_for_a_request_that_may_be_repeated():
    async with rig() as (carrier, _, __):
        channel = HttpChannel(parse_url(carrier.url))
        for _ in range(5):
            assert (await channel.request("GET", "/", is_repeatable=True)).status == 404
            carrier.set(disconnect=True)
        assert carrier.stats()["connections"]["made"] == 5
        channel.close()


async def test_callbacks_stop_taking_new_ones_while_many_fail(monkeypatch):
    monkeypatch.setattr(callbacks, "MAX_PAUSING", 3)
    settings = {"callback_retry_s": 60, "callback_connections": 1, "receipt_limit": 5}
    async with rig(**settings) as (carrier, sink, client):
        sink.answer = lambda _: (503, "")
        await client.post({"messages": [message("78")] * 20})
        await carrier.until(lambda: carrier.stats()["callbacks"]["refused"] == 3)
        report = carrier.stats()["callbacks"]
        assert (report["dropped"], report["waiting"]) == (15, 5)
        assert len(sink.calls) == 3


def test_faults_of_connections_are_the_same_on_uvloop():
    """uvloop reads once although a transport was paused, and writes at the end of its turn."""
    uvloop = pytest.importorskip("uvloop", reason="the simulator runs without uvloop where there is none")

    async def story() -> None:
        async with rig(faults={"silence": "all"}) as (carrier, _, client):
            asked = asyncio.ensure_future(client.post(message("78")))
            await carrier.until(lambda: carrier.stats()["connections"]["open"] == 1)
            await asyncio.sleep(0.05)
            assert carrier.stats()["requests"] == 0
            carrier.set(silence="none")
            assert (await asked).status == 200
            carrier.set(disconnect_mix="mid_answer=1")
            reader, writer = await raw(carrier, json.dumps(message("78")).encode())
            assert (await all_octets(reader)).startswith(b"HTTP/1.1 200")
            writer.close()
            carrier.set(disconnect_mix="", refuse=True)
            await carrier.settled()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", carrier.port)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())
