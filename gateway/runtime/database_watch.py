"""Keeps the embedded PostgreSQL running; the supervisor lets it look once a second.

A server that died is started again. Where it cannot start (the disk is full), the gateway stays up and tries again
later: the API answers 503, and carriers and customers keep their sessions until there is room.
"""

from typing import Final, Protocol

import structlog

from gateway.store.postgres_programs import EmbeddedPostgresError

RETRY_S: Final = (1.0, 2.0, 5.0)
_MAX_REASON: Final = 500

_log = structlog.get_logger()


class Server(Protocol):
    """What is watched; `gateway.store.embedded.EmbeddedPostgres` is one."""

    def alive(self) -> bool:
        """True while it runs."""

    def start(self) -> str:
        """Start it; EmbeddedPostgresError when it cannot run."""


class DatabaseWatch:
    """One server that should run. `look` is called from the main thread, with a monotonic time in seconds."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._failures = 0
        self._due_s = 0.0

    def look(self, *, now_s: float) -> None:
        """Start the server again if it died, unless the last try failed a moment ago."""
        if self._server.alive():
            self._failures = 0
            return
        if self._failures and now_s < self._due_s:
            return
        _log.error("database.died", action="restart")
        try:
            self._server.start()
        except EmbeddedPostgresError as error:
            retry_s = RETRY_S[min(self._failures, len(RETRY_S) - 1)]
            self._failures += 1
            self._due_s = now_s + retry_s
            _log.error("database.start_failed", error=str(error)[-_MAX_REASON:], retry_s=retry_s)
