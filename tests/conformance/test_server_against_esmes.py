"""Our SMPP server against third-party ESMEs, through the whole gateway: bind, submit, receipts, refusals.

npm `smpp` 0.5.1, smpplib 2.2.4, aiosmpplib 0.7.4 and Kannel 1.4.5; the carrier is the simulator.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import smpplib.exceptions
import smpplib.gsm

from tests.conformance import test_smsc_against_aiosmpplib as aio
from tests.conformance import test_smsc_against_smpplib as lib
from tests.conformance.kannel import DELIVERED, FAILED, a_kannel
from tests.conformance.server_rig import ServerStack, a_server
from tests.conformance.smsc_rig import number
from tests.conformance.test_smsc_against_npm import FIELDS, bound, submitted
from tests.support.peers import npm_esme
from tests.support.stack import until

pytestmark = [
    pytest.mark.peer,
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.asyncio(loop_scope="module"),
]

LONG = "Estimado cliente, su pago fue recibido. " * 10
EMOJI = "Código 👍🏽 válido aquí"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[ServerStack]:
    async with a_server(enquire_link_s=0.5) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def server(gateway: ServerStack) -> ServerStack:
    await gateway.mark()
    return gateway


async def test_f21_e5_npm_smpp_submits_and_understands_its_receipts(server: ServerStack) -> None:
    """A1, B12, B16, E5, F21, H7, H13: both sides probe; a wrong password is refused."""
    async with npm_esme(server.port) as peer:
        assert (await bound(peer, password="wrong"))["status"] == 0x0E
        await peer.heard("close")
        assert await bound(peer) == {"event": "bind_resp", "status": 0, "system_id": "caudal"}
        for coding, text in ((0, "hola @ €"), (8, EMOJI)):
            assert (await submitted(peer, data_coding=coding, short_message=text))["status"] == 0
        assert await server.delivered_texts(2) == ["hola @ €", EMOJI]
        assert (await submitted(peer, destination_addr="123"))["status"] == 0x0B
        ids = {
            last: (await submitted(peer, destination_addr=number(last), registered_delivery=1))["message_id"]
            for last in ("01", "02")
        }
        peer.tell("refuse_receipts", count=1)
        heard = await peer.heard("deliver_sm", 3, limit_s=20)
        by_id = {line["receipted_message_id"]: line for line in heard if line["status"] == 0}
        for last, state, stat in (("01", 2, "DELIVRD"), ("02", 5, "UNDELIV")):
            line = by_id[ids[last]]
            assert (line["message_state"], line["esm_class"]) == (state, 4)
            assert (line["source"], line["destination"]) == (number(last), "12345")
            assert f"id:{ids[last]} " in line["text"]
            assert f"stat:{stat} " in line["text"]
        parts = [LONG[at : at + 153] for at in range(0, len(LONG), 153)]
        await server.mark()
        told = []
        for sequence, part in enumerate(parts, 1):
            header = f"0500034d{len(parts):02x}{sequence:02x}"
            answer = await submitted(peer, short_message=part, udh_hex=header, registered_delivery=1)
            assert answer["status"] == 0
            told.append(answer["message_id"])
        assert "".join(await server.delivered_texts(len(parts))) == LONG
        await peer.until(
            lambda: set(told) <= {line["receipted_message_id"] for line in peer.of("deliver_sm")}, limit_s=20
        )
        await peer.heard("enquire_link", 1)
        peer.tell("enquire_link")
        await peer.heard("enquire_link_resp")
        peer.tell("unbind")
        assert (await peer.heard("unbind_resp"))[0]["status"] == 0


async def test_h13_npm_smpp_floods_beyond_its_window_and_is_throttled(server: ServerStack) -> None:
    """H3, H13: the window is 200, so a flood of 1,000 has as many answers, some of them 0x58."""
    async with npm_esme(server.port) as peer:
        await bound(peer)
        peer.tell("flood", count=1000, fields=FIELDS)
        (flooded,) = await peer.heard("flooded", limit_s=20)
        assert set(flooded["statuses"]) <= {"0", "88"}
        assert sum(flooded["statuses"].values()) == 1000
        assert flooded["statuses"]["0"] >= 200
        assert len(await server.delivered_texts(flooded["statuses"]["0"])) == flooded["statuses"]["0"]


async def test_f21_smpplib_submits_and_understands_its_receipts(server: ServerStack) -> None:
    """A1, B12, B16, F21, H13."""
    with pytest.raises(smpplib.exceptions.PDUError):
        async with lib.a_client(server.port, password="wrong"):
            pass
    async with lib.a_client(server.port) as client:
        assert client.heard[0].system_id == b"caudal"
        for last in ("01", "02"):
            await lib.in_thread(client.submit, number(last), registered_delivery=1)
        await lib.in_thread(client.until, lambda: len(client.of("submit_sm_resp")) == 2)
        ids = [pdu.message_id for pdu in client.of("submit_sm_resp")]
        await lib.in_thread(client.until, lambda: len(client.of("deliver_sm")) == 2)
        told = {pdu.receipted_message_id.rstrip(b"\0"): pdu.message_state for pdu in client.of("deliver_sm")}
        assert told == {ids[0]: 2, ids[1]: 5}
        await server.mark()
        pieces, coding, esm_class = smpplib.gsm.make_parts(EMOJI * 5)
        for piece in pieces:
            await lib.in_thread(client.submit, short_message=piece, data_coding=coding, esm_class=esm_class)
        assert "".join(await server.delivered_texts(len(pieces))) == EMOJI * 5


async def test_f21_aiosmpplib_submits_and_matches_its_receipts(server: ServerStack) -> None:
    """B12, F21."""
    async with aio.a_client(server.port) as client:
        await client.submit(EMOJI)
        for last in ("01", "02"):
            await client.submit("hola", to=number(last), registered_delivery=1, log_id=last)
        await client.heard.until(lambda: len(client.heard.of("DELIVER_SM")) == 2)
        told = {message.log_id: message.parse_receipt() for message in client.heard.of("DELIVER_SM")}
        assert {last: receipt["stat"] for last, receipt in told.items()} == {"01": "DELIVRD", "02": "UNDELIV"}
        assert EMOJI in await server.delivered_texts(2)


async def test_f21_h13_kannel_submits_long_messages_and_reports(server: ServerStack, tmp_path: Path) -> None:
    """B16, B17, F21, H7, H13."""
    async with a_kannel(server.port, tmp_path) as kannel:
        await kannel.until("(online")
        await kannel.send(LONG, reference="long")
        await kannel.send(EMOJI, coding=2, reference="emoji")
        texts = await server.delivered_texts(4)
        assert EMOJI in texts
        assert "".join(text for text in texts if text != EMOJI) == LONG
        for last in ("01", "02"):
            await kannel.send("hola", to=number(last), reference=last)
        await until(lambda: {"01", "emoji", "long"} <= kannel.reports_of(DELIVERED), limit_s=20)
        await until(lambda: "02" in kannel.reports_of(FAILED), limit_s=20)
        await until(lambda: kannel.log_count("type_name: enquire_link_resp\n") >= 1, limit_s=10)
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    async with a_kannel(server.port, wrong, password="wrong") as kannel:
        await asyncio.sleep(1)
        assert "(online" not in await kannel.status()
