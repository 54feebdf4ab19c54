"""Octets of a text by the name of their alphabet: what a carrier adapter has worked out from data_coding.

data_coding alone does not say it: 0 is whatever a carrier's default alphabet is (sms-domain A12, A13).
"""

from enum import StrEnum

from gateway.domain.gsm7 import decode_unpacked


class TextAlphabet(StrEnum):
    """How the octets of a short message are to be read."""

    GSM7 = "gsm7"
    ASCII = "ascii"
    LATIN1 = "latin1"
    UCS2 = "ucs2"
    BINARY = "binary"


def alphabet_of(data_coding: int, *, default: TextAlphabet = TextAlphabet.GSM7) -> TextAlphabet:
    """Return the alphabet that a data_coding names; `default` is what the sender means by 0.

    SMPP 3.4 §5.2.19, and beyond its own values the groups of 3GPP TS 23.038 §4. What is no alphabet of ours is
    BINARY: its octets say more than a guess.
    """
    if data_coding < 0x10:
        return _SMPP_ALPHABETS.get(data_coding, TextAlphabet.BINARY) if data_coding else default
    if data_coding < 0x80:  # general groups: bit 5 says compressed, bits 3-2 the alphabet
        return TextAlphabet.BINARY if data_coding & 0x20 else _GENERAL_ALPHABETS[data_coding >> 2 & 3]
    match data_coding >> 4:
        case 0xC | 0xD:  # a message waits
            return TextAlphabet.GSM7
        case 0xE:
            return TextAlphabet.UCS2
        case 0xF:  # message class; bit 2 says 8-bit
            return TextAlphabet.BINARY if data_coding & 4 else TextAlphabet.GSM7
    return TextAlphabet.BINARY


_SMPP_ALPHABETS = {
    1: TextAlphabet.ASCII,
    3: TextAlphabet.LATIN1,
    8: TextAlphabet.UCS2,
}
_GENERAL_ALPHABETS = (TextAlphabet.GSM7, TextAlphabet.BINARY, TextAlphabet.UCS2, TextAlphabet.BINARY)


def decode_text(octets: bytes, alphabet: TextAlphabet) -> str | None:
    """Return the text of octets without a header, None for BINARY; what cannot be read is U+FFFD (sms-domain I9)."""
    match alphabet:
        case TextAlphabet.GSM7:
            return decode_unpacked(octets)
        case TextAlphabet.ASCII:
            return octets.decode("ascii", "replace")
        case TextAlphabet.LATIN1:
            return octets.decode("latin-1")
        case TextAlphabet.UCS2:
            return octets.decode("utf-16-be", "replace")
        case TextAlphabet.BINARY:
            return None
