"""Which alphabet a text takes and how it is cut into segments: the one function of sender, price and `:validate`.

`segment_text` gives the segments as they go on the wire, `measure_text` and `count_segments` only their number; all
three share the encoder and the cutter, so they cannot disagree (sms-domain B27). Budgets: one short message carries
140 octets with its user data header (3GPP TS 23.040 §9.2.3.24).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple
from unicodedata import normalize

from gateway.domain import graphemes
from gateway.domain.errors import SegmentationError
from gateway.domain.gsm7 import Alphabet, alphabet, fill_bits, first_unfit, pack, septets_or_none
from gateway.domain.transliteration import transliterate as to_plain

MAX_SEGMENTS = 255  # the total is one octet of the concatenation header
AIR_OCTETS = 140
MAX_SHORT_SEPTETS = AIR_OCTETS * 8 // 7
ESM_UDHI = 0x40  # SMPP 3.4 §5.2.12
DATA_CODINGS = {"gsm7": 0, "ucs2": 8, "latin1": 3, "binary": 4}  # SMPP 3.4 §5.2.19
SPLITS = frozenset({"udh", "sar", "payload"})

_CONCATENATION_OCTETS = {8: 5, 16: 6}  # information elements 00 and 08, 3GPP TS 23.040 §9.2.3.24.1 and .8
_IE_SINGLE_SHIFT = 0x24  # 3GPP TS 23.040 §9.2.3.24.15
_IE_LOCKING_SHIFT = 0x25  # 3GPP TS 23.040 §9.2.3.24.16
_OWN_IES = frozenset({0x00, 0x08, _IE_SINGLE_SHIFT, _IE_LOCKING_SHIFT})
_ESCAPE = 0x1B


@dataclass(slots=True, unsafe_hash=True)  # treated as frozen, which would triple what making one costs
class SegmentPayload:
    """One short message for a carrier. `short_message` begins with `udh`; `tlvs` are (SMPP name, value) in wire order."""

    esm_class: int
    udh: bytes
    short_message: bytes
    tlvs: tuple[tuple[str, int | bytes], ...] = ()


@dataclass(slots=True, unsafe_hash=True)  # treated as frozen, which would triple what making one costs
class Segmentation:
    """A text cut up. `units` counts septets, UTF-16 units or octets of the whole text.

    `segment_count` is what is billed; in payload mode one submit_sm carries them all and `segments` holds one (B19).
    """

    encoding: str
    data_coding: int
    units: int
    segments: tuple[SegmentPayload, ...]
    segment_count: int


class MeasuredText(NamedTuple):
    """What will be sent: the text composed (and plain, where asked for), its alphabet, its length and its price."""

    text: str
    encoding: str
    units: int
    segment_count: int


class _Coded(NamedTuple):
    """A text in its alphabet: one octet a septet, UTF-16BE, or plain octets."""

    text: str
    encoding: str
    octets: bytes
    shift_ies: bytes = b""


def segment_text(
    text: str | bytes,
    *,
    encoding: str = "auto",
    reference: int = 0,
    reference_bits: int = 8,
    split: str = "udh",
    packed: bool = False,
    transliterate: bool = False,
    national_single_shift: int = 0,
    national_locking_shift: int = 0,
    extra_udh_ies: bytes = b"",
    max_segments: int = MAX_SEGMENTS,
) -> Segmentation:
    """Return the segments of a text, or of octets when `encoding` is "binary"; raises SegmentationError.

    `encoding` "auto" takes GSM 7-bit when every character fits, else UCS-2. `reference` is the concatenation
    reference of `reference_bits` bits (SAR: always 16). `packed` packs septets as on the air instead of one per
    octet. National shifts are 3GPP language identifiers (2 Spanish, 3 Portuguese) and are written whenever the
    alphabet is GSM 7-bit. `extra_udh_ies` are information elements, such as ports, that every segment repeats.
    """
    coded = _encode(text, encoding, transliterate, national_single_shift, national_locking_shift)
    ies = coded.shift_ies + extra_udh_ies
    pieces = _cut(coded, ies, extra_udh_ies, reference_bits, split, max_segments)
    packed = packed and coded.encoding == "gsm7"
    total = len(pieces)
    segments: tuple[SegmentPayload, ...]
    if split == "payload":
        segments = (_payload_segment(coded.octets, ies, packed=packed),)
    elif total == 1:
        segments = (_segment(coded.octets, ies, packed=packed),)
    else:
        _check_reference(reference, 16 if split == "sar" else reference_bits)
        if split == "sar":
            segments = tuple(
                _segment(piece, ies, packed=packed, tlvs=_sar_tlvs(reference, total, number))
                for number, piece in enumerate(pieces, 1)
            )
        else:
            head = b"\x00\x03" if reference_bits == 8 else b"\x08\x04"
            head += reference.to_bytes(reference_bits // 8, "big") + bytes((total,))
            segments = tuple(
                _segment(piece, head + bytes((number,)) + ies, packed=packed)
                for number, piece in enumerate(pieces, 1)
            )
    return Segmentation(coded.encoding, DATA_CODINGS[coded.encoding], _units(coded), segments, total)


def measure_text(
    text: str | bytes,
    *,
    encoding: str = "auto",
    reference_bits: int = 8,
    split: str = "udh",
    transliterate: bool = False,
    national_single_shift: int = 0,
    national_locking_shift: int = 0,
    extra_udh_ies: bytes = b"",
    max_segments: int = MAX_SEGMENTS,
) -> MeasuredText:
    """Return what `segment_text` would send and how many segments that is, without building them.

    Segmenting the returned text in the returned encoding gives the same segments: intake stores both.
    """
    coded = _encode(text, encoding, transliterate, national_single_shift, national_locking_shift)
    pieces = _cut(coded, coded.shift_ies + extra_udh_ies, extra_udh_ies, reference_bits, split, max_segments)
    return MeasuredText(coded.text, coded.encoding, _units(coded), len(pieces))


def measure_short(text: str) -> MeasuredText | None:
    """Return what `measure_text` says without options of a composed text that fits one segment; None for any other."""
    septets = septets_or_none(text)
    if septets is not None:
        units = len(septets)
        return MeasuredText(text, "gsm7", units, 1) if 0 < units <= MAX_SHORT_SEPTETS else None
    if normalize("NFC", text) != text:
        return None
    try:
        octets = len(text.encode("utf-16-be"))
    except UnicodeEncodeError:
        return None
    return MeasuredText(text, "ucs2", octets // 2, 1) if octets <= AIR_OCTETS else None


def measure_whole(text: str, *, encoding: str = "auto", transliterate: bool = False) -> MeasuredText:
    """Return what goes to a carrier that cuts texts itself: alphabet and length as elsewhere, one submit."""
    coded = _encode(text, encoding, transliterate, 0, 0)
    return MeasuredText(coded.text, coded.encoding, _units(coded), 1)


def count_segments(
    text: str | bytes,
    *,
    encoding: str = "auto",
    reference_bits: int = 8,
    split: str = "udh",
    transliterate: bool = False,
    national_single_shift: int = 0,
    national_locking_shift: int = 0,
    extra_udh_ies: bytes = b"",
    max_segments: int = MAX_SEGMENTS,
) -> tuple[str, int, int]:
    """Return (encoding, units, segment_count) of a text, as `segment_text` would give them; raises SegmentationError."""
    coded = _encode(text, encoding, transliterate, national_single_shift, national_locking_shift)
    pieces = _cut(coded, coded.shift_ies + extra_udh_ies, extra_udh_ies, reference_bits, split, max_segments)
    return coded.encoding, _units(coded), len(pieces)


# --- alphabet -------------------------------------------------------------------------------------------------


def _encode(text: str | bytes, encoding: str, transliterate: bool, single: int, locking: int) -> _Coded:  # noqa: FBT001 - private, positional for speed
    if not text:
        raise SegmentationError("empty_text", "the text is empty")
    if isinstance(text, bytes):
        if encoding != "binary":
            raise SegmentationError("invalid_option", f"octets need encoding 'binary', not {encoding!r}")
        return _Coded("", "binary", text)
    if encoding in ("auto", "gsm7"):
        table = alphabet(single, locking)
        shift_ies = _shift_ies(single, locking) if single or locking else b""
        septets = septets_or_none(text, table)
        if septets is not None:  # such a text is composed already: the alphabet has no combining character
            return _Coded(text, "gsm7", septets, shift_ies)
        text = normalize("NFC", text)  # B, C2
        for candidate in (text, to_plain(text)) if transliterate else (text,):
            septets = septets_or_none(candidate, table)
            if septets:  # a text of nothing but a BOM has no plain form
                return _Coded(candidate, "gsm7", septets, shift_ies)
        if encoding == "gsm7":
            raise _unfit(text, table)
        return _encode_ucs2(text)
    if encoding == "ucs2":
        return _encode_ucs2(normalize("NFC", text))
    if encoding == "latin1":
        return _encode_latin1(normalize("NFC", text), transliterate=transliterate)
    if encoding == "binary":
        raise SegmentationError("invalid_option", "encoding 'binary' needs octets, not text")
    raise SegmentationError(
        "invalid_option", f"encoding {encoding!r} is not one of auto, gsm7, ucs2, latin1, binary"
    )


def _encode_ucs2(text: str) -> _Coded:
    try:
        return _Coded(text, "ucs2", text.encode("utf-16-be"))  # B12: big endian, no BOM
    except UnicodeEncodeError as error:
        raise _lone_surrogate(text, error.start) from None


def _encode_latin1(text: str, *, transliterate: bool) -> _Coded:
    if transliterate and not text.isascii():
        # Only what Latin-1 lacks is made plain: its own accents stay.
        text = "".join([char if char <= "\xff" else to_plain(char) for char in text]) or text
    try:
        return _Coded(text, "latin1", text.encode("latin-1"))
    except UnicodeEncodeError as error:
        raise _not_in_alphabet(text, error.start, "Latin-1") from None


def _unfit(text: str, table: Alphabet) -> SegmentationError:
    return _not_in_alphabet(text, first_unfit(text, table), "the GSM 7-bit alphabet")


def _not_in_alphabet(text: str, index: int, name: str) -> SegmentationError:
    if "\ud800" <= text[index] <= "\udfff":
        return _lone_surrogate(text, index)
    return SegmentationError(
        "not_in_alphabet", f"character U+{ord(text[index]):04X} at index {index} is not in {name}"
    )


def _lone_surrogate(text: str, index: int) -> SegmentationError:
    return SegmentationError(
        "lone_surrogate", f"U+{ord(text[index]):04X} at index {index} is half of a surrogate pair"
    )


def _shift_ies(single: int, locking: int) -> bytes:
    return (bytes((_IE_SINGLE_SHIFT, 1, single)) if single else b"") + (
        bytes((_IE_LOCKING_SHIFT, 1, locking)) if locking else b""
    )


def _units(coded: _Coded) -> int:
    return len(coded.octets) // 2 if coded.encoding == "ucs2" else len(coded.octets)


# --- cutting --------------------------------------------------------------------------------------------------


def _budget(encoding: str, udh_octets: int) -> int:
    """Octets of `_Coded` that one segment holds: a septet is one there, a UTF-16 unit two."""
    room = AIR_OCTETS - udh_octets
    if encoding == "gsm7":
        return room * 8 // 7
    return room // 2 * 2 if encoding == "ucs2" else room


def _cut(
    coded: _Coded, ies: bytes, extra_ies: bytes, reference_bits: int, split: str, max_segments: int
) -> list[bytes]:
    """Return the octets of each segment, filled greedily."""
    if split not in SPLITS:
        raise SegmentationError("invalid_option", f"split {split!r} is not one of udh, sar, payload")
    concatenation = _CONCATENATION_OCTETS.get(reference_bits)
    if concatenation is None:
        raise SegmentationError("invalid_option", f"reference_bits {reference_bits} is not 8 or 16")
    if not 1 <= max_segments <= MAX_SEGMENTS:
        raise SegmentationError("invalid_option", f"max_segments {max_segments} is outside 1..{MAX_SEGMENTS}")
    if extra_ies:
        _check_ies(extra_ies)
    encoding, octets = coded.encoding, coded.octets
    if len(octets) <= _budget(encoding, len(ies) + 1 if ies else 0):
        return [octets]
    if split == "sar":
        concatenation = _CONCATENATION_OCTETS[
            8
        ]  # B18: the same budget, whatever header the carrier will write
    budget = _budget(encoding, 1 + concatenation + len(ies))
    if budget < 4:  # an escape pair or a surrogate pair must fit
        raise SegmentationError(
            "invalid_option", f"information elements of {len(ies)} octets leave no room for text"
        )
    pieces = _CUTTERS[encoding](octets, budget)
    if len(pieces) > max_segments:
        raise SegmentationError(
            "too_many_segments", f"{len(pieces)} segments exceed the limit of {max_segments}"
        )
    return pieces


def _cut_septets(octets: bytes, budget: int) -> list[bytes]:
    if _ESCAPE not in octets:
        return _cut_octets(octets, budget)
    pieces = []
    at, end = 0, len(octets)
    while end - at > budget:
        cut = at + budget
        if octets[cut - 1] == _ESCAPE:  # B4: the escape goes with its character
            cut -= 1
        pieces.append(octets[at:cut])
        at = cut
    pieces.append(octets[at:])
    return pieces


def _cut_octets(octets: bytes, budget: int) -> list[bytes]:
    return [octets[at : at + budget] for at in range(0, len(octets), budget)]


_CUTTERS: dict[str, Callable[[bytes, int], list[bytes]]] = {
    "gsm7": _cut_septets,
    "ucs2": graphemes.cut_utf16,
    "latin1": _cut_octets,
    "binary": _cut_octets,
}


def _check_reference(reference: int, bits: int) -> None:
    if not 0 <= reference < 1 << bits:
        raise SegmentationError("invalid_option", f"reference {reference} does not fit {bits} bits")


def _check_ies(ies: bytes) -> None:
    """Refuse information elements that do not fill their lengths, and those this module writes itself."""
    at, end = 0, len(ies)
    while at < end:
        if ies[at] in _OWN_IES:
            raise SegmentationError(
                "invalid_option", f"information element {ies[at]:02X} is not for extra_udh_ies"
            )
        length = ies[at + 1] if at + 1 < end else end
        at += 2 + length
    if at != end:
        raise SegmentationError("invalid_option", f"extra_udh_ies end inside an element, at octet {end}")
    if end >= AIR_OCTETS:
        raise SegmentationError("invalid_option", f"extra_udh_ies of {end} octets exceed a short message")


# --- the wire -------------------------------------------------------------------------------------------------


def _user_data(octets: bytes, udh: bytes, *, packed: bool) -> bytes:
    if packed:
        return udh + pack(octets, fill_bits=fill_bits(len(udh)))
    return udh + octets


def _segment(
    octets: bytes, ies: bytes, *, packed: bool, tlvs: tuple[tuple[str, int], ...] = ()
) -> SegmentPayload:
    udh = bytes((len(ies),)) + ies if ies else b""
    return SegmentPayload(ESM_UDHI if ies else 0, udh, _user_data(octets, udh, packed=packed), tlvs)


def _payload_segment(octets: bytes, ies: bytes, *, packed: bool) -> SegmentPayload:
    """One segment with the whole text in the message_payload TLV (SMPP 3.4 §5.3.2.32); a header of ours goes with it."""
    udh = bytes((len(ies),)) + ies if ies else b""
    payload = _user_data(octets, udh, packed=packed)
    return SegmentPayload(ESM_UDHI if ies else 0, udh, b"", (("message_payload", payload),))


def _sar_tlvs(reference: int, total: int, number: int) -> tuple[tuple[str, int], ...]:
    return (
        ("sar_msg_ref_num", reference),  # SMPP 3.4 §5.3.2.22
        ("sar_total_segments", total),
        ("sar_segment_seqnum", number),
    )
