"""What the recorder and dlr keep in the database: messages, submissions, timeline, parked receipts, dead records.

Implemented by `gateway.store.messages`, `gateway.store.receipts` and `gateway.store.partitions`. Times are integer
milliseconds since the Unix epoch (UTC). The rules:

1. What a method writes with `tx` exists exactly when that transaction commits.
2. Inserts refuse rows that exist already with `RowsExistError`, which spoils the transaction; with `careful=True`
   they accept them, at a higher price. A replay therefore fails once and is then written carefully.
3. A value that the database will never take raises `RowRejectedError`; every other error may go away by itself.
4. A message's state only moves forward and the first final state stays; a submission's first final receipt stays.
5. Every call has a deadline of its own and raises `TimeoutError` past it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from gateway.domain.lifecycle import State
from gateway.domain.notices import MessageFacts
from gateway.ports.bus import Transaction


class RowsExistError(Exception):
    """An insert met a row with the same key: this batch, or a part of it, was written before."""


class RowRejectedError(Exception):
    """The database refuses a value for good: the record that it came from is dead."""


class ReceiptRaceError(Exception):
    """Another transaction changed a submission between look-up and update: do the batch again."""


class MessageRow(NamedTuple):
    """One row of `messages`, in the order of its columns."""

    id: UUID
    account_id: str
    message_class: str
    channel: str
    source: str
    recipient: str
    sender: str
    text: str
    encoding: str
    segment_count: int
    client_ref: str | None
    batch_id: UUID | None
    request_id: str | None
    metadata: str | None
    accepted_at: int
    valid_until: int
    send_at: int | None
    first_state: str
    first_carrier: str
    route_reason: str
    webhook_id: str | None
    origin: str | None
    channels: str | None
    state: str
    state_rank: int
    partial: bool
    carrier: str | None
    attempt: int
    submitted_at: int | None
    final_at: int | None
    error: str


class MessagePatch(NamedTuple):
    """What a batch of events changes in one message that is stored already. `carrier` None keeps what is there."""

    id: UUID
    state: str
    state_rank: int
    partial: bool
    carrier: str | None
    attempt: int
    submitted_at: int | None
    final_at: int | None
    error: str


class Delivered(NamedTuple):
    """A message all of whose segments are delivered, the last of them by a receipt that came `at`."""

    id: UUID
    at: int


class PlainReceipt(NamedTuple):
    """A receipt that says delivered and came `at`; `receipt` is JSON text. It delivers a message of one segment by itself."""

    carrier: str
    carrier_message_id: str
    at: int
    receipt: str


class SubmissionRow(NamedTuple):
    """One row of `submissions` as the recorder writes it."""

    message_id: UUID
    segment_index: int
    attempt: int
    segment_count: int
    carrier: str
    carrier_message_id: str | None
    raw_id: str | None
    bind: str
    sequence_number: int
    outcome: str
    status: str
    state: str
    submitted_at: int
    response_ms: int
    steps_left: int = 0


class EventRow(NamedTuple):
    """One row of `message_events`; `detail` is JSON text."""

    message_id: UUID
    log_offset: int
    at: int
    type: str
    detail: str


class DeadRow(NamedTuple):
    """One record that could not be processed."""

    topic: str
    partition: int
    log_offset: int
    value: bytes
    error: str
    at: int


class FinalCount(NamedTuple):
    """How many messages of a carrier reached a final state in one batch."""

    carrier: str
    state: str
    messages: int


class StateChange(NamedTuple):
    """A message whose state moved to submitted or a final one; `rank_before` is how far it was (1 queued, 2 submitted)."""

    facts: MessageFacts
    rank_before: int


class Settled(NamedTuple):
    """Which receipts of a batch delivered their messages: their places, and when each segment was handed over."""

    places: list[int]
    submitted_ats: list[int]
    changes: list[StateChange]


class CarrierKey(NamedTuple):
    """What a receipt is matched by (F20: never by number alone)."""

    carrier: str
    carrier_message_id: str


class Submission(NamedTuple):
    """What dlr needs to know of one segment's attempt. `receipt_state` is None before the first receipt.

    `steps_left` names the step of a message that may try several channels: how many come after it. `read_at` is when a
    receipt after the final one said that it was read.
    """

    message_id: UUID
    segment_index: int
    attempt: int
    segment_count: int
    state: State
    receipt_state: State | None
    receipt_stat: str | None
    submitted_at: int
    steps_left: int = 0
    read_at: int | None = None


class ReadMark(NamedTuple):
    """A segment that was read after it was delivered."""

    message_id: UUID
    segment_index: int
    attempt: int
    read_at: int


class ReceiptUpdate(NamedTuple):
    """A receipt that changes its submission, which must have no final receipt yet; `receipt` is JSON text."""

    message_id: UUID
    segment_index: int
    attempt: int
    receipt_state: str
    receipt: str


class ParkedRow(NamedTuple):
    """A receipt that waits for its submission; `value` is the record as it was on the bus."""

    carrier: str
    carrier_message_id: str
    second_id: str | None
    parked_at: int
    expires_at: int
    value: bytes


class Parked(NamedTuple):
    """A parked receipt taken out again."""

    carrier: str
    carrier_message_id: str
    value: bytes


class StateStore(Protocol):
    """The states of messages, as `gateway.recorder.states` writes them. See the numbered rules above."""

    async def patch_messages(self, tx: Transaction, patches: Sequence[MessagePatch]) -> list[FinalCount]:
        """Move messages forward; return what became final by this."""

    async def patch_and_tell(
        self, tx: Transaction, patches: Sequence[MessagePatch], *, accounts: Sequence[str]
    ) -> tuple[list[FinalCount], list[StateChange]]:
        """Do the same, and return what changed its state of these accounts and of messages with an origin."""

    async def deliver(self, tx: Transaction, rows: Sequence[Delivered]) -> list[FinalCount]:
        """Move messages to delivered; return what became final by this."""

    async def deliver_and_tell(
        self, tx: Transaction, rows: Sequence[Delivered], *, accounts: Sequence[str]
    ) -> tuple[list[FinalCount], list[StateChange]]:
        """Do the same, and return what changed its state of these accounts and of messages with an origin."""

    async def settle(
        self,
        tx: Transaction,
        receipts: Sequence[PlainReceipt],
        *,
        now_ms: int,
        accounts: Sequence[str] | None,
    ) -> Settled:
        """Store each receipt that is the first of a message's only submit, and move that message to delivered.

        The others are left as they are. No two receipts have the same carrier and id. `accounts` are those that are
        told, None when nobody is, messages with an origin neither. ReceiptRaceError when a submission got another
        receipt meanwhile.
        """


class RecordStore(StateStore, Protocol):
    """The tables that the recorder writes. See the numbered rules above."""

    async def insert_messages(
        self, tx: Transaction, rows: Sequence[MessageRow], *, careful: bool = False
    ) -> None:
        """Write new messages."""

    async def set_channels(self, tx: Transaction, steps: Mapping[UUID, int], *, new: Sequence[UUID]) -> None:
        """Note on which of its channels each message is, by how many come after it.

        Final messages stay as they are, but for those in `new`, which this transaction has written.
        """

    async def insert_events(
        self, tx: Transaction, rows: Sequence[EventRow], *, careful: bool = False
    ) -> None:
        """Write timeline rows."""

    async def insert_dead(self, tx: Transaction, rows: Sequence[DeadRow]) -> None:
        """Keep records that could not be processed; one known already is left as it is."""


class SubmissionStore(Protocol):
    """The table `submissions`, as the recorder uses it. See the numbered rules above."""

    async def insert_submissions(
        self, tx: Transaction, rows: Sequence[SubmissionRow], *, careful: bool = False
    ) -> None:
        """Write results of submits; with `careful`, a known one only gains what it lacked (its carrier id)."""

    async def lock_messages(self, tx: Transaction, message_ids: Sequence[UUID]) -> None:
        """Wait until no other transaction weighs these messages, and keep others waiting until `tx` ends."""

    async def submissions_of(self, tx: Transaction, message_ids: Sequence[UUID]) -> list[Submission]:
        """Return every submission of these messages."""


class ReceiptStore(SubmissionStore, Protocol):
    """The table `submissions`, as dlr uses it. See the numbered rules above."""

    async def find(
        self, tx: Transaction, keys: Sequence[CarrierKey], *, now_ms: int
    ) -> dict[CarrierKey, list[Submission]]:
        """Return the few newest submissions of each key; a key without any is left out."""

    async def apply(self, tx: Transaction, updates: Sequence[ReceiptUpdate]) -> None:
        """Write receipts onto their submissions; ReceiptRaceError when one has a final receipt by now."""

    async def mark_read(self, tx: Transaction, read: Sequence[ReadMark]) -> None:
        """Keep when segments were read; the first time stays."""

    async def insert_dead(self, tx: Transaction, rows: Sequence[DeadRow]) -> None:
        """Keep records that could not be processed."""


class ParkedStore(Protocol):
    """The table `parked_receipts`. See the numbered rules above."""

    async def park(self, tx: Transaction, rows: Sequence[ParkedRow]) -> None:
        """Keep receipts until their submission is known."""

    async def is_empty(self) -> bool:
        """Tell whether no receipt at all is parked: the cheap question to ask first."""

    async def take(self, tx: Transaction, keys: Sequence[CarrierKey]) -> list[Parked]:
        """Take out the parked receipts that wait for one of the keys, by their first or second id."""

    async def keys_after(self, row_id: int, *, limit: int) -> tuple[list[CarrierKey], int]:
        """Return the keys of the next parked rows behind `row_id`, and the last id read; (empty, 0) at the end."""

    async def give_up(self, tx: Transaction, *, now_ms: int, max_rows: int, limit: int) -> int:
        """Make orphans of up to `limit` receipts that are past their time, or the oldest beyond `max_rows`."""

    async def counts(self) -> tuple[int, int]:
        """Return how many receipts are parked and how many are orphans."""

    async def drop_orphans(self, tx: Transaction, *, max_rows: int, limit: int) -> int:
        """Delete up to `limit` of the oldest orphans beyond `max_rows`; return how many."""


class Orphans(Protocol):
    """The table `orphan_receipts`, as a replay uses it. See the numbered rules above."""

    async def newest(self) -> int:
        """Return the id of the newest orphan, 0 when there is none."""

    async def take_orphans(
        self, tx: Transaction, *, carrier: str | None, before: int, limit: int
    ) -> list[Parked]:
        """Take out up to `limit` of the oldest orphans with ids below `before`, of one carrier or of all."""


class SilentPage(NamedTuple):
    """One slice of a search for messages without a final state. `next_id` None: the day is read to its end.

    `lost_count` of `message_ids` were never submitted.
    """

    message_ids: list[UUID]
    open_count: int
    next_id: UUID | None
    lost_count: int = 0


class SilenceStore(Protocol):
    """Messages that nothing was heard of. See the numbered rules above."""

    async def open_days(self, *, before_ms: int) -> list[int]:
        """Return the days (midnight UTC) up to `before_ms` that may hold open messages, oldest first."""

    async def silent_page(
        self, day_at: int, *, after: UUID | None, valid_before_ms: int, limit: int
    ) -> SilentPage:
        """Read the next `limit` messages of a day; return those open and no longer valid at `valid_before_ms`."""

    async def close_day(self, day_at: int) -> None:
        """Remember that every message of the day has its final state."""


class Housekeeping(Protocol):
    """Partitions and retention. See the numbered rules above."""

    async def keep(self, *, now_ms: int) -> None:
        """Make the days ahead, drop those past their retention; idempotent and safe from several processes."""
