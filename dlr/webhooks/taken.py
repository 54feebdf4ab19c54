"""Events that an endpoint took at their first attempt, put together for storage. Pure; used by `dlr.webhooks.delivery`.

A row for each of them costs more than telling of it: nearly all events are taken at once, and are looked at by nobody.
So those of one POST share a row where they are of one type and about messages of the same four seconds. Who looks for
the attempts of one message then has the rows of a short time to read (`gateway.store.webhook_attempts`).
"""

from collections.abc import Callable, Sequence
from struct import pack
from typing import Final
from uuid import UUID

from dlr.webhooks.directory import Destination
from dlr.webhooks.outlet import Slip
from gateway.domain.ids import new_uuid7
from gateway.ports.webhook_store import DELIVERED, POST_SLOT_MS, AttemptRow, PostRow

LEAST_EVENTS: Final = 3
"""Fewer cost no more in rows of their own, which are found faster."""

_TIME_SHIFT: Final = 80
_COUNTER_BITS: Final = 8
_RANDOM_BITS: Final = 74


def post_rows(
    destination: Destination,
    batch: Sequence[Slip],
    *,
    status: int,
    duration_ms: int,
    now_ms: int,
    random_bits: Callable[[int], int],
) -> tuple[list[PostRow], list[Slip]]:
    """Return the rows of a POST that was taken, and the events (of at most 100) that get rows of their own."""
    groups: dict[tuple[int, str], list[Slip]] = {}
    for slip in batch:
        key = ((slip.subject >> _TIME_SHIFT) // POST_SLOT_MS, slip.event.type)
        group = groups.get(key)
        if group is None:
            groups[key] = [slip]
        else:
            group.append(slip)
    rows: list[PostRow] = []
    alone: list[Slip] = []
    for (_, event_type), group in groups.items():
        if len(group) < LEAST_EVENTS:
            alone += group
            continue
        subjects = [slip.subject for slip in group]
        rows.append(
            PostRow(
                new_uuid7(now_ms, random_bits(_RANDOM_BITS - _COUNTER_BITS) << _COUNTER_BITS),
                UUID(int=min(subjects)),
                destination.endpoint_id,
                destination.account_id,
                event_type,
                status,
                duration_ms,
                b"".join([one.to_bytes(16, "big") for one in subjects]),
                b"".join([slip.event.id.int.to_bytes(16, "big") for slip in group]),
                pack(f">{len(group)}q", *[slip.event.at for slip in group]),
            )
        )
    return rows, alone


def attempts_in(rows: Sequence[PostRow]) -> list[AttemptRow]:
    """Return what a row of its own would say of each event."""
    return [
        AttemptRow(
            attempt_id,
            message_id,
            row.endpoint_id,
            row.account_id,
            event_id,
            row.type,
            1,
            DELIVERED,
            row.status_code,
            row.duration_ms,
            "",
            at,
            None,
        )
        for row in rows
        for attempt_id, message_id, event_id, at in row.events()
    ]
