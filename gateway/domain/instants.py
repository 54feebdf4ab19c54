"""Instants as people read them: RFC 3339 in UTC. Used wherever a time leaves the gateway as text."""

from datetime import UTC, datetime
from functools import lru_cache

_REST = [f".{rest_ms:03d}Z" for rest_ms in range(1000)]


@lru_cache(maxsize=4096)
def rfc3339(time_ms: int) -> str:
    """Return milliseconds since the epoch as an RFC 3339 time in UTC, such as `2026-11-22T03:05:00.412Z`."""
    # Under load many things happen in one millisecond, and each of them is told of more than once.
    return _second(time_ms // 1000) + _REST[time_ms % 1000]


@lru_cache(maxsize=64)
def _second(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).replace(tzinfo=None).isoformat()
