"""The simulator sends what people write over a real socket, and again what was refused, or not answered in time."""

import asyncio

import pytest

from tests.contract.test_smsc_simulator import call, esme, eventually, simulator

pytestmark = pytest.mark.peer

WISH = {"source": "525512345678", "destination": "22222"}


def texts(peer):
    return [pdu.short_message for pdu in peer.receipts]


async def test_segments_arrive_in_the_order_asked_for_and_are_acknowledged():
    async with simulator() as smsc, esme(smsc) as peer:
        wish = {**WISH, "text": "x" * 300, "order": [2, 1, 2]}
        assert await call(smsc, "POST", "/mo", json=wish) == (200, {"segments": 2, "queued": 3})
        await asyncio.to_thread(peer.read_until, lambda p: len(p.receipts) == 3)
        assert [pdu.short_message[:6].hex() for pdu in peer.receipts] == [
            "050003010202",
            "050003010201",
            "050003010202",
        ]
        assert {(pdu.source_addr, pdu.destination_addr) for pdu in peer.receipts} == {
            (b"525512345678", b"22222")
        }
        await eventually(lambda: smsc.centre.originator.tally.acknowledged == 3)
        _, stats = await call(smsc, "GET", "/stats")
        assert stats["originated"] == {
            "queued": 3,
            "sent": 3,
            "acknowledged": 3,
            "refused": 0,
            "requeued": 0,
            "waiting": 0,
        }
        assert stats["receipts"]["sent"] == 0


async def test_what_nobody_is_there_for_waits_for_the_next_bind():
    async with simulator() as smsc:
        await call(smsc, "POST", "/mo", json={**WISH, "text": "hola"})
        assert (await call(smsc, "GET", "/stats"))[1]["originated"]["waiting"] == 1
        async with esme(smsc, bind="receiver") as peer:
            await asyncio.to_thread(peer.read_until, lambda p: p.receipts)
            assert texts(peer) == [b"hola"]


async def test_what_was_refused_comes_again_after_a_pause():
    async with simulator(receipt_retry_s=0.05) as smsc, esme(smsc) as peer:
        answers = iter([0x64, 0])  # ESME_RX_T_APPN, then taken

        def refuse_first(pdu):
            peer.receipts.append(pdu)
            return next(answers)

        peer.client.set_message_received_handler(refuse_first)
        await call(smsc, "POST", "/mo", json={**WISH, "text": "hola"})
        await asyncio.to_thread(peer.read_until, lambda p: len(p.receipts) == 2)
        assert texts(peer) == [b"hola", b"hola"]
        await eventually(lambda: smsc.centre.originator.tally.acknowledged == 1)
        assert smsc.centre.originator.tally.refused == 1


async def test_what_was_not_answered_when_the_connection_ended_comes_again():
    async with simulator() as smsc:
        async with esme(smsc):
            await call(smsc, "POST", "/mo", json={**WISH, "text": "hola"})
            await call(smsc, "POST", "/faults", json={"disconnect": True})
            await eventually(lambda: smsc.centre.originator.tally.requeued == 1)
        async with esme(smsc) as peer:
            await asyncio.to_thread(peer.read_until, lambda p: p.receipts)
            assert texts(peer) == [b"hola"]


@pytest.mark.parametrize(
    ("wish", "says"),
    [({"system_id": "nobody", "text": "a"}, "no account"), ({"text": "a", "order": [0]}, "segment 0")],
)
async def test_a_wish_that_cannot_be_met_is_a_400_that_says_why(wish, says):
    async with simulator() as smsc:
        status, answer = await call(smsc, "POST", "/mo", json=WISH | wish)
        assert status == 400
        assert says in answer["error"]
