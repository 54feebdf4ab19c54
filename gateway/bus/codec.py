"""Envelopes on the bus: versioned JSON by msgspec (D11).

`{"v": 1, "t": "<type>", "d": {...}}`. A new optional field keeps the version; anything else gets a new version and
an upcaster here, and the golden files of the tests keep every old version readable. A field that has its default is
not written, so a default stays what it is for ever.

What holds a sampled message says so in front, `{"v": 1, "t": "<type>", "traced": true, "d": {...}}`: it is read as a
class of its own, which costs the others nothing, and a program that knows nothing of traces reads the message all the same.
"""

from typing import Any

import msgspec

from gateway.domain.events import (
    Accepted,
    Attempted,
    Event,
    Noted,
    Receipted,
    StepAttempted,
    StepReceipted,
    TracedAccepted,
)
from gateway.domain.lifecycle import State
from gateway.domain.message import Message, TracedMessage
from gateway.domain.notices import Notice
from gateway.domain.receipts import MobileOriginated, Receipt
from gateway.domain.steps import StepFailed, StepSubmitted, TracedStepFailed, TracedStepSubmitted

VERSION = 1


class EnvelopeError(ValueError):
    """The record is not an envelope that this version can read."""


class _Envelope(msgspec.Struct):
    v: int
    t: str
    d: msgspec.Raw
    traced: bool = False


class _Owned(msgspec.Struct):
    account_id: str


class _OwnedEnvelope(msgspec.Struct):
    d: _Owned


_TYPES: dict[str, type[Any]] = {
    "message": Message,
    "accepted": Accepted,
    "attempted": Attempted,
    "noted": Noted,
    "receipted": Receipted,
    "receipt": Receipt,
    "mo": MobileOriginated,
    "notice": Notice,
    "step_attempted": StepAttempted,
    "step_receipted": StepReceipted,
    "step_submitted": StepSubmitted,
    "step_failed": StepFailed,
}
_TRACED: dict[str, type[Any]] = {
    "message": TracedMessage,
    "accepted": TracedAccepted,
    "step_submitted": TracedStepSubmitted,
    "step_failed": TracedStepFailed,
}
_HOLDERS: dict[type[Any], type[Any]] = {
    Accepted: TracedAccepted,
    StepSubmitted: TracedStepSubmitted,
    StepFailed: TracedStepFailed,
}
"""What holds a message, and what it is read as when that is a sampled one."""
_NAMES = {kind: name for types in (_TYPES, _TRACED) for name, kind in types.items()}
_PREFIX = {kind: f'{{"v":{VERSION},"t":"{name}","d":'.encode() for name, kind in _TYPES.items()} | {
    kind: f'{{"v":{VERSION},"t":"{name}","traced":true,"d":'.encode() for name, kind in _TRACED.items()
}
_DECODERS = {name: msgspec.json.Decoder(kind) for name, kind in _TYPES.items()}
_TRACED_DECODERS = _DECODERS | {name: msgspec.json.Decoder(kind) for name, kind in _TRACED.items()}
_BY_PREFIX = {_PREFIX[kind]: _DECODERS[name] for name, kind in _TYPES.items()} | {
    _PREFIX[kind]: _TRACED_DECODERS[name] for name, kind in _TRACED.items()
}
_PAYLOAD = b',"d":'
_ACCEPTED = _PREFIX[Accepted] + b'{"message":'
_TRACED_ACCEPTED = _PREFIX[TracedAccepted] + b'{"message":'
_ACCEPTED_TAILS = {state: f',"state":"{state}"}}}}'.encode() for state in State} | {
    State.QUEUED: b"}}"
}  # the default
_MESSAGE_AT = len(_PREFIX[Message])
_TRACED_AT = len(_PREFIX[TracedMessage])
# Where the two begin to differ: "d" or "traced".
_MARK_AT = _PREFIX[Message].index(b'"d"') + 1
_MARKED = ord("t")
_MAX_PREFIX = max(map(len, _PREFIX.values()))
_ENVELOPE = msgspec.json.Decoder(_Envelope)
_OWNED = msgspec.json.Decoder(_OwnedEnvelope).decode
_ENCODE = msgspec.json.Encoder().encode

Payload = Message | Event | Receipt | MobileOriginated | Notice | StepSubmitted | StepFailed


def encode(payload: Payload) -> bytes:
    """Return the envelope of a message, event, receipt, MO or notice."""
    kind: type[Any] = type(payload)
    if kind in _HOLDERS and type(payload.message) is TracedMessage:  # type: ignore[union-attr]  # all holders have one
        kind = _HOLDERS[kind]
    return _PREFIX[kind] + _ENCODE(payload) + b"}"


def encode_accepted(message: bytes, state: State) -> bytes:
    """Return the envelope of `Accepted(message, state)`, given the message's: it need not be written twice."""
    if message[_MARK_AT] == _MARKED:
        return b"".join((_TRACED_ACCEPTED, message[_TRACED_AT:-1], _ACCEPTED_TAILS[state]))
    return b"".join((_ACCEPTED, message[_MESSAGE_AT:-1], _ACCEPTED_TAILS[state]))


def decode(value: bytes) -> Payload:
    """Return what `encode` was given; raise EnvelopeError naming what is wrong."""
    # What this version wrote starts in one of a few ways, which say how to read the rest in one go.
    start = value.find(_PAYLOAD, 0, _MAX_PREFIX) + len(_PAYLOAD)
    known = _BY_PREFIX.get(value[:start])
    if known is not None and value.endswith(b"}"):
        try:
            payload: Payload = known.decode(memoryview(value)[start:-1])
        except msgspec.MsgspecError:
            pass  # the long way says what is wrong
        else:
            return payload
    return _decode_any(value)


def _decode_any(value: bytes) -> Payload:
    try:
        envelope = _ENVELOPE.decode(value)
        if envelope.v != VERSION:
            raise EnvelopeError(f"envelope version {envelope.v}, this program reads {VERSION}")
        decoder = (_TRACED_DECODERS if envelope.traced else _DECODERS).get(envelope.t)
        if decoder is None:
            raise EnvelopeError(f"unknown envelope type {envelope.t!r}")
        payload: Payload = decoder.decode(envelope.d)
    except msgspec.MsgspecError as error:
        raise EnvelopeError(f"not an envelope: {error}") from None
    return payload


def account_of(value: bytes) -> str:
    """Return the account of a message's envelope, at a quarter of the cost of decoding it; raise EnvelopeError."""
    try:
        return _OWNED(value).d.account_id
    except msgspec.MsgspecError as error:
        raise EnvelopeError(f"not the envelope of a message: {error}") from None


def decode_as(kind: type[Any], value: bytes) -> Any:
    """Return the payload, which must be of `kind`."""
    payload = decode(value)
    if not isinstance(payload, kind):
        raise EnvelopeError(f"a {_NAMES[type(payload)]} where a {_NAMES[kind]} belongs")
    return payload
