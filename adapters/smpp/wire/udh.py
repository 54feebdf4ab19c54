"""User data headers (3GPP TS 23.040 §9.2.3.24): read, build, and find the concatenation in them.

A header that lies about itself is a value, not an exception: the user data is then opaque.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

IE_CONCATENATION_8 = 0x00
IE_CONCATENATION_16 = 0x08


class InformationElement(NamedTuple):
    """One element of a header: its identifier and its octets."""

    identifier: int
    data: bytes


class Concatenation(NamedTuple):
    """Which segment of which message this is; `segment_index` counts from 1."""

    reference: int
    segment_count: int
    segment_index: int
    reference_bits: int


@dataclass(frozen=True, slots=True)
class UserData:
    """User data cut into header and payload.

    `fault` is None, or why the header is not believed: then there is no concatenation, and where the
    end of the header is unknown too, `header` is empty and `payload` is all of it.
    """

    header: bytes
    elements: tuple[InformationElement, ...]
    payload: bytes
    concatenation: Concatenation | None
    fault: str | None

    @property
    def is_opaque(self) -> bool:
        """Whether the header is not to be believed, so that nothing may be reassembled from it."""
        return self.fault is not None


def parse_user_data(user_data: bytes) -> UserData:
    """Cut user data that begins with a header (esm_class has UDHI); never raises."""
    if not user_data:
        return _opaque(user_data, "there is no header")
    end = 1 + user_data[0]
    if end > len(user_data):
        return _opaque(user_data, f"UDHL {end - 1} is beyond the {len(user_data) - 1} octets left")
    elements: list[InformationElement] = []
    at = 1
    while at < end:
        start = at + 2
        if start > end or start + user_data[at + 1] > end:
            return _opaque(user_data, "an information element is beyond the header")
        identifier = user_data[at]
        at = start + user_data[at + 1]
        elements.append(InformationElement(identifier, user_data[start:at]))
    concatenation: Concatenation | None = None
    fault: str | None = None
    for element in elements:
        if element.identifier in _REFERENCE_OCTETS:
            # 3GPP TS 23.040 §9.2.3.24: of repeated elements the last one counts.
            concatenation = _concatenation(element)
            fault = None if concatenation else "the concatenation element is impossible"
    return UserData(user_data[:end], tuple(elements), user_data[end:], concatenation, fault)


def _opaque(user_data: bytes, fault: str) -> UserData:
    return UserData(b"", (), user_data, None, fault)


_REFERENCE_OCTETS = {IE_CONCATENATION_8: 1, IE_CONCATENATION_16: 2}


def _concatenation(element: InformationElement) -> Concatenation | None:
    octets = _REFERENCE_OCTETS[element.identifier]
    data = element.data
    if len(data) != octets + 2:
        return None
    segment_count, segment_index = data[octets], data[octets + 1]
    if not 1 <= segment_index <= segment_count:
        return None
    return Concatenation(int.from_bytes(data[:octets], "big"), segment_count, segment_index, 8 * octets)


def concatenation_element(
    reference: int, *, segment_count: int, segment_index: int, reference_bits: int = 8
) -> InformationElement:
    """Return the element for one segment; raise ValueError for numbers that do not fit it."""
    if reference_bits not in {8, 16}:
        raise ValueError(f"reference_bits {reference_bits} is neither 8 nor 16")
    if not 0 <= reference < 1 << reference_bits:
        raise ValueError(f"reference {reference} does not fit {reference_bits} bits")
    if not 1 <= segment_index <= segment_count <= 255:
        raise ValueError(f"segment {segment_index} of {segment_count} is not within 1..255")
    identifier = IE_CONCATENATION_8 if reference_bits == 8 else IE_CONCATENATION_16
    octets = reference.to_bytes(reference_bits // 8, "big")
    return InformationElement(identifier, octets + bytes((segment_count, segment_index)))


def build_udh(elements: Iterable[InformationElement]) -> bytes:
    """Return UDHL and the elements; raise ValueError for more than 255 octets or a bad identifier."""
    parts: list[bytes] = []
    for identifier, data in elements:
        if not 0 <= identifier <= 255 or len(data) > 255:
            raise ValueError(f"information element {identifier} with {len(data)} octets does not fit")
        parts.append(bytes((identifier, len(data))) + data)
    header = b"".join(parts)
    if len(header) > 255:
        raise ValueError(f"the header has {len(header)} octets, at most 255 fit")
    return bytes((len(header),)) + header
