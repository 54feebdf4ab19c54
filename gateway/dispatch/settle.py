"""Where the outcomes of one lane worker's submits arrive: collected per message, concluded when it is complete.

Synchronous throughout; called by the link through `Work.settle`.
"""

from collections import OrderedDict
from collections.abc import Callable
from random import Random
from typing import Final
from uuid import UUID

from gateway.dispatch.conclude import all_submitted, conclude, expired, remaining
from gateway.dispatch.metrics import CarrierMetrics
from gateway.dispatch.outbox import Outbox
from gateway.dispatch.throttle_pause import ThrottlePause
from gateway.dispatch.work import Lane, Work
from gateway.domain.events import Attempted, Noted, SegmentResult
from gateway.domain.lifecycle import State
from gateway.domain.message import OutboundSegment
from gateway.domain.outcomes import Refusal, Refused, SubmitOutcome, Submitted, Throttled, Unsent
from gateway.ports.clock import Clock
from gateway.ports.links import CarrierLink

_THROTTLE_NOTE_MS: Final = 1000
_MAX_ANSWERED: Final = 10_000


class Settler:
    """Turns outcomes into events, deferred rows and lane records of the outbox.

    `wake` is called when a segment came back to the lane head; `is_up` tells whether the carrier has a bind.
    """

    def __init__(
        self,
        *,
        link: CarrierLink,
        lanes: tuple[Lane, ...],
        outbox: Outbox,
        clock: Clock,
        metrics: CarrierMetrics,
        random: Random,
        wake: Callable[[], None],
        is_up: Callable[[], bool],
    ) -> None:
        self.pause = ThrottlePause()
        self._link = link
        self._lanes = lanes
        self._outbox = outbox
        self._clock = clock
        self._metrics = metrics
        self._random = random
        self._wake = wake
        self._is_up = is_up
        self._answered: OrderedDict[tuple[UUID, int], None] = OrderedDict()

    def settled(self, work: Work, segment: OutboundSegment, outcome: SubmitOutcome) -> None:
        """Take the outcome of one submit."""
        work.outstanding -= 1
        if type(outcome) is Submitted:
            work.submitted.append(self._result(segment, outcome))
            if self.pause.is_active:
                self.pause.submitted(segment.submitted_at_ns)
        else:
            self._not_submitted(work, segment, outcome)
        if work.is_over:
            self.conclude(work)

    def conclude(self, work: Work) -> None:
        """Write down the end of an attempt; nothing of it is outstanding."""
        now_ms = self._clock.now_ms()
        message = work.message
        if work.submitted:
            delay_ms = now_ms - max(message.accepted_at, message.send_at or 0)
            self._outbox.batch.delays_ms.append((work.lane, delay_ms))
        if not work.refused and not work.todo:
            self._outbox.add(all_submitted(work, now_ms=now_ms), lane=work.lane, offset=work.offset)
            return
        end = conclude(work, now_ms=now_ms, jitter=self._random.random(), carrier_is_up=self._is_up())
        batch = self._outbox.batch
        if end.deferred is not None:
            batch.deferred.append(end.deferred)
        if end.moved is not None:
            batch.records.append(end.moved)
        if end.next_carrier is not None:
            self._metrics.failed_over(end.next_carrier)
        if end.retry_reason:
            self._metrics.retries[end.retry_reason].inc()
        self._outbox.add(end.event, lane=work.lane, offset=work.offset)

    def expire(self, work: Work, now_ms: int) -> None:
        """End a message whose validity passed in the lane; it is out of the lane already (sms-domain E4)."""
        self._metrics.expired_by_class[work.lane].inc()
        message = work.message
        if not work.segments and not message.segments_done:
            self._outbox.add(expired(message, now_ms=now_ms), lane=work.lane, offset=work.offset)
            return
        if not work.segments:
            work.todo = remaining(message, message.segment_count)
        work.stopped = True
        if work.is_over:
            self.conclude(work)

    def answered_late(self, segment: OutboundSegment, outcome: Submitted) -> None:
        """Attach the id of an answer that came after its submit was given up (sms-domain G)."""
        message = segment.message
        self._answered[message.id, segment.segment_index] = None
        if len(self._answered) > _MAX_ANSWERED:
            self._answered.popitem(last=False)
        self._outbox.add(
            Attempted(
                message.id,
                self._clock.now_ms(),
                message.carrier,
                message.attempt,
                message.segment_count,
                (self._result(segment, outcome),),
                State.SUBMITTED,
                reason="late_answer",
            )
        )

    def was_answered(self, message_id: UUID, segment_index: int) -> bool:
        """True when a late answer has settled the segment: sending it again would double it."""
        return (message_id, segment_index) in self._answered

    def _result(self, segment: OutboundSegment, outcome: Submitted) -> SegmentResult:
        raw_id = outcome.carrier_message_id
        carrier_message_id = self._link.normalise_id(raw_id) if raw_id else None
        self._outbox.batch.response_ms.append(outcome.response_ms)
        return SegmentResult(
            segment.segment_index,
            State.SUBMITTED,
            self._clock.now_ms(),
            "submitted",
            "",
            outcome.bind,
            outcome.sequence_number,
            outcome.response_ms,
            carrier_message_id,
            raw_id if raw_id and raw_id != carrier_message_id else None,
        )

    def _not_submitted(self, work: Work, segment: OutboundSegment, outcome: SubmitOutcome) -> None:
        self._metrics.count_outcome(outcome)
        lane = self._lanes[work.lane]
        if isinstance(outcome, Throttled | Unsent):
            if isinstance(outcome, Throttled):
                self._throttled(work, outcome)
            work.give_back(segment.segment_index)
            if not work.stopped:
                lane.give_back(work)
                self._wake()
            return
        assert not isinstance(outcome, Submitted)
        work.refused.append((segment.segment_index, outcome))
        if isinstance(outcome, Refused) and outcome.refusal is not Refusal.RETRY_LATER:
            # What is left of the message is not worth sending here (sms-domain F17).
            work.stopped = True
            lane.remove(work)

    def _throttled(self, work: Work, outcome: Throttled) -> None:
        self.pause.throttled(self._clock.monotonic_ns(), retry_after_ms=outcome.retry_after_ms or 0)
        now_ms = self._clock.now_ms()
        if now_ms - work.noted_throttle_ms >= _THROTTLE_NOTE_MS:
            work.noted_throttle_ms = now_ms
            message = work.message
            self._outbox.add(
                Noted(message.id, now_ms, "throttled", carrier=message.carrier, reason=outcome.status)
            )
