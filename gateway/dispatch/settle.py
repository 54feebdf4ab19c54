"""Where the outcomes of one lane worker's submits arrive: collected per message, concluded when it is complete.

Synchronous throughout; the link calls `settled` through the segment it got.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from uuid import UUID

from gateway.dispatch.alarms import Alarms
from gateway.dispatch.conclude import all_submitted, conclude, expired, remaining
from gateway.dispatch.context import LaneContext
from gateway.dispatch.outbox import Outbox
from gateway.dispatch.steps import (
    begun_at,
    for_step,
    has_channels_left,
    reason_of,
    step_failed,
    step_submitted,
)
from gateway.dispatch.work import Lane, Work
from gateway.domain.events import Attempted, Noted, SegmentResult
from gateway.domain.lifecycle import State
from gateway.domain.message import Message, OutboundSegment
from gateway.domain.outcomes import Refusal, Refused, SubmitOutcome, Submitted, Throttled, Unsent
from gateway.policy.retry import DEFAULT_RETRY, RetryPolicy
from gateway.ports.links import CarrierLink

_SUBMITTED: Final = State.SUBMITTED  # looking a member up costs six times as much
_THROTTLE_NOTE_MS: Final = 1000
_MAX_ANSWERED: Final = 10_000
FIRST_REST_MS: Final = 100
MAX_REST_MS: Final = 2_000


class Settler:
    """Turns outcomes into events, deferred rows and lane records of the outbox.

    `wake` is called when a segment came back to the lane head; `is_up` tells whether the carrier has a bind, `retry`
    is its schedule.
    """

    def __init__(
        self,
        context: LaneContext,
        *,
        link: CarrierLink,
        lanes: tuple[Lane, ...],
        outbox: Outbox,
        wake: Callable[[], None],
        is_up: Callable[[], bool],
        retry: RetryPolicy = DEFAULT_RETRY,
    ) -> None:
        self._normalise_id = link.normalise_id
        self._alarms = Alarms(context.carrier)
        self._lanes = lanes
        self._outbox = outbox
        self._clock = context.clock
        self._metrics = context.metrics
        self._random = context.random
        self._wake = wake
        self._is_up = is_up
        self._prefer = context.board.prefer
        self._retry = retry
        self._taken_ns = 0  # when the last segment was written that the carrier took
        self._answered: OrderedDict[tuple[UUID, int], None] = OrderedDict()
        self._concluded: OrderedDict[tuple[UUID, int], None] = OrderedDict()  # of later channels alone

    def settled(self, work: Work, segment: OutboundSegment, outcome: SubmitOutcome) -> None:
        """Take the outcome of one submit."""
        work.outstanding -= 1
        now_ms = self._clock.now_ms()
        if type(outcome) is Submitted:
            work.submitted.append(self._result(segment, outcome, now_ms))
            self._taken_ns = segment.submitted_at_ns
        else:
            self._not_submitted(work, segment, outcome)
        if not work.outstanding and (work.stopped or not work.todo):
            self.conclude(work, now_ms)

    def conclude(self, work: Work, now_ms: int) -> None:
        """Write down the end of an attempt; nothing of it is outstanding."""
        message = work.message
        if work.submitted:
            self._outbox.batch.delays_ms[work.lane].append(now_ms - begun_at(message))
        if message.plan is not None and message.plan.step > 1:
            _remember(self._concluded, (message.id, message.attempt))
        if not work.refused and not work.todo:
            self._outbox.add(all_submitted(work, now_ms=now_ms), lane=work.lane, offset=work.offset)
            if message.plan is not None:
                self.step_over(message, now_ms)
            return
        end = conclude(
            work,
            now_ms=now_ms,
            jitter=self._random.random(),
            carrier_is_up=self._is_up(),
            policy=self._retry,
            prefer=self._prefer,
        )
        batch = self._outbox.batch
        if end.deferred is not None:
            batch.deferred.append(end.deferred)
        if end.moved is not None:
            batch.records.append(end.moved)
        if message.plan is not None and end.deferred is None and end.moved is None:
            self.step_over(message, now_ms, failed_as=end.failed_as, reason=reason_of(end.event))
        if end.next_carrier is not None:
            self._metrics.failed_over(end.next_carrier, end.event.reason)
        if end.retry_reason:
            self._metrics.retries[end.retry_reason].inc()
        self._outbox.add(end.event, lane=work.lane, offset=work.offset)

    def step_over(
        self, message: Message, now_ms: int, *, failed_as: State | None = None, reason: str = ""
    ) -> None:
        """Say of a message with channels left that it is with a carrier, or that this channel failed."""
        if has_channels_left(message):
            self._outbox.batch.records.append(
                step_submitted(message, now_ms=now_ms)
                if failed_as is None
                else step_failed(message, state=failed_as, reason=reason, now_ms=now_ms)
            )

    def uncuttable(self, work: Work, code: str, now_ms: int) -> None:
        """End a message, or its step, that this carrier cannot be given in any number of segments."""
        message = work.message
        self._metrics.dead_by_reason["uncuttable"].inc()
        state = None if has_channels_left(message) else State.FAILED
        event = Noted(message.id, now_ms, "failed", state=state, carrier=message.carrier, reason=code)
        self._outbox.add(event, lane=work.lane, offset=work.offset)
        self.step_over(message, now_ms, failed_as=State.FAILED, reason=code)

    def expire(self, work: Work, now_ms: int) -> None:
        """End a message whose validity passed in the lane; it is out of the lane already (sms-domain E4)."""
        message = work.message
        is_begun = bool(work.segments or message.segments_done)
        metrics = self._metrics
        (metrics.expired_begun_by_class if is_begun else metrics.expired_by_class)[work.lane].inc()
        if not is_begun:
            self._outbox.add(expired(message, now_ms=now_ms), lane=work.lane, offset=work.offset)
            return
        if not work.segments:
            work.todo = remaining(message, message.segment_count)
        work.stopped = True
        if work.is_over:
            self.conclude(work, now_ms)

    def answered_late(self, segment: OutboundSegment, outcome: Submitted) -> None:
        """Attach the id of an answer that came after its submit was given up (sms-domain G)."""
        message, now_ms = segment.message, self._clock.now_ms()
        _remember(self._answered, (message.id, segment.segment_index))
        event = Attempted(
            message.id,
            now_ms,
            message.carrier,
            message.attempt,
            message.segment_count,
            (self._result(segment, outcome, now_ms),),
            State.SUBMITTED,
            reason="late_answer",
        )
        self._outbox.add(for_step(event, message))

    def was_answered(self, message_id: UUID, segment_index: int) -> bool:
        """True when a late answer has settled the segment: sending it again would double it."""
        return (message_id, segment_index) in self._answered

    def drop_repeat(self, work: Work, now_ms: int) -> bool:
        """Drop a later channel's record that was concluded here before; False for any other message.

        On a bus outside the database a crash of the mover may begin a channel twice. No attempt that goes on comes
        back under its number, so this is a repeat.
        """
        message = work.message
        if (message.id, message.attempt) not in self._concluded:
            return False
        self._metrics.repeats.inc()
        event = Noted(message.id, now_ms, "repeat_dropped", carrier=message.carrier, reason="begun_twice")
        self._outbox.add(event, lane=work.lane, offset=work.offset)
        return True

    def _result(self, segment: OutboundSegment, outcome: Submitted, now_ms: int) -> SegmentResult:
        raw_id = outcome.carrier_message_id
        carrier_message_id = self._normalise_id(raw_id) if raw_id else None
        batch, bind = self._outbox.batch, outcome.bind
        batch.response_ms.append(outcome.response_ms)
        batch.by_bind[bind] = batch.by_bind.get(bind, 0) + 1
        return SegmentResult(
            segment.segment_index,
            _SUBMITTED,
            now_ms,
            "submitted",
            "",
            bind,
            outcome.sequence_number,
            outcome.response_ms,
            carrier_message_id,
            raw_id if raw_id and raw_id != carrier_message_id else None,
        )

    def _not_submitted(self, work: Work, segment: OutboundSegment, outcome: SubmitOutcome) -> None:
        self._metrics.count_outcome(outcome)
        lane = self._lanes[work.lane]
        if isinstance(outcome, Throttled | Unsent):
            rest_ms = self._throttled(work, segment, outcome) if isinstance(outcome, Throttled) else 0
            work.give_back(segment.segment_index)
            if work.stopped:
                return
            if rest_ms:
                self._rest(lane, work, rest_ms)
            else:
                lane.give_back(work)
                self._wake()
            return
        assert not isinstance(outcome, Submitted)
        work.refused.append((segment.segment_index, outcome))
        if isinstance(outcome, Refused) and outcome.alert:
            self._alarms.refused(outcome, now_ns=self._clock.monotonic_ns())
        if isinstance(outcome, Refused) and outcome.refusal is not Refusal.RETRY_LATER:
            # What is left of the message is not worth sending here (sms-domain F17).
            work.stopped = True
            lane.remove(work)

    def _throttled(self, work: Work, segment: OutboundSegment, outcome: Throttled) -> int:
        """Note a throttle answer; return for how many milliseconds the message should rest, 0 for not at all.

        The link slows its bind down, so the message may be offered again at once (sms-domain G). Where the carrier
        took what was written with its last try or after it, though, it is this number that it means.
        """
        now_ms = self._clock.now_ms()
        if now_ms - work.noted_throttle_ms >= _THROTTLE_NOTE_MS:
            work.noted_throttle_ms = now_ms
            message = work.message
            self._outbox.add(
                Noted(message.id, now_ms, "throttled", carrier=message.carrier, reason=outcome.status)
            )
        if 0 < work.throttled_ns <= self._taken_ns:
            work.rest_ms = min(MAX_REST_MS, work.rest_ms * 2) or FIRST_REST_MS
        work.throttled_ns = segment.submitted_at_ns
        return max(work.rest_ms, min(MAX_REST_MS, outcome.retry_after_ms or 0))

    def _rest(self, lane: Lane, work: Work, rest_ms: int) -> None:
        """Offer others meanwhile. The timer finds nothing when the message left the lane before."""
        lane.rest(work)
        asyncio.get_running_loop().call_later(rest_ms / 1000, self._rested, lane, work)

    def _rested(self, lane: Lane, work: Work) -> None:
        if lane.wake(work):
            self._wake()


def _remember(known: OrderedDict[tuple[UUID, int], None], key: tuple[UUID, int]) -> None:
    known[key] = None
    if len(known) > _MAX_ANSWERED:
        known.popitem(last=False)
