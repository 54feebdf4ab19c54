"""Which segment goes next: the class by priority and weight, the account inside a lane by turns.

Both are plain data structures without clock or lock, owned by one lane worker and O(1) per message. `ClassPicker`
chooses among the four class lanes of a carrier; `AccountRoundRobin` is the ready queue of one lane.
"""

from collections import deque
from typing import Final, Generic, TypeVar

T = TypeVar("T")

OTP: Final = 0
WEIGHTS: Final = (6, 3, 1)  # transactional, collections, marketing
_STRIDES: Final = (0, 1, 2, 6)  # 6 / weight, by class index
DEFAULT_OTP_RUN: Final = 49
DEFAULT_QUANTUM: Final = 10


class ClassPicker:
    """OTP first; the other classes share what is left 6 : 3 : 1.

    Index 0 to 3 is otp, transactional, collections, marketing. The share is kept by stride scheduling: each class
    has a virtual time that advances by 6 / weight per turn, and the earliest goes next. A class that was quiet
    starts at the present, so it neither saves turns up nor leaves a gap, and none starves whatever the others do.

    After `otp_run` otp turns in a row with other work waiting, one turn goes to the others: an otp flood above the
    carrier's rate leaves them 2 % by default, and an otp message waits for one turn at most. `otp_run=None` is
    strict without exception.
    """

    __slots__ = ("_otp_left", "_otp_run", "_times", "_virtual_now")

    def __init__(self, *, otp_run: int | None = DEFAULT_OTP_RUN) -> None:
        if otp_run is not None and otp_run < 1:
            raise ValueError(f"otp_run {otp_run} is below the limit of 1")
        self._otp_run = otp_run
        self._otp_left = otp_run
        self._times = [0, 0, 0, 0]
        self._virtual_now = 0

    def pick(self, has_work: tuple[bool, bool, bool, bool]) -> int:
        """Return the index of the class whose turn it is, -1 when none has work. The turn counts as taken."""
        others_wait = has_work[1] or has_work[2] or has_work[3]
        if has_work[OTP]:
            if not others_wait or self._otp_left is None:
                return OTP
            if self._otp_left:
                self._otp_left -= 1
                return OTP
        if not others_wait:
            return -1
        self._otp_left = self._otp_run
        now = self._virtual_now
        times = self._times
        best = 0
        earliest = 0
        for index in (1, 2, 3):
            if has_work[index]:
                time = max(now, times[index])
                if not best or time < earliest:
                    best, earliest = index, time
        self._virtual_now = earliest
        times[best] = earliest + _STRIDES[best]
        return best


class _Turns(Generic[T]):
    """One account's queue, and what it may still spend before the next account's turn."""

    __slots__ = ("account", "deficit", "items")

    def __init__(self, account: str, deficit: int) -> None:
        self.account = account
        self.deficit = deficit
        self.items: deque[tuple[T, int]] = deque()


class AccountRoundRobin(Generic[T]):
    """Deficit round robin by account inside one lane: equal shares of cost, order kept within an account.

    `cost` is what the item spends of the lane, in segments. Each turn adds `quantum` to the account's deficit and
    lasts while the deficit is positive; an item dearer than the quantum is paid off over later turns. An account
    thus never waits longer than one quantum (plus one item) of each other account. An account whose queue runs
    empty is forgotten, with what it had left or owed. The caller bounds the length.
    """

    __slots__ = ("_by_account", "_length", "_quantum", "_returned", "_ring")

    def __init__(self, *, quantum: int = DEFAULT_QUANTUM) -> None:
        if quantum < 1:
            raise ValueError(f"quantum {quantum} is below the limit of 1 segment")
        self._quantum = quantum
        self._by_account: dict[str, _Turns[T]] = {}
        self._ring: deque[_Turns[T]] = deque()
        self._returned: deque[T] = deque()
        self._length = 0

    def __len__(self) -> int:
        """Count the items of all accounts."""
        return self._length

    @property
    def account_count(self) -> int:
        """Accounts with something waiting in their turn order."""
        return len(self._ring)

    def push(self, account: str, item: T, cost: int = 1) -> None:
        """Append `item` to its account's queue. Raises ValueError for a cost below 1."""
        if cost < 1:
            raise ValueError(f"cost {cost} is below the limit of 1 segment")
        turns = self._by_account.get(account)
        if turns is None:
            turns = self._by_account[account] = _Turns(account, self._quantum)
            self._ring.append(turns)
        turns.items.append((item, cost))
        self._length += 1

    def push_front(self, item: T) -> None:
        """Put an item that `pop` gave back at the very front: it is the next to leave and is not charged again.

        Several are put back last first, to keep their order.
        """
        self._returned.appendleft(item)
        self._length += 1

    def pop(self) -> T:
        """Remove and return the next item. Raises IndexError when there is none."""
        if not self._length:
            raise IndexError("pop from a lane without items")
        self._length -= 1
        if self._returned:
            return self._returned.popleft()
        ring = self._ring
        turns = ring[0]
        while turns.deficit <= 0:  # the turn is over; each round pays off one quantum, so this ends
            turns.deficit += self._quantum
            ring.rotate(-1)
            turns = ring[0]
        item, cost = turns.items.popleft()
        if turns.items:
            turns.deficit -= cost
        else:
            del self._by_account[turns.account]
            ring.popleft()
        return item
