"""Our message-centre role, the simulator, against the npm package `smpp` 0.5.1 as ESME."""

from typing import Any

import pytest

from tests.conformance.smsc_rig import (
    DEFAULT_ALPHABET,
    EMOJI,
    EXTENSION,
    NUMBER,
    PASSWORD,
    SYSTEM_ID,
    SmscRig,
    a_smsc,
    number,
)
from tests.support.peers import Peer, npm_esme

pytestmark = pytest.mark.peer

# data_coding is always given: left out, this package sends septets under data_coding 1, which means IA5 (A12).
FIELDS = {
    "source_addr": "12345",
    "destination_addr": NUMBER,
    "data_coding": 0,
    "registered_delivery": 0,
    "short_message": "hola",
}


async def bound(peer: Peer, *, bind: str = "transceiver", password: str = PASSWORD) -> dict[str, Any]:
    before = len(peer.of("bind_resp"))
    peer.tell("connect", bind=bind, system_id=SYSTEM_ID, password=password)
    return (await peer.heard("bind_resp", before + 1))[-1]


async def submitted(peer: Peer, *, udh_hex: str | None = None, **fields: Any) -> dict[str, Any]:
    before = len(peer.of("submit_sm_resp"))
    extra = {} if udh_hex is None else {"udh_hex": udh_hex}
    peer.tell("submit", fields=FIELDS | fields, **extra)
    return (await peer.heard("submit_sm_resp", before + 1))[-1]


@pytest.mark.parametrize("bind", ["transmitter", "receiver", "transceiver"])
async def test_every_bind_mode_stands(bind: str) -> None:
    async with a_smsc() as smsc, npm_esme(smsc.port) as peer:
        assert await bound(peer, bind=bind) == {"event": "bind_resp", "status": 0, "system_id": "caudal-smsc"}
        answer = await submitted(peer)
        assert answer["status"] == (0x04 if bind == "receiver" else 0)  # H1: no submit on a receiver


async def test_a1_b12_every_alphabet_arrives_as_itself() -> None:
    """A1, A2, A3, B12, B25."""
    cases = [
        (0, DEFAULT_ALPHABET),
        (0, EXTENSION),
        (8, EMOJI),
        (3, "Código válido aquí"),
        (1, "plain ASCII $"),
    ]
    async with a_smsc() as smsc, npm_esme(smsc.port) as peer:
        await bound(peer)
        for data_coding, text in cases:
            assert (await submitted(peer, data_coding=data_coding, short_message=text))["status"] == 0
        # 0x24 is `$` in IA5 and the currency sign in GSM: the package writes the GSM octet 0x02 under data_coding 1.
        assert smsc.texts()[:-1] == [text for _, text in cases[:-1]]
        assert smsc.rows()[-1]["payload_hex"].endswith("02")
        assert [row["data_coding"] for row in smsc.rows()] == [coding for coding, _ in cases]


@pytest.mark.parametrize("form", ["udh8", "udh16", "sar", "payload"])
async def test_b16_long_messages_arrive_in_every_form(form: str) -> None:
    """B14, B16, B17, B18, B19 as a foreign ESME writes them."""
    text = "Estimado cliente, su pago fue recibido. " * 10
    size = {"udh8": 153, "udh16": 152, "sar": 153, "payload": len(text)}[form]
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    async with a_smsc() as smsc, npm_esme(smsc.port) as peer:
        await bound(peer)
        for sequence, part in enumerate(parts, 1):
            if form == "payload":
                answer = await submitted(peer, short_message="", message_payload=part)
            elif form == "sar":
                sar = {
                    "sar_msg_ref_num": 77,
                    "sar_total_segments": len(parts),
                    "sar_segment_seqnum": sequence,
                }
                answer = await submitted(peer, short_message=part, **sar)
            else:
                reference = "0003" + "4d" if form == "udh8" else "0804" + "004d"
                element = f"{reference}{len(parts):02x}{sequence:02x}"
                header = f"{len(element) // 2:02x}{element}"
                answer = await submitted(peer, short_message=part, udh_hex=header)
            assert answer["status"] == 0
        rows = smsc.rows()
        assert len(rows) == len(parts)
        if form == "payload":
            assert rows[0]["octets"] == len(text)
            return
        expected = [{"reference": 77, "total": 3, "sequence": n} for n in (1, 2, 3)]
        assert [row["concatenation"] for row in rows] == expected
        assert "".join(smsc.texts()) == text
        assert {row["esm_class"] for row in rows} == ({0} if form == "sar" else {0x40})


async def test_f1_receipts_are_understood_and_a_refused_one_comes_again() -> None:
    """F1, F3: id and state in text and TLV alike, addresses swapped."""
    async with a_smsc(receipt_retry_s=0.05) as smsc, npm_esme(smsc.port) as peer:
        await bound(peer)
        peer.tell("refuse_receipts", count=1)
        answers = [
            await submitted(peer, destination_addr=number(last), registered_delivery=1)
            for last in ("01", "02")
        ]
        await smsc.acknowledged(2)
        heard = await peer.heard("deliver_sm", 3)
        assert [line["status"] for line in heard].count(0x64) == 1
        by_id = {line["receipted_message_id"]: line for line in heard if line["status"] == 0}
        for answer, last, state, stat in ((answers[0], "01", 2, "DELIVRD"), (answers[1], "02", 5, "UNDELIV")):
            line = by_id[answer["message_id"]]
            assert (line["message_state"], line["esm_class"]) == (state, 4)
            assert (line["source"], line["destination"]) == (number(last), "12345")
            assert f"id:{answer['message_id']} " in line["text"]
            assert f"stat:{stat} " in line["text"]


async def test_h7_enquire_link_is_sent_and_answered() -> None:
    async with a_smsc(enquire_link_s=0.1) as smsc, npm_esme(smsc.port) as peer:
        await bound(peer)
        await peer.heard("enquire_link", 2)
        peer.tell("enquire_link")
        assert (await peer.heard("enquire_link_resp"))[0]["status"] == 0
        assert smsc.stats()["bound"] == {SYSTEM_ID: 1}


async def test_an_unbind_of_either_side_is_answered_and_ends_the_session() -> None:
    async with a_smsc() as smsc, npm_esme(smsc.port) as peer:
        await bound(peer)
        peer.tell("unbind")
        assert (await peer.heard("unbind_resp"))[0]["status"] == 0
        await peer.heard("close", 1)
        await bound(peer)
        smsc.unbind_all()
        await peer.heard("unbind")
        await peer.heard("close", 2)
        await smsc.until(lambda: smsc.stats()["bound"] == {SYSTEM_ID: 0})
        assert smsc.stats()["closes"] == {"peer_unbound": 1, "unbound": 1}


async def test_a_wrong_password_is_refused_and_a_second_bind_changes_nothing() -> None:
    """H1: 0x0E for the password; the first bind stays."""
    async with a_smsc() as smsc, npm_esme(smsc.port) as peer:
        assert (await bound(peer, password="wrong"))["status"] == 0x0E
        await peer.heard("close")
        assert (await bound(peer))["status"] == 0
        assert smsc.stats()["binds"] == {"ESME_RINVPASWD": 1, "ESME_ROK": 1}


async def test_throttled_submits_pass_in_the_end() -> None:
    async with a_smsc() as smsc, npm_esme(smsc.port) as peer:
        await bound(peer)
        statuses = [(await submitted(peer, destination_addr=number("05")))["status"] for _ in range(3)]
        assert statuses == [0x58, 0x58, 0]


async def test_h3_a_thousand_pipelined_submits_are_answered_and_receipted() -> None:
    async with a_smsc(latency="p50=5ms,p99=20ms") as smsc, npm_esme(smsc.port) as peer:
        await bound(peer)
        peer.tell("flood", count=1000, fields=FIELDS | {"registered_delivery": 1})
        (flooded,) = await peer.heard("flooded")
        assert (flooded["distinct_ids"], flooded["statuses"]) == (1000, {"0": 1000})
        await smsc.acknowledged(1000)
        await peer.heard("deliver_sm", 1000)
        assert_every_receipt_has_its_message(smsc, peer)


def assert_every_receipt_has_its_message(smsc: SmscRig, peer: Peer) -> None:
    told = {line["receipted_message_id"] for line in peer.of("deliver_sm")}
    assert told == {smsc.centre.message_id(row["number"]) for row in smsc.rows()}
