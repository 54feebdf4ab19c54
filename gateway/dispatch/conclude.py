"""What becomes of a message once its attempt is over: event, deferred row, or a record on another lane.

`gateway.policy.retry` decides for each segment; this module makes one decision for the message of it. Pure apart
from the encoding of the next record.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.bus import topics
from gateway.bus.codec import encode
from gateway.dispatch.steps import for_step, tries_of
from gateway.dispatch.work import Work
from gateway.domain.carried import replace
from gateway.domain.events import Attempted, Noted, SegmentResult
from gateway.domain.ids import format_id
from gateway.domain.lifecycle import FINALS, State, message_state
from gateway.domain.message import Channel, Message
from gateway.domain.outcomes import Ambiguous, Refused
from gateway.policy.retry import DEFAULT_RETRY, Action, RetryPolicy, Step, next_step
from gateway.ports.bus import Record
from gateway.ports.dispatch_store import DeferredRow

ROUTE_REFUSED: Final = "route_refused"
NAME_OUR_ID: Final = frozenset({Channel.WHATSAPP})
"""Channels whose receipts repeat our id of a message; each of their messages is one segment."""

_DRAINED: Final = Step(Action.RETRY_LATER, "drained")
_REJECTED_REASONS: Final = frozenset({"refused", "no_route_left"})


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The end of an attempt. At most one of `deferred` and `moved` is there: the message goes on by that one.

    `failed_as` is the state of a message that cannot succeed on this channel any more, whatever receipts say of the
    rest.
    """

    event: Attempted
    deferred: DeferredRow | None = None
    moved: Record | None = None
    retry_reason: str = ""
    next_carrier: str | None = None
    failed_as: State | None = None


def first_candidate(candidates: Sequence[str]) -> int:
    """Return the index of the first: the choice of who knows nothing of the carriers."""
    del candidates
    return 0


def conclude(
    work: Work,
    *,
    now_ms: int,
    jitter: float,
    carrier_is_up: bool,
    policy: RetryPolicy = DEFAULT_RETRY,
    prefer: Callable[[Sequence[str]], int] = first_candidate,
) -> Conclusion:
    """Return what follows when nothing is outstanding, something was not taken, and no more will be submitted here.

    `jitter` is a random number in [0, 1), `policy` the schedule of the carrier, `prefer` chooses among the candidates.
    """
    message = work.message
    steps = _steps(work, now_ms=now_ms, jitter=jitter, carrier_is_up=carrier_is_up, policy=policy)
    results = list(work.submitted)
    again: list[tuple[SegmentResult, Step]] = []
    for (index, outcome), step in zip(work.refused, steps, strict=True):
        result = _result(index, outcome, step, now_ms=now_ms)
        if step.action in (Action.RETRY_LATER, Action.NEXT_CARRIER):
            again.append((result, step))
        else:
            results.append(result)
    if not work.stopped:  # only at a stop of the process: the rest goes on from a record of its own
        again += [(SegmentResult(index, State.QUEUED, now_ms, "not_sent"), _DRAINED) for index in work.todo]
    reason = next((step.reason for step in steps if step.action in (Action.FAIL, Action.EXPIRE)), "")
    is_past = bool(work.todo) and work.stopped and now_ms >= message.valid_until
    if reason or is_past:
        # A message with a segment missing cannot be read: what is left of it is not sent (sms-domain F17).
        left = State.EXPIRED if is_past else State.FAILED
        results += [
            replace(result, state=left) if result.state is State.QUEUED else result for result, _ in again
        ]
        if work.stopped:
            results += [SegmentResult(index, left, now_ms, "not_sent") for index in work.todo]
        again = []
        reason = reason or "validity_passed"
    results.sort(key=_by_index)
    if not again:
        failed_as = _failure(results) if reason else None
        reason = reason or steps[0].reason
        return Conclusion(_event(work, tuple(results), now_ms=now_ms, reason=reason), failed_as=failed_as)
    return _go_on(message, work, results, again, now_ms=now_ms, prefer=prefer)


def all_submitted(work: Work, *, now_ms: int) -> Attempted:
    """Return the event of the usual end: every segment of the attempt was taken by the carrier."""
    message = work.message
    results = tuple(work.submitted)
    event = Attempted(
        message.id,
        now_ms,
        message.carrier,
        message.attempt,
        len(work.segments),
        results if len(results) == 1 else tuple(sorted(results, key=_by_index)),
        State.SUBMITTED,
    )
    return event if message.plan is None else for_step(event, message)


def _failure(results: Sequence[SegmentResult]) -> State:
    """Return the worst state that a segment came to, FAILED where none is final."""
    finals = [result.state for result in results if result.state in FINALS]
    return message_state(finals, segment_count=len(finals))[0] if finals else State.FAILED


def _by_index(result: SegmentResult) -> int:
    return result.segment_index


def _steps(work: Work, *, now_ms: int, jitter: float, carrier_is_up: bool, policy: RetryPolicy) -> list[Step]:
    message = work.message
    # Once a segment is with this carrier, or may be and will not be resent, the rest follows it (sms-domain B16).
    stays = bool(message.segments_done or work.submitted) or any(
        isinstance(outcome, Ambiguous)
        and (message.resent_in_doubt or not message.message_class.resends_in_doubt)
        for _, outcome in work.refused
    )
    return [
        next_step(
            outcome,
            message_class=message.message_class,
            attempt=tries_of(message),
            accepted_at=message.accepted_at,
            valid_until=message.valid_until,
            now=now_ms,
            jitter=jitter,
            has_next_carrier=bool(message.candidates) and not stays,
            carrier_is_up=carrier_is_up,
            resent_in_doubt=message.resent_in_doubt,
            other_route_tried=message.route_reason == ROUTE_REFUSED,
            policy=policy,
        )
        for _, outcome in work.refused
    ]


def _result(index: int, outcome: Refused | Ambiguous, step: Step, *, now_ms: int) -> SegmentResult:
    if isinstance(outcome, Ambiguous):
        state = State.SUBMITTED  # a receipt may still come
    elif step.action is Action.EXPIRE:
        state = State.EXPIRED
    elif step.action is Action.FAIL:
        state = State.REJECTED if step.reason in _REJECTED_REASONS else State.FAILED
    else:
        state = State.QUEUED
    return SegmentResult(
        segment_index=index,
        state=state,
        at=now_ms,
        outcome="ambiguous" if isinstance(outcome, Ambiguous) else "refused",
        status=outcome.reason if isinstance(outcome, Ambiguous) else outcome.status,
        bind=outcome.bind,
        carrier_message_id=(outcome.reference or None) if isinstance(outcome, Ambiguous) else None,
    )


def _go_on(
    message: Message,
    work: Work,
    results: list[SegmentResult],
    again: list[tuple[SegmentResult, Step]],
    *,
    now_ms: int,
    prefer: Callable[[Sequence[str]], int],
) -> Conclusion:
    steps = [step for _, step in again]
    moving = next((step for step in steps if step.action is Action.NEXT_CARRIER), None)
    leading = moving or max(steps, key=lambda step: step.delay_ms)
    due_ms = now_ms + max(step.delay_ms for step in steps)
    carrier, candidates = message.carrier, message.candidates
    if moving is not None:
        chosen = prefer(candidates)
        carrier, candidates = candidates[chosen], candidates[:chosen] + candidates[chosen + 1 :]
    following = replace(
        message,
        carrier=carrier,
        candidates=candidates,
        attempt=message.attempt + any(step.spends_attempt for step in steps),
        segments_done=done_after(message, results),
        reference=work.reference,
        resent_in_doubt=message.resent_in_doubt or any(step.in_doubt for step in steps),
        route_reason=leading.reason if moving is not None else message.route_reason,
        hops=message.hops + (moving is not None),
    )
    record = lane_record(following)
    waits = due_ms > now_ms
    event = _event(
        work,
        tuple(results),
        now_ms=now_ms,
        reason=leading.reason,
        retries=tuple(result for result, _ in again),
        retry_at=due_ms,
        next_carrier=carrier if moving is not None else None,
    )
    return Conclusion(
        event,
        deferred=DeferredRow(due_ms, record.topic, record.key, record.value, message.id) if waits else None,
        moved=None if waits else record,
        retry_reason="" if moving is not None and not leading.in_doubt else leading.reason,
        next_carrier=event.next_carrier,
    )


def done_after(message: Message, results: list[SegmentResult]) -> tuple[int, ...]:
    """Return the segments that are settled for good once `results` are added."""
    if not results:
        return message.segments_done
    return tuple(sorted({*message.segments_done, *(result.segment_index for result in results)}))


def lane_record(message: Message) -> Record:
    """Return the record that puts `message` on the lane of its carrier and class."""
    return Record(
        topics.lane(message.carrier, message.message_class), message.recipient.encode(), encode(message)
    )


def _event(
    work: Work,
    results: tuple[SegmentResult, ...],
    *,
    now_ms: int,
    reason: str = "",
    retries: tuple[SegmentResult, ...] = (),
    retry_at: int | None = None,
    next_carrier: str | None = None,
) -> Attempted:
    message = work.message
    total = len(work.segments) or message.segment_count
    if total == 1 and not retries:
        state = results[0].state
    else:
        # What an earlier attempt settled and still goes on was submitted.
        states = [State.SUBMITTED] * len(message.segments_done) + [result.state for result in results]
        state, _ = message_state(states + [State.QUEUED] * len(retries), segment_count=total)
    event = Attempted(
        message_id=message.id,
        at=now_ms,
        carrier=message.carrier,
        attempt=message.attempt,
        segment_count=total,
        segments=results,
        state=state,
        reason=reason,
        retries=retries,
        retry_at=retry_at,
        next_carrier=next_carrier,
    )
    return event if message.plan is None else for_step(event, message)


def expired(message: Message, *, now_ms: int) -> Noted:
    """Return the event of a message whose validity ran out before any of it was submitted (sms-domain E4)."""
    return Noted(
        message.id,
        now_ms,
        "expired",
        state=State.EXPIRED,
        carrier=message.carrier,
        reason="validity_passed",
    )


def in_doubt(message: Message, *, now_ms: int) -> Noted | Attempted:
    """Return the event of a message that a crash has left in doubt: claimed, and nobody knows whether it was sent.

    Where receipts name our own id, it is recorded as a submit that they find.
    """
    if message.channel not in NAME_OUR_ID:
        return Noted(
            message.id, now_ms, "in_doubt", state=State.SUBMITTED, carrier=message.carrier, reason="restart"
        )
    reference = format_id("msg", message.id)
    result = SegmentResult(1, State.SUBMITTED, now_ms, "ambiguous", "restart", carrier_message_id=reference)
    event = Attempted(
        message.id,
        now_ms,
        message.carrier,
        message.attempt,
        1,
        (result,),
        State.SUBMITTED,
        reason="in_doubt",
    )
    return event if message.plan is None else for_step(event, message)


def remaining(message: Message, total: int) -> list[int]:
    """Return the indices (from 1) of the segments that no earlier attempt has settled."""
    done = message.segments_done
    return [index for index in range(1, total + 1) if index not in done]


def moved(message: Message, *, to: int, now_ms: int, reason: str) -> tuple[Noted, Record]:
    """Return event and record of an untouched message that goes to candidate number `to` (from 0) without an attempt.

    The carrier that it leaves becomes its last candidate: it may come back there.
    """
    candidates = message.candidates
    following = replace(
        message,
        carrier=candidates[to],
        candidates=(*candidates[:to], *candidates[to + 1 :], message.carrier),
        hops=message.hops + 1,
    )
    event = Noted(
        message.id,
        now_ms,
        "moved",
        state=State.QUEUED,
        carrier=following.carrier,
        reason=reason,
        detail={"from": message.carrier},
    )
    return event, lane_record(following)
