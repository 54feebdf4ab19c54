"""Who wrote to our numbers lately and whom they wrote to: kept in memory, so that no message waits for a query.

One feed per dispatch process follows the database for the carriers whose rules need it; dialects read what it fills. What
it does not know yet is left to the carrier.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from gateway.domain.ids import uuid7_floor
from gateway.ports.clock import Clock
from gateway.ports.conversation import ConversationStore
from throttling.reach import DAY_MS, ReachLimiter
from throttling.windows import MARGIN_MS, WINDOW_MS, ServiceWindows

_log = structlog.get_logger()

POLL_S: Final = 1.0
_PAGE: Final = 5_000
_MAX_REACHED: Final = 1_000_000
# What is recorded late has an id of its time: each look goes back a little, and once in a while a lot.
_BACK_MS: Final = 60_000
_FAR_BACK_MS: Final = 3_600_000
_FAR_EVERY: Final = 60


@dataclass(slots=True)
class Acquaintance:
    """What is known of one carrier. `windows` is None where nobody asks; `reach_limit` is of all shards together."""

    carrier: str
    windows: ServiceWindows | None = None
    reach_limit: int | None = None
    reaches: dict[int, ReachLimiter] = field(default_factory=dict)
    is_learned: bool = False

    @property
    def is_followed(self) -> bool:
        """True where there is something to learn."""
        return self.windows is not None or self.reach_limit is not None

    def reach_of(self, shard: int, shards: int) -> ReachLimiter | None:
        """Return the limiter of one shard with its part of the limit, None where there is none."""
        if self.reach_limit is None:
            return None
        share = max(1, (self.reach_limit + shard) // shards)
        limiter = self.reaches.get(shard)
        if limiter is None or limiter.limit != share:
            limiter = self.reaches[shard] = ReachLimiter(share)
            self.is_learned = False
        return limiter


async def _nothing_waits() -> int | None:
    return None


class AcquaintanceFeed:
    """Follows the database until `stop`; an error waits for the next look.

    `waiting_since` returns the append time (ms) of the oldest message of a person that is durable and not recorded yet,
    None where there is none: nothing is known of what came since.
    """

    def __init__(
        self,
        store: ConversationStore,
        *,
        clock: Clock,
        waiting_since: Callable[[], Awaitable[int | None]] = _nothing_waits,
        poll_s: float = POLL_S,
    ) -> None:
        self._store = store
        self._clock = clock
        self._waiting_since = waiting_since
        self._poll_s = poll_s
        self._known: dict[str, Acquaintance] = {}
        self._looks = 0
        self._looked_ms = 0
        self._is_loaded = False
        self._stopping = asyncio.Event()

    def use(self, known: Mapping[str, Acquaintance]) -> None:
        """Follow these carriers from now on; what is new among them is loaded from the beginning."""
        followed = {name: one for name, one in known.items() if one.is_followed}
        if set(followed) - set(self._known) or any(
            followed[name] is not one for name, one in self._known.items() if name in followed
        ):
            self._is_loaded = False
        self._known = followed

    def stop(self) -> None:
        """End `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Look every second while there is somebody to follow."""
        while not self._stopping.is_set():
            if self._known:
                try:
                    await self.look()
                except Exception as error:  # noqa: BLE001 - the database may be away; the carrier decides meanwhile
                    _log.warning("acquaintance.failed", error=type(error).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._stopping.wait()

    async def look(self) -> None:
        """Learn what is new; at first, all of the last day."""
        now_ms = self._clock.now_ms()
        known = dict(self._known)
        is_first = not self._is_loaded
        await self._hear(known, now_ms=now_ms, is_first=is_first)
        for one in known.values():
            if one.reach_limit is not None and not one.is_learned:
                await self._learn(one, now_ms=now_ms)
        if is_first and known == self._known:
            self._is_loaded = True
        self._looks += 1
        self._looked_ms = now_ms

    async def _hear(self, known: Mapping[str, Acquaintance], *, now_ms: int, is_first: bool) -> None:
        heard = {name: one.windows for name, one in known.items() if one.windows is not None}
        if not heard:
            return
        back_ms = _FAR_BACK_MS if self._looks % _FAR_EVERY == 0 else _BACK_MS
        first_ms = now_ms - WINDOW_MS - MARGIN_MS
        # Before the query: what is recorded between the two is seen by it.
        waiting_ms = await self._waiting_since()
        as_of_ms = now_ms if waiting_ms is None else min(now_ms, waiting_ms - 1)
        # From the last look that succeeded: the database may have been away for long.
        since_ms = first_ms if is_first else max(first_ms, min(now_ms, self._looked_ms) - back_ms)
        after = uuid7_floor(max(0, since_ms))
        while True:
            page = await self._store.heard(list(heard), since_ms=since_ms, after=after, limit=_PAGE)
            for one in page:
                heard[one.carrier].hear(one.person, at_ms=one.at)
            if len(page) < _PAGE:
                break
            after = page[-1].id
        for windows in heard.values():
            windows.forget(now_ms=now_ms)
            windows.know(since_ms=since_ms if is_first else 0, as_of_ms=as_of_ms)

    async def _learn(self, one: Acquaintance, *, now_ms: int) -> None:
        """Count whom the carrier took messages for before this process began; roughly, templates or not."""
        limit = min(one.reach_limit or 0, _MAX_REACHED)
        reached = await self._store.reached(one.carrier, since_ms=now_ms - DAY_MS, limit=limit)
        shards = max(1, len(one.reaches))
        for limiter in one.reaches.values():
            # Who is whose is not known here; each shard counts its share of them.
            limiter.learn(reached[::shards] if shards > 1 else reached, now_ms=now_ms)
        one.is_learned = True
