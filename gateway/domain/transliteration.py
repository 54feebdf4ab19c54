"""Transliteration of Latin text into the GSM 7-bit alphabet, for accounts that prefer one segment to an accent.

What the alphabet has is kept (ñ é ü ¿ ¡ à); what has no plain form (emoji, Cyrillic) is left for the caller,
who then sends the text as UCS-2: nothing is dropped or replaced by a question mark (sms-domain C1-C6).
"""

from unicodedata import normalize

from gateway.domain.gsm7 import is_gsm7

_LATIN_RANGES = (range(0x00C0, 0x0250), range(0x1E00, 0x1F00))
_COMBINING_MARKS = range(0x0300, 0x0370)

_TYPOGRAPHY = {
    '"': "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\uff02",
    "'": "\u2018\u2019\u201a\u201b\u2032\u00b4\u0060\uff07",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212",
    "...": "\u2026",
    " ": "\t\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000",
    "\n": "\u2028\u2029",
    # Zero width: soft hyphen, ZWSP, ZWNJ, ZWJ, direction marks, word joiner, BOM.
    "": "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff",
    "o": "\u00ba",
    "a": "\u00aa",
}
_LETTERS = {
    "ĳ": "ij", "Ĳ": "IJ", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D",
    "þ": "th", "Þ": "TH", "ħ": "h", "Ħ": "H", "\u0131": "i", "ŋ": "ng", "Ŋ": "NG", "ŧ": "t", "Ŧ": "T", "ẞ": "SS",
}  # fmt: skip


def _plain(character: str) -> str | None:
    """Return the longest prefix of a letter and its marks that the alphabet has, composed, or None."""
    decomposed = normalize("NFD", character)
    # Marks go one by one from the end, so that a letter keeps the one mark the alphabet knows (the ü of ǘ).
    for length in range(len(decomposed) - 1, 0, -1):
        candidate = normalize("NFC", decomposed[:length])
        if is_gsm7(candidate):
            return candidate
    return None


def _table() -> dict[int, str]:
    table = {ord(odd): plain for plain, odds in _TYPOGRAPHY.items() for odd in odds}
    table |= {ord(letter): plain for letter, plain in _LETTERS.items()}
    for code in (code for codes in _LATIN_RANGES for code in codes):
        plain = None if is_gsm7(chr(code)) else _plain(chr(code))
        if plain is not None:
            table[code] = plain
    # Marks that no precomposed letter took up.
    return table | dict.fromkeys(_COMBINING_MARKS, "")


_TO_PLAIN = _table()


def transliterate(text: str) -> str:
    """Return the text with every character that GSM 7-bit lacks in its plain form, where it has one.

    Composed first (C2), so that ñ survives in any spelling; characters without a plain form stay (C4).
    """
    return normalize("NFC", text).translate(_TO_PLAIN)
