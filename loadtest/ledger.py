"""The conservation ledger of a load run: every message accounted for, by its id, over four independent lists.

What the generator saw accepted, what the simulated carriers took, what the gateway says has ended, what its customers
were told. Nothing else is believed: no metric, no log. Pure; times are nanoseconds of one clock, lists may come in any
order. Some 600 octets of memory a message (python -m tests.perf.load_memory).
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

MAX_EXAMPLES: Final = 20
NEVER: Final = -1

CLASSES_THAT_MAY_DOUBLE: Final = frozenset(("otp", "transactional"))
"""A crash may repeat these; the others never."""


class Accepted(NamedTuple):
    """A message that was answered 202. `key` is how carriers' records tell it: a reference, or a token in its text.

    Messages of one request have the same times; their order in the list is the order of the request. `sent_ns` is when
    the request left: of two requests that were open at once nobody can say which was accepted first.
    """

    message_id: str
    at_ns: int
    recipient: str
    key: str
    message_class: str = "transactional"
    segment_count: int = 1
    sent_ns: int = NEVER


class Taken(NamedTuple):
    """A segment that a carrier took (refused ones are none); `segment` counts from 1. `receipt_ns`: its receipt left."""

    key: str
    at_ns: int
    segment: int = 1
    receipt_ns: int = NEVER


class Ended(NamedTuple):
    """A final state, as the API or the database tells it; `was_sent` where it says that a carrier had the message."""

    message_id: str
    at_ns: int
    was_sent: bool = True


class Told(NamedTuple):
    """A callback that told a customer of a final state."""

    message_id: str
    at_ns: int


class Times(NamedTuple):
    """When what happened to one message: accepted, first at a carrier, last receipt sent, customer told. NEVER: not."""

    message_class: str
    accepted_ns: int
    first_ns: int
    receipt_ns: int
    told_ns: int


@dataclass(slots=True)
class Finding:
    """How many, and the first of them by acceptance."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(name)


@dataclass(slots=True)
class Reconciliation:
    """The account of a run; every finding but `duplicated_by_fault` and `in_doubt` should be empty.

    `accepted` = `ended` + `stuck`. `stuck` are not final at the end; those of them that no carrier got, and that are
    not known to wait, are `lost`, or `in_doubt` where a fault cut off the answer to their submit.
    """

    accepted: int = 0
    taken_segments: int = 0
    ended: int = 0
    told: int = 0
    lost: Finding = field(default_factory=Finding)
    in_doubt: Finding = field(default_factory=Finding)
    stuck: Finding = field(default_factory=Finding)
    duplicated: Finding = field(default_factory=Finding)
    duplicated_by_fault: Finding = field(default_factory=Finding)
    incomplete: Finding = field(default_factory=Finding)
    invented: Finding = field(default_factory=Finding)
    wrong_order: Finding = field(default_factory=Finding)
    late: Finding = field(default_factory=Finding)
    callbacks_missing: Finding = field(default_factory=Finding)
    callbacks_repeated: Finding = field(default_factory=Finding)
    unclaimed: Finding = field(default_factory=Finding)
    accepted_twice: Finding = field(default_factory=Finding)

    def report(self) -> dict[str, Any]:
        """Return the account as JSON: plain counts, and each finding with its examples."""
        told: dict[str, Any] = {}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            told[name] = (
                {"count": value.count, "examples": value.examples} if isinstance(value, Finding) else value
            )
        return told


class _Books:
    """One row for each message, in columns."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.by_id: dict[str, int] = {}
        self.by_key: dict[str, int] = {}
        self.recipients: list[str] = []
        self.classes: list[str] = []
        self.accepted_ns = array("q")
        self.sent_ns = array("q")
        self.receipt_ns = array("q")
        self.told_ns = array("q")
        self.first_ns = array("q")
        self.ended_ns = array("q")
        self.segment_count = array("H")
        self.segments_seen = array("H")
        self.was_sent = bytearray()

    def add(self, one: Accepted) -> bool:
        """Open the row of a message; False when it has one."""
        if one.message_id in self.by_id or one.key in self.by_key:
            return False
        row = len(self.ids)
        self.ids.append(one.message_id)
        self.by_id[one.message_id] = self.by_key[one.key] = row
        self.recipients.append(one.recipient)
        self.classes.append(one.message_class)
        self.accepted_ns.append(one.at_ns)
        self.sent_ns.append(one.at_ns if one.sent_ns == NEVER else one.sent_ns)
        self.receipt_ns.append(NEVER)
        self.told_ns.append(NEVER)
        self.first_ns.append(NEVER)
        self.ended_ns.append(NEVER)
        self.segment_count.append(one.segment_count)
        self.segments_seen.append(0)
        self.was_sent.append(0)
        return True


def reconcile(
    accepted: Iterable[Accepted],
    taken: Iterable[Taken],
    ended: Iterable[Ended],
    told: Iterable[Told] = (),
    *,
    wants_callbacks: bool = False,
    late_after_ns: int | None = None,
    is_excused: Callable[[int], bool] = lambda _: False,
    may_double: frozenset[str] = CLASSES_THAT_MAY_DOUBLE,
    observe: Callable[[Times], None] | None = None,
    still_waiting: Container[str] = frozenset(),
    in_doubt: Container[str] = frozenset(),
) -> Reconciliation:
    """Return the account of a run; `observe` is called with the times of each message.

    `still_waiting` are ids that the gateway shows to wait for a carrier: stuck where they should not, but not lost.
    `in_doubt` are those whose submit it says a fault left without an answer: it may not repeat them, and waits.

    A repeat is excused where `is_excused(at_ns)` says that a fault was on when it came and its class may double. With
    `late_after_ns` a message is late when its first segment came to a carrier longer than that after its acceptance.
    Messages to one recipient and of one class should come in the order of their acceptance.
    """
    result = Reconciliation()
    books = _Books()
    for one in sorted(accepted, key=lambda message: message.at_ns):
        if books.add(one):
            result.accepted += 1
        else:
            result.accepted_twice.add(one.message_id)
    _book_taken(books, taken, result, is_excused, may_double)
    for end in ended:
        row = books.by_id.get(end.message_id)
        if row is None:
            result.unclaimed.add(end.message_id)
        elif books.ended_ns[row] == NEVER:
            books.ended_ns[row] = end.at_ns
            books.was_sent[row] = end.was_sent
            result.ended += 1
    _book_told(books, told, result)
    _judge(
        books,
        result,
        wants_callbacks=wants_callbacks,
        late_after_ns=late_after_ns,
        still_waiting=still_waiting,
        in_doubt=in_doubt,
    )
    if observe is not None:
        columns = (books.classes, books.accepted_ns, books.first_ns, books.receipt_ns, books.told_ns)
        for times in zip(*columns, strict=True):
            observe(Times(*times))
    return result


def _book_told(books: _Books, told: Iterable[Told], result: Reconciliation) -> None:
    for call in told:
        row = books.by_id.get(call.message_id)
        if row is None:
            result.unclaimed.add(call.message_id)
            continue
        result.told += 1
        if books.told_ns[row] == NEVER:
            books.told_ns[row] = call.at_ns
        else:
            result.callbacks_repeated.add(call.message_id)


def _book_taken(
    books: _Books,
    taken: Iterable[Taken],
    result: Reconciliation,
    is_excused: Callable[[int], bool],
    may_double: frozenset[str],
) -> None:
    """Book what carriers took, in the order of its time; say what came twice."""
    seen: set[tuple[int, int]] = set()
    doubled: set[int] = set()
    for segment in sorted(taken, key=lambda one: one.at_ns):
        result.taken_segments += 1
        row = books.by_key.get(segment.key)
        if row is None:
            result.unclaimed.add(segment.key)
            continue
        if books.first_ns[row] == NEVER:
            books.first_ns[row] = segment.at_ns
        books.receipt_ns[row] = max(books.receipt_ns[row], segment.receipt_ns)
        if (row, segment.segment) not in seen:
            seen.add((row, segment.segment))
            books.segments_seen[row] += 1
        elif row not in doubled:
            doubled.add(row)
            excused = books.classes[row] in may_double and is_excused(segment.at_ns)
            (result.duplicated_by_fault if excused else result.duplicated).add(books.ids[row])


def _judge(
    books: _Books,
    result: Reconciliation,
    *,
    wants_callbacks: bool,
    late_after_ns: int | None,
    still_waiting: Container[str],
    in_doubt: Container[str],
) -> None:
    """Go through the rows once, the order of each recipient backwards before."""
    overtaken = _overtaken(books)
    for row, message_id in enumerate(books.ids):
        first_ns = books.first_ns[row]
        has_ended = books.ended_ns[row] != NEVER
        if not has_ended:
            result.stuck.add(message_id)
            if first_ns == NEVER and message_id not in still_waiting:
                (result.in_doubt if message_id in in_doubt else result.lost).add(message_id)
        elif books.was_sent[row]:
            if first_ns == NEVER:
                result.invented.add(message_id)
            elif books.segments_seen[row] < books.segment_count[row]:
                result.incomplete.add(message_id)
        if has_ended and wants_callbacks and books.told_ns[row] == NEVER:
            result.callbacks_missing.add(message_id)
        waited_ns = first_ns - books.accepted_ns[row]
        if first_ns != NEVER and late_after_ns is not None and waited_ns > late_after_ns:
            result.late.add(message_id)
        if overtaken[row]:
            result.wrong_order.add(message_id)


def _overtaken(books: _Books) -> bytearray:
    """Mark the messages that came to a carrier after one to the same recipient and of their class accepted later."""
    marks = bytearray(len(books.ids))
    groups: dict[tuple[str, str], list[int]] = {}
    for row, first_ns in enumerate(books.first_ns):
        if first_ns != NEVER:
            groups.setdefault((books.recipients[row], books.classes[row]), []).append(row)
    for rows in groups.values():
        if len(rows) > 1:
            _mark_overtaken(books, rows, marks)
    return marks


def _mark_overtaken(books: _Books, rows: list[int], marks: bytearray) -> None:
    """Mark the rows of one recipient and class, which come in the order of their acceptance."""
    first_ns, accepted_ns, sent_ns = books.first_ns, books.accepted_ns, books.sent_ns
    by_sent = sorted(rows, key=sent_ns.__getitem__)
    sent = [sent_ns[row] for row in by_sent]
    earliest = [first_ns[row] for row in by_sent]  # at a carrier, of what was sent then or later
    for at in range(len(earliest) - 2, -1, -1):
        earliest[at] = min(earliest[at], earliest[at + 1])
    for place, row in enumerate(rows):
        later = bisect_right(sent, accepted_ns[row])
        if later < len(sent) and earliest[later] < first_ns[row]:
            marks[row] = 1
            continue
        for other in rows[place + 1 :]:  # of the same request
            if accepted_ns[other] != accepted_ns[row] or sent_ns[other] != sent_ns[row]:
                break
            if first_ns[other] < first_ns[row]:
                marks[row] = 1
