"""A connection whose end tells the others that this process is gone, in milliseconds instead of a lease's time (D3).

While it stands, the process holds an advisory lock under a number of its own (`mark`), written into its leases by
`PostgresLeases`. A process that is killed loses its connections in the same instant, so the server frees the lock.
A process that only lost the connection is told by `on_cut` and has to stop by itself at once. Used by the role
`dispatch`; where no session locks are to be had (a pooler in between), leases run out as they always did.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Final

import asyncpg
import structlog

from gateway.ports.clock import Clock
from gateway.store.pool import UNAVAILABLE, Database, pause

_log = structlog.get_logger()

_RETRY_S: Final = 0.25
_SLOW_RETRY_S: Final = 5.0
_CHECK_S: Final = 2.0
_CHECK_TIMEOUT_S: Final = 1.0

KEEPALIVES: Final = {"tcp_keepalives_idle": "2", "tcp_keepalives_interval": "1", "tcp_keepalives_count": "3"}
"""A host that vanished is noticed by the server after about five seconds; nothing on a local socket."""


class Lifeline:
    """Run it beside the work; `on_cut` is called once for each time that it was lost."""

    def __init__(self, db: Database, *, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._since_ns = 0
        self._was_held = False
        self.mark: int | None = None
        self.on_cut: Callable[[], None] = lambda: None

    @property
    def held_s(self) -> float:
        """Return for how long it has stood without a break; 0 while it does not."""
        return 0.0 if self.mark is None else (self._clock.monotonic_ns() - self._since_ns) / 1e9

    async def run(self) -> None:
        """Hold it until cancelled; mends itself."""
        is_failing = False
        while True:
            try:
                await self._hold()
                is_failing = False
            except (TimeoutError, *UNAVAILABLE, asyncpg.PostgresError) as error:
                if not is_failing:
                    is_failing = True
                    _log.warning("lifeline.not_held", error=f"{type(error).__name__}: {error}"[:200])
            await pause(_RETRY_S if self._was_held else _SLOW_RETRY_S)

    async def _hold(self) -> None:
        """Connect, lock, and stay until the connection ends."""
        ended = asyncio.Event()
        connection = await self._db.connect_alone("lifeline", settings=KEEPALIVES)
        connection.add_termination_listener(lambda _: self._cut(ended))
        try:
            # Each connection has a number of its own: the server may not have noticed yet that the one before is dead.
            mark = secrets.randbits(62)
            async with asyncio.timeout(_CHECK_TIMEOUT_S):
                if await connection.fetchval("SELECT pg_backend_pid()") != connection.get_server_pid():
                    raise OSError("a pooler is in between: sessions are not ours")
                await connection.execute("SELECT pg_advisory_lock($1)", mark)
            if ended.is_set():
                return
            self._since_ns = self._clock.monotonic_ns()
            self._was_held = True
            self.mark = mark
            _log.info("lifeline.held")
            while not ended.is_set():
                try:
                    async with asyncio.timeout(_CHECK_S):
                        await ended.wait()
                except TimeoutError:
                    # A dead peer is only found by asking.
                    async with asyncio.timeout(_CHECK_TIMEOUT_S):
                        await connection.execute("SELECT 1")
        except asyncio.CancelledError:
            self.mark = None  # an orderly end cuts nothing
            raise
        finally:
            self._cut(ended)
            connection.terminate()

    def _cut(self, ended: asyncio.Event) -> None:
        ended.set()
        if self.mark is not None:
            self.mark = None
            self.on_cut()
