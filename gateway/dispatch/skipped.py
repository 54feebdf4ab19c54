"""What the scout passed in a lane's log and left for later: the offsets of each account, as runs, in turn order.

Owned by one `gateway.dispatch.scout.Scout`; plain data without clock or lock.
"""

from collections import deque
from typing import Final

_COMPACT_FROM: Final = 64


class _Runs:
    """One account's offsets: half-open runs, ascending and apart; those before `head` are used up."""

    __slots__ = ("account", "ends", "head", "starts")

    def __init__(self, account: str, offset: int) -> None:
        self.account = account
        self.starts = [offset]
        self.ends = [offset + 1]
        self.head = 0

    def drop_first(self) -> None:
        self.head += 1
        if self.head >= _COMPACT_FROM and self.head * 2 >= len(self.starts):
            del self.starts[: self.head]
            del self.ends[: self.head]
            self.head = 0


class Skipped:
    """The accounts take turns: `turn` names the next, `take` gives its first offsets.

    A run costs about 80 octets whatever its length, an account some 300 more; the caller stops adding at its own bound
    of `run_count`.
    """

    def __init__(self) -> None:
        self.run_count = 0
        self._by_account: dict[str, _Runs] = {}
        self._ring: deque[_Runs] = deque()

    @property
    def account_count(self) -> int:
        """Accounts of which something was left."""
        return len(self._by_account)

    def add_to(self, account: str, offset: int) -> bool:
        """Leave one record of an account of which something was left before; False when nothing was.

        Offsets of an account ascend.
        """
        runs = self._by_account.get(account)
        if runs is None:
            return False
        ends = runs.ends
        if ends[-1] == offset:
            ends[-1] = offset + 1
        else:
            runs.starts.append(offset)
            ends.append(offset + 1)
            self.run_count += 1
        return True

    def begin(self, account: str, offset: int) -> None:
        """Leave the first record of an account."""
        runs = self._by_account[account] = _Runs(account, offset)
        self._ring.append(runs)
        self.run_count += 1

    def turn(self, *, floor: int) -> str | None:
        """Return the account whose turn it is, which then goes to the end; None when nothing is left.

        Records below `floor` are no longer left: the lane's own reader has passed them.
        """
        ring = self._ring
        while ring:
            runs = ring[0]
            if self._trim(runs, floor):
                ring.rotate(-1)
                return runs.account
            ring.popleft()
            del self._by_account[runs.account]
        return None

    def take(self, account: str, *, most: int, most_runs: int) -> tuple[list[int], int]:
        """Remove the first offsets of an account; return them, ascending, and the number of runs that they lay in."""
        runs = self._by_account[account]
        taken: list[int] = []
        used = 0
        while len(taken) < most and used < most_runs and runs.head < len(runs.starts):
            used += 1
            start, end = runs.starts[runs.head], runs.ends[runs.head]
            stop = min(end, start + most - len(taken))
            taken.extend(range(start, stop))
            if stop < end:
                runs.starts[runs.head] = stop
            else:
                runs.drop_first()
                self.run_count -= 1
        if runs.head == len(runs.starts):
            del self._by_account[account]
            if self._ring[-1] is runs:  # as it is after its turn
                self._ring.pop()
            else:
                self._ring.remove(runs)
        return taken, used

    def clear(self) -> None:
        """Forget everything."""
        self.run_count = 0
        self._by_account.clear()
        self._ring.clear()

    def _trim(self, runs: _Runs, floor: int) -> bool:
        """Drop what lies below the floor; False when nothing is left."""
        starts, ends = runs.starts, runs.ends
        while runs.head < len(starts):
            if starts[runs.head] >= floor:
                return True
            if ends[runs.head] > floor:
                starts[runs.head] = floor
                return True
            runs.drop_first()
            self.run_count -= 1
        return False
