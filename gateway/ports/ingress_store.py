"""What the HTTP API reads of messages: rows of the projection, as plain values.

Implemented by `gateway.store.views`. All times are integer milliseconds since the Unix epoch (UTC). The rules:

1. A row of another account is invisible: the answer is the same as for a row that does not exist.
2. `list_messages` orders by id, newest first; ids are UUIDv7, so this is the order of acceptance.
3. `list_events` orders by (at, seq), oldest first; (at, seq) is unique within one message.
4. `limit` is at least 1 and at most 1,000; an implementation returns at most that many rows.
5. Nothing is changed by a read; a read has a deadline of its own and raises `TimeoutError` past it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class MessageView:
    """One message as its account sees it.

    `recipient` is E.164 without plus. `state` is a value of `gateway.domain.lifecycle.State`. `encoding` is the
    alphabet (`gsm7`, `ucs2`, ...). `error` is the reason of a final failure, `""` when there is none. `attempt` is
    the number of submit tries so far, 0 before the first. `submitted_at` is the first acknowledgement by a carrier.
    `channel` is the one that delivered it, else the one it is on; `channels` are those it may try, None for one alone.
    `trace_id` is there of messages that were sampled.
    """

    id: UUID
    account_id: str
    message_class: str
    channel: str
    recipient: str
    sender: str
    encoding: str
    segment_count: int
    state: str
    accepted_at: int
    valid_until: int
    partial: bool = False
    carrier: str | None = None
    attempt: int = 0
    client_ref: str | None = None
    batch_id: UUID | None = None
    send_at: int | None = None
    submitted_at: int | None = None
    final_at: int | None = None
    metadata: Mapping[str, str] | None = None
    request_id: str | None = None
    error: str = ""
    channels: tuple[str, ...] | None = None
    trace_id: str | None = None


class EventPosition(NamedTuple):
    """Where a reader of a timeline stands: the last event it has seen."""

    at: int
    seq: int


@dataclass(frozen=True, slots=True)
class EventView:
    """One line of a message's timeline. `type` and `detail` are shown to the account as they are stored."""

    at: int
    seq: int
    type: str
    detail: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class MessageFilters:
    """Which messages to list; None leaves a column out. `since` is the earliest `accepted_at`, inclusive."""

    recipient: str | None = None
    state: str | None = None
    client_ref: str | None = None
    since: int | None = None
    message_class: str | None = None
    carrier: str | None = None


class MessageViews(Protocol):
    """See the numbered rules above."""

    async def get_message(self, account_id: str, message_id: UUID) -> MessageView | None:
        """Return the message, or None when this account has no such row (yet)."""

    async def list_events(
        self, account_id: str, message_id: UUID, *, limit: int, after: EventPosition | None
    ) -> list[EventView] | None:
        """Return the events behind `after`; None when this account has no such message (yet)."""

    async def list_messages(
        self, account_id: str, filters: MessageFilters, *, limit: int, before: UUID | None
    ) -> list[MessageView]:
        """Return the messages that match, with ids below `before` where it is given."""


@dataclass(frozen=True, slots=True)
class OrphanView:
    """A receipt that no message of ours is known for. `value` is its record as it was on the bus.

    It is looked for again until `expires_at`; `given_up_at` None: it still waits. `reason` is waiting, expired, or
    crowded_out where more receipts waited than may.
    """

    id: int
    carrier: str
    carrier_message_id: str
    second_id: str | None
    parked_at: int
    expires_at: int
    given_up_at: int | None
    reason: str
    value: bytes


class OrphanViews(Protocol):
    """Receipts without a message, for operators; rules 4 and 5 hold."""

    async def list_orphans(
        self, *, carrier: str | None, since: int | None, limit: int, before: int | None
    ) -> list[OrphanView]:
        """Return those parked at or after `since`, newest first, with ids below `before` where it is given."""
