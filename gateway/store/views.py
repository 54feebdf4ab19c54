"""What people read of messages: one message, its timeline, lists by filter; only ever their own account's.

Implements `gateway.ports.ingress_store.MessageViews`. A timeline is put together from five tables: what intake
decided is in `messages`, submits and the receipt that decided in `submissions`, attempts to tell the account in
`webhook_deliveries` and `webhook_posts`, everything else in `message_events`.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from gateway.domain.ids import MAX_TIME_MS, uuid7_floor
from gateway.ports.ingress_store import EventPosition, EventView, MessageFilters, MessageView
from gateway.ports.store import Transactions
from gateway.ports.webhook_store import Attempt
from gateway.store.rows import day_floor
from gateway.store.webhook_attempts import attempts_of

_DEADLINE_S: Final = 5.0
_MAX_LIMIT: Final = 1000
_MAX_SOURCE_ROWS: Final = 2000

# `at` alone does not order a timeline: what happens within one millisecond keeps the order of its making.
_SEQ_SUBMISSION: Final = 1 << 8
_SEQ_WEBHOOK: Final = 1 << 31
_SEQ_EVENT: Final = 1 << 32
_LINES_A_ROW: Final = 1 << 10

_JSON: Final = msgspec.json.Decoder(dict[str, Any])
_STEPS: Final = msgspec.json.Decoder(list[dict[str, Any]])

_VIEW_COLUMNS: Final = (
    "id, account_id, message_class, channel, recipient, sender, encoding, segment_count, state, accepted_at, "
    "valid_until, partial, carrier, attempt, client_ref, batch_id, send_at, submitted_at, final_at, metadata, "
    "request_id, error, channels"
)
_TRACE: Final = "(SELECT t.trace_id FROM message_traces AS t WHERE t.message_id = messages.id) AS trace_id"
_METADATA: Final = _VIEW_COLUMNS.split(", ").index("metadata")
_CHANNELS: Final = _VIEW_COLUMNS.split(", ").index("channels")

_GET: Final = f"SELECT {_VIEW_COLUMNS}, {_TRACE} FROM messages WHERE id = $1 AND account_id = $2"
_ACCOUNT_OF: Final = "SELECT account_id FROM messages WHERE id = $1"

_HEAD: Final = f"""
SELECT accepted_at, source, request_id, first_state, first_carrier, route_reason, message_class, send_at,
       channels, {_TRACE}
FROM messages WHERE id = $1 AND account_id = $2
"""
_SUBMISSIONS: Final = """
SELECT segment_index, attempt, carrier, carrier_message_id, raw_id, bind, sequence_number, outcome, status, state,
       submitted_at, response_ms, receipt_state, receipt, steps_left
FROM submissions WHERE message_id = $1 ORDER BY attempt, segment_index LIMIT $2
"""
_EVENTS: Final = """
SELECT log_offset, at, type, detail FROM message_events WHERE message_id = $1 ORDER BY log_offset LIMIT $2
"""

_FINALS: Final = ("delivered", "undeliverable", "rejected", "expired", "failed", "cancelled", "unknown")

_Line = tuple[int, int, str, dict[str, object]]
_Steps = Sequence[Mapping[str, Any]]
"""The channels of a message in order, as its row keeps them; empty where there is only one."""


class PostgresViews:
    """Reads of the projection. Every answer is bounded and has a deadline."""

    def __init__(self, db: Transactions) -> None:
        self._db = db

    async def get_message(self, account_id: str, message_id: UUID) -> MessageView | None:
        """Return the message, or None when this account has no such row (yet)."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            row = await connection.fetchrow(_GET, message_id, account_id)
        return _view(row) if row is not None else None

    async def account_of(self, message_id: UUID) -> str | None:
        """Return whose message it is, None when there is no such row; for operators, not for accounts."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            found: str | None = await connection.fetchval(_ACCOUNT_OF, message_id)
        return found

    async def list_messages(
        self, account_id: str, filters: MessageFilters, *, limit: int, before: UUID | None
    ) -> list[MessageView]:
        """Return the messages that match, newest first, with ids below `before` where it is given."""
        arguments: list[object] = [account_id]
        where = ["account_id = $1"]

        def also(condition: str, value: object) -> None:
            arguments.append(value)
            where.append(condition.format(f"${len(arguments)}"))

        if before is not None:
            also("id < {}", before)
        if filters.since is not None:
            # The id's time is the accept time or a little before it; its day only leaves partitions out.
            since = min(max(filters.since, 0), MAX_TIME_MS)
            where.append(f"id >= '{day_floor(max(0, since - 60_000))}'")
            also("id >= {}", uuid7_floor(max(0, since - 60_000)))
            also("accepted_at >= {}", since)
        for column, value in (
            ("recipient", filters.recipient.lstrip("+") if filters.recipient else None),
            ("state", filters.state),
            ("client_ref", filters.client_ref),
            ("message_class", filters.message_class),
            ("carrier", filters.carrier),
        ):
            if value is not None:
                also(f"{column} = {{}}", value)
        arguments.append(min(max(limit, 1), _MAX_LIMIT))
        statement = f"SELECT {_VIEW_COLUMNS}, {_TRACE} FROM messages WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ${len(arguments)}"
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(statement, *arguments)
        return [_view(row) for row in rows]

    async def list_events(
        self, account_id: str, message_id: UUID, *, limit: int, after: EventPosition | None
    ) -> list[EventView] | None:
        """Return the timeline behind `after`, oldest first; None when this account has no such message (yet)."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            head = await connection.fetchrow(_HEAD, message_id, account_id)
            if head is None:
                return None
            submissions = await connection.fetch(_SUBMISSIONS, message_id, _MAX_SOURCE_ROWS)
            events = await connection.fetch(_EVENTS, message_id, _MAX_SOURCE_ROWS)
            webhooks = await attempts_of(connection, message_id, limit=_MAX_SOURCE_ROWS)
        steps = _STEPS.decode(head["channels"]) if head["channels"] is not None else ()
        lines = sorted(
            [
                *_head_lines(head, steps),
                *_submission_lines(submissions, steps),
                *_webhook_lines(webhooks),
                *_event_lines(events, steps),
            ],
            key=_position,
        )
        if after is not None:
            lines = [line for line in lines if line[:2] > (after.at, after.seq)]
        return [EventView(*line) for line in lines[: min(max(limit, 1), _MAX_LIMIT)]]


def _position(line: _Line) -> tuple[int, int]:
    return line[:2]


def _view(row: Sequence[Any]) -> MessageView:
    values = list(row)
    values[_METADATA] = _JSON.decode(values[_METADATA]) if values[_METADATA] is not None else None
    if values[_CHANNELS] is not None:
        values[_CHANNELS] = tuple([step["channel"] for step in _STEPS.decode(values[_CHANNELS])])
    if values[-1] is not None:
        values[-1] = values[-1].hex
    return MessageView(*values)


def _head_lines(head: Mapping[str, Any], steps: _Steps) -> Iterator[_Line]:
    at = head["accepted_at"]
    accepted: dict[str, object] = {"source": head["source"]}
    if head["request_id"]:
        accepted["request_id"] = head["request_id"]
    if head["trace_id"] is not None:
        accepted["trace_id"] = head["trace_id"].hex
    yield at, 0, "accepted", accepted
    if head["first_state"] == "scheduled":
        yield at, 1, "scheduled", {"send_at": head["send_at"]}
    else:
        yield at, 1, "queued", {"topic": f"lane.{head['first_carrier']}.{head['message_class']}"}
    routed: dict[str, object] = {"carrier": head["first_carrier"], "why": head["route_reason"]}
    yield at, 2, "routed", routed | (_step_detail(steps, len(steps) - 1, with_cost=True) if steps else {})
    for number, step in enumerate(steps[1:], start=2):
        planned: dict[str, object] = {"carrier": step["carrier"], "why": step["why"]}
        left = len(steps) - number
        yield at, 1 + number, "planned", planned | _step_detail(steps, left, with_cost=True)


def _step_detail(steps: _Steps, steps_left: int, *, with_cost: bool = False) -> dict[str, object]:
    """Say which channel of several it is, and what a segment costs there."""
    number = len(steps) - steps_left
    if not 1 <= number <= len(steps):
        return {}
    step = steps[number - 1]
    detail: dict[str, object] = {"step": number, "channel": step["channel"]}
    if with_cost and step["cost"] is not None:
        detail["cost"] = step["cost"]
    return detail


def _submission_lines(rows: Sequence[Mapping[str, Any]], steps: _Steps) -> Iterator[_Line]:
    for row in rows:
        seq = _SEQ_SUBMISSION * (1 + row["attempt"] * 256 + row["segment_index"])
        segment = {"segment": row["segment_index"], "attempt": row["attempt"], "carrier": row["carrier"]}
        if steps:
            segment |= _step_detail(steps, row["steps_left"], with_cost=row["outcome"] == "submitted")
        # An attempt in doubt is also a row of the events, which stays when a late answer changes this one.
        lines = _tried_lines(
            seq,
            segment,
            outcome=row["outcome"],
            status=row["status"],
            bind=row["bind"],
            sequence=row["sequence_number"],
            at=row["submitted_at"],
            response_ms=row["response_ms"],
            carrier_message_id=row["raw_id"] or row["carrier_message_id"],
        )
        if row["outcome"] != "ambiguous":
            yield from lines
        if row["state"] in _FINALS:
            yield row["submitted_at"], seq + 2, "segment_failed", {**segment, "state": row["state"]}
        # Until it is final, the receipt on the submission is also a row of the events.
        if row["receipt_state"] in _FINALS:
            receipt = _JSON.decode(row["receipt"])
            yield (
                receipt["received_at"],
                seq + 3,
                "dlr",
                {**_receipt_detail(receipt, row["receipt_state"]), **segment},
            )


def _tried_lines(
    seq: int,
    segment: Mapping[str, object],
    *,
    outcome: str,
    status: str,
    bind: str,
    sequence: int,
    at: int,
    response_ms: int,
    carrier_message_id: str | None = None,
) -> Iterator[_Line]:
    """Write one submit as two lines: what we did, and what came of it."""
    if bind:
        submitted: dict[str, object] = {**segment, "bind": bind}
        if sequence:
            submitted["sequence"] = sequence
        yield at - response_ms, seq, "submitted", submitted
    result: dict[str, object] = dict(segment)
    if outcome == "submitted":
        result["carrier_message_id"] = carrier_message_id
        result["dur_ms"] = response_ms
        yield at, seq + 1, "acknowledged", result
        return
    if status:
        result["command_status"] = status
    yield at, seq + 1, "in_doubt" if outcome == "ambiguous" else outcome, result


def _webhook_lines(attempts: Sequence[Attempt]) -> Iterator[_Line]:
    for one in attempts:
        detail: dict[str, object] = {
            "endpoint": one.endpoint_id,
            "event": one.type,
            "attempt": one.attempt,
            "state": one.state,
            "status_code": one.status_code,
            "dur_ms": one.duration_ms,
        }
        if one.error:
            detail["error"] = one.error
        # Attempts have no order of their own within a millisecond; the random end of the id keeps them apart.
        yield one.at, _SEQ_WEBHOOK + (one.id.int & (_SEQ_WEBHOOK - 1)), "webhook", detail


def _event_lines(rows: Sequence[Mapping[str, Any]], steps: _Steps) -> Iterator[_Line]:
    for row in rows:
        seq = _SEQ_EVENT + row["log_offset"] * _LINES_A_ROW
        detail = _JSON.decode(row["detail"])
        if row["type"] == "attempted":
            yield from _attempted_lines(seq, row["at"], detail)
        elif row["type"] == "dlr":
            receipt = detail.pop("receipt")
            if receipt.get("intermediate"):
                detail["intermediate"] = True
            detail["carrier"] = receipt["carrier"]
            yield row["at"], seq, "dlr", {**_receipt_detail(receipt, detail["state"]), **detail}
        else:
            if "steps_left" in detail:
                detail |= _step_detail(steps, detail.pop("steps_left"), with_cost=True)
            yield row["at"], seq, row["type"], detail


def _attempted_lines(seq: int, at: int, detail: Mapping[str, Any]) -> Iterator[_Line]:
    common = {"carrier": detail["carrier"], "attempt": detail["attempt"]}
    for tried in detail.get("tried", ())[: _LINES_A_ROW // 4]:
        one = dict(tried)
        yield from _tried_lines(seq, {"segment": one.pop("segment"), **common}, **one)
        seq += 2
    reason: dict[str, object] = {"reason": detail["reason"]} if "reason" in detail else {}
    if "next_carrier" in detail:
        moved = {"from_carrier": detail["carrier"], "carrier": detail["next_carrier"], **reason}
        yield at, seq, "moved", moved
        seq += 1
    if "retry_at" in detail:
        yield (
            at,
            seq,
            "retry",
            {**common, **reason, "retry_at": detail["retry_at"], "retry_in_ms": detail["retry_at"] - at},
        )
        seq += 1
    if "state" in detail:
        yield at, seq, detail["state"], {**common, **reason}


def _receipt_detail(receipt: Mapping[str, Any], state: str) -> dict[str, object]:
    """Return our state and, beside it, what the carrier wrote."""
    detail: dict[str, object] = {"state": state, "message_state": receipt["message_state"]}
    for ours, theirs in _RECEIPT_FIELDS:
        value = receipt.get(theirs)
        if value is not None:
            detail[ours] = value
    return detail


_RECEIPT_FIELDS: Final = (
    ("raw", "raw"),
    ("stat", "raw_stat"),
    ("err", "err"),
    ("network_error_type", "network_error_type"),
    ("network_error_code", "network_error_code"),
    ("submit_date", "submit_date"),
    ("done_date", "done_date"),
    ("bind", "bind"),
    ("parked_at", "parked_at"),
    ("paired_at", "paired_at"),
)
