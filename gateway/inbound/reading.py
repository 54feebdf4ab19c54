"""What one record of the topic `mo` says: which octets are its text, in which alphabet, and which segment it is.

Pure. `decode_mo` and `read` look at one record, `text_of` at all segments of a message together. Whatever a carrier or a handset
wrote, there is an answer: a header that lies makes the user data opaque (sms-domain I8), and what cannot be read
becomes U+FFFD (I9).
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.udh import InformationElement, UserData, parse_user_data
from gateway.bus.codec import decode_as
from gateway.domain.alphabets import TextAlphabet, decode_text
from gateway.domain.carried import replace
from gateway.domain.gsm7 import LOCKING_SHIFT_TABLES, SINGLE_SHIFT_TABLES, decode_unpacked
from gateway.domain.receipts import MobileOriginated

REPLACEMENT: Final = "\ufffd"

_NUL: Final = b"\\u0000"
_TEXT_FIELDS: Final = ("carrier", "bind", "sender", "recipient", "service_type", "text", "source_id")
_IE_SINGLE_SHIFT: Final = 0x24
_IE_LOCKING_SHIFT: Final = 0x25
_SAR: Final = (c.TAG_SAR_MSG_REF_NUM, c.TAG_SAR_TOTAL_SEGMENTS, c.TAG_SAR_SEGMENT_SEQNUM)
_SAR_OCTETS: Final = (2, 1, 1)
_WANTED_TLVS: Final = frozenset({c.TAG_MESSAGE_PAYLOAD, *_SAR})
_UDH_KINDS: Final = {8: "udh8", 16: "udh16"}


class Place(NamedTuple):
    """Which segment of which message; `kind` (udh8, udh16, sar) keeps references of different kinds apart."""

    kind: str
    reference: int
    segment_count: int
    segment_index: int


@dataclass(frozen=True, slots=True)
class Content:
    """The user data of one record: `octets` stand behind `header`. `fault` says why a header is not believed, if so.

    The shifts are national language tables of the GSM alphabet (3GPP TS 23.038 §6.2.1.2), 0 for the default.
    """

    octets: bytes
    header: bytes
    alphabet: TextAlphabet
    single_shift: int = 0
    locking_shift: int = 0
    place: Place | None = None
    fault: str = ""


class Reading(NamedTuple):
    """What a message says. `text` is None for a binary message, and valid UTF-8 without NUL otherwise.

    `data` holds the octets where the text is not all there is to know: of binary and opaque messages.
    """

    text: str | None
    encoding: TextAlphabet
    data: bytes | None


def decode_mo(value: bytes) -> MobileOriginated:
    """Return the MO of a record, without NUL in any text: PostgreSQL cannot hold it; EnvelopeError as the codec."""
    mo: MobileOriginated = decode_as(MobileOriginated, value)
    if _NUL not in value:
        return mo
    texts = {name: text.replace("\0", REPLACEMENT) for name in _TEXT_FIELDS if (text := getattr(mo, name))}
    media = mo.media and {_storable(name): _storable(text) for name, text in mo.media.items()}
    return replace(mo, **texts, media=media)


def is_spoken(mo: MobileOriginated) -> bool:
    """Tell whether it came in characters, not in octets: of channels beside SMS."""
    return mo.text is not None or mo.media is not None


def read(mo: MobileOriginated) -> Content:
    """Return the content of one record; ValueError only where the record itself holds no octets in hex."""
    tlvs = _wanted_tlvs(mo)
    user_data = bytes.fromhex(mo.short_message_hex) or tlvs.get(c.TAG_MESSAGE_PAYLOAD, b"")
    place, fault = _sar_place(tlvs)
    if not mo.esm_class & c.ESM_UDHI:
        return Content(user_data, b"", mo.alphabet, place=place, fault=fault)
    parsed = parse_user_data(user_data)
    if parsed.fault is not None:
        # Behind a lie nothing is to be reassembled, by TLVs neither.
        return Content(parsed.payload, parsed.header, mo.alphabet, fault=parsed.fault)
    in_header = _udh_place(parsed)
    return Content(
        parsed.payload,
        parsed.header,
        mo.alphabet,
        single_shift=_shift(parsed, _IE_SINGLE_SHIFT, known=SINGLE_SHIFT_TABLES),
        locking_shift=_shift(parsed, _IE_LOCKING_SHIFT, known=LOCKING_SHIFT_TABLES),
        place=in_header or place,
        fault="" if in_header else fault,
    )


def text_of(contents: Sequence[Content | None]) -> Reading:
    """Return what the segments say together, in their order; where some are missing (None), there is one U+FFFD.

    Neighbours in one alphabet are decoded as one: handsets cut surrogate and escape pairs in two.
    """
    present = [content for content in contents if content is not None]
    octets = b"".join([content.octets for content in present])
    encoding = max((content.alphabet for content in present), key=_WIDTH.__getitem__)
    if encoding is TextAlphabet.BINARY:
        return Reading(None, encoding, octets)
    text = "".join(_decoded_runs(contents)).removeprefix("\ufeff")
    if encoding is not TextAlphabet.GSM7:
        text = text.rstrip("\0")  # some carriers count the end of a C string in
    is_opaque = any(content.fault for content in present)
    return Reading(text.replace("\0", REPLACEMENT), encoding, octets if is_opaque else None)


# Of segments in different alphabets, the one that could say all of it names the message.
_WIDTH: Final = {
    TextAlphabet.ASCII: 0,
    TextAlphabet.GSM7: 1,
    TextAlphabet.LATIN1: 2,
    TextAlphabet.UCS2: 3,
    TextAlphabet.BINARY: 4,
}


def _storable(text: str) -> str:
    return text.replace("\0", REPLACEMENT)


def _wanted_tlvs(mo: MobileOriginated) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for tag, value in mo.tlvs_hex:
        if tag in _WANTED_TLVS and tag not in found:
            found[tag] = bytes.fromhex(value)
    return found


def _sar_place(tlvs: dict[int, bytes]) -> tuple[Place | None, str]:
    """Return the place that the sar_* TLVs tell (SMPP 3.4 §5.3.2.22-24), or why they are not believed."""
    values = [tlvs.get(tag) for tag in _SAR]
    if values == [None, None, None]:
        return None, ""
    numbers = []
    for value, octets in zip(values, _SAR_OCTETS, strict=True):
        if value is None or len(value) != octets:
            return None, "the sar TLVs are not complete"
        numbers.append(int.from_bytes(value, "big"))
    reference, segment_count, segment_index = numbers
    if not 1 <= segment_index <= segment_count:
        return None, "the sar TLVs are impossible"
    return Place("sar", reference, segment_count, segment_index), ""


def _udh_place(parsed: UserData) -> Place | None:
    found = parsed.concatenation
    if found is None:
        return None
    return Place(_UDH_KINDS[found.reference_bits], found.reference, found.segment_count, found.segment_index)


def _shift(parsed: UserData, identifier: int, *, known: Collection[int]) -> int:
    """Return the language of a national table that we have; the default table shows most of the others' text."""
    element: InformationElement
    for element in reversed(parsed.elements):
        if element.identifier == identifier and len(element.data) == 1:
            return element.data[0] if element.data[0] in known else 0
    return 0


def _manner(content: Content | None) -> tuple[TextAlphabet, int, int] | None:
    return None if content is None else (content.alphabet, content.single_shift, content.locking_shift)


def _decoded_runs(contents: Sequence[Content | None]) -> Iterator[str]:
    for manner, run in groupby(contents, _manner):
        pieces = [content.octets for content in run if content is not None]
        if manner is None:
            yield REPLACEMENT
            continue
        alphabet, single_shift, locking_shift = manner
        if alphabet is TextAlphabet.GSM7:
            yield decode_unpacked(
                b"".join(pieces), national_single_shift=single_shift, national_locking_shift=locking_shift
            )
        elif alphabet is TextAlphabet.UCS2:
            yield _joined_ucs2(pieces)
        else:
            yield decode_text(b"".join(pieces), alphabet) or ""


def _joined_ucs2(pieces: Sequence[bytes]) -> str:
    """Return the text of UTF-16 pieces: an odd octet spoils its own piece only, a pair may be cut between two."""
    text = "".join(
        [
            piece[: len(piece) & ~1].decode("utf-16-be", "surrogatepass") + REPLACEMENT * (len(piece) & 1)
            for piece in pieces
        ]
    )
    return text.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace")
