"""What is counted in the database from time to time, for the metrics: dead records, segments without a receipt.

Runs in the role `back`. Of several processes the one with the chores counts dead records, the others show 0: the sum
is right whoever it is.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog
from prometheus_client import CollectorRegistry

from gateway.bus.reader_metrics import PendingMetrics
from gateway.telemetry.metrics import gauge

_log = structlog.get_logger()

MAX_DEAD_COUNTED: Final = 100_000
MAX_SEEDED: Final = 200_000


class TallyStore(Protocol):
    """What is asked."""

    async def dead_records(self, *, limit: int) -> int:
        """Return how many dead records there are, counting to `limit`."""

    async def pending_segments(self, *, limit: int) -> Mapping[str, int]:
        """Return, by carrier, which of the newest `limit` submitted segments have no final receipt."""


class Tallies:
    """Counts every `every_s` seconds until `stop`; an error waits for the next round.

    `is_alone` tells whether this is the only process that records: only then may it begin with what the one before it
    left pending.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        store: TallyStore,
        pending: PendingMetrics,
        is_mine: Callable[[], bool],
        is_alone: Callable[[], bool],
        every_s: float = 15.0,
        look_s: float = 1.0,
    ) -> None:
        self._dead = gauge(registry, "dead_letter_messages")
        self._store = store
        self._pending = pending
        self._is_mine = is_mine
        self._is_alone = is_alone
        self._every_s = every_s
        self._look_s = look_s
        self._is_seeded = False
        self._is_failing = False
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Count until `stop`."""
        while not self._stopping.is_set():
            is_mine = self._is_mine()
            if is_mine:
                await self._attempt()
            else:
                self._dead.set(0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s if is_mine else self._look_s):
                    await self._stopping.wait()

    async def _attempt(self) -> None:
        try:
            self._dead.set(await self._store.dead_records(limit=MAX_DEAD_COUNTED))
            if not self._is_seeded:
                self._is_seeded = True
                if self._is_alone():
                    self._pending.seed(await self._store.pending_segments(limit=MAX_SEEDED))
        except Exception as error:  # noqa: BLE001 - they are figures; the database may be away
            if not self._is_failing:
                _log.warning("tallies.failed", error=type(error).__name__)
            self._is_failing = True
        else:
            self._is_failing = False
