"""What happened since the last commit, written in one transaction together with the position on the bus.

Nothing that was decided is lost: a flush that fails is done again with what came in the meantime. What a crash takes
was not committed, so the bus or the backlog gives it again, with the same ids.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from dlr.webhooks.outlet import Outlet
from dlr.webhooks.taken import attempts_in
from gateway.bus.topics import WEBHOOK_GROUP, WEBHOOKS
from gateway.bus.watermark import Watermark
from gateway.ports.bus import Bus, Commit, Record, Transaction
from gateway.ports.record_store import DeadRow
from gateway.ports.store import Transactions
from gateway.ports.webhook_store import AttemptRow, Delay, DeliveryStore, EventRow, Health, PostRow

FLUSH_S: Final = 15.0


class LeaseLostError(Exception):
    """The shard is another's: nothing may be written any more."""


class _Page:
    """What one transaction writes."""

    __slots__ = (
        "attempts",
        "dead",
        "delays",
        "done",
        "healths",
        "posts",
        "removed",
        "spilled",
        "spills",
        "told",
    )

    def __init__(self) -> None:
        self.attempts: list[AttemptRow] = []
        self.posts: list[PostRow] = []
        self.spills: list[EventRow] = []
        self.spilled: list[tuple[Outlet, list[int]]] = []
        self.removed: list[int] = []
        self.delays: list[Delay] = []
        self.healths: dict[str, Health] = {}
        self.done: list[int] = []
        self.dead: list[DeadRow] = []
        self.told: list[Record] = []

    @property
    def is_empty(self) -> bool:
        return not (
            self.attempts
            or self.posts
            or self.spills
            or self.removed
            or self.delays
            or self.healths
            or self.done
            or self.told
        )

    def add(self, later: "_Page") -> None:
        self.attempts += later.attempts
        self.posts += later.posts
        self.spills += later.spills
        self.spilled += later.spilled
        self.removed += later.removed
        self.delays += later.delays
        self.healths.update(later.healths)
        self.done += later.done
        self.dead += later.dead
        self.told += later.told


class Ledger:
    """One per shard. `lock` is held while a flush commits: who looks into the backlog takes it, to see all or nothing."""

    def __init__(
        self,
        shard: int,
        *,
        watermark: Watermark,
        db: Transactions,
        bus: Bus,
        store: DeliveryStore,
        hold_lease: Callable[[Transaction], Awaitable[bool]],
        on_attempts: Callable[[list[AttemptRow]], None] | None = None,
    ) -> None:
        self._shard = shard
        self._watermark = watermark
        self._db = db
        self._bus = bus
        self._store = store
        self._hold_lease = hold_lease
        self._on_attempts = on_attempts
        self._page = _Page()
        self._open_rows: set[int] = set()
        self.lock = asyncio.Lock()
        self.news = asyncio.Event()
        """Set when there is something to write."""
        self.in_hand = 0
        """Events taken from the bus and not yet committed."""

    def took(self, events: int) -> None:
        """Note events taken from the bus."""
        self.in_hand += events

    def attempted(self, rows: list[AttemptRow]) -> None:
        """Write attempts with the next flush."""
        self._page.attempts += rows
        if self._on_attempts is not None:
            self._on_attempts(rows)
        self.news.set()

    def taken(self, rows: list[PostRow]) -> None:
        """Write what was taken at the first attempt with the next flush."""
        self._page.posts += rows
        if self._on_attempts is not None and rows:
            self._on_attempts(attempts_in(rows))
        self.news.set()

    def spill(self, outlet: Outlet, rows: list[EventRow]) -> None:
        """Let events wait in the backlog."""
        subjects = [row.subject_id.int for row in rows]
        outlet.spilled(subjects)
        self._page.spills += rows
        self._page.spilled.append((outlet, subjects))
        self.news.set()

    def remove(self, ids: list[int]) -> None:
        """Take rows out of the backlog."""
        self._page.removed += ids
        self._open_rows.update(ids)
        self.news.set()

    def delay(self, delays: list[Delay]) -> None:
        """Put rows of the backlog off."""
        self._page.delays += delays
        self._open_rows.update([delay.id for delay in delays])
        self.news.set()

    def is_open(self, row_id: int) -> bool:
        """True when what came of this row of the backlog is not written yet: it must not be posted again."""
        return row_id in self._open_rows

    def note(self, health: Health) -> None:
        """Let others know how an endpoint is."""
        self._page.healths[health.endpoint_id] = health
        self.news.set()

    def done(self, offsets: list[int]) -> None:
        """Note events of the bus that need nothing more once this is committed."""
        self._page.done += offsets
        self.news.set()

    def bury(self, row: DeadRow) -> None:
        """Keep a record that cannot be read, and go past it."""
        self._page.dead.append(row)
        self.done([row.log_offset])

    def tell(self, record: Record) -> None:
        """Append a notice of our own to the bus."""
        self._page.told.append(record)
        self.news.set()

    async def flush(self) -> int:
        """Commit what there is and return the number of rows of attempts; LeaseLostError, or what the database says."""
        async with self.lock:
            page, self._page = self._page, _Page()
            self.news.clear()
            if page.is_empty:
                return 0
            try:
                for offset in page.done:
                    self._watermark.done(offset)
                async with asyncio.timeout(FLUSH_S):
                    await self._write(page)
            except BaseException:
                page.add(self._page)
                self._page = page
                self.news.set()
                raise
            self.in_hand -= len(page.done)
            if self._open_rows:
                self._open_rows.difference_update(page.removed)
                self._open_rows.difference_update([delay.id for delay in page.delays])
            for outlet, subjects in page.spilled:
                outlet.stored(subjects)
            return len(page.attempts) + len(page.posts)

    async def _write(self, page: _Page) -> None:
        commits = [Commit(WEBHOOK_GROUP, WEBHOOKS, self._shard, self._watermark.position())]
        store = self._store
        async with self._db.transaction() as tx:
            if not await self._hold_lease(tx):
                raise LeaseLostError(f"webhooks shard {self._shard}")
            await store.record(tx, page.attempts)
            await store.record_posts(tx, page.posts)
            await store.add(tx, page.spills)
            await store.remove(tx, page.removed)
            await store.delay(tx, page.delays)
            await store.note_health(tx, list(page.healths.values()))
            await store.bury(tx, page.dead)
            await self._bus.append(page.told, commits=commits if page.done else (), tx=tx)
