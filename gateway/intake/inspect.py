"""Answers of `caudal inspect text|number|sender|keyword`: one decoded JSON object in, one out (DESIGN section 6)."""

import re
from collections.abc import Collection
from typing import Any

from gateway.domain.addresses import parse_sender
from gateway.domain.errors import AddressError, CodedError, InspectError, quoted
from gateway.domain.segmentation import segment_text
from gateway.intake.numbers import parse_recipient
from gateway.policy.keywords import recognise_keyword

# Every option of `inspect text` with its default; the type of the default is the type of the value.
_TEXT_OPTIONS: dict[str, str | int | bool] = {
    "encoding": "auto",
    "reference": 0,
    "reference_bits": 8,
    "split": "udh",
    "packed": False,
    "transliterate": False,
    "national_single_shift": 0,
    "national_locking_shift": 0,
}
_TEXT_KEYS = frozenset({"text", "data_hex", "extra_udh_ies_hex", *_TEXT_OPTIONS})
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})*").fullmatch


def inspect_text(obj: dict[str, Any]) -> dict[str, Any]:
    """Return alphabet, length and segments of a text, or of octets given as `data_hex`; raises InspectError."""
    _refuse_unknown(obj, _TEXT_KEYS)
    options: dict[str, Any] = {
        key: _typed(obj, key, type(default), default) for key, default in _TEXT_OPTIONS.items()
    }
    if ("text" in obj) == ("data_hex" in obj):
        raise InspectError("missing_key", "exactly one of 'text' and 'data_hex' is needed")
    content: str | bytes
    if "data_hex" in obj:
        content = _octets(obj, "data_hex")
        if "encoding" not in obj:
            options["encoding"] = "binary"
    else:
        content = _typed(obj, "text", str)
    try:
        cut = segment_text(content, extra_udh_ies=_octets(obj, "extra_udh_ies_hex", ""), **options)
    except CodedError as error:
        raise InspectError(error.code, error.detail) from None
    return {
        "encoding": cut.encoding,
        "data_coding": cut.data_coding,
        "units": cut.units,
        "segment_count": cut.segment_count,
        "segments": [
            {
                "esm_class": segment.esm_class,
                "udh_hex": segment.udh.hex(),
                "short_message_hex": segment.short_message.hex(),
                "tlvs": {
                    name: value.hex() if isinstance(value, bytes) else value for name, value in segment.tlvs
                },
            }
            for segment in cut.segments
        ],
    }


def inspect_number(obj: dict[str, Any]) -> dict[str, Any]:
    """Return what we make of a recipient; an invalid one has `valid` false and nulls; raises InspectError."""
    _refuse_unknown(obj, {"input", "default_region"})
    text = _typed(obj, "input", str)
    region = obj.get("default_region")
    if region is not None and not isinstance(region, str):
        raise InspectError("invalid_value", "'default_region' is neither a string nor null")
    try:
        recipient = parse_recipient(text, region)
    except AddressError as error:
        if error.code != "invalid_number":
            raise InspectError(error.code, error.detail) from None
        return {"valid": False, "e164": None, "region": None, "type": None, "smpp_destination_addr": None}
    return {
        "valid": True,
        "e164": recipient.e164,
        "region": recipient.region,
        "type": recipient.number_type.upper(),  # the names of phonenumbers (D7)
        "smpp_destination_addr": recipient.msisdn,
    }


def inspect_sender(obj: dict[str, Any]) -> dict[str, Any]:
    """Return a sender as it goes on the wire; an invalid one has `valid` false and nulls; raises InspectError."""
    _refuse_unknown(obj, {"input"})
    try:
        sender = parse_sender(_typed(obj, "input", str))
    except AddressError:
        return {"source_addr": None, "ton": None, "npi": None, "valid": False}
    return {"source_addr": sender.source_addr, "ton": sender.ton, "npi": sender.npi, "valid": True}


def inspect_keyword(obj: dict[str, Any]) -> dict[str, Any]:
    """Return what a message from a handset asks for, by the default words; raises InspectError."""
    _refuse_unknown(obj, {"text"})
    return {"action": str(recognise_keyword(_typed(obj, "text", str)))}


def _refuse_unknown(obj: dict[str, Any], known: Collection[str]) -> None:
    unknown = sorted(key for key in obj if key not in known)
    if unknown:
        raise InspectError("unknown_key", f"{quoted(unknown[0])} is not one of {', '.join(sorted(known))}")


def _typed(obj: dict[str, Any], key: str, kind: type, default: Any = None) -> Any:
    """Return a value of exactly this type (true is no integer), or the default of a key left out."""
    value = obj.get(key, default)
    if value is None and key not in obj:
        raise InspectError("missing_key", f"{key!r} is needed")
    if type(value) is not kind:
        raise InspectError("invalid_value", f"{key!r} is {type(value).__name__}, not {kind.__name__}")
    return value


def _octets(obj: dict[str, Any], key: str, default: str | None = None) -> bytes:
    text = _typed(obj, key, str, default)
    if _HEX(text) is None:
        raise InspectError("invalid_value", f"{key!r} is not pairs of hexadecimal digits: {quoted(text)}")
    return bytes.fromhex(text)
