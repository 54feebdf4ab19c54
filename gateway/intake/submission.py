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

    `body` is the answer if no client_ref repeats; otherwise `render` makes it from the owners found. `claims` are of the
    messages' client_refs. `records` are what is appended, `rows` wait for their time. `waiter` gets the journal's outcome.
    `is_again`: an earlier try of the same request may have been appended, so its messages are taken in a second time
    under the same ids.
    """

    __slots__ = (
        "account_id",
        "body",
        "claims",
        "count",
        "is_again",
        "keyed",
        "messages",
        "records",
        "render",
        "rows",
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
        self.count = len(messages)
        self.records, self.rows = written(messages)
        self.claims = (
            [
                ClientRefClaim(account_id, message.client_ref, message.id)
                for message in messages
                if message.client_ref is not None
            ]
            if claim_client_refs
            else []
        )
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
        return not self.claims and not self.rows

    def without(self, repeats: Owners) -> tuple[list[Record], list[DeferredRow]]:
        """Return what is left to write where some of the messages are others' repeats."""
        rest = [message for message in self.messages if message.id not in repeats]
        return written(rest, again=self.is_again)

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
        self._write_again()
        return True

    def repeat(self, earlier: "Submission") -> None:
        """Become an earlier try of the same request: its messages, their ids, its answer."""
        self.status, self.body, self.render = earlier.status, earlier.body, earlier.render
        self.keyed, self.claims, self.messages = earlier.keyed, earlier.claims, earlier.messages
        self._write_again()

    def _write_again(self) -> None:
        self.count = len(self.messages)
        self.records, self.rows = written(self.messages, again=True)
        self.is_again = True


def written(messages: Sequence[Message], *, again: bool = False) -> tuple[list[Record], list[DeferredRow]]:
    """Return what is written of messages, in their order: an event and a lane record each, or a row for later.

    `again`: whoever reads the lane must look whether it had it already.
    """
    records: list[Record] = []
    rows: list[DeferredRow] = []
    for message in messages:
        topic = lane(message.carrier, message.message_class)
        key = message.recipient.encode()
        value = encode(message)
        if message.send_at is None:
            records.append(Record(EVENTS, message.id.bytes, encode_accepted(value, State.QUEUED)))
            if again:
                value = encode(replace(message, attempt=APPENDED_AGAIN))
            records.append(Record(topic, key, value))
        else:
            records.append(Record(EVENTS, message.id.bytes, encode_accepted(value, State.SCHEDULED)))
            rows.append(DeferredRow(message.send_at, topic, key, value, message.id))
    return records, rows
