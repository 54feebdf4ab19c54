"""What operators order at run time, what dispatch reports, and who is there to do it.

Implemented by `gateway.store.controls`. Orders outlive restarts; each is in the audit. Times are integer milliseconds
since the Unix epoch (UTC). The rules:

1. There is at most one standing order of a (carrier, kind, target); a new one replaces it.
2. An order past `expires_at` does not stand. Giving, replacing and withdrawing are in the audit, with actor and reason.
3. `version` changes with every change of the orders: read it often, and the orders when it is new or one expired.
4. Every call has a deadline of its own and raises `TimeoutError` past it.
5. At most `MAX_ORDERS` stand; a new one beyond is refused with `TooManyOrdersError`.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

MAX_ORDERS = 10_000


class TooManyOrdersError(ValueError):
    """As many orders stand as dispatch can follow; the text names the limit."""


class OrderKind(StrEnum):
    """What is ordered."""

    PAUSE = "pause"
    DRAIN = "drain"
    RECONNECT = "reconnect"
    RATE = "rate"
    WINDOW = "window"
    HOLD_CLASS = "hold_class"
    HOLD_ACCOUNT = "hold_account"


class Order(NamedTuple):
    """One order. `carrier` is empty in a hold on all carriers.

    `target` is a bind (pause, reconnect; empty: all binds), a class or an account (holds), else empty. `value` is the
    rate as text ("80/s"), the slots of a window, or a running number of reconnects asked for; else empty.
    """

    carrier: str
    kind: OrderKind
    target: str
    value: str
    reason: str
    actor: str
    ordered_at: int
    expires_at: int | None = None


class AuditEntry(NamedTuple):
    """One line of the audit; `action` is give, replace, withdraw or reload."""

    at: int
    actor: str
    action: str
    subject: str
    reason: str
    detail: dict[str, Any]


class CarrierReport(NamedTuple):
    """What the owner of one shard says of it; `picture` is JSON, as `LaneWorker.explain` makes it."""

    carrier: str
    shard: int
    owner: str
    at: int
    picture: dict[str, Any]


class ControlStore(Protocol):
    """See the numbered rules above."""

    async def give(self, order: Order) -> None:
        """Make an order stand."""

    async def withdraw(
        self, carrier: str, kind: OrderKind, target: str, *, actor: str, reason: str, now_ms: int
    ) -> bool:
        """End an order; False when none stands."""

    async def standing(self, *, now_ms: int) -> list[Order]:
        """Return the orders that stand."""

    async def version(self) -> int:
        """Return a number that changes with every change."""

    async def note(self, entry: AuditEntry) -> None:
        """Write a line of the audit."""

    async def audit(self, *, before_id: int | None, limit: int) -> list[tuple[int, AuditEntry]]:
        """Return (id, entry), the newest first."""

    async def report(self, reports: Sequence[CarrierReport]) -> None:
        """Replace what is known of these shards."""

    async def reports(self, *, since_ms: int) -> list[CarrierReport]:
        """Return the reports not older than `since_ms`."""

    async def beat(self, owner: str, *, now_ms: int) -> None:
        """Say that this dispatch process lives."""

    async def members(self, *, since_ms: int) -> list[str]:
        """Return the dispatch processes that lived at `since_ms` or later, sorted."""

    async def leave(self, owner: str) -> None:
        """Say that this process goes: its shards are free for others."""
