"""How fast one bind may submit: the carrier's contract, the bind's own limit, and what throttle answers taught us.

Used by `bind` and `link`; all times are a monotonic clock's nanoseconds.
"""

from collections import OrderedDict
from fractions import Fraction
from typing import Final
from uuid import UUID

from gateway.domain.message import OutboundSegment
from throttling.gcra import Gcra
from throttling.governor import BIND_RATE, CARRIER_RATE, GRANTED, Governor, Permit
from throttling.rates import SECOND_NS, Rate

THROTTLED: Final = "throttled"
# One cut answers all the throttle answers to what was already in flight.
CUT_EVERY_NS: Final = SECOND_NS
HOLD_NS: Final = SECOND_NS // 10
MAX_HOLD_NS: Final = SECOND_NS
RAISE_EVERY_NS: Final = SECOND_NS // 2
RAISE_SHARE: Final = 10
FLOOR_SHARE: Final = 50
LEAST_PER_S: Final = 1
LEAST_OBSERVED_PER_S: Final = 10
BURST_SLACK_NS: Final = 20_000_000
MAX_REMEMBERED_SEGMENTS: Final = 1000


def limiter(rate: str, *, burst: int | None, shares: int = 1) -> Gcra:
    """Return the limiter of a configured rate, or of one of its `shares`.

    `burst` is how many segments may exceed the rate in any second, over all shares; None is 2 % of the rate.
    """
    whole = Rate.parse(rate)
    slack_ns = BURST_SLACK_NS if burst is None else burst * whole.gap_ns
    return Gcra(whole.divided_by(shares), slack_ns=slack_ns)


class BindPace:
    """Permits of one bind.

    A throttle answer halves the bind's rate, at most once a second, and holds it for 0.1 s; the hold is doubled up to
    a second while nothing but throttle answers comes. Afterwards the rate grows back by a tenth of where it was every
    half second. Where a bind has no configured rate (the owner of the link paces it), what it was seen to do counts.
    """

    __slots__ = (
        "_burst_count",
        "_burst_ns",
        "_ceiling",
        "_cut_ns",
        "_governor",
        "_held_until_ns",
        "_hold_ns",
        "_learned",
        "_limits",
        "_peak_per_s",
        "_raised_ns",
        "_top_per_s",
        "last_throttled_ns",
    )

    def __init__(self, *, carrier: Gcra | None, bind: Gcra | None) -> None:
        limits = ((CARRIER_RATE, carrier), (BIND_RATE, bind))
        self._limits = tuple((reason, gcra) for reason, gcra in limits if gcra is not None)
        self._governor = Governor(self._limits) if self._limits else None
        rates = [gcra.rate for _, gcra in self._limits]
        self._ceiling = min(rates, key=lambda rate: rate.per_s) if rates else None
        self._learned: Gcra | None = None
        self._top_per_s = Fraction(0)  # where the learned rate began and ends
        self._held_until_ns = 0
        self._hold_ns = 0  # of the last hold, 0 once a segment was taken
        self._cut_ns: int | None = None
        self._raised_ns = 0
        self._burst_ns = 0
        self._burst_count = 0
        self._peak_per_s = LEAST_OBSERVED_PER_S
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
        if now_ns - self._burst_ns >= SECOND_NS:
            self._peak_per_s = max(self._peak_per_s, self._observed(self._burst_ns + SECOND_NS))
            self._burst_ns, self._burst_count = now_ns, 0
        self._burst_count += 1
        if self._governor is not None:
            self._governor.offer(now_ns)

    def throttled(self, now_ns: int) -> None:
        """The carrier said slow down."""
        self.last_throttled_ns = now_ns
        is_cut_due = self._cut_ns is None or now_ns >= self._cut_ns + CUT_EVERY_NS
        if now_ns >= self._held_until_ns and (is_cut_due or self._hold_ns):
            self._hold_ns = min(MAX_HOLD_NS, 2 * self._hold_ns) or HOLD_NS
            self._held_until_ns = now_ns + self._hold_ns
        if not is_cut_due:
            return
        self._cut_ns = self._raised_ns = now_ns
        if self._learned is None:
            seen_per_s = Fraction(max(self._peak_per_s, self._observed(now_ns)))
            self._top_per_s = seen_per_s if self._ceiling is None else self._ceiling.per_s
        top_per_s = self._top_per_s
        current_per_s = top_per_s if self._learned is None else self._learned.rate.per_s
        floor_per_s = max(top_per_s / FLOOR_SHARE, min(top_per_s, Fraction(LEAST_PER_S)))
        self._learn(Rate(max(floor_per_s, current_per_s / 2)), now_ns)

    def succeeded(self, now_ns: int) -> None:
        """The carrier took a segment: let a cut rate grow."""
        learned = self._learned
        if learned is None:
            return
        self._hold_ns = 0
        if now_ns < self._raised_ns + RAISE_EVERY_NS:
            return
        self._raised_ns = now_ns
        raised_per_s = learned.rate.per_s + self._top_per_s / RAISE_SHARE
        if raised_per_s >= self._top_per_s:
            self._learned = None
            self._governor = Governor(self._limits) if self._limits else None
        else:
            self._learn(Rate(raised_per_s), now_ns)

    def _observed(self, now_ns: int) -> int:
        """Submits per second since the current burst began; too high rather than too low while it is young."""
        return self._burst_count * SECOND_NS // max(now_ns - self._burst_ns, SECOND_NS // 1000)

    def _learn(self, rate: Rate, now_ns: int) -> None:
        if self._learned is None:
            self._learned = Gcra(rate, slack_ns=BURST_SLACK_NS)
            self._governor = Governor((*self._limits, (THROTTLED, self._learned)))
        else:
            self._learned.set_rate(rate, now_ns=now_ns)


class ThrottledSegments:
    """Tells a number that is throttled from a bind that is: by what was taken between two tries of one segment.

    Remembers the last 1,000 throttled segments of a bind.
    """

    __slots__ = ("_last_ns",)

    def __init__(self) -> None:
        self._last_ns: OrderedDict[tuple[UUID, int], int] = OrderedDict()

    def is_about_the_bind(self, segment: OutboundSegment, *, sent_ns: int, taken_ns: int) -> bool:
        """Note a throttled try; False when what was written with the previous one, or after it, was taken.

        `taken_ns` is when the last segment was written that the carrier took.
        """
        key = (segment.message.id, segment.segment_index)
        last_ns = self._last_ns.pop(key, None)
        self._last_ns[key] = sent_ns
        if len(self._last_ns) > MAX_REMEMBERED_SEGMENTS:
            self._last_ns.popitem(last=False)
        return last_ns is None or taken_ns < last_ns
