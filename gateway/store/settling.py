"""Receipts that are the whole story of their message, written in one statement. Used by `gateway.store.messages`.

Nearly every receipt is the first one of a message's only submit and says delivered. Such a one is found, put on its
submission and its message moved without a row of it coming here first, for half of what asking, judging and writing
cost. What the statement does not take stays as it was; `dlr` judges it.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from gateway.domain.ids import uuid7_floor
from gateway.domain.notices import MessageFacts
from gateway.ports.bus import Transaction
from gateway.ports.record_store import PlainReceipt, ReceiptRaceError, Settled, StateChange
from gateway.store.receipts import near_window
from gateway.store.rows import DEADLINE_S, by_meaning, facts_of

SEPARATOR: Final = "\x1e"
"""JSON writes control characters as escapes, so no receipt holds it; a carrier's id that does is left to dlr."""

_SUBMITTED_RANK: Final = 2

# All values come as one text each: the driver would ask of every element of an array whether it is a list.
#
# A carrier may have used the id again, or for two segments: only an id with one submission in the window is taken. The
# window is literal, as in `store.receipts`. Sorted by message, so that two writers never wait for each other crosswise;
# a message is moved before its submission is written, as everybody does (`gateway.recorder.states`).
_SETTLE: Final = """
WITH found AS MATERIALIZED (
    SELECT n, at, receipt, message_id, submitted_at, place FROM (
        SELECT g.n, g.at, g.receipt, s.*, count(*) OVER (PARTITION BY g.n) AS candidates
        FROM unnest(string_to_array($1, E'\\x1e'), string_to_array($2, E'\\x1e'), string_to_array($3, ',')::bigint[],
                    string_to_array($4, E'\\x1e')) WITH ORDINALITY AS g (carrier, carrier_message_id, at, receipt, n)
        CROSS JOIN LATERAL (
            SELECT c.message_id, c.submitted_at, c.ctid AS place,
                   c.receipt_state IS NULL AND c.state = 'submitted' AND c.segment_count = 1 AND c.segment_index = 1
                   AND c.attempt = 1 AND c.steps_left = 0 AS is_plain
            FROM submissions AS c
            WHERE c.carrier = g.carrier AND c.carrier_message_id = g.carrier_message_id
              AND c.message_id >= '{floor}' AND c.message_id < '{ceiling}'
            ORDER BY c.message_id DESC LIMIT 2
        ) AS s
    ) AS matched
    WHERE candidates = 1 AND is_plain
    ORDER BY message_id
), moved AS (
    UPDATE messages AS m SET state = 'delivered', state_rank = 3, partial = false, final_at = f.at, error = ''
    FROM found AS f
    WHERE m.id = ANY (ARRAY[f.message_id]) AND m.state_rank = 2
    RETURNING f.n, f.receipt, f.place, f.submitted_at AS handed_at, {columns}
), stored AS (
    UPDATE submissions AS s SET receipt_state = 'delivered', receipt = f.receipt::json
    FROM moved AS f
    WHERE s.message_id = ANY (ARRAY[f.id]) AND s.ctid = f.place AND s.receipt_state IS NULL
    RETURNING 1
)
"""
_COUNTED: Final = "(SELECT count(*) FROM stored), array_agg(n), array_agg(handed_at)"
_QUIETLY: Final = f"{_SETTLE} SELECT {_COUNTED} FROM moved"
_FACTS: Final = ", ".join(MessageFacts._fields)
_TELLING: Final = f"""{_SETTLE}
SELECT {_COUNTED}, {", ".join(["NULL"] * len(MessageFacts._fields))} FROM moved
UNION ALL
SELECT NULL, NULL, NULL, {_FACTS} FROM moved WHERE origin IS NOT NULL OR account_id IN (SELECT unnest($5::text[]))
"""
_ALL_FACTS: Final = ", ".join(f"m.{name}" for name in MessageFacts._fields)


async def settle(
    tx: Transaction, receipts: Sequence[PlainReceipt], *, now_ms: int, accounts: Sequence[str] | None
) -> Settled:
    """Write what needs no judgement; see `gateway.ports.record_store.StateStore.settle`."""
    if not receipts:
        return Settled([], [], [])
    carriers, ids, ats, kept = zip(*receipts, strict=True)
    joined = SEPARATOR.join(ids)
    if joined.count(SEPARATOR) != len(ids) - 1:
        return Settled([], [], [])
    texts = (SEPARATOR.join(carriers), joined, ",".join(map(str, ats)), SEPARATOR.join(kept))
    floor_ms, ceiling_ms = near_window(now_ms)
    floor, ceiling = uuid7_floor(floor_ms), uuid7_floor(ceiling_ms)
    with by_meaning():
        async with asyncio.timeout(DEADLINE_S):
            if accounts is None:
                statement = _QUIETLY.format(floor=floor, ceiling=ceiling, columns="m.id")
                told = await tx.fetch(statement, *texts)
            else:
                statement = _TELLING.format(floor=floor, ceiling=ceiling, columns=_ALL_FACTS)
                told = await tx.fetch(statement, *texts, list(accounts))
    stored, places, submitted_ats = told[0][:3]
    if places is None:
        return Settled([], [], [])
    if stored != len(places):
        raise ReceiptRaceError(f"{stored} receipts stored where {len(places)} messages moved")
    changes = [StateChange(facts_of(row[3:]), _SUBMITTED_RANK) for row in told[1:]]
    return Settled([one - 1 for one in places], submitted_ats, changes)
