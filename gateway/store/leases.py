"""Who owns which lane (D3): one row per carrier and shard, judged by the database's clock alone."""

import asyncio
from typing import Final

from gateway.ports.bus import Transaction
from gateway.ports.dispatch_store import Lease
from gateway.ports.store import Transactions

_DEADLINE_S: Final = 5.0

# clock_timestamp(), not now(): a lease counts from the statement, however long its transaction is open.
_ACQUIRE: Final = """
INSERT INTO lane_leases AS held (carrier, shard, owner, epoch, expires_at)
VALUES ($1, $2, $3, 1, clock_timestamp() + $4::bigint * interval '1 millisecond')
ON CONFLICT (carrier, shard) DO UPDATE
SET owner = excluded.owner, epoch = held.epoch + 1, expires_at = excluded.expires_at
WHERE held.owner = excluded.owner OR held.expires_at <= clock_timestamp()
RETURNING epoch
"""

_RENEW: Final = """
UPDATE lane_leases SET expires_at = clock_timestamp() + $5::bigint * interval '1 millisecond'
WHERE carrier = $1 AND shard = $2 AND owner = $3 AND epoch = $4
RETURNING true
"""

# The row stays, expired: the epoch has to keep growing.
_RELEASE: Final = """
UPDATE lane_leases SET expires_at = '-infinity', owner = ''
WHERE carrier = $1 AND shard = $2 AND owner = $3 AND epoch = $4
"""

_HELD: Final = "SELECT carrier, shard, owner, epoch FROM lane_leases WHERE expires_at > clock_timestamp()"

_HOLD: Final = """
SELECT true FROM lane_leases WHERE carrier = $1 AND shard = $2 AND owner = $3 AND epoch = $4 FOR SHARE
"""


class PostgresLeases:
    """The table `lane_leases`; implements `gateway.ports.dispatch_store.LeaseStore`."""

    def __init__(self, db: Transactions) -> None:
        self._db = db

    async def acquire(self, carrier: str, *, shard: int, owner: str, ttl_ms: int) -> Lease | None:
        """Take the lease if it is free, expired or already this owner's; None while another holds it."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            epoch: int | None = await connection.fetchval(_ACQUIRE, carrier, shard, owner, ttl_ms)
        return None if epoch is None else Lease(carrier, shard, owner, epoch)

    async def renew(self, lease: Lease, *, ttl_ms: int) -> bool:
        """Extend the lease by `ttl_ms` from now; False when it is another's by now."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            return await connection.fetchval(_RENEW, *lease, ttl_ms) is True

    async def release(self, lease: Lease) -> None:
        """Give the lease up; nothing happens when it is another's by now."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            await connection.execute(_RELEASE, *lease)

    async def in_force(self) -> list[Lease]:
        """Return the leases that are in force."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            return [Lease(*row) for row in await connection.fetch(_HELD)]

    async def hold(self, tx: Transaction, lease: Lease) -> bool:
        """Tell whether the lease is still ours, and keep it so until `tx` ends."""
        async with asyncio.timeout(_DEADLINE_S):
            return await tx.fetchval(_HOLD, *lease) is True
