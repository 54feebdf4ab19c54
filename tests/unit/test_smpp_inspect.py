"""`caudal inspect pdu|receipt|match|status`: the exact JSON objects."""

import json

import pytest

from adapters.smpp.inspect import InspectError, inspect_match, inspect_pdu, inspect_receipt, inspect_status
from adapters.smpp.wire import pdus as p
from adapters.smpp.wire.codec import encode

RECEIPT_TEXT = (
    b"id:7F3A sub:001 dlvrd:001 submit date:2601151830 done date:2601151831 stat:DELIVRD err:000 text:hola"
)


def refused(function, obj) -> str:
    with pytest.raises(InspectError) as caught:
        function(obj)
    assert caught.value.detail
    return caught.value.code


# --- pdu ---------------------------------------------------------------------------------------------


def test_pdu_shows_header_fields_and_tlvs():
    pdu = p.SubmitSm(
        source_addr="12345",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr="525512345678",
        short_message=b"hola",
        tlvs=(
            p.Tlv(0x001E, b"7F\0"),
            p.Tlv(0x0427, b"\x02"),
            p.Tlv(0x0423, b"\x03\0\x1b"),
            p.Tlv(0x1400, b""),
        ),
    )
    octets = encode(pdu, sequence_number=5)
    answer = inspect_pdu({"hex": octets.hex().upper() + "0000"})
    assert json.loads(json.dumps(answer)) == {
        "pdus": [
            {
                "command_length": len(octets),
                "command_id": 4,
                "command": "submit_sm",
                "command_status": 0,
                "sequence_number": 5,
                "fields": {
                    "service_type": "",
                    "source_addr_ton": 0,
                    "source_addr_npi": 0,
                    "source_addr": "12345",
                    "dest_addr_ton": 1,
                    "dest_addr_npi": 1,
                    "destination_addr": "525512345678",
                    "esm_class": 0,
                    "protocol_id": 0,
                    "priority_flag": 0,
                    "schedule_delivery_time": "",
                    "validity_period": "",
                    "registered_delivery": 0,
                    "replace_if_present_flag": 0,
                    "data_coding": 0,
                    "sm_default_msg_id": 0,
                    "sm_length": 4,
                    "short_message_hex": "686f6c61",
                },
                "tlvs": [
                    {"tag": 0x1E, "name": "receipted_message_id", "hex": "374600", "value": "7F"},
                    {"tag": 0x427, "name": "message_state", "hex": "02", "value": 2},
                    {"tag": 0x423, "name": "network_error_code", "hex": "03001b", "value": "03001b"},
                    {"tag": 0x1400, "name": None, "hex": "", "value": None},
                ],
                "reencoded_hex": octets.hex(),
            }
        ],
        "rest_hex": "0000",
    }


def test_pdu_reads_several_and_keeps_the_order():
    octets = encode(p.EnquireLink(), sequence_number=1) + encode(p.SubmitSmResp("7F"), sequence_number=2)
    answer = inspect_pdu({"hex": octets.hex()})
    assert [entry["command"] for entry in answer["pdus"]] == ["enquire_link", "submit_sm_resp"]
    assert answer["pdus"][1]["fields"] == {"message_id": "7F"}
    assert answer["rest_hex"] == ""


def test_pdu_shows_destinations_of_submit_multi_and_its_failures():
    multi = p.SubmitMulti(dest_address=(p.SmeAddress(1, 1, "525512345678"), p.DistributionList("list")))
    fields = inspect_pdu({"hex": encode(multi, sequence_number=1).hex()})["pdus"][0]["fields"]
    assert fields["number_of_dests"] == 2
    assert fields["dest_address"] == [
        {"dest_flag": 1, "dest_addr_ton": 1, "dest_addr_npi": 1, "destination_addr": "525512345678"},
        {"dest_flag": 2, "dl_name": "list"},
    ]
    resp = p.SubmitMultiResp("7F", (p.UnsuccessSme(1, 1, "525512345678", 11),))
    fields = inspect_pdu({"hex": encode(resp, sequence_number=1).hex()})["pdus"][0]["fields"]
    assert fields["no_unsuccess"] == 1
    assert fields["unsuccess_sme"][0]["error_status_code"] == 11


def test_pdu_with_a_bad_body_keeps_its_header_and_its_neighbours():
    bad = bytes.fromhex("00000012 00000004 00000000 00000007 0000")
    unknown = bytes.fromhex("00000010 000000FF 00000000 00000008")
    good = encode(p.Unbind(), sequence_number=9)
    answer = inspect_pdu({"hex": (bad + unknown + good).hex()})
    first, second, third = answer["pdus"]
    assert first == {
        "command_length": 18,
        "command_id": 4,
        "command": "submit_sm",
        "command_status": 0,
        "sequence_number": 7,
        "fields": {},
        "tlvs": [],
        "reencoded_hex": None,
        "error": {"code": "ESME_RINVCMDLEN", "detail": first["error"]["detail"]},
    }
    assert "error" not in answer
    assert (second["command"], second["error"]["code"]) == ("0x000000FF", "ESME_RINVCMDID")
    assert third["command"] == "unbind"


def test_an_input_of_which_no_pdu_could_be_read_is_an_error_and_still_shows_its_headers():
    unknown = bytes.fromhex("00000010 000000FF 00000000 00000008")
    answer = inspect_pdu({"hex": unknown.hex()})
    assert answer["error"]["code"] == "ESME_RINVCMDID"
    assert answer["pdus"][0]["sequence_number"] == 8


def test_i2_pdus_before_a_command_length_that_lies_are_not_lost():
    good = encode(p.Unbind(), sequence_number=9)
    answer = inspect_pdu({"hex": (good + bytes.fromhex("ffffffff0000")).hex()})
    assert [entry["command"] for entry in answer["pdus"]] == ["unbind"]
    assert answer["rest_hex"] == "ffffffff0000"
    assert answer["error"]["code"] == "framing_lost"


def test_i5_a_receipt_with_a_bad_tlv_is_shown_with_its_error():
    octets = encode(p.DeliverSm(esm_class=4, short_message=b"id:1"), sequence_number=1) + bytes.fromhex(
        "001e00ff37"
    )
    octets = len(octets).to_bytes(4, "big") + octets[4:]
    (entry,) = inspect_pdu({"hex": octets.hex()})["pdus"]
    assert entry["fields"]["short_message_hex"] == b"id:1".hex()
    assert entry["error"]["code"] == "ESME_RINVPARLEN"


def test_an_error_response_without_body_round_trips():
    octets = bytes.fromhex("00000010 80000004 00000058 00000005")
    (entry,) = inspect_pdu({"hex": octets.hex()})["pdus"]
    assert entry["reencoded_hex"] == octets.hex()
    assert entry["tlvs"] == []


def test_pdu_input_is_checked():
    assert refused(inspect_pdu, {"hex": "474554202f"}) == "framing_lost"
    assert refused(inspect_pdu, {"hex": "xyz"}) == "bad_hex"
    assert refused(inspect_pdu, {"hex": 5}) == "bad_value"
    assert refused(inspect_pdu, {}) == "missing_key"
    assert refused(inspect_pdu, {"hex": "", "colour": 1}) == "unknown_key"
    assert inspect_pdu({"hex": ""}) == {"pdus": [], "rest_hex": ""}


# --- receipt -----------------------------------------------------------------------------------------


def test_receipt_shows_text_and_tlvs():
    answer = inspect_receipt(
        {
            "esm_class": 4,
            "data_coding": 0,
            "short_message_hex": RECEIPT_TEXT.hex(),
            "tlvs": {"receipted_message_id": "32570", "message_state": 5, "network_error_code_hex": "03001b"},
        }
    )
    assert json.loads(json.dumps(answer)) == {
        "is_receipt": True,
        "receipt_type": "final",
        "message_id": "32570",
        "message_id_text": "7F3A",
        "message_id_tlv": "32570",
        "state": "UNDELIVERABLE",
        "stat_raw": "DELIVRD",
        "final": True,
        "sub": 1,
        "dlvrd": 1,
        "submit_date": "2026-01-15T18:30:00",
        "done_date": "2026-01-15T18:31:00",
        "err": "000",
        "text": "hola",
        "network_error": {"type": 3, "code": 27},
    }


def test_a_message_that_is_no_receipt_has_nulls():
    answer = inspect_receipt({"esm_class": 0, "short_message_hex": RECEIPT_TEXT.hex()})
    assert answer.pop("is_receipt") is False
    assert answer.pop("final") is False
    assert set(answer.values()) == {None}


def test_receipt_in_message_payload():
    assert inspect_receipt({"message_payload_hex": RECEIPT_TEXT.hex()})["message_id"] == "7F3A"
    named = inspect_receipt({"tlvs": {"message_payload": RECEIPT_TEXT.decode()}})
    assert named["message_id"] == "7F3A"


def test_receipt_input_is_checked():
    assert refused(inspect_receipt, {"esm_class": 256}) == "bad_value"
    assert refused(inspect_receipt, {"esm_class": True}) == "bad_value"
    assert refused(inspect_receipt, {"data_coding": "0"}) == "bad_value"
    assert refused(inspect_receipt, {"short_message_hex": "6"}) == "bad_hex"
    assert refused(inspect_receipt, {"message_payload_hex": 1}) == "bad_value"
    assert refused(inspect_receipt, {"tlvs": []}) == "bad_value"
    assert refused(inspect_receipt, {"tlvs": {"colour": 1}}) == "unknown_key"
    assert refused(inspect_receipt, {"tlvs": {"message_state": 256}}) == "bad_value"
    assert refused(inspect_receipt, {"tlvs": {"message_state": "DELIVERED"}}) == "bad_value"
    assert refused(inspect_receipt, {"tlvs": {"message_state_hex": "zz"}}) == "bad_hex"
    assert refused(inspect_receipt, {"tlvs": {"receipted_message_id": 7}}) == "bad_value"
    assert refused(inspect_receipt, {"tlvs": {"receipted_message_id": "\u20ac"}}) == "bad_value"
    assert refused(inspect_receipt, {"hex": ""}) == "unknown_key"


# --- match and status --------------------------------------------------------------------------------


def test_match_answers_by_format():
    ids = {"submit_resp_id": "7F3A", "receipt_id": "0032570"}
    assert inspect_match({**ids, "id_format": "resp_hex_receipt_dec"}) == {"match": True}
    assert inspect_match(ids) == {"match": False}


def test_match_input_is_checked():
    assert refused(inspect_match, {"submit_resp_id": "1"}) == "missing_key"
    assert refused(inspect_match, {"submit_resp_id": 1, "receipt_id": "1"}) == "bad_value"
    assert (
        refused(inspect_match, {"submit_resp_id": "1", "receipt_id": "1", "id_format": "octal"})
        == "bad_value"
    )


def test_status_answers_the_verdict():
    assert inspect_status({"code": 0x58}) == {
        "name": "ESME_RTHROTTLED",
        "class": "throttle",
        "same_bind_retry": True,
        "failover_allowed": False,
        "alert": False,
    }
    assert inspect_status({"context": "bind_resp", "code": 0x0E})["class"] == "bind_fatal"
    assert inspect_status({"context": "generic_nack", "code": 0xFFFFFFFF})["name"] == "0xFFFFFFFF"


def test_status_input_is_checked():
    assert refused(inspect_status, {}) == "missing_key"
    assert refused(inspect_status, {"code": -1}) == "bad_value"
    assert refused(inspect_status, {"code": 1 << 32}) == "bad_value"
    assert refused(inspect_status, {"code": 88.0}) == "bad_value"
    assert refused(inspect_status, {"code": 0, "context": "deliver_sm_resp"}) == "bad_value"
