"""From a record of `webhook.due` to the body of a POST. Pure; used by `dlr.webhooks.delivery`.

The event's `data` is never looked into: it goes from the bus into the body as it is. An endpoint with `batch_max` 1
gets the event itself, `{"id", "type", "timestamp", "data"}`; any other gets
`{"type": "batch", "timestamp", "data": [event, ...]}`, also when there is one event alone.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

import msgspec

from gateway.bus import codec
from gateway.bus.codec import EnvelopeError
from gateway.bus.notice_octets import data_text, told_at
from gateway.domain.ids import MAX_TIME_MS, derived_uuid, format_id, new_uuid7, uuid7_time_ms
from gateway.domain.instants import rfc3339
from gateway.domain.notices import ANY_TYPE, DISABLED_TYPE, MESSAGE_TYPE_BY_STATE, TEST_TYPE, TYPES, Notice

MAX_EVENT_OCTETS: Final = 20_000
BATCH_TYPE: Final = "batch"


class Event(msgspec.Struct, gc=False):
    """A notice as delivery needs it; `data` is JSON."""

    id: UUID
    account_id: str
    type: str
    at: int
    subject_id: UUID
    data: msgspec.Raw
    endpoint_id: str | None = None

    def body(self) -> bytes:
        """Return the event as the body of a POST carries it (`gateway.domain.notices.event_json`)."""
        head = (
            f'{{"id":"{format_id("evt", self.id)}","type":{_text(self.type)},"timestamp":"{rfc3339(self.at)}"'
        )
        body = b"".join((head.encode(), b',"data":', self.data, b"}"))
        return body if len(body) <= MAX_EVENT_OCTETS else self._shortened(body)

    def _shortened(self, body: bytes) -> bytes:
        """Return a body within the limit: metadata of odd characters can blow up, and is the account's own."""
        event = msgspec.json.decode(body)
        data = event["data"]
        if isinstance(data, dict) and data.get("metadata"):
            event["data"] = {**data, "metadata": None}
            body = msgspec.json.encode(event)
        if len(body) > MAX_EVENT_OCTETS:
            event["data"] = {"id": data.get("id") if isinstance(data, dict) else None}
            body = msgspec.json.encode(event)
        return body


class _Told(msgspec.Struct, gc=False, array_like=True):
    """The fields of `gateway.domain.notices.MessageFacts`; `metadata` stays as it was stored."""

    id: UUID
    account_id: str
    message_class: str
    channel: str
    recipient: str
    sender: str
    encoding: str
    segment_count: int
    client_ref: str | None
    batch_id: UUID | None
    metadata: msgspec.Raw
    accepted_at: int
    webhook_id: str | None
    origin: str | None
    state: str
    partial: bool
    carrier: str | None
    attempt: int
    submitted_at: int | None
    final_at: int | None
    error: str


class _Notice(msgspec.Struct, gc=False, tag_field="t", tag="notice"):
    v: int
    d: Event


class _Facts(msgspec.Struct, gc=False, tag_field="t", tag="told"):
    v: int
    d: _Told


_decode: Final = msgspec.json.Decoder(_Notice | _Facts).decode


def read_event(value: bytes) -> Event:
    """Return the event of a record; EnvelopeError naming what is wrong."""
    try:
        envelope = _decode(value)
    except msgspec.MsgspecError as error:
        codec.decode_as(Notice, value)  # says what it is
        raise EnvelopeError(f"not a notice: {error}") from None
    if envelope.v != codec.VERSION:
        raise EnvelopeError(f"envelope version {envelope.v}, this program reads {codec.VERSION}")
    event = envelope.d if type(envelope) is _Notice else _event_of(envelope.d)
    if not 0 <= event.at <= MAX_TIME_MS:
        raise EnvelopeError(f"time {event.at} ms is outside 0..{MAX_TIME_MS}")
    return event


def _event_of(facts: _Told) -> Event:
    """Return what `gateway.domain.notices.message_notice` says of these facts."""
    state = facts.state
    event_type = MESSAGE_TYPE_BY_STATE.get(state)
    if event_type is None:
        raise EnvelopeError(f"nobody is told that a message is {state!r}")
    return Event(
        derived_uuid(facts.id, event_type),
        facts.account_id,
        event_type,
        told_at(facts, state),
        facts.id,
        msgspec.Raw(data_text(facts, state).encode()),
        facts.webhook_id,
    )


def batch_body(bodies: Sequence[bytes], *, now_ms: int) -> bytes:
    """Return the body of several events."""
    head = f'{{"type":"{BATCH_TYPE}","timestamp":"{rfc3339(now_ms)}","data":['
    return b"".join((head.encode(), b",".join(bodies), b"]}"))


def batch_id(event_ids: Sequence[UUID]) -> str:
    """Return the `webhook-id` of a batch: the same for the same events, so that a repeat can be recognised."""
    digest = blake2b(b"".join([one.bytes for one in event_ids]), digest_size=10).digest()
    return format_id(
        "evt", new_uuid7(uuid7_time_ms(event_ids[0]), int.from_bytes(digest, "big") & ((1 << 74) - 1))
    )


def notice_of_test(account_id: str, endpoint_id: str, *, notice_id: UUID, now_ms: int) -> Notice:
    """Return the event that `:test` sends to one endpoint."""
    data = {"webhook_id": endpoint_id, "text": "A test of this endpoint."}
    return Notice(notice_id, account_id, TEST_TYPE, now_ms, notice_id, data, endpoint_id)


def disabled_notice(
    account_id: str, endpoint_id: str, *, reason: str, notice_id: UUID, now_ms: int
) -> Notice:
    """Return the event that tells the account's other endpoints that this one was disabled."""
    data: dict[str, Any] = {"webhook_id": endpoint_id, "reason": reason, "disabled_at": rfc3339(now_ms)}
    return Notice(notice_id, account_id, DISABLED_TYPE, now_ms, notice_id, data)


def wants(types: Sequence[str], event_type: str) -> bool:
    """Tell whether an endpoint with this subscription gets events of a type."""
    return event_type in types or ANY_TYPE in types


def unknown_types(types: Sequence[str]) -> list[str]:
    """Return those that nothing can be subscribed to."""
    return [one for one in types if one != ANY_TYPE and one not in TYPES]


_TEXTS: Final = {one: f'"{one}"' for one in (*TYPES, TEST_TYPE)}


def _text(value: str) -> str:
    return _TEXTS.get(value) or msgspec.json.encode(value).decode()
