"""Receipts as carriers really write them: rows F1 to F14."""

from datetime import datetime

import pytest

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.receipt_text import (
    ID_FORMATS,
    STAT_OF_STATE,
    NetworkError,
    ParsedReceipt,
    format_receipt_date,
    format_receipt_text,
    ids_match,
    is_receipt,
    normalise_id,
    parse_receipt,
    parse_receipt_date,
)
from adapters.smpp.wire.tlv import Tlv, tlv_of

CANONICAL = (
    b"id:7F3A sub:001 dlvrd:001 submit date:2601151830 done date:2601151831 "
    b"stat:DELIVRD err:000 text:Su codigo es"
)


def parsed(
    body: bytes,
    *tlvs: Tlv,
    esm_class: int = 4,
    data_coding: int = 0,
    message_payload: bytes | None = None,
) -> ParsedReceipt:
    return parse_receipt(
        esm_class=esm_class,
        data_coding=data_coding,
        short_message=body,
        message_payload=message_payload,
        tlvs=tlvs,
    )


def test_the_letter_of_appendix_b():
    receipt = parsed(CANONICAL)
    assert receipt == ParsedReceipt(
        is_receipt=True,
        receipt_type="final",
        message_id_text="7F3A",
        state="DELIVERED",
        raw_stat="DELIVRD",
        is_final=True,
        sub=1,
        dlvrd=1,
        raw_submit_date="2601151830",
        raw_done_date="2601151831",
        err="000",
        text="Su codigo es",
        raw=CANONICAL,
    )
    assert receipt.message_id == "7F3A"
    assert receipt.submit_date == datetime(2026, 1, 15, 18, 30)
    assert receipt.done_date == datetime(2026, 1, 15, 18, 31)


# --- F1, F2: what is a receipt -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("esm_class", "receipt_type"),
    [
        (0x04, "final"),
        (0x44, "final"),
        (0x84, "final"),
        (0x07, "final"),
        (0x08, "sme_delivery_ack"),
        (0x20, "intermediate"),
        (0x60, "intermediate"),
        (0x24, "intermediate"),
    ],
)
def test_f1_receipts_are_told_by_mask(esm_class, receipt_type):
    receipt = parsed(CANONICAL, esm_class=esm_class)
    assert receipt.is_receipt
    assert receipt.receipt_type == receipt_type
    assert receipt.message_id == "7F3A"


@pytest.mark.parametrize(
    ("esm_class", "receipt_type"),
    [(0x00, None), (0x40, None), (0x03, None), (0x10, "manual_ack"), (0x18, None)],
)
def test_f1_receipt_looking_text_alone_is_no_receipt(esm_class, receipt_type):
    receipt = parsed(CANONICAL, esm_class=esm_class)
    assert receipt == ParsedReceipt(is_receipt=False, receipt_type=receipt_type, raw=CANONICAL)


def test_f2_esm_class_0_with_both_tlvs_is_a_receipt():
    receipt = parsed(b"", tlv_of(0x1E, "7F3A"), tlv_of(0x427, 2), esm_class=0)
    assert (receipt.is_receipt, receipt.receipt_type) == (True, "final")
    assert (receipt.message_id, receipt.state, receipt.is_final) == ("7F3A", "DELIVERED", True)


def test_f2_one_of_the_two_tlvs_is_not_enough():
    assert not is_receipt(esm_class=0, tlvs=(tlv_of(0x1E, "7F3A"),))
    assert not is_receipt(esm_class=0, tlvs=(tlv_of(0x427, 2),))
    assert not is_receipt(esm_class=0x18, tlvs=(tlv_of(0x1E, "7F3A"), tlv_of(0x427, 2)))


# --- F3: TLV and text --------------------------------------------------------------------------------


def test_f3_the_tlv_wins_and_the_text_id_is_kept():
    receipt = parsed(CANONICAL, tlv_of(0x1E, "32570"), tlv_of(0x427, 5))
    assert (receipt.message_id, receipt.message_id_tlv, receipt.message_id_text) == ("32570", "32570", "7F3A")
    assert (receipt.state, receipt.raw_stat) == ("UNDELIVERABLE", "DELIVRD")


def test_f3_an_empty_tlv_id_does_not_hide_the_text_id():
    assert parsed(CANONICAL, Tlv(0x1E, b"\0")).message_id == "7F3A"
    assert parsed(CANONICAL, Tlv(0x1E, b"\0"), Tlv(0x1E, b"99")).message_id == "99"


def test_a_tlv_id_is_read_with_or_without_its_nul():
    assert parsed(b"", Tlv(0x1E, b"7F3A")).message_id == "7F3A"
    assert parsed(b"", Tlv(0x1E, b"7F3A\0garbage")).message_id == "7F3A"


@pytest.mark.parametrize(
    ("octets", "body", "state"),
    [
        ("63", CANONICAL, "DELIVERED"),
        ("63", b"id:1", "UNKNOWN"),
        ("", CANONICAL, "DELIVERED"),
        ("", b"id:1", None),
        ("00", b"id:1", "SCHEDULED"),
        ("00000008", CANONICAL, "REJECTED"),
        ("09", b"", "SKIPPED"),
    ],
)
def test_f3_a_message_state_that_says_nothing_leaves_the_text(octets, body, state):
    assert parsed(body, Tlv(0x427, bytes.fromhex(octets))).state == state


# --- F4: order, case, missing fields -----------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"stat:DELIVRD id:7F3A",
        b"ID:7F3A STAT:DELIVRD",
        b"Id:7F3A  Sub:1  Stat:DELIVRD",
        b"id:7F3A stat:DELIVRD err:",
        b"id:7F3A\tstat:DELIVRD\r\n",
        b"id: 7F3A stat : DELIVRD",
        b"err:000 done date:2601151831 submit date:2601151830 stat:DELIVRD dlvrd:1 sub:0001 id:7F3A",
        b"id:7F3A foo:bar stat:DELIVRD",
        b"id:7F3A dlvrd:0001 submitdate:2601151830 done_date:2601151831 stat:DELIVRD err:0 Text:",
    ],
)
def test_f4_fields_in_any_order_case_and_spacing(body):
    receipt = parsed(body)
    assert (receipt.message_id, receipt.state) == ("7F3A", "DELIVERED")


def test_f4_missing_fields_are_none():
    assert parsed(b"stat:EXPIRED") == ParsedReceipt(
        is_receipt=True,
        receipt_type="final",
        state="EXPIRED",
        raw_stat="EXPIRED",
        is_final=True,
        raw=b"stat:EXPIRED",
    )
    assert parsed(b"").state is None
    assert not parsed(b"").is_final


@pytest.mark.parametrize(
    ("digits", "number"),
    [(b"1", 1), (b"01", 1), (b"001", 1), (b"0010", 10), (b"1x", None), (b"1" * 40, None)],
)
def test_f4_counts_of_any_width(digits, number):
    receipt = parsed(b"id:1 sub:" + digits + b" dlvrd:" + digits)
    assert (receipt.sub, receipt.dlvrd) == (number, number)


def test_f4_of_a_repeated_key_the_first_counts():
    receipt = parsed(b"id:1 stat:DELIVRD id:2 stat:UNDELIV")
    assert (receipt.message_id, receipt.state) == ("1", "DELIVERED")


def test_f4_an_id_may_hold_colons_and_any_printable_character():
    assert parsed(b"id:urn:a-b_c/9==. stat:DELIVRD").message_id == "urn:a-b_c/9==."


# --- F5: states --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stat", "state"),
    [
        ("delivrd", "DELIVERED"),
        ("Delivered", "DELIVERED"),
        ("UNDELIVERABLE", "UNDELIVERABLE"),
        ("UNDELIV", "UNDELIVERABLE"),
        ("BUFFRED", "ENROUTE"),
        ("ACCEPTD", "ACCEPTED"),
        ("REJECTD", "REJECTED"),
        ("XYZZY", "UNKNOWN"),
        ("DELIVERY_FAILED", "UNKNOWN"),
        ("2", "UNKNOWN"),
    ],
)
def test_f5_states_are_normalised_and_the_raw_one_is_kept(stat, state):
    receipt = parsed(f"id:1 stat:{stat}".encode())
    assert (receipt.state, receipt.raw_stat) == (state, stat)


@pytest.mark.parametrize("state", STAT_OF_STATE)
def test_f5_every_state_we_write_is_read_back(state):
    assert parsed(f"id:1 stat:{STAT_OF_STATE[state]}".encode()).state == state


# --- F6, F7: dates -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "when"),
    [
        ("2601151830", datetime(2026, 1, 15, 18, 30)),
        ("260115183045", datetime(2026, 1, 15, 18, 30, 45)),
        ("202601151830", datetime(2026, 1, 15, 18, 30)),
        ("20260115183045", datetime(2026, 1, 15, 18, 30, 45)),
    ],
)
def test_f6_dates_of_10_12_and_14_digits(raw, when):
    assert parse_receipt_date(raw) == when
    receipt = parsed(f"id:1 submit date:{raw} done date:{raw} stat:DELIVRD".encode())
    assert (receipt.submit_date, receipt.done_date) == (when, when)


@pytest.mark.parametrize(
    "raw",
    [
        "0000000000",
        "000000000000",
        "00000000000000",
        "2645151830",
        "2601152530",
        "26011518",
        "26-01-15",
        "260115183\u0660",
        "",
    ],
)
def test_f7_an_impossible_date_is_none_and_the_receipt_counts(raw):
    assert parse_receipt_date(raw) is None
    receipt = parsed(f"id:1 submit date:{raw} done date:{raw} stat:DELIVRD err:0".encode())
    assert (receipt.submit_date, receipt.done_date) == (None, None)
    assert (receipt.message_id, receipt.is_final, receipt.err) == ("1", True, "0")


def test_f7_a_missing_date_is_none():
    assert parse_receipt_date(None) is None


# --- F9, F10, F12 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("err", ["21b", "0000", "0", "EC_OK", "-1"])
def test_f9_err_is_kept_as_it_is(err):
    assert parsed(f"id:1 stat:UNDELIV err:{err} text:x".encode()).err == err


@pytest.mark.parametrize(
    "body",
    [
        b"id:1 stat:DELIVRD err:000 text:id:999 stat:UNDELIV err:99",
        b"id:1 sub:001 dlvrd:001 submit date:2601151830 done date:2601151831 stat:DELIVRD err:000 text:id:999 stat:UNDELIV err:99",
        b"id:1 stat:DELIVRD err:000 TEXT:id:999 stat:UNDELIV err:99",
    ],
)
def test_f10_what_follows_text_overrides_nothing(body):
    receipt = parsed(body)
    assert (receipt.message_id, receipt.state, receipt.err) == ("1", "DELIVERED", "000")
    assert receipt.text == "id:999 stat:UNDELIV err:99"


def test_f10_what_follows_text_fills_no_gap_either():
    receipt = parsed(b"text:id:999 stat:UNDELIV")
    assert (receipt.message_id, receipt.state, receipt.text) == (None, None, "id:999 stat:UNDELIV")


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        ("03001b", NetworkError(3, 27)),
        ("303030", NetworkError(None, 0)),
        ("303237", NetworkError(None, 27)),
        ("1b", None),
        ("", None),
        ("03001b00", None),
    ],
)
def test_f12_network_error_code(octets, error):
    assert parsed(CANONICAL, Tlv(0x423, bytes.fromhex(octets))).network_error == error


# --- F11: encodings and places -----------------------------------------------------------------------

UTF16 = CANONICAL.decode().encode("utf-16-be")


@pytest.mark.parametrize(
    ("body", "data_coding"),
    [
        (UTF16, 8),
        (UTF16, 0),
        (UTF16 + b"\0", 8),
        (UTF16 + b"\0\0", 8),
        (b"\xfe\xff" + UTF16, 8),
        (b"\xff\xfe" + CANONICAL.decode().encode("utf-16-le"), 8),
        (CANONICAL.decode().encode("utf-16-le"), 8),
        (CANONICAL, 8),
        (CANONICAL + b"\0", 0),
        (CANONICAL + b"\0", 8),
        (CANONICAL, 3),
    ],
)
def test_f11_utf16_ascii_and_trailing_nuls(body, data_coding):
    receipt = parsed(body, data_coding=data_coding)
    assert (receipt.message_id, receipt.state, receipt.text) == ("7F3A", "DELIVERED", "Su codigo es")
    assert receipt.done_date == datetime(2026, 1, 15, 18, 31)
    assert receipt.raw == body


def test_f11_utf16_that_begins_with_another_script():
    body = "\u2714 id:7F3A stat:DELIVRD".encode("utf-16-be")
    assert parsed(body, data_coding=8).message_id == "7F3A"


def test_f11_a_lone_surrogate_becomes_a_replacement_character():
    body = "id:1 stat:DELIVRD text:".encode("utf-16-be") + b"\xd8\x3d"
    receipt = parsed(body, data_coding=8)
    assert receipt.message_id == "1"
    assert receipt.text == "\ufffd"


def test_f11_non_ascii_text_does_not_disturb_the_fields():
    receipt = parsed(CANONICAL[:-2] + "\u00f3 \u00f1".encode("latin-1"))
    assert (receipt.message_id, receipt.state) == ("7F3A", "DELIVERED")
    assert receipt.text.endswith("\u00f3 \u00f1")


def test_f11_message_payload_as_argument_or_tlv():
    assert parsed(b"", message_payload=CANONICAL).message_id == "7F3A"
    receipt = parsed(b"", Tlv(c.TAG_MESSAGE_PAYLOAD, CANONICAL))
    assert (receipt.message_id, receipt.raw) == ("7F3A", CANONICAL)


def test_b20_short_message_goes_before_message_payload():
    assert parsed(b"id:1 stat:DELIVRD", message_payload=CANONICAL).message_id == "1"


@pytest.mark.parametrize("text", [CANONICAL, UTF16, b"stat:DELIVRD id:7F3A"])
def test_f11_a_header_before_the_text(text):
    receipt = parsed(bytes.fromhex("050003A70201") + text, esm_class=0x44)
    assert (receipt.message_id, receipt.state) == ("7F3A", "DELIVERED")


def test_f11_a_header_before_a_text_without_id():
    body = bytes.fromhex("050003A70201") + "stat:DELIVRD".encode("utf-16-be")
    receipt = parsed(body, Tlv(0x1E, b"9"), esm_class=0x44)
    assert (receipt.message_id, receipt.state) == ("9", "DELIVERED")


@pytest.mark.parametrize(
    "body", [CANONICAL, CANONICAL + b"x" * 60, b"\xff id:7F3A stat:DELIVRD", b"\x03 id:7F3A stat:DELIVRD"]
)
def test_i8_udhi_without_a_header_does_not_cost_the_receipt(body):
    receipt = parsed(body, esm_class=0x44)
    assert (receipt.message_id, receipt.state) == ("7F3A", "DELIVERED")


def test_i8_udhi_and_nothing_is_a_receipt_without_fields():
    assert parsed(b"", esm_class=0x44) == ParsedReceipt(is_receipt=True, receipt_type="final")


# --- F14: finality -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STAT_OF_STATE)
def test_f14_final_states(state):
    final = {"DELIVERED", "EXPIRED", "DELETED", "UNDELIVERABLE", "REJECTED", "SKIPPED"}
    body = f"id:1 stat:{STAT_OF_STATE[state]}".encode()
    assert parsed(body).is_final is (state in final)
    assert parsed(body, esm_class=0x08).is_final is (state in final)
    assert parsed(body, esm_class=0x20).is_final is False
    assert parsed(body, esm_class=0x24).is_final is False


# --- writing -----------------------------------------------------------------------------------------


def test_format_lays_out_appendix_b():
    octets = format_receipt_text(
        "7F3A",
        stat="DELIVRD",
        submit_date=datetime(2026, 1, 15, 18, 30),
        done_date="2601151831",
        text=b"Su codigo es",
    )
    assert octets == CANONICAL


def test_format_counts_nothing_delivered_unless_it_was():
    octets = format_receipt_text(
        "1", stat="UNDELIV", submit_date="2601151830", done_date=datetime(2026, 1, 15, 18, 31), err="021"
    )
    assert octets == (
        b"id:1 sub:001 dlvrd:000 submit date:2601151830 done date:2601151831 stat:UNDELIV err:021 text:"
    )
    assert b"dlvrd:001" in format_receipt_text("1", stat="UNDELIV", submit_date="", done_date="", dlvrd=1)


@pytest.mark.parametrize(
    ("digits", "text"), [(10, "2601151830"), (12, "260115183045"), (14, "20260115183045")]
)
def test_format_receipt_date(digits, text):
    assert format_receipt_date(datetime(2026, 1, 15, 18, 30, 45), digits=digits) == text


def test_format_receipt_date_refuses_other_widths():
    with pytest.raises(ValueError, match="10, 12 or 14"):
        format_receipt_date(datetime(2026, 1, 15), digits=11)


# --- F13: ids ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resp_id", "receipt_id", "id_format", "match"),
    [
        ("abc-1", "ABC-1", "string", True),
        ("007", "7", "string", False),
        ("7F", "127", "string", False),
        ("007", "7", "decimal", True),
        ("0", "000", "decimal", True),
        ("7f", "127", "decimal", False),
        ("7F", "0000007f", "hex", True),
        ("7F", "127", "hex", False),
        ("7F3A", "32570", "resp_hex_receipt_dec", True),
        ("7f3a", "0000032570", "resp_hex_receipt_dec", True),
        ("32570", "32570", "resp_hex_receipt_dec", False),
        ("32570", "7F3A", "resp_dec_receipt_hex", True),
        ("0032570", "00007f3a", "resp_dec_receipt_hex", True),
        ("7F3A", "7F3A", "resp_dec_receipt_hex", False),
        ("1" + "0" * 40, "1" + "0" * 40, "decimal", True),
        ("FFFFFFFFFFFFFFFFFFFFFFFF", "79228162514264337593543950335", "resp_hex_receipt_dec", True),
        ("FFFFFFFFFFFFFFFFFFFFFFFF", "79228162514264337593543950334", "resp_hex_receipt_dec", False),
        ("12-34", "12-34", "decimal", True),
        ("012-34", "12-34", "decimal", False),
        ("xyz", "XYZ", "resp_hex_receipt_dec", True),
        ("+7", "7", "decimal", False),
        ("1_0", "10", "decimal", False),
        ("0x7f", "7f", "hex", False),
        ("\u0667", "7", "decimal", False),
        (" 7F ", "7f", "hex", True),
        ("", "", "string", False),
        ("", "0", "decimal", False),
    ],
)
def test_f13_ids_match_by_the_format_of_the_bind_without_guessing(resp_id, receipt_id, id_format, match):
    assert ids_match(resp_id, receipt_id, id_format) is match


@pytest.mark.parametrize("id_format", ID_FORMATS)
def test_f13_an_absurdly_long_id_stays_a_string(id_format):
    long = "9" * 50_000
    assert normalise_id(long, id_format, side="resp") == long
    assert ids_match(long, long, id_format)


def test_f13_mixed_formats_normalise_to_decimal():
    assert normalise_id("00FF", "resp_hex_receipt_dec", side="resp") == "255"
    assert normalise_id("00255", "resp_hex_receipt_dec", side="receipt") == "255"
    assert normalise_id("00FF", "hex", side="receipt") == "ff"
