"""Several processes read one topic: each gets its share of the partitions, by a lease on each (D3).

One `PartitionShares` per process of the role `back`. A feature takes its `Share` by the name of its group and asks it
before every batch; what has to go to another process leaves the share first, and its lease is given up once the
reader says that it has let go. Chores that one process should do have a share of a single partition.

The leases keep processes out of each other's way. That nothing is done twice does not hang on them, nor on clocks:
`Bus.hold` sees to that.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, Protocol

import structlog

from gateway.bus.members import Membership
from gateway.ports.clock import Clock
from gateway.ports.dispatch_store import Lease
from gateway.ports.sharing_store import Members, SharedLeases

_log = structlog.get_logger()

_NONE: Final[frozenset[int]] = frozenset()
_MARK: Final = "@"
_STEP_TIMEOUT_S: Final = 3.0


class Share(Protocol):
    """Which partitions of a group's topic this process reads."""

    def partitions(self) -> AbstractSet[int]:
        """Return those that may be read now."""

    def reads(self, partitions: Iterable[int]) -> None:
        """Say which ones are in hand: none that left the share is given away before it left these."""


class Everything:
    """The share of a process that is alone, or the given partitions: for tests and tools."""

    def __init__(self, partitions: int | Sequence[int]) -> None:
        self._partitions = frozenset(range(partitions) if isinstance(partitions, int) else partitions)

    def partitions(self) -> AbstractSet[int]:
        """Return all."""
        return self._partitions

    def reads(self, partitions: Iterable[int]) -> None:
        """Nobody else waits for them."""


def lease_name(group: str) -> str:
    """Return the name of a group's leases; no carrier can be called so, whose shards share the table."""
    return _MARK + group


class LeasedShare:
    """The share of one group; made by `PartitionShares.share`."""

    def __init__(self, name: str, count: int, *, owner: "PartitionShares") -> None:
        self.name = name
        self.count = count
        self.owned: dict[int, Lease] = {}
        self.owned_since_ns: dict[int, int] = {}
        self.standing_in: set[int] = set()
        self.leaving: set[int] = set()
        self.in_hand: frozenset[int] = _NONE
        self._owner = owner
        self._ours: frozenset[int] = _NONE

    def partitions(self) -> AbstractSet[int]:
        """Return those whose lease is ours and stays ours; none once our own deadline has passed."""
        return self._ours if self._owner.is_in_time else _NONE

    @property
    def is_mine(self) -> bool:
        """True for a chore of one partition that is this process's to do."""
        return bool(self.partitions())

    def reads(self, partitions: Iterable[int]) -> None:
        """Say which ones are in hand."""
        self.in_hand = frozenset(partitions)
        if self.leaving - self.in_hand:
            self._owner.wake()

    def changed(self) -> None:
        """Offer what is owned and does not leave."""
        self._ours = frozenset(self.owned.keys() - self.leaving)

    def drop(self, number: int) -> None:
        """Forget a partition whose lease is gone."""
        self.owned.pop(number, None)
        self.owned_since_ns.pop(number, None)
        self.standing_in.discard(number)
        self.leaving.discard(number)


class PartitionShares:
    """Beats, renews, takes and gives until `stop`; then everything is given back at once.

    `owner` names this process among all; one that comes back under the same name has its leases back at once, so a
    name is for those who know that the one before is dead. A process that dies is followed once it was silent for
    `dead_s` and its leases have run out, within `lease_ttl_s` and a look.
    """

    def __init__(
        self,
        owner: str,
        *,
        role: str,
        leases: SharedLeases,
        members: Members,
        clock: Clock,
        lease_ttl_s: float = 10.0,
        beat_s: float = 2.0,
        look_s: float = 1.0,
        dead_s: float = 6.0,
        orphan_after_s: float = 4.0,
        stand_in_s: float = 60.0,
        stop_s: float = 10.0,
    ) -> None:
        self.membership = Membership(owner, clock=clock, orphan_after_s=orphan_after_s, stand_in_s=stand_in_s)
        self._role = role
        self._leases = leases
        self._members = members
        self._clock = clock
        self._ttl_ms = int(lease_ttl_s * 1000)
        self._beat_s = beat_s
        self._look_s = look_s
        self._dead_s = dead_s
        self._stop_s = stop_s
        self._shares: dict[str, LeasedShare] = {}
        self._deadline_ns = 0
        self._is_ready = False
        self._is_failing = False
        self._stopping = False
        self._wake = asyncio.Event()

    def share(self, group: str, *, partitions: int) -> LeasedShare:
        """Return the share of a group; to be asked for before `run`."""
        name = lease_name(group)
        share = self._shares.get(name)
        if share is None:
            share = self._shares[name] = LeasedShare(name, partitions, owner=self)
        return share

    @property
    def is_in_time(self) -> bool:
        """True while nobody else can hold our leases, by our own clock."""
        return self._clock.monotonic_ns() < self._deadline_ns

    @property
    def not_ready(self) -> dict[str, str]:
        """Return what is missing: the first look at who is there."""
        return {} if self._is_ready else {"partitions": "not shared out yet"}

    def wake(self) -> None:
        """Look now: something can be given back."""
        self._wake.set()

    def stop(self) -> None:
        """Take nothing more, give everything back once the readers have let go, and end `run`."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Share until `stop`."""
        while not self._stopping:
            await self._attempt()
            is_waiting = any(len(share.owned) < share.count for share in self._shares.values())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._look_s if is_waiting else self._beat_s):
                    await self._wake.wait()
            self._wake.clear()
        await self._leave()

    async def _attempt(self) -> None:
        try:
            async with asyncio.timeout(_STEP_TIMEOUT_S):
                await self.look()
        except Exception as error:  # noqa: BLE001 - our leases stand until the deadline, whatever the database does
            if not self._is_failing:
                self._is_failing = True
                _log.warning("partitions.not_shared", error=type(error).__name__)
            return
        if self._is_failing:
            self._is_failing = False
            _log.info("partitions.shared_again")

    async def look(self) -> None:
        """See who is there, renew, let go of what is another's, take what is ours. Once; `run` does it for ever."""
        members = await self._members.beat(
            self._role, owner=self.membership.owner, alive_ms=int(self._dead_s * 1000)
        )
        await self._renew()
        held = await self._leases.in_force()
        self.membership.see(members, leases=[one for one in held if one.carrier.startswith(_MARK)])
        for share in self._shares.values():
            self._review(share)
        await self._give_back()
        await self._take()
        self._is_ready = True

    async def _renew(self) -> None:
        owned = [lease for share in self._shares.values() for lease in share.owned.values()]
        asked_ns = self._clock.monotonic_ns()
        kept = set(await self._leases.renew_many(owned, ttl_ms=self._ttl_ms)) if owned else set()
        self._deadline_ns = asked_ns + self._ttl_ms * 800_000
        for lease in owned:
            if lease not in kept:
                share = self._shares[lease.carrier]
                share.drop(lease.shard)
                share.changed()
                _log.warning("partition.lost", group=share.name, partition=lease.shard)

    def _review(self, share: LeasedShare) -> None:
        for number in share.owned:
            if number not in share.leaving and self.membership.must_give(
                share.name,
                number,
                owned_since_ns=share.owned_since_ns[number],
                stands_in=number in share.standing_in,
            ):
                share.leaving.add(number)
                _log.info("partition.handed_over", group=share.name, partition=number)
        share.changed()

    async def _give_back(self) -> None:
        gone = [
            share.owned[number]
            for share in self._shares.values()
            for number in share.leaving - share.in_hand
            if number in share.owned
        ]
        if gone:
            await self._leases.release_many(gone)
            for lease in gone:
                self._shares[lease.carrier].drop(lease.shard)

    async def _take(self) -> None:
        wanted = [
            (share.name, number)
            for share in self._shares.values()
            for number in range(share.count)
            if number not in share.owned and self.membership.may_take(share.name, number)
        ]
        if not wanted:
            return
        now_ns = self._clock.monotonic_ns()
        for lease in await self._leases.acquire_many(
            wanted, owner=self.membership.owner, ttl_ms=self._ttl_ms
        ):
            share = self._shares[lease.carrier]
            share.owned[lease.shard] = lease
            share.owned_since_ns[lease.shard] = now_ns
            if not self.membership.is_mine(lease.carrier, lease.shard):
                share.standing_in.add(lease.shard)
            share.changed()
            _log.info("partition.owned", group=share.name, partition=lease.shard, epoch=lease.epoch)

    async def _leave(self) -> None:
        for share in self._shares.values():
            share.leaving.update(share.owned)
            share.changed()
        with contextlib.suppress(Exception):  # they run out anyway
            async with asyncio.timeout(self._stop_s):
                while any(share.in_hand for share in self._shares.values()):
                    await self._wake.wait()
                    self._wake.clear()
                    await self._give_back()
                await self._give_back()
                await self._members.leave(self._role, owner=self.membership.owner)
