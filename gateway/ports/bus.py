"""The bus: append-only topics split into partitions. One contract, several implementations (D4, DESIGN section 2).

1. `append` returns only when every record is durable. Within one call records keep their order per partition, and
   a reader sees offsets without gaps, in commit order.
2. The partition of a record is a pure function of its key, so one key keeps its order.
3. `read` returns records from an offset on, never one that could still be rolled back, and never skips one.
4. Delivery is at least once: what was not committed comes again.
5. A `Commit` names everything below `offset` as done, plus the `completed` ranges above it; `claimed` ranges were
   taken in hand but have no outcome yet. Commits given to `append` take effect no earlier than its records; an
   implementation that can makes both one transaction.
6. With `tx`, an implementation living in the same database joins that transaction; another one ignores it.
7. `wait` returns when one of the topics may have news, at the latest after `timeout_s`.
8. Nothing is dropped by retention that a registered group has not committed.
9. What is written in a transaction that holds a position is written by the only one who goes on from there.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

Transaction = Any
"""An open database transaction of `gateway.store`; opaque to everyone else."""

Ranges = tuple[tuple[int, int], ...]
"""Half-open offset ranges, ascending and apart."""


class Record(NamedTuple):
    """One record to append. `key` chooses the partition."""

    topic: str
    key: bytes
    value: bytes


class Stored(NamedTuple):
    """One record as read."""

    offset: int
    value: bytes


class Position(NamedTuple):
    """Where a group stands in one partition."""

    offset: int = 0
    completed: Ranges = ()
    claimed: Ranges = ()


class Commit(NamedTuple):
    """A group's new position in one partition."""

    group: str
    topic: str
    partition: int
    position: Position


class Lag(NamedTuple):
    """How far a group is behind in one partition. `oldest_ms` is the append time of the oldest record not done."""

    topic: str
    partition: int
    records: int
    oldest_ms: int | None


class Bus(Protocol):
    """See the numbered rules above."""

    async def ensure_topics(self, topics: dict[str, int]) -> None:
        """Create the topics that do not exist yet, with that many partitions."""

    async def widen_topics(self, topics: dict[str, int]) -> None:
        """Give topics with fewer partitions that many, where that is ours to do; a key may change its partition."""

    async def register_group(self, group: str, topics: Sequence[str]) -> None:
        """Make `group` a reader that retention waits for, starting at the oldest record kept."""

    def partitions(self, topic: str) -> int:
        """Return the number of partitions; KeyError for an unknown topic."""

    async def append(
        self, records: Sequence[Record], *, commits: Sequence[Commit] = (), tx: Transaction | None = None
    ) -> None:
        """Make records durable, and the commits with them."""

    async def commit(self, commits: Sequence[Commit], *, tx: Transaction | None = None) -> None:
        """Store positions durably."""

    async def hold(self, group: str, topic: str, offsets: Mapping[int, int], *, tx: Transaction) -> bool:
        """Lock the group's positions until `tx` ends; False when one of them is not at the offset given."""

    async def position(self, group: str, topic: str, partition: int) -> Position:
        """Return the last committed position, or the start."""

    async def read(self, topic: str, partition: int, *, offset: int, limit: int) -> list[Stored]:
        """Return `limit` records from `offset` on, fewer only at the end."""

    async def wait(self, topics: Sequence[str], *, timeout_s: float) -> None:
        """Return when one of the topics may have news since the last call, or after `timeout_s`."""

    async def lag(self, group: str) -> list[Lag]:
        """Return the lag of a group by partition."""

    async def trim(self) -> int:
        """Delete what every registered group has committed, in bounded chunks; return the number of records."""
