"""One task of a bind that makes requests, one at a time. Owned by `bind`."""

import asyncio
from collections.abc import Sequence

from adapters.http.wire import Exchange
from gateway.domain.message import OutboundSegment


class Asker:
    """One task that makes requests, one at a time. `open` are the segments of the one under way."""

    __slots__ = ("begun_ns", "exchange", "job", "open", "task")

    def __init__(self) -> None:
        self.open: Sequence[OutboundSegment] = ()
        self.begun_ns = 0
        self.exchange: Exchange | None = None
        self.job: asyncio.Future[None] | None = None
        self.task: asyncio.Task[None] | None = None
