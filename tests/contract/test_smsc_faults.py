"""Faults of the message centre simulator that connections and receipts suffer, seen by an ESME over a real socket."""

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any

import pytest

from loadtest.faults import parse_timeline
from loadtest.http_client import HttpChannel, parse_url
from loadtest.smsc.service import running_smsc
from loadtest.smsc.settings import SmscSettings
from tests.support.esme import Esme, a_submit

WITH_RECEIPT = {"registered_delivery": 1}


@asynccontextmanager
async def rig(**settings: Any):
    async with running_smsc(SmscSettings(accounts={"acme": "secret"}, **settings)) as smsc:
        yield smsc


@asynccontextmanager
async def bound(smsc: Any):
    esme = Esme()
    await esme.connect(smsc.smpp_port)
    assert await esme.bind() == 0
    try:
        yield esme
    finally:
        esme.transport.abort()
        await asyncio.wait_for(asyncio.shield(esme.transport.closed), 10)


def set_faults(smsc: Any, **faults: Any) -> None:
    for name, value in faults.items():
        smsc.centre.faults.knobs.change(name, value)()


def send_one(esme: Esme, **fields: Any) -> Any:
    return esme.send(a_submit("hola", **fields))


def ids_of(esme: Esme) -> list[str]:
    return [pdu.short_message.decode().partition("id:")[2].split()[0] for pdu in esme.receipts]


async def test_connections_are_refused_and_taken_again_on_the_same_port():
    async with rig() as smsc, bound(smsc) as esme:
        set_faults(smsc, refuse=True)
        await smsc.listener.settled()
        with pytest.raises(OSError):
            await Esme().connect(smsc.smpp_port)
        assert (await esme.submit()).command_status == 0  # the bind that stands is not touched
        set_faults(smsc, refuse=False)
        await smsc.listener.settled()
        async with bound(smsc):
            pass


async def test_a_carrier_that_is_out_ends_its_connections_and_takes_none_until_it_is_back():
    async with rig() as smsc, bound(smsc) as esme:
        steps = [{"at": "0", "for": "1h", "set": {"outage": True}}]
        smsc.centre.faults.timeline.start(parse_timeline(steps, knobs=smsc.centre.faults.knobs))
        await asyncio.wait_for(asyncio.shield(esme.transport.closed), 10)
        await smsc.listener.settled()
        with pytest.raises(OSError):
            await Esme().connect(smsc.smpp_port)
        stats = smsc.centre.stats()
        assert (stats["bound"], sum(stats["closes"].values())) == ({"acme": 0}, 1)
        smsc.centre.faults.timeline.cancel()
        await smsc.listener.settled()
        async with bound(smsc) as other:
            assert (await other.submit()).command_status == 0


async def test_a_half_open_connection_says_nothing_and_its_receipt_goes_to_the_next_bind():
    async with rig(faults={"hold_receipts": True}) as smsc, bound(smsc) as esme:
        assert (await esme.submit(**WITH_RECEIPT)).command_status == 0
        set_faults(smsc, half_open=True)
        silent = send_one(esme)
        async with bound(smsc) as other:
            set_faults(smsc, hold_receipts=False)
            await other.heard(1)
            assert smsc.centre.stats()["bound"] == {"acme": 1}
        assert not silent.done()
        assert esme.receipts == []
        assert smsc.centre.record.next_number == 1


async def test_a_slow_reader_leaves_submits_in_the_buffers_and_takes_them_all_in_the_end():
    async with rig() as smsc, bound(smsc) as esme:
        set_faults(smsc, slow_reader=2_000)
        answers = [send_one(esme) for _ in range(10)]  # some 600 octets: 0.3 s
        await asyncio.wait_for(answers[0], 30)
        assert not answers[-1].done()
        set_faults(smsc, slow_reader=0)
        assert [one.command_status for one in await asyncio.wait_for(asyncio.gather(*answers), 30)] == [
            0
        ] * 10


async def test_receipts_are_lost_and_duplicated_by_their_shares():
    async with rig(faults={"receipts_lost": 1}) as smsc, bound(smsc) as esme:
        await esme.submit(**WITH_RECEIPT)
        set_faults(smsc, receipts_lost=0, receipts_duplicated=1)
        answer = await esme.submit(**WITH_RECEIPT)
        fallen = smsc.centre.stats()["fallen"]
        assert (fallen["receipts_lost"], fallen["receipts_duplicated"], fallen["fail"]) == (1, 1, 0)
        await esme.heard(2)
        assert ids_of(esme) == [answer.message_id] * 2


async def test_receipts_come_before_the_response_by_their_share():
    async with rig(faults={"receipts_first": 1, "magic": False}) as smsc, bound(smsc) as esme:
        answer = send_one(esme, **WITH_RECEIPT)
        heard_before: list[int] = []
        answer.add_done_callback(lambda _: heard_before.append(len(esme.receipts)))
        message_id = (await asyncio.wait_for(answer, 30)).message_id
        await asyncio.sleep(0)
        assert heard_before == [1]
        assert ids_of(esme) == [message_id]


async def test_receipts_come_out_of_order():
    async with rig(seed=1, faults={"receipts_reordered": 1}) as smsc, bound(smsc) as esme:
        sent = [(await esme.submit(**WITH_RECEIPT)).message_id for _ in range(12)]
        await esme.heard(12)
        assert sorted(ids_of(esme)) == sorted(sent)
        assert ids_of(esme) != sent


@pytest.mark.parametrize("wanted", ["same", "other"])
async def test_receipts_come_on_the_bind_that_submitted_or_on_another(wanted):
    async with rig(faults={"receipts_on": wanted}) as smsc, bound(smsc) as first, bound(smsc) as second:
        for _ in range(6):
            await first.submit(**WITH_RECEIPT)
        heard, deaf = (first, second) if wanted == "same" else (second, first)
        await heard.heard(6)
        assert deaf.receipts == []


async def test_faults_follow_a_timeline_that_can_be_replaced_over_the_http_api():
    timeline = [{"at": "0", "for": "1h", "set": {"errors": {"ESME_RSYSERR": 1}}}]
    async with rig(timeline=timeline) as smsc, bound(smsc) as esme:
        assert (await esme.submit()).command_status == 8
        channel = HttpChannel(parse_url(f"http://127.0.0.1:{smsc.http_port}"))
        (step,) = json.loads((await channel.request("GET", "/timeline")).body)
        assert (step["state"], step["for_s"]) == ("active", 3600)
        await channel.request("POST", "/timeline", body=b"[]")
        assert (await esme.submit()).command_status == 0
        bad = await channel.request(
            "POST", "/timeline", body=b'[{"at": "0", "set": {"receipts_on": "moon"}}]'
        )
        assert (bad.status, b"step 1: receipts_on 'moon' is not one of any, same, other" in bad.body) == (
            400,
            True,
        )
        channel.close()


def test_faults_and_timelines_that_cannot_be_are_refused_before_it_listens():
    from loadtest.smsc.centre import MessageCentre

    with pytest.raises(ValueError, match="fault 'gravity' is not one of latency"):
        MessageCentre(SmscSettings(faults={"gravity": 1}))
    with pytest.raises(ValueError, match="timeline step 1: slow_reader -1 is outside"):
        MessageCentre(SmscSettings(timeline=[{"at": "0", "set": {"slow_reader": -1}}]))


def test_faults_of_connections_are_the_same_on_uvloop():
    """uvloop reads once although a transport was paused, and closes a listening socket a turn later."""
    uvloop = pytest.importorskip("uvloop", reason="the simulator runs without uvloop where there is none")

    async def story() -> None:
        async with rig(faults={"silence": "all"}) as smsc:
            esme = Esme()
            await esme.connect(smsc.smpp_port)
            binding = asyncio.ensure_future(esme.bind())
            await asyncio.sleep(0.05)
            assert smsc.centre.stats()["binds"] == {}
            set_faults(smsc, silence="none")
            assert await asyncio.wait_for(binding, 30) == 0
            set_faults(smsc, refuse=True)
            await smsc.listener.settled()
            with pytest.raises(OSError):
                await Esme().connect(smsc.smpp_port)
            set_faults(smsc, refuse=False, slow_reader=5_000)
            await smsc.listener.settled()
            async with bound(smsc) as other:
                assert (await other.submit()).command_status == 0
            esme.transport.abort()
            await asyncio.wait_for(asyncio.shield(esme.transport.closed), 10)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())
