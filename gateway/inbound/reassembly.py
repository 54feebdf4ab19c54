"""Which segments make which message (sms-domain B28). Pure: sets and segments in, closed sets out; time comes with them.

`Reassembly` is loaded with what waits for the keys of one batch, gets the segments in the order of the bus, and then
says what became complete, what was given up, and what has to be written. The rules:

1. A set is keyed by carrier, both addresses, kind of reference, reference and number of segments. At most one set of a
   key is open.
2. The same segment with the same content again is a repeat and changes nothing.
3. The same segment with another content means that the reference was used again: the old set is given up, a new one
   opened.
4. A set is given up `timeout_ms` after it was opened, with its missing segments named.
5. A carrier may repeat a segment after its message was complete. A set that so far repeats a message done within
   `repeat_ms` is an echo: it is never given out, and forgotten after `repeat_ms`. One other segment makes it a message.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from gateway.domain.ids import MAX_TIME_MS

DIGEST_OCTETS = 8
_BELOW_TIME = (1 << 80) - 1
_NEVER_CAME = bytes(DIGEST_OCTETS)


class SetKey(NamedTuple):
    """What the segments of one message have in common; addresses as the carrier wrote them."""

    carrier: str
    sender: str
    recipient: str
    kind: str
    reference: int
    segment_count: int


class Segment(NamedTuple):
    """One segment that waits; `value` is its record. `digest` is equal for equal content and nothing else."""

    segment_index: int
    digest: bytes
    received_at: int
    value: bytes


@dataclass(slots=True)
class OpenSet:
    """Segments of one message, by index. `stored` are those that the database has, None for a set it does not know."""

    id: UUID
    key: SetKey
    opened_at: int
    expires_at: int
    segments: dict[int, Segment] = field(default_factory=dict)
    stored: frozenset[int] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every segment is there."""
        return len(self.segments) == self.key.segment_count

    @property
    def missing(self) -> list[int]:
        """The indices that never came."""
        return [index for index in range(1, self.key.segment_count + 1) if index not in self.segments]

    @property
    def digests(self) -> bytes:
        """The digests in the order of the segments."""
        return b"".join(
            [
                self.segments[index].digest if index in self.segments else _NEVER_CAME
                for index in range(1, self.key.segment_count + 1)
            ]
        )


class DoneSet(NamedTuple):
    """A message that was given out; `digests` as in `OpenSet`."""

    key: SetKey
    done_at: int
    digests: bytes

    def has(self, segment: Segment) -> bool:
        """Whether the message had this very segment."""
        at = (segment.segment_index - 1) * DIGEST_OCTETS
        return self.digests[at : at + DIGEST_OCTETS] == segment.digest


class Why(StrEnum):
    """Why a set was closed."""

    COMPLETE = "complete"
    TIMEOUT = "timeout"
    SUPERSEDED = "superseded"
    CROWDED = "crowded"
    ECHO = "echo"


class Closed(NamedTuple):
    """A set that takes no more segments; `id` is the message's, `at` the time that belongs to it."""

    id: UUID
    of: OpenSet
    why: Why
    at: int


class Reassembly:
    """What one batch does to the sets of its keys. Times are milliseconds of the carrier side's clock."""

    def __init__(self, *, timeout_ms: int, repeat_ms: int) -> None:
        self._timeout_ms = timeout_ms
        self._repeat_ms = repeat_ms
        self._open: dict[SetKey, OpenSet] = {}
        self._done: dict[SetKey, list[DoneSet]] = {}
        self._changed: dict[UUID, OpenSet] = {}
        self.closed: list[Closed] = []
        self.repeated = 0

    def load(self, open_sets: Iterable[OpenSet], done_sets: Iterable[DoneSet]) -> None:
        """Take what is known of the keys of the batch."""
        for one in open_sets:
            self._open[one.key] = one
        for done in done_sets:
            self._done.setdefault(done.key, []).append(done)

    @property
    def changed(self) -> list[OpenSet]:
        """Open sets that got segments."""
        return list(self._changed.values())

    def put(self, key: SetKey, segment: Segment, *, record_id: UUID) -> None:
        """Take one segment; `record_id` is that of its record, and of the message if this completes it."""
        now_ms = segment.received_at
        one = self._open.get(key)
        if one is not None:
            held = one.segments.get(segment.segment_index)
            if one.expires_at <= now_ms:
                self._close(one, Why.TIMEOUT, at=now_ms)
                one = None
            elif held is not None and held.digest == segment.digest:
                self.repeated += 1
                return
            elif held is not None:
                self._close(one, Why.SUPERSEDED, at=now_ms)
                one = None
        if one is None:
            one = self._open[key] = OpenSet(record_id, key, now_ms, now_ms + self._timeout_ms)
        one.segments[segment.segment_index] = segment
        one.expires_at = one.opened_at + (self._repeat_ms if self._is_echo(one) else self._timeout_ms)
        self._changed[one.id] = one
        if one.is_complete:
            self._close(one, Why.COMPLETE, at=now_ms, message_id=record_id)

    def give_up(self, sets: Sequence[OpenSet], why: Why, *, now_ms: int) -> None:
        """Close these sets as they are."""
        for one in sets:
            self._close(one, why, at=now_ms)

    def _close(self, one: OpenSet, why: Why, *, at: int, message_id: UUID | None = None) -> None:
        self._open.pop(one.key, None)
        self._changed.pop(one.id, None)
        if self._is_echo(one):
            self.repeated += len(one.segments)
            self.closed.append(Closed(one.id, one, Why.ECHO, at))
            return
        # The id of the first record, which no other message can have, with the time of now: lists are in its order.
        self.closed.append(Closed(message_id or _at_time(one.id, at), one, why, at))
        self._done.setdefault(one.key, []).append(DoneSet(one.key, at, one.digests))

    def _is_echo(self, one: OpenSet) -> bool:
        return any(
            done.done_at + self._repeat_ms > one.opened_at
            and all(done.has(segment) for segment in one.segments.values())
            for done in self._done.get(one.key, ())
        )


def _at_time(value: UUID, at: int) -> UUID:
    return UUID(int=min(max(at, 0), MAX_TIME_MS) << 80 | value.int & _BELOW_TIME)
