"""`caudal inspect pdu|receipt|match|status`: JSON objects in, JSON objects out, nothing else.

Pure functions for the command line and for test benches. Unknown keys and bad values raise
InspectError; the caller turns it into the error of that line.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from adapters.smpp.classify import STATUS_CONTEXTS, classify
from adapters.smpp.wire.codec import decode, encode
from adapters.smpp.wire.constants import (
    TLV_C_STRING_TAGS,
    TLV_INTEGER_OCTETS,
    TLV_NAMES,
    TLV_TAGS,
    command_name,
    status_name,
)
from adapters.smpp.wire.fields import PduError, SmeAddress
from adapters.smpp.wire.framer import HEADER_OCTETS, Frame, Framer
from adapters.smpp.wire.pdus import DeliverSm, Pdu
from adapters.smpp.wire.receipt_text import ID_FORMATS, ids_match, parse_receipt
from adapters.smpp.wire.tlv import Tlv, scan_tlvs, tlv_of, tlv_value


class InspectError(ValueError):
    """An input line that cannot be answered; `code` is for programs, `detail` for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


_REQUIRED: Any = object()


# --- input -------------------------------------------------------------------------------------------


def _take(obj: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of `obj` over `defaults`; refuse unknown keys and missing required ones."""
    unknown = sorted(set(obj) - set(defaults))
    if unknown:
        raise InspectError("unknown_key", f"unknown key {unknown[0]!r}; known: {', '.join(defaults)}")
    values = {**defaults, **obj}
    for key, value in values.items():
        if value is _REQUIRED:
            raise InspectError("missing_key", f"{key} is required")
    return values


def _integer(values: Mapping[str, Any], key: str, maximum: int) -> int:
    value = values[key]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= maximum:
        raise InspectError("bad_value", f"{key} is not an integer in 0..{maximum}")
    return value


def _string(values: Mapping[str, Any], key: str) -> str:
    value = values[key]
    if not isinstance(value, str):
        raise InspectError("bad_value", f"{key} is not a string")
    return value


def _octets(values: Mapping[str, Any], key: str) -> bytes:
    try:
        return bytes.fromhex(_string(values, key))
    except InspectError:
        raise
    except ValueError:
        raise InspectError("bad_hex", f"{key} is not hexadecimal") from None


def _choice(values: Mapping[str, Any], key: str, choices: Collection[str]) -> Any:
    value = _string(values, key)
    if value not in choices:
        raise InspectError("bad_value", f"{key} is none of {', '.join(choices)}")
    return value


# --- pdu ---------------------------------------------------------------------------------------------


def inspect_pdu(obj: dict[str, Any]) -> dict[str, Any]:
    """Return what the PDUs in `hex` say; one with a bad body has its header and an `error`.

    The answer has an `error` of its own when no PDU could be read, or when a command_length leaves no
    way to find the next one: then `rest_hex` begins with it. Raises InspectError `framing_lost` when
    that is the first.
    """
    data = _octets(_take(obj, {"hex": _REQUIRED}), "hex")
    framer = Framer()
    frames = framer.feed(data)
    if framer.lost is not None and not frames:
        raise InspectError("framing_lost", framer.lost)
    entries = [_pdu_entry(frame) for frame in frames]
    answer: dict[str, Any] = {
        "pdus": entries,
        "rest_hex": data[sum(entry["command_length"] for entry in entries) :].hex(),
    }
    if framer.lost is not None:
        answer["error"] = {"code": "framing_lost", "detail": framer.lost}
    elif entries and all(entry["reencoded_hex"] is None for entry in entries):
        answer["error"] = entries[0]["error"]
    return answer


def _pdu_entry(frame: Frame) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "command_length": HEADER_OCTETS + len(frame.body),
        "command_id": frame.command_id,
        "command": command_name(frame.command_id),
        "command_status": frame.command_status,
        "sequence_number": frame.sequence_number,
        "fields": {},
        "tlvs": [],
        "reencoded_hex": None,
    }
    try:
        pdu = decode(frame)
    except PduError as fault:
        entry["error"] = _error_of(fault)
        return entry
    entry["fields"] = _fields_of(pdu)
    entry["tlvs"] = [
        {"tag": tlv.tag, "name": TLV_NAMES.get(tlv.tag), "hex": tlv.value.hex(), "value": tlv_value(tlv)}
        for tlv in pdu.tlvs
    ]
    reencoded = encode(pdu, sequence_number=frame.sequence_number, command_status=frame.command_status)
    entry["reencoded_hex"] = reencoded.hex()
    if isinstance(pdu, DeliverSm) and pdu.tlv_error:
        # The receipt is used all the same: it is shown with what was wrong with it.
        _, tlv_fault = scan_tlvs(frame.body, len(reencoded) - HEADER_OCTETS)
        assert tlv_fault is not None
        entry["error"] = _error_of(tlv_fault)
    return entry


def _error_of(fault: PduError) -> dict[str, str]:
    return {"code": status_name(fault.command_status), "detail": fault.detail}


def _fields_of(pdu: Pdu) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for field in pdu.layout:
        value = getattr(pdu, field.name)
        if field.name == "short_message":
            fields["sm_length"] = len(value)
            fields["short_message_hex"] = value.hex()
        elif field.name == "dest_address":
            fields["number_of_dests"] = len(value)
            fields["dest_address"] = [
                {"dest_flag": 1 if isinstance(item, SmeAddress) else 2, **item._asdict()} for item in value
            ]
        elif field.name == "unsuccess_sme":
            fields["no_unsuccess"] = len(value)
            fields["unsuccess_sme"] = [item._asdict() for item in value]
        else:
            fields[field.name] = value
    return fields


# --- receipt -----------------------------------------------------------------------------------------

_HEX_SUFFIX = "_hex"


def inspect_receipt(obj: dict[str, Any]) -> dict[str, Any]:
    """Return what a deliver_sm says as a receipt; esm_class left out is 4, a delivery receipt."""
    values = _take(
        obj,
        {
            "esm_class": 4,
            "data_coding": 0,
            "short_message_hex": "",
            "message_payload_hex": None,
            "tlvs": {},
        },
    )
    payload = values["message_payload_hex"]
    receipt = parse_receipt(
        esm_class=_integer(values, "esm_class", 255),
        data_coding=_integer(values, "data_coding", 255),
        short_message=_octets(values, "short_message_hex"),
        message_payload=None if payload is None else _octets(values, "message_payload_hex"),
        tlvs=_tlvs_of(values["tlvs"]),
    )
    error = receipt.network_error
    return {
        "is_receipt": receipt.is_receipt,
        "receipt_type": receipt.receipt_type,
        "message_id": receipt.message_id,
        "message_id_text": receipt.message_id_text,
        "message_id_tlv": receipt.message_id_tlv,
        "state": receipt.state,
        "stat_raw": receipt.raw_stat,
        "final": receipt.is_final,
        "sub": receipt.sub,
        "dlvrd": receipt.dlvrd,
        "submit_date": _iso(receipt.submit_date),
        "done_date": _iso(receipt.done_date),
        "err": receipt.err,
        "text": receipt.text,
        "network_error": None if error is None else {"type": error.network_type, "code": error.code},
    }


def _iso(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat()


def _tlvs_of(named: Any) -> tuple[Tlv, ...]:
    """Return the TLVs of {name or "<name>_hex": value}."""
    if not isinstance(named, dict):
        raise InspectError("bad_value", "tlvs is not an object")
    return tuple(_tlv_of_name(name, named) for name in named)


def _tlv_of_name(name: str, named: Mapping[str, Any]) -> Tlv:
    tag = TLV_TAGS.get(name.removesuffix(_HEX_SUFFIX))
    if tag is None:
        raise InspectError("unknown_key", f"unknown TLV {name!r}")
    if name.endswith(_HEX_SUFFIX):
        return Tlv(tag, _octets(named, name))
    size = TLV_INTEGER_OCTETS.get(tag)
    if size is not None:
        return tlv_of(tag, _integer(named, name, (1 << 8 * size) - 1))
    try:
        octets = _string(named, name).encode("latin-1")
    except UnicodeEncodeError:
        raise InspectError("bad_value", f"{name} is not Latin-1; give {name}{_HEX_SUFFIX}") from None
    return Tlv(tag, octets + b"\0" if tag in TLV_C_STRING_TAGS else octets)


# --- match and status --------------------------------------------------------------------------------


def inspect_match(obj: dict[str, Any]) -> dict[str, Any]:
    """Return whether the ids of a submit_sm_resp and of a receipt are one in the given format."""
    values = _take(obj, {"submit_resp_id": _REQUIRED, "receipt_id": _REQUIRED, "id_format": "string"})
    id_format = _choice(values, "id_format", ID_FORMATS)
    return {"match": ids_match(_string(values, "submit_resp_id"), _string(values, "receipt_id"), id_format)}


def inspect_status(obj: dict[str, Any]) -> dict[str, Any]:
    """Return what would follow from a command_status in the given context."""
    values = _take(obj, {"context": "submit_sm_resp", "code": _REQUIRED})
    context = _choice(values, "context", STATUS_CONTEXTS)
    verdict = classify(context, _integer(values, "code", 0xFFFFFFFF))
    return {
        "name": verdict.name,
        "class": verdict.status_class,
        "same_bind_retry": verdict.same_bind_retry,
        "failover_allowed": verdict.failover_allowed,
        "alert": verdict.alert,
    }
