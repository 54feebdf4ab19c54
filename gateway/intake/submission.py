"""What one request wants kept, encoded beforehand so that the journal's transaction is short."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

from gateway.bus.codec import encode, encode_accepted
from gateway.bus.topics import EVENTS, lane
from gateway.domain.carried import replace
from gateway.domain.ids import parse_id
from gateway.domain.lifecycle import State
from gateway.domain.message import APPENDED_AGAIN, Message
from gateway.ports.bus import Record
from gateway.ports.dispatch_store import DeferredRow
from gateway.ports.intake_store import ClientRefClaim, KeyedRequest

# In an answer of ours; a quote within a client's own text is escaped.
_MESSAGE_IDS: Final = re.compile(rb'"id":"(msg_[0-9a-z]+)"')
_BATCH_ID: Final = re.compile(rb'"(bat_[0-9a-z]+)"')

_Outcome_contra = TypeVar("_Outcome_contra", contravariant=True)

Owners = Mapping[UUID, UUID]
"""For each message that repeats a client_ref: the id of the message that has it."""


class Waiter(Protocol[_Outcome_contra]):
    """Who waits for the outcome; an asyncio future is one. `done` is true when nobody waits any more."""

    def done(self) -> bool:
        """Tell whether the outcome is there or not wanted."""

    def set_result(self, outcome: _Outcome_contra, /) -> None:
        """Take the outcome; raises nothing."""


class Submission:
    """The messages of one request and its answer.

    `body` is the answer if no client_ref repeats; otherwise `render` makes it from the owners found. `claims` says
    whether the messages' client_refs are claimed. `waiter` gets the journal's outcome. `is_again`: an earlier try of the
    same request may have been appended, so its messages are taken in a second time under the same ids.
    """

    __slots__ = (
        "account_id",
        "body",
        "claims",
        "entries",
        "is_again",
        "keyed",
        "messages",
        "render",
        "since",
        "status",
        "waiter",
    )

    def __init__(
        self,
        messages: Sequence[Message],
        *,
        account_id: str,
        status: int,
        body: bytes,
        keyed: KeyedRequest | None = None,
        claim_client_refs: bool = False,
        render: Callable[[Owners], bytes] | None = None,
    ) -> None:
        self.account_id = account_id
        self.status = status
        self.body = body
        self.keyed = keyed
        self.render = render
        self.messages = messages
        self.entries = [entry_of(message) for message in messages]
        self.claims = [
            ClientRefClaim(account_id, message.client_ref, message.id)
            for message in (messages if claim_client_refs else ())
            if message.client_ref is not None
        ]
        self.is_again = False
        self.waiter: Waiter[Any] | None = None
        self.since = 0.0

    def settle(self, outcome: object) -> None:
        """Answer the waiting request, if it still waits."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(outcome)

    @property
    def is_simple(self) -> bool:
        """True when it is nothing but records, under a key or not: no reference is claimed, no message waits."""
        return not self.claims and all(entry.deferred is None for entry in self.entries)

    def adopt(self, body: bytes) -> bool:
        """Go by the ids in the answer that an earlier try had prepared; False when it was about other messages.

        An answer without a body is of messages whose ids are given from outside, the same each time.
        """
        messages = list(self.messages)
        if body:
            ids = [parse_id("msg", one.decode()) for one in _MESSAGE_IDS.findall(body)]
            if len(ids) != len(messages):
                return False
            batch = _BATCH_ID.search(body)
            batch_id = parse_id("bat", batch[1].decode()) if batch else None
            messages = [
                replace(message, id=id_, batch_id=batch_id)
                for message, id_ in zip(messages, ids, strict=True)
            ]
        self.messages, self.body = messages, body
        self.entries = [entry_of(message, again=True) for message in messages]
        self.is_again = True
        return True

    def repeat(self, earlier: "Submission") -> None:
        """Become an earlier try of the same request: its messages, their ids, its answer."""
        self.status, self.body, self.render = earlier.status, earlier.body, earlier.render
        self.keyed, self.claims, self.messages = earlier.keyed, earlier.claims, earlier.messages
        self.entries = [entry_of(message, again=True) for message in earlier.messages]
        self.is_again = True


class Entry:
    """One message as the transaction writes it: an event, and a lane record or a deferred row."""

    __slots__ = ("deferred", "event", "lane_record", "message_id")

    def __init__(
        self, message_id: UUID, event: Record, lane_record: Record | None, deferred: DeferredRow | None
    ) -> None:
        self.message_id = message_id
        self.event = event
        self.lane_record = lane_record
        self.deferred = deferred


def entry_of(message: Message, *, again: bool = False) -> Entry:
    """Return what is written of a message; `again`: whoever reads the lane must look whether it had it already."""
    topic = lane(message.carrier, message.message_class)
    key = message.recipient.encode()
    value = encode(message)
    if message.send_at is None:
        event = Record(EVENTS, message.id.bytes, encode_accepted(value, State.QUEUED))
        if again:
            value = encode(replace(message, attempt=APPENDED_AGAIN))
        return Entry(message.id, event, Record(topic, key, value), None)
    event = Record(EVENTS, message.id.bytes, encode_accepted(value, State.SCHEDULED))
    return Entry(message.id, event, None, DeferredRow(message.send_at, topic, key, value, message.id))
