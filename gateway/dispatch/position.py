"""Where a lane stands: what is done, what is claimed, and what an earlier owner left behind (D4)."""

from collections.abc import Iterable

from gateway.bus.watermark import Watermark
from gateway.ports.bus import Position, Ranges


class LanePosition:
    """One lane's watermark and read position, for the one worker that owns the lane.

    Begins where the last commit of the group stands. Only lanes that claim ever `claim`; elsewhere what is not done
    at a crash is simply read again. `is_changed` says whether there is something to commit.
    """

    __slots__ = ("_watermark", "is_changed", "next_offset")

    def __init__(self, start: Position) -> None:
        self._watermark = Watermark(start)
        self.next_offset = self._watermark.offset
        self.is_changed = False

    @property
    def is_full(self) -> bool:
        """True when nothing more may be read before something at the watermark is done."""
        return self._watermark.is_full

    @property
    def claimed_count(self) -> int:
        """Records taken in hand whose outcome is not in a transaction yet."""
        return self._watermark.pending

    def was_completed(self, offset: int) -> bool:
        """True for what an earlier owner finished."""
        return self._watermark.is_done(offset)

    def was_claimed(self, offset: int) -> bool:
        """True for what an earlier owner claimed and did not finish: in doubt (P2)."""
        return self._watermark.is_in_doubt(offset)

    def read_to(self, offset: int) -> None:
        """Note that the record at `offset` was read; what the log no longer holds before it counts as done."""
        missing_from = self.next_offset
        self.next_offset = offset + 1
        if offset == missing_from:
            return
        self.is_changed = True
        if self._watermark.offset >= missing_from:
            self._watermark.skip_to(offset)
        else:
            for missing in range(missing_from, offset):
                self._watermark.done(missing)

    def done(self, offset: int) -> None:
        """Note that the record's outcome is in the transaction being made."""
        self._watermark.done(offset)
        self.is_changed = True

    def claim(self, offsets: Iterable[int]) -> None:
        """Note that the records are taken in hand: after a crash they are in doubt."""
        for offset in offsets:
            self._watermark.take(offset)
        self.is_changed = True

    def release(self, offsets: Iterable[int]) -> None:
        """Take back the claims of records that certainly were not submitted."""
        position = self._watermark.position()
        claimed = {offset for first, end in position.claimed for offset in range(first, end)}
        claimed.difference_update(offsets)
        self._watermark = Watermark(position._replace(claimed=_single(claimed)))
        self.is_changed = True

    def take_changes(self) -> Position:
        """Return the position to commit."""
        self.is_changed = False
        return self._watermark.position()


def _single(offsets: set[int]) -> Ranges:
    return tuple((offset, offset + 1) for offset in sorted(offsets))
