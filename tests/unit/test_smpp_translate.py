"""Segments to submit_sm and deliver_sm to receipts, by a carrier's profile."""

from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from adapters.smpp.profile import AddressType, CarrierProfile
from adapters.smpp.translate import MAX_REMEMBERED_SENDERS, Translator, UntranslatableError
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.codec import decode_submit_sm
from adapters.smpp.wire.pdus import DataSm, DeliverSm
from adapters.smpp.wire.tlv import Tlv
from gateway.domain.alphabets import TextAlphabet, alphabet_of, decode_text
from gateway.domain.gsm7 import encode_unpacked
from gateway.domain.message import Message, MessageClass, OutboundSegment
from gateway.domain.receipts import MessageState, MobileOriginated, Receipt
from gateway.domain.segmentation import SegmentPayload

NOW_MS = 1_760_000_000_000


def a_translator(**options) -> Translator:
    return Translator(
        CarrierProfile(
            **{"carrier": "telco", "host": "mc", "port": 2775, "system_id": "a", "password": "b", **options}
        )
    )


def a_segment(*, payload=None, data_coding=0, wants_receipt=True, **fields) -> OutboundSegment:
    message = Message(
        **{
            "id": uuid4(),
            "account_id": "acme",
            "message_class": MessageClass.MARKETING,
            "recipient": "525512345678",
            "sender": "BancoMX",
            "text": "hello",
            "encoding": "gsm7",
            "segment_count": 1,
            "accepted_at": NOW_MS,
            "valid_until": NOW_MS + 300_000,
            "carrier": "telco",
            **fields,
        }
    )
    payload = payload or SegmentPayload(0, b"", b"hello")
    return OutboundSegment(message, 1, data_coding, payload, lambda segment, outcome: None, wants_receipt)


def submitted(translator=None, *, now_ms=NOW_MS, allows_tlvs=True, **fields):
    translator = translator or a_translator()
    return decode_submit_sm(
        translator.submit_body(a_segment(**fields), now_ms=now_ms, allows_tlvs=allows_tlvs)
    )


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        ("BancoMX", ("BancoMX", 5, 0)),
        ("+525512345678", ("525512345678", 1, 1)),
        ("22222", ("22222", 3, 0)),
    ],
)
def test_d1_d2_d3_senders_have_their_type(sender, expected):
    pdu = submitted(sender=sender)
    assert (pdu.source_addr, pdu.source_addr_ton, pdu.source_addr_npi) == expected
    assert (pdu.destination_addr, pdu.dest_addr_ton, pdu.dest_addr_npi) == ("525512345678", 1, 1)


def test_d3_the_profile_decides_the_type_of_short_codes():
    pdu = submitted(a_translator(short_code=AddressType(6, 1)), sender="22222")
    assert (pdu.source_addr_ton, pdu.source_addr_npi) == (6, 1)


def test_e1_e4_validity_is_what_remains_at_submit():
    assert submitted().validity_period == "000000000500000R"
    assert submitted(now_ms=NOW_MS + 240_000).validity_period == "000000000100000R"
    assert submitted(now_ms=NOW_MS + 299_900).validity_period == "000000000001000R"
    assert submitted(a_translator(sends_validity=False)).validity_period == ""


def test_e5_registered_delivery_is_asked_for_only_when_wanted():
    assert submitted().registered_delivery == 1
    assert submitted(a_translator(registered_delivery=0x11)).registered_delivery == 0x11
    assert submitted(wants_receipt=False).registered_delivery == 0


def test_e6_esm_class_bits_are_set_with_or():
    payload = SegmentPayload(c.ESM_UDHI, b"\x05\x00\x03\x01\x02\x01", b"\x05\x00\x03\x01\x02\x01hello")
    pdu = submitted(a_translator(esm_class=0x03), payload=payload)
    assert pdu.esm_class == 0x43
    assert pdu.short_message == payload.short_message


def test_e8_only_otp_gets_the_configured_priority():
    translator = a_translator(priority_flag_otp=2)
    assert submitted(translator).priority_flag == 0
    assert submitted(translator, message_class=MessageClass.OTP).priority_flag == 2


def test_what_is_remembered_of_one_segment_fits_no_other():
    translator = a_translator(priority_flag_otp=2, data_coding_map={8: 24})
    variants = [
        {},
        {"message_class": MessageClass.OTP},
        {"wants_receipt": False},
        {"data_coding": 8},
        {"payload": SegmentPayload(0x40, b"", b"hola")},
        {"valid_until": NOW_MS + 7_000},
        {"valid_until": NOW_MS - 1},
    ]
    bodies = [translator.submit_body(a_segment(**fields), now_ms=NOW_MS) for fields in variants]
    assert len(set(bodies)) == len(variants)
    for fields, body in zip(variants, bodies, strict=True):
        fresh = a_translator(priority_flag_otp=2, data_coding_map={8: 24})
        again = translator.submit_body(a_segment(**fields), now_ms=NOW_MS)
        assert body == again == fresh.submit_body(a_segment(**fields), now_ms=NOW_MS)


def test_the_data_coding_may_be_mapped():
    assert submitted(a_translator(data_coding_map={0: 0xF0})).data_coding == 0xF0
    assert submitted(a_translator(data_coding_map={0: 0xF0}), data_coding=8).data_coding == 8


def test_a3_septet_zero_is_no_end():
    payload = SegmentPayload(0, b"", encode_unpacked("a@b"))
    assert submitted(payload=payload).short_message == b"a\0b"


def test_b18_b19_tlvs_are_written_in_order():
    payload = SegmentPayload(
        0, b"", b"x", (("sar_msg_ref_num", 258), ("sar_total_segments", 2), ("sar_segment_seqnum", 1))
    )
    assert submitted(payload=payload).tlvs == (
        Tlv(c.TAG_SAR_MSG_REF_NUM, b"\x01\x02"),
        Tlv(c.TAG_SAR_TOTAL_SEGMENTS, b"\x02"),
        Tlv(c.TAG_SAR_SEGMENT_SEQNUM, b"\x01"),
    )
    payload = SegmentPayload(0, b"", b"", (("message_payload", b"y" * 300),))
    assert submitted(payload=payload).tlvs == (Tlv(c.TAG_MESSAGE_PAYLOAD, b"y" * 300),)


def test_e11_no_tlvs_for_an_old_interface_version():
    payload = SegmentPayload(0, b"", b"", (("message_payload", b"y"),))
    with pytest.raises(UntranslatableError, match="TLVs"):
        submitted(payload=payload, allows_tlvs=False)


def test_a13_the_default_alphabet_of_the_carrier_replaces_gsm_septets():
    text = encode_unpacked("Año [1] @")
    assert submitted(
        a_translator(default_alphabet="latin1"), payload=SegmentPayload(0, b"", text)
    ).short_message == ("Año [1] @".encode("latin-1"))
    udh = b"\x05\x00\x03\x01\x02\x01"
    pdu = submitted(a_translator(default_alphabet="latin1"), payload=SegmentPayload(0x40, udh, udh + text))
    assert pdu.short_message == udh + "Año [1] @".encode("latin-1")


def test_a13_what_the_default_alphabet_lacks_is_not_sent_as_a_question_mark():
    payload = SegmentPayload(0, b"", encode_unpacked("€"))
    with pytest.raises(UntranslatableError, match=r"U\+20AC"):
        submitted(a_translator(default_alphabet="latin1"), payload=payload)


def test_a13_b19_the_default_alphabet_holds_in_message_payload_too():
    text = encode_unpacked("Año @")
    payload = SegmentPayload(0, b"", b"", (("message_payload", text),))
    pdu = submitted(a_translator(default_alphabet="latin1"), payload=payload)
    assert pdu.short_message == b""
    assert pdu.tlvs == (Tlv(c.TAG_MESSAGE_PAYLOAD, "Año @".encode("latin-1")),)


def test_a13_b18_only_the_text_is_in_the_default_alphabet():
    tlvs = (("sar_msg_ref_num", 258), ("sar_total_segments", 2), ("sar_segment_seqnum", 1))
    payload = SegmentPayload(0, b"", encode_unpacked("[1]"), tlvs)
    pdu = submitted(a_translator(default_alphabet="ascii"), payload=payload)
    assert (pdu.short_message, pdu.tlvs[0]) == (b"[1]", Tlv(c.TAG_SAR_MSG_REF_NUM, b"\x01\x02"))


def test_d2_the_profile_decides_the_type_of_recipients():
    pdu = submitted(a_translator(recipient=AddressType(2, 8)))
    assert (pdu.dest_addr_ton, pdu.dest_addr_npi) == (2, 8)


@pytest.mark.parametrize(
    "fields",
    [
        {"sender": "much too long for a sender"},
        {"recipient": "not digits"},
        {"recipient": "1" * 21},
        {"payload": SegmentPayload(0, b"", b"x" * 255)},
    ],
)
def test_what_does_not_fit_the_wire_is_refused_before_it_is_written(fields):
    with pytest.raises(UntranslatableError):
        submitted(**fields)


def test_the_memory_of_senders_is_bounded():
    translator = a_translator()
    for number in range(MAX_REMEMBERED_SENDERS + 2):
        translator._remember_head(f"S{number}")
    assert len(translator._heads) <= MAX_REMEMBERED_SENDERS


# -- in --------------------------------------------------------------------------------------------

TEXT = b"id:00AB sub:001 dlvrd:001 submit date:2601151200 done date:0000000000 stat:UNDELIV err:21b text:su codigo"


def received(translator=None, **fields):
    pdu = DeliverSm(**{"source_addr": "525512345678", "destination_addr": "BancoMX", **fields})
    return (translator or a_translator()).inbound(pdu, bind="trx1", now_ms=NOW_MS)


def test_a_receipt_is_read_with_its_raw_values():
    receipt = received(esm_class=0x44 & ~0x40, short_message=TEXT)
    assert receipt == Receipt(
        carrier="telco",
        bind="trx1",
        carrier_message_id="00ab",
        message_state=MessageState.UNDELIVERABLE,
        received_at=NOW_MS,
        raw_stat="UNDELIV",
        err="21b",
        submit_date="2026-01-15T12:00:00",
        done_date=None,
        raw="id:00AB sub:001 dlvrd:001 submit date:2601151200 done date:0000000000 stat:UNDELIV err:21b",
    )


def test_f3_the_tlv_wins_and_the_text_id_is_kept_as_second():
    tlvs = (Tlv(c.TAG_RECEIPTED_MESSAGE_ID, b"7f\0"), Tlv(c.TAG_MESSAGE_STATE, b"\x02"))
    receipt = received(esm_class=4, short_message=TEXT, tlvs=tlvs)
    assert (receipt.carrier_message_id, receipt.second_id) == ("7f", "00ab")
    assert receipt.message_state is MessageState.DELIVERED


def test_f13_ids_are_normalised_on_both_sides():
    translator = a_translator(receipt_id_format="resp_hex_receipt_dec")
    receipt = received(translator, esm_class=4, short_message=b"id:0000000171 stat:DELIVRD")
    assert receipt.carrier_message_id == translator.submitted_id("00AB") == "171"


def test_f14_an_intermediate_receipt_says_so():
    receipt = received(esm_class=0x20, short_message=b"id:1 stat:DELIVRD")
    assert receipt.intermediate


def test_f12_network_errors_come_with_type_and_code():
    tlvs = (Tlv(c.TAG_NETWORK_ERROR_CODE, b"\x03\x00\x1b"),)
    receipt = received(esm_class=4, short_message=b"id:1 stat:UNDELIV", tlvs=tlvs)
    assert (receipt.network_error_type, receipt.network_error_code) == (3, 27)


def test_f18_an_unreadable_receipt_is_still_a_receipt():
    receipt = received(esm_class=4, short_message=b"\xff\x00garbage")
    assert (receipt.carrier_message_id, receipt.message_state) == ("", MessageState.UNKNOWN)


@pytest.mark.parametrize(
    ("esm_class", "body"),
    [
        (4, TEXT),
        (4, "id:1 stat:DELIVRD text:su codigo".encode("utf-16-be")),
        (4, b"id:1 stat:DELIVRD TEXT :su codigo"),
        (8, b"su codigo"),
    ],
)
def test_no_message_text_stays_in_the_raw_receipt(esm_class, body):
    assert "codigo" not in (received(esm_class=esm_class, short_message=body).raw or "").replace("\0", "")


def test_f1_receipt_looking_text_without_the_bits_is_an_mo():
    mo = received(short_message=TEXT, data_coding=0, service_type="CMT", tlvs=(Tlv(0x1400, b"\x01"),))
    assert isinstance(mo, MobileOriginated)
    assert (mo.short_message_hex, mo.service_type, mo.tlvs_hex) == (TEXT.hex(), "CMT", ((0x1400, "01"),))


def test_data_sm_brings_receipts_and_mo_too():
    translator = a_translator()
    body = (Tlv(c.TAG_MESSAGE_PAYLOAD, b"id:9 stat:DELIVRD"),)
    receipt = translator.inbound(DataSm(esm_class=4, tlvs=body), bind="rx1", now_ms=NOW_MS)
    assert receipt.carrier_message_id == "9"
    mo = translator.inbound(DataSm(source_addr="525512345678", tlvs=body), bind="rx1", now_ms=NOW_MS)
    assert mo.tlvs_hex == ((c.TAG_MESSAGE_PAYLOAD, b"id:9 stat:DELIVRD".hex()),)


@pytest.mark.parametrize(
    ("zone", "date", "expected"),
    [
        (None, b"2601151200", "2026-01-15T12:00:00"),
        ("America/Mexico_City", b"2601151830", "2026-01-16T00:30:00Z"),
        ("America/Santiago", b"2601151200", "2026-01-15T15:00:00Z"),
        ("America/Santiago", b"2607151200", "2026-07-15T16:00:00Z"),
        ("America/Bogota", b"20260115120059", "2026-01-15T17:00:59Z"),
        ("America/Bogota", b"0000000000", None),
        ("America/Bogota", b"99991231235959", "9999-12-31T23:59:59"),
    ],
)
def test_f8_dates_are_instants_where_the_carriers_zone_is_known(zone, date, expected):
    translator = a_translator(receipt_time_zone=None if zone is None else ZoneInfo(zone))
    receipt = received(translator, esm_class=4, short_message=b"id:1 done date:" + date + b" stat:DELIVRD")
    assert receipt.done_date == expected
    assert receipt.received_at == NOW_MS


@pytest.mark.parametrize(
    ("data_coding", "alphabet"),
    [
        (0, "gsm7"),
        (1, "ascii"),
        (2, "binary"),
        (3, "latin1"),
        (4, "binary"),
        (8, "ucs2"),
        (9, "binary"),
        (0x10, "gsm7"),
        (0x14, "binary"),
        (0x18, "ucs2"),
        (0x20, "binary"),
        (0x80, "binary"),
        (0xC8, "gsm7"),
        (0xE0, "ucs2"),
        (0xF0, "gsm7"),
        (0xF4, "binary"),
        (0xF5, "binary"),
    ],
)
def test_e7_data_coding_names_an_alphabet(data_coding, alphabet):
    assert alphabet_of(data_coding) == alphabet


@pytest.mark.parametrize(
    ("default", "shown"), [("gsm7", "a¡\u20ac\ufffd"), ("latin1", "a@\x1beñ"), ("ascii", "a@\x1be\ufffd")]
)
def test_a13_an_mo_is_read_in_the_default_alphabet_of_its_carrier(default, shown):
    mo = received(a_translator(default_alphabet=default), short_message=b"a@\x1be\xf1", data_coding=0)
    assert mo.alphabet == default
    assert decode_text(bytes.fromhex(mo.short_message_hex), mo.alphabet) == shown


def test_a12_data_coding_1_is_ascii_whatever_the_default():
    mo = received(a_translator(default_alphabet="latin1"), short_message=b"\x40 \x24", data_coding=1)
    assert decode_text(bytes.fromhex(mo.short_message_hex), mo.alphabet) == "@ $"


def test_a13_what_the_carrier_wants_for_an_alphabet_is_read_as_that_alphabet():
    translator = a_translator(default_alphabet="latin1", data_coding_map={0: 0xF1, 8: 0x18, 3: 0xF1})
    assert received(translator, data_coding=0xF1).alphabet is TextAlphabet.LATIN1
    assert received(translator, data_coding=0x18).alphabet is TextAlphabet.UCS2
    assert received(translator, data_coding=0).alphabet is TextAlphabet.LATIN1


@pytest.mark.parametrize("alphabet", TextAlphabet)
def test_i9_any_octets_can_be_read(alphabet):
    text = decode_text(bytes(range(256)) + b"\xd8\x00\x41", alphabet)
    assert text is None if alphabet is TextAlphabet.BINARY else text
