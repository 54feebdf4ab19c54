"""Group commit: what concurrent requests accept becomes durable in one shared transaction (P1).

`gateway.intake.entry` submits; one loop per process flushes. A flush begins when the oldest submission has lingered
or enough messages wait, and never while another runs, so under load the time of a flush is what gathers the next.
In one transaction: idempotency keys, client references, deferred rows, answers, lane and event records. Only after
its commit do the waiting requests get their answer; when it fails, every one of them gets `NotKept`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from uuid import UUID

import structlog

from gateway.intake.doubts import Doubts
from gateway.intake.journal_outcomes import (
    JournalLimits,
    JournalOutcome,
    Kept,
    KeyConflict,
    KeyInUse,
    NotKept,
)
from gateway.intake.submission import Owners, Submission, Waiter
from gateway.ports.bus import Bus, Record, Transaction
from gateway.ports.clock import Clock
from gateway.ports.dispatch_store import DeferredRow, DeferredStore
from gateway.ports.intake_store import Idempotency, KeptAnswer, KeyedRequest, StoreDataError
from gateway.ports.store import Transactions

__all__ = [
    "Journal",
    "JournalLimits",
    "JournalOutcome",
    "Kept",
    "KeyConflict",
    "KeyInUse",
    "NotKept",
    "Owners",
    "Submission",
    "repeat_outcome",
]

_log = structlog.get_logger()


class Journal:
    """Owns the group commit of this process. `run` is its loop; `submit` may be called by any number of requests.

    `appends_outlive_transactions`: what was appended stays when the transaction is rolled back (rule 4 of the bus).
    """

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
        appends_outlive_transactions: bool = False,
    ) -> None:
        self._transactions = transactions
        self._bus = bus
        self._idempotency = idempotency
        self._deferred = deferred
        self._clock = clock
        self._limits = limits or JournalLimits()
        self._on_flushed = on_flushed
        self._doubts = Doubts() if appends_outlive_transactions else None
        # Answers that are pending in the store although their records are appended.
        self._appended: list[KeyedRequest] = []
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
        future: asyncio.Future[JournalOutcome] = asyncio.get_running_loop().create_future()
        refused = self.enter(submission, future)
        return await future if refused is None else refused

    def enter(self, submission: Submission, waiter: Waiter[JournalOutcome]) -> NotKept | None:
        """Take a submission whose `waiter` gets the outcome when its transaction is over; or return why not."""
        if self._closed:
            return NotKept("closed")
        count = submission.count
        if self._waiting_messages + count > max(self._limits.max_pending_messages, count):
            return NotKept("full")
        if self._doubts is not None and (earlier := self._doubts.find(submission, now_s=monotonic())):
            submission.repeat(earlier)
        submission.waiter = waiter
        submission.since = monotonic()
        self._waiting.append(submission)
        self._waiting_messages += count
        if len(self._waiting) == 1 or self._waiting_messages >= self._limits.max_messages:
            self._wake.set()
        return None

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
                if self._appended and not self._waiting:
                    await self._confirm()
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
            timer = asyncio.get_running_loop().call_later(left_s, self._wake.set)
            try:
                await self._wake.wait()  # own event, set by the timer at the latest
            finally:
                timer.cancel()

    def _take(self) -> list[Submission]:
        """Take the submissions of the next flush, oldest first; equal keys never share one."""
        oldest = monotonic() - self._limits.max_wait_s
        group: list[Submission] = []
        kept_back: list[Submission] = []
        keys: set[tuple[str, str, str]] = set()
        messages = 0
        while self._waiting and (not group or messages < self._limits.max_messages):
            submission = self._waiting.popleft()
            count = submission.count
            if submission.waiter is None or submission.waiter.done():  # its request was cancelled
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
        done = False
        try:
            reason = await self._commit(group)
            if reason == "data" and len(group) > 1:
                # One submission holds something the database refuses: only it shall pay for that.
                for submission in group:
                    submission.settle(NotKept(await self._commit([submission])))
            if reason:
                for submission in group:  # no effect on those that have their answer
                    submission.settle(NotKept(reason))
            done = True
        finally:
            self._waiting_messages -= sum([submission.count for submission in group])
            if not done:  # only when this task is being cancelled
                for submission in group:
                    submission.settle(NotKept("unavailable"))
            self._on_flushed(monotonic() - started)

    async def _commit(self, group: Sequence[Submission]) -> str:
        """Keep the group in one transaction and settle it; return "" or why nothing was kept."""
        try:
            async with asyncio.timeout(self._limits.flush_deadline_s):
                if _is_plain(group):
                    outcomes = await self._append(group)
                elif self._doubts is not None and all(submission.is_simple for submission in group):
                    outcomes = await self._write_ahead(group)
                else:
                    async with self._transactions.transaction() as tx:
                        outcomes = await self._write(tx, group)
        except Exception as error:  # noqa: BLE001 - whatever the store raises, nothing was promised
            self._report(error, len(group))
            if self._doubts is not None:
                for submission in group:
                    self._doubts.add(submission, now_s=monotonic())
            if isinstance(error, StoreDataError):
                return "data"
            return "timeout" if isinstance(error, TimeoutError) else "unavailable"
        for submission, outcome in zip(group, outcomes, strict=True):
            if self._doubts is not None:
                self._doubts.resolve(submission)
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
            records += submission.records
        await self._bus.append(records)
        return [Kept(submission.status, submission.body) for submission in group]

    async def _write_ahead(self, group: Sequence[Submission]) -> list[JournalOutcome]:
        """Keep the answers as pending, then append, then (`_confirm`) say that it was done.

        Whatever ends in between, here or in another process, the next try under the key finds the ids and goes by them.
        """
        outcomes: dict[int, JournalOutcome] = {}
        keyed = [(index, item.keyed) for index, item in enumerate(group) if item.keyed is not None]
        async with self._transactions.transaction() as tx:
            pending = [request._replace(status=-request.status) for _, request in keyed]
            found = await self._idempotency.reserve_keys(tx, pending, now_ms=self._clock.now_ms())
            await self._idempotency.store_answers(tx, self._appended)
        self._appended = []
        for (index, request), answer in zip(keyed, found, strict=True):
            if answer is not None and not _goes_on(group[index], request, answer):
                outcomes[index] = repeat_outcome(request, answer)
        fresh = [submission for index, submission in enumerate(group) if index not in outcomes]
        records: list[Record] = []
        for submission in fresh:
            records += submission.records
        if records:
            await self._bus.append(records)
        self._appended = [
            item.keyed._replace(status=item.status, body=item.body)
            for item in fresh
            if item.keyed is not None
        ]
        kept = iter([Kept(item.status, item.body, item.is_again) for item in fresh])
        return [outcomes[index] if index in outcomes else next(kept) for index in range(len(group))]

    async def _confirm(self) -> None:
        """Let the keys of the last flush answer at once; the next flush does it where this fails."""
        try:
            async with asyncio.timeout(self._limits.flush_deadline_s), self._transactions.transaction() as tx:
                await self._idempotency.store_answers(tx, self._appended)
        except Exception as error:  # noqa: BLE001 - nothing depends on it but the way of a repeat
            self._report(error, len(self._appended))
        else:
            self._appended = []

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
            more, later = submission.without(repeats) if repeats else (submission.records, submission.rows)
            records += more
            rows += later
            outcomes[index] = Kept(submission.status, body, submission.is_again, repeats)
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
    return all(submission.keyed is None and submission.is_simple for submission in group)


def repeat_outcome(request: KeyedRequest, answer: KeptAnswer) -> JournalOutcome:
    """Return what a request with a used key gets (http-api 1.3)."""
    if answer.fingerprint != request.fingerprint:
        return KeyConflict()
    return Kept(answer.status, answer.body, replayed=True) if answer.status > 0 else KeyInUse()


def _goes_on(submission: Submission, request: KeyedRequest, answer: KeptAnswer) -> bool:
    """True when the key is held by an earlier try of this request that may not have come to its end."""
    is_same = answer.fingerprint == request.fingerprint
    return is_same and answer.status < 0 and submission.adopt(answer.body)


def _repeats(submission: Submission, owners: Mapping[tuple[str, str], UUID]) -> dict[UUID, UUID]:
    if not owners or not submission.claims:
        return {}
    repeats = {}
    for account_id, client_ref, message_id in submission.claims:
        owner = owners.get((account_id, client_ref), message_id)
        if owner != message_id:
            repeats[message_id] = owner
    return repeats
