"""Cutting UTF-16 text into segments without splitting what people see as one character, when that is free.

Used by `gateway.domain.segmentation` only. The rules are those of UAX #29 that matter in messages: marks, variation
selectors, keycaps, skin tones, joined emoji, flags and tag sequences.
"""

from unicodedata import category

_ZERO_WIDTH_JOINER = "\u200d"
_FIRST_MARK = 0x0300  # no character below it extends the one before
_FIRST_FLAG_LETTER, _LAST_FLAG_LETTER = "\U0001f1e6", "\U0001f1ff"
_FIRST_SKIN_TONE, _LAST_SKIN_TONE = "\U0001f3fb", "\U0001f3ff"
_FIRST_TAG, _LAST_TAG = "\U000e0020", "\U000e007f"


def cut_utf16(octets: bytes, budget: int) -> list[bytes]:
    """Return UTF-16BE text in pieces of at most `budget` octets, as few as possible, none with half a surrogate pair.

    Each piece is as long as it can be, except that a cut inside a grapheme moves to its start when the rest still
    fits the same number of pieces (sms-domain B8-B10).
    """
    pieces: list[bytes] = []
    fewest = 0  # counted at the first cut that falls inside a grapheme
    at, end = 0, len(octets)
    while end - at > budget:
        cut = _cut_at(octets, at + budget)
        if _may_join(octets, cut):
            start = _grapheme_start(octets, cut)
            if at < start < cut:
                fewest = fewest or len(pieces) + _pieces_from(octets, at, budget)
                if len(pieces) + 1 + _pieces_from(octets, start, budget) <= fewest:
                    cut = start
        pieces.append(octets[at:cut])
        at = cut
    pieces.append(octets[at:])
    return pieces


def _cut_at(octets: bytes, cut: int) -> int:
    """Return the cut, moved before a high surrogate that it would part from its low one."""
    return cut - 2 if octets[cut - 2] & 0xFC == 0xD8 else cut


def _pieces_from(octets: bytes, at: int, budget: int) -> int:
    """Return the least number of pieces the text takes from here on."""
    end, pieces = len(octets), 1
    while end - at > budget:
        at = _cut_at(octets, at + budget)
        pieces += 1
    return pieces


def _may_join(octets: bytes, cut: int) -> bool:
    """Rule out the usual boundary cheaply: below U+0300 nothing joins, except after a joiner."""
    after = octets[cut] << 8 | octets[cut + 1]
    return after >= _FIRST_MARK or octets[cut - 2 : cut] == b"\x20\x0d"


def _grapheme_start(octets: bytes, cut: int) -> int:
    """Return the offset where the grapheme around a cut starts; the cut itself when it is a boundary."""
    after = octets[cut : cut + (4 if octets[cut] & 0xFC == 0xD8 else 2)].decode("utf-16-be")
    before = octets[:cut].decode("utf-16-be")
    text = before + after
    index = len(before)
    while index > 0 and _joins(text, index):
        index -= 1
    return cut - len(before[index:].encode("utf-16-be"))


def _joins(text: str, index: int) -> bool:
    """Tell whether the characters on both sides of the index belong together."""
    before, after = text[index - 1], text[index]
    if _ZERO_WIDTH_JOINER in (before, after):
        return True
    if _FIRST_SKIN_TONE <= after <= _LAST_SKIN_TONE or _FIRST_TAG <= after <= _LAST_TAG:
        return True
    if _is_flag_letter(after):
        letters = 0
        while letters < index and _is_flag_letter(text[index - letters - 1]):
            letters += 1
        return letters % 2 == 1
    return category(after)[0] == "M"


def _is_flag_letter(character: str) -> bool:
    return _FIRST_FLAG_LETTER <= character <= _LAST_FLAG_LETTER
