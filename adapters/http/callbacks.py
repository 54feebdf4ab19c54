"""Calls of HTTP carriers read by a map: where in the call what stands. A carrier is data here, no code knows one by name.

`MappedCallbacks` implements `gateway.ports.callbacks.CallbackReader`; `gateway.runtime.wiring.callbacks` builds it of
the settings, `gateway.ingress.callbacks` calls it. Pure: no I/O, no clock. Whatever comes, there is an answer:

| the call | the answer |
|---|---|
| another method | 405 |
| not signed, wrongly signed, from elsewhere, signed long ago | 401 |
| more items than allowed | 413 |
| nothing in it understood | 400, so that the carrier calls again once the map is right; or as if it were |
| some of it understood | as if all were: a carrier that repeats would repeat it for ever |
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from adapters.http.pointers import Pointer, as_text, find, find_all
from adapters.http.signatures import Check, first_fault
from gateway.domain.receipts import MessageState, MobileOriginated, Receipt
from gateway.ports.callbacks import CallbackAnswer, CallbackFault, CallbackReading, CallbackRequest

BIND: Final = "callback"
"""What receipts and replies name as their bind."""

MAX_ID: Final = 256
_MAX_ADDRESS: Final = 256
_MAX_WORD: Final = 64
_MAX_MEDIA: Final = 2048
_MAX_FIELDS: Final = 1000
_MALFORMED: Final = object()
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BEYOND_SECONDS: Final = 100_000_000_000
_METHODS: Final = {"json": ("POST",), "form": ("POST",), "query": ("GET", "POST")}

_UNAUTHORISED: Final = CallbackAnswer(401, b"unauthorised")
_NOT_ALLOWED: Final = CallbackAnswer(405, b"method not allowed")
_TOO_MANY: Final = CallbackAnswer(413, b"too many items")

_decode = msgspec.json.Decoder().decode

Item = Receipt | MobileOriginated


@dataclass(frozen=True, slots=True)
class When:
    """A condition: of what stands at `pointer` in the item, or of a parameter of the query; without `values`, that it is there.

    `values` are casefolded.
    """

    pointer: Pointer | None = None
    query: str = ""
    values: frozenset[str] = frozenset()

    def holds(self, element: Any, query: Mapping[str, str]) -> bool:
        """Tell whether it is so."""
        found = query.get(self.query) if self.pointer is None else find(element, self.pointer)
        if not self.values:
            return found is not None
        text = as_text(found)
        return text is not None and text.casefold() in self.values


@dataclass(frozen=True, slots=True)
class ReceiptMap:
    """Where in a call a receipt says what; None: the carrier does not say. `states` has casefolded words of the carrier's.

    `items` are the places where they may stand, the first that is there counts.
    """

    id: Pointer
    state: Pointer
    states: Mapping[str, MessageState]
    items: tuple[Pointer, ...] = ((),)
    when: When | None = None
    error: Pointer | None = None
    time: Pointer | None = None


@dataclass(frozen=True, slots=True)
class ReplyMap:
    """Where in a call a person's message says what. `number` is ours where the carrier does not say which.

    `media` has the pointers of type, id, link and name. Without an `id` a repeat is known by its `time`, if there is one.
    """

    sender: Pointer
    items: tuple[Pointer, ...] = ((),)
    when: When | None = None
    id: Pointer | None = None
    recipient: Pointer | None = None
    number: str = ""
    text: Pointer | None = None
    time: Pointer | None = None
    media: Mapping[str, Pointer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallbackMap:
    """How one carrier calls. `format` is json, form or query; `charset` that of its body, where it is not UTF-8."""

    carrier: str
    checks: tuple[Check, ...]
    receipt: ReceiptMap | None = None
    reply: ReplyMap | None = None
    ignored: tuple[When, ...] = ()
    channel: str = "sms"
    format: str = "json"
    charset: str = "utf-8"
    max_items: int = 1000
    answer: CallbackAnswer = CallbackAnswer(200)  # noqa: RUF009 - a tuple
    refuses_unreadable: bool = True


class _Group(NamedTuple):
    """The kinds of items that stand in the same places."""

    pointers: tuple[Pointer, ...]
    maps: tuple[ReceiptMap | ReplyMap, ...]


class MappedCallbacks:
    """Reads the calls of one carrier by its map. `normalise_id` is the one that ids of submits went through."""

    def __init__(self, call_map: CallbackMap, *, normalise_id: Callable[[str], str] = str) -> None:
        self._map = call_map
        self._normalise_id = normalise_id
        self._methods = _METHODS[call_map.format]
        self._groups = _grouped(call_map)

    def __repr__(self) -> str:
        return f"<MappedCallbacks {self._map.carrier} {self._map.format}>"

    def read(self, request: CallbackRequest) -> CallbackReading:
        """Return the answer and what the call said."""
        call_map = self._map
        if request.method not in self._methods:
            return CallbackReading(_NOT_ALLOWED, fault=CallbackFault.METHOD)
        fault = first_fault(call_map.checks, request)
        if fault is not None:
            return CallbackReading(_UNAUTHORISED, fault=fault)
        document = _document(request, call_map)
        if document is _MALFORMED:
            return self._unreadable(CallbackFault.MALFORMED)
        items: list[Item] = []
        count, is_known = 0, False
        for group, element in self._elements(document):
            count += 1
            if count > call_map.max_items:
                return CallbackReading(_TOO_MANY, fault=CallbackFault.TOO_MANY)
            read = self._read(element, group, request)
            if isinstance(read, CallbackFault):
                fault = fault or read
                continue
            is_known = True
            if read is None:
                continue
            items.append(read)
            if read.__class__ is Receipt and read.message_state is MessageState.UNKNOWN:
                fault = fault or self._unless_meant(read)
        if not count and document not in ({}, []):
            fault = CallbackFault.UNKNOWN_KIND
        if fault is not None and not is_known:
            return self._unreadable(fault)
        return CallbackReading(call_map.answer, items, fault or "")

    def _elements(self, document: Any) -> Iterator[tuple[_Group, Any]]:
        for group in self._groups:
            for pointer in group.pointers:
                is_there = False
                for element in find_all(document, pointer):
                    is_there = True
                    yield group, element
                if is_there:
                    break

    def _unreadable(self, fault: CallbackFault) -> CallbackReading:
        if self._map.refuses_unreadable:
            return CallbackReading(CallbackAnswer(400, fault.value.encode()), fault=fault)
        return CallbackReading(self._map.answer, fault=fault)

    def _unless_meant(self, receipt: Receipt) -> CallbackFault | None:
        kind = self._map.receipt
        is_meant = kind is not None and (receipt.raw_stat or "").casefold() in kind.states
        return None if is_meant else CallbackFault.UNKNOWN_STATE

    def _read(self, element: Any, group: _Group, request: CallbackRequest) -> Item | CallbackFault | None:
        """Return what one item says, what is wrong with it, or None for one to be ignored."""
        query = request.query
        for kind in group.maps:
            if kind.when is None or kind.when.holds(element, query):
                if isinstance(kind, ReceiptMap):
                    return self._receipt(element, kind, request.received_at)
                return self._reply(element, kind, request.received_at)
        if any(one.holds(element, query) for one in self._map.ignored):
            return None
        return CallbackFault.UNKNOWN_KIND

    def _receipt(self, element: Any, kind: ReceiptMap, received_at: int) -> Receipt | CallbackFault:
        raw_id, word = as_text(find(element, kind.id)), as_text(find(element, kind.state))
        if raw_id is None or word is None or len(raw_id) > MAX_ID:
            return CallbackFault.SHAPE
        carrier_message_id = self._normalise_id(raw_id)
        if not carrier_message_id:
            return CallbackFault.SHAPE
        error = None if kind.error is None else as_text(find(element, kind.error))
        return Receipt(
            self._map.carrier,
            BIND,
            carrier_message_id,
            kind.states.get(word.casefold(), MessageState.UNKNOWN),
            received_at,
            raw_stat=word[:_MAX_WORD],
            err=None if error is None else error[:_MAX_WORD],
            done_date=None if kind.time is None else iso_time(find(element, kind.time)),
        )

    def _reply(self, element: Any, kind: ReplyMap, received_at: int) -> MobileOriginated | CallbackFault:
        sender = as_text(find(element, kind.sender))
        recipient = None if kind.recipient is None else as_text(find(element, kind.recipient))
        recipient = recipient or kind.number
        text = None if kind.text is None else _words(find(element, kind.text))
        media = {
            name: found[:_MAX_MEDIA]
            for name, pointer in kind.media.items()
            if (found := as_text(find(element, pointer))) is not None
        }
        if not sender or not recipient or (text is None and not media):
            return CallbackFault.SHAPE
        if len(sender) > _MAX_ADDRESS or len(recipient) > _MAX_ADDRESS:
            return CallbackFault.SHAPE
        source_id = None if kind.id is None else as_text(find(element, kind.id))
        if source_id is None and kind.time is not None:
            at = as_text(find(element, kind.time))
            source_id = None if at is None else _digest(sender, recipient, text, at, media)
        if source_id is not None and len(source_id) > MAX_ID:
            source_id = _digest(source_id)
        return MobileOriginated(
            carrier=self._map.carrier,
            bind=BIND,
            sender=sender,
            recipient=recipient,
            data_coding=0,
            esm_class=0,
            short_message_hex="",
            received_at=received_at,
            channel=self._map.channel,
            text=text,
            source_id=source_id,
            media=media or None,
        )


def iso_time(value: Any) -> str | None:
    """Return a time as ISO text in UTC: of an ISO text (naive where it has no offset) or of seconds or milliseconds
    since the epoch; None for what is no time.
    """
    text = as_text(value)
    if text is None or len(text) > _MAX_WORD:
        return None
    try:
        if text.replace(".", "", 1).isdigit():
            number = float(text)
            seconds = number / 1000 if number > _BEYOND_SECONDS else number
            at = _EPOCH + timedelta(milliseconds=round(seconds * 1000))
        else:
            at = datetime.fromisoformat(text)
            if at.tzinfo is None:
                return at.isoformat()
        return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
    except (ValueError, OverflowError):
        return None


def _grouped(call_map: CallbackMap) -> tuple[_Group, ...]:
    kinds = [kind for kind in (call_map.receipt, call_map.reply) if kind is not None]
    places = dict.fromkeys(kind.items for kind in kinds)
    return tuple(_Group(place, tuple(kind for kind in kinds if kind.items == place)) for place in places)


def _document(request: CallbackRequest, call_map: CallbackMap) -> Any:
    """Return what the call holds, `_MALFORMED` when it is not in the carrier's format."""
    if call_map.format == "query":
        return dict(request.query)
    if call_map.format == "json" and call_map.charset == "utf-8":
        try:
            return _decode(request.body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass  # half characters, another charset, NaN: the tolerant way says whether it can be read at all
    text = request.body.decode(call_map.charset, "replace").removeprefix("\ufeff")
    try:
        if call_map.format == "json":
            return json.loads(text)
        fields = parse_qsl(
            text,
            keep_blank_values=True,
            encoding=call_map.charset,
            errors="replace",
            max_num_fields=_MAX_FIELDS,
        )
    except (ValueError, RecursionError):
        return _MALFORMED
    return dict(fields) or _MALFORMED


def _words(value: Any) -> str | None:
    """Return what a person wrote: a text as it is, with white space around it; a number as a text."""
    if isinstance(value, str):
        if value.isascii():
            return value
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return as_text(value)


def _digest(*parts: str | Mapping[str, str] | None) -> str:
    """Return a name for what has none of its own; the mark in front keeps it apart from names that carriers give."""
    return "~" + blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()


__all__: Sequence[str] = (
    "BIND",
    "CallbackMap",
    "MappedCallbacks",
    "ReceiptMap",
    "ReplyMap",
    "When",
    "iso_time",
)
