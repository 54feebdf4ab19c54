"""Who waits for news of which topic: the part of `wait` that is the same on every bus. One event loop, no lock."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary


class News:
    """Counts what happened per topic and wakes those who wait for it.

    What a caller has seen is remembered for its task and its set of topics, so nothing that happens between a look
    and the next wait is missed.
    """

    def __init__(self) -> None:
        self._count: dict[str, int] = {}
        self._everything = 0
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._seen: dict[tuple[str, ...], int] = {}
        self._seen_by_task: WeakKeyDictionary[asyncio.Task[Any], dict[tuple[str, ...], int]] = (
            WeakKeyDictionary()
        )

    def add(self, topics: Iterable[str]) -> None:
        """Something came to these topics."""
        for topic in topics:
            self._count[topic] = self._count.get(topic, 0) + 1
            self._wake(topic)

    def add_everything(self) -> None:
        """Something came, and it may be to any topic."""
        self._everything += 1
        for topic in list(self._waiting):
            self._wake(topic)

    async def wait(self, topics: Sequence[str], *, timeout_s: float) -> None:
        """Return when one of the topics has news since the caller's last call, or after `timeout_s`."""
        names = tuple(topics)
        task = asyncio.current_task()
        assert task is not None
        news = self._newest(names)
        by_task = self._seen_by_task.get(task)
        # A task of its own for each call (`wait_for` makes one) falls back on what its kind has seen.
        seen = by_task.get(names) if by_task is not None else None
        if seen is None:
            seen = self._seen.get(names, -1)
        if news == seen:
            await self._sleep(names, timeout_s)
            news = self._newest(names)
        self._seen[names] = news
        self._seen_by_task.setdefault(task, {})[names] = news

    def _newest(self, topics: Iterable[str]) -> int:
        count = self._count
        return self._everything + sum([count.get(topic, 0) for topic in topics])

    def _wake(self, topic: str) -> None:
        for waiter in self._waiting.get(topic, ()):
            if not waiter.done():
                waiter.set_result(None)

    async def _sleep(self, topics: tuple[str, ...], timeout_s: float) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for topic in topics:
            self._waiting.setdefault(topic, set()).add(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                await waiter
        except TimeoutError:
            pass
        finally:
            for topic in topics:
                self._waiting[topic].discard(waiter)
