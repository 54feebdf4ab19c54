"""Octets of a recorded segment back to text, for people and conservation checks; never on the hot path.

A table of its own on purpose: the simulator must not share the gateway's idea of the alphabet.
"""

from typing import Final, NamedTuple

from adapters.smpp.wire import constants as c

_BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"  # GSM has Greek capitals
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPED: Final = {
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
_ESCAPE: Final = 0x1B


class Concatenation(NamedTuple):
    """Which segment of which message: reference, total and sequence (from 1)."""

    reference: int
    total: int
    sequence: int


def split_udh(payload: bytes) -> tuple[Concatenation | None, bytes]:
    """Return the concatenation of the user data header that `payload` starts with, and the octets after it."""
    end = 1 + payload[0] if payload else 0
    if not 1 < end <= len(payload):
        return None, payload
    found = None
    at = 1
    while at + 2 <= end:
        element, octets = payload[at], payload[at + 2 : at + 2 + payload[at + 1]]
        if element == 0x00 and len(octets) == 3:
            found = Concatenation(*octets)
        elif element == 0x08 and len(octets) == 4:
            found = Concatenation(octets[0] << 8 | octets[1], octets[2], octets[3])
        at += 2 + payload[at + 1]
    return found, payload[end:]


def gsm7_text(octets: bytes) -> str:
    """Decode unpacked septets; what is no septet becomes U+FFFD."""
    out = []
    pending = iter(octets)
    for octet in pending:
        if octet == _ESCAPE:
            following = next(pending, None)
            if following is not None:
                out.append(_ESCAPED.get(following) or (_BASIC[following] if following < 0x80 else "\ufffd"))
        else:
            out.append(_BASIC[octet] if octet < 0x80 else "\ufffd")
    return "".join(out)


def gsm7_octets(text: str) -> list[bytes] | None:
    """Return the unpacked septets of each character; None when one is not in the alphabet."""
    out = []
    for character in text:
        septets = _SEPTETS.get(character)
        if septets is None:
            return None
        out.append(septets)
    return out


_SEPTETS: Final = {character: bytes((_ESCAPE, code)) for code, character in _ESCAPED.items()} | {
    character: bytes((code,)) for code, character in enumerate(_BASIC) if code != _ESCAPE
}


def decode_text(octets: bytes, *, data_coding: int) -> str | None:
    """Return the text of the user data without UDH; None for binary and alphabets unknown here."""
    if data_coding == c.DATA_CODING_DEFAULT or data_coding & 0xFC in {0x10, 0xF0}:
        return gsm7_text(octets)
    if data_coding == c.DATA_CODING_UCS2 or data_coding & 0xFC == 0x18:
        return octets.decode("utf-16-be", "replace")
    if data_coding == c.DATA_CODING_LATIN1:
        return octets.decode("latin-1")
    if data_coding == c.DATA_CODING_IA5:
        return octets.decode("ascii", "replace")
    return None
