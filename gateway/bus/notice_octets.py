"""How the bus carries that a message reached a state, and the words an account reads of it. Pure.

`webhook.due` carries the facts alone, a third of the octets: the words are found where they are posted, by
`dlr.webhooks.payloads`. `esme.due` carries a notice as it has always been. Both are written past the values in between,
which would cost twice as much for every event of every message; tests hold them to `gateway.domain.notices.message_notice`.
"""

from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import msgspec

from gateway.bus.codec import PREFIX, VERSION
from gateway.domain.ids import derived_text, format_id
from gateway.domain.instants import rfc3339
from gateway.domain.lifecycle import State
from gateway.domain.notices import MESSAGE_TYPE_BY_STATE, MessageFacts

_encode: Final = msgspec.json.Encoder().encode
_FACTS: Final = PREFIX[MessageFacts]
_HEAD: Final = f'{{"v":{VERSION},"t":"notice","d":{{"id":"'
_SUBMITTED: Final = State.SUBMITTED.value
_WORDS: Final = {True: "true", False: "false"}


def facts_octets(facts: MessageFacts, state: str) -> bytes:
    """Return the envelope of the facts of a message that reached `state`: the one it has, or one on the way."""
    if facts.state != state:
        facts = facts._replace(state=state)
    return b"%b%b}" % (_FACTS, _encode(facts))


def notice_octets(facts: MessageFacts, state: str) -> bytes:
    """Return the envelope of the notice that a message reached `state`: the one it has, or `submitted` on the way."""
    event_type = MESSAGE_TYPE_BY_STATE[state]
    text = (
        f'{_HEAD}{derived_text(facts.id, event_type)}","account_id":{_written(facts.account_id)},'
        f'"type":"{event_type}","at":{told_at(facts, state)},"subject_id":"{facts.id}","data":{data_text(facts, state)}'
    )
    if facts.webhook_id is not None:
        text += f',"endpoint_id":{_written(facts.webhook_id)}'
    if facts.origin is not None:
        text += f',"origin":{_written(facts.origin)}'
    return f"{text}}}}}".encode()


def told_at(facts: Any, state: str) -> int:
    """Return when a message with these facts reached `state`."""
    at: int | None = facts.submitted_at if state == _SUBMITTED else facts.final_at
    return facts.accepted_at if at is None else at


def data_text(facts: Any, state: str) -> str:
    """Return what an account reads of a message that reached `state`; `facts` has the fields of `MessageFacts`."""
    is_final = state != _SUBMITTED
    batch_id, client_ref, metadata = facts.batch_id, facts.client_ref, facts.metadata
    status, what, why = _shared(
        state,
        facts.sender,
        facts.channel,
        facts.message_class,
        facts.encoding,
        facts.segment_count,
        _WORDS[facts.partial and is_final],
        facts.carrier,
        facts.attempt,
        facts.error if is_final else "",
    )
    return (
        f'{{"id":"{format_id("msg", facts.id)}{status}{_written("+" + facts.recipient)}{what}'
        f"{'null' if client_ref is None else _written(client_ref)},"
        f'"batch_id":{"null" if batch_id is None else _batch(batch_id.int)}{why}"{rfc3339(facts.accepted_at)}",'
        f'"submitted_at":{_instant(facts.submitted_at)},"final_at":{_instant(facts.final_at if is_final else None)},'
        f'"metadata":{"null" if metadata is None else _written(metadata)}}}'
    )


@lru_cache(maxsize=4096)
def _shared(
    state: str,
    sender: str,
    channel: str,
    message_class: str,
    encoding: str,
    segment_count: int,
    partial: str,
    carrier: str | None,
    attempt: int,
    error: str,
) -> tuple[str, str, str]:
    """Return what stands between the values of a message's own: an account's messages of one kind share it."""
    return (
        f'","status":"{state}","to":',
        (
            f',"from":{_written(sender)},"channel":{_written(channel)},"class":{_written(message_class)},'
            f'"encoding":{_written(encoding)},"segments":{segment_count},"partial":{partial},'
            f'"carrier":{_written(carrier)},"attempts":{attempt},"client_ref":'
        ),
        f',"error":{_written(error or None)},"created_at":',
    )


def _written(value: object) -> str:
    return _encode(value).decode()


@lru_cache(maxsize=256)
def _batch(number: int) -> str:
    return f'"{format_id("bat", UUID(int=number))}"'


def _instant(time_ms: int | None) -> str:
    return "null" if time_ms is None else f'"{rfc3339(time_ms)}"'
