"""Optional parameters (SMPP 3.4 §3.2.4.1, §5.3): order, duplicates and unknown tags are kept."""

from collections.abc import Iterable
from struct import Struct
from typing import NamedTuple

from adapters.smpp.wire.constants import (
    ESME_RINVOPTPARSTREAM,
    ESME_RINVPARLEN,
    TLV_C_STRING_TAGS,
    TLV_INTEGER_OCTETS,
    TLV_NAMES,
)
from adapters.smpp.wire.fields import PduError

_TAG_AND_LENGTH = Struct(">HH")
MAX_TLV_OCTETS = 0xFFFF
# Where many are made: the constructor of a NamedTuple is a Python function and costs twice as much.
_new = tuple.__new__


class Tlv(NamedTuple):
    """One optional parameter; `value` holds its octets as they are on the wire."""

    tag: int
    value: bytes


def scan_tlvs(body: bytes, at: int = 0) -> tuple[tuple[Tlv, ...], PduError | None]:
    """Return the TLVs from `at` to the end of `body`, and the fault of the first that does not fit.

    The TLVs before the fault are good; nothing after it can be found again.
    """
    end = len(body)
    found: list[Tlv] = []
    append = found.append
    unpack_from = _TAG_AND_LENGTH.unpack_from
    fault: PduError | None = None
    while at < end:
        start = at + 4
        if start > end:
            fault = PduError(ESME_RINVOPTPARSTREAM, f"{end - at} octets left are no TLV header")
            break
        tag, length = unpack_from(body, at)
        at = start + length
        if at > end:
            fault = PduError(
                ESME_RINVPARLEN, f"TLV 0x{tag:04X} announces {length} octets, {end - start} are left"
            )
            break
        append(_new(Tlv, (tag, body[start:at])))
    return tuple(found), fault


def decode_tlvs(body: bytes, at: int = 0) -> tuple[Tlv, ...]:
    """Return all TLVs from `at` to the end of `body`; raise PduError 0xC0 or 0xC2 if one is cut."""
    tlvs, fault = scan_tlvs(body, at)
    if fault is not None:
        raise fault
    return tlvs


def encode_tlvs(tlvs: Iterable[Tlv]) -> bytes:
    """Return the octets of `tlvs` in order; raise ValueError for a tag or length beyond 16 bits."""
    parts: list[bytes] = []
    for tag, value in tlvs:
        if not 0 <= tag <= 0xFFFF:
            raise ValueError(f"TLV tag {tag} is not in 0..65535")
        if len(value) > MAX_TLV_OCTETS:
            raise ValueError(f"TLV 0x{tag:04X} has {len(value)} octets, at most {MAX_TLV_OCTETS} fit")
        parts.append(_TAG_AND_LENGTH.pack(tag, len(value)))
        parts.append(value)
    return b"".join(parts)


def find_tlv(tlvs: Iterable[Tlv], tag: int) -> bytes | None:
    """Return the value of the first TLV with this tag, or None."""
    for candidate, value in tlvs:
        if candidate == tag:
            return value
    return None


def tlv_of(tag: int, value: int | str | bytes) -> Tlv:
    """Build a TLV by the type SMPP 3.4 §5.3.2 gives its tag: a C-octet string gets its NUL.

    An integer takes the octets of its tag (one if the tag is unknown). Raises ValueError when the
    value does not fit.
    """
    if isinstance(value, bytes):
        return Tlv(tag, value)
    if isinstance(value, str):
        octets = value.encode("latin-1")
        if tag in TLV_C_STRING_TAGS:
            if 0 in octets:
                raise ValueError(f"TLV 0x{tag:04X} holds a NUL inside its C-octet string")
            octets += b"\0"
        return Tlv(tag, octets)
    size = TLV_INTEGER_OCTETS.get(tag, 1)
    try:
        return Tlv(tag, value.to_bytes(size, "big"))
    except OverflowError:
        raise ValueError(f"TLV 0x{tag:04X} holds {size} octets, {value} does not fit") from None


def tlv_value(tlv: Tlv) -> int | str | None:
    """Read a TLV by the type of its tag: int, str without NUL, hex for octets, None for unknown tags.

    An integer of the wrong size is None as well: its octets say more than a guess.
    """
    tag, value = tlv
    size = TLV_INTEGER_OCTETS.get(tag)
    if size is not None:
        return int.from_bytes(value, "big") if len(value) == size else None
    if tag in TLV_C_STRING_TAGS:
        return value.split(b"\0", 1)[0].decode("latin-1")
    return value.hex() if tag in TLV_NAMES else None
