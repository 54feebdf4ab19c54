"""Delivery receipts: the text convention (SMPP 3.4 appendix B) and the TLVs, read tolerantly.

Every carrier writes the text its own way, so nothing in it is required and nothing in it raises. The
raw octets stay beside what was read. What follows `text:` is under the customer's control and
overrides nothing; a TLV beats the text; both ids are kept for matching.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from adapters.smpp.wire.constants import (
    ESM_TYPE_DELIVERY_RECEIPT,
    ESM_TYPE_INTERMEDIATE,
    ESM_TYPE_MASK,
    ESM_TYPE_SME_DELIVERY_ACK,
    ESM_TYPE_SME_MANUAL_ACK,
    ESM_UDHI,
    FINAL_MESSAGE_STATES,
    MESSAGE_STATE_NAMES,
    RECEIPT_ESM_TYPES,
    TAG_MESSAGE_PAYLOAD,
    TAG_MESSAGE_STATE,
    TAG_NETWORK_ERROR_CODE,
    TAG_RECEIPTED_MESSAGE_ID,
)
from adapters.smpp.wire.receipt_format import format_receipt_date, format_receipt_text
from adapters.smpp.wire.receipt_ids import ID_FORMATS, IdFormat, IdSide, ids_match, normalise_id
from adapters.smpp.wire.tlv import Tlv

__all__ = [
    "ID_FORMATS",
    "STAT_OF_STATE",
    "IdFormat",
    "IdSide",
    "NetworkError",
    "ParsedReceipt",
    "ReceiptType",
    "format_receipt_date",
    "format_receipt_text",
    "ids_match",
    "is_receipt",
    "normalise_id",
    "parse_network_error",
    "parse_receipt",
    "parse_receipt_date",
]

ReceiptType = Literal["final", "intermediate", "sme_delivery_ack", "manual_ack"]

_TYPES: dict[int, ReceiptType] = {
    ESM_TYPE_DELIVERY_RECEIPT: "final",
    ESM_TYPE_SME_DELIVERY_ACK: "sme_delivery_ack",
    ESM_TYPE_SME_MANUAL_ACK: "manual_ack",
    ESM_TYPE_INTERMEDIATE: "intermediate",
    ESM_TYPE_INTERMEDIATE | ESM_TYPE_DELIVERY_RECEIPT: "intermediate",
}

STAT_OF_STATE = {
    "SCHEDULED": "SCHEDLD",
    "ENROUTE": "ENROUTE",
    "DELIVERED": "DELIVRD",
    "EXPIRED": "EXPIRED",
    "DELETED": "DELETED",
    "UNDELIVERABLE": "UNDELIV",
    "ACCEPTED": "ACCEPTD",
    "UNKNOWN": "UNKNOWN",
    "REJECTED": "REJECTD",
    "SKIPPED": "SKIPPED",
}
"""How the text spells each message_state (SMPP 3.4 appendix B)."""

# Spellings seen on the wire. A closed list: "DELIVERY_FAILED" must not be read by its beginning.
_STATE_OF_STAT = {stat: state for state, stat in STAT_OF_STATE.items()} | {
    "SCHEDULED": "SCHEDULED",
    "EN_ROUTE": "ENROUTE",
    "BUFFRED": "ENROUTE",
    "BUFFERED": "ENROUTE",
    "BUFFERD": "ENROUTE",
    "DELIVERED": "DELIVERED",
    "DELIVERD": "DELIVERED",
    "DELIVRED": "DELIVERED",
    "EXPIRD": "EXPIRED",
    "DELETD": "DELETED",
    "UNDELIVERABLE": "UNDELIVERABLE",
    "UNDELIVERED": "UNDELIVERABLE",
    "UNDELIVERD": "UNDELIVERABLE",
    "UNDELIVRD": "UNDELIVERABLE",
    "ACCEPTED": "ACCEPTED",
    "REJECTED": "REJECTED",
}


class NetworkError(NamedTuple):
    """network_error_code (SMPP 3.4 §5.3.2.31); no type when a carrier wrote the code in ASCII digits."""

    network_type: int | None
    code: int


@dataclass(slots=True)
class ParsedReceipt:
    """One deliver_sm as a receipt; None marks what it did not say. Not frozen: built on the hot path."""

    is_receipt: bool
    receipt_type: ReceiptType | None
    message_id_text: str | None = None
    message_id_tlv: str | None = None
    state: str | None = None
    raw_stat: str | None = None
    is_final: bool = False
    sub: int | None = None
    dlvrd: int | None = None
    raw_submit_date: str | None = None
    raw_done_date: str | None = None
    err: str | None = None
    text: str | None = None
    network_error: NetworkError | None = None
    raw: bytes = b""

    @property
    def message_id(self) -> str | None:
        """The carrier's id: of the TLV if it has one, else of the text."""
        return self.message_id_tlv or self.message_id_text

    @property
    def submit_date(self) -> datetime | None:
        """Carrier-local and naive; None when missing or impossible."""
        return parse_receipt_date(self.raw_submit_date)

    @property
    def done_date(self) -> datetime | None:
        """Carrier-local and naive; None when missing or impossible."""
        return parse_receipt_date(self.raw_done_date)


def is_receipt(*, esm_class: int, tlvs: tuple[Tlv, ...] = ()) -> bool:
    """Tell a receipt from a mobile-originated message, by esm_class and TLVs, never by its text.

    With esm_class type 0, receipted_message_id and message_state together make a receipt.
    """
    esm_type = esm_class & ESM_TYPE_MASK
    if esm_type in RECEIPT_ESM_TYPES:
        return True
    if esm_type or not tlvs:
        return False
    tags = {tlv.tag for tlv in tlvs}
    return TAG_RECEIPTED_MESSAGE_ID in tags and TAG_MESSAGE_STATE in tags


def parse_receipt(
    *,
    esm_class: int,
    data_coding: int,
    short_message: bytes,
    message_payload: bytes | None = None,
    tlvs: tuple[Tlv, ...] = (),
) -> ParsedReceipt:
    """Read the receipt in a deliver_sm; never raises.

    `message_payload` is looked for among `tlvs` when None. The body is short_message or, when that
    is empty, message_payload. For what is not a receipt only the type is filled.
    """
    receipt_type = _TYPES.get(esm_class & ESM_TYPE_MASK)
    if not is_receipt(esm_class=esm_class, tlvs=tlvs):
        return ParsedReceipt(is_receipt=False, receipt_type=receipt_type, raw=short_message)
    receipt_type = receipt_type or "final"
    tlv_id: str | None = None
    tlv_state: str | None = None
    network_error: NetworkError | None = None
    for tag, value in tlvs:
        if tag == TAG_RECEIPTED_MESSAGE_ID:
            tlv_id = tlv_id or value.split(b"\0", 1)[0].strip().decode("latin-1") or None
        elif tag == TAG_MESSAGE_STATE:
            tlv_state = tlv_state or _tlv_state(value)
        elif tag == TAG_NETWORK_ERROR_CODE:
            network_error = network_error or parse_network_error(value)
        elif tag == TAG_MESSAGE_PAYLOAD and message_payload is None:
            message_payload = value
    body = short_message or message_payload or b""
    found = _parse_body(body, data_coding=data_coding, has_udh=bool(esm_class & ESM_UDHI))
    message_id, sub, dlvrd, submit_date, done_date, stat, err, text = found
    state = tlv_state
    if stat is not None and (state is None or state == _UNREADABLE):
        state = _STATE_OF_STAT.get(stat.upper(), "UNKNOWN")
    elif state == _UNREADABLE:
        state = "UNKNOWN"
    return ParsedReceipt(
        True,  # positional, because keywords cost a third of a microsecond here
        receipt_type,
        message_id,
        tlv_id,
        state,
        stat,
        receipt_type != "intermediate" and state in FINAL_MESSAGE_STATES,
        _number(sub),
        _number(dlvrd),
        submit_date,
        done_date,
        err,
        text,
        network_error,
        body,
    )


_UNREADABLE = ""


def _tlv_state(value: bytes) -> str | None:
    """Return the state a message_state TLV names; "" for a value outside SMPP, None for no octets."""
    if not value:
        return None
    return MESSAGE_STATE_NAMES.get(int.from_bytes(value[:4], "big"), _UNREADABLE)


def parse_network_error(value: bytes) -> NetworkError | None:
    """Read network_error_code: type and 16-bit code, or ASCII digits alone; None for anything else."""
    if 1 <= len(value) <= 8 and value.isdigit():
        return NetworkError(None, int(value))
    if len(value) == 3:
        return NetworkError(value[0], int.from_bytes(value[1:], "big"))
    return None


def _number(digits: str | None) -> int | None:
    if digits is not None and len(digits) <= 9 and digits.isascii() and digits.isdigit():
        return int(digits)
    return None


# --- the text ----------------------------------------------------------------------------------------

_Fields = tuple[
    str | None, str | None, str | None, str | None, str | None, str | None, str | None, str | None
]

# Most receipts follow appendix B to the letter. A value without colon cannot hide a key, so whatever
# this matches, the tolerant reading below would read the same.
_CANONICAL = re.compile(
    rb"id:([^\s\0:]+) sub:(\d+) dlvrd:(\d+) submit date:(\d+) done date:(\d+) "
    rb"stat:([A-Za-z]+) err:([^\s\0:]+)(?: [Tt]ext:(.*))?\Z",
    re.DOTALL,
)

# A key stands at the beginning or after white space (or a control octet, as a header may leave it).
_KEY = re.compile(
    r"(?<![^\x00-\x20])(id|sub|dlvrd|submit[ _]{0,3}date|done[ _]{0,3}date|stat|err|text)[ \t]{0,3}:",
    re.IGNORECASE | re.ASCII,
)
_TOKEN = re.compile(r"[^\s\0]+", re.ASCII)


def _parse_body(body: bytes, *, data_coding: int, has_udh: bool) -> _Fields:
    """Return id, sub, dlvrd, submit date, done date, stat, err, text of a receipt's body."""
    if has_udh and body:
        behind = _parse_text(body[1 + body[0] :], data_coding=data_coding)
        if behind[0] is not None:
            return behind
        # The header may lie, or be missing in spite of UDHI: then the id is only found from the start.
        whole = _parse_text(body, data_coding=data_coding)
        return behind if whole[0] is None and behind[5] is not None else whole
    return _parse_text(body, data_coding=data_coding)


def _parse_text(body: bytes, *, data_coding: int) -> _Fields:
    match = _CANONICAL.match(body)
    if match is None:
        return _parse_tolerantly(_as_text(body, data_coding=data_coding))
    message_id, sub, dlvrd, submit_date, done_date, stat, err, text = match.groups()
    return (
        message_id.decode("latin-1"),
        sub.decode(),
        dlvrd.decode(),
        submit_date.decode(),
        done_date.decode(),
        stat.decode(),
        err.decode("latin-1"),
        None if text is None else text.rstrip(b"\0").decode("latin-1"),
    )


def _parse_tolerantly(text: str) -> _Fields:
    """Read `key:value` pairs in any order and case up to `text:`; of repeated keys the first counts."""
    values: dict[str, str | None] = {}
    free_text: str | None = None
    key: str | None = None
    value_start = 0
    for match in _KEY.finditer(text):
        if key is not None:
            values.setdefault(key, _first_token(text, value_start, match.start()))
        key = match[1].lower()
        value_start = match.end()
        if key == "text":
            free_text = text[value_start:].rstrip("\0")
            break
        key = key[:4] if key.endswith("date") else key
    else:
        if key is not None:
            values.setdefault(key, _first_token(text, value_start, len(text)))
    get = values.get
    return (
        get("id"),
        get("sub"),
        get("dlvrd"),
        get("subm"),
        get("done"),
        get("stat"),
        get("err"),
        free_text,
    )


def _first_token(text: str, start: int, end: int) -> str | None:
    match = _TOKEN.search(text, start, end)
    return None if match is None else match[0]


def _as_text(body: bytes, *, data_coding: int) -> str:
    """Return the body as text by what its first octets show, since data_coding is often wrong here.

    Keys are ASCII, so UTF-16 betrays itself by NULs in every other octet. All else is read as
    Latin-1: the keys and ids are ASCII, and free text is for display only.
    """
    head = body[:4]
    if head[:2] == b"\xfe\xff":
        return _utf16(body[2:], "utf-16-be")
    if head[:2] == b"\xff\xfe":
        return _utf16(body[2:], "utf-16-le")
    if len(head) == 4:
        if head[0] == 0 and head[2] == 0:
            return _utf16(body, "utf-16-be")
        if head[1] == 0 and head[3] == 0:
            return _utf16(body, "utf-16-le")
        # A non-ASCII octet in front with UCS-2 declared: the text begins with another script.
        if data_coding == 8 and body.count(0) * 3 > len(body):
            return _utf16(body, "utf-16-be")
    return body.decode("latin-1")


def _utf16(body: bytes, encoding: str) -> str:
    return body[: len(body) & ~1].decode(encoding, "replace")


def parse_receipt_date(raw: str | None) -> datetime | None:
    """Read a receipt's date of 10, 12 or 14 digits, by slices; None when it is no date.

    Twelve digits are YYMMDDhhmmss, or YYYYMMDDhhmm when that is impossible. The result is naive: it
    is in the carrier's zone, which only the bind's settings know.
    """
    if raw is None or not (raw.isascii() and raw.isdigit()):
        return None
    if len(raw) == 10:
        return _date("20" + raw + "00")
    if len(raw) == 12:
        return _date("20" + raw) or _date(raw + "00")
    if len(raw) == 14:
        return _date(raw)
    return None


def _date(digits: str) -> datetime | None:
    try:
        return datetime(  # noqa: DTZ001  # carrier-local on purpose
            int(digits[:4]),
            int(digits[4:6]),
            int(digits[6:8]),
            int(digits[8:10]),
            int(digits[10:12]),
            int(digits[12:14]),
        )
    except ValueError:
        return None
