"""The one place that changes the state of stored messages, and tells who wants to know in the same transaction.

The recorder moves messages by their events; dlr moves those that a receipt delivered (it is handed a `States`, as the
two do not import each other). Whoever changes messages holds, in this order: the locks of messages that are weighed,
rows of `messages` by id, rows of `submissions`, the heads of the bus. So no two of them wait for each other crosswise.
A batch of receipts goes through this order twice, first for those that `settle` takes and then for the others. Only a
late event of a message that is just being settled can cross that; PostgreSQL then ends one of the two, and it is read again.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from gateway.domain.lifecycle import State
from gateway.ports.bus import Record, Transaction
from gateway.ports.record_store import (
    Delivered,
    FinalCount,
    MessagePatch,
    MessageRow,
    PlainReceipt,
    Settled,
    StateChange,
    StateStore,
)
from gateway.recorder import notices
from gateway.recorder.notices import Audience, Nobody

_DELIVERED: Final = frozenset({State.DELIVERED.value})


class FinalsCounter(Protocol):
    """Counts messages that became final; `gateway.recorder.consumer.RecorderMetrics` is one."""

    def finals(self, counts: Iterable[FinalCount]) -> None:
        """Count them."""


class States:
    """Has no state of its own. What it returns goes on the bus with `tx`, and is counted once that is committed."""

    def __init__(
        self,
        store: StateStore,
        *,
        metrics: FinalsCounter,
        audience: Audience | None = None,
        tells_origins: bool = False,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._audience = audience if audience is not None else Nobody()
        self._tells_origins = tells_origins

    async def patch(
        self, tx: Transaction, patches: Sequence[MessagePatch], *, inserted: Sequence[MessageRow] = ()
    ) -> tuple[list[FinalCount], list[Record]]:
        """Move messages forward; return what became final, and the notices of that and of rows `inserted` before."""
        subscriptions = await self._audience.subscriptions()
        accounts = notices.who_wants(subscriptions, {patch.state for patch in patches})
        changes: list[StateChange] = []
        if accounts or self._tells_origins:
            finals, changes = await self._store.patch_and_tell(tx, patches, accounts=accounts)
        else:
            finals = await self._store.patch_messages(tx, patches)
        if subscriptions or self._tells_origins:
            changes += notices.changes_of(inserted)
        return finals, notices.records(changes, subscriptions, tells_origins=self._tells_origins)

    async def deliver(
        self, tx: Transaction, rows: Sequence[Delivered]
    ) -> tuple[list[FinalCount], list[Record]]:
        """Move messages to delivered; return what became final by this, and its notices."""
        if not rows:
            return [], []
        subscriptions = await self._audience.subscriptions()
        accounts = notices.who_wants(subscriptions, _DELIVERED)
        if not (accounts or self._tells_origins):
            return await self._store.deliver(tx, rows), []
        finals, changes = await self._store.deliver_and_tell(tx, rows, accounts=accounts)
        return finals, notices.records(changes, subscriptions, tells_origins=self._tells_origins)

    async def settle(
        self, tx: Transaction, receipts: Sequence[PlainReceipt], *, now_ms: int
    ) -> tuple[Settled, list[Record]]:
        """Store receipts that deliver their messages by themselves, and move those; return which, and the notices."""
        if not receipts:
            return Settled([], [], []), []
        subscriptions = await self._audience.subscriptions()
        accounts = notices.who_wants(subscriptions, _DELIVERED)
        if not (accounts or self._tells_origins):
            return await self._store.settle(tx, receipts, now_ms=now_ms, accounts=None), []
        settled = await self._store.settle(tx, receipts, now_ms=now_ms, accounts=accounts)
        return settled, notices.records(settled.changes, subscriptions, tells_origins=self._tells_origins)

    def count(self, finals: Iterable[FinalCount]) -> None:
        """Count what became final, once it is committed."""
        self._metrics.finals(finals)
