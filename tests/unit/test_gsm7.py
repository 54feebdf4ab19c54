"""The GSM 7-bit alphabet, its extension, national tables and packing (sms-domain A, B23, B24)."""

import pytest

from gateway.domain import gsm7
from gateway.domain.errors import SegmentationError

# Written out by code, apart from the table under test.
CODES = {
    "@": 0x00, "£": 0x01, "$": 0x02, "¥": 0x03, "è": 0x04, "é": 0x05, "ù": 0x06, "ì": 0x07, "ò": 0x08, "Ç": 0x09,
    "\n": 0x0A, "Ø": 0x0B, "ø": 0x0C, "\r": 0x0D, "Å": 0x0E, "å": 0x0F, "Δ": 0x10, "_": 0x11, "Φ": 0x12, "Γ": 0x13,
    "Λ": 0x14, "Ω": 0x15, "Π": 0x16, "Ψ": 0x17, "Σ": 0x18, "Θ": 0x19, "Ξ": 0x1A, "Æ": 0x1C, "æ": 0x1D, "ß": 0x1E,
    "É": 0x1F, "¤": 0x24, "¡": 0x40, "Ä": 0x5B, "Ö": 0x5C, "Ñ": 0x5D, "Ü": 0x5E, "§": 0x5F, "¿": 0x60, "ä": 0x7B,
    "ö": 0x7C, "ñ": 0x7D, "ü": 0x7E, "à": 0x7F,
}  # fmt: skip
CODES |= {
    chr(code): code
    for code in range(0x20, 0x7B)
    if code not in (0x24, 0x40, 0x5B, 0x5C, 0x5D, 0x5E, 0x5F, 0x60)
}
EXTENSION = {"\f": 0x0A, "^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F, "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40, "€": 0x65}  # fmt: skip


def test_a1_all_127_characters_have_their_codes():
    assert len(CODES) == 127
    text = "".join(CODES)
    assert gsm7.encode_unpacked(text) == bytes(CODES.values())
    assert gsm7.decode_unpacked(bytes(CODES.values())) == text
    assert sorted(CODES.values()) == [code for code in range(0x80) if code != 0x1B]


@pytest.mark.parametrize(("char", "code"), EXTENSION.items())
def test_a2_extension_characters_are_escape_pairs(char, code):
    assert gsm7.encode_unpacked(char) == bytes((0x1B, code))
    assert gsm7.encode_unpacked(f"a{char}{char}@") == bytes((0x61, 0x1B, code, 0x1B, code, 0))
    assert gsm7.decode_unpacked(bytes((0x1B, code))) == char


def test_a2_different_extension_characters_in_one_text():
    assert gsm7.encode_unpacked("[€]{@}").hex() == "1b3c1b651b3e1b28001b29"


def test_a3_at_is_code_zero_anywhere():
    assert gsm7.encode_unpacked("@a@") == b"\0a\0"


def test_a4_codes_that_differ_from_ascii_and_latin1():
    assert gsm7.encode_unpacked("$¤_§¡¿").hex() == "0224115f4060"


def test_a5_spanish_letters_of_the_alphabet_take_one_septet():
    assert len(gsm7.encode_unpacked("ñÑéÉüÜ¿¡àèìòùÇ")) == 14


@pytest.mark.parametrize("char", "áíóúÁÍÓÚç")
def test_a6_acute_vowels_are_outside(char):
    assert not gsm7.is_gsm7(f"cami{char}n")


@pytest.mark.parametrize("char", "`\t\u00a0°ºª“”–…\u0391\u200b\ufeff\0\x1b\ufffe\ud800😀\x80\x9b")
def test_a7_other_characters_are_outside(char):
    assert not gsm7.is_gsm7(char)
    assert not gsm7.is_gsm7(f"hola {char} adios @ €")


def test_a8_cr_and_lf():
    assert gsm7.encode_unpacked("\r\n") == b"\r\n"


def test_a9_undefined_escape_shows_the_default_character():
    assert gsm7.decode_unpacked(b"\x1b\x41").lstrip(" ") == "A"
    assert gsm7.decode_unpacked(b"x\x1b\x0dy") == "x\ry"


def test_a10_double_escape_is_a_space():
    assert gsm7.decode_unpacked(b"\x1b\x1b\x62") == " b"


@pytest.mark.parametrize("octets", [b"\x1b", b"ab\x1b", b"\x1b\x1b\x1b", b"\x1b\n\x1b"])
def test_a11_dangling_escape_never_fails(octets):
    assert gsm7.decode_unpacked(octets)


def test_i9_octets_above_7f_become_the_replacement_character():
    assert gsm7.decode_unpacked(b"a\x80\xffb") == "a\ufffd\ufffdb"
    assert gsm7.decode_unpacked(b"\x1b\xe5") == "\ufffd"


@pytest.mark.parametrize(
    ("text", "named"),
    [("hola ó", "U+00F3 at index 5"), ("a\0ó", "U+0000 at index 1"), ("ab\0", "U+0000 at index 2")],
)
def test_the_first_character_that_does_not_fit_is_named(text, named):
    with pytest.raises(SegmentationError, match="not in the GSM") as caught:
        gsm7.encode_unpacked(text)
    assert caught.value.code == "not_in_alphabet"
    assert named in caught.value.detail


def test_a_text_that_fits_has_no_unfit_character():
    assert gsm7.first_unfit("hola") == 4


def test_b23_hello_packs_to_the_known_octets():
    assert gsm7.pack(b"hello").hex() == "e8329bfd06"
    assert gsm7.unpack(bytes.fromhex("e8329bfd06"), 5) == b"hello"


def test_b23_a_header_of_six_octets_needs_one_fill_bit():
    assert [gsm7.fill_bits(octets) for octets in (0, 4, 6, 7, 9)] == [0, 3, 1, 0, 5]
    packed = gsm7.pack(b"hello", fill_bits=1)
    assert packed[0] & 1 == 0
    assert gsm7.unpack(packed, 5, fill_bits=1) == b"hello"
    assert int.from_bytes(packed, "little") == int.from_bytes(bytes.fromhex("e8329bfd06"), "little") << 1


def test_b23_seven_septets_leave_a_ghost_at_that_counting_hides():
    packed = gsm7.pack(b"abcdefg")
    assert len(packed) == 7
    assert gsm7.unpack(packed, 8) == b"abcdefg\0"
    assert gsm7.unpack(packed, 7) == b"abcdefg"
    assert gsm7.pack(b"abcdefg\0") == packed


def test_b23_asking_more_septets_than_there_are_is_refused():
    with pytest.raises(ValueError, match="9 septets asked of octets that hold 8"):
        gsm7.unpack(bytes(7), 9)
    assert gsm7.pack(b"") == b""


def test_b24_spanish_single_shift():
    assert gsm7.encode_unpacked("á", national_single_shift=gsm7.SPANISH).hex() == "1b61"
    spanish = "çÁÍÓÚáíóú€[]"
    coded = gsm7.encode_unpacked(spanish, national_single_shift=gsm7.SPANISH)
    assert coded.hex() == "1b091b411b491b4f1b551b611b691b6f1b751b651b3c1b3e"
    assert gsm7.decode_unpacked(coded, national_single_shift=gsm7.SPANISH) == spanish
    assert not gsm7.is_gsm7("ã", national_single_shift=gsm7.SPANISH)


def test_b24_portuguese_single_and_locking_shift():
    text = "Não é código, são ações: ÁÀÂÃÇÉÊÍÓÔÕÚ áàâãçéêíóôõú"
    single = gsm7.encode_unpacked(text, national_single_shift=gsm7.PORTUGUESE)
    locking = gsm7.encode_unpacked(text, national_locking_shift=gsm7.PORTUGUESE)
    assert gsm7.decode_unpacked(single, national_single_shift=gsm7.PORTUGUESE) == text
    assert gsm7.decode_unpacked(locking, national_locking_shift=gsm7.PORTUGUESE) == text
    assert len(locking) == len(text)
    assert gsm7.encode_unpacked("ã", national_locking_shift=gsm7.PORTUGUESE) == b"\x7b"
    # A character of both tables takes the one septet of the locking table.
    both = gsm7.encode_unpacked(text, national_single_shift=3, national_locking_shift=3)
    assert both == locking


@pytest.mark.parametrize("table", gsm7.LOCKING_SHIFT_TABLES.values())
def test_basic_tables_have_128_different_characters(table):
    assert len(table) == len(set(table)) == 128


@pytest.mark.parametrize(
    ("shifts", "named"),
    [
        ({"national_single_shift": 1}, "national_single_shift 1"),
        ({"national_locking_shift": 2}, "national_locking_shift 2"),  # B24: Spanish has no locking table
    ],
)
def test_unknown_national_tables_are_refused(shifts, named):
    with pytest.raises(SegmentationError, match=named) as caught:
        gsm7.encode_unpacked("a", **shifts)
    assert caught.value.code == "invalid_option"
