"""Alphabet choice and segmentation, row by row of sms-domain B."""

import pytest

from gateway.domain import gsm7
from gateway.domain.errors import SegmentationError
from gateway.domain.segmentation import SegmentPayload, count_segments, measure_text, segment_text

PORTS = bytes.fromhex("0504158a0000")
FAMILY = "👨\u200d👩\u200d👧"  # 8 UTF-16 units
FLAG = "🇲🇽"  # 4
KEYCAP = "1\ufe0f\u20e3"  # 3
ONLY_16 = {"reference_bits": 16, "reference": 0x04D2}


def pieces(cut) -> list[bytes]:
    return [segment.short_message[len(segment.udh) :] for segment in cut.segments]


def lengths(text, **options) -> list[int]:
    cut = segment_text(text, **options)
    unit = 2 if cut.encoding == "ucs2" else 1
    return [len(piece) // unit for piece in pieces(cut)]


def ucs2_texts(text, **options) -> list[str]:
    return [piece.decode("utf-16-be") for piece in pieces(segment_text(text, **options))]


@pytest.mark.parametrize(
    ("characters", "segments"), [(160, 1), (161, 2), (306, 2), (307, 3), (459, 3), (460, 4)]
)
def test_b1_plain_characters(characters, segments):
    assert count_segments("a" * characters) == ("gsm7", characters, segments)
    assert sum(lengths("a" * characters)) == characters


def test_b2_euro_signs_are_two_septets():
    assert count_segments("€" * 80) == ("gsm7", 160, 1)
    assert lengths("€" * 81) == [152, 10]  # 76 + 5 euros


def test_b3_an_escape_pair_makes_161_septets():
    assert count_segments("a" * 159 + "\\") == ("gsm7", 161, 2)


def test_b4_escape_pair_never_straddles():
    assert lengths("a" * 152 + "[" + "b" * 20) == [152, 22]


def test_b5_306_septets_with_a_pair_on_the_boundary_take_three_segments():
    text = "a" * 152 + "[" + "b" * 152
    assert count_segments(text) == ("gsm7", 306, 3)
    assert lengths(text) == [152, 153, 1]


@pytest.mark.parametrize(("units", "segments"), [(70, 1), (71, 2), (134, 2), (135, 3), (201, 3), (202, 4)])
def test_b6_utf16_units(units, segments):
    assert count_segments("ó" * units) == ("ucs2", units, segments)


def test_b7_emoji_are_two_units():
    assert count_segments("😀" * 35) == ("ucs2", 70, 1)
    assert lengths("😀" * 36) == [66, 6]


def test_b8_surrogate_pair_never_straddles():
    cut = ucs2_texts("ó" * 66 + "😀" + "ó" * 10)
    assert cut == ["ó" * 66, "😀" + "ó" * 10]


def test_b9_134_units_with_a_pair_on_the_boundary_take_three_segments():
    assert lengths("ó" * 66 + "😀" + "ó" * 66) == [66, 67, 1]


@pytest.mark.parametrize(
    "cluster", [FAMILY, FLAG, KEYCAP, "👍🏽", "\u0439\u0301", "🏴\U000e0067\U000e0062\U000e007f"]
)
@pytest.mark.parametrize("lead", [60, 62, 64, 66])
def test_b10_a_grapheme_on_a_boundary_is_kept_whole_when_that_is_free(cluster, lead):
    texts = ucs2_texts("ó" * lead + cluster + "ó" * 20)
    assert len(texts) == 2
    assert any(cluster in text for text in texts)


def test_b10_a_grapheme_is_split_between_code_points_when_whole_costs_a_segment():
    text = "ó" * 66 + FLAG + "ó" * 62  # 132 units: two segments only when the flag is cut
    assert count_segments(text)[2] == 2
    assert ucs2_texts(text + "ó") == ["ó" * 66, FLAG + "ó" * 63]
    full = "ó" * 65 + FLAG + "ó" * 65  # 134 units
    assert ucs2_texts(full) == ["ó" * 65 + FLAG[0], FLAG[1] + "ó" * 65]


def test_b10_flags_are_told_apart_in_a_row():
    texts = ucs2_texts(FLAG * 40)  # 160 units
    assert texts == [FLAG * 16, FLAG * 16, FLAG * 8]


def test_b10_a_grapheme_longer_than_a_segment_is_split_anywhere():
    endless = "ó" + "\u0301" * 100
    assert lengths(endless) == [67, 34]


def test_b10_one_grapheme_may_stay_whole_and_the_next_be_split():
    text = "ó" * 65 + FLAG + "ó" * 61 + FLAG + "ó" * 65  # 199 units of 201: room for one whole flag only
    assert ucs2_texts(text) == ["ó" * 65, FLAG + "ó" * 61 + FLAG[0], FLAG[1] + "ó" * 65]


def test_b11_a_euro_in_ucs2_is_one_unit():
    assert count_segments("€ó") == ("ucs2", 2, 1)


def test_b12_ucs2_is_big_endian_without_bom():
    assert segment_text("ó😀").segments[0].short_message.hex() == "00f3d83dde00"
    assert segment_text("ó").data_coding == 8


@pytest.mark.parametrize("encoding", ["auto", "ucs2", "gsm7", "latin1"])
@pytest.mark.parametrize("text", ["a\ud83d", "\ude00", "a\ude00\ud83d"])
def test_b13_lone_surrogate_is_a_typed_error(text, encoding):
    with pytest.raises(SegmentationError) as caught:
        segment_text(text, encoding=encoding)
    assert caught.value.code == "lone_surrogate"
    assert f"at index {len(text.rstrip(chr(0xD83D) + chr(0xDE00)))}" in caught.value.detail


@pytest.mark.parametrize(
    ("text", "segments"), [("a" * 304, 2), ("a" * 305, 3), ("ó" * 132, 2), ("ó" * 133, 3)]
)
def test_b14_16_bit_reference_budget(text, segments):
    assert segment_text(text, **ONLY_16).segment_count == segments
    assert count_segments(text, reference_bits=16)[2] == segments


def test_b14_16_bit_header_holds_two_reference_octets():
    cut = segment_text("a" * 161, **ONLY_16)
    assert [segment.udh.hex() for segment in cut.segments] == ["06080404d20201", "06080404d20202"]


def test_b15_more_segments_than_allowed_are_refused():
    assert segment_text("a" * 153 * 255).segment_count == 255
    with pytest.raises(SegmentationError, match="256 segments exceed the limit of 255") as caught:
        segment_text("a" * (153 * 255 + 1))
    assert caught.value.code == "too_many_segments"
    for function in (segment_text, count_segments, measure_text):
        with pytest.raises(SegmentationError, match="11 segments exceed the limit of 10"):
            function("a" * (153 * 10 + 1), max_segments=10)


def test_b17_segments_of_a_message_carry_the_concatenation_header():
    cut = segment_text("a" * 160 + "b", reference=7)
    assert cut.segments == (
        SegmentPayload(0x40, bytes.fromhex("050003070201"), bytes.fromhex("050003070201") + b"a" * 153),
        SegmentPayload(0x40, bytes.fromhex("050003070202"), bytes.fromhex("050003070202") + b"a" * 7 + b"b"),
    )
    assert (cut.encoding, cut.data_coding, cut.units) == ("gsm7", 0, 161)


def test_a_single_segment_has_no_header_and_needs_no_valid_reference():
    assert segment_text("hola", reference=999).segments == (SegmentPayload(0, b"", b"hola"),)


@pytest.mark.parametrize("reference_bits", [8, 16])
def test_b18_sar_has_tlvs_and_the_same_budget_but_no_header(reference_bits):
    cut = segment_text("a" * 306, split="sar", reference=0xABCD, reference_bits=reference_bits)
    assert cut.segment_count == 2
    assert cut.segments[1] == SegmentPayload(
        0,
        b"",
        b"a" * 153,
        (("sar_msg_ref_num", 0xABCD), ("sar_total_segments", 2), ("sar_segment_seqnum", 2)),
    )
    assert lengths("ó" * 71, split="sar") == [67, 4]
    assert segment_text("a", split="sar").segments == (SegmentPayload(0, b"", b"a"),)


def test_b19_payload_mode_is_one_submit_but_bills_its_segments():
    cut = segment_text("a" * 307, split="payload")
    assert cut.segments == (SegmentPayload(0, b"", b"", (("message_payload", b"a" * 307),)),)
    assert (cut.segment_count, cut.units) == (3, 307)
    assert segment_text("ó", split="payload").segments[0].tlvs == (("message_payload", b"\x00\xf3"),)


def test_b19_payload_mode_keeps_a_header_that_was_asked_for():
    (segment,) = segment_text("á", split="payload", national_single_shift=2).segments
    assert (segment.esm_class, segment.short_message) == (0x40, b"")
    assert segment.tlvs == (("message_payload", bytes.fromhex("03240102 1b61")),)


@pytest.mark.parametrize(
    ("text", "options"),
    [("a" * 400, {}), ("a" * 400, ONLY_16), ("ó" * 400, {}), ("á" * 400, {"national_single_shift": 2}), (b"x" * 400, {"encoding": "binary"})],
)  # fmt: skip
def test_b21_b22_short_message_stays_below_254_octets_and_septets_are_unpacked(text, options):
    cut = segment_text(text, **options)
    assert max(len(segment.short_message) for segment in cut.segments) <= 160
    assert segment_text("a" * 160).segments[0].short_message == b"a" * 160


def test_b23_packed_septets():
    assert segment_text("hello", packed=True).segments[0].short_message.hex() == "e8329bfd06"
    cut = segment_text("a" * 161, packed=True)
    assert cut.units == 161
    assert [len(segment.short_message) for segment in cut.segments] == [
        140,
        6 + 8,
    ]  # 8 septets and a fill bit
    first = cut.segments[0].short_message
    assert gsm7.unpack(first[6:], 153, fill_bits=1) == b"a" * 153
    assert segment_text("ó", packed=True).segments[0].short_message == b"\x00\xf3"  # GSM 7-bit only


def test_b24_spanish_single_shift_alone():
    cut = segment_text("á", national_single_shift=2)
    assert cut.segments == (SegmentPayload(0x40, bytes.fromhex("03240102"), bytes.fromhex("032401021b61")),)
    assert (cut.encoding, cut.units) == ("gsm7", 2)
    assert count_segments("a" * 155, national_single_shift=2)[2] == 1
    assert count_segments("a" * 156, national_single_shift=2)[2] == 2


def test_b24_spanish_single_shift_with_concatenation():
    cut = segment_text("a" * 298, national_single_shift=2, reference=9)
    assert [segment.udh.hex() for segment in cut.segments] == [
        "08000309020124 0102".replace(" ", ""),
        "080003090202240102",
    ]
    assert lengths("a" * 298, national_single_shift=2) == [149, 149]
    assert lengths("a" * 299, national_single_shift=2) == [149, 149, 1]


def test_b24_portuguese_locking_shift():
    cut = segment_text("ação", national_locking_shift=3)
    assert cut.segments == (
        SegmentPayload(0x40, bytes.fromhex("03250103"), bytes.fromhex("0325010361097b6f")),
    )
    both = segment_text("a", national_single_shift=3, national_locking_shift=3)
    assert both.segments[0].udh.hex() == "06240103250103"


def test_b24_a_text_outside_the_national_tables_is_ucs2_without_their_header():
    assert segment_text("á😀", national_single_shift=2).segments[0].udh == b""


def test_b25_latin1():
    assert count_segments("ó" * 140, encoding="latin1") == ("latin1", 140, 1)
    assert lengths("ó" * 141, encoding="latin1") == [134, 7]
    assert segment_text("ó", encoding="latin1").data_coding == 3
    with pytest.raises(SegmentationError, match=r"U\+20AC at index 1 is not in Latin-1"):
        segment_text("a€", encoding="latin1")


def test_b25_latin1_transliterates_only_what_it_lacks():
    measured = measure_text("“Código” ñ", encoding="latin1", transliterate=True)
    assert measured.text == '"Código" ñ'
    assert measure_text("abc", encoding="latin1", transliterate=True).text == "abc"


def test_b26_binary_with_a_port_header():
    cut = segment_text(b"\x01" * 133, encoding="binary", extra_udh_ies=PORTS)
    assert (cut.encoding, cut.data_coding, cut.units, cut.segment_count) == ("binary", 4, 133, 1)
    assert cut.segments[0].udh == b"\x06" + PORTS
    assert cut.segments[0].esm_class == 0x40
    assert lengths(b"\x01" * 134, encoding="binary", extra_udh_ies=PORTS) == [128, 6]
    assert segment_text(b"\x01" * 134, encoding="binary", extra_udh_ies=PORTS, reference=5).segments[
        0
    ].udh.hex() == ("0b0003050201" + PORTS.hex())
    assert lengths(b"x" * 141, encoding="binary") == [134, 7]


def test_b26_ports_count_inside_a_text_segment_too():
    assert count_segments("a" * 152, extra_udh_ies=PORTS)[2] == 1  # 7 octets of header: 152 septets
    assert count_segments("a" * 153, extra_udh_ies=PORTS)[2] == 2
    assert lengths("a" * 153, extra_udh_ies=PORTS, split="sar") == [146, 7]


@pytest.mark.parametrize("text", ["hola", "a" * 161, "ó" * 71, "€" * 81, FLAG * 40])
def test_b27_counting_agrees_with_cutting(text):
    cut = segment_text(text)
    assert count_segments(text) == (cut.encoding, cut.units, len(cut.segments))
    assert measure_text(text) == (text, cut.encoding, cut.units, cut.segment_count)


def test_c2_nfd_text_is_composed_before_the_alphabet_is_chosen():
    assert count_segments("n\u0303" * 160) == ("gsm7", 160, 1)
    assert count_segments("o\u0301" * 70) == ("ucs2", 70, 1)
    assert count_segments("o\u0301", encoding="ucs2") == ("ucs2", 1, 1)
    assert count_segments("o\u0301", encoding="latin1") == ("latin1", 1, 1)
    assert count_segments("\u2126\u212b") == ("gsm7", 2, 1)  # ohm and angstrom signs


def test_the_measured_text_and_encoding_give_the_same_segments_again():
    text = "Código n\u0303 “ok” " * 20
    measured = measure_text(text, transliterate=True)
    assert segment_text(measured.text, encoding=measured.encoding) == segment_text(text, transliterate=True)


def test_forced_alphabets():
    assert count_segments("a" * 71, encoding="ucs2") == ("ucs2", 71, 2)
    with pytest.raises(
        SegmentationError, match=r"U\+00F3 at index 1 is not in the GSM 7-bit alphabet"
    ) as caught:
        segment_text("có", encoding="gsm7")
    assert caught.value.code == "not_in_alphabet"
    assert segment_text("có", encoding="gsm7", transliterate=True).segments[0].short_message == b"co"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"encoding": "utf8"}, "'utf8'"),
        ({"encoding": "binary"}, "needs octets"),
        ({"split": "half"}, "'half'"),
        ({"reference_bits": 32}, "32"),
        ({"reference": 256}, "256 does not fit 8 bits"),
        ({"reference": -1}, "-1"),
        ({"reference": 65536, "reference_bits": 16}, "65536"),
        ({"reference": 65536, "split": "sar"}, "65536"),
        ({"max_segments": 0}, "max_segments 0"),
        ({"max_segments": 256}, "max_segments 256"),
        ({"national_single_shift": 9}, "national_single_shift 9"),
        ({"extra_udh_ies": b"\x05"}, "end inside"),
        ({"extra_udh_ies": b"\x05\x04\x15"}, "end inside"),
        ({"extra_udh_ies": b"\x00\x03\x01\x02\x01"}, "element 00"),
        ({"extra_udh_ies": b"\x70\x83" + bytes(131)}, "leave no room"),
        ({"extra_udh_ies": b"\x70\xff" + bytes(255)}, "exceed a short message"),
    ],
)
def test_bad_options_are_typed_errors_that_name_the_value(options, named):
    with pytest.raises(SegmentationError) as caught:
        segment_text("a" * 200, **options)
    assert caught.value.code == "invalid_option"
    assert named in caught.value.detail


@pytest.mark.parametrize(("content", "encoding"), [("", "auto"), (b"", "binary")])
def test_empty_text_is_refused(content, encoding):
    with pytest.raises(SegmentationError) as caught:
        count_segments(content, encoding=encoding)
    assert caught.value.code == "empty_text"


def test_octets_need_the_binary_encoding():
    with pytest.raises(SegmentationError, match="'auto'"):
        segment_text(b"x")
