"""Keeps the daily partitions: at start and every hour. Runs in the role `back`."""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from gateway.ports.clock import Clock
from gateway.ports.record_store import Housekeeping

_log = structlog.get_logger()

_RETRY_S = 30.0
_LOOK_S = 5.0


class Housekeeper:
    """One per process; several processes do no harm. `is_mine` leaves a round to another process while it says no."""

    def __init__(
        self,
        store: Housekeeping,
        *,
        clock: Clock,
        every_s: float = 3600.0,
        is_mine: Callable[[], bool] = lambda: True,
    ) -> None:
        self._store = store
        self._clock = clock
        self._every_s = every_s
        self._is_mine = is_mine
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Keep the partitions until `stop`; after an error try again soon."""
        while not self._stopping.is_set():
            pause_s = self._every_s
            try:
                if self._is_mine():
                    await self._store.keep(now_ms=self._clock.now_ms())
                else:
                    pause_s = min(_LOOK_S, self._every_s)  # it may be mine soon
            except Exception as error:  # noqa: BLE001 - the DEFAULT partitions take the rows meanwhile
                _log.warning("partitions.failed", error=type(error).__name__)
                pause_s = min(_RETRY_S, self._every_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()
