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
    text = (
        f'{_HEAD}{derived_text(message_id, event_type)}","account_id":{_word(account_id)},"type":"{event_type}",'
        f'"at":{accepted_at if at is None else at},"subject_id":"{message_id}","data":{{'
        f'"id":"{format_id("msg", message_id)}","status":"{state}","to":{_written("+" + recipient)},'
        f'"from":{_word(sender)},"channel":{_word(channel)},"class":{_word(message_class)},'
        f'"encoding":{_word(encoding)},"segments":{segment_count},"partial":{_WORDS[partial and is_final]},'
        f'"carrier":{_word(carrier)},"attempts":{attempt},"client_ref":{_written(client_ref)},'
        f'"batch_id":{"null" if batch_id is None else _batch(batch_id.int)},'
        f'"error":{_word(error) if error and is_final else "null"},"created_at":"{rfc3339(accepted_at)}",'
        f'"submitted_at":{_instant(submitted_at)},"final_at":{_instant(final_at if is_final else None)},'
        f'"metadata":{_written(metadata)}}}'
    )
    if webhook_id is not None:
        text += f',"endpoint_id":{_word(webhook_id)}'
    if origin is not None:
        text += f',"origin":{_written(origin)}'
    return f"{text}}}}}".encode()


@lru_cache(maxsize=1024)
def _word(value: str | None) -> str:
    """Return a text that many messages share as JSON."""
    return _encode(value).decode()


def _written(value: object) -> str:
    return "null" if value is None else _encode(value).decode()


@lru_cache(maxsize=256)
def _batch(number: int) -> str:
    return f'"{format_id("bat", UUID(int=number))}"'


def _instant(time_ms: int | None) -> str:
    return "null" if time_ms is None else f'"{rfc3339(time_ms)}"'
