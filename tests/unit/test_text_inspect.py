"""The JSON of `caudal inspect text|number|sender|keyword` (DESIGN section 6)."""

import pytest

from gateway.domain.errors import InspectError
from gateway.intake.inspect import inspect_keyword, inspect_number, inspect_sender, inspect_text


def test_text_of_one_segment():
    assert inspect_text({"text": "hola €"}) == {
        "encoding": "gsm7",
        "data_coding": 0,
        "units": 7,
        "segment_count": 1,
        "segments": [{"esm_class": 0, "udh_hex": "", "short_message_hex": "686f6c61201b65", "tlvs": {}}],
    }


def test_b17_text_of_two_segments_shows_the_header_within_the_short_message():
    answer = inspect_text({"text": "a" * 161, "reference": 0xAB})
    first, second = answer["segments"]
    assert (first["esm_class"], first["udh_hex"]) == (0x40, "050003ab0201")
    assert first["short_message_hex"] == "050003ab0201" + "61" * 153
    assert second["short_message_hex"] == "050003ab0202" + "61" * 8


def test_b18_sar_values_are_integers():
    answer = inspect_text({"text": "a" * 161, "reference": 0x1234, "split": "sar"})
    assert answer["segments"][1]["tlvs"] == {
        "sar_msg_ref_num": 0x1234,
        "sar_total_segments": 2,
        "sar_segment_seqnum": 2,
    }


def test_b19_payload_is_hexadecimal():
    answer = inspect_text({"text": "@" * 161, "split": "payload"})
    assert answer["segment_count"] == 2
    assert answer["segments"] == [
        {"esm_class": 0, "udh_hex": "", "short_message_hex": "", "tlvs": {"message_payload": "00" * 161}}
    ]


def test_b26_binary_from_data_hex_with_a_port_header():
    answer = inspect_text({"data_hex": "DEADBEEF", "encoding": "binary", "extra_udh_ies_hex": "0504158A0000"})
    assert answer["data_coding"] == 4
    assert answer["segments"][0]["short_message_hex"] == "060504158a0000deadbeef"
    assert inspect_text({"data_hex": "00"})["encoding"] == "binary"


@pytest.mark.parametrize(
    ("obj", "code"),
    [
        ({}, "missing_key"),
        ({"text": "a", "data_hex": "00"}, "missing_key"),
        ({"text": "a", "colour": 1}, "unknown_key"),
        ({"text": 1}, "invalid_value"),
        ({"text": None}, "invalid_value"),
        ({"text": "a", "reference": True}, "invalid_value"),
        ({"text": "a", "reference": "1"}, "invalid_value"),
        ({"text": "a", "packed": 1}, "invalid_value"),
        ({"text": "a", "encoding": None}, "invalid_value"),
        ({"text": "a", "encoding": "utf8"}, "invalid_option"),
        ({"text": "a", "encoding": "binary"}, "invalid_option"),
        ({"data_hex": "00", "encoding": "gsm7"}, "invalid_option"),
        ({"data_hex": "0"}, "invalid_value"),
        ({"data_hex": "0g"}, "invalid_value"),
        ({"text": "a", "extra_udh_ies_hex": "0 "}, "invalid_value"),
        ({"text": ""}, "empty_text"),
        ({"text": "\ud83d"}, "lone_surrogate"),
        ({"text": "a" * 40_000}, "too_many_segments"),
    ],
)
def test_bad_text_lines_are_typed_errors(obj, code):
    with pytest.raises(InspectError) as caught:
        inspect_text(obj)
    assert caught.value.code == code
    assert caught.value.detail
    assert len(caught.value.detail) < 200
    caught.value.detail.encode()  # printable as UTF-8


def test_number():
    assert inspect_number({"input": "+573001112233"}) == {
        "valid": True,
        "e164": "+573001112233",
        "region": "CO",
        "type": "MOBILE",
        "smpp_destination_addr": "573001112233",
    }
    assert inspect_number({"input": "5512345678", "default_region": "MX"})["e164"] == "+525512345678"
    assert (
        inspect_number({"input": "+525512345678", "default_region": None})["type"] == "FIXED_LINE_OR_MOBILE"
    )


def test_invalid_number_is_an_answer_and_not_an_error():
    assert inspect_number({"input": "300111"}) == {
        "valid": False,
        "e164": None,
        "region": None,
        "type": None,
        "smpp_destination_addr": None,
    }


@pytest.mark.parametrize(
    ("obj", "code"),
    [
        ({}, "missing_key"),
        ({"input": 5}, "invalid_value"),
        ({"input": "1", "region": "MX"}, "unknown_key"),
        ({"input": "1", "default_region": 52}, "invalid_value"),
        ({"input": "1", "default_region": "Mexico"}, "invalid_region"),
    ],
)
def test_bad_number_lines(obj, code):
    with pytest.raises(InspectError) as caught:
        inspect_number(obj)
    assert caught.value.code == code


def test_sender():
    assert inspect_sender({"input": "BancoMX"}) == {
        "source_addr": "BancoMX",
        "ton": 5,
        "npi": 0,
        "valid": True,
    }
    assert inspect_sender({"input": "Señal"}) == {
        "source_addr": None,
        "ton": None,
        "npi": None,
        "valid": False,
    }
    with pytest.raises(InspectError):
        inspect_sender({"sender": "x"})


def test_keyword():
    assert inspect_keyword({"text": "¡Baja!"}) == {"action": "opt_out"}
    assert inspect_keyword({"text": "la baja calidad"}) == {"action": "mo"}
    with pytest.raises(InspectError):
        inspect_keyword({})
