"""Unanswered requests of one session: hard bound, FIFO timeouts, late answers remembered.

The response timeout is one constant per session, so the order of opening is the order of expiry and the
oldest entry alone decides the next deadline: nothing is ever scanned (sms-domain H2, H3, H4, H8).
"""

from typing import Any, NamedTuple

MAX_SEQUENCE = 0x7FFFFFFF
# One a submit: the constructor of a NamedTuple is a Python function and costs twice as much.
_new = tuple.__new__


class OpenRequest(NamedTuple):
    """One slot: what was asked, for whom, when (`sent_ns` of the caller's monotonic clock)."""

    answer_id: int
    context: Any
    sent_ns: int


class WindowFullError(RuntimeError):
    """The caller asked for a slot without looking at `free_slots`: a bug, not a condition of the peer."""


class Window:
    """In-flight requests of one session by sequence_number; `slots` is a hard bound."""

    __slots__ = ("_late_slots", "_next", "late", "open_requests", "slots", "timeout_ns")

    def __init__(
        self, *, slots: int, timeout_ns: int, late_slots: int = 1000, first_sequence: int = 1
    ) -> None:
        if slots < 1 or timeout_ns < 1 or late_slots < 0:
            raise ValueError(f"window needs slots >= 1 and timeout_ns >= 1, got {slots} and {timeout_ns}")
        self.slots = slots
        self.timeout_ns = timeout_ns
        self.open_requests: dict[int, OpenRequest] = {}
        self.late: dict[int, OpenRequest] = {}
        self._late_slots = late_slots
        self._next = first_sequence

    @property
    def free_slots(self) -> int:
        """Slots that `open` will still grant."""
        return self.slots - len(self.open_requests)

    @property
    def next_sequence(self) -> int:
        """The first number that the next `take_sequence` tries."""
        return self._next

    def take_sequence(self) -> int:
        """Return the next sequence_number: 1 follows 0x7FFFFFFF, numbers still outstanding are skipped."""
        number = self._next
        while number in self.open_requests or number in self.late:
            number = number + 1 if number < MAX_SEQUENCE else 1
        self._next = number + 1 if number < MAX_SEQUENCE else 1
        return number

    def open(self, answer_id: int, *, context: Any, now_ns: int) -> int:
        """Occupy a slot and return its sequence_number; raises WindowFullError beyond the bound."""
        open_requests = self.open_requests
        if len(open_requests) >= self.slots:
            raise WindowFullError(f"all {self.slots} slots are in use")
        number = self._next
        if number in open_requests or number in self.late:
            number = self.take_sequence()
        else:
            self._next = number + 1 if number < MAX_SEQUENCE else 1
        open_requests[number] = _new(OpenRequest, (answer_id, context, now_ns))
        return number

    def settle(self, sequence_number: int, answer_id: int) -> OpenRequest | None:
        """Free the slot that this answer belongs to, or return None for an unknown or mismatched answer."""
        found = self.open_requests.get(sequence_number)
        if found is None or found.answer_id != answer_id:
            return None
        del self.open_requests[sequence_number]
        return found

    def settle_any(self, sequence_number: int) -> OpenRequest | None:
        """Free the slot of this number whatever was asked: generic_nack answers any request."""
        return self.open_requests.pop(sequence_number, None)

    def settle_late(self, sequence_number: int, answer_id: int) -> OpenRequest | None:
        """Take a timed-out request whose answer came after all; its slot was freed long ago (H8)."""
        found = self.late.get(sequence_number)
        if found is None or found.answer_id != answer_id:
            return None
        del self.late[sequence_number]
        return found

    def next_deadline_ns(self) -> int | None:
        """Return when the oldest open request expires, None while nothing is open."""
        for oldest in self.open_requests.values():
            return oldest.sent_ns + self.timeout_ns
        return None

    def expire(self, now_ns: int) -> list[tuple[int, OpenRequest]]:
        """Free and return every request whose deadline has come, oldest first; each is freed once."""
        horizon = now_ns - self.timeout_ns
        expired: list[tuple[int, OpenRequest]] = []
        for entry in self.open_requests.items():
            if entry[1].sent_ns > horizon:
                break
            expired.append(entry)
        for number, request in expired:
            del self.open_requests[number]
            self._remember_late(number, request)
        return expired

    def drain(self) -> list[tuple[int, OpenRequest]]:
        """Free and return everything: the connection has ended, no answer can come any more."""
        drained = list(self.open_requests.items())
        self.open_requests.clear()
        self.late.clear()
        return drained

    def _remember_late(self, number: int, request: OpenRequest) -> None:
        if self._late_slots == 0:
            return
        while len(self.late) >= self._late_slots:
            del self.late[next(iter(self.late))]
        self.late[number] = request
