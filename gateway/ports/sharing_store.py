"""What processes that share work keep in the database: who is there, and who owns what, many at a time.

Implemented by `gateway.store.leases`. Times are judged by the database's clock alone. The rules of a lease are those
of `gateway.ports.dispatch_store`; these calls do for many what those do for one.
"""

from collections.abc import Sequence
from typing import Protocol

from gateway.ports.dispatch_store import Lease


class Members(Protocol):
    """Who is there, by role."""

    async def beat(self, role: str, *, owner: str, alive_ms: int) -> list[str]:
        """Say that this process lives; return all of its role that did within `alive_ms`."""

    async def leave(self, role: str, *, owner: str) -> None:
        """Say that this process goes."""


class SharedLeases(Protocol):
    """Leases, many in one call."""

    async def acquire_many(
        self, wanted: Sequence[tuple[str, int]], *, owner: str, ttl_ms: int
    ) -> list[Lease]:
        """Take those of the (name, number) that are free, run out, or already this owner's."""

    async def renew_many(self, leases: Sequence[Lease], *, ttl_ms: int) -> list[Lease]:
        """Extend the leases by `ttl_ms` from now; return those that are still this owner's."""

    async def release_many(self, leases: Sequence[Lease]) -> None:
        """Give the leases up; nothing happens to those that are another's by now."""

    async def in_force(self) -> list[Lease]:
        """Return the leases that are in force."""
