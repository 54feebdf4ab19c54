"""Which webhook endpoints an account has: the cache that intake asks for messages that name one.

Implements `gateway.ports.intake_store.WebhookNames`; one per process of the role `api`.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from gateway.ports.clock import Clock
from gateway.ports.webhook_store import CHANNEL
from gateway.store.pool import Database

_TTL_NS: Final = 10_000_000_000
_ASK_AGAIN_NS: Final = 1_000_000_000
_MAX_ACCOUNTS: Final = 10_000


class _Entry(NamedTuple):
    ids: frozenset[str]
    loaded_ns: int


class WebhookNamesCache:
    """An entry lives for 10 s; a notification drops them all, and an id that is not in one is asked for again."""

    def __init__(self, db: Database, *, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._drops = 0
        self._loading = asyncio.Lock()

    async def start(self) -> None:
        """Begin to follow changes."""
        await self._db.listen(CHANNEL, self._drop)

    async def among(self, account_id: str, wanted: AbstractSet[str]) -> AbstractSet[str]:
        """Return those of the ids that are webhook endpoints of this account; a made-up id costs a look a second."""
        ids = self._fresh(account_id, wanted)
        if ids is None:
            # One look at a time: whoever asks for the same account meanwhile finds its answer.
            async with self._loading:
                ids = self._fresh(account_id, wanted)
                if ids is None:
                    ids = await self._load(account_id)
        return wanted & ids

    def _fresh(self, account_id: str, wanted: AbstractSet[str]) -> frozenset[str] | None:
        entry = self._entries.get(account_id)
        if entry is None:
            return None
        lives_ns = _TTL_NS if wanted <= entry.ids else _ASK_AGAIN_NS
        return entry.ids if self._clock.monotonic_ns() - entry.loaded_ns < lives_ns else None

    async def _load(self, account_id: str) -> frozenset[str]:
        drops = self._drops
        async with self._db.acquire() as connection:
            rows = await connection.fetch(
                "SELECT id FROM webhook_endpoints WHERE account_id = $1", account_id
            )
        ids = frozenset(row[0] for row in rows)
        if drops == self._drops:  # otherwise what we have read may be what was dropped
            self._entries[account_id] = _Entry(ids, self._clock.monotonic_ns())
            self._entries.move_to_end(account_id)
            while len(self._entries) > _MAX_ACCOUNTS:
                self._entries.popitem(last=False)
        return ids

    def _drop(self, _: str) -> None:
        self._drops += 1
        self._entries.clear()
