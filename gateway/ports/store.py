"""Where transactions come from. Each feature declares the store methods it needs in a file beside this one."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from gateway.ports.bus import Transaction


class Transactions(Protocol):
    """Hands out database transactions; `gateway.store.pool.Database` is one."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction: committed at a clean exit, rolled back by an exception."""

    def acquire(self) -> AbstractAsyncContextManager[Transaction]:
        """Lend a connection outside a transaction."""
