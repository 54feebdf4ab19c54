"""Which process works what: a rule that every process applies by itself to what all can see (D3).

What is shared is numbered under a name: the shards of a carrier among the dispatch processes, the partitions of a
group's topic among the back ones.

The leases decide who owns what; this only keeps processes from grabbing what is better left to another.
"""

from collections.abc import Iterable, Sequence
from zlib import crc32

from gateway.ports.clock import Clock
from gateway.ports.dispatch_store import Lease


def assigned_to(carrier: str, shard: int, members: Sequence[str]) -> str:
    """Return the member whose shard it is: those of one name go round the sorted members, each begins elsewhere."""
    return members[(shard + crc32(carrier.encode())) % len(members)]


class Membership:
    """What this process knows of the others, and what follows for its shards.

    Until somebody else was seen it is alone, and every shard is its own.
    """

    def __init__(
        self, owner: str, *, clock: Clock, orphan_after_s: float = 4.0, stand_in_s: float = 60.0
    ) -> None:
        self.owner = owner
        self.members: tuple[str, ...] = (owner,)
        self._clock = clock
        self._orphan_ns = int(orphan_after_s * 1e9)
        self._stand_in_ns = int(stand_in_s * 1e9)
        self._held: frozenset[tuple[str, int]] | None = None
        self._free_since_ns: dict[tuple[str, int], int] = {}

    @property
    def is_alone(self) -> bool:
        """True while no other process is known."""
        return len(self.members) == 1

    def see(self, members: Iterable[str], *, leases: Iterable[Lease]) -> None:
        """Note who lives and which leases are held."""
        self.members = tuple(sorted({*members, self.owner}))
        self._held = frozenset((lease.carrier, lease.shard) for lease in leases)
        for shard in self._held:
            self._free_since_ns.pop(shard, None)

    def is_mine(self, carrier: str, shard: int) -> bool:
        """Tell whether the shard is assigned to this process."""
        return assigned_to(carrier, shard, self.members) == self.owner

    def may_take(self, carrier: str, shard: int) -> bool:
        """Tell whether to ask for the lease: it is ours, or its owner to be has left it free for a while."""
        if self.is_mine(carrier, shard):
            return True
        key = (carrier, shard)
        if self._held is None or key in self._held:
            return False
        now_ns = self._clock.monotonic_ns()
        return now_ns - self._free_since_ns.setdefault(key, now_ns) >= self._orphan_ns

    def must_give(self, carrier: str, shard: int, *, owned_since_ns: int, stands_in: bool) -> bool:
        """Tell whether another should have the shard; one taken in its place is kept for a while first."""
        if self.is_mine(carrier, shard):
            return False
        return not stands_in or self._clock.monotonic_ns() - owned_since_ns >= self._stand_in_ns
