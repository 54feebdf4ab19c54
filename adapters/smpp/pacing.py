"""How fast one bind may submit: the carrier's contract, the bind's own limit, and what throttle answers taught us.

Used by `bind` and `link`; all times are a monotonic clock's nanoseconds.
"""

from typing import Final

from throttling.gcra import Gcra
from throttling.governor import BIND_RATE, CARRIER_RATE, GRANTED, Governor, Permit
from throttling.rates import SECOND_NS, Rate

THROTTLED: Final = "throttled"
# One cut answers all the throttle answers to what was already in flight.
CUT_EVERY_NS: Final = SECOND_NS
HOLD_NS: Final = SECOND_NS // 10
MAX_HOLD_NS: Final = SECOND_NS
RAISE_EVERY_NS: Final = SECOND_NS // 2
RAISE_SHARE: Final = 20
FLOOR_SHARE: Final = 50
BURST_SLACK_NS: Final = 20_000_000


def limiter(rate: str, *, burst: int | None, shares: int = 1) -> Gcra:
    """Return the limiter of a configured rate, or of one of its `shares`.

    `burst` is how many segments may exceed the rate in any second, over all shares; None is 2 % of the rate.
    """
    whole = Rate.parse(rate)
    slack_ns = BURST_SLACK_NS if burst is None else burst * whole.gap_ns
    return Gcra(whole.divided_by(shares), slack_ns=slack_ns)


class BindPace:
    """Permits of one bind.

    A throttle answer halves the bind's rate, at most once a second, and holds it for 0.1 s; afterwards the rate grows
    back by a twentieth of its ceiling every half second. A bind without a configured rate (the owner of the link paces
    it) is only held: 0.1 s, doubled up to a second while throttle answers go on.
    """

    __slots__ = (
        "_ceiling",
        "_cut_ns",
        "_governor",
        "_held_until_ns",
        "_hold_ns",
        "_learned",
        "_limits",
        "_raised_ns",
        "last_throttled_ns",
    )

    def __init__(self, *, carrier: Gcra | None, bind: Gcra | None) -> None:
        limits = ((CARRIER_RATE, carrier), (BIND_RATE, bind))
        self._limits = tuple((reason, gcra) for reason, gcra in limits if gcra is not None)
        self._governor = Governor(self._limits) if self._limits else None
        rates = [gcra.rate for _, gcra in self._limits]
        self._ceiling = min(rates, key=lambda rate: rate.per_s) if rates else None
        self._learned: Gcra | None = None
        self._held_until_ns = 0
        self._hold_ns = 0
        self._cut_ns: int | None = None
        self._raised_ns = 0
        self.last_throttled_ns = 0

    @property
    def rate(self) -> Rate | None:
        """The rate in force, None without limit."""
        return self._ceiling if self._learned is None else self._learned.rate

    def ask(self, now_ns: int) -> Permit:
        """Return what stands between now and the next submit; takes no permit."""
        if now_ns < self._held_until_ns:
            return Permit(self._held_until_ns - now_ns, THROTTLED)
        governor = self._governor
        if governor is None:
            return GRANTED
        permit = governor.peek(now_ns)
        # A refused offer charges nothing, and it tells the limiters that somebody waits: lateness is owed to them.
        return governor.offer(now_ns) if permit.wait_ns else permit

    def take(self, now_ns: int) -> None:
        """Charge the permit that `ask` granted at this very time."""
        if self._governor is not None:
            self._governor.offer(now_ns)

    def throttled(self, now_ns: int) -> None:
        """The carrier said slow down."""
        self.last_throttled_ns = now_ns
        ceiling = self._ceiling
        if ceiling is None:
            if now_ns >= self._held_until_ns:
                self._hold_ns = min(MAX_HOLD_NS, 2 * self._hold_ns) or HOLD_NS
                self._held_until_ns = now_ns + self._hold_ns
            return
        self._held_until_ns = now_ns + HOLD_NS
        if self._cut_ns is not None and now_ns < self._cut_ns + CUT_EVERY_NS:
            return
        self._cut_ns = self._raised_ns = now_ns
        floor = ceiling.per_s / FLOOR_SHARE
        current = ceiling if self._learned is None else self._learned.rate
        self._learn(Rate(max(floor, current.per_s / 2)), now_ns)

    def succeeded(self, now_ns: int) -> None:
        """The carrier took a segment: let a cut rate grow."""
        if self._hold_ns and now_ns >= self._held_until_ns + self._hold_ns:
            self._hold_ns = 0
        learned, ceiling = self._learned, self._ceiling
        if learned is None or ceiling is None or now_ns < self._raised_ns + RAISE_EVERY_NS:
            return
        self._raised_ns = now_ns
        raised = learned.rate.per_s + ceiling.per_s / RAISE_SHARE
        if raised >= ceiling.per_s:
            self._learned = None
            self._governor = Governor(self._limits)
        else:
            self._learn(Rate(raised), now_ns)

    def _learn(self, rate: Rate, now_ns: int) -> None:
        if self._learned is None:
            self._learned = Gcra(rate, slack_ns=BURST_SLACK_NS)
            self._governor = Governor((*self._limits, (THROTTLED, self._learned)))
        else:
            self._learned.set_rate(rate, now_ns=now_ns)
