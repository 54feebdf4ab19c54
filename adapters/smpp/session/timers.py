"""The clocks of one session as a value: time is an argument, `due` is the one place that decides.

All times are integer nanoseconds of the caller's monotonic clock. SMPP 3.4 §7.2; sms-domain H7, H12.
"""

from dataclasses import dataclass
from enum import Enum

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class TimerSettings:
    """Durations of one session; 0 switches enquire_link or inactivity off."""

    session_init_ns: int = 5 * SECOND_NS
    bind_response_ns: int = 10 * SECOND_NS
    response_ns: int = 30 * SECOND_NS
    enquire_link_ns: int = 30 * SECOND_NS
    enquire_link_response_ns: int = 10 * SECOND_NS
    enquire_link_tries: int = 1
    inactivity_ns: int = 0
    unbind_response_ns: int = 5 * SECOND_NS
    unbind_linger_ns: int = 1 * SECOND_NS


class Due(Enum):
    """What the clocks ask for."""

    NOTHING = "nothing"
    PROBE = "probe"
    PEER_DEAD = "peer_dead"
    CONTROL = "control"
    INACTIVE = "inactive"


class Timers:
    """Liveness, inactivity and one control deadline (session init, then bind, then unbind: never two at once)."""

    __slots__ = (
        "_probe_deadline_ns",
        "_settings",
        "_tries",
        "control_deadline_ns",
        "is_probing_allowed",
        "last_operation_ns",
        "last_rx_ns",
    )

    def __init__(self, settings: TimerSettings, *, now_ns: int) -> None:
        self._settings = settings
        self.last_rx_ns = now_ns
        self.last_operation_ns = now_ns
        self.control_deadline_ns: int | None = now_ns + settings.session_init_ns
        self.is_probing_allowed = False
        self._probe_deadline_ns: int | None = None
        self._tries = 0

    def heard(self, now_ns: int) -> None:
        """Any octet from the peer is a sign of life: a running probe is satisfied."""
        self.last_rx_ns = now_ns
        self._probe_deadline_ns = None
        self._tries = 0

    def probed(self, now_ns: int) -> None:
        """An enquire_link was sent; the peer has `enquire_link_response_ns` to show life."""
        self._probe_deadline_ns = now_ns + self._settings.enquire_link_response_ns
        self._tries += 1

    def bound(self, now_ns: int) -> None:
        """The bind stands: liveness starts, session init ends."""
        self.control_deadline_ns = None
        self.is_probing_allowed = True
        self.last_rx_ns = self.last_operation_ns = now_ns

    def next_deadline_ns(self) -> int | None:
        """Return the earliest time at which `due` will ask for something, None for never."""
        earliest = self.control_deadline_ns
        if self.is_probing_allowed:
            settings = self._settings
            candidates = [] if earliest is None else [earliest]
            if self._probe_deadline_ns is not None:
                candidates.append(self._probe_deadline_ns)
            elif settings.enquire_link_ns:
                candidates.append(self.last_rx_ns + settings.enquire_link_ns)
            if settings.inactivity_ns and earliest is None:
                candidates.append(self.last_operation_ns + settings.inactivity_ns)
            earliest = min(candidates, default=None)
        return earliest

    def due(self, now_ns: int) -> Due:
        """Return the most urgent thing whose time has come; ask again after doing it."""
        settings = self._settings
        if self.control_deadline_ns is not None and now_ns >= self.control_deadline_ns:
            return Due.CONTROL
        if not self.is_probing_allowed:
            return Due.NOTHING
        if self._probe_deadline_ns is not None:
            if now_ns >= self._probe_deadline_ns:
                return Due.PEER_DEAD if self._tries >= settings.enquire_link_tries else Due.PROBE
        elif settings.enquire_link_ns and now_ns >= self.last_rx_ns + settings.enquire_link_ns:
            return Due.PROBE
        if (
            settings.inactivity_ns
            and self.control_deadline_ns is None
            and now_ns >= self.last_operation_ns + settings.inactivity_ns
        ):
            return Due.INACTIVE
        return Due.NOTHING
