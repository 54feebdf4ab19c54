"""What WhatsApp calls on our side: the verification of the URL, statuses of messages, and what people write.

`WhatsAppCallbacks` implements `gateway.ports.callbacks.CallbackReader`; `gateway.runtime.wiring.callbacks` makes it,
`gateway.ingress.callbacks` calls it. Pure: no I/O, no clock. Whatever comes, there is an answer:

| the call | the answer |
|---|---|
| GET with the verify token | 200 and the challenge, as plain text |
| GET without it | 403 |
| POST without the right `X-Hub-Signature-256` | 401 |
| POST that is no JSON | 400, so that it comes again |
| any other POST | 200: WhatsApp repeats whole calls for days, and a part that is not understood would never be |

An app at Meta has one URL for all its numbers, so a call may speak of numbers of other carriers of ours: `numbers` says
which carrier each phone_number_id is.
"""

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import msgspec

from adapters.http.callbacks import BIND, MAX_ID, iso_time
from adapters.http.signatures import HmacCheck
from adapters.http.whatsapp_errors import receipt_state
from adapters.http.whatsapp_replies import number_of, reply
from gateway.domain.receipts import MessageState, MobileOriginated, Receipt
from gateway.ports.callbacks import CallbackAnswer, CallbackFault, CallbackReading, CallbackRequest

MAX_ITEMS: Final = 20_000
"""More than a call of Meta's can hold: its bodies end at 3 MB."""

SIGNATURE_HEADER: Final = "x-hub-signature-256"
_MAX_CHALLENGE: Final = 1_024
_MAX_WORD: Final = 64
_MAX_RAW: Final = 2_000
_REFERENCE: Final = "msg_"
_MAX_REFERENCE: Final = 64
_MESSAGES: Final = "messages"

_OK: Final = CallbackAnswer(200)
_FORBIDDEN: Final = CallbackAnswer(403, b"forbidden")
_UNAUTHORISED: Final = CallbackAnswer(401, b"unauthorised")
_MALFORMED: Final = CallbackAnswer(400, b"malformed")
_NOT_ALLOWED: Final = CallbackAnswer(405, b"method not allowed")
_TOO_MANY: Final = CallbackAnswer(413, b"too many items")

_STATES: Final = {
    "sent": MessageState.ENROUTE,
    "delivered": MessageState.DELIVERED,
    "read": MessageState.READ,
    "played": MessageState.READ,  # a voice message was listened to
}
_FAILED: Final = "failed"
# What is kept of a status as it came: not the number of the person.
_KEPT: Final = ("status", "timestamp", "conversation", "pricing", "errors")

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

Item = Receipt | MobileOriginated
_Reading = Iterator[Item | CallbackFault]


@dataclass(frozen=True, slots=True)
class WhatsAppNumber:
    """One number that calls may speak of: which carrier it is, and how it is written (digits; empty: as WhatsApp says)."""

    carrier: str
    number: str = ""


@dataclass(frozen=True, slots=True)
class WhatsAppCalls:
    """How the calls of one carrier are known. `numbers` is by phone_number_id and names its siblings too."""

    carrier: str
    app_secret: str = field(repr=False)
    verify_token: str = field(repr=False)
    numbers: Mapping[str, WhatsAppNumber] = field(default_factory=dict)


class WhatsAppCallbacks:
    """Reads the calls of one WhatsApp carrier."""

    def __init__(self, calls: WhatsAppCalls) -> None:
        self._calls = calls
        self._check = HmacCheck(SIGNATURE_HEADER, (calls.app_secret.encode(),), prefix="sha256=")

    def __repr__(self) -> str:
        return f"<WhatsAppCallbacks {self._calls.carrier}>"

    def read(self, request: CallbackRequest) -> CallbackReading:
        """Return the answer and what the call said."""
        if request.method == "GET":
            return self._verified(request)
        if request.method != "POST":
            return CallbackReading(_NOT_ALLOWED, fault=CallbackFault.METHOD)
        fault = self._check.fault(request)
        if fault is not None:
            return CallbackReading(_UNAUTHORISED, fault=fault)
        try:
            document = _decode(request.body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return CallbackReading(_MALFORMED, fault=CallbackFault.MALFORMED)
        items: list[Item] = []
        for item in self._items(document, request.received_at):
            if isinstance(item, CallbackFault):
                fault = fault or item
            else:
                items.append(item)
            if len(items) > MAX_ITEMS:
                return CallbackReading(_TOO_MANY, fault=CallbackFault.TOO_MANY)
        return CallbackReading(_OK, items, fault or "")

    def _verified(self, request: CallbackRequest) -> CallbackReading:
        query = request.query
        given = sha256(query.get("hub.verify_token", "").encode("utf-8", "replace")).digest()
        known = sha256(self._calls.verify_token.encode()).digest()
        is_known = hmac.compare_digest(given, known)
        challenge = query.get("hub.challenge", "")
        is_fit = challenge.isascii() and challenge.isprintable() and len(challenge) <= _MAX_CHALLENGE
        if not is_known or query.get("hub.mode") != "subscribe" or not is_fit:
            return CallbackReading(_FORBIDDEN, fault=CallbackFault.SIGNATURE)
        return CallbackReading(CallbackAnswer(200, challenge.encode()))

    def _items(self, document: Any, received_at: int) -> _Reading:
        if not isinstance(document, dict) or not isinstance(document.get("entry"), list):
            yield CallbackFault.SHAPE
            return
        for entry in document["entry"]:
            for change in _objects(entry, "changes"):
                # Reviews of templates, alerts of the account, quality: taken, and no message's matter.
                if isinstance(change, dict) and change.get("field") == _MESSAGES:
                    yield from self._value(change.get("value"), received_at)
                elif not isinstance(change, dict):
                    yield CallbackFault.SHAPE

    def _value(self, value: Any, received_at: int) -> _Reading:
        if not isinstance(value, dict):
            yield CallbackFault.SHAPE
            return
        metadata = value.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        known = self._calls.numbers.get(str(metadata.get("phone_number_id")))
        carrier = self._calls.carrier if known is None else known.carrier
        for status in _objects(value, "statuses"):
            yield self._receipt(status, carrier, received_at, is_ours=known is not None)
        recipient = (known.number if known is not None else "") or number_of(
            metadata.get("display_phone_number")
        )
        for message in _objects(value, "messages"):
            read = reply(message, carrier=carrier, recipient=recipient, received_at=received_at)
            yield CallbackFault.SHAPE if read is None else read
        if value.get("errors"):
            yield CallbackFault.UNKNOWN_KIND

    def _receipt(
        self, status: Any, carrier: str, received_at: int, *, is_ours: bool
    ) -> Receipt | CallbackFault:
        if not isinstance(status, dict):
            return CallbackFault.SHAPE
        wamid, word = status.get("id"), status.get("status")
        if not isinstance(wamid, str) or not isinstance(word, str) or not 0 < len(wamid) <= MAX_ID * 2:
            return CallbackFault.SHAPE
        reference = _reference(status)
        if not is_ours and reference is None:
            # Another system sends from a number of the same app: there is nothing that this could be about.
            return CallbackFault.UNKNOWN_KIND
        state, error = _STATES.get(word, MessageState.UNKNOWN), None
        if word == _FAILED:
            error = _error_code(status)
            state = receipt_state(error)
        return Receipt(
            carrier,
            BIND,
            wamid,
            state,
            received_at,
            intermediate=word not in _FINAL,
            second_id=reference,
            raw_stat=word[:_MAX_WORD],
            err=None if error is None else str(error),
            done_date=iso_time(status.get("timestamp")),
            raw=_raw(status),
        )


_FINAL: Final = frozenset({"delivered", "read", "played", _FAILED})


def _objects(parent: Any, name: str) -> list[Any]:
    found = parent.get(name) if isinstance(parent, dict) else None
    return found if isinstance(found, list) else []


def _reference(status: dict[str, Any]) -> str | None:
    """Return our id of the message, which statuses repeat: it finds messages whose answer was lost."""
    given = status.get("biz_opaque_callback_data")
    if not isinstance(given, str) or not given.startswith(_REFERENCE) or len(given) > _MAX_REFERENCE:
        return None
    return given


def _error_code(status: dict[str, Any]) -> int | None:
    for error in _objects(status, "errors"):
        code = error.get("code") if isinstance(error, dict) else None
        if isinstance(code, int) and not isinstance(code, bool):
            return code
    return None


def _raw(status: dict[str, Any]) -> str:
    return _encode({name: status[name] for name in _KEPT if name in status})[:_MAX_RAW].decode(
        "utf-8", "ignore"
    )
