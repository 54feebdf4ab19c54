"""A message in hand: what a lane worker knows of it between reading its record and writing its outcome.

Owned by one lane worker, touched only from its event loop.
"""

from heapq import heapify, heappop, heappush

from gateway.domain.events import SegmentResult
from gateway.domain.message import Message
from gateway.domain.outcomes import Ambiguous, Refused
from gateway.domain.segmentation import SegmentPayload
from gateway.policy.fairness import AccountRoundRobin


class Work:
    """One message on its way through a lane.

    `todo` holds the indices (from 1) of segments not yet handed to the link, `outstanding` counts those without an
    outcome, `submitted` and `refused` keep what came back. `order` is when the message was first picked, so that
    what comes back to the lane head keeps its order. `reference` is the concatenation reference it goes under.
    """

    __slots__ = (
        "data_coding",
        "lane",
        "message",
        "noted_throttle_ms",
        "offset",
        "order",
        "outstanding",
        "reference",
        "refused",
        "rest_ms",
        "segments",
        "stopped",
        "submitted",
        "throttled_ns",
        "todo",
    )

    def __init__(self, message: Message, *, lane: int, offset: int) -> None:
        self.message = message
        self.lane = lane
        self.offset = offset
        self.order = 0
        self.segments: tuple[SegmentPayload, ...] = ()
        self.data_coding = 0
        self.todo: list[int] = []
        self.outstanding = 0
        self.submitted: list[SegmentResult] = []
        self.refused: list[tuple[int, Refused | Ambiguous]] = []
        self.stopped = False
        self.reference = message.reference
        self.noted_throttle_ms = 0
        self.throttled_ns = 0
        self.rest_ms = 0

    @property
    def is_over(self) -> bool:
        """True when nothing is outstanding and nothing more will be submitted."""
        return not self.outstanding and (self.stopped or not self.todo)

    @property
    def is_untouched(self) -> bool:
        """True when no segment of this message may be with the carrier: it can go anywhere."""
        return not (self.outstanding or self.submitted or self.refused or self.message.segments_done)

    def give_back(self, segment_index: int) -> None:
        """Put a segment that was not taken back among those to submit, in its place."""
        self.todo.append(segment_index)
        self.todo.sort()


class Lane:
    """One class's messages of a carrier: waiting by account, claimed, given back, resting, and the one being cut out.

    In a lane that `claims`, messages wait until a commit has claimed them (P2). `ready` counts the messages that the
    pump may take now, `held` all that are in this lane, `ahead` the segments of those claimed and not yet taken.
    """

    __slots__ = (
        "_claimed",
        "_current",
        "_resting",
        "_returned",
        "_waiting",
        "ahead",
        "claims",
        "held",
        "index",
        "ready",
    )

    def __init__(self, index: int, *, claims: bool) -> None:
        self.index = index
        self.claims = claims
        self.ready = 0
        self.held = 0
        self.ahead = 0
        self._current: Work | None = None
        self._returned: list[tuple[int, int, Work]] = []
        self._resting: set[Work] = set()
        self._claimed: list[Work] = []  # in reverse: the next is the last
        self._waiting: AccountRoundRobin[Work] = AccountRoundRobin()

    def push(self, work: Work) -> None:
        """Add a message that was read."""
        message = work.message
        self._waiting.push(message.account_id, work, message.segment_count or 1)
        self.held += 1
        if not self.claims:
            self.ready += 1

    def push_claimed(self, works: list[Work]) -> None:
        """Add messages whose claim is durable, behind those already there."""
        self._claimed[:0] = reversed(works)
        self.held += len(works)
        self.ready += len(works)
        self.ahead += sum([work.message.segment_count or 1 for work in works])

    def unclaim(self) -> list[Work]:
        """Put what was claimed and not begun back in front of what waits; return it."""
        works = self._claimed[::-1]
        for work in self._claimed:
            self._waiting.push_front(work)
        self._claimed.clear()
        self.ready -= len(works)
        self.ahead = 0
        return works

    def pop_waiting(self, segments: int) -> list[Work]:
        """Take waiting messages by turns of their accounts until they come to that many segments."""
        waiting = self._waiting
        works: list[Work] = []
        while segments > 0 and len(waiting):
            work = waiting.pop()
            works.append(work)
            segments -= work.message.segment_count or 1
        self.held -= len(works)
        if not self.claims:
            self.ready -= len(works)
        return works

    def empty(self) -> tuple[list[Work], list[Work], list[Work]]:
        """Take everything out: (begun, claimed, waiting), each in order; see `refill`."""
        returned = [work for _, _, work in sorted(self._returned)]
        if self._current is not None:
            returned.append(self._current)
            self._current = None
        returned += sorted(self._resting, key=_by_order)
        claimed = self._claimed[::-1]
        waiting = [self._waiting.pop() for _ in range(len(self._waiting))]
        self._returned.clear()
        self._resting.clear()
        self._claimed.clear()
        self.held = self.ready = self.ahead = 0
        return returned, claimed, waiting

    def refill(self, returned: list[Work], claimed: list[Work], waiting: list[Work]) -> None:
        """Put back what `empty` took out."""
        for work in returned:
            self.give_back(work)
        self.push_claimed(claimed)
        for work in waiting:
            self.push(work)

    @property
    def account_count(self) -> int:
        """Accounts with messages waiting for their turn."""
        return self._waiting.account_count

    def waiting_of(self, account: str) -> int:
        """Count the messages of one account that wait for their turn."""
        return self._waiting.count_of(account)

    @property
    def waiting_count(self) -> int:
        """Messages not yet in the pump's reach because nothing has claimed them."""
        return len(self._waiting) if self.claims else 0

    def take(self) -> Work:
        """Remove and return the next message; only while `ready` is above 0."""
        self.ready -= 1
        self.held -= 1
        if self._current is not None:
            work, self._current = self._current, None
            return work
        if self._returned:
            return heappop(self._returned)[2]
        if not self.claims:
            return self._waiting.pop()
        work = self._claimed.pop()
        self.ahead -= work.message.segment_count or 1
        return work

    def keep_current(self, work: Work) -> None:
        """Put a message with segments left back as the very next one."""
        self._current = work
        self.ready += 1
        self.held += 1

    def give_back(self, work: Work) -> None:
        """Put a message back to the lane head, behind older ones that came back; one that rests goes on resting."""
        if (
            work is self._current
            or work in self._resting
            or any(work is other for _, _, other in self._returned)
        ):
            return
        heappush(self._returned, (work.order, work.offset, work))
        self.ready += 1
        self.held += 1

    def rest(self, work: Work) -> None:
        """Keep a message out of the pump's reach until `wake`."""
        if work not in self._resting:
            self.remove(work)
            self._resting.add(work)
            self.held += 1

    def wake(self, work: Work) -> bool:
        """End a rest: back to the lane head. False when the message no longer rests here."""
        if work not in self._resting:
            return False
        self._resting.discard(work)
        self.held -= 1
        self.give_back(work)
        return True

    @property
    def resting_count(self) -> int:
        """Messages that rest."""
        return len(self._resting)

    def remove(self, work: Work) -> None:
        """Take a message out that will not be submitted further; nothing happens when it is not here."""
        if work in self._resting:
            self._resting.discard(work)
            self.held -= 1
            return
        if work is self._current:
            self._current = None
        else:
            kept = [entry for entry in self._returned if entry[2] is not work]
            if len(kept) == len(self._returned):
                return
            self._returned = kept
            heapify(kept)
        self.ready -= 1
        self.held -= 1


def _by_order(work: Work) -> tuple[int, int]:
    return work.order, work.offset
