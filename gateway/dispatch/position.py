"""Where a lane stands: what is done, what is claimed, and what an earlier owner left behind (D4)."""

from collections.abc import Iterable

from gateway.bus.watermark import Watermark
from gateway.ports.bus import Position, Ranges


class LanePosition:
    """One lane's watermark and read position, for the one worker that owns the lane.

    Begins where the last commit of the group stands. Only lanes that claim ever `claim`; elsewhere what is not done
    at a crash is simply read again. `is_changed` says whether there is something to commit. What the scout takes ahead of
    `next_offset` is remembered until it is done.
    """

    __slots__ = ("_ahead", "_ahead_runs", "_watermark", "is_changed", "next_offset")

    def __init__(self, start: Position) -> None:
        self._watermark = Watermark(start)
        self.next_offset = self._watermark.offset
        self.is_changed = False
        self._ahead: dict[int, list[int]] = {}  # offset -> what is left of the run it was taken in, shared
        self._ahead_runs = 0

    @property
    def is_full(self) -> bool:
        """True when nothing more may be read before something at the watermark is done."""
        return self._watermark.is_full

    @property
    def claimed_count(self) -> int:
        """Records taken in hand whose outcome is not in a transaction yet."""
        return self._watermark.pending

    @property
    def ahead_count(self) -> int:
        """Records that were taken ahead of the reader and are not done."""
        return len(self._ahead)

    @property
    def range_count(self) -> int:
        """Ranges that a commit has to carry: those done above the watermark, and those that what is ahead may become."""
        return self._watermark.range_count + self._ahead_runs

    @property
    def doubtful(self) -> tuple[int, ...]:
        """Offsets that an earlier owner claimed and did not finish, ascending."""
        return self._watermark.in_doubt

    def next_undone(self, offset: int) -> int:
        """Return the first offset from `offset` on whose record is not done."""
        return self._watermark.next_undone(offset)

    def needs_nothing(self, offset: int) -> bool:
        """True for a record that is done, or in hand because the reader has passed it or the scout took it."""
        return offset < self.next_offset or offset in self._ahead or self._watermark.is_done(offset)

    def take_ahead(self, offset: int) -> None:
        """Note that the record is in hand although the reader has not come to it."""
        run = self._ahead.get(offset - 1)
        if run is None:
            run = [0]
            self._ahead_runs += 1
        run[0] += 1
        self._ahead[offset] = run

    def was_taken_ahead(self, offset: int) -> bool:
        """True for what was taken ahead and is not done."""
        return offset in self._ahead

    def skip_done(self) -> None:
        """Go past the done records that the reader would read next."""
        self.next_offset = self._watermark.next_undone(self.next_offset)

    def is_new_from(self, offset: int) -> bool:
        """True when `was_completed`, `was_taken_ahead` and `was_claimed` hold of no record from `offset` on."""
        return not self._ahead and self._watermark.is_new_from(offset)

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
        run = self._ahead.pop(offset, None)
        if run is not None:
            run[0] -= 1
            self._ahead_runs -= not run[0]

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
