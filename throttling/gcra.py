"""Generic cell rate algorithm: one limit, exact in integer nanoseconds, smooth between two permits.

A permit is due every `gap_ns`. While nobody is late, permits leave exactly one gap apart, whatever the loop around
does. Two things bend the schedule, and together they are the **burst**:

- *Lateness.* An event loop wakes some milliseconds late. A caller that was told to wait and came back late may take
  the permits it missed, but never more than `slack_ns` worth of them at once. What is further in the past is gone, or,
  with `repay_share`, made good bit by bit: each gap is then shorter by that part of it until nothing is owed.
- *Idleness.* After a pause, `burst` permits (default 1: none extra) may leave at once.

The bound that follows: in **any** window of length T at most `burst + T / gap` permits, with
`burst = 1 + slack_ns / gap`. The default slack of 25 ms keeps the whole rate with wake-ups up to 25 ms late and
costs 2.5 % of one second at most: 100/s gives at most 103 in its worst second, 1000/s at most 1026. Where a carrier
counts strictly, configure its contract less that burst. Every instant is a monotonic clock's, in nanoseconds.
"""

from dataclasses import dataclass
from typing import Final

from throttling.rates import SECOND_NS, Rate

DEFAULT_SLACK_NS: Final = 25_000_000


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a permit is or is not to be had now, for operators."""

    wait_ns: int
    rate: Rate
    burst: int

    def __str__(self) -> str:
        """Say it in one line."""
        state = "free now" if self.wait_ns == 0 else f"next permit in {self.wait_ns / 1e6:.3f} ms"
        return f"{state}; rate {self.rate}, burst {self.burst}"


class Gcra:
    """The rate state of one bind, carrier or account; used by one task, never shared.

    `slack_ns` is how late a waiting caller may come without losing rate; `burst` is how many permits may leave at
    once after idleness. The larger of both bounds the burst. `repay_share` n > 0 lets what a stall of the caller cost, up
    to a second of the rate, come back at 1/n of the rate on top of it; 0 lets it go. Raises ValueError for a negative
    slack or share, or burst < 1.
    """

    __slots__ = (
        "_burst_wanted",
        "_held",
        "_idle_ns",
        "_owed_ns",
        "_repay_share",
        "_slack_wanted_ns",
        "due_ns",
        "gap_ns",
        "rate",
        "slack_ns",
    )

    def __init__(
        self, rate: Rate, *, burst: int = 1, slack_ns: int = DEFAULT_SLACK_NS, repay_share: int = 0
    ) -> None:
        if burst < 1:
            raise ValueError(f"burst {burst} is below the limit of 1 permit")
        if slack_ns < 0:
            raise ValueError(f"slack_ns {slack_ns} is below the limit of 0")
        if repay_share < 0:
            raise ValueError(f"repay_share {repay_share} is below the limit of 0")
        self._burst_wanted = burst
        self._slack_wanted_ns = slack_ns
        self._repay_share = repay_share
        self._owed_ns = 0
        self._held = False  # a caller was told to wait since the last permit, so time passed is lateness
        self.due_ns = 0
        self._configure(rate)

    def _configure(self, rate: Rate) -> None:
        self.rate = rate
        self.gap_ns = rate.gap_ns
        self._idle_ns = (self._burst_wanted - 1) * self.gap_ns
        self.slack_ns = max(self._slack_wanted_ns, self._idle_ns)

    @property
    def burst(self) -> int:
        """Permits that may exceed `rate x T` in a window of length T, rounded up."""
        return 1 - (-self.slack_ns // self.gap_ns)

    def offer(self, now_ns: int) -> int:
        """Take a permit and return 0, or take nothing and return the nanoseconds to wait."""
        due_ns = self.due_ns
        late_ns = now_ns - due_ns
        if late_ns < 0:
            self._held = True
            return -late_ns
        if late_ns > self.slack_ns:
            if self._held and self._repay_share:
                self._owed_ns = min(SECOND_NS, self._owed_ns + late_ns - self.slack_ns)
            due_ns = now_ns - (self.slack_ns if self._held else self._idle_ns)
        self._held = False
        self.due_ns = due_ns + self.gap_ns
        if self._owed_ns:
            repaid_ns = min(self._owed_ns, self.gap_ns // self._repay_share)
            self._owed_ns -= repaid_ns
            self.due_ns -= repaid_ns
        return 0

    def note_waiting(self) -> None:
        """Record that work waits although this limit was not asked: what it comes late by is lateness, not idleness."""
        self._held = True

    def peek(self, now_ns: int) -> int:
        """Return what `offer` would, and change nothing."""
        wait_ns = self.due_ns - now_ns
        return max(0, wait_ns)

    def explain(self, now_ns: int) -> Explanation:
        """Return the wait that `offer` would answer, with the numbers it follows from."""
        return Explanation(wait_ns=self.peek(now_ns), rate=self.rate, burst=self.burst)

    def set_rate(self, rate: Rate, *, now_ns: int, slack_ns: int | None = None) -> None:
        """Change the rate from `now_ns` on, and the slack where given; what was waited for a permit stays earned.

        Neither raising nor cutting gives a permit of its own, so the rate may change often (AIMD).
        """
        old_gap_ns = self.gap_ns
        if slack_ns is not None:
            self._slack_wanted_ns = slack_ns
        self._configure(rate)
        ahead_ns = self.due_ns - now_ns
        if ahead_ns > 0:
            self.due_ns = now_ns - (-ahead_ns * self.gap_ns // old_gap_ns)

    def __repr__(self) -> str:
        """Show rate and burst."""
        return f"Gcra(rate {self.rate}, burst {self.burst}, gap {self.gap_ns / SECOND_NS:.6f} s)"
