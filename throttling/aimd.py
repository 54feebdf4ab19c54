"""How fast a carrier takes submits that does not say so: learned from its answers alone.

Additive increase, multiplicative decrease, with a memory. A throttle answer cuts the rate to just below what was really
taken lately; from there it climbs along a cubic: fast while far below the rate that was refused last, slowly near
it, fast again once that one was left behind without a refusal. So a steady limit is met from below most of the time and
touched once in ten seconds or more, and a limit that is lifted is found out within a minute.

What is learned from each answer depends on when its submit left:

- One cut answers everything that was in flight; what becomes of those tells how far above the limit the rate was.
- Where less was taken than the rate says, nothing more leaves until the flight is back: a rate that is far too high
  costs what was in flight and no more.
- Where nothing of the flight was taken, one submit is tried after a hold, which doubles until one is taken.
- Where cutting changes nothing, because the same small share is refused at any rate, that share is not about the rate:
  the cuts are taken back, and it is lived with for a minute unless it grows.

Climbing takes time in use: a lane that does not want more than it gets does not drift up. Every instant is a
monotonic clock's, in nanoseconds.
"""

import math
from typing import Final

from throttling.rates import SECOND_NS
from throttling.scatter import Scatter

WAIT_FOR_ANSWER: Final = -1
"""Of `wait_ns`: no clock ends this wait, an answer does."""

FLOOR_SHARE: Final = 50
# Below the rate that was just refused; each cut early in a climb goes half as far again.
CUT_SHARE: Final = 0.05
CUT_GROWTH: Final = 1.5
MAX_CUT_SHARE: Final = 0.5
# A bucket that just ran dry gets this long to have something in it again.
PAUSE_NS: Final = SECOND_NS // 20
FIRST_HOLD_NS: Final = SECOND_NS // 4
MAX_HOLD_NS: Final = SECOND_NS
# A carrier that counts by the second may refuse everything for the rest of it; only after that it means less.
PATIENCE_NS: Final = SECOND_NS * 6 // 5
# A climb takes so long back to the rate that was refused; from WIDE_SHARE below it, less.
CLIMB_S: Final = 10.0
WIDE_CLIMB_S: Final = 5.0
WIDE_SHARE: Final = 0.3
# At low rates one refusal weighs more: so many submits lie between two of them.
SUBMITS_PER_CLIMB: Final = 300
MAX_CLIMB_S: Final = 30.0
# After so many climbs' time without a refusal the limit is another by now: the rate grows by half a second.
BEYOND: Final = 1.5
GROWTH_PER_S: Final = 1.5
STEP_NS: Final = SECOND_NS // 10
# Where at least this share of the rate was taken in the last second, the rate was nearly right.
TAKEN_SHARE: Final = 0.7
# A rate of which less is used may be too high already: it does not climb.
USED_SHARE: Final = 0.4
EARLY_SHARE: Final = 0.3
# Fewer answers than this say nothing about a share.
LEAST_COUNT: Final = 3
_SLOT_NS: Final = SECOND_NS // 20
_SLOTS: Final = 21


class Aimd:
    """The learned rate of one bind: at most `top_per_s`, at least a fiftieth of it (and 1/s, where the top allows).

    The caller tells of every submit (`sent`) and of every end of one (`taken`, `throttled`, `ended`), and of every
    time that the learned rate made it wait (`limited`). `rate_per_s` is None until the first cut and again once the
    top is reached.
    """

    __slots__ = (
        "_climb_s",
        "_climbed_s",
        "_counts",
        "_cut_ns",
        "_cuts_in_a_row",
        "_depth",
        "_flight_count",
        "_flight_left",
        "_flight_rate_per_s",
        "_flight_taken",
        "_goal_per_s",
        "_hold_ns",
        "_is_blocked",
        "_is_limited",
        "_is_trying",
        "_open_count",
        "_refused_count",
        "_scatter",
        "_slot",
        "_stepped_ns",
        "_storm_ns",
        "_taken_lately",
        "_taken_since_cut",
        "_try_ns",
        "_until_ns",
        "rate_per_s",
        "top_per_s",
    )

    def __init__(self, *, top_per_s: float) -> None:
        self.top_per_s = top_per_s
        self.rate_per_s: float | None = None
        self._counts = [0] * _SLOTS  # of submits taken, by 50 ms
        self._slot = 0
        self._open_count = 0
        self._is_limited = False
        self._cut_ns: int | None = None
        self._cuts_in_a_row = 0
        self._goal_per_s = top_per_s  # the rate that was refused last
        self._depth = 0.0  # how far below the goal the climb began, as a share of it
        self._climb_s = CLIMB_S
        self._climbed_s = 0.0
        self._stepped_ns = 0
        self._flight_rate_per_s = top_per_s
        self._flight_count = 0
        self._flight_left = 0
        self._flight_taken = 0
        self._taken_since_cut = 0
        self._refused_count = 0
        self._taken_lately = 0
        self._scatter = Scatter()
        self._is_blocked = False  # until the flight is back
        self._is_trying = False  # one submit at a time
        self._try_ns: int | None = None
        self._hold_ns = 0
        self._until_ns = 0
        self._storm_ns = 0

    @property
    def floor_per_s(self) -> float:
        """The least rate that is cut to."""
        return max(self.top_per_s / FLOOR_SHARE, min(self.top_per_s, 1.0))

    @property
    def held_until_ns(self) -> int:
        """When the last hold ends."""
        return self._until_ns

    def wait_ns(self, now_ns: int) -> int:
        """Return what stands between now and the next submit: 0, a time, or WAIT_FOR_ANSWER."""
        if now_ns < self._until_ns:
            return self._until_ns - now_ns
        if (self._is_blocked or self._try_ns is not None) and self._open_count > 0:
            return WAIT_FOR_ANSWER
        return 0

    def sent(self, now_ns: int) -> None:
        """Note a submit that leaves."""
        self._open_count += 1
        if self._is_trying and self._try_ns is None:
            self._try_ns = now_ns

    def limited(self) -> None:
        """Note that the learned rate made the lane wait: it is in use, so it may climb."""
        self._is_limited = True

    def taken(self, now_ns: int, *, sent_ns: int) -> bool:
        """Note a submit that was taken; True when that changed the rate."""
        slot = now_ns // _SLOT_NS
        if slot != self._slot:
            self._turn_to(slot)
        self._counts[slot % _SLOTS] += 1
        if self._cut_ns is None:
            self._open_count -= 1
            return False
        self._scatter.taken()
        return self._ended(now_ns, sent_ns=sent_ns, is_taken=True)

    def ended(self, now_ns: int, *, sent_ns: int) -> bool:
        """Note a submit that ended without a word about the rate; True when that changed the rate."""
        return self._ended(now_ns, sent_ns=sent_ns, is_taken=False)

    def throttled(self, now_ns: int, *, sent_ns: int, retry_after_ns: int = 0) -> bool:
        """Note a submit that was throttled; `retry_after_ns` is what the answer asks for. True when the rate changed."""
        if retry_after_ns:
            self._until_ns = max(self._until_ns, now_ns + retry_after_ns)
        self._scatter.refused()
        if not self._is_trying and self._scatter.absorbs(now_ns):
            return self._ended(now_ns, sent_ns=sent_ns, is_taken=False)
        if self._cut_ns is not None and sent_ns <= self._cut_ns:
            self._refused_count += 1
            return self._ended(now_ns, sent_ns=sent_ns, is_taken=False)
        self._open_count -= 1
        if self._is_trying:
            self._try_ns = None
            return self._hold_longer(now_ns)
        if self._cut_ns is not None and not self._taken_since_cut and self.rate_per_s is not None:
            self._refused_count += 1
            self._stop(now_ns)
            return False
        self._cut(now_ns)
        return True

    def renew(self) -> None:
        """Forget what was open: those who were to answer are gone."""
        self._open_count = 0
        self._is_blocked = False
        self._try_ns = None

    def ramp(self, now_ns: int, *, share: int) -> None:
        """Begin anew at one of `share` parts of the rate in force and climb back to it."""
        goal_per_s = self.top_per_s if self.rate_per_s is None else self.rate_per_s
        self._cuts_in_a_row = 0
        self._is_blocked = self._is_trying = False
        self._try_ns = None
        self._set_course(goal_per_s / share, goal_per_s=goal_per_s)
        self._begin_flight(now_ns)

    # -- cutting -----------------------------------------------------------------------------------------------

    def _cut(self, now_ns: int) -> None:
        rate_per_s = self.top_per_s if self.rate_per_s is None else self.rate_per_s
        is_in_a_row = self.rate_per_s is not None and self._climbed_s < EARLY_SHARE * self._climb_s
        self._cuts_in_a_row = self._cuts_in_a_row + 1 if is_in_a_row else 0
        if not is_in_a_row:
            is_proven = self._taken_count(now_ns) >= TAKEN_SHARE * rate_per_s
            self._scatter.begin_row(rate_per_s, now_ns=now_ns, is_proven=is_proven)
        elif self._scatter.is_found(rate_per_s, now_ns=now_ns):
            self._take_back(now_ns)
            return
        share = min(MAX_CUT_SHARE, CUT_SHARE * CUT_GROWTH ** min(self._cuts_in_a_row, 10))
        self._flight_rate_per_s = rate_per_s
        lately_per_s = self._taken_count(now_ns) + 1
        self._set_course(rate_per_s * (1 - share), goal_per_s=rate_per_s)
        self._begin_flight(now_ns)
        self._refused_count = 0
        self._taken_lately = lately_per_s
        if lately_per_s < TAKEN_SHARE * rate_per_s:
            self._is_blocked = True
            if not self._flight_left:
                self._judge(now_ns)
        else:
            self._until_ns = max(self._until_ns, now_ns + PAUSE_NS)

    def _take_back(self, now_ns: int) -> None:
        """Take a row of cuts back that changed nothing."""
        rate_per_s = self._scatter.row_rate_per_s
        self._set_course(rate_per_s * (1 - CUT_SHARE), goal_per_s=rate_per_s)
        self._begin_flight(now_ns)
        self._taken_since_cut = 1  # the next refusal is none of a storm

    def _begin_flight(self, now_ns: int) -> None:
        self._cut_ns = self._stepped_ns = now_ns
        self._flight_count = self._flight_left = self._open_count
        self._flight_taken = 0
        self._taken_since_cut = 0

    def _judge(self, now_ns: int) -> None:
        """Conclude from what became of the flight how far above the limit the rate was.

        Some taken: their share of the rate is the limit, if the carrier counts continuously; what was taken in the last
        second is, if it counts by the second. The climb goes from the lower to the higher of both.
        """
        self._is_blocked = False
        rate_per_s, count, taken = self._flight_rate_per_s, self._flight_count, self._flight_taken
        lately_per_s = float(self._taken_count(now_ns))
        if taken >= LEAST_COUNT:
            share_per_s = rate_per_s * taken / count
            low_per_s, goal_per_s = min(share_per_s, lately_per_s), max(share_per_s, lately_per_s)
            if taken >= TAKEN_SHARE * count:
                self._scatter.prove()
                low_per_s = share_per_s  # the lane had less to do, or was held up: little was taken for want of asking
        else:
            low_per_s = min(lately_per_s, rate_per_s / 2)
            goal_per_s = max(2 * lately_per_s, rate_per_s * (taken + 1) / (count + 1))
        self._set_course(low_per_s * (1 - CUT_SHARE), goal_per_s=min(goal_per_s, rate_per_s))
        self._refused_count = 0
        self._stop(now_ns)

    def _stop(self, now_ns: int) -> None:
        """Nothing is taken any more: let one submit at a time find out when that ends."""
        self._storm_ns = now_ns
        self._is_trying = True
        self._try_ns = None
        self._begin_flight(now_ns)
        self._hold(now_ns, FIRST_HOLD_NS)

    def _hold_longer(self, now_ns: int) -> bool:
        self._hold(now_ns, 2 * self._hold_ns)
        if now_ns < self._storm_ns + PATIENCE_NS or self.rate_per_s is None:
            return False
        # It takes nothing, at whatever rate: that says nothing about the rate it takes when it takes something.
        self._set_course(self.rate_per_s / 2, goal_per_s=self._flight_rate_per_s)
        return True

    def _hold(self, now_ns: int, hold_ns: int) -> None:
        self._hold_ns = min(MAX_HOLD_NS, hold_ns)
        self._until_ns = max(self._until_ns, now_ns + self._hold_ns)

    def _set_course(self, low_per_s: float, *, goal_per_s: float) -> None:
        low_per_s = max(low_per_s, self.floor_per_s)
        self._goal_per_s = max(goal_per_s, low_per_s / (1 - CUT_SHARE))
        self._depth = 1 - low_per_s / self._goal_per_s
        self._climb_s = (
            WIDE_CLIMB_S
            if self._depth > WIDE_SHARE
            else min(MAX_CLIMB_S, max(CLIMB_S, SUBMITS_PER_CLIMB / self._goal_per_s))
        )
        self._climbed_s = 0.0
        self.rate_per_s = low_per_s

    # -- climbing ----------------------------------------------------------------------------------------------

    def _ended(self, now_ns: int, *, sent_ns: int, is_taken: bool) -> bool:
        self._open_count -= 1
        if self._cut_ns is None:
            return False
        if sent_ns <= self._cut_ns:
            return self._flight_ended(now_ns, is_taken=is_taken)
        self._taken_since_cut += is_taken
        if self._is_trying:
            self._try_ns = None
            if not is_taken:
                return False
            self._is_trying = False
            self._stepped_ns = now_ns
        if not is_taken or self.rate_per_s is None or now_ns < self._stepped_ns + STEP_NS:
            return False
        return self._step(now_ns)

    def _flight_ended(self, now_ns: int, *, is_taken: bool) -> bool:
        self._flight_left -= 1
        self._flight_taken += is_taken
        if self._is_blocked and self._flight_left <= 0:
            self._judge(now_ns)
            return True
        if self._flight_left == 0 and self._refused_count > max(LEAST_COUNT, CUT_SHARE * self._taken_lately):
            # A carrier that counts by the second refuses what is too much at the end of it, all at once.
            assert self.rate_per_s is not None
            goal_per_s = self._goal_per_s * self._taken_lately / (self._taken_lately + self._refused_count)
            self._refused_count = 0
            if goal_per_s * (1 - CUT_SHARE) < self.rate_per_s:
                self._set_course(goal_per_s * (1 - CUT_SHARE), goal_per_s=goal_per_s)
            return True
        return False

    def _step(self, now_ns: int) -> bool:
        rate_per_s = self.rate_per_s
        assert rate_per_s is not None
        passed_s = (now_ns - self._stepped_ns) / SECOND_NS
        self._stepped_ns = now_ns
        is_in_use = self._is_limited and self._taken_count(now_ns) + 2 >= USED_SHARE * rate_per_s
        self._is_limited = False
        if not is_in_use:
            return False
        self._climbed_s += min(passed_s, max(1.0, 2 / rate_per_s))
        rate_per_s = self._course()
        self.rate_per_s = None if rate_per_s >= self.top_per_s else rate_per_s
        return True

    def _course(self) -> float:
        beyond_s = self._climbed_s - BEYOND * self._climb_s
        if beyond_s > 0:
            return (
                self._goal_per_s
                * (1 + self._depth * (BEYOND - 1) ** 3)
                * math.pow(GROWTH_PER_S, min(beyond_s, 60.0))
            )
        left = 1 - self._climbed_s / self._climb_s
        return float(self._goal_per_s * (1 - self._depth * left**3))

    # -- counting ----------------------------------------------------------------------------------------------

    def _turn_to(self, slot: int) -> None:
        counts = self._counts
        for old in range(max(self._slot + 1, slot - _SLOTS + 1), slot + 1):
            counts[old % _SLOTS] = 0
        self._slot = slot

    def _taken_count(self, now_ns: int) -> int:
        """Submits taken in the last second."""
        slot = now_ns // _SLOT_NS
        if slot != self._slot:
            self._turn_to(slot)
        return sum(self._counts)
