"""Which messages of the claiming lanes are taken in hand next, a little ahead of the pump (D4, P2)."""

from collections.abc import Sequence
from typing import Final

from gateway.dispatch.plan import DispatchSettings
from gateway.dispatch.position import LanePosition
from gateway.dispatch.work import Lane, Work

_LEAST: Final = 2
_FLUSHES_AHEAD: Final = 3


class Claims:
    """Claims travel with the flushes of the outbox; what is in doubt after a crash is what was claimed and unfinished.

    That is at most `window` plus `claim_ahead_ms` of the rate `per_s` (segments per second) in each lane; while
    flushes take long, so that claims come late, up to `max_claim_ahead_ms` of it.
    """

    def __init__(
        self, lanes: Sequence[Lane], *, per_s: float, window: int, settings: DispatchSettings
    ) -> None:
        self.positions: tuple[LanePosition, ...] = ()
        self._lanes = tuple(lane for lane in lanes if lane.claims)
        self._per_s = per_s
        self._window = window
        self._least_s = settings.claim_ahead_ms / 1000
        self._most_s = max(self._least_s, settings.max_claim_ahead_ms / 1000)
        self._closed: frozenset[int] = frozenset()
        self._chosen: list[tuple[Lane, list[Work]]] = []
        self._ahead = self._in_hand = self._urgent_below = 0
        self.adapt(0.0)

    @property
    def is_pending(self) -> bool:
        """True while a flush carries claims."""
        return bool(self._chosen)

    def adapt(self, flush_s: float) -> None:
        """Follow the time that a flush takes: the pump must not run dry before the next claims are durable."""
        ahead_s = min(self._most_s, max(self._least_s, _FLUSHES_AHEAD * flush_s))
        self._ahead = max(_LEAST, int(self._per_s * ahead_s))
        self._in_hand = self._window + self._ahead
        self._urgent_below = int(self._per_s * min(flush_s, ahead_s / 2))

    def wanted(self) -> bool | None:
        """Tell whether more should be claimed soon: False not at once, True at once, None not at all."""
        if self._chosen:
            return None
        wanted: bool | None = None
        for lane in self._lanes:
            if lane.index in self._closed:
                continue
            if lane.waiting_count and lane.ahead * 2 < self._ahead and self._room(lane) > 0:
                wanted = wanted or lane.ahead <= self._urgent_below
        return wanted

    def choose(self) -> list[tuple[int, list[int]]]:
        """Take the next messages by turns of their accounts; return (lane index, offsets) to claim."""
        for lane in self._lanes:
            room = self._room(lane)
            if lane.waiting_count and room > 0 and lane.index not in self._closed:
                self._chosen.append((lane, lane.pop_waiting(room)))
        return [(lane.index, [work.offset for work in works]) for lane, works in self._chosen]

    def close(self, indices: frozenset[int]) -> None:
        """Claim nothing more in these lanes until told otherwise."""
        self._closed = indices

    def resize(self, *, per_s: float, window: int) -> None:
        """Follow a rate or window that changed."""
        self._per_s, self._window = per_s, window
        self.adapt(0.0)

    def give_back(self, lanes: Sequence[Lane]) -> None:
        """Take back the claims of what cannot be begun for now: a crash meanwhile must not put it in doubt."""
        if self._chosen:
            return  # on their way; the next look finds them
        for lane in lanes:
            release(lane, lane.unclaim(), self.positions[lane.index])

    def settle(self) -> None:
        """Let the pump have what was chosen: its claims are durable, or it will not run any more."""
        chosen, self._chosen = self._chosen, []
        for lane, works in chosen:
            lane.push_claimed(works)

    def _room(self, lane: Lane) -> int:
        """Segments that may be claimed now; every claimed message has at least one."""
        return min(self._ahead - lane.ahead, self._in_hand - self.positions[lane.index].claimed_count)


def release(lane: Lane, works: Sequence[Work], position: LanePosition) -> None:
    """Take back the claims of messages that were certainly not submitted."""
    if lane.claims and works:
        position.release(work.offset for work in works)
