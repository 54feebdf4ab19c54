"""GSM 7-bit default alphabet with its extension and national tables (3GPP TS 23.038), unpacked and packed.

Segmentation encodes with it, the inbound pipeline decodes with it. Encoding runs in C: a charmap codec gives
one octet per character, and the few extension characters (octets with the high bit set) are expanded after it.
"""

import re
from codecs import charmap_build, charmap_decode, charmap_encode

from gateway.domain.errors import SegmentationError

ESCAPE = 0x1B
REPLACEMENT = "\ufffd"
SPANISH = 2  # national language identifiers, 3GPP TS 23.038 §6.2.1.2.4
PORTUGUESE = 3

# The character at 1B stands for the escape itself and is never text.
_DEFAULT = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_PORTUGUESE_LOCKING = (
    "@£$¥êéúíóç\nÔô\rÁáΔ_ªÇÀ∞^\\€Ó|\x1bÂâÊÉ"
    " !\"#º%&'()*+,-./0123456789:;<=>?"
    "ÍABCDEFGHIJKLMNOPQRSTUVWXYZÃÕÚÜ§"
    "~abcdefghijklmnopqrstuvwxyzãõ`üà"
)
_EXTENSION = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
# 3GPP TS 23.038 annex A.2.2
_SPANISH_SINGLE = _EXTENSION | {
    0x09: "ç",
    0x41: "Á",
    0x49: "Í",
    0x4F: "Ó",
    0x55: "Ú",
    0x61: "á",
    0x69: "í",
    0x6F: "ó",
    0x75: "ú",
}
# 3GPP TS 23.038 annex A.2.3
_PORTUGUESE_SINGLE = _EXTENSION | {
    0x05: "ê",
    0x09: "ç",
    0x0B: "Ô",
    0x0C: "ô",
    0x0E: "Á",
    0x0F: "á",
    0x12: "Φ",
    0x13: "Γ",
    0x15: "Ω",
    0x16: "Π",
    0x17: "Ψ",
    0x18: "Σ",
    0x19: "Θ",
    0x1F: "Ê",
    0x41: "À",
    0x49: "Í",
    0x4F: "Ó",
    0x55: "Ú",
    0x5B: "Ã",
    0x5C: "Õ",
    0x61: "Â",
    0x69: "í",
    0x6F: "ó",
    0x75: "ú",
    0x7B: "ã",
    0x7C: "õ",
    0x7F: "â",
}
SINGLE_SHIFT_TABLES = {0: _EXTENSION, SPANISH: _SPANISH_SINGLE, PORTUGUESE: _PORTUGUESE_SINGLE}
LOCKING_SHIFT_TABLES = {0: _DEFAULT, PORTUGUESE: _PORTUGUESE_LOCKING}

_UNASSIGNED = "\ufffe"  # what charmap tables call a hole
# A charmap table must map octet 0 to NUL, so @ (code 00) takes the slot of the escape, which no text ever has.
_AT_SLOT = 0x80 | ESCAPE
_AT_OCTET = bytes((_AT_SLOT,))
_LOW_OCTETS = bytes(range(0x80))
_ESCAPE_PAIRS = {0x80 | code: (bytes((0x80 | code,)), bytes((ESCAPE, code))) for code in range(0x80)}
_ESCAPED = re.compile("\x1b.?", re.DOTALL)


class Alphabet:
    """One combination of a locking and a single shift table, prepared for the C codecs."""

    __slots__ = ("decoding", "encoding", "extension")

    def __init__(self, *, basic: str, extension: dict[int, str]) -> None:
        slots = [_UNASSIGNED] * 256
        slots[0] = "\0"
        for code, character in extension.items():
            # A character in both tables is sent without the escape, at half the price.
            if character not in basic:
                slots[0x80 | code] = character
        for code, character in enumerate(basic):
            if code != ESCAPE:
                slots[code or _AT_SLOT] = character
        self.encoding = charmap_build("".join(slots))
        self.decoding = basic + REPLACEMENT * 128
        # A second escape asks for a further table, which nobody defined: it is shown as a space (§6.2.1.1).
        self.extension = extension | {ESCAPE: " "}


_ALPHABETS = {
    (single, locking): Alphabet(basic=basic, extension=extension)
    for single, extension in SINGLE_SHIFT_TABLES.items()
    for locking, basic in LOCKING_SHIFT_TABLES.items()
}
_PLAIN = _ALPHABETS[0, 0]


def alphabet(national_single_shift: int, national_locking_shift: int) -> Alphabet:
    """Return the alphabet of two national language identifiers (0 = default table); SegmentationError if unknown."""
    found = _ALPHABETS.get((national_single_shift, national_locking_shift))
    if found is None:
        if national_single_shift not in SINGLE_SHIFT_TABLES:
            raise SegmentationError(
                "invalid_option",
                f"national_single_shift {national_single_shift} is not one of 0, 2 (Spanish), 3 (Portuguese)",
            )
        raise SegmentationError(
            "invalid_option",
            f"national_locking_shift {national_locking_shift} is not one of 0, 3 (Portuguese)",
        )
    return found


def septets_or_none(text: str, table: Alphabet = _PLAIN) -> bytes | None:
    """Return the septets of a text, one per octet, or None when a character is outside the alphabet."""
    try:
        coded = charmap_encode(text, "strict", table.encoding)[0]
    except UnicodeEncodeError:
        return None
    if b"\0" in coded:  # a NUL in the text; @ has its own slot until the next line
        return None
    if _AT_OCTET in coded:
        coded = coded.replace(_AT_OCTET, b"\0")
    if coded.isascii():
        return coded
    for octet in set(coded.translate(None, _LOW_OCTETS)):
        slot, pair = _ESCAPE_PAIRS[octet]
        coded = coded.replace(slot, pair)
    return coded


def is_gsm7(text: str, *, national_single_shift: int = 0, national_locking_shift: int = 0) -> bool:
    """Tell whether every character is in the alphabet (sms-domain A1-A8)."""
    return septets_or_none(text, alphabet(national_single_shift, national_locking_shift)) is not None


def encode_unpacked(text: str, *, national_single_shift: int = 0, national_locking_shift: int = 0) -> bytes:
    """Return the septets of a text, one per octet; SegmentationError names the first character that does not fit."""
    table = alphabet(national_single_shift, national_locking_shift)
    septets = septets_or_none(text, table)
    if septets is None:
        index = first_unfit(text, table)
        raise SegmentationError(
            "not_in_alphabet",
            f"character U+{ord(text[index]):04X} at index {index} is not in the GSM 7-bit alphabet",
        )
    return septets


def first_unfit(text: str, table: Alphabet = _PLAIN) -> int:
    """Return the index of the first character outside the alphabet, or the length of the text when all fit."""
    try:
        charmap_encode(text, "strict", table.encoding)
    except UnicodeEncodeError as error:
        end = error.start
    else:
        end = len(text)
    nul = text.find("\0", 0, end)
    return end if nul < 0 else nul


def decode_unpacked(octets: bytes, *, national_single_shift: int = 0, national_locking_shift: int = 0) -> str:
    """Return the text of septets, one per octet; never fails (sms-domain A9-A11, I9).

    An undefined escape shows the character of the default alphabet, a dangling one a space, an octet above 7F U+FFFD.
    """
    table = alphabet(national_single_shift, national_locking_shift)
    text = charmap_decode(octets, "strict", table.decoding)[0]
    if "\x1b" not in text:
        return text
    extension = table.extension

    def shown(match: re.Match[str]) -> str:
        if len(match[0]) == 1:
            return " "
        # One octet gave one character so far: the code stands at the same index.
        return extension.get(octets[match.end() - 1], match[0][1])

    return _ESCAPED.sub(shown, text)


def fill_bits(udh_octets: int) -> int:
    """Return how many zero bits follow a user data header so that the text starts on a septet (3GPP TS 23.040 §9.2.3.24)."""
    return -udh_octets * 8 % 7


def pack(septets: bytes, *, fill_bits: int = 0) -> bytes:
    """Return the septets packed into octets after `fill_bits` zero bits (3GPP TS 23.038 §6.1.2.1).

    A length of 8n-1 septets leaves 7 zero bits that look like `@`: the reader has to know the number of septets.
    """
    bits = "".join([_SEPTET_BITS[septet] for septet in reversed(septets)])
    return (int(bits or "0", 2) << fill_bits).to_bytes((len(bits) + fill_bits + 7) // 8, "little")


def unpack(octets: bytes, septet_count: int, *, fill_bits: int = 0) -> bytes:
    """Return `septet_count` septets, one per octet; ValueError when the octets hold fewer."""
    available = (len(octets) * 8 - fill_bits) // 7
    if septet_count > available:
        raise ValueError(f"{septet_count} septets asked of octets that hold {available}")
    bits = int.from_bytes(octets, "little") >> fill_bits
    return bytes([bits >> 7 * index & 0x7F for index in range(septet_count)])


_SEPTET_BITS = [f"{septet:07b}" for septet in range(0x80)]
