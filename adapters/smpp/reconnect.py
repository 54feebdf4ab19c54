"""When a bind that went down tries again: exponential back-off with full jitter, and the refusals that ask for more.

And how the binds of a link are made anew on an operator's word: one after the other. Used by `bind` and `link`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import structlog

from adapters.smpp.classify import StatusVerdict
from adapters.smpp.profile import CarrierProfile
from adapters.smpp.wire import constants as c

_log = structlog.get_logger()

ALREADY_BOUND_MIN_S: Final = 5.0
REFUSED_JITTER: Final = 0.2


class Reconnect:
    """The waits of one bind; forgotten only after a bind that was stable (sms-domain H9, G)."""

    __slots__ = ("_asked_s", "_failures", "_profile", "_random")

    def __init__(self, profile: CarrierProfile, *, random: Callable[[], float]) -> None:
        self._profile = profile
        self._random = random
        self._failures = 0
        self._asked_s: float | None = None

    def refused(self, verdict: StatusVerdict, *, command_status: int, falls_back: bool) -> None:
        """Note what a bind response asks for: hammering a wrong password locks the account."""
        if verdict.status_class == "bind_fatal":
            self._asked_s = self._profile.refused_bind_s * (1 + REFUSED_JITTER * self._random())
        elif falls_back:
            self._asked_s = 0.0
        elif command_status == c.ESME_RALYBND:
            self._asked_s = max(ALREADY_BOUND_MIN_S, self._back_off_s())

    def ended(self, *, bound_for_s: float) -> None:
        """Note how long the bind stood."""
        if bound_for_s >= self._profile.stable_after_s:
            self._failures = 0

    def next_delay_s(self) -> float:
        """Return the wait before the next attempt."""
        asked_s, self._asked_s = self._asked_s, None
        return self._back_off_s() if asked_s is None else asked_s

    def _back_off_s(self) -> float:
        self._failures += 1
        minimum_s = self._profile.reconnect_min_s
        ceiling_s = min(self._profile.reconnect_max_s, minimum_s * 2.0 ** min(self._failures, 30))
        return minimum_s + self._random() * (ceiling_s - minimum_s)


class Rebindable(Protocol):
    """What `Rebinding` needs of a bind."""

    @property
    def stands(self) -> asyncio.Event: ...

    def rebind(self) -> None: ...


class Rebinding:
    """The binds of a link that are to be made anew, in turn. `run` is one task at a time and ends by itself."""

    def __init__(self, profile: CarrierProfile, *, find: Callable[[str], Rebindable | None]) -> None:
        self._carrier = profile.carrier
        self._find = find
        self._names: deque[str] = deque()
        self._is_running = False
        # Every part of it has its own deadline: answers, unbind, connection, bind.
        self._limit_s = (
            profile.response_timeout_s
            + 2 * profile.unbind_timeout_s
            + profile.connect_timeout_s
            + profile.bind_timeout_s
            + profile.reconnect_min_s
        )

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
