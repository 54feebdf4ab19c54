"""One endpoint in one shard: what waits for it in memory, what is in flight, and in which order (no I/O, no clock).

Events of one subject leave in their order: while one of them is in flight, the next is held; once one of them went to
the backlog, all later ones go there too. Whoever spills therefore spills the whole queue.
"""

from collections import deque
from typing import Final

from dlr.webhooks.directory import Destination
from dlr.webhooks.payloads import Event
from dlr.webhooks.schedule import Circuit

MAX_POST_OCTETS: Final = 512_000


class Slip:
    """One event from the bus, until each endpoint that gets it has it or lets it wait in the backlog."""

    __slots__ = ("body", "event", "left", "offset", "subject", "taken_ns")

    def __init__(self, event: Event, *, offset: int, left: int, taken_ns: int) -> None:
        self.event = event
        self.offset = offset
        self.left = left
        self.taken_ns = taken_ns
        self.subject = event.subject_id.int
        self.body = event.body()


class Outlet:
    """See the module. Every method is synchronous, so nothing changes in between."""

    def __init__(self, destination: Destination, circuit: Circuit) -> None:
        self.destination = destination
        self.circuit = circuit
        self.queue: deque[Slip] = deque()
        self.first_posts = 0
        self.backlog_posts = 0
        self.backlog_waits = 0
        """Drains that wait for a slot."""
        self.may_have_backlog = True
        self.is_draining = False
        self.wants_pull_in = False
        self.waiting = 0
        """Events in the backlog, about."""
        self._flying: set[int] = set()
        self._held: dict[int, deque[Slip]] = {}
        self._in_memory: dict[int, int] = {}
        self._spilling: dict[int, int] = {}
        self._backlog_went_last = False

    def offer(self, slip: Slip) -> None:
        """Queue an event for its first attempt."""
        self.queue.append(slip)
        self._in_memory[slip.subject] = self._in_memory.get(slip.subject, 0) + 1

    @property
    def has_first_slot(self) -> bool:
        """True when a POST of first attempts may start; one slot is left to the backlog where it waits for one."""
        most = self.destination.max_in_flight
        if self.first_posts + self.backlog_posts >= most:
            return False
        if self.backlog_waits and not self.backlog_posts:
            return self.first_posts < most - 1 if most > 1 else self._backlog_went_last
        return True

    @property
    def has_backlog_slot(self) -> bool:
        """True when a POST of the backlog may start; one slot is left to first attempts."""
        most = self.destination.max_in_flight
        if self.first_posts + self.backlog_posts >= most:
            return False
        return self.backlog_posts < max(1, most - 1)

    def next_batch(self) -> list[Slip]:
        """Take the events of the next POST; empty when all that is queued waits for what is in flight."""
        batch: list[Slip] = []
        queue, flying, limit = self.queue, self._flying, self.destination.batch_max
        octets = 0
        while queue and len(batch) < limit:
            slip = queue[0]
            if slip.subject in flying:
                self._held.setdefault(slip.subject, deque()).append(queue.popleft())
                continue
            octets += len(slip.body)
            if batch and octets > MAX_POST_OCTETS:
                break
            batch.append(queue.popleft())
        flying.update([slip.subject for slip in batch])
        if batch:
            self.first_posts += 1
            self._backlog_went_last = False
        return batch

    def landed(self, batch: list[Slip], *, is_ok: bool) -> list[Slip]:
        """Note that a POST of first attempts is over; return what was held behind it and now has to be spilled."""
        self.first_posts -= 1
        to_spill: list[Slip] = []
        for slip in batch:
            self._flying.discard(slip.subject)
            held = self._held.pop(slip.subject, None)
            if held is None:
                continue
            if is_ok:
                self.queue.extendleft(reversed(held))
            else:
                to_spill += held
        self._forget(batch)
        self._forget(to_spill)
        return to_spill

    def backlog_started(self) -> None:
        """Note a POST of the backlog."""
        self.backlog_posts += 1
        self._backlog_went_last = True

    def backlog_landed(self) -> None:
        """Note that a POST of the backlog is over."""
        self.backlog_posts -= 1

    def take_queue(self) -> list[Slip]:
        """Empty the queue, to spill it; what is held behind something in flight stays."""
        taken = list(self.queue)
        self.queue.clear()
        self._forget(taken)
        return taken

    def spilled(self, subjects: list[int]) -> None:
        """Note subjects whose events are on their way to the backlog."""
        for subject in subjects:
            self._spilling[subject] = self._spilling.get(subject, 0) + 1
        self.may_have_backlog = True
        self.waiting += len(subjects)

    def stored(self, subjects: list[int]) -> None:
        """Note that they are there: the database knows of them now."""
        for subject in subjects:
            left = self._spilling[subject] - 1
            if left:
                self._spilling[subject] = left
            else:
                del self._spilling[subject]

    @property
    def is_spilling(self) -> bool:
        """True while something is on its way to the backlog."""
        return bool(self._spilling)

    def is_spilling_of(self, subject: int) -> bool:
        """True while an event of this subject is on its way to the backlog."""
        return subject in self._spilling

    def is_busy_with(self, subject: int) -> bool:
        """True when an event of this subject is in memory, so that later ones in the backlog have to wait."""
        return subject in self._in_memory or subject in self._spilling

    @property
    def is_idle(self) -> bool:
        """True when nothing is in memory."""
        return not (self._in_memory or self._spilling or self.backlog_posts or self.is_draining)

    def _forget(self, slips: list[Slip]) -> None:
        for slip in slips:
            left = self._in_memory[slip.subject] - 1
            if left:
                self._in_memory[slip.subject] = left
            else:
                del self._in_memory[slip.subject]
