"""The bodies of `POST /v1/messages`, `:batch` and `:validate` as values, with one fault per offending field.

Called by `gateway.intake.entry`. A good body costs one typed decode. Only a bad one is read a second time, field by
field, to say everything that is wrong with it, and in a batch to keep the good items. JSON null means "not given".
"""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

from gateway.domain.errors import quoted
from gateway.domain.message import CLASSES, Channel, MessageClass, Progress
from gateway.intake.rich import Content, Fault
from gateway.policy.channels import MAX_STEPS, MAX_WAIT_MS

MAX_CLIENT_REF = 64
MAX_METADATA_KEYS = 10
MAX_METADATA_KEY = 64
MAX_METADATA_VALUE = 256
MAX_PREFERRED = 10
MAX_SHOWN_FAULTS = 100
MAX_WITHIN_S = MAX_WAIT_MS // 1000

_Text = str | None
_Time = Annotated[datetime, msgspec.Meta(tz=True)] | None
_ClientRef = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_CLIENT_REF)] | None
_MetadataKey = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_METADATA_KEY)]
_MetadataValue = Annotated[str, msgspec.Meta(max_length=MAX_METADATA_VALUE)]
_Metadata = Annotated[dict[_MetadataKey, _MetadataValue], msgspec.Meta(max_length=MAX_METADATA_KEYS)] | None


class BodyError(Exception):
    """The body as a whole cannot be used; `code` is of the problem catalogue."""

    def __init__(self, code: str, detail: str, *, faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.faults = tuple(faults)


class RouteWish(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Which carriers the client would like, and whether others may be tried."""

    prefer: Annotated[list[str], msgspec.Meta(max_length=MAX_PREFERRED)] | None = None
    failover: bool | None = None


class FallbackWish(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """When the next channel begins although this one has not failed."""

    unless: Progress | None = None
    within_s: Annotated[int, msgspec.Meta(ge=1, le=MAX_WITHIN_S)] | None = None


class ChannelWish(msgspec.Struct, forbid_unknown_fields=True, rename={"sender": "from"}, gc=False):
    """One of several channels; what is left out is the message's."""

    channel: str
    to: _Text = None
    sender: _Text = None
    content: Content | None = None
    fallback: FallbackWish | None = None


class Defaults(
    msgspec.Struct, forbid_unknown_fields=True, rename={"sender": "from", "message_class": "class"}
):
    """Fields of a batch that every message takes where it has none of its own."""

    sender: _Text = None
    channel: _Text = None
    channels: Annotated[list[str | ChannelWish], msgspec.Meta(min_length=1, max_length=MAX_STEPS)] | None = (
        None
    )
    message_class: MessageClass | None = None
    content: Content | None = None
    transliterate: bool | None = None
    expires_at: _Time = None
    send_at: _Time = None
    route: RouteWish | None = None
    webhook_id: _Text = None
    metadata: _Metadata = None
    encoding: Literal["auto", "gsm7", "ucs2"] | None = None


class MessageDraft(Defaults, forbid_unknown_fields=True, rename={"sender": "from", "message_class": "class"}):
    """One message as the client wrote it: shapes are checked, nothing else."""

    to: _Text = None
    client_ref: _ClientRef = None
    params: dict[str, Any] | None = None


class BatchDraft(NamedTuple):
    """A batch: per item, in order, the draft with the defaults in it, or what is wrong with it."""

    items: list[MessageDraft | tuple[Fault, ...]]
    reject_all: bool


class _Batch(msgspec.Struct, forbid_unknown_fields=True):
    messages: list[MessageDraft]
    defaults: Defaults | None = None
    on_error: Literal["skip", "reject_all"] | None = None


class _LooseBatch(msgspec.Struct, forbid_unknown_fields=True):
    messages: list[Any]
    defaults: Defaults | None = None
    on_error: Literal["skip", "reject_all"] | None = None


_MESSAGE: Final = msgspec.json.Decoder(MessageDraft)
_BATCH: Final = msgspec.json.Decoder(_Batch)
_ANY: Final = msgspec.json.Decoder()
_ENCODE: Final = msgspec.json.Encoder().encode
_DEFAULTS = msgspec.structs.fields(Defaults)
_CHANNEL_FIELDS: Final = ("channel", "channels")

# A lone surrogate is a fault of one text (B13), but msgspec refuses the whole body for it.
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_PATH = re.compile(r"^(?P<text>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_NAMED_FIELD = re.compile(
    r"^Object (?P<what>contains unknown|missing required) field `(?P<name>.*)`$", re.DOTALL
)
_OPTIONS = {
    "class": ("invalid_class", f"class is one of {', '.join(CLASSES)}"),
    "channel": ("invalid_channel", f"channel is one of {', '.join(Channel)}"),
    "encoding": ("invalid_encoding", "encoding is one of auto, gsm7, ucs2"),
    "on_error": ("invalid_value", "on_error is skip or reject_all"),
    "client_ref": ("invalid_client_ref", f"client_ref is a string of 1 to {MAX_CLIENT_REF} characters"),
    "metadata": (
        "invalid_metadata",
        f"metadata is at most {MAX_METADATA_KEYS} strings (of {MAX_METADATA_VALUE} characters) by name (of {MAX_METADATA_KEY})",
    ),
    "expires_at": (
        "invalid_time",
        "expires_at is an RFC 3339 time with its offset, such as 2026-11-22T03:05:00Z",
    ),
    "send_at": ("invalid_time", "send_at is an RFC 3339 time with its offset, such as 2026-11-22T03:05:00Z"),
}


def parse_message(body: bytes) -> MessageDraft:
    """Return the message of a single request; BodyError for JSON that is none (400) or has faults (422)."""
    try:
        return _MESSAGE.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    tree = _parse_any(body)
    draft = _convert_message(tree)
    if isinstance(draft, MessageDraft):
        return draft
    raise BodyError("validation_failed", draft[0].detail, faults=draft)


def parse_batch(body: bytes, *, max_messages: int) -> BatchDraft:
    """Return the messages of a batch request, each a draft or its faults; BodyError for a batch that is none."""
    items: list[MessageDraft | tuple[Fault, ...]]
    batch: _Batch | _LooseBatch
    try:
        batch = _BATCH.decode(body)
        items = list(batch.messages)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        tree = _parse_any(body)
        faults = _faults(tree, _LooseBatch)
        if faults:
            raise BodyError("validation_failed", faults[0].detail, faults=faults) from None
        batch = msgspec.convert(tree, _LooseBatch)
        _check_count(len(batch.messages), max_messages)
        items = [_convert_message(item) for item in batch.messages]
    _check_count(len(items), max_messages)
    if batch.defaults is not None:
        _fill(items, batch.defaults)
    return BatchDraft(items, batch.on_error == "reject_all")


def _check_count(count: int, max_messages: int) -> None:
    if count == 0:
        fault = Fault("empty_batch", "a batch holds at least 1 message", "/messages")
        raise BodyError("validation_failed", fault.detail, faults=[fault])
    if count > max_messages:
        detail = f"the batch holds {count} messages, the limit is {max_messages}"
        raise BodyError("batch_too_large", detail, faults=[Fault("batch_too_large", detail, "/messages")])


def _fill(items: Sequence[MessageDraft | tuple[Fault, ...]], defaults: Defaults) -> None:
    given = [(field.name, getattr(defaults, field.name)) for field in _DEFAULTS]
    given = [(name, value) for name, value in given if value is not None]
    for item in items:
        if isinstance(item, MessageDraft):
            has_channel = item.channel is not None or item.channels is not None
            for name, value in given:
                if getattr(item, name) is None and not (has_channel and name in _CHANNEL_FIELDS):
                    setattr(item, name, value)


def _parse_any(body: bytes) -> Any:
    """Return the JSON tree of a body that the typed decoder refused; BodyError when it is no JSON at all."""
    try:
        return _ANY.decode(body)
    except UnicodeDecodeError as error:
        raise BodyError("invalid_json", f"the body is not UTF-8: octet {error.start} of a string") from None
    except RecursionError:
        raise BodyError("invalid_json", "the body is nested too deeply") from None
    except msgspec.DecodeError as error:
        reason = str(error)
    if _SURROGATE_ESCAPE.search(body):
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            pass
    raise BodyError("invalid_json", f"the body is not JSON: {reason}")


def _convert_message(tree: Any) -> MessageDraft | tuple[Fault, ...]:
    faults = _faults(tree, MessageDraft)
    return tuple(faults) if faults else msgspec.convert(tree, MessageDraft)


def _faults(tree: Any, kind: type[msgspec.Struct]) -> list[Fault]:
    if not isinstance(tree, dict):
        return [Fault("invalid_type", f"expected an object, got {_json_type(tree)}", "")]
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    faults = [_unknown_field(name, "") for name in tree if name not in fields]
    for name, field in fields.items():
        if name in tree:
            faults += _field_faults(tree[name], name, field.type)
        elif field.required:
            faults.append(Fault("missing_field", f"{name} is missing", f"/{name}"))
    return faults[:MAX_SHOWN_FAULTS]


def _field_faults(value: Any, name: str, kind: Any) -> Iterator[Fault]:
    try:
        if name != "messages":  # its items are looked at one by one
            _ENCODE(value)
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        yield _explain(str(error), name)
    except UnicodeEncodeError:
        where = "/content/text" if name == "content" else f"/{name}"
        yield Fault(
            "lone_surrogate", f"{name} has half of a UTF-16 surrogate pair, which is no character", where
        )


def _explain(message: str, name: str) -> Fault:
    """Return the fault that msgspec's one-line message describes; its path is relative to the field `name`."""
    found = _PATH.match(message)
    assert found is not None  # both groups may be empty, so every string matches
    pointer = f"/{name}{_pointer(found['path'] or '')}"
    if field := _NAMED_FIELD.match(found["text"]):
        if field["what"].startswith("contains"):
            return _unknown_field(field["name"], pointer)
        return Fault("missing_field", f"{field['name']} is missing", f"{pointer}/{_escaped(field['name'])}")
    leaf = pointer.split("/")[1]
    code, detail = _OPTIONS.get(leaf, ("invalid_type", found["text"].replace("`", "")))
    return Fault(code, detail, pointer)


def _unknown_field(name: str, pointer: str) -> Fault:
    return Fault("unknown_field", f"unknown field {quoted(name)}", f"{pointer}/{_escaped(name)}")


def _pointer(path: str) -> str:
    """Turn `.route.prefer[1]` into `/route/prefer/1`; msgspec names no map keys (`[...]`), so those end the path."""
    return "".join(f"/{_escaped(part)}" for part in re.split(r"[.\[\]]+", path.partition("[...]")[0]) if part)


def _escaped(name: str) -> str:
    """Return one reference token of RFC 6901 §3, printable and of bounded length."""
    printable = name[:64].encode("utf-8", "replace").decode()
    return printable.replace("~", "~0").replace("/", "~1")


def _json_type(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
