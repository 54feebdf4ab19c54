"""What a person wrote over WhatsApp, of whatever kind, as a message with its text and what came with it.

Used by `adapters.http.whatsapp_callbacks`. Pure; nothing that a call may hold raises here, and a kind that is not known
is kept by its name.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from adapters.http.callbacks import BIND
from gateway.domain.message import Channel
from gateway.domain.receipts import MobileOriginated

MAX_TEXT: Final = 65_536
MAX_FIELD: Final = 2_048
_MAX_ADDRESS: Final = 64
_MAX_ID: Final = 512
_NOT_DIGITS: Final = re.compile(r"\D")
# WhatsApp still names Mexican numbers by the 1 that they had until 2020 (sms-domain D6).
_OLD_MEXICAN: Final = re.compile(r"521(\d{10})").fullmatch

_encode = msgspec.json.Encoder().encode

Read = tuple[str | None, dict[str, str]]
"""The text, None where there is none, and what came with it."""


def number_of(text: Any) -> str:
    """Return a number as digits: "+52 55 1234-5678" is 525512345678; empty for what is none."""
    return _NOT_DIGITS.sub("", text)[:_MAX_ADDRESS] if isinstance(text, str) else ""


def person_of(wa_id: Any) -> str:
    """Return a person as E.164 without plus, old Mexican forms rewritten; what is no number as it is."""
    if not isinstance(wa_id, str):
        return ""
    wa_id = wa_id.strip().removeprefix("+")[:_MAX_ADDRESS]
    old = _OLD_MEXICAN(wa_id)
    return f"52{old[1]}" if old is not None else wa_id


def reply(message: Any, *, carrier: str, recipient: str, received_at: int) -> MobileOriginated | None:
    """Return what a person wrote, None where not even the person is named."""
    if not isinstance(message, dict):
        return None
    # Who hides the number behind a user name has only an id.
    sender = person_of(message.get("from") or message.get("from_user_id"))
    if not sender:
        return None
    kind = message.get("type")
    kind = kind[:64] if isinstance(kind, str) and kind else "unknown"
    content = message.get(kind)
    content = content if isinstance(content, dict | list) else {}
    text, media = _KINDS.get(kind, _other)(kind, content)
    if kind == "unsupported":
        media |= _texts({"error": _error_code(message)})
    wamid = message.get("id")
    answered = _field(message, "context", "id")
    if answered and media:
        media["reply_to"] = answered
    return MobileOriginated(
        carrier=carrier,
        bind=BIND,
        sender=sender,
        recipient=recipient,
        data_coding=0,
        esm_class=0,
        short_message_hex="",
        received_at=received_at,
        channel=Channel.WHATSAPP.value,
        text=None if text is None else _valid(text[:MAX_TEXT]),
        source_id=wamid[:_MAX_ID] if isinstance(wamid, str) and wamid else None,
        media=media or None,
    )


def _text(_: str, content: Any) -> Read:
    return _field(content, "body", limit=MAX_TEXT) or "", {}


def _button(kind: str, content: Any) -> Read:
    """A button of a template was pressed."""
    return _field(content, "text") or "", _texts({"type": kind, "id": _field(content, "payload")})


def _interactive(_: str, content: Any) -> Read:
    """A button or a row of a list was pressed, or a form was filled in."""
    kind = _field(content, "type") or "interactive"
    found = content.get(kind) if isinstance(content, dict) else None
    text = _field(found, "title") or _field(found, "body") or ""
    media = {
        "type": kind,
        "id": _field(found, "id"),
        "name": _field(found, "name") or _field(found, "description"),
        "response": _field(found, "response_json"),
    }
    return text, _texts(media)


def _media(kind: str, content: Any) -> Read:
    media = {
        "type": kind,
        "id": _field(content, "id"),
        "link": _field(content, "url"),
        "name": _field(content, "filename"),
        "content_type": _field(content, "mime_type"),
        "sha256": _field(content, "sha256"),
    }
    return _field(content, "caption", limit=MAX_TEXT), _texts(media)


def _location(kind: str, content: Any) -> Read:
    name, address = _field(content, "name"), _field(content, "address")
    media = {
        "type": kind,
        "link": _field(content, "url"),
        "name": name,
        "address": address,
        "latitude": _field(content, "latitude"),
        "longitude": _field(content, "longitude"),
    }
    return ", ".join(part for part in (name, address) if part) or None, _texts(media)


def _reaction(kind: str, content: Any) -> Read:
    """An emoji on a message of ours; an empty text is one taken back."""
    return _field(content, "emoji") or "", _texts({"type": kind, "id": _field(content, "message_id")})


def _system(kind: str, content: Any) -> Read:
    media = {"type": kind, "name": _field(content, "type"), "id": _field(content, "wa_id")}
    return _field(content, "body"), _texts(media)


def _unsupported(kind: str, content: Any) -> Read:
    return None, _texts({"type": kind, "name": _field(content, "type")})


def _other(kind: str, content: Any) -> Read:
    """A kind with no form of ours (contacts, order, and what WhatsApp thinks of next): kept as it came."""
    kept = _encode(content).decode()[:MAX_FIELD] if content else None
    return None, _texts({"type": kind, "content": kept})


_KINDS: Final[Mapping[str, Callable[[str, Any], Read]]] = {
    "text": _text,
    "button": _button,
    "interactive": _interactive,
    **dict.fromkeys(("image", "video", "audio", "voice", "document", "sticker"), _media),
    "location": _location,
    "reaction": _reaction,
    "system": _system,
    "unsupported": _unsupported,
}


def _field(content: Any, *path: str, limit: int = MAX_FIELD) -> str | None:
    """Return a scalar as text, None where it is not there."""
    for step in path:
        content = content.get(step) if isinstance(content, dict) else None
    if isinstance(content, str):
        return content[:limit] or None
    if isinstance(content, int | float) and not isinstance(content, bool):
        return str(content)[:_MAX_ID]
    return None


def _texts(values: Mapping[str, str | None]) -> dict[str, str]:
    return {name: _valid(value) for name, value in values.items() if value is not None}


def _valid(text: str) -> str:
    """Return the text with half characters replaced: nothing that comes after could hold them."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _error_code(message: Mapping[str, Any]) -> str | None:
    errors = message.get("errors")
    return _field(errors[0], "code") if isinstance(errors, list) and errors else None
