"""The notice of a message's state as it goes on the bus, written in one go. Pure; called by `gateway.recorder.notices`.

`encode(message_notice(facts, state))` says what it is, octet for octet (a test holds the two together); making the
values only to write them out again costs twice as much, for every event of every message.
"""

from functools import lru_cache
from typing import Final
from uuid import UUID

import msgspec

from gateway.bus.codec import VERSION
from gateway.domain.ids import derived_text, format_id
from gateway.domain.instants import rfc3339
from gateway.domain.lifecycle import State
from gateway.domain.notices import MESSAGE_TYPE_BY_STATE, MessageFacts

_encode: Final = msgspec.json.Encoder().encode
_HEAD: Final = f'{{"v":{VERSION},"t":"notice","d":{{"id":"'
_SUBMITTED: Final = State.SUBMITTED.value
_WORDS: Final = {True: "true", False: "false"}


def notice_octets(facts: MessageFacts, state: str) -> bytes:
    """Return the envelope of the notice that a message reached `state`: the one it has, or `submitted` on the way."""
    (
        message_id,
        account_id,
        message_class,
        channel,
        recipient,
        sender,
        encoding,
        segment_count,
        client_ref,
        batch_id,
        metadata,
        accepted_at,
        webhook_id,
        origin,
        _,
        partial,
        carrier,
        attempt,
        submitted_at,
        final_at,
        error,
    ) = facts
    event_type = MESSAGE_TYPE_BY_STATE[state]
    is_final = state != _SUBMITTED
    at = final_at if is_final else submitted_at
    whose, where, what, why, whom = _shared(
        account_id,
        message_class,
        channel,
        sender,
        encoding,
        segment_count,
        webhook_id,
        state,
        event_type,
        _WORDS[partial and is_final],
        carrier,
        attempt,
        error if is_final else "",
    )
    text = (
        f"{_HEAD}{derived_text(message_id, event_type)}{whose}{accepted_at if at is None else at}"
        f',"subject_id":"{message_id}","data":{{"id":"{format_id("msg", message_id)}{where}{_written("+" + recipient)}'
        f'{what}{_written(client_ref)},"batch_id":{"null" if batch_id is None else _batch(batch_id.int)}'
        f'{why}"{rfc3339(accepted_at)}","submitted_at":{_instant(submitted_at)},'
        f'"final_at":{_instant(final_at if is_final else None)},"metadata":{_written(metadata)}{whom}'
    )
    if origin is not None:
        text += f',"origin":{_written(origin)}'
    return f"{text}}}}}".encode()


@lru_cache(maxsize=4096)
def _shared(
    account_id: str,
    message_class: str,
    channel: str,
    sender: str,
    encoding: str,
    segment_count: int,
    webhook_id: str | None,
    state: str,
    event_type: str,
    partial: str,
    carrier: str | None,
    attempt: int,
    error: str,
) -> tuple[str, str, str, str, str]:
    """Return what stands between the values of a message's own: an account's messages of one kind share it."""
    return (
        f'","account_id":{_written(account_id)},"type":"{event_type}","at":',
        f'","status":"{state}","to":',
        (
            f',"from":{_written(sender)},"channel":{_written(channel)},"class":{_written(message_class)},'
            f'"encoding":{_written(encoding)},"segments":{segment_count},"partial":{partial},'
            f'"carrier":{_written(carrier)},"attempts":{attempt},"client_ref":'
        ),
        f',"error":{_written(error or None)},"created_at":',
        "}" if webhook_id is None else f'}},"endpoint_id":{_written(webhook_id)}',
    )


def _written(value: object) -> str:
    return "null" if value is None else _encode(value).decode()


@lru_cache(maxsize=256)
def _batch(number: int) -> str:
    return f'"{format_id("bat", UUID(int=number))}"'


def _instant(time_ms: int | None) -> str:
    return "null" if time_ms is None else f'"{rfc3339(time_ms)}"'
