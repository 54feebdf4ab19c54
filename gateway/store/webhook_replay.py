"""Events that are sent again on request: exhausted ones as they were, delivered ones made anew from their message.

Called by `gateway.store.webhooks`. What is replayed waits like everything else and is delivered at the rate of the
backlog, with the event's first id, so that a receiver recognises what it has.
"""

import asyncio
from collections.abc import Sequence
from operator import attrgetter
from typing import Final, NamedTuple
from uuid import UUID
from zlib import crc32

import msgspec

from gateway.domain.ids import MAX_TIME_MS, uuid7_floor, uuid7_time_ms
from gateway.domain.notices import MESSAGE_TYPE_BY_STATE, MessageFacts, event_json, message_notice
from gateway.ports.bus import Transaction
from gateway.ports.store import Transactions
from gateway.ports.webhook_store import DELIVERED, EXHAUSTED, EventRow, Replayed, ReplayFilter
from gateway.store.rows import DAY_MS, day_floor, facts_of
from gateway.store.webhook_attempts import candidates, last_taken
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

_DONE_LATER: Final = """
SELECT k.id FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS k (id, message_id, event_id)
CROSS JOIN LATERAL (
    SELECT FROM webhook_deliveries AS later
    WHERE later.message_id = k.message_id AND later.event_id = k.event_id AND later.endpoint_id = $4
      AND later.id > k.id AND later.state <> 'failed' LIMIT 1
) AS found
"""
_ID: Final = attrgetter("id.int")


class _Chosen(NamedTuple):
    """What may be sent again, with the columns of `_CHOOSE`; `is_shared` when its row has other events too."""

    id: UUID
    message_id: UUID
    event_id: UUID
    type: str
    event_at: int
    body: bytes | None
    state: str
    is_shared: bool


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
        found = await _found(tx, account_id, endpoint_id, which, since=since, until=until, limit=limit + 1)
        is_complete = len(found) <= limit
        next_since = until
        if not is_complete:
            first_ms, next_since = uuid7_time_ms(found[0].id), uuid7_time_ms(found[limit].id)
            if first_ms == next_since:
                next_since += 1  # more in one millisecond than a call may do
            # Of the last millisecond either all is done now, or nothing.
            found = [one for one in found[:limit] if uuid7_time_ms(one.id) < next_since]
        chosen = await _standing(tx, endpoint_id, found)
        facts = await _facts(tx, [one.message_id for one in chosen if one.body is None])
        rows = []
        for one in chosen:
            body = one.body if one.state == EXHAUSTED else None
            if body is None:
                body = _made_anew(one, facts.get(one.message_id))
            if body is not None:
                rows.append(_waiting_row(one, account_id, endpoint_id, body, now_ms=now_ms, shards=shards))
        count = await insert_waiting(tx, rows)
    return Replayed(count, is_complete, next_since)


async def _found(
    tx: Transaction,
    account_id: str,
    endpoint_id: str,
    which: ReplayFilter,
    *,
    since: int,
    until: int,
    limit: int,
) -> list[_Chosen]:
    """Return what the filter names, the oldest first: of both tables, as if it were one."""
    messages_from = day_floor(max(since - _OLDEST_SUBJECT_MS, 0))
    rows = await tx.fetch(
        _CHOOSE,
        endpoint_id,
        account_id,
        uuid7_floor(since),
        uuid7_floor(until),
        list(which.states),
        messages_from,
        list(which.types),
        list(which.event_ids),
        limit,
    )
    found = [_Chosen._make((*row, False)) for row in rows]
    if DELIVERED in which.states:
        taken = await candidates(
            tx,
            account_id,
            endpoint_id,
            since=uuid7_floor(since),
            until=uuid7_floor(until),
            messages_from=messages_from,
            types=which.types,
            event_ids=which.event_ids,
            limit=limit,
        )
        found += [
            _Chosen(one.id, one.subject_id, one.event_id, one.type, at, None, one.state, True)
            for one, at in taken
        ]
        found.sort(key=_ID)
    return found[:limit]


async def _standing(tx: Transaction, endpoint_id: str, found: list[_Chosen]) -> list[_Chosen]:
    """Leave out what was tried again since, with an end that is in another row."""
    if not found:
        return []
    last = await last_taken(tx, endpoint_id, [one.message_id for one in found], since=found[0].id)
    shared = [one for one in found if one.is_shared]
    gone: set[UUID] = set()
    if shared:
        ids, message_ids, event_ids = zip(
            *[(one.id, one.message_id, one.event_id) for one in shared], strict=True
        )
        rows = await tx.fetch(_DONE_LATER, list(ids), list(message_ids), list(event_ids), endpoint_id)
        gone = {row[0] for row in rows}
    return [one for one in found if one.id not in gone and last.get(one.event_id, one.id) <= one.id]


async def _facts(tx: Transaction, message_ids: Sequence[UUID]) -> dict[UUID, MessageFacts]:
    if not message_ids:
        return {}
    rows = await tx.fetch(_FACTS, list(set(message_ids)))
    return {row["id"]: facts_of(row) for row in rows}


def _made_anew(row: _Chosen, facts: MessageFacts | None) -> bytes | None:
    """Return the event's body made from the message as it is now; None where there is none (any more)."""
    state = _STATE_BY_TYPE.get(row.type)
    if facts is None or state is None:
        return None
    notice = message_notice(facts, state)
    return _encode(event_json(row.event_id, row.type, row.event_at, notice.data))


def _waiting_row(
    row: _Chosen, account_id: str, endpoint_id: str, body: bytes, *, now_ms: int, shards: int
) -> EventRow:
    subject_id: UUID = row.message_id
    return EventRow(
        crc32(subject_id.bytes) % shards,
        0,
        endpoint_id,
        account_id,
        row.event_id,
        subject_id,
        row.type,
        row.event_at,
        body,
        0,
        now_ms,
        now_ms,
        "",
    )
