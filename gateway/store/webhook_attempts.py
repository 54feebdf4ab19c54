"""Attempts at webhook endpoints, event by event, from both tables that keep them.

`webhook_deliveries` has a row for each event and attempt. In `webhook_posts` events that were taken at once share a row;
a message is looked for in the rows of its slot (`gateway.ports.webhook_store.POST_SLOT_MS`), some hundred at the highest
rates. Used by `gateway.store.webhooks`, `.views` and `.webhook_replay`.
"""

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from gateway.domain.ids import uuid7_time_ms
from gateway.ports.webhook_store import DELIVERED, POST_SLOT_MS, Attempt, PostRow

_TIME_SHIFT: Final = 80
_ID: Final = attrgetter("id.int")
_COLUMNS: Final = ", ".join(PostRow._fields)

ATTEMPT: Final = """
id, message_id, endpoint_id, event_id, type, attempt, state, status_code, duration_ms, error FROM webhook_deliveries
"""
ATTEMPTS_OF: Final = f"SELECT {ATTEMPT} WHERE message_id = $1 ORDER BY id LIMIT $2"

OF_MESSAGE: Final = f"""
SELECT {_COLUMNS} FROM webhook_posts
WHERE first_message_id >= $1 AND first_message_id <= $2 AND position($3::bytea IN message_ids) > 0
ORDER BY id LIMIT $4
"""
# One row more than asked for: the first may hold nothing before the cursor that is in it.
_OF_ENDPOINT: Final = f"""
SELECT {_COLUMNS} FROM webhook_posts
WHERE account_id = $1 AND endpoint_id = $2 AND id < $3 AND (cardinality($4::text[]) = 0 OR type = ANY ($4::text[]))
ORDER BY id DESC LIMIT $5::int + 1
"""
_CANDIDATES: Final = f"""
SELECT {_COLUMNS} FROM webhook_posts
WHERE endpoint_id = $1 AND account_id = $2 AND id >= $3 AND id < $4 AND first_message_id >= $5
  AND (cardinality($6::text[]) = 0 OR type = ANY ($6::text[]))
  AND (cardinality($7::uuid[]) = 0
       OR EXISTS (SELECT FROM unnest($7::uuid[]) AS wanted (id) WHERE position(uuid_send(wanted.id) IN event_ids) > 0))
ORDER BY id LIMIT $8
"""
_LATER: Final = f"""
SELECT {", ".join(f"p.{name}" for name in PostRow._fields)}
FROM unnest($1::uuid[], $2::uuid[]) AS k (floor, ceiling) CROSS JOIN LATERAL (
    SELECT * FROM webhook_posts AS c
    WHERE c.first_message_id >= k.floor AND c.first_message_id < k.ceiling AND c.endpoint_id = $3 AND c.id >= $4 OFFSET 0
) AS p
"""
_HIGHEST: Final = UUID(int=(1 << 128) - 1)


def slot_floor(message_id: UUID) -> UUID:
    """Return the smallest id of the slot that a message is in."""
    return UUID(int=_slot_at(message_id) << _TIME_SHIFT)


def slot_ceiling(message_id: UUID) -> UUID:
    """Return the smallest id behind the slot that a message is in."""
    return UUID(int=min((_slot_at(message_id) + POST_SLOT_MS) << _TIME_SHIFT, _HIGHEST.int))


async def attempts_of(connection: Any, message_id: UUID, *, limit: int) -> list[Attempt]:
    """Return the attempts of one message's events, the oldest first."""
    rows = await connection.fetch(ATTEMPTS_OF, message_id, limit)
    posts = await connection.fetch(OF_MESSAGE, slot_floor(message_id), message_id, message_id.bytes, limit)
    found = [attempt_of(row) for row in rows]
    if posts:
        found += [one for one in _attempts(posts) if one.subject_id == message_id]
        found.sort(key=_ID)
    return found[:limit]


def attempt_of(row: Mapping[str, Any]) -> Attempt:
    """Return a row of `webhook_deliveries` as people see it."""
    return Attempt(
        row["id"],
        uuid7_time_ms(row["id"]),
        row["endpoint_id"],
        row["event_id"],
        row["type"],
        row["message_id"],
        row["attempt"],
        row["state"],
        row["status_code"],
        row["duration_ms"],
        row["error"],
    )


async def attempts_at(
    connection: Any,
    account_id: str,
    endpoint_id: str,
    *,
    types: Sequence[str],
    limit: int,
    before: UUID | None,
) -> list[Attempt]:
    """Return attempts at one endpoint with ids below `before`, the newest first; not fewer than `limit` where there are."""
    highest = before if before is not None else _HIGHEST
    rows = await connection.fetch(_OF_ENDPOINT, account_id, endpoint_id, highest, list(types), limit)
    found = [one for one in _attempts(rows) if one.id < highest]
    found.sort(key=_ID, reverse=True)
    return found[:limit]


async def candidates(
    tx: Any,
    account_id: str,
    endpoint_id: str,
    *,
    since: UUID,
    until: UUID,
    messages_from: UUID,
    types: Sequence[str],
    event_ids: Sequence[UUID],
    limit: int,
) -> list[tuple[Attempt, int]]:
    """Return attempts over since `since` and before `until`, the oldest first, each with the time of its event."""
    rows = await tx.fetch(
        _CANDIDATES, endpoint_id, account_id, since, until, messages_from, list(types), list(event_ids), limit
    )
    wanted = frozenset(event_ids)
    return [
        (_attempt(post, *event[:3]), event[3])
        for post in map(PostRow._make, rows)
        for event in post.events()
        if not wanted or event[2] in wanted
    ][:limit]


async def last_taken(
    tx: Any, endpoint_id: str, message_ids: Iterable[UUID], *, since: UUID
) -> dict[UUID, UUID]:
    """Return the id of the last attempt of each event about (at least) these messages, over since `since`."""
    floors = {_slot_at(one): one for one in message_ids}
    if not floors:
        return {}
    rows = await tx.fetch(
        _LATER,
        [slot_floor(one) for one in floors.values()],
        [slot_ceiling(one) for one in floors.values()],
        endpoint_id,
        since,
    )
    last: dict[UUID, UUID] = {}
    for attempt in _attempts(rows):
        if attempt.event_id not in last or last[attempt.event_id] < attempt.id:
            last[attempt.event_id] = attempt.id
    return last


def _slot_at(message_id: UUID) -> int:
    time_ms = uuid7_time_ms(message_id)
    return time_ms - time_ms % POST_SLOT_MS


def _attempts(rows: Iterable[Sequence[Any]]) -> list[Attempt]:
    return [_attempt(post, *event[:3]) for post in map(PostRow._make, rows) for event in post.events()]


def _attempt(post: PostRow, attempt_id: UUID, message_id: UUID, event_id: UUID) -> Attempt:
    return Attempt(
        attempt_id,
        uuid7_time_ms(attempt_id),
        post.endpoint_id,
        event_id,
        post.type,
        message_id,
        1,
        DELIVERED,
        post.status_code,
        post.duration_ms,
        "",
    )
