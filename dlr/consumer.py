"""dlr: receipts of the bus find their segment and become events (D8). Runs in the role `back`.

It is the only writer of a submission's receipt columns. One batch is one transaction: look-up, judgement, update,
parking, events, position.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

import msgspec
from prometheus_client import CollectorRegistry

from dlr.aggregate import weigh
from dlr.correlate import Effect, after, judge, keys_of, match
from dlr.parking import PARKED_MS, Parking
from gateway.bus.codec import decode_as, encode
from gateway.bus.reader import BatchReader, Taken
from gateway.bus.reader_metrics import ReaderMetrics
from gateway.bus.topics import DLR_GROUP, EVENTS, RECEIPTS, RECORDER_GROUP
from gateway.domain.events import Receipted
from gateway.domain.lifecycle import FINALS, State
from gateway.domain.receipts import MessageState, Receipt
from gateway.ports.bus import Bus, Commit, Record, Transaction
from gateway.ports.clock import Clock
from gateway.ports.record_store import (
    CarrierKey,
    DeadRow,
    ParkedRow,
    ParkedStore,
    ReceiptStore,
    ReceiptUpdate,
    Submission,
)
from gateway.ports.store import Transactions
from gateway.telemetry.metrics import counter, histogram, observe_many

SETTLE_S: Final = 0.2
"""How old a receipt should be before it is looked up: the recorder is then done with its submission as a rule."""

_MAX_BEHIND: Final = 2_000
_LOOK_AGAIN_S: Final = 0.1
_MAX_LOOKS: Final = 20

_LEAVES_ATTEMPTS_ALONE: Final = (State.DELIVERED, State.SUBMITTED)
"""States of the only segment's first attempt that later attempts cannot change."""

_json = msgspec.json.Encoder().encode

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


class DlrMetrics:
    """One bundle per process. `carriers` are the configured ids, so that every series exists from the start."""

    def __init__(self, registry: CollectorRegistry, *, carriers: Sequence[str] = ()) -> None:
        self.received = counter(registry, "dlr_received_total")
        self.latency = histogram(registry, "dlr_latency_seconds")
        self._processing = histogram(registry, "dlr_processing_seconds")
        self.unmatched = counter(registry, "dlr_unmatched_total")
        self.duplicate = counter(registry, "dlr_duplicate_total")
        self.out_of_order = counter(registry, "dlr_out_of_order_total")
        self.touch(carriers)

    def touch(self, carriers: Sequence[str]) -> None:
        """Make the series of these carriers exist."""
        for carrier in carriers:
            for state in MessageState:
                self.received.labels(carrier, state.value)
            for one in (self.latency, self.unmatched, self.duplicate, self.out_of_order):
                one.labels(carrier)

    def judged(self, counted: Sequence[tuple[Receipt, Submission, Effect]], *, now_ms: int) -> None:
        """Count the receipts of a batch that found their segment and are stored now."""
        kinds = Counter((receipt.carrier, receipt.message_state, effect) for receipt, _, effect in counted)
        for (carrier, message_state, effect), count in kinds.items():
            self.received.labels(carrier, message_state.value).inc(count)
            if effect is Effect.DUPLICATE:
                self.duplicate.labels(carrier).inc(count)
            elif effect is not Effect.APPLIED:
                self.out_of_order.labels(carrier).inc(count)
        stored_s: list[float] = []
        waited_s: dict[str, list[float]] = {carrier: [] for carrier, _, _ in kinds}
        for receipt, submission, effect in counted:
            received_at = receipt.received_at
            stored_s.append(max(0, now_ms - received_at) / 1000)
            if effect is Effect.APPLIED and submission.receipt_state in FINALS:
                waited_s[receipt.carrier].append(max(0, received_at - submission.submitted_at) / 1000)
        observe_many(self._processing, stored_s)
        for carrier, waited in waited_s.items():
            observe_many(self.latency.labels(carrier), waited)


class _Kept(msgspec.Struct, omit_defaults=True):
    """What stays of a receipt on its submission: the columns beside it say the rest."""

    message_state: MessageState
    received_at: int
    bind: str
    raw_stat: str | None = None
    err: str | None = None
    network_error_type: int | None = None
    network_error_code: int | None = None
    submit_date: str | None = None
    done_date: str | None = None
    raw: str | None = None
    parked_at: int | None = None
    paired_at: int | None = None


@dataclass(slots=True)
class _Judged:
    """What a batch comes to."""

    events: list[Record] = field(default_factory=list)
    updates: dict[_Place, ReceiptUpdate] = field(default_factory=dict)
    parked: list[ParkedRow] = field(default_factory=list)
    parked_keys: list[CarrierKey] = field(default_factory=list)
    counted: list[tuple[Receipt, Submission, Effect]] = field(default_factory=list)
    unmatched: list[Receipt] = field(default_factory=list)


class DlrConsumer:
    """One per process. `run` until `stop`, which ends after the batch in hand."""

    def __init__(
        self,
        bus: Bus,
        *,
        db: Transactions,
        submissions: ReceiptStore,
        parked: ParkedStore,
        clock: Clock,
        metrics: DlrMetrics,
        reader_metrics: ReaderMetrics,
        partitions: Sequence[int] | None = None,
        batch_limit: int = 1000,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._bus = bus
        self._db = db
        self._submissions = submissions
        self._parked = parked
        self._clock = clock
        self._metrics = metrics
        self._dead = reader_metrics.dead
        self._settle_ms = settle_s * 1000
        self._batch_limit = batch_limit
        self._parking = Parking(bus, db=db, submissions=submissions, parked=parked, clock=clock)
        self.reader = BatchReader(
            bus,
            self,
            group=DLR_GROUP,
            topic=RECEIPTS,
            table="submissions",
            clock=clock,
            metrics=reader_metrics,
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
        receipts, dead = self._decode(batch)
        await self._let_settle(receipts)
        async with self._db.transaction() as tx:
            judged = await self._judge(tx, receipts)
            await self._submissions.apply(tx, list(judged.updates.values()))
            await self._parked.park(tx, judged.parked)
            if dead:
                await self._submissions.insert_dead(tx, dead)
            if judged.events:
                await self._bus.append(judged.events, commits=commits, tx=tx)
            else:
                await self._bus.commit(commits, tx=tx)
        self._metrics.judged(judged.counted, now_ms=self._clock.now_ms())
        for receipt in judged.unmatched:
            self._metrics.unmatched.labels(receipt.carrier).inc()
        if dead:
            self._dead.labels("envelope").inc(len(dead))
        await self._parking.look_again(judged.parked_keys)

    async def bury(self, record: Taken, error: str, commits: Sequence[Commit]) -> None:
        """Keep a record that can never be processed, and go past it."""
        row = DeadRow(RECEIPTS, record.partition, record.offset, record.value, error, self._clock.now_ms())
        async with self._db.transaction() as tx:
            await self._submissions.insert_dead(tx, [row])
            await self._bus.commit(commits, tx=tx)

    def _decode(self, batch: Sequence[Taken]) -> tuple[list[tuple[Receipt, bytes]], list[DeadRow]]:
        receipts: list[tuple[Receipt, bytes]] = []
        dead: list[DeadRow] = []
        for record in batch:
            try:
                receipt: Receipt = decode_as(Receipt, record.value)
                if _NUL in record.value:
                    receipt = _storable(receipt)
                receipts.append((receipt, record.value))
            except Exception as error:  # noqa: BLE001 - one bad record must not stop all the others
                text = f"{type(error).__name__}: {error}"[:500]
                now_ms = self._clock.now_ms()
                dead.append(DeadRow(RECEIPTS, record.partition, record.offset, record.value, text, now_ms))
        return receipts, dead

    async def _let_settle(self, receipts: Sequence[tuple[Receipt, bytes]]) -> None:
        # A fast carrier's receipt overtakes the recorder, which waits for company; parking such a receipt costs
        # three more writes. In a backlog the newest receipt is old and nothing waits.
        newest_at = max((receipt.received_at for receipt, _ in receipts), default=0)
        age_ms = self._clock.now_ms() - newest_at
        await self.reader.pause(min(self._settle_ms, self._settle_ms - age_ms) / 1000)
        if len(receipts) >= self._batch_limit // self._bus.partitions(RECEIPTS):
            await self._let_recorder_follow()

    async def _let_recorder_follow(self) -> None:
        """Wait, for two seconds at most, while the recorder has more than a batch or two of events before it.

        In a storm of receipts we would fill its topic, and the submissions of what is sent meanwhile would be recorded
        so late that their receipts are parked. Waiting costs nothing: it is the recorder that works in the meantime.
        """
        for _ in range(_MAX_LOOKS):
            if sum([one.records for one in await self._bus.lag(RECORDER_GROUP)]) <= _MAX_BEHIND:
                return
            await self.reader.pause(_LOOK_AGAIN_S)

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
            of_message = shared.get(submission.message_id) or known.setdefault(submission.message_id, {})
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
            if one.segment_count > 1 or one.attempt > 1 or receipt.state not in _LEAVES_ATTEMPTS_ALONE:
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
            judged.updates[place] = ReceiptUpdate(*place, state, self._kept(receipt))
            is_kept = state in FINALS
        message_state, partial = weigh(of_message.values(), submission.segment_count)
        if is_kept and message_state not in FINALS:
            # The timeline reads it from the submission, and the message waits for its other segments: it was
            # recorded as submitted together with this one, so there is nothing that the recorder would change.
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

    def _kept(self, receipt: Receipt) -> str:
        kept = _Kept(
            receipt.message_state,
            receipt.received_at,
            receipt.bind,
            receipt.raw_stat,
            receipt.err,
            receipt.network_error_type,
            receipt.network_error_code,
            receipt.submit_date,
            receipt.done_date,
            receipt.raw,
        )
        if receipt.parked_at is not None:
            kept.parked_at = receipt.parked_at
            kept.paired_at = self._clock.now_ms()
        return _json(kept).decode()


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
