"""What of one partition is done: acks out of order, commits in order (D4). Pure; the caller stores the positions.

A consumer walks through it like this: build it from the committed position, skip every record that `is_done`, settle
what `is_in_doubt` without doing it again, `take` what it starts, `done` what has a durable outcome, and commit
`position()` now and then.

A record needs no `take` to be `done`; `take` marks it as in hand, so that the next owner knows what is in doubt.
"""

from bisect import bisect_right

from gateway.ports.bus import Position, Ranges


class Watermark:
    """Progress of one group in one partition. In-order work costs O(1); the rest O(log ranges)."""

    __slots__ = (
        "_doubtful",
        "_ends",
        "_max_pending",
        "_max_ranges",
        "_met_to",
        "_offset",
        "_starts",
        "_taken",
    )

    def __init__(self, position: Position, *, max_pending: int = 100_000, max_ranges: int = 10_000) -> None:
        self._max_pending = max_pending
        self._max_ranges = max_ranges
        self._offset = position.offset
        # Done ranges above the watermark, half open, ascending and apart: two lists, because bisect wants one key.
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(position.completed):
            self._add_range(start, end)
        self._taken: set[int] = set()
        for start, end in position.claimed:
            self._taken.update(offset for offset in range(start, end) if not self.is_done(offset))
        self._doubtful = frozenset(self._taken)
        self._met_to = max(self._doubtful, default=-1) + 1

    @property
    def offset(self) -> int:
        """Everything below is done."""
        return self._offset

    @property
    def pending(self) -> int:
        """Number of offsets in hand: taken and not done."""
        return len(self._taken)

    @property
    def is_full(self) -> bool:
        """True when nothing more may be taken before something at the watermark is done."""
        return len(self._taken) >= self._max_pending or len(self._starts) >= self._max_ranges

    @property
    def range_count(self) -> int:
        """Number of done ranges above the watermark."""
        return len(self._starts)

    @property
    def in_doubt(self) -> tuple[int, ...]:
        """Offsets that an earlier owner had in hand and that are still not done, ascending."""
        return tuple(sorted(self._doubtful & self._taken))

    def is_done(self, offset: int) -> bool:
        """True when the record needs nothing more."""
        if offset < self._offset:
            return True
        index = bisect_right(self._starts, offset) - 1
        return index >= 0 and offset < self._ends[index]

    def is_new_from(self, offset: int) -> bool:
        """True when nothing at `offset` or behind it is done or was left in doubt: it need not be asked of each record."""
        return self._met_to <= offset >= self._offset and (not self._ends or offset >= self._ends[-1])

    def next_undone(self, offset: int) -> int:
        """Return the first offset from `offset` on that is not done."""
        if offset < self._offset:
            return self._offset
        index = bisect_right(self._starts, offset) - 1
        return max(offset, self._ends[index]) if index >= 0 else offset

    def is_in_doubt(self, offset: int) -> bool:
        """True when an earlier owner had the record in hand and left no outcome."""
        return offset in self._doubtful and offset in self._taken

    def take(self, offset: int) -> None:
        """Mark a record as in hand; ValueError when it is done, already in hand, or one too many."""
        if offset in self._taken or self.is_done(offset):
            raise ValueError(f"offset {offset} is taken or done (watermark {self._offset})")
        if len(self._taken) >= self._max_pending:
            raise ValueError(f"{len(self._taken)} offsets in hand, the limit is {self._max_pending}")
        self._taken.add(offset)

    def done(self, offset: int) -> bool:
        """Mark a record as done; False when it was already, which changes nothing."""
        self._taken.discard(offset)
        if offset == self._offset:
            self._offset = offset + 1
            if self._starts and self._starts[0] == offset + 1:
                self._absorb()
            return True
        ends = self._ends
        if ends and offset == ends[-1]:  # the usual case behind a slow head: the last range grows
            ends[-1] = offset + 1
            return True
        if self.is_done(offset):
            return False
        self._insert(offset)
        return True

    def skip_to(self, offset: int) -> None:
        """Count everything below `offset` as done: retention dropped it before we could read it."""
        if offset <= self._offset:
            return
        self._taken = {taken for taken in self._taken if taken >= offset}
        self._offset = offset
        keep = bisect_right(self._ends, offset)
        del self._starts[:keep]
        del self._ends[:keep]
        if self._starts and self._starts[0] <= offset:
            self._absorb()

    def position(self) -> Position:
        """Return what to commit: the watermark, the done ranges above it, and what is in hand."""
        return Position(self._offset, tuple(zip(self._starts, self._ends, strict=True)), _runs(self._taken))

    def _absorb(self) -> None:
        self._offset = self._ends.pop(0)
        del self._starts[0]

    def _insert(self, offset: int) -> None:
        starts, ends = self._starts, self._ends
        index = bisect_right(starts, offset)
        joins_left = index > 0 and ends[index - 1] == offset
        joins_right = index < len(starts) and starts[index] == offset + 1
        if joins_left and joins_right:
            ends[index - 1] = ends.pop(index)
            del starts[index]
        elif joins_left:
            ends[index - 1] = offset + 1
        elif joins_right:
            starts[index] = offset
        else:
            starts.insert(index, offset)
            ends.insert(index, offset + 1)

    def _add_range(self, start: int, end: int) -> None:
        """Append one restored range; they come in ascending order but may touch or overlap."""
        start = max(start, self._offset)
        if end <= start:
            return
        if start == self._offset:
            self._offset = end
        elif self._ends and start <= self._ends[-1]:
            self._ends[-1] = max(self._ends[-1], end)
        else:
            self._starts.append(start)
            self._ends.append(end)


def _runs(offsets: set[int]) -> Ranges:
    """Return the offsets as half-open ranges, ascending and apart."""
    runs: list[tuple[int, int]] = []
    start = end = -1
    for offset in sorted(offsets):
        if offset != end:
            if end >= 0:
                runs.append((start, end))
            start = offset
        end = offset + 1
    if end >= 0:
        runs.append((start, end))
    return tuple(runs)
