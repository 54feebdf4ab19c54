"""What the simulator makes of a wish for a person's message, read back by the gateway's own codec."""

import msgspec
import pytest

from adapters.smpp.wire.codec import decode_deliver_sm
from adapters.smpp.wire.pdus import DeliverSm
from gateway.domain.alphabets import TextAlphabet, alphabet_of
from gateway.inbound.reading import read, text_of
from loadtest.smsc.originated import messages_of, read_wish
from tests.support.originated import an_mo

WISH = {"source": "525512345678", "destination": "22222"}
LONG = "¿Confirma su cita del jueves? {Sí} € " * 12


def made(**wish):
    count, messages = messages_of(read_wish(msgspec.json.encode(WISH | wish)))
    pdus = [decode_deliver_sm(message.body) for message in messages]
    assert all(isinstance(pdu, DeliverSm) for pdu in pdus)
    return count, pdus


def contents(pdus):
    return [
        read(
            an_mo(
                pdu.short_message,
                esm_class=pdu.esm_class,
                data_coding=pdu.data_coding,
                alphabet=alphabet_of(pdu.data_coding),
                tlvs_hex=tuple((tlv.tag, tlv.value.hex()) for tlv in pdu.tlvs),
            )
        )
        for pdu in pdus
    ]


def test_a_short_text_is_one_deliver_sm():
    count, (pdu,) = made(text="SI")
    assert count == 1
    assert (pdu.source_addr, pdu.destination_addr, pdu.short_message) == ("525512345678", "22222", b"SI")
    assert (pdu.esm_class, pdu.data_coding) == (0, 0)


@pytest.mark.parametrize("split", ["udh8", "udh16", "sar"])
@pytest.mark.parametrize("text", [LONG.replace("í", "i"), LONG, "👍" * 100])
def test_a_long_text_is_cut_as_asked_and_within_the_limits(split, text):
    count, pdus = made(text=text, split=split, reference=77)
    found = contents(pdus)
    assert count == len(pdus) > 2
    assert [one.place[1:] for one in found] == [(77, count, index) for index in range(1, count + 1)]
    assert text_of(found).text == text
    for one in found:
        octets = 140 - (7 if split == "udh16" else 6)
        assert len(one.octets) <= (octets * 8 // 7 if one.alphabet is TextAlphabet.GSM7 else octets)


def test_segments_go_in_the_order_asked_for_and_as_often():
    _, pdus = made(text=LONG, order=[3, 1, 3])
    assert [one.place.segment_index for one in contents(pdus)] == [3, 1, 3]


def test_message_payload_and_raw_octets():
    _, (pdu,) = made(text=LONG, split="payload")
    assert pdu.short_message == b""
    assert text_of(contents([pdu])).text == LONG
    _, (raw,) = made(short_message_hex="ff0003", esm_class=0x40, data_coding=4, tlvs={"020c": "0007"})
    assert (raw.short_message, raw.esm_class, raw.data_coding) == (b"\xff\x00\x03", 0x40, 4)
    assert raw.tlvs[0].tag == 0x020C


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({}, "text or short_message_hex"),
        ({"text": "a", "short_message_hex": "00"}, "one of them"),
        ({"text": "a", "order": [2]}, "order names segment 2, there are 1"),
        ({"text": "ó", "encoding": "gsm7"}, "not in the GSM alphabet"),
        ({"text": "a", "encoding": "koi8"}, "'koi8' is not one of"),
        ({"text": "a", "source": "9" * 21}, "at most 20"),
        ({"text": "a" * 39_200}, "the limit is 255"),
        ({"text": "a", "colour": 1}, "colour"),
    ],
)
def test_a_wish_that_cannot_be_met_says_why(wish, says):
    with pytest.raises(ValueError, match=says):
        made(**wish)
