"""PDUs to octets and back: a generic codec over the layouts of `pdus`, and fast paths beside it.

Who calls what: a session decodes each `Frame` with `decode` and encodes with `encode`; the messages
that make up nearly all traffic (submit_sm, deliver_sm and their responses) have functions of their
own. A fast path never invents an error: whatever it cannot read, it hands to the generic codec,
which raises the exact PduError.

Decoding raises PduError and nothing else. Encoding raises ValueError naming the field: it is our own
value that is wrong.
"""

import struct
from collections.abc import Callable
from typing import TypeVar

from adapters.smpp.wire.constants import (
    BIND_RECEIVER_RESP,
    BIND_TRANSCEIVER_RESP,
    BIND_TRANSMITTER_RESP,
    DELIVER_SM,
    DELIVER_SM_RESP,
    ESM_TYPE_MASK,
    ESME_RINVCMDID,
    RECEIPT_ESM_TYPES,
    SUBMIT_SM,
    SUBMIT_SM_RESP,
    command_name,
)
from adapters.smpp.wire.fields import MAX_SHORT_MESSAGE_OCTETS, PduError
from adapters.smpp.wire.framer import HEADER, HEADER_OCTETS, Frame
from adapters.smpp.wire.pdus import PDU_TYPES, DeliverSm, Pdu, SubmitSm, SubmitSmResp
from adapters.smpp.wire.tlv import decode_tlvs, encode_tlvs, scan_tlvs

__all__ = [
    "Frame",
    "PduError",
    "decode",
    "decode_deliver_sm",
    "decode_submit_sm",
    "decode_submit_sm_resp_id",
    "encode",
    "encode_deliver_sm",
    "encode_deliver_sm_resp",
    "encode_header_only",
    "encode_submit_sm",
    "encode_submit_sm_resp",
]

_P = TypeVar("_P", bound=Pdu)
_Sm = TypeVar("_Sm", SubmitSm, DeliverSm)

_HEADER_AND_NUL = struct.Struct(">IIIIB")

# SMPP 3.4 §4.1.2, §4.1.4, §4.1.6, §4.4.2: no body when command_status is not zero.
_BODILESS_ERRORS = frozenset(
    {BIND_TRANSMITTER_RESP, BIND_RECEIVER_RESP, BIND_TRANSCEIVER_RESP, SUBMIT_SM_RESP}
)


# --- generic -----------------------------------------------------------------------------------------


def encode(pdu: Pdu, *, sequence_number: int, command_status: int = 0) -> bytes:
    """Return the octets of one PDU, header included (SMPP 3.4 §3.2).

    Raises ValueError naming the field whose value does not fit the wire.
    """
    if command_status == 0:
        if type(pdu) is SubmitSm:
            return encode_submit_sm(pdu, sequence_number=sequence_number)
        if type(pdu) is DeliverSm:
            return encode_deliver_sm(pdu, sequence_number=sequence_number)
    return _frame(pdu.command_id, command_status, sequence_number, _body_of(pdu, command_status))


def _body_of(pdu: Pdu, command_status: int) -> bytes:
    if pdu.body_optional:
        has_body: bool | None = getattr(pdu, "has_body", None)
        if has_body is None:
            has_body = command_status == 0 or pdu.command_id not in _BODILESS_ERRORS
        if not has_body:
            return b""
    parts = [field.write(getattr(pdu, field.name)) for field in pdu.layout]
    if pdu.tlvs:
        parts.append(encode_tlvs(pdu.tlvs))
    return b"".join(parts)


def _frame(command_id: int, command_status: int, sequence_number: int, body: bytes) -> bytes:
    try:
        return HEADER.pack(HEADER_OCTETS + len(body), command_id, command_status, sequence_number) + body
    except struct.error:
        raise ValueError(
            f"command_status {command_status} or sequence_number {sequence_number} is not 32 bits unsigned"
        ) from None


def decode(frame: Frame) -> Pdu:
    """Return the PDU of one frame.

    Raises PduError with the command_status to answer: 0x03 for an unknown command_id; 0x01, 0x02,
    0xC0, 0xC2 or the status of the field for a bad body (SMPP 3.4 §5.1.3). A response may leave out
    its body. A receipt whose only fault is in its TLVs is returned with `tlv_error` set.
    """
    decoder = _DECODERS.get(frame.command_id)
    if decoder is None:
        raise PduError(ESME_RINVCMDID, f"command_id {command_name(frame.command_id)} is unknown")
    return decoder(frame.body)


def _generic_decoder(pdu_type: type[_P]) -> Callable[[bytes], _P]:
    """Return the function that reads a body by the layout of `pdu_type`."""
    layout = pdu_type.layout
    body_optional = pdu_type.body_optional

    def decode_body(body: bytes) -> _P:
        if body_optional and not body:
            return pdu_type(has_body=False)  # type: ignore[call-arg]  # every such PDU has this field
        at = 0
        values = {}
        for field in layout:
            values[field.name], at = field.read(body, at)
        if body_optional:
            values["has_body"] = True
        values["tlvs"] = decode_tlvs(body, at)
        return pdu_type(**values)

    return decode_body


# --- submit_sm and deliver_sm ------------------------------------------------------------------------


def encode_submit_sm(pdu: SubmitSm, *, sequence_number: int) -> bytes:
    """Return the octets of a submit_sm (SMPP 3.4 §4.4.1); raise ValueError as `encode` does."""
    return _encode_sm(pdu, SUBMIT_SM, sequence_number)


def encode_deliver_sm(pdu: DeliverSm, *, sequence_number: int) -> bytes:
    """Return the octets of a deliver_sm (SMPP 3.4 §4.6.1); raise ValueError as `encode` does."""
    return _encode_sm(pdu, DELIVER_SM, sequence_number)


def _encode_sm(pdu: SubmitSm | DeliverSm, command_id: int, sequence_number: int) -> bytes:
    service_type = pdu.service_type
    source_addr = pdu.source_addr
    destination_addr = pdu.destination_addr
    schedule = pdu.schedule_delivery_time
    validity = pdu.validity_period
    short_message = pdu.short_message
    sm_length = len(short_message)
    if (
        sm_length > MAX_SHORT_MESSAGE_OCTETS
        or len(service_type) > 5
        or len(source_addr) > 20
        or len(destination_addr) > 20
        or len(schedule) > 16
        or len(validity) > 16
        or "\0" in f"{service_type}{source_addr}{destination_addr}{schedule}{validity}"
    ):
        return _frame(command_id, 0, sequence_number, _body_of(pdu, 0))
    try:
        # One formatting and one Latin-1 encoding cost a third of packing field by field.
        fields = (
            f"{service_type}\0{pdu.source_addr_ton:c}{pdu.source_addr_npi:c}{source_addr}\0"
            f"{pdu.dest_addr_ton:c}{pdu.dest_addr_npi:c}{destination_addr}\0"
            f"{pdu.esm_class:c}{pdu.protocol_id:c}{pdu.priority_flag:c}{schedule}\0{validity}\0"
            f"{pdu.registered_delivery:c}{pdu.replace_if_present_flag:c}{pdu.data_coding:c}"
            f"{pdu.sm_default_msg_id:c}{sm_length:c}"
        ).encode("latin-1")
        tail = encode_tlvs(pdu.tlvs) if pdu.tlvs else b""
        length = HEADER_OCTETS + len(fields) + sm_length + len(tail)
        return HEADER.pack(length, command_id, 0, sequence_number) + fields + short_message + tail
    except (ValueError, OverflowError, struct.error):
        # The generic path names the field.
        return _frame(command_id, 0, sequence_number, _body_of(pdu, 0))


def decode_submit_sm(body: bytes) -> SubmitSm:
    """Return the submit_sm of a body (SMPP 3.4 §4.4.1); raise PduError as `decode` does."""
    pdu, at = _decode_sm(SubmitSm, body)
    if pdu is None:
        return _generic_submit_sm(body)
    if at != len(body):
        pdu.tlvs = decode_tlvs(body, at)
    return pdu


def decode_deliver_sm(body: bytes) -> DeliverSm:
    """Return the deliver_sm of a body (SMPP 3.4 §4.6.1); raise PduError as `decode` does.

    A receipt whose only fault is in its TLVs comes back with the TLVs before the fault and
    `tlv_error` set; a mobile-originated message with that fault raises.
    """
    pdu, at = _decode_sm(DeliverSm, body)
    if pdu is None:
        return _generic_deliver_sm(body)
    if at != len(body):
        pdu.tlvs, fault = scan_tlvs(body, at)
        if fault is not None:
            if pdu.esm_class & ESM_TYPE_MASK not in RECEIPT_ESM_TYPES:
                raise fault
            pdu.tlv_error = True
    return pdu


def _decode_sm(pdu_type: type[_Sm], body: bytes) -> tuple[_Sm | None, int]:
    """Return the PDU without its TLVs and the position after short_message; (None, 0) if anything is off.

    The body becomes one Latin-1 string (one octet is one character), which is cheaper to cut than
    bytes that are decoded piece by piece.
    """
    text = body.decode("latin-1")
    index = text.index
    try:
        service_end = index("\0", 0, 6)
        source_end = index("\0", service_end + 3, service_end + 24)
        destination_end = index("\0", source_end + 3, source_end + 24)
        schedule_end = index("\0", destination_end + 4, destination_end + 21)
        validity_end = index("\0", schedule_end + 1, schedule_end + 18)
        start = validity_end + 6
        sm_length = body[start - 1]
    except (ValueError, IndexError):
        return None, 0
    end = start + sm_length
    if end > len(body) or sm_length > MAX_SHORT_MESSAGE_OCTETS:
        return None, 0
    pdu = pdu_type(
        text[:service_end],
        body[service_end + 1],
        body[service_end + 2],
        text[service_end + 3 : source_end],
        body[source_end + 1],
        body[source_end + 2],
        text[source_end + 3 : destination_end],
        body[destination_end + 1],
        body[destination_end + 2],
        body[destination_end + 3],
        text[destination_end + 4 : schedule_end],
        text[schedule_end + 1 : validity_end],
        body[validity_end + 1],
        body[validity_end + 2],
        body[validity_end + 3],
        body[validity_end + 4],
        body[start:end],
    )
    return pdu, end


# --- responses ---------------------------------------------------------------------------------------


def encode_submit_sm_resp(sequence_number: int, status: int, message_id: str) -> bytes:
    """Return a submit_sm_resp; without body when `status` is not zero (SMPP 3.4 §4.4.2).

    Raises ValueError for a message_id of more than 65 octets or with a NUL.
    """
    if status:
        return _frame(SUBMIT_SM_RESP, status, sequence_number, b"")
    octets = message_id.encode("latin-1")
    if len(octets) > 65 or 0 in octets:
        raise ValueError("message_id holds a NUL or is longer than 65 octets")
    return _frame(SUBMIT_SM_RESP, 0, sequence_number, octets + b"\0")


def encode_deliver_sm_resp(sequence_number: int, status: int) -> bytes:
    """Return a deliver_sm_resp: 17 octets, its message_id a single NUL (SMPP 3.4 §4.6.2).

    Raises ValueError for a number that is not 32 bits unsigned.
    """
    try:
        return _HEADER_AND_NUL.pack(17, DELIVER_SM_RESP, status, sequence_number, 0)
    except struct.error:
        return _frame(DELIVER_SM_RESP, status, sequence_number, b"\0")


def encode_header_only(command_id: int, *, sequence_number: int, command_status: int = 0) -> bytes:
    """Return a PDU that is its header only, such as enquire_link, its response or generic_nack."""
    return _frame(command_id, command_status, sequence_number, b"")


def decode_submit_sm_resp_id(body: bytes) -> str:
    """Return the message_id of a submit_sm_resp body, "" for an empty one (SMPP 3.4 §4.4.2).

    Raises PduError 0x02 or 0x0C for a message_id without NUL or of more than 65 octets. Octets
    after it are not read: bad TLVs must not cost us the id.
    """
    end = body.find(b"\0", 0, 66)
    if end < 0:
        return _generic_submit_sm_resp(body).message_id
    return body[:end].decode("latin-1")


_generic_submit_sm = _generic_decoder(SubmitSm)
_generic_deliver_sm = _generic_decoder(DeliverSm)
_generic_submit_sm_resp = _generic_decoder(SubmitSmResp)

_DECODERS: dict[int, Callable[[bytes], Pdu]] = {
    command_id: _generic_decoder(pdu_type) for command_id, pdu_type in PDU_TYPES.items()
}
_DECODERS[SUBMIT_SM] = decode_submit_sm
_DECODERS[DELIVER_SM] = decode_deliver_sm
