"""dlr: receipts of the bus find their segment, deliver its message or become events (D8). Runs in the role `back`.

It is the only writer of a submission's receipt columns. One batch is one transaction: look-up, judgement, states of
messages that are delivered by it, update, parking, events, position.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

from dlr.aggregate import weigh
from dlr.correlate import Effect, after, judge, keys_of, match
from dlr.kept import kept_json, plain_candidates
from dlr.metrics import DlrMetrics
from dlr.parking import PARKED_MS, Parking
from dlr.steps import step_news, step_receipted
from gateway.bus.codec import decode_as, encode
from gateway.bus.reader import BatchReader, Taken
from gateway.bus.reader_metrics import ReaderMetrics
from gateway.bus.sharing import Share
from gateway.bus.topics import DLR_GROUP, EVENTS, RECEIPTS, RECORDER_GROUP
from gateway.domain.carried import replace
from gateway.domain.events import Receipted
from gateway.domain.lifecycle import FINALS, State
from gateway.domain.receipts import Receipt
from gateway.ports.bus import Bus, Commit, Record, Transaction
from gateway.ports.clock import Clock
from gateway.ports.record_store import (
    CarrierKey,
    Delivered,
    FinalCount,
    ParkedRow,
    ParkedStore,
    PlainReceipt,
    ReadMark,
    ReceiptStore,
    ReceiptUpdate,
    Settled,
    Submission,
)
from gateway.ports.store import Transactions

SETTLE_S: Final = 0.2
"""How old a receipt should be before it is looked up: the recorder is then done with its submission as a rule."""

_MAX_BEHIND: Final = 2_000
_LOOK_AGAIN_S: Final = 0.1
_MAX_LOOKS: Final = 20

_LEAVES_ATTEMPTS_ALONE: Final = (State.DELIVERED, State.SUBMITTED)
"""States of the only segment's first attempt that later attempts cannot change."""

_NUL: Final = b"\\u0000"
_TEXT_FIELDS: Final = (
    "carrier_message_id",
    "second_id",
    "raw_stat",
    "err",
    "submit_date",
    "done_date",
    "raw",
    "bind",
)

_Place = tuple[UUID, int, int]


@dataclass(slots=True)
class _Judged:
    """What a batch comes to."""

    events: list[Record] = field(default_factory=list)
    updates: dict[_Place, ReceiptUpdate] = field(default_factory=dict)
    parked: list[ParkedRow] = field(default_factory=list)
    parked_keys: list[CarrierKey] = field(default_factory=list)
    delivered: dict[UUID, Delivered] = field(default_factory=dict)
    read: list[ReadMark] = field(default_factory=list)
    counted: list[tuple[Receipt, Submission, Effect]] = field(default_factory=list)
    unmatched: list[Receipt] = field(default_factory=list)
    doubles: list[str] = field(default_factory=list)


class States(Protocol):
    """`gateway.recorder.states.States`, handed in by the wiring: the recorder and dlr do not import each other."""

    async def deliver(
        self, tx: Transaction, rows: Sequence[Delivered]
    ) -> tuple[list[FinalCount], list[Record]]:
        """Move messages to delivered; return what became final by this, and records that tell of it."""

    async def settle(
        self, tx: Transaction, receipts: Sequence[PlainReceipt], *, now_ms: int
    ) -> tuple[Settled, list[Record]]:
        """Store receipts that deliver their messages by themselves, and move those; return which, and the records."""

    def count(self, finals: Iterable[FinalCount]) -> None:
        """Count what became final, once it is committed."""


class DlrConsumer:
    """One per process. `run` until `stop`, which ends after the batch in hand."""

    def __init__(
        self,
        bus: Bus,
        *,
        db: Transactions,
        submissions: ReceiptStore,
        parked: ParkedStore,
        states: States,
        clock: Clock,
        metrics: DlrMetrics,
        reader_metrics: ReaderMetrics,
        share: Share | None = None,
        partitions: Sequence[int] | None = None,
        batch_limit: int = 1000,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._bus = bus
        self._submissions = submissions
        self._parked = parked
        self._states = states
        self._clock = clock
        self._metrics = metrics
        self._settle_ms = settle_s * 1000
        self._batch_limit = batch_limit
        self._parking = Parking(bus, db=db, submissions=submissions, parked=parked, clock=clock)
        self.reader = BatchReader(
            bus,
            self,
            group=DLR_GROUP,
            topic=RECEIPTS,
            table="submissions",
            db=db,
            dead=submissions,
            clock=clock,
            metrics=reader_metrics,
            share=share,
            partitions=partitions,
            limit=batch_limit,
        )

    async def run(self) -> None:
        """Match receipts until `stop`."""
        await self.reader.run()

    def stop(self) -> None:
        """End `run` after the batch in hand."""
        self.reader.stop()

    async def handle(self, batch: Sequence[Taken], commits: Sequence[Commit]) -> None:
        """Write one batch; RowRejectedError when the database refuses one of its values for good."""
        receipts, dead = self.reader.decoded(batch, _decode)
        await self._let_settle(receipts)
        async with self.reader.transaction(commits) as tx:
            plain, others, told = await self._settle(tx, receipts)
            judged = await self._judge(tx, others)
            finals, more = await self._states.deliver(tx, list(judged.delivered.values()))
            await self._submissions.apply(tx, list(judged.updates.values()))
            await self._submissions.mark_read(tx, judged.read)
            await self._parked.park(tx, judged.parked)
            if dead:
                await self._submissions.insert_dead(tx, dead)
            appended = judged.events + told + more
            if appended:
                await self._bus.append(appended, commits=commits, tx=tx)
            else:
                await self._bus.commit(commits, tx=tx)
        by_carrier = Counter([receipt.carrier for receipt, _ in plain])
        finals += [FinalCount(carrier, State.DELIVERED.value, n) for carrier, n in by_carrier.items()]
        self._states.count(finals)
        self._metrics.judged(plain, judged.counted, now_ms=self._clock.now_ms())
        for receipt in judged.unmatched:
            self._metrics.unmatched.labels(receipt.carrier).inc()
        for carrier in judged.doubles:
            self._metrics.doubles.labels(carrier).inc()
        self.reader.count_dead(dead)
        await self._parking.look_again(judged.parked_keys)

    async def _let_settle(self, receipts: Sequence[tuple[Receipt, bytes]]) -> None:
        # A fast carrier's receipt overtakes the recorder, which waits for company; parking such a receipt costs
        # three more writes. In a backlog the newest receipt is old and nothing waits.
        newest_at = max((receipt.received_at for receipt, _ in receipts), default=0)
        age_ms = self._clock.now_ms() - newest_at
        await self.reader.pause(min(self._settle_ms, self._settle_ms - age_ms) / 1000)
        if len(receipts) >= self._batch_limit // self.reader.width:
            await self._let_recorder_follow()

    async def _let_recorder_follow(self) -> None:
        """Wait, for two seconds at most, while the recorder has more than a batch or two of events before it.

        In a storm of receipts we would take its time, and the submissions of what is sent meanwhile would be recorded
        so late that their receipts are parked. Waiting costs nothing: it is the recorder that works in the meantime.
        """
        for _ in range(_MAX_LOOKS):
            if sum([one.records for one in await self._bus.lag(RECORDER_GROUP)]) <= _MAX_BEHIND:
                return
            await self.reader.pause(_LOOK_AGAIN_S)

    async def _settle(
        self, tx: Transaction, receipts: Sequence[tuple[Receipt, bytes]]
    ) -> tuple[list[tuple[Receipt, int]], Sequence[tuple[Receipt, bytes]], list[Record]]:
        """Write what needs no judgement; return it, each with when it was submitted, all others, and what is told of it.

        What is said of one segment keeps its order: of receipts with one id only the first can be settled here.
        """
        places, rows = plain_candidates([receipt for receipt, _ in receipts], now_ms=self._clock.now_ms())
        settled, told = await self._states.settle(tx, rows, now_ms=self._clock.now_ms())
        taken = [places[place] for place in settled.places]
        plain = [(receipts[place][0], at) for place, at in zip(taken, settled.submitted_ats, strict=True)]
        if len(taken) == len(receipts):
            return plain, [], told
        gone = set(taken)
        return plain, [pair for place, pair in enumerate(receipts) if place not in gone], told

    async def _judge(self, tx: Transaction, receipts: Sequence[tuple[Receipt, bytes]]) -> _Judged:
        judged = _Judged()
        keys_by_receipt = [keys_of(receipt) for receipt, _ in receipts]
        found = await self._find(tx, keys_by_receipt)
        pairs: list[tuple[Receipt, Submission]] = []
        for (receipt, value), keys in zip(receipts, keys_by_receipt, strict=True):
            submission = match(keys, found)
            if submission is None:
                judged.unmatched.append(receipt)
                judged.parked_keys.extend(keys)
                judged.parked.append(self._park(receipt, value))
            else:
                pairs.append((receipt, submission))
        shared = await self._shared(tx, pairs)
        known: dict[UUID, dict[_Place, Submission]] = {}
        for receipt, submission in pairs:
            message_id = submission.message_id
            of_message = shared.get(message_id) or known.setdefault(message_id, {})
            self._judge_one(judged, receipt, found=submission, of_message=of_message)
        return judged

    async def _find(
        self, tx: Transaction, keys_by_receipt: Sequence[Sequence[CarrierKey]]
    ) -> dict[CarrierKey, list[Submission]]:
        now_ms = self._clock.now_ms()
        first = dict.fromkeys([keys[0] for keys in keys_by_receipt if keys])
        found = await self._submissions.find(tx, list(first), now_ms=now_ms)
        second = dict.fromkeys(
            [keys[1] for keys in keys_by_receipt if len(keys) > 1 and keys[0] not in found]
        )
        if second:
            found.update(await self._submissions.find(tx, list(second), now_ms=now_ms))
        return found

    async def _shared(
        self, tx: Transaction, pairs: Sequence[tuple[Receipt, Submission]]
    ) -> dict[UUID, dict[_Place, Submission]]:
        """Return all submissions of those messages where others than the matched one have a say.

        They are locked first and read then: of two consumers that hold receipts of two segments of one message, the
        second one sees what the first has written, so one of them finds the message complete.
        """
        shared: dict[UUID, dict[_Place, Submission]] = {}
        for receipt, one in pairs:
            if (
                one.segment_count > 1
                or one.attempt > 1
                or one.steps_left
                or receipt.state not in _LEAVES_ATTEMPTS_ALONE
            ):
                shared[one.message_id] = {}
        ids = list(shared)
        await self._submissions.lock_messages(tx, ids)
        for one in await self._submissions.submissions_of(tx, ids):
            shared[one.message_id][one[:3]] = one
        return shared

    def _judge_one(
        self, judged: _Judged, receipt: Receipt, *, found: Submission, of_message: dict[_Place, Submission]
    ) -> None:
        place = found[:3]
        # Another receipt of this batch may have changed it since it was found.
        before = of_message.get(place, found)
        effect = judge(before, receipt)
        state = receipt.state
        submission = of_message[place] = after(before, receipt, effect)
        judged.counted.append((receipt, submission, effect))
        is_kept = False
        if effect is Effect.APPLIED:
            judged.updates[place] = ReceiptUpdate(
                *place, state, kept_json(receipt, now_ms=self._clock.now_ms())
            )
            is_kept = state in FINALS
        elif effect is Effect.READ:
            judged.read.append(ReadMark(*place, receipt.received_at))
        message_state, partial = weigh(of_message.values(), submission.segment_count)
        if is_kept and (submission.steps_left or len(of_message) > 1):
            error = "" if state is State.DELIVERED else _error(receipt)
            news = step_news(receipt, submission, of_message.values(), error)
            judged.events += news.records
            judged.doubles += [receipt.carrier] * news.is_double
        if is_kept and message_state not in FINALS:
            # The timeline reads it from the submission, and the message waits for its other segments: it was
            # recorded as submitted together with this one, so there is nothing that the recorder would change.
            return
        if is_kept and message_state is State.DELIVERED and not (partial or submission.steps_left):
            # The timeline reads it from the submission, and the message needs no event to be moved: that is done
            # with the submission, in one transaction.
            judged.delivered.setdefault(
                submission.message_id, Delivered(submission.message_id, receipt.received_at)
            )
            return
        event = Receipted(
            submission.message_id,
            receipt.received_at,
            submission.segment_index,
            submission.attempt,
            state,
            message_state,
            effect.value,
            "" if state is State.DELIVERED else _error(receipt),
            partial,
            None if is_kept else receipt,
        )
        if submission.steps_left:  # the recorder notes which of its channels the message was delivered on
            event = step_receipted(event, submission.steps_left)
        judged.events.append(Record(EVENTS, submission.message_id.bytes, encode(event)))

    def _park(self, receipt: Receipt, value: bytes) -> ParkedRow:
        now_ms = self._clock.now_ms()
        return ParkedRow(
            receipt.carrier,
            receipt.carrier_message_id,
            receipt.second_id or None,
            now_ms,
            now_ms + PARKED_MS,
            # The timeline tells that it waited, however often it is handed back.
            value if receipt.parked_at is not None else encode(replace(receipt, parked_at=now_ms)),
        )


def _decode(record: Taken) -> tuple[Receipt, bytes]:
    receipt: Receipt = decode_as(Receipt, record.value)
    return (_storable(receipt) if _NUL in record.value else receipt), record.value


def _error(receipt: Receipt) -> str:
    return f"{receipt.message_state.value} err:{receipt.err}" if receipt.err else receipt.message_state.value


def _storable(receipt: Receipt) -> Receipt:
    """Return the receipt without NUL in any text: a carrier may send it, PostgreSQL cannot hold it."""
    texts = {
        name: text.replace("\x00", "\ufffd")
        for name in _TEXT_FIELDS
        if (text := getattr(receipt, name)) and "\x00" in text
    }
    return replace(receipt, **texts) if texts else receipt
