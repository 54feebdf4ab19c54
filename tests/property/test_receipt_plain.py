"""The short way to read a receipt says what the long way says, whatever a carrier writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.smpp.profile import CarrierProfile
from adapters.smpp.session.connection import Role, SessionConfig, SmppConnection
from adapters.smpp.session.events import RequestReceived
from adapters.smpp.translate import Translator
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.codec import decode_deliver_sm, encode
from adapters.smpp.wire.pdus import BindTransceiver, BindTransceiverResp, DeliverSm
from adapters.smpp.wire.receipt_plain import PlainReceipt, read_plain
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


_ADDRESSES = st.sampled_from(["", "525512345678", "Banco", "1" * 20])
_TIMES = st.sampled_from(["", "260115123000000+", "1" * 16])
_CUTS = st.one_of(st.just(0), st.integers(-3, 40))


@given(
    text=_bodies(),
    tlvs=_TLVS,
    esm_class=st.sampled_from([0x04, 0x04, 0x04, 0x04, 0x07, 0x84, 0x44, 0x20, 0x24, 0x08, 0x00]),
    fields=st.tuples(_ADDRESSES, _ADDRESSES, _TIMES, _TIMES, st.sampled_from([0, 4, 8])),
    cut=_CUTS,
    id_format=st.sampled_from(ID_FORMATS),
)
def test_the_short_way_says_what_the_long_way_says(
    text: bytes,
    tlvs: tuple[Tlv, ...],
    esm_class: int,
    fields: tuple[str, str, str, str, int],
    cut: int,
    id_format: str,
) -> None:
    source_addr, destination_addr, schedule, validity, octet = fields
    written = DeliverSm(
        service_type="CMT"[:octet],
        source_addr_ton=octet,
        source_addr=source_addr,
        destination_addr=destination_addr,
        esm_class=esm_class,
        protocol_id=octet,
        schedule_delivery_time=schedule,
        validity_period=validity,
        data_coding=octet,
        short_message=text[:254],
        tlvs=tlvs,
    )
    body = encode(written, sequence_number=1)[16:]
    body = body[: len(body) - cut] if cut >= 0 else body + b"\0" * -cut
    plain = read_plain(body)
    if plain is None:
        return
    profile = CarrierProfile("telco_a", "127.0.0.1", 2775, "caudal", "secret", receipt_id_format=id_format)  # type: ignore[arg-type]  # of ID_FORMATS
    translator, pdu = Translator(profile), decode_deliver_sm(body)
    assert not pdu.tlv_error
    assert translator.plain_receipt(plain, bind="trx1", now_ms=1) == translator.inbound(
        pdu, bind="trx1", now_ms=1
    )


@given(st.binary(max_size=300))
def test_no_octets_make_it_raise(body: bytes) -> None:
    read_plain(body)


_TEXT = b"id:0A7f sub:001 dlvrd:001 submit date:2601151230 done date:2601151231 stat:DELIVRD err:000"
_ID, _STATE = Tlv(c.TAG_RECEIPTED_MESSAGE_ID, b"0A7f\0"), Tlv(c.TAG_MESSAGE_STATE, b"\x02")


def _body_of(text: bytes, *tlvs: Tlv) -> bytes:
    pdu = DeliverSm(
        source_addr="525512345678", destination_addr="12345", esm_class=4, short_message=text, tlvs=tlvs
    )
    return encode(pdu, sequence_number=1)[16:]


@pytest.mark.parametrize("tlvs", [(), (_ID,), (_STATE,), (_ID, _STATE), (_STATE, _ID)])
@pytest.mark.parametrize("tail", [b"", b" text:", b" Text:su codigo"])
def test_a_receipt_to_the_letter_is_read_the_short_way(tail: bytes, tlvs: tuple[Tlv, ...]) -> None:
    plain = read_plain(_body_of(_TEXT + tail, *tlvs))
    assert plain == ("0A7f", "DELIVERED", "DELIVRD", "000", "2601151230", "2601151231", _TEXT.decode())


@pytest.mark.parametrize(
    "tlvs",
    [
        (Tlv(c.TAG_RECEIPTED_MESSAGE_ID, b"0A80\0"),),
        (_ID, Tlv(c.TAG_MESSAGE_STATE, b"\x05")),
        (_ID, _STATE, _STATE),
        (_ID, Tlv(c.TAG_NETWORK_ERROR_CODE, b"\x03\0\x05")),
    ],
)
def test_what_says_anything_else_is_left_to_the_long_way(tlvs: tuple[Tlv, ...]) -> None:
    assert read_plain(_body_of(_TEXT, *tlvs)) is None


def test_an_id_that_no_submit_response_has_is_left_to_the_long_way() -> None:
    long_id = b"7" * 65
    text = _TEXT.replace(b"0A7f", long_id)
    assert read_plain(_body_of(text, Tlv(c.TAG_RECEIPTED_MESSAGE_ID, long_id + b"\0"))) is None


def test_a_session_reads_plain_receipts_only_when_asked() -> None:
    frame = encode(DeliverSm(esm_class=4, short_message=_TEXT), sequence_number=7)
    for is_asked, kind in ((True, PlainReceipt), (False, DeliverSm)):
        esme = SmppConnection(Role.ESME, config=SessionConfig(reads_receipts=is_asked), now_ns=0)
        esme.send_bind(BindTransceiver(system_id="caudal", password="secret"), now_ns=0)
        esme.receive_bytes(encode(BindTransceiverResp(system_id="smsc"), sequence_number=1), now_ns=0)
        (event,) = esme.receive_bytes(frame, now_ns=0)
        assert isinstance(event, RequestReceived)
        assert (type(event.pdu), event.sequence_number, esme.unacknowledged_count) == (kind, 7, 1)
