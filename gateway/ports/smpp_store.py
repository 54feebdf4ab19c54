"""What the SMPP server for customers keeps: credentials, receipts that wait, parts of long messages.

Implemented by `gateway.store.smpp_credentials`, `gateway.store.smpp_outbox` and `gateway.store.smpp_parts`. Times are
integer milliseconds since the Unix epoch (UTC). The rules:

1. A method with `tx` takes part in that transaction; one without opens its own.
2. Every method has a deadline and raises `TimeoutError` past it, `StoreUnavailableError` without a database.
3. Receipts of one system_id are fetched in the order in which they were added.
4. Whoever holds a system_id's drain is the only one to deliver its receipts; it stops when its own monotonic
   deadline passes, before another may take over.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from uuid import UUID

from gateway.domain.alphabets import TextAlphabet
from gateway.domain.message import MessageClass
from gateway.ports.bus import Transaction
from gateway.ports.intake_store import Account


@dataclass(frozen=True, slots=True)
class SmppCredential:
    """One system_id with its limits.

    `digest` is what is stored of the password. `window` bounds its unanswered submits on one session.
    `messages_per_second` None means no limit besides the account's. `allowed_networks` are CIDR, empty for anywhere.
    `alphabet` is what data_coding 0 means to this customer (sms-domain A13).
    """

    system_id: str
    account: Account
    digest: bytes
    max_binds: int = 2
    window: int = 50
    messages_per_second: int | None = None
    allowed_networks: tuple[str, ...] = ()
    message_class: MessageClass = MessageClass.TRANSACTIONAL
    alphabet: TextAlphabet = TextAlphabet.GSM7
    enabled: bool = True
    created_at: int = 0


class Credentials(Protocol):
    """Answers from a bounded cache; a change reaches it at once (notified), at the latest after the cache's TTL."""

    async def find(self, system_id: str, *, now_ms: int) -> SmppCredential | None:
        """Return the credential, disabled ones too; None when there is none."""

    def matches(self, credential: SmppCredential | None, *, system_id: str, password: str) -> bool:
        """True when this is the password; takes the same time whether or not, and without a credential."""


class WaitingReceipt(NamedTuple):
    """A receipt for a customer's ESME (sms-domain F21). `id` is 0 until it is stored and orders them afterwards.

    `told_id` is the id of the submit response. `head` is the deliver_sm up to its destination. `state` is a final
    value of `gateway.domain.lifecycle.State`.
    """

    id: int
    system_id: str
    message_id: UUID
    told_id: str
    head: bytes
    state: str
    submitted_at: int
    done_at: int
    expires_at: int
    attempts: int = 0


class ReceiptQueue(Protocol):
    """See the numbered rules above."""

    async def add(self, tx: Transaction, receipts: Sequence[WaitingReceipt]) -> None:
        """Keep receipts and wake whoever delivers; one that waits already stays as it is."""

    async def fetch(
        self, system_id: str, *, limit: int, leave_out: Collection[int], now_ms: int
    ) -> list[WaitingReceipt]:
        """Return the next receipts that are due and not expired, without those of `leave_out`."""

    async def settle(self, *, done: Sequence[int], again: Sequence[tuple[int, int]]) -> None:
        """Forget the receipts `done`; put off each (id, due time in milliseconds) of `again`, one attempt spent."""

    async def hold(self, system_ids: Sequence[str], *, owner: str, ttl_ms: int) -> set[str]:
        """Take or keep the drains of these system_ids; return those that are now ours."""

    async def release(self, system_ids: Sequence[str], *, owner: str) -> None:
        """Give drains up, so that another may take them at once."""

    async def purge(self, *, now_ms: int, limit: int) -> int:
        """Delete receipts that have expired, at most `limit`; return how many."""

    async def count(self, *, limit: int) -> int:
        """Return how many receipts wait, counted up to `limit`."""


class PartRow(NamedTuple):
    """One part of a long message. `set_key` is the digest of what its parts share, `facts` what the submit said."""

    system_id: str
    set_key: bytes
    sequence: int
    total: int
    part_id: UUID
    octets: bytes
    facts: str
    received_at: int


class PartStore(Protocol):
    """See the numbered rules above."""

    async def keep(self, rows: Sequence[PartRow]) -> list[UUID | None]:
        """Make parts durable; return for each the id that it is kept under.

        That of an equal part kept before where there is one; None where a part of another message has its place.
        """

    async def complete(self, keys: Sequence[tuple[str, bytes]]) -> list[list[PartRow]]:
        """Return those sets that have all their parts, each in the order of its parts."""

    async def forget(self, rows: Sequence[PartRow]) -> None:
        """Delete the parts of sets that became messages."""

    async def stale(self, *, before_ms: int, limit: int) -> list[tuple[str, bytes]]:
        """Return the keys of sets with a part older than `before_ms`, oldest first."""

    async def take_incomplete(self, tx: Transaction, *, before_ms: int, limit: int) -> list[PartRow]:
        """Delete and return parts of incomplete sets whose newest part is older than `before_ms`, skipping held rows."""
