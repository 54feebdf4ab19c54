"""How fast one bind may submit: the carrier's contract, the bind's own limit, and what throttle answers taught us.

Used by the binds and links of every protocol; all times are a monotonic clock's nanoseconds.
"""

from collections import OrderedDict
from fractions import Fraction
from typing import Final
from uuid import UUID

from gateway.domain.message import OutboundSegment
from throttling.aimd import Aimd
from throttling.gcra import Gcra
from throttling.governor import BIND_RATE, CARRIER_RATE, GRANTED, Governor, Permit
from throttling.rates import SECOND_NS, Rate

THROTTLED: Final = "throttled"
LEAST_OBSERVED_PER_S: Final = 10
BURST_SLACK_NS: Final = 20_000_000
MAX_REMEMBERED_SEGMENTS: Final = 1000
RAMP_SHARE: Final = 10
RATE_PARTS: Final = 1000


def limiter(rate: str, *, burst: int | None, shares: int = 1) -> Gcra:
    """Return the limiter of a configured rate, or of one of its `shares`.

    `burst` is how many segments may exceed the rate in any second, over all shares; None is 2 % of the rate.
    """
    whole = Rate.parse(rate)
    slack_ns = BURST_SLACK_NS if burst is None else burst * whole.gap_ns
    return Gcra(whole.divided_by(shares), slack_ns=slack_ns)


class BindPace:
    """Permits of one bind.

    `top` is the rate that the bind may reach where somebody else keeps it (the owner of the link paces all of them);
    with a limit of its own the lower one counts. Where a bind has neither, what it was seen to do is its top. Throttle
    answers put an `Aimd` rate below it.
    """

    __slots__ = (
        "_adaptive",
        "_burst_count",
        "_burst_ns",
        "_ceiling",
        "_governor",
        "_is_top_known",
        "_learned",
        "_limits",
        "_peak_per_s",
        "last_throttled_ns",
    )

    def __init__(self, *, carrier: Gcra | None, bind: Gcra | None, top: Rate | None = None) -> None:
        limits = ((CARRIER_RATE, carrier), (BIND_RATE, bind))
        self._limits = tuple((reason, gcra) for reason, gcra in limits if gcra is not None)
        self._governor = Governor(self._limits) if self._limits else None
        rates = [gcra.rate for _, gcra in self._limits]
        self._ceiling = min(rates, key=lambda rate: rate.per_s) if rates else None
        if top is not None:
            rates.append(top)
        self._is_top_known = bool(rates)
        self._adaptive = Aimd(
            top_per_s=float(min(rate.per_s for rate in rates)) if rates else LEAST_OBSERVED_PER_S
        )
        self._learned: Gcra | None = None
        self._burst_ns = 0
        self._burst_count = 0
        self._peak_per_s = LEAST_OBSERVED_PER_S
        self.last_throttled_ns = 0

    @property
    def rate(self) -> Rate | None:
        """The rate in force, None without limit."""
        return self._ceiling if self._learned is None else self._learned.rate

    @property
    def learned_per_s(self) -> float | None:
        """What throttle answers left of the rate, None without a cut."""
        return self._adaptive.rate_per_s

    def ask(self, now_ns: int) -> Permit:
        """Return what stands between now and the next submit; takes no permit. A wait below 0 ends with an answer."""
        wait_ns = self._adaptive.wait_ns(now_ns)
        if wait_ns:
            return Permit(wait_ns, THROTTLED)
        governor = self._governor
        if governor is None:
            return GRANTED
        permit = governor.peek(now_ns)
        if permit.wait_ns == 0:
            return permit
        if permit.reason is THROTTLED:
            self._adaptive.limited()
        # A refused offer charges nothing, and it tells the limiters that somebody waits: lateness is owed to them.
        return governor.offer(now_ns)

    def take(self, now_ns: int) -> None:
        """Charge the permit that `ask` granted at this very time."""
        if now_ns - self._burst_ns >= SECOND_NS:
            self._peak_per_s = max(self._peak_per_s, self._observed(self._burst_ns + SECOND_NS))
            self._burst_ns, self._burst_count = now_ns, 0
        self._burst_count += 1
        self._adaptive.sent(now_ns)
        if self._governor is not None:
            self._governor.offer(now_ns)

    def throttled(self, now_ns: int, *, sent_ns: int, retry_after_ms: int = 0) -> None:
        """The carrier said slow down, and perhaps for how long."""
        self.last_throttled_ns = now_ns
        self._learn_top(now_ns)
        if self._adaptive.throttled(now_ns, sent_ns=sent_ns, retry_after_ns=retry_after_ms * 1_000_000):
            self._adapt(now_ns)

    def succeeded(self, now_ns: int, *, sent_ns: int) -> None:
        """The carrier took a segment: let a cut rate grow."""
        if self._adaptive.taken(now_ns, sent_ns=sent_ns):
            self._adapt(now_ns)

    def ended(self, now_ns: int, *, sent_ns: int) -> None:
        """A segment ended in a way that says nothing about the rate."""
        if self._adaptive.ended(now_ns, sent_ns=sent_ns):
            self._adapt(now_ns)

    def renew(self) -> None:
        """A new session: what was open on the one before is over."""
        self._adaptive.renew()

    def ramp(self, now_ns: int) -> None:
        """Begin at a tenth of the rate that was in force and grow back to it within seconds: the peer was in trouble."""
        self._learn_top(now_ns)
        self._adaptive.ramp(now_ns, share=RAMP_SHARE)
        self._adapt(now_ns)

    def _learn_top(self, now_ns: int) -> None:
        if not self._is_top_known and self._adaptive.rate_per_s is None:
            self._adaptive.top_per_s = float(max(self._peak_per_s, self._observed(now_ns)))

    def _observed(self, now_ns: int) -> int:
        """Submits per second since the current burst began; too high rather than too low while it is young."""
        return self._burst_count * SECOND_NS // max(now_ns - self._burst_ns, SECOND_NS // 1000)

    def _adapt(self, now_ns: int) -> None:
        per_s = self._adaptive.rate_per_s
        if per_s is None:
            self._learned = None
            self._governor = Governor(self._limits) if self._limits else None
            return
        rate = Rate(Fraction(round(per_s * RATE_PARTS), RATE_PARTS))
        if self._learned is None:
            self._learned = Gcra(rate, slack_ns=BURST_SLACK_NS)
            self._governor = Governor((*self._limits, (THROTTLED, self._learned)))
        else:
            self._learned.set_rate(rate, now_ns=now_ns)
        # Nothing is owed for the time of a hold.
        self._learned.due_ns = max(self._learned.due_ns, self._adaptive.held_until_ns)


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
