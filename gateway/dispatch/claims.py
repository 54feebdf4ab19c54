"""Which messages of the claiming lanes are taken in hand next, a little ahead of the pump (D4, P2)."""

from collections.abc import Sequence
from typing import Final

from gateway.dispatch.position import LanePosition
from gateway.dispatch.work import Lane, Work

_LEAST: Final = 2
_MOST_S: Final = 1.0
_FLUSHES_AHEAD: Final = 3


class Claims:
    """Claims travel with the flushes of the outbox; what is in doubt after a crash is what was claimed ahead.

    `per_s` is the rate in segments per second, `ahead_s` the least time that claimed messages should last.
    """

    def __init__(self, lanes: Sequence[Lane], *, per_s: float, ahead_s: float) -> None:
        self._lanes = tuple(lane for lane in lanes if lane.claims)
        self._per_s = per_s
        self._ahead_s = ahead_s
        self._target = max(_LEAST, int(per_s * ahead_s))
        self._chosen: list[tuple[Lane, list[Work]]] = []

    @property
    def is_pending(self) -> bool:
        """True while a flush carries claims."""
        return bool(self._chosen)

    def adapt(self, flush_s: float) -> None:
        """Claim further ahead when flushes take long, so that the rate is kept."""
        ahead_s = min(_MOST_S, self._ahead_s + _FLUSHES_AHEAD * flush_s)
        self._target = max(_LEAST, int(self._per_s * ahead_s))

    def wanted(self) -> bool | None:
        """Tell whether more should be claimed soon: False not at once, True at once, None not at all."""
        if self._chosen:
            return None
        wanted: bool | None = None
        for lane in self._lanes:
            if lane.waiting_count and lane.ready * 2 < self._target:
                wanted = wanted or not lane.ready
        return wanted

    def choose(self) -> list[tuple[int, list[int]]]:
        """Take the next messages by turns of their accounts; return (lane index, offsets) to claim."""
        for lane in self._lanes:
            if lane.waiting_count and lane.ready < self._target:
                self._chosen.append((lane, lane.pop_waiting(self._target - lane.ready)))
        return [(lane.index, [work.offset for work in works]) for lane, works in self._chosen]

    def settle(self) -> None:
        """Let the pump have what was chosen: its claims are durable, or it will not run any more."""
        chosen, self._chosen = self._chosen, []
        for lane, works in chosen:
            lane.push_claimed(works)


def release(lane: Lane, works: Sequence[Work], position: LanePosition) -> None:
    """Take back the claims of messages that were certainly not submitted."""
    if lane.claims and works:
        position.release(work.offset for work in works)
