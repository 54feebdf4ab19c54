"""Moves messages to their next channel, or ends them when none is left. Runs in the role `back`, any number at once.

It alone decides for messages with channels left, so no two parts of the gateway begin a channel for one message. Due
rows are locked, decided by `gateway.policy.channels`, and what follows is appended in the same transaction: on a bus in
the database every channel is begun once, whatever is killed when. Another bus has the records before the decision is
committed, so a crash between the two begins that channel again; dispatch knows the repeat by its attempt.

Time is judged by what was read: a step is timed out only when the receipts and submits of that time are recorded. A
receipt that was read before its submit comes back to its topic once that is recorded, as if it were new; so what has been
read counts only when everything up to `settle_ms` after that was read as well.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from gateway.bus.codec import EnvelopeError, decode_as, encode
from gateway.bus.topics import DLR_GROUP, EVENTS, RECORDER_GROUP, lane
from gateway.channels.metrics import FAILED, TIMEOUT, ChannelMetrics
from gateway.domain.events import Noted
from gateway.domain.lifecycle import State
from gateway.domain.message import Channel, ChannelPlan, ChannelStep, Message
from gateway.policy.channels import Next, Nothing, Sign, begun, choose_next, is_far_enough, progress_of
from gateway.ports.bus import Bus, Record, Transaction
from gateway.ports.channel_store import ChannelStore, DueStep, StepKey, StepState, StepVerdict
from gateway.ports.clock import Clock
from gateway.ports.consent_store import NO_WISHES, Consents, Wishes
from gateway.ports.store import Transactions

_log = structlog.get_logger()

FALLBACK: Final = "fallback"
LOOK_AGAIN_MS: Final = 1_800_000
"""How often a step that came far enough is looked at, to forget it once its message is final."""

_RETRY_S: Final = 1.0
_TIMEOUT_S: Final = 30.0
_NOT_YET_S: Final = 0.2
_SETTLE_MS: Final = 1_000
_MOST_LOOKS: Final = 1_000
_MOST_COUNTED: Final = 100_000


class ChannelMover:
    """Sleeps until the next row is due, at most `poll_s`. `wake` when something may be due sooner."""

    def __init__(
        self,
        bus: Bus,
        *,
        db: Transactions,
        store: ChannelStore,
        consents: Consents,
        clock: Clock,
        metrics: ChannelMetrics,
        batch: int = 200,
        poll_s: float = 1.0,
        settle_ms: int = _SETTLE_MS,
    ) -> None:
        self._bus = bus
        self._db = db
        self._store = store
        self._consents = consents
        self._clock = clock
        self._metrics = metrics
        self._batch = batch
        self._poll_s = poll_s
        self._settle_ms = settle_ms
        self._looks: deque[tuple[int, int]] = deque()
        self._judged_until_ms = 0
        self._wake = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    def stop(self) -> None:
        """End `run` after the batch in hand."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Move what is due until stopped; an error is retried for ever."""
        while not self._stopping:
            wait_s = _RETRY_S
            self._wake.clear()
            try:
                async with asyncio.timeout(_TIMEOUT_S):
                    wait_s = await self._wait_s()
                    if wait_s == 0 and await self.move_due() < self._batch:
                        wait_s = _NOT_YET_S  # what is due and still there is another's, or not recorded yet
            except Exception as error:  # noqa: BLE001 - the rows wait for us, whatever the database does
                _log.warning("channels.move_failed", error=type(error).__name__)
            if wait_s > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._wake.wait()

    async def keep(self, *, now_ms: int) -> None:
        """Forget what is past its time, and show how much waits for a decision."""
        while await self._store.forget_expired(now_ms=now_ms, limit=2_000) == 2_000:
            pass
        self._metrics.due.set(await self._store.overdue(now_ms=now_ms, most=_MOST_COUNTED))

    async def move_due(self) -> int:
        """Decide on one batch of due steps; return how many."""
        now_ms = self._clock.now_ms()
        read_until_ms = await self._read_until(now_ms)
        decided = _Decided()
        async with self._db.transaction() as tx:
            due = await self._store.claim_due(
                tx, now_ms=now_ms, timeouts_before_ms=read_until_ms, limit=self._batch
            )
            if due:
                await self._decide(tx, due, decided, now_ms=now_ms)
                await self._store.decide(tx, decided.verdicts)
                records = decided.lane_records + decided.notes
                if records:
                    # The lane first: an event that tells of a fallback is never there without it.
                    await self._bus.append(records, tx=tx)
        for move in decided.moves:
            self._metrics.fallbacks[move].inc()
        for nothing in decided.ended:
            self._metrics.exhausted[nothing].inc()
        return len(due)

    async def _read_until(self, now_ms: int) -> int:
        """Return the time up to which everything that happened is recorded; what is due later is not judged yet."""
        until_ms = now_ms
        for group in (RECORDER_GROUP, DLR_GROUP):
            for lag in await self._bus.lag(group):
                if lag.records and lag.oldest_ms is not None:
                    until_ms = min(until_ms, lag.oldest_ms)
        if len(self._looks) < _MOST_LOOKS:
            self._looks.append((now_ms, until_ms))
        while self._looks and self._looks[0][0] + self._settle_ms <= until_ms:
            self._judged_until_ms = max(self._judged_until_ms, self._looks.popleft()[1])
        return self._judged_until_ms

    async def _wait_s(self) -> float:
        """Return how long nothing is due; that is all that is asked while there is nothing to do."""
        due_ms = await self._store.next_due_ms()
        if due_ms is None:
            return self._poll_s
        return min(self._poll_s, max(0.0, (due_ms - self._clock.now_ms()) / 1000))

    async def _decide(
        self, tx: Transaction, due: Sequence[DueStep], decided: "_Decided", *, now_ms: int
    ) -> None:
        messages = [_message_of(step) for step in due]
        final = await self._store.final_among(tx, list({step.message_id for step in due}))
        waiting = [
            StepKey(step.message_id, step.steps_left) for step in due if step.state is StepState.WAITING
        ]
        signs = await self._store.signs_of(tx, waiting)
        wishes = await self._wishes_of([message for message in messages if message is not None])
        for step, message in zip(due, messages, strict=True):
            key = StepKey(step.message_id, step.steps_left)
            plan = None if message is None else message.plan
            if step.message_id in final or message is None or plan is None:
                decided.verdicts.append(StepVerdict(*key, StepState.DONE, None))
            elif step.state is StepState.FAILED:
                self._after_failure(step, message, plan, wishes, decided, now_ms=now_ms)
            elif step.state is StepState.PASSED or _came_far_enough(message, plan, signs.get(key, ())):
                decided.verdicts.append(StepVerdict(*key, StepState.PASSED, now_ms + LOOK_AGAIN_MS))
            else:
                self._after_timeout(step, message, plan, wishes, decided, now_ms=now_ms)

    async def _wishes_of(self, messages: Sequence[Message]) -> Mapping[tuple[str, str], Wishes]:
        """Return what people have asked for since their messages were accepted, by account and recipient."""
        recipients: dict[str, set[str]] = {}
        for message in messages:
            if message.plan is not None and self._consents.has_any(message.account_id):
                wanted = recipients.setdefault(message.account_id, set())
                wanted.update([step.recipient for step in message.plan.rest])
        return {
            (account_id, recipient): wishes
            for account_id, wanted in recipients.items()
            for recipient, wishes in (await self._consents.wishes(account_id, wanted)).items()
        }

    def _after_failure(
        self,
        step: DueStep,
        message: Message,
        plan: ChannelPlan,
        wishes: Mapping[tuple[str, str], Wishes],
        decided: "_Decided",
        *,
        now_ms: int,
    ) -> None:
        found = _choose(message, plan, wishes, now_ms=now_ms)
        decided.verdicts.append(StepVerdict(step.message_id, step.steps_left, StepState.DONE, None))
        if isinstance(found, Next):
            decided.begin(message, plan, found, now_ms=now_ms, reason=step.reason or FAILED, kind=FAILED)
            return
        decided.ended.append(found)
        state = step.failed_as or State.FAILED
        note = Noted(
            message.id,
            now_ms,
            "channels_exhausted",
            state=state,
            reason=step.reason or FAILED,
            detail={"step": plan.step, "channel": message.channel, "why": found},
        )
        decided.notes.append(Record(EVENTS, message.id.bytes, encode(note)))

    def _after_timeout(
        self,
        step: DueStep,
        message: Message,
        plan: ChannelPlan,
        wishes: Mapping[tuple[str, str], Wishes],
        decided: "_Decided",
        *,
        now_ms: int,
    ) -> None:
        found = _choose(message, plan, wishes, now_ms=now_ms)
        key = (step.message_id, step.steps_left)
        if isinstance(found, Next):
            decided.verdicts.append(StepVerdict(*key, StepState.DONE, None))
            decided.begin(message, plan, found, now_ms=now_ms, reason=TIMEOUT, kind=TIMEOUT)
            return
        # It may still be delivered; a failing receipt comes back to us and ends it.
        decided.verdicts.append(StepVerdict(*key, StepState.PASSED, now_ms + LOOK_AGAIN_MS))
        note = Noted(
            message.id,
            now_ms,
            "no_fallback",
            reason=found,
            detail={"step": plan.step, "channel": message.channel},
        )
        decided.notes.append(Record(EVENTS, message.id.bytes, encode(note)))


class _Decided:
    """What one batch comes to."""

    def __init__(self) -> None:
        self.verdicts: list[StepVerdict] = []
        self.lane_records: list[Record] = []
        self.notes: list[Record] = []
        self.moves: list[tuple[Channel, Channel, str]] = []
        self.ended: list[Nothing] = []

    def begin(
        self, message: Message, plan: ChannelPlan, chosen: Next, *, now_ms: int, reason: str, kind: str
    ) -> None:
        """Put the message on the lane of its next channel, with the line of the timeline that says so."""
        following = begun(message, plan, chosen.index, now_ms=now_ms)
        assert following.plan is not None  # `begun` gave it one
        topic = lane(following.carrier, following.message_class)
        self.lane_records.append(Record(topic, following.recipient.encode(), encode(following)))
        detail: dict[str, str | int] = {
            "from_channel": message.channel,
            "from_carrier": message.carrier,
            "channel": following.channel,
            "step": following.plan.step,
            "steps_left": len(following.plan.rest),
            "segments": following.segment_count,
            "why": following.route_reason,
        }
        if plan.cost is not None:
            detail["from_cost"] = plan.cost
        if following.plan.cost is not None:
            detail["cost"] = following.plan.cost
        if chosen.skipped:
            detail["skipped"] = chosen.skipped
        note = Noted(message.id, now_ms, FALLBACK, carrier=following.carrier, reason=reason, detail=detail)
        self.notes.append(Record(EVENTS, message.id.bytes, encode(note)))
        self.moves.append((message.channel, following.channel, kind))


def _message_of(step: DueStep) -> Message | None:
    """Return the message, None where no version of this program can have written it: its receipts close it."""
    try:
        found: Message = decode_as(Message, step.value)
    except EnvelopeError as error:
        _log.error("channels.unreadable", message_id=str(step.message_id), error=str(error)[:200])
        return None
    return found


def _came_far_enough(message: Message, plan: ChannelPlan, signs: Sequence[Sign]) -> bool:
    if plan.wait_for is None:
        return True
    progress = progress_of(signs, segment_count=message.segment_count, channel=message.channel)
    return is_far_enough(progress, plan.wait_for)


def _choose(
    message: Message, plan: ChannelPlan, wishes: Mapping[tuple[str, str], Wishes], *, now_ms: int
) -> Next | Nothing:
    def is_wanted(step: ChannelStep) -> bool:
        known = wishes.get((message.account_id, step.recipient), NO_WISHES)
        if not known.allows(step.channel):
            return False
        return plan.ignores_opt_out or not known.refuses(step.channel, step.sender)

    return choose_next(plan, now_ms=now_ms, valid_until=message.valid_until, is_wanted=is_wanted)
