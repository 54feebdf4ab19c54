"""What a mobile-originated record says: alphabets, headers, places; and what it says when it lies."""

import pytest

from adapters.smpp.wire.udh import build_udh
from gateway.domain.alphabets import TextAlphabet
from gateway.inbound.reading import Place, read, text_of
from tests.support.originated import UDHI, an_mo, segments, ucs2, with_udh


def said(*records):
    return text_of([None if one is None else read(one) for one in records])


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"\x1b\x41", "A"),
        (b"\x1b\x1b\x62", " b"),
        (b"Hola\x1b", "Hola "),
        (b"\x00\x02", "@$"),
        (b"\xc3\x81", "\ufffd\ufffd"),
    ],
)
def test_a9_a10_a11_i9_septets_of_a_reply_are_read_whatever_they_are(octets, text):
    assert said(an_mo(octets)).text == text


def test_a12_ia5_of_a_reply_is_not_gsm():
    assert said(an_mo(b"\x40\x24", data_coding=1, alphabet=TextAlphabet.ASCII)).text == "@$"


def test_a13_data_coding_0_of_a_reply_is_what_the_carrier_means_by_it():
    assert said(an_mo("a\xf1o".encode("latin-1"), alphabet=TextAlphabet.LATIN1)) == (
        "a\xf1o",
        "latin1",
        None,
    )


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("Sí 👍".encode("utf-16-be"), "Sí 👍"),
        (b"\x00S\x00", "S\ufffd"),
        (b"\xd8\x3d\x00S", "\ufffdS"),
        (b"\x00S\xdc\x4d", "S\ufffd"),
        (b"\xfe\xff\x00S", "S"),
        (b"\x00S\x00\x00\x00I\x00\x00", "S\ufffdI"),
        (b"", ""),
    ],
)
def test_i9_ucs2_of_a_reply_is_valid_text_without_nul(octets, text):
    found = said(an_mo(octets, data_coding=8, alphabet=TextAlphabet.UCS2)).text
    assert found == text
    found.encode("utf-8")


def test_message_payload_is_the_text_where_short_message_is_empty():
    assert said(an_mo(b"", tlvs_hex=((0x0424, b"Hola".hex()),))).text == "Hola"
    assert said(an_mo(b"uno", tlvs_hex=((0x0424, b"dos".hex()),))).text == "uno"


def test_binary_is_kept_as_octets():
    one = an_mo(b"\x00\xff", data_coding=4, alphabet=TextAlphabet.BINARY)
    assert said(one) == (None, "binary", b"\x00\xff")


def test_the_header_is_no_text_and_ports_are_no_place():
    content = read(with_udh("Hola", (0x05, b"\x0b\x84\x0b\x84")))
    assert (content.octets, content.place, content.fault) == (b"Hola", None, "")


def test_b24_a_national_table_is_used_and_an_unknown_one_is_the_default():
    assert said(with_udh(b"\x1b\x61", (0x24, b"\x02"))).text == "á"
    assert said(with_udh(b"\x1b\x61", (0x24, b"\x0d"))).text == "a"


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("udh8", Place("udh8", 7, 2, 2)),
        ("udh16", Place("udh16", 7, 2, 2)),
        ("sar", Place("sar", 7, 2, 2)),
    ],
)
def test_b28_the_place_is_told_by_a_header_or_by_tlvs(kind, place):
    assert read(segments("a", "b", kind=kind)[1]).place == place


LIES = {
    "no header": b"",
    "UDHL 255": b"\xff\x00\x03",
    "element beyond the header": b"\x05\x00\x09\x07\x02\x01Hola",
    "total 0": b"\x05\x00\x03\x07\x00\x01Hola",
    "index 0": b"\x05\x00\x03\x07\x02\x00Hola",
    "index beyond total": b"\x05\x00\x03\x07\x02\x03Hola",
    "short element": b"\x03\x00\x01\x07Hola",
    "empty element": b"\x02\x00\x00Hola",
    "plain text with the bit set": b"STOP",
}


@pytest.mark.parametrize("user_data", LIES.values(), ids=LIES)
def test_i8_a_reply_with_a_header_that_lies_is_opaque_and_goes_to_no_set(user_data):
    one = an_mo(user_data, esm_class=UDHI)
    content = read(one)
    assert content.fault
    assert content.place is None
    assert said(one).data == content.octets
    assert "\0" not in said(one).text


@pytest.mark.parametrize(
    "tlvs",
    [
        ((0x020C, "0007"), (0x020E, "02")),
        ((0x020C, "07"), (0x020E, "02"), (0x020F, "01")),
        ((0x020C, "0007"), (0x020E, "00"), (0x020F, "01")),
        ((0x020C, "0007"), (0x020E, "02"), (0x020F, "03")),
        ((0x020C, ""), (0x020E, ""), (0x020F, "")),
    ],
)
def test_i8_sar_tlvs_that_lie_leave_the_text_alone(tlvs):
    content = read(an_mo("Hola", tlvs_hex=tlvs))
    assert content.place is None
    assert content.fault
    assert said(an_mo("Hola", tlvs_hex=tlvs)).text == "Hola"


def test_a_header_beats_tlvs():
    header = build_udh([(0x00, b"\x07\x02\x01")])  # type: ignore[list-item]
    one = an_mo(header + b"a", esm_class=UDHI, tlvs_hex=((0x020C, "0009"), (0x020E, "05")))
    content = read(one)
    assert (content.place, content.fault) == (Place("udh8", 7, 2, 1), "")


def test_pairs_cut_in_two_by_a_handset_are_whole_again():
    high, low = "\ud83d", "\udc4d"
    assert said(ucs2("a" + high), ucs2(low + "b")).text == "a👍b"
    assert said(an_mo(b"1\x1b"), an_mo(b"\x65")).text == "1€"


def test_an_odd_octet_spoils_its_own_segment_only():
    odd = an_mo(b"\x00a\x00", data_coding=8, alphabet=TextAlphabet.UCS2)
    assert said(odd, ucs2("b")).text == "a\ufffdb"


def test_segments_may_be_in_different_alphabets():
    assert said(an_mo("a"), ucs2("ó"), an_mo("b")) == ("aób", "ucs2", None)


def test_where_segments_are_missing_there_is_one_replacement_character():
    assert said(an_mo("a"), None, None, an_mo("b")).text == "a\ufffdb"
    assert said(None, an_mo("b")).text == "\ufffdb"


def test_i10_thousands_of_tlvs_are_nothing():
    tlvs = (*[(0x020C, "0007")] * 5_000, (0x020E, "02"), (0x020F, "01"))
    assert read(an_mo("a", tlvs_hex=tlvs)).place == Place("sar", 7, 2, 1)
