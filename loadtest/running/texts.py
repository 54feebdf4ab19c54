"""What a load says and to whom: texts that carry a token in each of their segments, and recipients that are nobody's.

Pure. The token is how a message that was accepted is found again in a carrier's record (decision 0048): `#`, three hex
digits of the run, seven of the message. It is repeated so often that every segment has one whole, however the gateway
cuts the text; so no header and no reference of the carrier's protocol is needed.
"""

import re
from collections.abc import Iterator, Mapping
from random import Random
from typing import Final, NamedTuple

MAX_MESSAGES: Final = 16**7
MAX_RECIPIENTS: Final = 27_000
TOKEN: Final = re.compile(r"#([0-9a-f]{10})")

_PERIOD: Final = 44  # a window of 54 characters has a whole token; the shortest segment has 56
_TOKEN_LENGTH: Final = 11
_GSM7: Final = " Su pedido va en camino, gracias. AYUDA "
_UCS2: Final = " Tu código llegó, ¿dudas? Escríbenos ya "
_PART: Final = {
    "gsm7": 153,
    "ucs2": 67,
}  # 3GPP TS 23.040 §9.2.3.24.1: characters of a part beside an 8-bit reference
_LAST: Final = {"gsm7": 100, "ucs2": 56}  # so that 16 bits of reference make no part more, up to ten

# Numbers of the documentation, their last four digits varied; 00 to 09 at the end have a meaning at simulators.
_FORMS: Final = ("+52551234{:02d}{:02d}", "+5698765{:02d}{:02d}", "+57300111{:02d}{:02d}")
_ENDINGS: Final = 90


class Kind(NamedTuple):
    """What a message is: its class, alphabet (gsm7, ucs2) and number of segments."""

    message_class: str
    alphabet: str
    segment_count: int


def kinds(
    mix: Mapping[str, float], *, gsm7: float, segments: Mapping[int, float]
) -> tuple[list[Kind], list[float]]:
    """Return every kind that occurs, with its share of the messages."""
    found: list[Kind] = []
    shares: list[float] = []
    for message_class, class_share in mix.items():
        for alphabet, alphabet_share in (("gsm7", gsm7), ("ucs2", 1 - gsm7)):
            for count, share in segments.items():
                if class_share * alphabet_share * share > 0:
                    found.append(Kind(message_class, alphabet, count))
                    shares.append(class_share * alphabet_share * share)
    return found, shares


def recipient(index: int) -> str:
    """Return the number of the `index`-th recipient, in E.164 with its plus. ValueError beyond 27,000."""
    if not 0 <= index < MAX_RECIPIENTS:
        raise ValueError(f"recipient {index} is outside 0..{MAX_RECIPIENTS - 1}")
    row, market = divmod(index, len(_FORMS))
    first, ending = divmod(row, _ENDINGS)
    return _FORMS[market].format(first, 10 + ending)


def token(nonce: str, number: int) -> str:
    """Return the ten hex digits of a message: three of the run, seven of its number."""
    return f"{nonce}{number:07x}"


class TextMaker:
    """Makes the texts of one run; `nonce` are its three hex digits."""

    def __init__(self, nonce: str) -> None:
        if re.fullmatch(r"[0-9a-f]{3}", nonce) is None:
            raise ValueError(f"nonce {nonce!r} is not three hex digits")
        self._nonce = nonce
        self._filler = {
            alphabet: (text * 2)[: _PERIOD - _TOKEN_LENGTH]
            for alphabet, text in (("gsm7", _GSM7), ("ucs2", _UCS2))
        }

    def text(self, kind: Kind, number: int) -> str:
        """Return the text of a message; it has the alphabet and the segments of its kind."""
        length = _PART[kind.alphabet] * (kind.segment_count - 1) + _LAST[kind.alphabet]
        unit = f"#{self._nonce}{number:07x}{self._filler[kind.alphabet]}"
        return (unit * (length // _PERIOD + 1))[:length].rstrip()


def recipients(count: int, *, seed: int) -> Iterator[int]:
    """Yield indexes of recipients for ever, each once in a round, in the order that the seed gives.

    So two messages to one recipient are as far apart as can be, and their order is not left to a race of requests.
    """
    order = list(range(count))
    Random(f"recipients:{seed}").shuffle(order)
    while True:
        yield from order
