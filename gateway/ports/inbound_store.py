"""What the pipeline of mobile-originated messages keeps: messages, segments that wait, and whose numbers are whose.

Implemented by `gateway.store.inbound` and `gateway.store.inbound_views`. Times are integer milliseconds since the
Unix epoch (UTC). The rules of `gateway.ports.record_store` hold, and:

1. `lock` makes every other user of the open sets wait until `tx` ends; without it nobody may touch them.
2. `insert_messages` leaves a message that exists as it is, and does not return it.
3. A message without an account is shown to nobody but operators.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from gateway.ports.bus import Transaction
from gateway.ports.record_store import DeadRow


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One mobile-originated message, whole or as much of it as came.

    `sender` is E.164 without plus if `sender_is_e164`, else as the carrier wrote it; `recipient` is ours. `text` is None
    for a binary message. `missing` lists segments that never came. `account_id` None is nobody's (yet), `assigned_by`
    says how its account was found: number, sender, carrier, or "". `raw` is what the carrier wrote. `media` names what
    came with it (type, id, link, name), on channels that have such a thing.
    """

    id: UUID
    carrier: str
    bind: str
    sender: str
    sender_is_e164: bool
    recipient: str
    text: str | None
    encoding: str
    segment_count: int
    missing: tuple[int, ...]
    received_at: int
    raw: Mapping[str, Any]
    account_id: str | None = None
    assigned_by: str = ""
    in_reply_to: UUID | None = None
    channel: str = "sms"
    media: Mapping[str, str] | None = None


class SourceRow(NamedTuple):
    """The carrier's own id of a message: the same one again is a repeat."""

    carrier: str
    source_id: str
    message_id: UUID
    seen_at: int


class SetRow(NamedTuple):
    """One row of `inbound_sets`."""

    id: UUID
    carrier: str
    sender: str
    recipient: str
    kind: str
    reference: int
    segment_count: int
    opened_at: int
    expires_at: int
    part_count: int
    done_at: int | None
    digests: bytes


class PartRow(NamedTuple):
    """One row of `inbound_parts`."""

    set_id: UUID
    segment_index: int
    digest: bytes
    received_at: int
    value: bytes


class Conversation(NamedTuple):
    """Who wrote to which number of ours, over which carrier, and when a message that it answers was sent.

    Numbers are without plus.
    """

    carrier: str
    person: str
    number: str
    since_ms: int
    before_ms: int


class Sent(NamedTuple):
    """A message of ours that a reply may answer; `same_number` if it was sent from the number replied to."""

    message_id: UUID
    account_id: str
    same_number: bool


class NumberRow(NamedTuple):
    """Which account answers for a number; carrier "" means any."""

    number: str
    carrier: str
    account_id: str
    created_at: int


class InboundStore(Protocol):
    """What `gateway.inbound` writes, and reads for it. See the numbered rules above."""

    async def lock(self, tx: Transaction) -> None:
        """Be the only one that touches waiting sets until `tx` ends."""

    async def sets_of(self, tx: Transaction, keys: Sequence[tuple[object, ...]]) -> list[SetRow]:
        """Return the open set and the few newest done ones of each key (the columns carrier to segment_count)."""

    async def parts_of(self, tx: Transaction, set_ids: Sequence[UUID]) -> list[PartRow]:
        """Return the segments that wait in these sets."""

    async def expired(self, tx: Transaction, *, now_ms: int, limit: int) -> list[SetRow]:
        """Return up to `limit` open sets that are past their time, the oldest first."""

    async def crowding(
        self, tx: Transaction, senders: Sequence[tuple[str, str]], *, max_parts: int
    ) -> list[SetRow]:
        """Return the oldest open sets of each (carrier, sender) beyond `max_parts` waiting segments."""

    async def oldest(self, tx: Transaction, *, max_parts: int, limit: int) -> list[SetRow]:
        """Return up to `limit` oldest open sets beyond `max_parts` waiting segments of all senders together."""

    async def waiting(self) -> int:
        """Return how many segments wait."""

    async def write_sets(
        self,
        tx: Transaction,
        *,
        sets: Sequence[SetRow],
        parts: Sequence[PartRow],
        emptied: Sequence[UUID],
        dropped: Sequence[UUID],
    ) -> None:
        """Write sets and segments; delete the segments of `emptied` sets, and `dropped` sets with theirs."""

    async def forget_done(self, *, before_ms: int, limit: int) -> int:
        """Delete up to `limit` sets done before a time; return how many."""

    async def numbers(self, tx: Transaction, numbers: Sequence[str]) -> list[NumberRow]:
        """Return who owns these numbers."""

    async def last_sent(
        self, tx: Transaction, conversations: Sequence[Conversation]
    ) -> dict[Conversation, Sent]:
        """Return for each the newest message to the person from that number, else from a name over that carrier."""

    async def claim_sources(self, tx: Transaction, rows: Sequence[SourceRow]) -> set[UUID]:
        """Keep the carriers' ids of messages; return the messages whose id was not known yet."""

    async def forget_sources(self, *, before_ms: int, limit: int) -> int:
        """Delete up to `limit` of the carriers' ids that were seen before a time; return how many."""

    async def insert_messages(self, tx: Transaction, messages: Sequence[InboundMessage]) -> set[UUID]:
        """Write messages; return the ids of those that were new."""

    async def unassigned(
        self, tx: Transaction, *, since_ms: int, before: UUID | None, limit: int
    ) -> list[InboundMessage]:
        """Return up to `limit` messages without an account, received since then, newest first, ids below `before`."""

    async def assign(self, tx: Transaction, messages: Sequence[InboundMessage]) -> set[UUID]:
        """Write the accounts of messages that have none; return the ids of those that this changed."""

    async def insert_dead(self, tx: Transaction, rows: Sequence[DeadRow]) -> None:
        """Keep records that could not be processed; one known already is left as it is."""


class InboundFilters(NamedTuple):
    """Which messages to list; None leaves a column out. `since` is the earliest `received_at`, inclusive."""

    sender: str | None = None
    recipient: str | None = None
    since: int | None = None


class InboundViews(Protocol):
    """What is read of mobile-originated messages. `account_id` None asks for those that are nobody's."""

    async def get_inbound(self, account_id: str | None, message_id: UUID) -> InboundMessage | None:
        """Return the message, or None when this account has no such one."""

    async def list_inbound(
        self, account_id: str | None, filters: InboundFilters, *, limit: int, before: UUID | None
    ) -> list[InboundMessage]:
        """Return the messages that match, newest first, with ids below `before` where it is given."""
