"""The four lists of a run, read from where they were kept, and the ledger over them (decision 0048).

Accepted: the generator's file. Taken: the records of the simulators, each segment tied to its message by the token in
its text. Ended: the gateway's database. Told: the sink's file. Called once a run, when nothing moves any more.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from loadtest.ledger import NEVER, Accepted, Ended, Reconciliation, Taken, Times, Told, reconcile
from loadtest.rates import SECOND_NS, WindowScan
from loadtest.results import Latency
from loadtest.running.carriers import Row
from loadtest.running.generator import HIGHEST_US, histogram
from loadtest.running.texts import TOKEN, Kind, recipient, token

SENT_STATE: Final = "delivered"
"""The final state that only receipts of all segments lead to, so a carrier had the whole message."""

_DIGITS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = tuple(high + low for high in _DIGITS for low in _DIGITS)


class Line(msgspec.Struct):
    """One request of the generator's file: its messages are numbered from `first`."""

    first: int
    sent: int
    at: int
    ids: list[str | None]
    kinds: list[int]
    to: list[int]
    repeat: bool = False


_read_line = msgspec.json.Decoder(Line).decode
_read_told = msgspec.json.Decoder(tuple[int, list[str | None]]).decode


def message_id(value: UUID) -> str:
    """Return an id as the API writes it."""
    number, pairs = value.int, _PAIRS
    return "msg_" + "".join([pairs[number >> shift & 1023] for shift in range(120, -1, -10)])


def first_id(unix_ms: int) -> UUID:
    """Return the least id of a millisecond: the first 48 bits of an id are its time."""
    return UUID(int=unix_ms << 80)


@dataclass(frozen=True)
class AcceptedFile:
    """A generator's file, with what its numbers mean."""

    path: Path
    nonce: str
    kinds: list[Kind]

    def lines(self) -> Iterator[Line]:
        """Yield its requests; a last line that was cut off is left out."""
        with self.path.open("rb") as file:
            for raw in file:
                if raw.endswith(b"\n"):
                    yield _read_line(raw)

    def messages(self, *, without: frozenset[str] | set[str] = frozenset()) -> Iterator[Accepted]:
        """Yield every message accepted, leaving out ids of `without`; a repeat only where it got other ids."""
        repeats = {line.first: line.ids for line in self.lines() if line.repeat}
        for line in self.lines():
            if line.repeat:
                continue
            yield from self._of(line, without)
            again = repeats.get(line.first)
            if again is not None and again != line.ids:
                yield from self._of(msgspec.structs.replace(line, ids=again), without)

    def _of(self, line: Line, without: frozenset[str] | set[str]) -> Iterator[Accepted]:
        rows = zip(line.ids, line.kinds, line.to, strict=True)
        for number, (one, kind_index, to) in enumerate(rows, start=line.first):
            if one is not None and one not in without:
                kind = self.kinds[kind_index]
                yield Accepted(
                    one,
                    line.at,
                    recipient(to),
                    token(self.nonce, number),
                    kind.message_class,
                    kind.segment_count,
                    line.sent,
                )


class CarrierBooks:
    """What one carrier took in a run. `to_ns` turns a row's time into ours; `is_ours`: nothing foreign may come.

    Receipts that left less than `early_ns` after their segment came are counted as early.
    """

    def __init__(
        self,
        *,
        nonce: str,
        start_ns: int,
        duration_s: float,
        to_ns: Callable[[Row], int],
        is_ours: bool,
        early_ns: int = 0,
    ) -> None:
        self._nonce = nonce
        self._start_ns = start_ns
        self._to_ns = to_ns
        self._is_ours = is_ours
        self._scan = WindowScan(SECOND_NS)
        self.per_second = [0] * (int(duration_s) + 1)
        self.taken: list[Taken] = []
        self.taken_count = 0
        self.foreign_count = 0
        self._early_ns = early_ns
        self._rows = 0
        self._early_rows = 0

    @property
    def early_share(self) -> float | None:
        """Return the part of all segments whose receipt was early; None where nothing can be."""
        return self._early_rows / self._rows if self._rows and self._early_ns else None

    @property
    def worst_second(self) -> int:
        """Return the most submits in any second, those included that were not taken."""
        return self._scan.worst_count

    def add(self, rows: Iterable[Row], *, by_ref: dict[str, tuple[str, int]]) -> None:
        """Book a page of its record. `by_ref`: token and segment count by message id, for whole messages."""
        arrivals: array[int] = array("q")
        for row in rows:
            at_ns = self._to_ns(row)
            arrivals.append(row.arrival_ns)
            if not (row.is_taken or row.status == "ESME_ROK"):
                continue
            found = TOKEN.search(row.text) if row.text else None
            key, whole = (found[1], 0) if found else by_ref.get(row.ref or "", ("", 0))
            if not key.startswith(self._nonce):
                self.foreign_count += 1
                if not self._is_ours:
                    continue
                key = key or f"without a token, number {row.number}"
            self._take(row, key, at_ns, whole or by_ref.get(row.ref or "", ("", 0))[1])
        self._scan.feed(arrivals)

    def _take(self, row: Row, key: str, at_ns: int, whole: int) -> None:
        receipt_ns = NEVER if row.receipt_ns is None else row.receipt_ns
        self._rows += 1
        self._early_rows += receipt_ns != NEVER and receipt_ns - row.arrival_ns < self._early_ns
        if whole:
            self.taken += [Taken(key, at_ns, segment, receipt_ns) for segment in range(1, whole + 1)]
        else:
            sequence = 1 if row.concatenation is None else row.concatenation.sequence
            self.taken.append(Taken(key, at_ns, sequence, receipt_ns))
        count = whole or 1
        self.taken_count += count
        second = (at_ns - self._start_ns) // SECOND_NS
        if 0 <= second < len(self.per_second):
            self.per_second[second] += count


@dataclass
class Closed:
    """The books of a run, closed. Latencies are histograms in microseconds, by class and of receipts."""

    ledger: Reconciliation
    submit: dict[str, Any] = field(default_factory=dict)
    receipt: Any = None
    final_states: Counter[str] = field(default_factory=Counter)


def read_told(path: Path, *, start: int = 0) -> Iterator[Told]:
    """Yield what customers were told, from octet `start` of the sink's file on."""
    with path.open("rb") as file:
        file.seek(start)
        for raw in file:
            if raw.endswith(b"\n"):
                at_ns, ids = _read_told(raw)
                for one in ids:
                    if one is not None:
                        yield Told(one, at_ns)


def close_books(
    accepted: Iterable[Accepted],
    carriers: Iterable[CarrierBooks],
    finals: Iterable[tuple[str, str, int]],
    told: Iterable[Told],
    *,
    wants_callbacks: bool,
    is_excused: Callable[[int], bool],
    still_waiting: Container[str] = frozenset(),
    in_doubt: Container[str] = frozenset(),
) -> Closed:
    """Return the account of a run; `finals` are (message id, state, epoch ms)."""
    closed = Closed(Reconciliation(), receipt=histogram())

    def ended() -> Iterator[Ended]:
        for one, state, at_ms in finals:
            closed.final_states[state] += 1
            yield Ended(one, at_ms * 1_000_000, was_sent=state == SENT_STATE)

    def observe(times: Times) -> None:
        if times.first_ns != NEVER:
            found = closed.submit.get(times.message_class)
            if found is None:
                found = closed.submit[times.message_class] = histogram()
            found.record_value(_us(times.first_ns - times.accepted_ns))
        if times.receipt_ns > 0 and times.told_ns != NEVER:
            closed.receipt.record_value(_us(times.told_ns - times.receipt_ns))

    closed.ledger = reconcile(
        accepted,
        (segment for one in carriers for segment in one.taken),
        ended(),
        told,
        wants_callbacks=wants_callbacks,
        is_excused=is_excused,
        observe=observe,
        still_waiting=still_waiting,
        in_doubt=in_doubt,
    )
    return closed


def _us(duration_ns: int) -> int:
    """Return microseconds that a histogram takes; a message may be at the carrier before its 202 is here."""
    return min(HIGHEST_US, max(1, duration_ns // 1000))


def merged(histograms: Iterable[Any]) -> Any:
    """Return one histogram of all."""
    total = histogram()
    for one in histograms:
        total.add(one)
    return total


def latency(found: Any) -> Latency:
    """Return a histogram of microseconds as the results have it."""
    count = found.get_total_count()
    if not count:
        return Latency(0)

    def at(share: float) -> float:
        return float(found.get_value_at_percentile(share)) / 1e6

    return Latency(
        count=count,
        p50_s=at(50),
        p90_s=at(90),
        p95_s=at(95),
        p99_s=at(99),
        p999_s=at(99.9),
        max_s=found.get_max_value() / 1e6,
        hdr=found.encode().decode(),
    )
