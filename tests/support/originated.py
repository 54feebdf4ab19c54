"""Mobile-originated records for tests: single ones, and long ones cut into segments in each way there is."""

from typing import Any

from adapters.smpp.wire.udh import build_udh, concatenation_element
from gateway.domain.alphabets import TextAlphabet
from gateway.domain.carried import replace
from gateway.domain.gsm7 import encode_unpacked
from gateway.domain.receipts import MobileOriginated
from tests.support.records import NOON

PERSON, NUMBER = "525512345678", "22222"
UDHI = 0x40


def an_mo(octets: bytes | str = "Hola", **changes: Any) -> MobileOriginated:
    """One record as the adapter makes it; a text is written in GSM septets."""
    if isinstance(octets, str):
        octets = encode_unpacked(octets)
    base = MobileOriginated(
        carrier="telco_a",
        bind="rx1",
        sender=PERSON,
        recipient=NUMBER,
        data_coding=0,
        esm_class=0,
        short_message_hex=octets.hex(),
        received_at=NOON,
    )
    return replace(base, **changes)


def ucs2(text: str, **changes: Any) -> MobileOriginated:
    return an_mo(
        text.encode("utf-16-be", "surrogatepass"), data_coding=8, alphabet=TextAlphabet.UCS2, **changes
    )


def with_udh(octets: bytes | str, *elements: tuple[int, bytes], **changes: Any) -> MobileOriginated:
    """One record whose user data begins with a header of these elements."""
    if isinstance(octets, str):
        octets = encode_unpacked(octets)
    return an_mo(build_udh(elements) + octets, esm_class=UDHI, **changes)  # type: ignore[arg-type]


def segments(
    *pieces: bytes | str, kind: str = "udh8", reference: int = 7, apart_ms: int = 10, **changes: Any
) -> list[MobileOriginated]:
    """The pieces as the segments of one message, in order, `apart_ms` between two."""
    made = []
    for index, piece in enumerate(pieces, start=1):
        octets = encode_unpacked(piece) if isinstance(piece, str) else piece
        more = {"received_at": NOON + (index - 1) * apart_ms} | changes
        if kind == "sar":
            tlvs = (
                (0x020C, reference.to_bytes(2, "big").hex()),
                (0x020E, f"{len(pieces):02x}"),
                (0x020F, f"{index:02x}"),
            )
            made.append(an_mo(octets, tlvs_hex=tlvs, **more))
        else:
            element = concatenation_element(
                reference, segment_count=len(pieces), segment_index=index, reference_bits=int(kind[3:])
            )
            made.append(with_udh(octets, element, **more))
    return made
