"""The short way to read a receipt says what the long way says, whatever a carrier writes."""

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.smpp import translate
from adapters.smpp.profile import CarrierProfile
from adapters.smpp.translate import Translator
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.pdus import DeliverSm
from adapters.smpp.wire.receipt_plain import read_plain
from adapters.smpp.wire.receipt_text import ID_FORMATS
from adapters.smpp.wire.tlv import Tlv

_VALUES = st.sampled_from(
    ["0A7f", "007", "000", "text", "id", "É1", "\x1c", "\x85x", "a\0b", "", "1:2", "٣", "\xa0"]
)
_DATES = st.sampled_from(["2601151230", "260115123059", "9999999999", "12", "²", ""])
_STATS = st.sampled_from(["DELIVRD", "UNDELIV", "ENROUTE", "DELIVERED", "delivrd", "FOO", ""])
_TAILS = st.sampled_from(
    ["", " text:", " Text:hola text:", " TEXT:x", " text :", "\0", " ", " text:\0", "text:"]
)


@st.composite
def _bodies(draw: st.DrawFn) -> bytes:
    text = (
        f"id:{draw(_VALUES)} sub:{draw(st.sampled_from(['001', '1', 'x']))} dlvrd:001 submit date:{draw(_DATES)} "
        f"done date:{draw(_DATES)} stat:{draw(_STATS)} err:{draw(_VALUES)}{draw(_TAILS)}"
    )
    cut = draw(st.integers(0, 40))
    text = text if cut else text[draw(st.integers(0, len(text))) :]
    return text.encode("latin-1", "replace")


_TLVS = st.lists(
    st.one_of(
        st.builds(
            Tlv,
            st.just(c.TAG_RECEIPTED_MESSAGE_ID),
            st.sampled_from([b"0A7f\0", b"0A7f", b"007\0", b"7\0", b""]),
        ),
        st.builds(
            Tlv, st.just(c.TAG_MESSAGE_STATE), st.sampled_from([b"\x02", b"\x05", b"\x00\x02", b"\xff", b""])
        ),
        st.builds(Tlv, st.just(c.TAG_NETWORK_ERROR_CODE), st.sampled_from([b"\x03\x00\x05", b"5"])),
        st.builds(Tlv, st.just(c.TAG_MESSAGE_PAYLOAD), st.just(b"id:1 stat:DELIVRD")),
    ),
    max_size=3,
).map(tuple)


@given(
    body=_bodies(),
    tlvs=_TLVS,
    esm_class=st.sampled_from([0x04, 0x04, 0x04, 0x07, 0x84, 0x44, 0x20, 0x24, 0x08, 0x00]),
    data_coding=st.sampled_from([0, 8]),
    id_format=st.sampled_from(ID_FORMATS),
)
def test_the_short_way_says_what_the_long_way_says(
    body: bytes, tlvs: tuple[Tlv, ...], esm_class: int, data_coding: int, id_format: str
) -> None:
    profile = CarrierProfile("telco_a", "127.0.0.1", 2775, "caudal", "secret", receipt_id_format=id_format)  # type: ignore[arg-type]  # of ID_FORMATS
    pdu = DeliverSm(esm_class=esm_class, data_coding=data_coding, short_message=body, tlvs=tlvs)
    short = Translator(profile).inbound(pdu, bind="trx1", now_ms=1)
    with patch.object(translate, "read_plain", lambda *_: None):
        assert short == Translator(profile).inbound(pdu, bind="trx1", now_ms=1)


@pytest.mark.parametrize("tail", [b"", b" text:", b" Text:su codigo"])
def test_a_receipt_to_the_letter_is_read_the_short_way(tail: bytes) -> None:
    text = b"id:0A7f sub:001 dlvrd:001 submit date:2601151230 done date:2601151231 stat:DELIVRD err:000"
    tlvs = (Tlv(c.TAG_RECEIPTED_MESSAGE_ID, b"0A7f\0"), Tlv(c.TAG_MESSAGE_STATE, b"\x02"))
    plain = read_plain(text + tail, tlvs)
    assert plain is not None
    assert plain == ("0A7f", "DELIVERED", "DELIVRD", "000", "2601151230", "2601151231", text.decode())
