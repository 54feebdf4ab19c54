"""Which segment goes next: the class by priority and weight, the account inside a lane by turns.

Both are plain data structures without clock or lock, owned by one lane worker and O(1) per message. `ClassPicker`
chooses among the four class lanes of a carrier; `AccountRoundRobin` is the ready queue of one lane.
"""

from collections import deque
from dataclasses import dataclass
from math import lcm
from typing import Final, Generic, TypeVar

T = TypeVar("T")

OTP: Final = 0
DEFAULT_QUANTUM: Final = 10
MIN_OTP_SHARE: Final = 0.5
MAX_WEIGHT: Final = 1000
_STRICT_FROM: Final = 0.9999


@dataclass(frozen=True, slots=True)
class LaneShares:
    """How one carrier's rate is shared among its class lanes, in segments.

    While otp and others wait, `otp_share` of the turns is otp's (0.5 to 1; 1 is strict priority, and the others get
    nothing then); the rest is divided by `weights`: transactional, collections, marketing. What a class does not use
    goes to those that wait. Raises ValueError for a share or weight (1 to 1000) out of range.
    """

    otp_share: float = 0.98
    weights: tuple[int, int, int] = (6, 3, 1)

    def __post_init__(self) -> None:
        if not MIN_OTP_SHARE <= self.otp_share <= 1:
            raise ValueError(f"otp_share {self.otp_share} is not within {MIN_OTP_SHARE} to 1")
        for weight in self.weights:
            if not 1 <= weight <= MAX_WEIGHT:
                raise ValueError(f"lane weight {weight} is not within 1 to {MAX_WEIGHT}")

    @property
    def otp_run(self) -> int | None:
        """Otp turns in a row after which one goes to the others; None when otp is strict."""
        if self.otp_share > _STRICT_FROM:
            return None
        return round(self.otp_share / (1 - self.otp_share))

    @property
    def strides(self) -> tuple[int, int, int, int]:
        """How far a turn advances the virtual time of each class, by class index; otp has none."""
        common = lcm(*self.weights)
        transactional, collections, marketing = self.weights
        return 0, common // transactional, common // collections, common // marketing


DEFAULT_SHARES: Final = LaneShares()


class ClassPicker:
    """OTP first; the other classes share what is left by weight, 6 : 3 : 1 unless `shares` says otherwise.

    Index 0 to 3 is otp, transactional, collections, marketing; a turn is a segment. The share is kept by stride
    scheduling: each class has a virtual time that advances by its stride per turn, and the earliest goes next. A
    class that was quiet starts at the present, so it neither saves turns up nor leaves a gap, and none starves
    whatever the others do.

    After `shares.otp_run` otp turns in a row with other work waiting, one turn goes to the others: an otp flood above
    the carrier's rate leaves them 2 % by default, and an otp message waits for one turn at most.
    """

    __slots__ = ("_otp_left", "_otp_run", "_strides", "_times", "_virtual_now")

    def __init__(self, shares: LaneShares = DEFAULT_SHARES) -> None:
        self._otp_run = shares.otp_run
        self._otp_left = self._otp_run
        self._strides = shares.strides
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
        times[best] = earliest + self._strides[best]
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

    def count_of(self, account: str) -> int:
        """Count the items of one account, without those put back."""
        turns = self._by_account.get(account)
        return 0 if turns is None else len(turns.items)

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
