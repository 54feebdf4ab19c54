"""The recorder: events of the bus become rows of PostgreSQL, in batches (D7). Runs in the role `back`.

It is the only writer of messages, but for those that dlr moves to delivered through its `States`. One batch is one transaction together with the position on the bus, so
every event counts once, whatever is killed when; on a bus outside the database a replay finds its rows and writes
them carefully.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from prometheus_client import CollectorRegistry

from gateway.bus.codec import decode, encode
from gateway.bus.reader import LINGER_S, BatchReader, Taken
from gateway.bus.reader_metrics import PendingMetrics, ReaderMetrics
from gateway.bus.sharing import Share
from gateway.bus.topics import EVENTS, RECEIPTS, RECORDER_GROUP
from gateway.domain.events import Noted
from gateway.domain.lifecycle import FINALS, State
from gateway.ports.bus import Bus, Commit, Record, Transaction
from gateway.ports.clock import Clock
from gateway.ports.record_store import (
    CarrierKey,
    DeadRow,
    FinalCount,
    ParkedStore,
    RecordStore,
    RowsExistError,
    Submission,
    SubmissionRow,
    SubmissionStore,
)
from gateway.ports.store import Transactions
from gateway.ports.trace_store import TraceStore
from gateway.recorder.fold import Fold
from gateway.recorder.notices import Audience
from gateway.recorder.states import States
from gateway.telemetry.metrics import counter

PARTITION_PLACES: Final = 1 << 40
"""Offsets of a partition. A message whose topic grew has events in two, and none must be taken for the other's."""


class Weigh(Protocol):
    """`dlr.aggregate.weigh`, handed in by the wiring: the recorder and dlr do not import each other."""

    def __call__(self, submissions: Iterable[Submission], segment_count: int, /) -> tuple[State, bool]:
        """Return (state of the message, partial)."""


class RecorderMetrics:
    """One bundle per process. `carriers` are the configured ids, so that every series exists from the start."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        carriers: Sequence[str] = (),
        pending: PendingMetrics | None = None,
    ) -> None:
        self._final = counter(registry, "messages_final_total")
        self._pending = pending
        self.touch(carriers)

    def touch(self, carriers: Sequence[str]) -> None:
        """Make the series of these carriers exist."""
        for carrier in carriers:
            for state in FINALS:
                self._final.labels(carrier, state.value)

    def finals(self, counts: Iterable[FinalCount]) -> None:
        """Count messages that reached their final state."""
        for one in counts:
            self._final.labels(one.carrier, one.state).inc(one.messages)
            if one.state == State.UNKNOWN and self._pending is not None:
                self._pending.ended(one.carrier, one.messages)

    def submitted(self, rows: Iterable[SubmissionRow]) -> None:
        """Count segments that wait for their receipt from now on."""
        if self._pending is not None:
            self._pending.submitted(Counter([row.carrier for row in rows if row.state == State.SUBMITTED]))


class Recorder:
    """One per process. `run` until `stop`, which ends after the batch in hand."""

    def __init__(
        self,
        bus: Bus,
        *,
        db: Transactions,
        messages: RecordStore,
        submissions: SubmissionStore,
        parked: ParkedStore,
        weigh: Weigh,
        clock: Clock,
        metrics: RecorderMetrics,
        reader_metrics: ReaderMetrics,
        share: Share | None = None,
        partitions: Sequence[int] | None = None,
        batch_limit: int = 1000,
        linger_s: float = LINGER_S,
        audience: Audience | None = None,
        tells_origins: bool = False,
        traces: TraceStore | None = None,
    ) -> None:
        self._traces = traces
        self.states = States(messages, metrics=metrics, audience=audience, tells_origins=tells_origins)
        self._bus = bus
        self._db = db
        self._messages = messages
        self._submissions = submissions
        self._parked = parked
        self._weigh = weigh
        self._submitted = metrics.submitted
        self._clock = clock
        self.reader = BatchReader(
            bus,
            self,
            group=RECORDER_GROUP,
            topic=EVENTS,
            table="messages",
            db=db,
            dead=messages,
            clock=clock,
            metrics=reader_metrics,
            share=share,
            partitions=partitions,
            limit=batch_limit,
            linger_s=linger_s,
        )

    async def run(self) -> None:
        """Record events until `stop`."""
        await self.reader.run()

    def stop(self) -> None:
        """End `run` after the batch in hand."""
        self.reader.stop()

    async def handle(self, batch: Sequence[Taken], commits: Sequence[Commit]) -> None:
        """Write one batch; RowRejectedError when the database refuses one of its values for good."""
        fold, dead = self._fold(batch)
        try:
            finals = await self._write(fold, dead, commits, careful=False)
        except RowsExistError:
            # Replayed, or a late answer to a submit that has its row: step over what is there.
            finals = await self._write(fold, dead, commits, careful=True)
        self.states.count(finals)
        self._submitted(fold.submissions)
        self.reader.count_dead(dead)
        await self._hand_back(fold)

    def _fold(self, batch: Sequence[Taken]) -> tuple[Fold, list[DeadRow]]:
        fold = Fold()

        def add(record: Taken) -> None:
            partition, offset, value = record
            fold.add(decode(value), log_offset=partition * PARTITION_PLACES + offset)

        _, dead = self.reader.decoded(batch, add)
        return fold, dead

    async def _write(
        self, fold: Fold, dead: Sequence[DeadRow], commits: Sequence[Commit], *, careful: bool
    ) -> list[FinalCount]:
        messages, patches = fold.carefully() if careful else (fold.messages, fold.patches)
        async with self.reader.transaction(commits) as tx:
            # First of all, as dlr takes them before it changes a message: see `gateway.recorder.states`.
            await self._submissions.lock_messages(tx, list(fold.to_weigh))
            await self._messages.insert_messages(tx, messages, careful=careful)
            if fold.steps:
                await self._messages.set_channels(tx, fold.steps, new=fold.new_ids)
            finals, told = await self.states.patch(tx, patches, inserted=messages)
            await self._submissions.insert_submissions(tx, fold.submissions, careful=careful)
            await self._messages.insert_events(tx, fold.events, careful=careful)
            if fold.traces and self._traces is not None:
                await self._traces.insert_traces(tx, fold.traces)
            if dead:
                await self._messages.insert_dead(tx, dead)
            appended = await self._settle(tx, fold) + told
            if appended:
                await self._bus.append(appended, commits=commits, tx=tx)
            else:
                await self._bus.commit(commits, tx=tx)
        finals += [
            FinalCount(row.carrier or "", row.state, 1) for row in messages if row.final_at is not None
        ]
        return finals

    async def _settle(self, tx: Transaction, fold: Fold) -> list[Record]:
        """Weigh messages that a segment failed in at submit, when that may have been the last open one.

        No receipt will come for such a segment, so nobody else would look again. dlr weighs under the lock that this
        transaction took first: whichever of the two has it second sees what the first has committed, so they cannot both find the other's
        segment open. The result goes over the bus like every change of state, so that all its readers learn of it.
        """
        if not fold.to_weigh:
            return []
        by_message: dict[Any, list[Submission]] = {}
        for one in await self._submissions.submissions_of(tx, list(fold.to_weigh)):
            by_message.setdefault(one.message_id, []).append(one)
        notes = []
        for message_id, (segment_count, at, reason) in fold.to_weigh.items():
            state, partial = self._weigh(by_message.get(message_id, ()), segment_count)
            if state.is_final:
                detail: dict[str, str | int] | None = {"partial": 1} if partial else None
                note = Noted(message_id, at, "settled", state=state, reason=reason, detail=detail)
                notes.append(Record(EVENTS, message_id.bytes, encode(note)))
        return notes

    async def _hand_back(self, fold: Fold) -> None:
        """Give parked receipts of the submissions just recorded back to the topic they came from (D8).

        The race has no loser: dlr commits a parked receipt and then looks for its submission again; we commit the
        submission and then look for parked receipts. Whoever commits second sees the other's row. If that one dies
        in between, the sweeper of dlr finds the pair seconds later. Taking a row out and appending it is one
        transaction, so a receipt is handed back once.
        """
        submissions = fold.submissions
        # Asked after our commit, so the answer counts: what is parked later looks for its submission itself.
        if not submissions or await self._parked.is_empty():
            return
        keys = [
            CarrierKey(row.carrier, row.carrier_message_id)
            for row in submissions
            if row.carrier_message_id is not None
        ]
        async with self._db.transaction() as tx:
            taken = await self._parked.take(tx, keys)
            if taken:
                await self._bus.append([receipt_record(*one) for one in taken], tx=tx)


def receipt_record(carrier: str, carrier_message_id: str, value: bytes) -> Record:
    """Return the record of a receipt, keyed as dispatch does: one segment's receipts keep their order."""
    return Record(RECEIPTS, f"{carrier}:{carrier_message_id}".encode(), value)
