"""What dispatch keeps in the database beside the bus: messages that wait for a time, and who owns which lane.

Implemented by `gateway.store.deferred` and `gateway.store.leases`. Times are integer milliseconds since the Unix
epoch (UTC); lease times are measured by the database's clock. The rules:

1. Rows added with `tx` exist exactly when that transaction commits.
2. `claim_due` deletes what it returns in the same transaction and skips rows another transaction holds, so a row
   is handed out once per commit.
3. A lease is held by at most one owner at a time; `epoch` grows at every change of hands. `renew` never revives a
   lease that another owner has taken. `hold` fences: what is written in a transaction that holds the lease was
   written by its owner.
4. Every call has a deadline of its own and raises `TimeoutError` past it.
5. An owner with a lifeline has a connection whose end is noticed at once. `cut_short` lets the leases of others whose
   lifeline is cut run out within its grace; an owner that lives stops by itself before that, and renews.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from gateway.ports.bus import Transaction
from gateway.ports.record_store import DeadRow


class DeferredRow(NamedTuple):
    """One lane record that waits: `key` and `value` are appended to `topic` at `due_at`."""

    due_at: int
    topic: str
    key: bytes
    value: bytes
    message_id: UUID


class DeferredStore(Protocol):
    """See the numbered rules above."""

    async def add(self, tx: Transaction, rows: Sequence[DeferredRow]) -> None:
        """Keep the rows until they are due."""

    async def bury(self, tx: Transaction, rows: Sequence[DeadRow]) -> None:
        """Keep lane records that are no messages, until a person has looked at them."""

    async def claim_due(self, tx: Transaction, *, now_ms: int, limit: int) -> list[DeferredRow]:
        """Take out up to `limit` rows with `due_at <= now_ms`, the oldest first."""

    async def make_due(self, *, from_ms: int, keep: Sequence[int], now_ms: int, limit: int) -> int:
        """Make up to `limit` rows due at `now_ms` that are due at `from_ms` or later, but at none of `keep`."""

    async def next_due_ms(self) -> int | None:
        """Return the earliest `due_at`, or None when nothing waits."""


class Lease(NamedTuple):
    """The right to submit for one shard of a carrier, until it is not renewed for `ttl_ms`."""

    carrier: str
    shard: int
    owner: str
    epoch: int


class Lifeline(Protocol):
    """A sign of life of this process that ends with it; see rule 5. `on_cut` is set by whoever has to stop then."""

    on_cut: Callable[[], None]

    @property
    def held_s(self) -> float:
        """Return for how long it has stood without a break; 0 while it does not."""

    async def run(self) -> None:
        """Hold it until cancelled; mends itself."""


class LeaseStore(Protocol):
    """See the numbered rules above."""

    async def acquire(self, carrier: str, *, shard: int, owner: str, ttl_ms: int) -> Lease | None:
        """Take the lease if it is free, expired or already this owner's; None while another holds it."""

    async def renew(self, lease: Lease, *, ttl_ms: int) -> bool:
        """Extend the lease; False when it is another's by now."""

    async def release(self, lease: Lease) -> None:
        """Give the lease up; nothing happens when it is another's by now."""

    async def in_force(self) -> list[Lease]:
        """Return the leases that are in force."""

    async def cut_short(self, *, owner: str, grace_ms: int) -> list[str]:
        """Let the leases of others whose lifeline is cut run out within `grace_ms`; return the names of those."""

    async def hold(self, tx: Transaction, lease: Lease) -> bool:
        """Tell whether the lease is still this owner's, and keep it so until `tx` ends."""
