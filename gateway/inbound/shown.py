"""A mobile-originated message as its account sees it: by GET, and in the notice `inbound.received`."""

from typing import Any, Final

import msgspec

from gateway.domain.ids import format_id
from gateway.domain.instants import rfc3339
from gateway.ports.inbound_store import InboundMessage

MAX_NOTICE_OCTETS: Final = 16_000
"""Most octets of a notice's JSON: a webhook's payload stays below 20 KB (http-api section 6)."""

_CUT_CHARACTERS: Final = 4_000
_SMALLER: Final = ("raw", "data_hex", "text")


def inbound_json(message: InboundMessage) -> dict[str, Any]:
    """Return a message in the words of the API."""
    return {
        "id": format_id("mo", message.id),
        "from": "+" + message.sender if message.sender_is_e164 else message.sender,
        "to": message.recipient,
        "channel": message.channel,
        "text": message.text,
        "data_hex": message.raw.get("data_hex"),
        "media": None if message.media is None else dict(message.media),
        "encoding": message.encoding,
        "segments": message.segment_count,
        "partial": bool(message.missing),
        "missing_segments": list(message.missing),
        "carrier": message.carrier,
        "received_at": rfc3339(message.received_at),
        "in_reply_to": None if message.in_reply_to is None else format_id("msg", message.in_reply_to),
        "raw": {name: value for name, value in message.raw.items() if name != "data_hex"},
    }


def notice_data(message: InboundMessage) -> dict[str, Any]:
    """Return what `inbound_json` does, cut where it is too long for a notice; `"truncated": true` says so."""
    data = inbound_json(message)
    for name in _SMALLER:
        if len(msgspec.json.encode(data)) <= MAX_NOTICE_OCTETS:
            break
        data["truncated"] = True
        value = data[name]
        data[name] = value[:_CUT_CHARACTERS] if isinstance(value, str) else None
    return data
