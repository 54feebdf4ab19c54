"""The few PDUs that the session itself puts together: headers, error responses, bind answers."""

import struct

from adapters.smpp.session.events import BindRequested
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.codec import encode, encode_deliver_sm_resp
from adapters.smpp.wire.pdus import BindReceiverResp, BindTransceiverResp, BindTransmitterResp, Tlv

RESPONSE_BIT = c.RESPONSE_BIT

_HEADER = struct.Struct(">IIII")

header = _HEADER.pack
"""Pack command_length, command_id, command_status, sequence_number."""

_BIND_ANSWERS = {
    c.BIND_TRANSMITTER: BindTransmitterResp,
    c.BIND_RECEIVER: BindReceiverResp,
    c.BIND_TRANSCEIVER: BindTransceiverResp,
}


def message_id_of(body: bytes) -> str:
    """Return the first C-string of a response body as it is; a missing NUL or an odd length does not cost us the id.

    At most 255 characters are kept: a peer must not make us store a PDU's worth of id.
    """
    end = body.find(b"\0", 0, 256)
    return body[: end if end >= 0 else 255].decode("latin-1")


def error_response(command_id: int, sequence_number: int, command_status: int) -> bytes:
    """Return the response that refuses a request: header only (SMPP 3.4 §4.4.2), deliver_sm_resp with its NUL."""
    if command_id == c.DELIVER_SM:
        return encode_deliver_sm_resp(sequence_number, command_status)
    return header(16, command_id | RESPONSE_BIT, command_status, sequence_number)


def bind_answer(request: BindRequested, *, command_status: int, system_id: str, version: int | None) -> bytes:
    """Return the bind response; `version` (sc_interface_version) only for peers that know TLVs (E11)."""
    if command_status:
        return error_response(request.command_id, request.sequence_number, command_status)
    tlvs: tuple[Tlv, ...] = ()
    if version is not None and request.pdu.interface_version >= 0x34:
        tlvs = (Tlv(c.TAG_SC_INTERFACE_VERSION, bytes((version,))),)
    answer = _BIND_ANSWERS[request.command_id](system_id=system_id, tlvs=tlvs)
    return encode(answer, sequence_number=request.sequence_number, command_status=0)
