"""Who owns what (D3): one row per carrier and shard, or group and partition, judged by the database's clock alone.

And who is there to own it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from gateway.ports.bus import Transaction
from gateway.ports.dispatch_store import Lease
from gateway.ports.store import Transactions
from gateway.store.lifeline import Lifeline

_DEADLINE_S: Final = 5.0
_STARTING: Final = 0x63617564746F  # "caudto"

# clock_timestamp(), not now(): a lease counts from the statement, however long its transaction is open.
_ACQUIRE: Final = """
INSERT INTO lane_leases AS held (carrier, shard, owner, epoch, expires_at, lifeline)
VALUES ($1, $2, $3, 1, clock_timestamp() + $4::bigint * interval '1 millisecond', $5)
ON CONFLICT (carrier, shard) DO UPDATE
SET owner = excluded.owner, epoch = held.epoch + 1, expires_at = excluded.expires_at, lifeline = excluded.lifeline
WHERE held.owner = excluded.owner OR held.expires_at <= clock_timestamp()
RETURNING epoch
"""

_RENEW: Final = """
UPDATE lane_leases SET expires_at = clock_timestamp() + $5::bigint * interval '1 millisecond', lifeline = $6
WHERE carrier = $1 AND shard = $2 AND owner = $3 AND epoch = $4
RETURNING true
"""

# The row stays, expired: the epoch has to keep growing.
_RELEASE: Final = """
UPDATE lane_leases SET expires_at = '-infinity', owner = ''
WHERE carrier = $1 AND shard = $2 AND owner = $3 AND epoch = $4
"""

# In one order for everybody, so that two that want the same never wait for each other crosswise.
_ACQUIRE_MANY: Final = """
INSERT INTO lane_leases AS held (carrier, shard, owner, epoch, expires_at)
SELECT carrier, shard, $3, 1, clock_timestamp() + $4::bigint * interval '1 millisecond'
FROM unnest($1::text[], $2::int[]) AS wanted (carrier, shard) ORDER BY carrier, shard
ON CONFLICT (carrier, shard) DO UPDATE
SET owner = excluded.owner, epoch = held.epoch + 1, expires_at = excluded.expires_at
WHERE held.owner = excluded.owner OR held.expires_at <= clock_timestamp()
RETURNING carrier, shard, owner, epoch
"""

_GIVEN: Final = """
FROM (
    SELECT held.ctid FROM lane_leases AS held
    JOIN unnest($1::text[], $2::int[], $3::text[], $4::bigint[]) AS given (carrier, shard, owner, epoch)
        USING (carrier, shard, owner, epoch)
    ORDER BY carrier, shard FOR NO KEY UPDATE OF held
) AS chosen WHERE lane_leases.ctid = chosen.ctid
"""

_RENEW_MANY: Final = f"""
UPDATE lane_leases SET expires_at = clock_timestamp() + $5::bigint * interval '1 millisecond' {_GIVEN}
RETURNING carrier, shard, owner, epoch
"""

_RELEASE_MANY: Final = f"UPDATE lane_leases SET expires_at = '-infinity', owner = '' {_GIVEN}"

_BEAT: Final = """
WITH beaten AS (
    INSERT INTO process_members VALUES ($1, $2, clock_timestamp())
    ON CONFLICT (role, owner) DO UPDATE SET seen_at = excluded.seen_at
)
SELECT owner FROM process_members
WHERE role = $1 AND seen_at >= clock_timestamp() - $3::bigint * interval '1 millisecond'
"""

_ALIVE: Final = """
SELECT role, owner FROM process_members
WHERE seen_at >= clock_timestamp() - $1::bigint * interval '1 millisecond' ORDER BY role, owner
"""

# Those who went without a word are forgotten by those who go in order, and by those who come.
_LEAVE: Final = """
DELETE FROM process_members
WHERE (role = $1 AND owner = $2) OR seen_at < clock_timestamp() - interval '1 hour'
"""

_HELD: Final = "SELECT carrier, shard, owner, epoch FROM lane_leases WHERE expires_at > clock_timestamp()"

# What pg_locks says of a lock on one bigint: its halves, and 1.
_CUT_SHORT: Final = """
WITH cut AS (
    SELECT carrier, shard FROM lane_leases
    WHERE lifeline IS NOT NULL AND owner <> $1 AND expires_at > clock_timestamp() AND lifeline <> ALL (
        SELECT classid::bigint << 32 | objid::bigint FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    )
    ORDER BY carrier, shard FOR NO KEY UPDATE
)
UPDATE lane_leases AS held
SET expires_at = least(held.expires_at, clock_timestamp() + $2::bigint * interval '1 millisecond')
FROM cut WHERE held.carrier = cut.carrier AND held.shard = cut.shard
RETURNING held.owner
"""

_HOLD: Final = """
SELECT true FROM lane_leases WHERE carrier = $1 AND shard = $2 AND owner = $3 AND epoch = $4 FOR SHARE
"""


class PostgresLeases:
    """The table `lane_leases`; implements `LeaseStore` of `gateway.ports.dispatch_store` and
    `SharedLeases` of `gateway.ports.sharing_store`.
    """

    def __init__(self, db: Transactions, *, lifeline: Lifeline | None = None) -> None:
        self._db = db
        self._lifeline = lifeline

    @property
    def _mark(self) -> int | None:
        return None if self._lifeline is None else self._lifeline.mark

    async def acquire(self, carrier: str, *, shard: int, owner: str, ttl_ms: int) -> Lease | None:
        """Take the lease if it is free, expired or already this owner's; None while another holds it."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            epoch: int | None = await connection.fetchval(_ACQUIRE, carrier, shard, owner, ttl_ms, self._mark)
        return None if epoch is None else Lease(carrier, shard, owner, epoch)

    async def renew(self, lease: Lease, *, ttl_ms: int) -> bool:
        """Extend the lease by `ttl_ms` from now; False when it is another's by now."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            return await connection.fetchval(_RENEW, *lease, ttl_ms, self._mark) is True

    async def release(self, lease: Lease) -> None:
        """Give the lease up; nothing happens when it is another's by now."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            await connection.execute(_RELEASE, *lease)

    async def in_force(self) -> list[Lease]:
        """Return the leases that are in force."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            return [Lease(*row) for row in await connection.fetch(_HELD)]

    async def cut_short(self, *, owner: str, grace_ms: int) -> list[str]:
        """Let the leases of others whose lifeline is cut run out within `grace_ms`; return the names of those."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            return sorted({row[0] for row in await connection.fetch(_CUT_SHORT, owner, grace_ms)})

    async def hold(self, tx: Transaction, lease: Lease) -> bool:
        """Tell whether the lease is still ours, and keep it so until `tx` ends."""
        async with asyncio.timeout(_DEADLINE_S):
            return await tx.fetchval(_HOLD, *lease) is True

    async def acquire_many(
        self, wanted: Sequence[tuple[str, int]], *, owner: str, ttl_ms: int
    ) -> list[Lease]:
        """Take those of the (name, number) that are free, run out, or already this owner's."""
        names, numbers = [one[0] for one in wanted], [one[1] for one in wanted]
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(_ACQUIRE_MANY, names, numbers, owner, ttl_ms)
        return [Lease(*row) for row in rows]

    async def renew_many(self, leases: Sequence[Lease], *, ttl_ms: int) -> list[Lease]:
        """Extend the leases by `ttl_ms` from now; return those that are still this owner's."""
        columns = [list(column) for column in zip(*leases, strict=True)]
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            return [Lease(*row) for row in await connection.fetch(_RENEW_MANY, *columns, ttl_ms)]

    async def release_many(self, leases: Sequence[Lease]) -> None:
        """Give the leases up; nothing happens to those that are another's by now."""
        columns = [list(column) for column in zip(*leases, strict=True)]
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            await connection.execute(_RELEASE_MANY, *columns)


class PostgresMembers:
    """The table `process_members`; implements `gateway.ports.sharing_store.Members`."""

    def __init__(self, db: Transactions) -> None:
        self._db = db

    async def beat(self, role: str, *, owner: str, alive_ms: int) -> list[str]:
        """Say that this process lives; return all of its role that did within `alive_ms`."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(_BEAT, role, owner, alive_ms)
        # The row that the statement writes is not in its snapshot.
        return sorted({owner, *(row[0] for row in rows)})

    @asynccontextmanager
    async def one_at_a_time(self) -> AsyncIterator[None]:
        """Let processes that start do something one after the other."""
        async with self._db.transaction() as tx:
            await tx.execute("SELECT pg_advisory_xact_lock($1)", _STARTING)
            yield

    async def all_alive(self, *, alive_ms: int) -> list[tuple[str, str]]:
        """Return (role, owner) of every process that said so within `alive_ms`."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(_ALIVE, alive_ms)
        return [(row[0], row[1]) for row in rows]

    async def leave(self, role: str, *, owner: str) -> None:
        """Say that this process goes."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            await connection.execute(_LEAVE, role, owner)
