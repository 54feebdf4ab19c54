"""Optional parameters: values by the type of their tag, names and statuses."""

import pytest

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.tlv import Tlv, decode_tlvs, encode_tlvs, find_tlv, tlv_of, tlv_value


@pytest.mark.parametrize(
    ("tag", "value", "octets"),
    [
        (c.TAG_MESSAGE_STATE, 2, "02"),
        (c.TAG_SAR_MSG_REF_NUM, 0x1234, "1234"),
        (c.TAG_QOS_TIME_TO_LIVE, 300, "0000012c"),
        (c.TAG_RECEIPTED_MESSAGE_ID, "7F", "374600"),
        (c.TAG_MESSAGE_PAYLOAD, b"\0\xf3", "00f3"),
        (c.TAG_MESSAGE_PAYLOAD, "ab", "6162"),
        (0x1400, 7, "07"),
    ],
)
def test_tlv_of_writes_the_type_of_the_tag(tag, value, octets):
    assert tlv_of(tag, value) == Tlv(tag, bytes.fromhex(octets))


@pytest.mark.parametrize(
    ("tag", "value"),
    [(c.TAG_MESSAGE_STATE, 256), (c.TAG_SAR_MSG_REF_NUM, -1), (c.TAG_RECEIPTED_MESSAGE_ID, "a\0b")],
)
def test_tlv_of_refuses_what_does_not_fit(tag, value):
    with pytest.raises(ValueError, match=f"TLV 0x{tag:04X}"):
        tlv_of(tag, value)


@pytest.mark.parametrize(
    ("tag", "octets", "value"),
    [
        (c.TAG_MESSAGE_STATE, "02", 2),
        (c.TAG_MESSAGE_STATE, "0002", None),
        (c.TAG_SAR_MSG_REF_NUM, "0102", 258),
        (c.TAG_RECEIPTED_MESSAGE_ID, "374600", "7F"),
        (c.TAG_RECEIPTED_MESSAGE_ID, "3746", "7F"),
        (c.TAG_NETWORK_ERROR_CODE, "03001b", "03001b"),
        (0x1400, "ff", None),
    ],
)
def test_tlv_value_reads_the_type_of_the_tag(tag, octets, value):
    assert tlv_value(Tlv(tag, bytes.fromhex(octets))) == value


def test_find_tlv_returns_the_first_of_duplicates():
    tlvs = (Tlv(5, b"a"), Tlv(6, b"b"), Tlv(6, b"c"))
    assert find_tlv(tlvs, 6) == b"b"
    assert find_tlv(tlvs, 7) is None


def test_encode_then_decode_keeps_order_and_duplicates():
    tlvs = (Tlv(6, b"b"), Tlv(5, b""), Tlv(6, b"b"))
    assert decode_tlvs(encode_tlvs(tlvs)) == tlvs


def test_names_of_commands_statuses_and_tlvs():
    assert c.command_name(c.SUBMIT_SM) == "submit_sm"
    assert c.command_name(c.DATA_SM_RESP) == "data_sm_resp"
    assert c.command_name(0x99) == "0x00000099"
    assert c.status_name(c.ESME_RTHROTTLED) == "ESME_RTHROTTLED"
    assert c.status_name(0x102) == "ESME_RSERTYPUNAVAIL"
    assert c.status_name(0x4AB) == "0x000004AB"
    assert c.TLV_NAMES[0x001E] == "receipted_message_id"
    assert all(c.TLV_TAGS[name] == tag for tag, name in c.TLV_NAMES.items())
