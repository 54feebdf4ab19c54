"""Settings through a pipe: the supervisor writes one JSON document a line, a role reads them as they come.

The first line starts the role, every later one is a reload. Secrets go this way, never through arguments or the
environment.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Any

import structlog

from gateway.settings import Settings

log = structlog.get_logger()

_CHUNK_OCTETS = 65_536
_MAX_LINE_OCTETS = 64 * 1024 * 1024


def settings_line(settings: Settings) -> bytes:
    """Return the line that says these settings."""
    return settings.model_dump_json(by_alias=True).encode() + b"\n"


class SettingsFeed:
    """Reads one end of the pipe: `first` before there is an event loop, then `later`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""

    def first(self) -> Settings:
        """Return the settings to start with; waits for them. ValueError when the pipe ends before."""
        octets = bytearray()
        while b"\n" not in octets:
            # Not through a buffered file: what it read ahead would be lost to the loop.
            chunk = os.read(self._descriptor, _CHUNK_OCTETS)
            if not chunk:
                break
            octets += chunk
        line, _, rest = bytes(octets).partition(b"\n")
        self._rest = rest
        return _settings(line)

    async def later(self) -> AsyncIterator[Settings]:
        """Yield every document that comes; ends with the pipe."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_MAX_LINE_OCTETS)
        reader.feed_data(self._rest)
        pipe = os.fdopen(self._descriptor, "rb", buffering=0, closefd=False)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        try:
            while line := await reader.readline():
                try:
                    settings = _settings(line)
                except ValueError as error:  # whoever wrote it is of another version: what runs goes on
                    log.warning("config.unreadable", error=type(error).__name__)
                else:
                    yield settings
        finally:
            transport.close()


def _settings(line: bytes) -> Settings:
    tree: dict[str, Any] = json.loads(line)
    return Settings(**tree)
