"""From a batch of events to rows: what several events say of one message becomes one write. No I/O.

`Fold.add` takes the events in the order of the bus. States move by `gateway.domain.lifecycle`, so repeats and late
events change nothing; the database applies the same rule to what it holds already.
"""

from typing import Any, Final
from uuid import UUID

import msgspec

from gateway.bus.codec import EnvelopeError
from gateway.domain.events import (
    Accepted,
    Attempted,
    Noted,
    Receipted,
    SegmentResult,
    StepAttempted,
    StepReceipted,
    TracedAccepted,
)
from gateway.domain.lifecycle import FINALS, State, move
from gateway.domain.message import ChannelPlan, ChannelStep, Message
from gateway.domain.traces import trace_of
from gateway.ports.record_store import EventRow, MessagePatch, MessageRow, SubmissionRow
from gateway.ports.trace_store import TraceRow

RANKS: Final = dict.fromkeys(FINALS, 3) | {
    State.SCHEDULED: 0,
    State.QUEUED: 1,
    State.SUBMITTED: 2,
}
"""Order of the states as the database compares them."""

AMBIGUOUS: Final = "ambiguous"
FALLBACK: Final = "fallback"

_MAX_ERROR: Final = 200
_FIRST_STATE: Final = MessageRow._fields.index("first_state")
_FIRST_CARRIER: Final = MessageRow._fields.index("first_carrier")

_json = msgspec.json.Encoder(order=None).encode


class _Change:
    """What the batch knows of one message so far."""

    __slots__ = ("attempt", "carrier", "error", "final_at", "message_id", "partial", "state", "submitted_at")

    def __init__(self, message_id: UUID, state: State, carrier: str | None) -> None:
        self.message_id = message_id
        self.state = state
        self.carrier = carrier
        self.partial = False
        self.attempt = 0
        self.submitted_at: int | None = None
        self.final_at: int | None = None
        self.error = ""

    def move(self, to: State, at: int, *, error: str = "", partial: bool = False) -> None:
        if self.state is to:
            return
        self.state, is_changed = move(self.state, to)
        if is_changed and to in FINALS:
            self.final_at = at
            self.partial = partial
            self.error = "" if to is State.DELIVERED else clean(error)[:_MAX_ERROR]

    def tail(self) -> tuple[Any, ...]:
        return (
            self.state,
            RANKS[self.state],
            self.partial,
            self.carrier,
            self.attempt,
            self.submitted_at,
            self.final_at,
            self.error,
        )


class Fold:
    """The rows of one batch."""

    def __init__(self) -> None:
        # By the number of the id: a UUID hashes in Python.
        self._new: dict[int, tuple[Any, ...]] = {}
        self._changes: dict[int, _Change] = {}
        self._submissions: dict[tuple[int, int, int], SubmissionRow] = {}
        self.events: list[EventRow] = []
        self.traces: list[TraceRow] = []
        """Messages of the batch that were sampled."""
        self.to_weigh: dict[UUID, tuple[int, int, str]] = {}
        """Messages whose state needs all their submissions: segment count, time, reason."""
        self.steps: dict[UUID, int] = {}
        """Messages that came to another of their channels: how many are left after it."""

    def add(self, event: Any, *, log_offset: int) -> None:
        """Take one event, which is at `log_offset` in its partition; EnvelopeError for anything else."""
        # To ask a struct whether it is of some class costs ten times as much, unless it is of that very one.
        kind = type(event)
        if kind is Accepted or kind is TracedAccepted:
            self._accepted(event)
        elif kind is Attempted or kind is StepAttempted:
            self._attempted(event, log_offset)
        elif kind is Receipted or kind is StepReceipted:
            self._receipted(event, log_offset)
        elif kind is Noted:
            self._noted(event, log_offset)
        else:
            raise EnvelopeError(f"a {kind.__name__} is no event")

    @property
    def messages(self) -> list[MessageRow]:
        """Rows of messages that were accepted in this batch."""
        return [MessageRow._make(head + self._changes[number].tail()) for number, head in self._new.items()]

    @property
    def patches(self) -> list[MessagePatch]:
        """What the batch changes in messages that were accepted before."""
        new = self._new
        return [
            MessagePatch._make((change.message_id, *change.tail()))
            for number, change in self._changes.items()
            if number not in new
        ]

    def carefully(self) -> tuple[list[MessageRow], list[MessagePatch]]:
        """Return new messages as they were accepted, and every change apart: for messages that may be stored already."""
        rows = [
            MessageRow._make(head + _Change(head[0], head[_FIRST_STATE], head[_FIRST_CARRIER]).tail())
            for head in self._new.values()
        ]
        return rows, [
            MessagePatch._make((change.message_id, *change.tail())) for change in self._changes.values()
        ]

    @property
    def new_ids(self) -> list[UUID]:
        """Messages that were accepted in this batch and came to another of their channels in it."""
        return [message_id for message_id in self.steps if message_id.int in self._new]

    @property
    def submissions(self) -> list[SubmissionRow]:
        """Results of submits."""
        return list(self._submissions.values())

    def _change(self, message_id: UUID) -> _Change:
        change = self._changes.get(message_id.int)
        if change is None:
            # Scheduled has the lowest rank: it moves nothing that is stored.
            change = self._changes[message_id.int] = _Change(message_id, State.SCHEDULED, None)
        return change

    def _accepted(self, event: Accepted) -> None:
        message = event.message
        number = message.id.int
        if number in self._new:
            return
        self._new[number] = _head(message, event.state)
        if type(event) is not Accepted:  # a class of its own tells of a sampled one
            self.traces.append(TraceRow(message.id, trace_of(message) or ""))
        if number not in self._changes:
            self._changes[number] = _Change(message.id, event.state, message.carrier)

    def _attempted(self, event: Attempted, log_offset: int) -> None:
        change = self._change(event.message_id)
        if event.attempt >= change.attempt:
            change.attempt = event.attempt
            change.carrier = event.next_carrier or event.carrier
        state, error = event.state, ""
        is_final = state in FINALS
        is_noteworthy = bool(event.retries or event.retry_at or event.next_carrier or is_final)
        final_count = 0
        steps_left = event.steps_left if type(event) is StepAttempted else 0
        for result in event.segments:
            self._submission(event, result, steps_left)
            if result.state in FINALS:
                final_count += 1
            elif result.outcome == AMBIGUOUS:
                is_noteworthy = True
            elif change.submitted_at is None or result.at < change.submitted_at:
                change.submitted_at = result.at
        if is_final:
            error = event.reason or next((one.status for one in event.segments if one.state in FINALS), "")
        if event.segment_count > 1 and (final_count or is_final) and final_count < event.segment_count:
            # Segments of other attempts have a say too, and their receipts may all be here already.
            self.to_weigh[event.message_id] = (event.segment_count, event.at, error or event.reason)
            if is_final:
                state = State.SUBMITTED if final_count < len(event.segments) else State.QUEUED
        change.move(state, event.at, error=error)
        if is_noteworthy:
            self._row(event.message_id, log_offset, event.at, "attempted", _attempted_detail(event))

    def _submission(self, event: Attempted, result: SegmentResult, steps_left: int) -> None:
        key = (event.message_id.int, result.segment_index, event.attempt)
        known = self._submissions.get(key)
        # A late answer brings the id of a submit that was written off as ambiguous before.
        if known is not None and (known.carrier_message_id is not None or not result.carrier_message_id):
            return
        self._submissions[key] = SubmissionRow(
            event.message_id,
            result.segment_index,
            event.attempt,
            event.segment_count,
            event.carrier,
            # A carrier that names no id can never be asked about it: "" must not match other receipts without id.
            clean(result.carrier_message_id) if result.carrier_message_id else None,
            clean(result.raw_id) if result.raw_id else None,
            result.bind,
            result.sequence_number,
            result.outcome,
            clean(result.status),
            result.state,
            result.at,
            result.response_ms,
            steps_left,
        )

    def _receipted(self, event: Receipted, log_offset: int) -> None:
        change = self._change(event.message_id)
        was_final = change.state in FINALS
        change.move(event.message_state, event.at, error=event.error, partial=event.partial)
        if type(event) is StepReceipted and event.message_state is State.DELIVERED and not was_final:
            self.steps[event.message_id] = event.steps_left
        if event.receipt is None:
            return  # dlr wrote it on the submission, where it stays
        detail = {
            "segment": event.segment_index,
            "attempt": event.attempt,
            "state": event.segment_state.value,
            "effect": event.effect,
            "receipt": event.receipt,
        }
        self._row(event.message_id, log_offset, event.at, "dlr", detail)

    def _noted(self, event: Noted, log_offset: int) -> None:
        detail: dict[str, Any] = dict(event.detail or {})
        if event.state is not None or event.carrier is not None:
            change = self._change(event.message_id)
            if event.state is not None:
                partial = bool(detail.get("partial"))
                change.move(event.state, event.at, error=event.reason or event.kind, partial=partial)
                detail["state"] = event.state.value
            if event.carrier is not None:
                change.carrier = event.carrier
                detail["carrier"] = event.carrier
        if event.reason:
            detail["reason"] = event.reason
        if event.kind == FALLBACK:
            steps_left = int(detail.pop("steps_left"))
            if self._change(event.message_id).state not in FINALS:
                self.steps[event.message_id] = steps_left
        self._row(event.message_id, log_offset, event.at, event.kind, detail)

    def _row(self, message_id: UUID, log_offset: int, at: int, kind: str, detail: dict[str, Any]) -> None:
        self.events.append(EventRow(message_id, log_offset, at, clean(kind), as_json(detail)))


def clean(text: str) -> str:
    """Return the text without NUL, which a carrier or client may send and PostgreSQL cannot hold."""
    return text.replace("\x00", "\ufffd") if "\x00" in text else text


def _clean_or_none(text: str | None) -> str | None:
    return None if text is None else clean(text)


def as_json(value: Any) -> str:
    """Return JSON text that PostgreSQL takes as jsonb."""
    text = _json(value).decode()
    return text.replace("\\u0000", "\\ufffd") if "\\u0000" in text else text


def _head(message: Message, state: State) -> tuple[Any, ...]:
    return (
        message.id,
        message.account_id,
        message.message_class,
        message.channel,
        message.source,
        message.recipient,
        clean(message.sender),
        clean(message.text),
        message.encoding,
        message.segment_count,
        _clean_or_none(message.client_ref),
        message.batch_id,
        _clean_or_none(message.request_id),
        as_json(message.metadata) if message.metadata else None,
        message.accepted_at,
        message.valid_until,
        message.send_at,
        state,
        message.carrier,
        message.route_reason,
        message.webhook_id,
        message.origin,
        None if message.plan is None else _channels(message, message.plan),
    )


def _channels(message: Message, plan: ChannelPlan) -> str:
    """Return the channels of a message as its row keeps them."""
    first: dict[str, Any] = _channel(message, plan.cost)
    return as_json([first, *[_channel(step, step.cost) for step in plan.rest]])


def _channel(step: Message | ChannelStep, cost: str | None) -> dict[str, Any]:
    return {
        "channel": step.channel,
        "from": step.sender,
        "to": step.recipient,
        "carrier": step.carrier,
        "why": step.route_reason,
        "segments": step.segment_count,
        "cost": cost,
    }


def _attempted_detail(event: Attempted) -> dict[str, Any]:
    detail: dict[str, Any] = {"carrier": event.carrier, "attempt": event.attempt}
    if event.reason:
        detail["reason"] = event.reason
    if event.state.is_final:
        detail["state"] = event.state.value
    if event.retry_at is not None:
        detail["retry_at"] = event.retry_at
    if event.next_carrier is not None:
        detail["next_carrier"] = event.next_carrier
    tried = [*event.retries, *(one for one in event.segments if one.outcome == AMBIGUOUS)]
    if tried:
        detail["tried"] = [
            {
                "segment": one.segment_index,
                "outcome": one.outcome,
                "status": one.status,
                "bind": one.bind,
                "sequence": one.sequence_number,
                "at": one.at,
                "response_ms": one.response_ms,
            }
            for one in tried
        ]
    return detail
