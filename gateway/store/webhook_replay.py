"""Events that are sent again on request: exhausted ones as they were, delivered ones made anew from their message.

Called by `gateway.store.webhooks`. What is replayed waits like everything else and is delivered at the rate of the
backlog, with the event's first id, so that a receiver recognises what it has.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID
from zlib import crc32

import msgspec

from gateway.domain.ids import MAX_TIME_MS, uuid7_floor
from gateway.domain.notices import MESSAGE_TYPE_BY_STATE, MessageFacts, event_json, message_notice
from gateway.ports.bus import Transaction
from gateway.ports.store import Transactions
from gateway.ports.webhook_store import EXHAUSTED, EventRow, Replayed, ReplayFilter
from gateway.store.rows import DAY_MS, day_floor, facts_of
from gateway.store.webhook_delivery import insert_waiting

_DEADLINE_S: Final = 15.0
_OLDEST_SUBJECT_MS: Final = 14 * DAY_MS
"""How much older than an attempt its message may be: validity, receipt deadline and the whole retry schedule."""

_STATE_BY_TYPE: Final = {event_type: state for state, event_type in MESSAGE_TYPE_BY_STATE.items()}

# The last row of an event tells how it stands: an exhausted one may have been replayed and delivered since.
_CHOOSE: Final = """
SELECT d.id, d.message_id, d.event_id, d.type, d.event_at, d.body, d.state FROM webhook_deliveries AS d
WHERE d.endpoint_id = $1 AND d.account_id = $2 AND d.id >= $3 AND d.id < $4 AND d.state = ANY ($5::text[])
  AND d.message_id >= $6
  AND (cardinality($7::text[]) = 0 OR d.type = ANY ($7::text[]))
  AND (cardinality($8::uuid[]) = 0 OR d.event_id = ANY ($8::uuid[]))
  AND NOT EXISTS (
      SELECT FROM webhook_deliveries AS later
      WHERE later.message_id = d.message_id AND later.event_id = d.event_id AND later.endpoint_id = d.endpoint_id
        AND later.id > d.id AND later.state <> 'failed'
  )
ORDER BY d.id LIMIT $9
"""
_FACTS: Final = f"""
SELECT {", ".join(f"m.{name}" for name in MessageFacts._fields)}
FROM unnest($1::uuid[]) AS k (id) CROSS JOIN LATERAL (SELECT * FROM messages AS one WHERE one.id = k.id OFFSET 0) AS m
"""
_IS_THERE: Final = "SELECT true FROM webhook_endpoints WHERE account_id = $1 AND id = $2"

_encode = msgspec.json.encode


async def replay(
    db: Transactions,
    account_id: str,
    endpoint_id: str,
    which: ReplayFilter,
    *,
    limit: int,
    now_ms: int,
    shards: int,
) -> Replayed:
    """Let events wait again; see `gateway.ports.webhook_store.WebhookStore.replay`."""
    since = min(max(which.since, 0), MAX_TIME_MS)
    until = min(max(now_ms + 1 if which.until is None else which.until, 0), MAX_TIME_MS)
    async with asyncio.timeout(_DEADLINE_S), db.transaction() as tx:
        if not await tx.fetchval(_IS_THERE, account_id, endpoint_id):
            return Replayed(0, True, until)
        found = await tx.fetch(
            _CHOOSE,
            endpoint_id,
            account_id,
            uuid7_floor(since),
            uuid7_floor(until),
            list(which.states),
            day_floor(max(since - _OLDEST_SUBJECT_MS, 0)),
            list(which.types),
            list(which.event_ids),
            limit,
        )
        facts = await _facts(tx, [row["message_id"] for row in found if row["body"] is None])
        rows = []
        for row in found:
            body = row["body"] if row["state"] == EXHAUSTED else None
            if body is None:
                body = _made_anew(row, facts.get(row["message_id"]))
            if body is not None:
                rows.append(_waiting_row(row, account_id, endpoint_id, body, now_ms=now_ms, shards=shards))
        count = await insert_waiting(tx, rows)
    is_complete = len(found) < limit
    return Replayed(count, is_complete, until if is_complete else (found[-1]["id"].int >> 80) + 1)


async def _facts(tx: Transaction, message_ids: Sequence[UUID]) -> dict[UUID, MessageFacts]:
    if not message_ids:
        return {}
    rows = await tx.fetch(_FACTS, list(set(message_ids)))
    return {row["id"]: facts_of(row) for row in rows}


def _made_anew(row: Mapping[str, Any], facts: MessageFacts | None) -> bytes | None:
    """Return the event's body made from the message as it is now; None where there is none (any more)."""
    state = _STATE_BY_TYPE.get(row["type"])
    if facts is None or state is None:
        return None
    notice = message_notice(facts, state)
    return _encode(event_json(row["event_id"], row["type"], row["event_at"], notice.data))


def _waiting_row(
    row: Mapping[str, Any], account_id: str, endpoint_id: str, body: bytes, *, now_ms: int, shards: int
) -> EventRow:
    subject_id: UUID = row["message_id"]
    return EventRow(
        crc32(subject_id.bytes) % shards,
        0,
        endpoint_id,
        account_id,
        row["event_id"],
        subject_id,
        row["type"],
        row["event_at"],
        body,
        0,
        now_ms,
        now_ms,
        "",
    )
