"""When an SMPP bind that went down tries again: the back-off, and the refusals that ask for more. Used by `bind`."""

from collections.abc import Callable
from typing import Final

from adapters.pace.reconnect import BackOff
from adapters.smpp.classify import StatusVerdict
from adapters.smpp.profile import CarrierProfile
from adapters.smpp.wire import constants as c

ALREADY_BOUND_MIN_S: Final = 5.0
REFUSED_JITTER: Final = 0.2


class Reconnect:
    """The waits of one bind; forgotten only after a bind that was stable (sms-domain H9, G)."""

    __slots__ = ("_asked_s", "_back_off", "_profile", "_random")

    def __init__(self, profile: CarrierProfile, *, random: Callable[[], float]) -> None:
        self._profile = profile
        self._random = random
        self._back_off = BackOff(
            min_s=profile.reconnect_min_s,
            max_s=profile.reconnect_max_s,
            stable_after_s=profile.stable_after_s,
            random=random,
        )
        self._asked_s: float | None = None

    def refused(self, verdict: StatusVerdict, *, command_status: int, falls_back: bool) -> None:
        """Note what a bind response asks for: hammering a wrong password locks the account."""
        if verdict.status_class == "bind_fatal":
            self._asked_s = self._profile.refused_bind_s * (1 + REFUSED_JITTER * self._random())
        elif falls_back:
            self._asked_s = 0.0
        elif command_status == c.ESME_RALYBND:
            self._asked_s = max(ALREADY_BOUND_MIN_S, self._back_off.next_delay_s())

    def ended(self, *, bound_for_s: float) -> None:
        """Note how long the bind stood."""
        self._back_off.ended(bound_for_s=bound_for_s)

    def next_delay_s(self) -> float:
        """Return the wait before the next attempt."""
        asked_s, self._asked_s = self._asked_s, None
        return self._back_off.next_delay_s() if asked_s is None else asked_s
