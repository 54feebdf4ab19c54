"""What the SMPP server must remember of a submit to report on it (sms-domain F21): the `origin` of its message.

Written when a submit is read, carried by the message and the notice of its end, read by `gateway.smppd.collector`.
"""

from typing import Final

import msgspec

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.pdus import SubmitSm
from gateway.domain.lifecycle import State

Address = tuple[int, int, str]
"""TON, NPI and digits or letters, as the customer wrote them."""


class Origin(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One submit, or the parts of one message; short, because it travels with every message.

    `told_ids` are those whose responses promised a receipt, where that is not the message's own id alone.
    """

    system_id: str
    registered_delivery: int
    source: Address
    destination: Address
    told_ids: tuple[str, ...] = ()


_ENCODE: Final = msgspec.json.Encoder().encode
_DECODER: Final = msgspec.json.Decoder(Origin)


def origin_of(pdu: SubmitSm, *, system_id: str, told_ids: tuple[str, ...] = ()) -> Origin:
    """Return the origin of a submit."""
    return Origin(
        system_id,
        pdu.registered_delivery,
        (pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr),
        (pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr),
        told_ids,
    )


def write_origin(origin: Origin) -> str | None:
    """Return the text that a message carries; None where no receipt was asked for, so that nobody makes a notice."""
    if not origin.registered_delivery & c.RECEIPT_MASK:
        return None
    return _ENCODE(origin).decode()


def read_origin(text: str) -> Origin:
    """Return what `write_origin` was given; ValueError for anything else."""
    try:
        return _DECODER.decode(text)
    except msgspec.MsgspecError as error:
        raise ValueError(f"not an origin of the SMPP server: {error}") from None


def wants_receipt(registered_delivery: int, state: State) -> bool:
    """Tell whether the sender asked to hear of this final state (SMPP 3.4 §5.2.17; 03 is of SMPP 5.0 §4.7.21)."""
    asked = registered_delivery & c.RECEIPT_MASK
    if asked == c.RECEIPT_FINAL:
        return True
    return asked == (c.RECEIPT_ON_SUCCESS if state is State.DELIVERED else c.RECEIPT_ON_FAILURE)
