"""When a bind that went down tries again: exponential back-off with full jitter.

And how the binds of a link are made anew on an operator's word: one after the other. Used by binds and links.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import structlog

_log = structlog.get_logger()


USEFUL_AFTER: Final = 8.0
"""A bind that stood so many times the shortest wait did some work before it was lost."""


class BackOff:
    """Waits that double from `min_s` to `max_s`; forgotten only after what was stable for `stable_after_s`.

    What was bound for a shorter time, but long enough to be of use, is away for a quarter of that time at most: a
    carrier that cuts a bind every ten seconds would else be left alone for a minute while it takes all it is given.
    """

    __slots__ = ("_failures", "_max_s", "_min_s", "_random", "_stable_after_s")

    def __init__(
        self, *, min_s: float, max_s: float, stable_after_s: float, random: Callable[[], float]
    ) -> None:
        self._min_s = min_s
        self._max_s = max_s
        self._stable_after_s = stable_after_s
        self._random = random
        self._failures = 0

    def ended(self, *, bound_for_s: float) -> None:
        """Note how long the bind stood."""
        if bound_for_s >= self._stable_after_s:
            self._failures = 0
        elif (useful := bound_for_s / (USEFUL_AFTER * self._min_s)) >= 1:
            self._failures = min(self._failures, int(math.log2(useful)))

    def next_delay_s(self) -> float:
        """Return the wait before the next attempt, and double the next one's bound."""
        self._failures += 1
        ceiling_s = min(self._max_s, self._min_s * 2.0 ** min(self._failures, 30))
        return self._min_s + self._random() * (ceiling_s - self._min_s)


class Rebindable(Protocol):
    """What `Rebinding` needs of a bind."""

    @property
    def stands(self) -> asyncio.Event: ...

    def rebind(self) -> None: ...


class Rebinding:
    """The binds of a link that are to be made anew, in turn. `run` is one task at a time and ends by itself.

    `limit_s` is the longest that one of them may take.
    """

    def __init__(self, carrier: str, *, limit_s: float, find: Callable[[str], Rebindable | None]) -> None:
        self._carrier = carrier
        self._find = find
        self._names: deque[str] = deque()
        self._is_running = False
        self._limit_s = limit_s

    def add(self, names: Iterable[str]) -> bool:
        """Note binds by name, each once; True when `run` is to be started."""
        self._names += [name for name in names if name not in self._names]
        is_idle, self._is_running = not self._is_running, True
        return is_idle

    async def run(self) -> None:
        """Make anew what was noted."""
        try:
            while self._names:
                name = self._names.popleft()
                bind = self._find(name)
                if bind is None:
                    continue  # an operator's word is checked where it comes in
                bind.rebind()
                try:
                    async with asyncio.timeout(self._limit_s):
                        await bind.stands.wait()
                except TimeoutError:
                    _log.warning("link.reconnect_stopped", carrier=self._carrier, bind=name)
                    self._names.clear()
        finally:
            self._is_running = False
