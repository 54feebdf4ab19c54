"""Which changes of a batch somebody is told of, as records for the bus. No I/O. Called by `gateway.recorder.consumer`.

A message that went from queued to a final state within one batch passed through submitted when a carrier acknowledged
it: both notices are made then, in that order. A message's notices have one key, so they keep their order on the bus,
and ids that follow from message and state, so a batch that is written twice makes the same ones again.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, Protocol

import msgspec

from gateway.bus.notice_octets import facts_octets, notice_octets
from gateway.bus.topics import ESME, WEBHOOKS
from gateway.domain.lifecycle import State
from gateway.domain.notices import ANY_TYPE, MESSAGE_TYPE_BY_STATE, MessageFacts
from gateway.ports.bus import Record
from gateway.ports.record_store import MessageRow, StateChange
from gateway.recorder.fold import RANKS

_SUBMITTED: Final = State.SUBMITTED.value
_SUBMITTED_RANK: Final = 2
_NONE: Final[AbstractSet[str]] = frozenset()
_PLACES: Final[list[int]] = [MessageRow._fields.index(name) for name in MessageFacts._fields]
_METADATA: Final = MessageFacts._fields.index("metadata")

Subscriptions = Mapping[str, AbstractSet[str]]
"""The types that an account's endpoints want, by account; `*` stands for all."""


class Audience(Protocol):
    """Who wants to know; `dlr.webhooks.directory.Directory` is one."""

    async def subscriptions(self) -> Subscriptions:
        """Return what is known now; raises while nothing is."""


class Nobody:
    """An audience without anybody in it."""

    async def subscriptions(self) -> Subscriptions:
        """Return nothing."""
        return {}


def who_wants(subscriptions: Subscriptions, states: Iterable[str]) -> list[str]:
    """Return the accounts that want to know of any of the states, or of `submitted` where a final one may hide it."""
    types = {MESSAGE_TYPE_BY_STATE[state] for state in states if state in MESSAGE_TYPE_BY_STATE}
    if not types:
        return []
    types |= {ANY_TYPE, MESSAGE_TYPE_BY_STATE[State.SUBMITTED]}
    return [account_id for account_id, wanted in subscriptions.items() if not types.isdisjoint(wanted)]


def changes_of(rows: Iterable[MessageRow]) -> Iterator[StateChange]:
    """Return the changes of messages that were accepted in this very batch."""
    for row in rows:
        if row.state_rank >= _SUBMITTED_RANK:
            rank_before = RANKS[State(row.first_state)]
            values: list[Any] = [row[place] for place in _PLACES]
            if values[_METADATA] is not None:
                values[_METADATA] = msgspec.Raw(values[_METADATA].encode())
            yield StateChange(MessageFacts._make(values), rank_before)


def records(
    changes: Iterable[StateChange], subscriptions: Subscriptions, *, tells_origins: bool
) -> list[Record]:
    """Return the records of `webhook.due`, and where `tells_origins` of `esme.due`, that tell of these changes."""
    made: list[Record] = []
    for facts, rank_before in changes:
        wanted = subscriptions.get(facts.account_id, _NONE)
        has_origin = tells_origins and facts.origin is not None
        if not wanted and not has_origin:
            continue
        key = facts.id.bytes
        for state in _passed(facts, rank_before):
            is_wanted = ANY_TYPE in wanted or MESSAGE_TYPE_BY_STATE[state] in wanted
            if not is_wanted and not has_origin:
                continue
            if is_wanted:
                made.append(Record(WEBHOOKS, key, facts_octets(facts, state)))
            if has_origin:
                made.append(Record(ESME, key, notice_octets(facts, state)))
    return made


def _passed(facts: MessageFacts, rank_before: int) -> tuple[str, ...]:
    """Return the states to tell of, in order."""
    state = facts.state
    if rank_before < _SUBMITTED_RANK and state != _SUBMITTED and facts.submitted_at is not None:
        return (_SUBMITTED, state)
    return (state,)
