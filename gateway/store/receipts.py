"""The table `submissions`: what was handed to carriers, and what they said about it."""

import asyncio
from collections.abc import Sequence
from operator import attrgetter
from typing import Final
from uuid import UUID

from gateway.domain.ids import uuid7_floor
from gateway.domain.lifecycle import State
from gateway.ports.bus import Transaction
from gateway.ports.record_store import (
    CarrierKey,
    DeadRow,
    ReadMark,
    ReceiptRaceError,
    ReceiptUpdate,
    Submission,
    SubmissionRow,
)
from gateway.store import rows as common
from gateway.store.rows import DAY_MS, DEADLINE_S, by_meaning, day_of

NEAR_DAYS: Final = 1
"""Days before today that a receipt's message is first looked for in."""

_CANDIDATES: Final = 4
_CLOCKS_APART_MS: Final = 3_600_000
_STATES: Final = {state.value: state for state in State}
_JSON_SEPARATOR: Final = "\x1e"
"""JSON writes control characters as escapes, so no text holds it."""

_KEY: Final = attrgetter("message_id.int", "segment_index", "attempt")

_INSERT: Final = f"""
INSERT INTO submissions ({", ".join(SubmissionRow._fields)})
VALUES ({", ".join(f"${n}" for n in range(1, len(SubmissionRow._fields) + 1))})
ON CONFLICT (message_id, segment_index, attempt) DO UPDATE SET
    carrier_message_id = EXCLUDED.carrier_message_id, raw_id = EXCLUDED.raw_id, bind = EXCLUDED.bind,
    sequence_number = EXCLUDED.sequence_number, outcome = EXCLUDED.outcome, status = EXCLUDED.status,
    submitted_at = EXCLUDED.submitted_at, response_ms = EXCLUDED.response_ms
WHERE submissions.carrier_message_id IS NULL AND EXCLUDED.carrier_message_id IS NOT NULL
"""

_COLUMNS: Final = (
    "s.message_id, s.segment_index, s.attempt, s.segment_count, s.state, s.receipt_state, "
    "s.receipt ->> 'message_state', s.submitted_at, s.steps_left, s.read_at"
)

# The window of days is literal, so only its partitions are in the plan, whatever their statistics say; and it is
# narrow, because each partition costs one descent of its index for every receipt.
_FIND: Final = """
SELECT k.n, {columns}
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (carrier, carrier_message_id, n)
CROSS JOIN LATERAL (
    SELECT * FROM submissions AS c
    WHERE c.carrier = k.carrier AND c.carrier_message_id = k.carrier_message_id
      AND c.message_id >= '{floor}' AND c.message_id < '{ceiling}'
    ORDER BY c.message_id DESC LIMIT {candidates}
) AS s
"""

# What has an OFFSET is looked up for each message: see `gateway.store.rows`.
_OF_MESSAGES: Final = f"""
SELECT {_COLUMNS}
FROM unnest($1::uuid[]) AS k (message_id)
CROSS JOIN LATERAL (SELECT * FROM submissions AS c WHERE c.message_id = k.message_id OFFSET 0) AS s
"""

_LOCK: Final = "SELECT pg_advisory_xact_lock(k) FROM unnest($1::bigint[]) AS k"

# `= ANY (ARRAY[...])`: see `gateway.store.rows`. All but the ids come as one text each: the driver would ask of every
# element of an array whether it is a list.
_APPLY: Final = """
UPDATE submissions AS s SET
    receipt_state = p.receipt_state, receipt = p.receipt::json
FROM unnest($1::uuid[], $2::text::smallint[], $3::text::smallint[], string_to_array($4, ','), string_to_array($5, E'\\x1e'))
     AS p (message_id, segment_index, attempt, receipt_state, receipt)
WHERE s.message_id = ANY (ARRAY[p.message_id]) AND s.segment_index = p.segment_index AND s.attempt = p.attempt
  AND (s.receipt_state IS NULL OR s.receipt_state = 'submitted')
"""

_MARK_READ: Final = """
UPDATE submissions SET read_at = $4
WHERE message_id = $1 AND segment_index = $2 AND attempt = $3 AND read_at IS NULL
"""


class PostgresSubmissions:
    """The table `submissions`; implements `gateway.ports.record_store.ReceiptStore`.

    `lookback_days` is how old a message may be for a receipt to find it: up to 14 days until `send_at`, 3 days of
    validity and the 72 h that a receipt may take.
    """

    def __init__(self, *, lookback_days: int = 20) -> None:
        self._lookback_days = lookback_days

    async def insert_submissions(
        self, tx: Transaction, rows: Sequence[SubmissionRow], *, careful: bool = False
    ) -> None:
        """Write results of submits; RowsExistError for a known one unless `careful`, which adds a late carrier id."""
        if not rows:
            return
        with by_meaning():
            async with asyncio.timeout(DEADLINE_S):
                if careful:
                    await tx.executemany(_INSERT, rows)
                else:
                    await tx.copy_records_to_table("submissions", records=rows, columns=SubmissionRow._fields)

    async def lock_messages(self, tx: Transaction, message_ids: Sequence[UUID]) -> None:
        """Take the lock of each message, in one order for everybody, until `tx` ends."""
        if message_ids:
            keys = sorted({_lock_key(message_id) for message_id in message_ids})
            async with asyncio.timeout(DEADLINE_S):
                await tx.execute(_LOCK, keys)

    async def submissions_of(self, tx: Transaction, message_ids: Sequence[UUID]) -> list[Submission]:
        """Return every submission of these messages."""
        if not message_ids:
            return []
        async with asyncio.timeout(DEADLINE_S):
            found = await tx.fetch(_OF_MESSAGES, list(message_ids))
        return [_submission(*row) for row in found]

    async def find(
        self, tx: Transaction, keys: Sequence[CarrierKey], *, now_ms: int
    ) -> dict[CarrierKey, list[Submission]]:
        """Return the few newest submissions of each key: today and yesterday first, then as far back as allowed."""
        near, ceiling_ms = near_window(now_ms)
        found = await self._find(tx, keys, floor_ms=near, ceiling_ms=ceiling_ms)
        missing = [key for key in keys if key not in found]
        if missing:
            floor_ms = near - self._lookback_days * DAY_MS
            found.update(await self._find(tx, missing, floor_ms=floor_ms, ceiling_ms=near))
        return found

    async def _find(
        self, tx: Transaction, keys: Sequence[CarrierKey], *, floor_ms: int, ceiling_ms: int
    ) -> dict[CarrierKey, list[Submission]]:
        if not keys:
            return {}
        statement = _FIND.format(
            columns=_COLUMNS,
            floor=uuid7_floor(max(floor_ms, 0)),
            ceiling=uuid7_floor(max(ceiling_ms, 0)),
            candidates=_CANDIDATES,
        )
        with by_meaning():
            async with asyncio.timeout(DEADLINE_S):
                rows = await tx.fetch(statement, [key[0] for key in keys], [key[1] for key in keys])
        found: dict[CarrierKey, list[Submission]] = {}
        for n, *columns in rows:
            submission = _submission(*columns)
            same = found.get(keys[n - 1])
            if same is None:
                found[keys[n - 1]] = [submission]
            else:
                same.append(submission)
        return found

    async def apply(self, tx: Transaction, updates: Sequence[ReceiptUpdate]) -> None:
        """Write receipts onto their submissions; ReceiptRaceError when one has a final receipt by now."""
        if not updates:
            return
        # In the order of the key: two consumers never wait for each other crosswise.
        ids, segments, attempts, states, receipts = zip(*sorted(updates, key=_KEY), strict=True)
        with by_meaning():
            async with asyncio.timeout(DEADLINE_S):
                tag: str = await tx.execute(
                    _APPLY,
                    list(ids),
                    f"{{{','.join(map(str, segments))}}}",
                    f"{{{','.join(map(str, attempts))}}}",
                    ",".join(states),
                    _JSON_SEPARATOR.join(receipts),
                )
        if int(tag.rsplit(maxsplit=1)[-1]) != len(updates):
            raise ReceiptRaceError(f"{tag} where {len(updates)} were judged")

    async def mark_read(self, tx: Transaction, read: Sequence[ReadMark]) -> None:
        """Keep when segments were read; the first time stays."""
        if read:
            async with asyncio.timeout(DEADLINE_S):
                await tx.executemany(_MARK_READ, sorted(read, key=_KEY))

    async def insert_dead(self, tx: Transaction, rows: Sequence[DeadRow]) -> None:
        """Keep records that could not be processed."""
        async with asyncio.timeout(DEADLINE_S):
            await common.insert_dead(tx, list(rows))


def near_window(now_ms: int) -> tuple[int, int]:
    """Return the days (from, before; in milliseconds since the epoch) that a receipt's message is first looked for in."""
    # The clock of the host that made the id may be ahead of ours.
    return max(day_of(now_ms) - NEAR_DAYS * DAY_MS, 0), day_of(now_ms + _CLOCKS_APART_MS) + DAY_MS


def _submission(
    message_id: UUID,
    segment_index: int,
    attempt: int,
    segment_count: int,
    state: str,
    receipt_state: str | None,
    receipt_stat: str | None,
    submitted_at: int,
    steps_left: int,
    read_at: int | None,
) -> Submission:
    return Submission(
        message_id,
        segment_index,
        attempt,
        segment_count,
        _STATES[state],
        _STATES[receipt_state] if receipt_state is not None else None,
        receipt_stat,
        submitted_at,
        steps_left,
        read_at,
    )


def _lock_key(message_id: UUID) -> int:
    # The last 62 bits of a UUIDv7 are random; the lock space is signed.
    return (message_id.int & 0xFFFFFFFFFFFFFFFF) - (1 << 63)
