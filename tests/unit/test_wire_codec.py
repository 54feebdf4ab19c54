"""PDUs against vectors made by hand from SMPP 3.4, and the malformed bodies of section I."""

import gc
import time

import pytest

from adapters.smpp.wire import codec
from adapters.smpp.wire import constants as c
from adapters.smpp.wire import pdus as p
from adapters.smpp.wire.codec import PduError
from adapters.smpp.wire.framer import Frame, Framer

# name: (header without command_length, body, PDU)
VECTORS = {
    "bind_transmitter": (
        "00000002 00000000 00000001",
        "534D50503354455354 00 73656372657430 38 00 535542 4D495431 00 34 01 01 00",
        p.BindTransmitter("SMPP3TEST", "secret08", "SUBMIT1", 0x34, 1, 1, ""),
    ),
    "bind_receiver": (
        "00000001 00000000 00000002",
        "6D63 00 70 00 00 33 00 00 5E3532 00",
        p.BindReceiver("mc", "p", "", 0x33, 0, 0, "^52"),
    ),
    "bind_transceiver": (
        "00000009 00000000 00000003",
        "6D63 00 70 00 00 34 00 00 00",
        p.BindTransceiver("mc", "p"),
    ),
    "bind_transmitter_resp": ("80000002 00000000 00000001", "6D63 00", p.BindTransmitterResp("mc")),
    "bind_receiver_resp": ("80000001 00000000 00000002", "6D63 00", p.BindReceiverResp("mc")),
    "bind_transceiver_resp": (
        "80000009 00000000 00000003",
        "6D63 00 0210 0001 34",
        p.BindTransceiverResp("mc", (p.Tlv(0x0210, b"\x34"),)),
    ),
    "outbind": ("0000000B 00000000 00000001", "6D63 00 70 00", p.Outbind("mc", "p")),
    "unbind": ("00000006 00000000 00000009", "", p.Unbind()),
    "unbind_resp": ("80000006 00000000 00000009", "", p.UnbindResp()),
    "enquire_link": ("00000015 00000000 00000009", "", p.EnquireLink()),
    "enquire_link_resp": ("80000015 00000000 00000009", "", p.EnquireLinkResp()),
    "generic_nack": ("80000000 00000003 00000009", "", p.GenericNack()),
    "submit_sm": (
        "00000004 00000000 00000005",
        (
            "434D54 00 05 00 42616E636F4D58 00 01 01 353235353132333435363738 00 40 00 01"
            " 323630313135313833303030303234 2D 00 303030303030303030353030303030 52 00 01 00 08 00"
            " 08 050003A70201 00F3 0424 0003 616263 1400 0000"
        ),
        p.SubmitSm(
            "CMT",
            5,
            0,
            "BancoMX",
            1,
            1,
            "525512345678",
            0x40,
            0,
            1,
            "260115183000024-",
            "000000000500000R",
            1,
            0,
            8,
            0,
            bytes.fromhex("050003A7020100F3"),
            (p.Tlv(0x0424, b"abc"), p.Tlv(0x1400, b"")),
        ),
    ),
    "submit_sm_resp": ("80000004 00000000 00000005", "3746334100", p.SubmitSmResp("7F3A")),
    "deliver_sm": (
        "00000005 00000000 00000006",
        (
            "00 01 01 353235353132333435363738 00 00 00 3132333435 00 04 00 00 00 00 00 00 00 00 05 69643A3746"
            " 001E 0003 374600 0427 0001 02"
        ),
        p.DeliverSm(
            source_addr_ton=1,
            source_addr_npi=1,
            source_addr="525512345678",
            destination_addr="12345",
            esm_class=4,
            short_message=b"id:7F",
            tlvs=(p.Tlv(0x1E, b"7F\0"), p.Tlv(0x427, b"\x02")),
        ),
    ),
    "deliver_sm_resp": ("80000005 00000000 00000006", "00", p.DeliverSmResp()),
    "data_sm": (
        "00000103 00000000 00000007",
        "00 01 01 3132 00 01 01 3334 00 00 01 08 0424 0002 00F3",
        p.DataSm("", 1, 1, "12", 1, 1, "34", 0, 1, 8, (p.Tlv(0x0424, b"\0\xf3"),)),
    ),
    "data_sm_resp": ("80000103 00000000 00000007", "374600", p.DataSmResp("7F")),
    "query_sm": ("00000003 00000000 00000008", "3746 00 00 00 3132 00", p.QuerySm("7F", 0, 0, "12")),
    "query_sm_resp": ("80000003 00000000 00000008", "3746 00 00 02 00", p.QuerySmResp("7F", "", 2, 0)),
    "cancel_sm": (
        "00000008 00000000 00000009",
        "00 3746 00 01 02 3132 00 03 04 3334 00",
        p.CancelSm("", "7F", 1, 2, "12", 3, 4, "34"),
    ),
    "cancel_sm_resp": ("80000008 00000000 00000009", "", p.CancelSmResp()),
    "replace_sm": (
        "00000007 00000000 0000000A",
        "3746 00 01 01 3132 00 00 00 01 00 02 6869",
        p.ReplaceSm("7F", 1, 1, "12", "", "", 1, 0, b"hi"),
    ),
    "replace_sm_resp": ("80000007 00000000 0000000A", "", p.ReplaceSmResp()),
    "submit_multi": (
        "00000021 00000000 0000000B",
        "00 01 01 3132 00 02 01 01 01 3334 00 02 6C697374 00 00 00 00 00 00 01 00 00 00 02 6869",
        p.SubmitMulti(
            "",
            1,
            1,
            "12",
            (p.SmeAddress(1, 1, "34"), p.DistributionList("list")),
            registered_delivery=1,
            short_message=b"hi",
        ),
    ),
    "submit_multi_resp": (
        "80000021 00000000 0000000B",
        "3746 00 01 01 01 3334 00 0000000B",
        p.SubmitMultiResp("7F", (p.UnsuccessSme(1, 1, "34", 0x0B),)),
    ),
    "alert_notification": (
        "00000102 00000000 0000000C",
        "01 01 3132 00 00 00 3334 00 0422 0001 00",
        p.AlertNotification(1, 1, "12", 0, 0, "34", (p.Tlv(0x0422, b"\0"),)),
    ),
}


def whole(head: str, body: str) -> bytes:
    rest = bytes.fromhex(head + body)
    return (4 + len(rest)).to_bytes(4, "big") + rest


def only_frame(octets: bytes) -> Frame:
    (frame,) = Framer().feed(octets)
    return frame


def body_of(octets: bytes) -> bytes:
    return octets[16:]


SUBMIT = p.SubmitSm(
    source_addr="12345",
    destination_addr="525512345678",
    validity_period="000000000500000R",
    short_message=b"hola",
)
SUBMIT_BODY = body_of(codec.encode(SUBMIT, sequence_number=1))
RECEIPT = p.DeliverSm(
    source_addr="525512345678", destination_addr="12345", esm_class=4, short_message=b"id:1"
)
RECEIPT_BODY = body_of(codec.encode(RECEIPT, sequence_number=1))


def test_every_pdu_kind_has_a_vector():
    assert {c.command_name(command_id) for command_id in p.PDU_TYPES} == set(VECTORS)


@pytest.mark.parametrize("name", VECTORS)
def test_vector_decodes_and_encodes_back(name):
    head, body, pdu = VECTORS[name]
    octets = whole(head, body)
    frame = only_frame(octets)
    assert c.command_name(frame.command_id) == name
    assert codec.decode(frame) == pdu
    again = codec.encode(pdu, sequence_number=frame.sequence_number, command_status=frame.command_status)
    assert again == octets


def test_passwords_do_not_show_in_repr():
    assert "secret" not in repr(p.BindTransmitter("mc", "secret"))
    assert "secret" not in repr(p.Outbind("mc", "secret"))


def test_e10_unknown_vendor_zero_length_and_duplicate_tlvs_are_kept_in_order():
    tlvs = (p.Tlv(0x1400, b""), p.Tlv(0x3FFF, b"x"), p.Tlv(0x1400, b"y"), p.Tlv(0x1400, b""))
    octets = codec.encode(p.SubmitSm(tlvs=tlvs), sequence_number=1)
    assert codec.decode_submit_sm(body_of(octets)).tlvs == tlvs


def test_any_octet_of_a_c_string_round_trips():
    addr = "\x01\x7f\x80\xff"
    pdu = p.SubmitSm(source_addr=addr)
    assert codec.decode_submit_sm(body_of(codec.encode(pdu, sequence_number=1))).source_addr == addr


# --- responses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "head",
    ["80000004 00000058", "80000002 0000000E", "80000005 00000064", "80000003 00000067", "80000021 00000045"],
)
def test_a_response_without_body_decodes_and_encodes_back(head):
    octets = whole(head + "00000005", "")
    frame = only_frame(octets)
    pdu = codec.decode(frame)
    assert pdu.has_body is False
    assert codec.encode(pdu, sequence_number=5, command_status=frame.command_status) == octets


def test_an_error_response_with_body_encodes_back_with_it():
    octets = whole("80000004 00000058 00000005", "00")
    pdu = codec.decode(only_frame(octets))
    assert pdu == p.SubmitSmResp("")
    assert codec.encode(pdu, sequence_number=5, command_status=0x58) == octets


def test_an_error_submit_sm_resp_of_ours_has_no_body():
    assert codec.encode(p.SubmitSmResp(), sequence_number=5, command_status=0x58) == bytes.fromhex(
        "00000010 80000004 00000058 00000005"
    )
    assert codec.encode_submit_sm_resp(5, 0x58, "") == bytes.fromhex("00000010 80000004 00000058 00000005")


def test_a_submit_sm_resp_of_ours_carries_the_message_id():
    octets = codec.encode_submit_sm_resp(5, 0, "7F3A")
    assert octets == bytes.fromhex("00000015 80000004 00000000 00000005 3746334100")
    assert codec.decode_submit_sm_resp_id(body_of(octets)) == "7F3A"


def test_f19_deliver_sm_resp_is_seventeen_octets_for_every_status():
    assert codec.encode_deliver_sm_resp(6, 0) == bytes.fromhex("00000011 80000005 00000000 00000006 00")
    assert codec.encode_deliver_sm_resp(6, 0x64) == bytes.fromhex("00000011 80000005 00000064 00000006 00")
    assert codec.encode(p.DeliverSmResp(), sequence_number=6, command_status=0x64) == bytes.fromhex(
        "00000011 80000005 00000064 00000006 00"
    )


def test_header_only_pdus_are_sixteen_octets():
    assert codec.encode_header_only(c.GENERIC_NACK, sequence_number=9, command_status=2) == bytes.fromhex(
        "00000010 80000000 00000002 00000009"
    )


def test_submit_sm_resp_id_of_an_empty_body_is_empty():
    assert codec.decode_submit_sm_resp_id(b"") == ""


def test_submit_sm_resp_id_survives_bad_tlvs_after_it():
    assert codec.decode_submit_sm_resp_id(b"7F\0\x00\x1e\xff") == "7F"


def test_a_message_id_of_65_octets_is_accepted_and_66_are_not():
    assert codec.decode_submit_sm_resp_id(b"7" * 65 + b"\0") == "7" * 65
    with pytest.raises(PduError) as caught:
        codec.decode_submit_sm_resp_id(b"7" * 66 + b"\0")
    assert caught.value.command_status == c.ESME_RINVMSGID
    with pytest.raises(PduError) as caught:
        codec.decode_submit_sm_resp_id(b"7F")
    assert caught.value.command_status == c.ESME_RINVCMDLEN


# --- malformed bodies ----------------------------------------------------------------------------


def status_of(frame: Frame) -> int:
    with pytest.raises(PduError) as caught:
        codec.decode(frame)
    assert caught.value.detail
    return caught.value.command_status


@pytest.mark.parametrize("command_id", [0, 0xFF, 0x0000010F, 0x80000015 + 1])
def test_i3_an_unknown_command_id_is_0x03(command_id):
    assert status_of(Frame(command_id, 0, 1, b"anything")) == c.ESME_RINVCMDID


@pytest.mark.parametrize("size", range(len(SUBMIT_BODY)))
def test_i5_every_cut_of_a_submit_sm_is_an_error(size):
    assert status_of(Frame(c.SUBMIT_SM, 0, 1, SUBMIT_BODY[:size])) in {c.ESME_RINVCMDLEN, c.ESME_RINVMSGLEN}


def test_i4_a_body_without_any_nul_is_0x02():
    assert status_of(Frame(c.SUBMIT_SM, 0, 1, b"A" * 60_000)) == c.ESME_RINVCMDLEN


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"SIXSIX\0" + SUBMIT_BODY[1:], c.ESME_RINVSERTYP),
        (b"\0\1\1" + b"1" * 21 + b"\0" + SUBMIT_BODY[9:], c.ESME_RINVSRCADR),
        (b"\0\1\1\0\1\1" + b"1" * 21 + b"\0" + b"\0" * 12, c.ESME_RINVDSTADR),
        (b"\0\1\1\0\1\1\0\0\0\0" + b"1" * 17 + b"\0" + b"\0" * 12, c.ESME_RINVSCHED),
        (b"\0\1\1\0\1\1\0\0\0\0\0" + b"1" * 17 + b"\0" + b"\0" * 12, c.ESME_RINVEXPIRY),
    ],
)
def test_i4_an_over_long_c_string_is_the_status_of_its_field(body, status):
    assert status_of(Frame(c.SUBMIT_SM, 0, 1, body)) == status
    assert status_of(Frame(c.DELIVER_SM, 0, 1, body)) == status


def test_i5_sm_length_beyond_the_pdu_is_0x01():
    lied = SUBMIT_BODY[:-5] + b"\x05hola"
    assert status_of(Frame(c.SUBMIT_SM, 0, 1, lied)) == c.ESME_RINVMSGLEN


def test_b21_sm_length_255_is_0x01():
    long = SUBMIT_BODY[:-5] + b"\xff" + b"x" * 255
    assert status_of(Frame(c.SUBMIT_SM, 0, 1, long)) == c.ESME_RINVMSGLEN
    assert len(codec.decode_submit_sm(SUBMIT_BODY[:-5] + b"\xfe" + b"x" * 254).short_message) == 254


@pytest.mark.parametrize(
    ("tail", "status"),
    [
        ("04", c.ESME_RINVOPTPARSTREAM),
        ("042400", c.ESME_RINVOPTPARSTREAM),
        ("04240001", c.ESME_RINVPARLEN),
        ("0424ffff00", c.ESME_RINVPARLEN),
        ("14000000 0427", c.ESME_RINVOPTPARSTREAM),
    ],
)
def test_i5_a_truncated_or_overrunning_tlv_is_0xc0_or_0xc2(tail, status):
    body = SUBMIT_BODY + bytes.fromhex(tail)
    assert status_of(Frame(c.SUBMIT_SM, 0, 1, body)) == status
    mo_body = b"\0" * 17 + bytes.fromhex(tail)
    assert status_of(Frame(c.DELIVER_SM, 0, 1, mo_body)) == status
    assert status_of(Frame(c.ENQUIRE_LINK, 0, 1, bytes.fromhex(tail))) == status


@pytest.mark.parametrize("esm_class", [0x04, 0x08, 0x20, 0x24, 0x44, 0x84])
def test_i5_a_receipt_whose_only_fault_is_a_bad_tlv_is_still_used(esm_class):
    good = p.DeliverSm(esm_class=esm_class, short_message=b"id:1", tlvs=(p.Tlv(0x427, b"\x02"),))
    body = body_of(codec.encode(good, sequence_number=1)) + bytes.fromhex("001E00ff3700")
    pdu = codec.decode(Frame(c.DELIVER_SM, 0, 1, body))
    assert pdu.tlv_error
    assert (pdu.short_message, pdu.tlvs) == (good.short_message, good.tlvs)


def test_a_good_receipt_has_no_tlv_error():
    assert codec.decode_deliver_sm(RECEIPT_BODY) == RECEIPT
    assert not codec.decode_deliver_sm(RECEIPT_BODY).tlv_error


def test_submit_multi_with_a_bad_dest_flag_or_a_lying_count():
    assert status_of(Frame(c.SUBMIT_MULTI, 0, 1, b"\0\0\0\0\x01\x03")) == c.ESME_RINVDESTFLAG
    assert status_of(Frame(c.SUBMIT_MULTI, 0, 1, b"\0\0\0\0\xff\x01")) == c.ESME_RINVCMDLEN


def test_i10_five_thousand_tlvs_take_linear_time():
    def seconds(count: int) -> float:
        body = SUBMIT_BODY + b"\x14\x00\x00\x00" * count
        best = 1.0
        gc.disable()  # what it walks through is not of this test
        try:
            for _ in range(20):
                start = time.thread_time()
                assert len(codec.decode_submit_sm(body).tlvs) == count
                best = min(best, time.thread_time() - start)
        finally:
            gc.enable()
        return best

    # Quadratic work would be a hundred times as much; thirty leaves room for a busy machine.
    assert seconds(5_000) < 30 * seconds(500)


# --- values of our own that do not fit -------------------------------------------------------------


@pytest.mark.parametrize(
    ("pdu", "named"),
    [
        (p.SubmitSm(source_addr="1" * 21), "source_addr has 22 octets"),
        (p.SubmitSm(destination_addr="1\x002"), "destination_addr holds a NUL"),
        (p.SubmitSm(source_addr_ton=256), "source_addr_ton 256"),
        (p.SubmitSm(esm_class=-1), "esm_class -1"),
        (p.SubmitSm(data_coding=70_000), "data_coding 70000"),
        (p.SubmitSm(source_addr="\u20ac"), "latin-1"),
        (p.SubmitSm(short_message=b"x" * 255), "short_message has 255 octets"),
        (p.SubmitSm(validity_period="0" * 17), "validity_period has 18 octets"),
        (p.SubmitSm(tlvs=(p.Tlv(-1, b""),)), "TLV tag -1"),
        (p.SubmitSm(tlvs=(p.Tlv(0x424, b"x" * 65_536),)), "TLV 0x0424 has 65536 octets"),
        (p.DeliverSm(registered_delivery=256), "registered_delivery 256"),
        (p.BindTransmitter(password="123456789"), "password has 10 octets"),
    ],
)
def test_a_value_that_does_not_fit_names_its_field(pdu, named):
    with pytest.raises(ValueError, match=named):
        codec.encode(pdu, sequence_number=1)


@pytest.mark.parametrize("sequence_number", [-1, 1 << 32])
def test_a_sequence_number_beyond_32_bits_is_refused(sequence_number):
    for encode in (
        lambda: codec.encode(p.SubmitSm(), sequence_number=sequence_number),
        lambda: codec.encode(p.Unbind(), sequence_number=sequence_number),
        lambda: codec.encode_deliver_sm_resp(sequence_number, 0),
        lambda: codec.encode_submit_sm_resp(sequence_number, 0, "1"),
    ):
        with pytest.raises(ValueError, match="32 bits"):
            encode()


@pytest.mark.parametrize("message_id", ["1" * 66, "1\x002"])
def test_a_message_id_that_does_not_fit_is_refused(message_id):
    with pytest.raises(ValueError, match="message_id"):
        codec.encode_submit_sm_resp(1, 0, message_id)


def test_a_request_with_a_command_status_still_encodes_its_body():
    octets = codec.encode(SUBMIT, sequence_number=1, command_status=8)
    assert octets[8:12] == b"\0\0\0\x08"
    assert body_of(octets) == SUBMIT_BODY
