"""Group commit: what concurrent requests accept becomes durable in one shared transaction (P1).

`gateway.intake.entry` submits; one loop per process flushes. A flush begins when the oldest submission has lingered
or enough messages wait, and never while another runs, so under load the time of a flush is what gathers the next.
In one transaction: idempotency keys, client references, deferred rows, answers, lane and event records. Only after
its commit do the waiting requests get their answer; when it fails, every one of them gets `NotKept`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from uuid import UUID

import structlog

from gateway.bus.codec import encode
from gateway.bus.topics import EVENTS, lane
from gateway.domain.events import Accepted
from gateway.domain.lifecycle import State
from gateway.domain.message import Message
from gateway.ports.bus import Bus, Record, Transaction
from gateway.ports.clock import Clock
from gateway.ports.dispatch_store import DeferredRow, DeferredStore
from gateway.ports.intake_store import ClientRefClaim, Idempotency, KeptAnswer, KeyedRequest, StoreDataError
from gateway.ports.store import Transactions

_log = structlog.get_logger()

Owners = Mapping[UUID, UUID]
"""For each message that repeats a client_ref: the id of the message that has it."""


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """Bounds of the group commit. `max_wait_s` is the age at which a submission that no flush took is given up."""

    linger_ms: float = 3.0
    max_messages: int = 5_000
    max_pending_messages: int = 50_000
    flush_deadline_s: float = 5.0
    max_wait_s: float = 8.0


@dataclass(frozen=True, slots=True)
class Kept:
    """The answer is durable. `replayed`: it is the first one's, and nothing new was kept.

    `owners` are the messages of this submission that repeated a client_ref, so that were not kept.
    """

    status: int
    body: bytes
    replayed: bool = False
    owners: Owners = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeyConflict:
    """The key was used with another body."""


@dataclass(frozen=True, slots=True)
class KeyInUse:
    """The first request with this key has no answer yet."""


@dataclass(frozen=True, slots=True)
class NotKept:
    """Nothing was promised. `reason` is full, closed, timeout, unavailable (try again), or data (it would fail again)."""

    reason: str


JournalOutcome = Kept | KeyConflict | KeyInUse | NotKept


class Submission:
    """What one request wants kept, encoded beforehand so that the transaction is short.

    `body` is the answer if no client_ref repeats; otherwise `render` makes it from the owners found. `claims` says
    whether the messages' client_refs are claimed.
    """

    __slots__ = ("account_id", "body", "claims", "entries", "future", "keyed", "render", "since", "status")

    def __init__(
        self,
        messages: Sequence[Message],
        *,
        account_id: str,
        status: int,
        body: bytes,
        keyed: KeyedRequest | None = None,
        claim_client_refs: bool = False,
        render: Callable[[Owners], bytes] | None = None,
    ) -> None:
        self.account_id = account_id
        self.status = status
        self.body = body
        self.keyed = keyed
        self.render = render
        self.entries = [_entry(message) for message in messages]
        self.claims = [
            ClientRefClaim(account_id, message.client_ref, message.id)
            for message in (messages if claim_client_refs else ())
            if message.client_ref is not None
        ]
        self.future: asyncio.Future[JournalOutcome] | None = None
        self.since = 0.0

    def settle(self, outcome: JournalOutcome) -> None:
        """Answer the waiting request, if it still waits."""
        if self.future is not None and not self.future.done():
            self.future.set_result(outcome)


class _Entry:
    """One message as the transaction writes it: an event, and a lane record or a deferred row."""

    __slots__ = ("deferred", "event", "lane_record", "message_id")

    def __init__(
        self, message_id: UUID, event: Record, lane_record: Record | None, deferred: DeferredRow | None
    ) -> None:
        self.message_id = message_id
        self.event = event
        self.lane_record = lane_record
        self.deferred = deferred


def _entry(message: Message) -> _Entry:
    topic = lane(message.carrier, message.message_class)
    key = message.recipient.encode()
    value = encode(message)
    if message.send_at is None:
        event = Record(EVENTS, message.id.bytes, encode(Accepted(message)))
        return _Entry(message.id, event, Record(topic, key, value), None)
    event = Record(EVENTS, message.id.bytes, encode(Accepted(message, State.SCHEDULED)))
    return _Entry(message.id, event, None, DeferredRow(message.send_at, topic, key, value, message.id))


class Journal:
    """Owns the group commit of this process. `run` is its loop; `submit` may be called by any number of requests."""

    def __init__(
        self,
        *,
        transactions: Transactions,
        bus: Bus,
        idempotency: Idempotency,
        deferred: DeferredStore,
        clock: Clock,
        limits: JournalLimits | None = None,
        on_flushed: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._transactions = transactions
        self._bus = bus
        self._idempotency = idempotency
        self._deferred = deferred
        self._clock = clock
        self._limits = limits or JournalLimits()
        self._on_flushed = on_flushed
        self._waiting: deque[Submission] = deque()
        self._waiting_messages = 0
        self._refused = 0
        self._report_due = 0.0
        self._wake = asyncio.Event()
        self._closed = False

    @property
    def pending_messages(self) -> int:
        """Messages that wait for a flush or are in one."""
        return self._waiting_messages

    async def submit(self, submission: Submission) -> JournalOutcome:
        """Return once the submission's transaction is over; a cancelled caller disturbs nobody else's."""
        if self._closed:
            return NotKept("closed")
        count = len(submission.entries)
        if self._waiting_messages + count > max(self._limits.max_pending_messages, count):
            return NotKept("full")
        submission.future = asyncio.get_running_loop().create_future()
        submission.since = monotonic()
        self._waiting.append(submission)
        self._waiting_messages += count
        if len(self._waiting) == 1 or self._waiting_messages >= self._limits.max_messages:
            self._wake.set()
        return await submission.future

    def close(self) -> None:
        """Take no more; `run` flushes what waits and returns."""
        self._closed = True
        self._wake.set()

    async def run(self) -> None:
        """Flush until `close`; whatever ends it, no request is left waiting."""
        try:
            while self._waiting or not self._closed:
                if not self._waiting:
                    self._wake.clear()
                    await self._wake.wait()  # own event, set by submit and close
                    continue
                await self._linger()
                group = self._take()
                if group:
                    await self._flush(group)
        finally:
            self._closed = True
            for submission in self._waiting:
                submission.settle(NotKept("closed"))
            self._waiting.clear()
            self._waiting_messages = 0

    async def _linger(self) -> None:
        """Wait until the oldest submission is old enough or enough messages wait."""
        while not self._closed and self._waiting_messages < self._limits.max_messages:
            left_s = self._waiting[0].since + self._limits.linger_ms / 1000 - monotonic()
            if left_s <= 0:
                return
            self._wake.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), left_s)

    def _take(self) -> list[Submission]:
        """Take the submissions of the next flush, oldest first; equal keys never share one."""
        oldest = monotonic() - self._limits.max_wait_s
        group: list[Submission] = []
        kept_back: list[Submission] = []
        keys: set[tuple[str, str, str]] = set()
        messages = 0
        while self._waiting and (not group or messages < self._limits.max_messages):
            submission = self._waiting.popleft()
            count = len(submission.entries)
            if submission.future is None or submission.future.done():  # its request was cancelled
                self._waiting_messages -= count
                continue
            if submission.since < oldest:
                self._waiting_messages -= count
                submission.settle(NotKept("timeout"))
                continue
            if submission.keyed is not None:
                key = submission.keyed[:3]
                if key in keys:
                    kept_back.append(submission)
                    continue
                keys.add(key)
            group.append(submission)
            messages += count
        self._waiting.extendleft(reversed(kept_back))
        return group

    async def _flush(self, group: Sequence[Submission]) -> None:
        started = monotonic()
        try:
            reason = await self._commit(group)
            if reason == "data" and len(group) > 1:
                # One submission holds something the database refuses: only it shall pay for that.
                for submission in group:
                    submission.settle(NotKept(await self._commit([submission])))
            for submission in group:  # no effect on those that have their answer
                submission.settle(NotKept(reason))
        finally:
            self._waiting_messages -= sum(len(submission.entries) for submission in group)
            for submission in group:  # only when this task is being cancelled
                submission.settle(NotKept("unavailable"))
            self._on_flushed(monotonic() - started)

    async def _commit(self, group: Sequence[Submission]) -> str:
        """Keep the group in one transaction and settle it; return "" or why nothing was kept."""
        try:
            async with asyncio.timeout(self._limits.flush_deadline_s):
                if _is_plain(group):
                    outcomes = await self._append(group)
                else:
                    async with self._transactions.transaction() as tx:
                        outcomes = await self._write(tx, group)
        except Exception as error:  # noqa: BLE001 - whatever the store raises, nothing was promised
            self._report(error, len(group))
            if isinstance(error, StoreDataError):
                return "data"
            return "timeout" if isinstance(error, TimeoutError) else "unavailable"
        for submission, outcome in zip(group, outcomes, strict=True):
            submission.settle(outcome)
        return ""

    def _report(self, error: Exception, submissions: int) -> None:
        """Log a failed flush, at most one line a second: a full disk fails every one of them."""
        self._refused += submissions
        now = monotonic()
        if now < self._report_due:
            return
        # The text of a data error may quote what was refused, so only the others are shown.
        reason = "" if isinstance(error, StoreDataError) else str(error)[:200]
        _log.warning(
            "journal.flush_failed", error=type(error).__name__, reason=reason, submissions=self._refused
        )
        self._refused, self._report_due = 0, now + 1.0

    async def _append(self, group: Sequence[Submission]) -> list[JournalOutcome]:
        """Keep what needs nothing but the bus: one statement, one round trip, its own transaction."""
        records: list[Record] = []
        for submission in group:
            _collect(submission.entries, {}, records, [])
        await self._bus.append(records)
        return [Kept(submission.status, submission.body) for submission in group]

    async def _write(self, tx: Transaction, group: Sequence[Submission]) -> list[JournalOutcome]:
        now_ms = self._clock.now_ms()
        outcomes: dict[int, JournalOutcome] = await self._reserve(tx, group, now_ms)
        fresh = [submission for index, submission in enumerate(group) if index not in outcomes]
        owners = await self._claim(tx, fresh, now_ms)
        changed: list[KeyedRequest] = []
        records: list[Record] = []
        rows: list[DeferredRow] = []
        for index, submission in enumerate(group):
            if index in outcomes:
                continue
            repeats = _repeats(submission, owners)
            body = submission.body
            if repeats and submission.render is not None:
                body = submission.render(repeats)
                if submission.keyed is not None:
                    changed.append(submission.keyed._replace(body=body))
            _collect(submission.entries, repeats, records, rows)
            outcomes[index] = Kept(submission.status, body, owners=repeats)
        if changed:
            await self._idempotency.store_answers(tx, changed)
        if rows:
            await self._deferred.add(tx, rows)
        if records:
            # Last, because it takes the partitions' offsets and others wait for those.
            await self._bus.append(records, tx=tx)
        return [outcomes[index] for index in range(len(group))]

    async def _reserve(
        self, tx: Transaction, group: Sequence[Submission], now_ms: int
    ) -> dict[int, JournalOutcome]:
        """Take the idempotency keys; return the outcome, by position, of those that were taken already."""
        keyed = [(index, item.keyed) for index, item in enumerate(group) if item.keyed is not None]
        if not keyed:
            return {}
        found = await self._idempotency.reserve_keys(tx, [request for _, request in keyed], now_ms=now_ms)
        return {
            index: repeat_outcome(request, answer)
            for (index, request), answer in zip(keyed, found, strict=True)
            if answer is not None
        }

    async def _claim(
        self, tx: Transaction, fresh: Sequence[Submission], now_ms: int
    ) -> Mapping[tuple[str, str], UUID]:
        claims = [claim for submission in fresh for claim in submission.claims]
        if not claims:
            return {}
        return await self._idempotency.claim_client_refs(tx, claims, now_ms=now_ms)


def _is_plain(group: Sequence[Submission]) -> bool:
    """True when no submission has a key, a reference or a message that waits for its time."""
    return not any(
        submission.keyed is not None
        or submission.claims
        or any(entry.deferred for entry in submission.entries)
        for submission in group
    )


def repeat_outcome(request: KeyedRequest, answer: KeptAnswer) -> JournalOutcome:
    """Return what a request with a used key gets (http-api 1.3)."""
    if answer.fingerprint != request.fingerprint:
        return KeyConflict()
    return Kept(answer.status, answer.body, replayed=True) if answer.status else KeyInUse()


def _repeats(submission: Submission, owners: Mapping[tuple[str, str], UUID]) -> dict[UUID, UUID]:
    if not owners or not submission.claims:
        return {}
    repeats = {}
    for account_id, client_ref, message_id in submission.claims:
        owner = owners.get((account_id, client_ref), message_id)
        if owner != message_id:
            repeats[message_id] = owner
    return repeats


def _collect(
    entries: Sequence[_Entry], repeats: Mapping[UUID, UUID], records: list[Record], rows: list[DeferredRow]
) -> None:
    for entry in entries:
        if repeats and entry.message_id in repeats:
            continue
        records.append(entry.event)
        if entry.lane_record is not None:
            records.append(entry.lane_record)
        elif entry.deferred is not None:
            rows.append(entry.deferred)
