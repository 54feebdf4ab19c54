"""The table `channel_steps`; implements `gateway.ports.channel_store.ChannelStore`."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from gateway.domain.lifecycle import FINALS, State
from gateway.domain.receipts import MessageState
from gateway.policy.channels import Sign
from gateway.ports.bus import Transaction
from gateway.ports.channel_store import (
    DueStep,
    FailedStep,
    StepKey,
    StepState,
    StepVerdict,
    SubmittedStep,
)
from gateway.ports.record_store import DeadRow
from gateway.ports.store import Transactions
from gateway.store import rows as common
from gateway.store.rows import by_meaning

_DEADLINE_S: Final = 10.0
_TAKEN: Final = "submitted"
_RECEIPTS: Final = {state.value: state for state in MessageState}

_ADD_SUBMITTED: Final = """
INSERT INTO channel_steps AS c (message_id, steps_left, state, due_at, value, expires_at)
SELECT message_id, steps_left, 'waiting', due_at, value, expires_at
FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bytea[], $5::bigint[])
     AS p (message_id, steps_left, due_at, value, expires_at)
ON CONFLICT (message_id, steps_left) DO UPDATE SET value = EXCLUDED.value, due_at = $6
WHERE c.state = 'failed' AND c.value IS NULL
"""

_ADD_FAILED: Final = """
INSERT INTO channel_steps AS c (message_id, steps_left, state, due_at, failed_as, reason, value, expires_at)
SELECT message_id, steps_left, 'failed', CASE WHEN value IS NULL THEN NULL ELSE $7::bigint END, failed_as, reason, value,
       expires_at
FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::text[], $5::bytea[], $6::bigint[])
     AS p (message_id, steps_left, failed_as, reason, value, expires_at)
ON CONFLICT (message_id, steps_left) DO UPDATE SET
    state = 'failed', failed_as = EXCLUDED.failed_as, reason = EXCLUDED.reason,
    value = coalesce(EXCLUDED.value, c.value), due_at = $7
WHERE c.state IN ('waiting', 'passed')
"""

_CLAIM: Final = """
SELECT message_id, steps_left, state, failed_as, reason, value FROM channel_steps
WHERE due_at <= $1 AND value IS NOT NULL AND (state = 'failed' OR due_at <= $2)
ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
"""

_FINAL: Final = """
SELECT m.id FROM unnest($1::uuid[]) AS k (id)
CROSS JOIN LATERAL (SELECT id, state_rank FROM messages AS c WHERE c.id = k.id OFFSET 0) AS m WHERE m.state_rank = 3
"""

_SIGNS: Final = """
SELECT s.message_id, s.steps_left, s.segment_index, s.outcome, s.state, s.receipt_state, s.receipt ->> 'message_state'
FROM unnest($1::uuid[], $2::smallint[]) AS k (message_id, steps_left)
CROSS JOIN LATERAL (SELECT * FROM submissions AS c WHERE c.message_id = k.message_id OFFSET 0) AS s
WHERE s.steps_left = k.steps_left
"""

_DECIDE: Final = """
UPDATE channel_steps AS c SET state = p.state, due_at = p.due_at,
    value = CASE WHEN p.state = 'done' THEN NULL ELSE c.value END
FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::bigint[]) AS p (message_id, steps_left, state, due_at)
WHERE c.message_id = ANY (ARRAY[p.message_id]) AND c.steps_left = p.steps_left
"""

_FORGET: Final = """
DELETE FROM channel_steps WHERE (message_id, steps_left) IN (
    SELECT message_id, steps_left FROM channel_steps WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2
    FOR UPDATE SKIP LOCKED
)
"""


class PostgresChannelSteps:
    """See the rules of the port."""

    def __init__(self, db: Transactions) -> None:
        self._db = db

    async def add_submitted(self, tx: Transaction, rows: Sequence[SubmittedStep], *, now_ms: int) -> None:
        """Let the time of these steps begin; one that was told to have failed before is due at once."""
        if rows:
            unique = {row[:2]: row for row in reversed(rows)}  # the first of them counts
            with by_meaning():
                async with asyncio.timeout(_DEADLINE_S):
                    await tx.execute(_ADD_SUBMITTED, *_columns(sorted(unique.values())), now_ms)

    async def add_failed(self, tx: Transaction, rows: Sequence[FailedStep], *, now_ms: int) -> None:
        """Make these steps due at once, as failed."""
        if rows:
            unique = {row[:2]: row for row in reversed(rows)}
            ordered = [unique[key] for key in sorted(unique)]
            with by_meaning():
                async with asyncio.timeout(_DEADLINE_S):
                    await tx.execute(_ADD_FAILED, *_columns(ordered), now_ms)

    async def claim_due(
        self, tx: Transaction, *, now_ms: int, timeouts_before_ms: int, limit: int
    ) -> list[DueStep]:
        """Return and lock steps that are due, the oldest first."""
        async with asyncio.timeout(_DEADLINE_S):
            found = await tx.fetch(_CLAIM, now_ms, timeouts_before_ms, limit)
        return [
            DueStep(
                message_id,
                steps_left,
                StepState(state),
                None if failed_as is None else State(failed_as),
                reason,
                value,
            )
            for message_id, steps_left, state, failed_as, reason, value in found
        ]

    async def final_among(self, tx: Transaction, message_ids: Sequence[UUID]) -> set[UUID]:
        """Return those of the messages that have their final state."""
        async with asyncio.timeout(_DEADLINE_S):
            return {row[0] for row in await tx.fetch(_FINAL, list(message_ids))}

    async def signs_of(self, tx: Transaction, keys: Sequence[StepKey]) -> Mapping[StepKey, list[Sign]]:
        """Return what is known of the submits of these steps."""
        signs: dict[StepKey, list[Sign]] = {}
        if not keys:
            return signs
        async with asyncio.timeout(_DEADLINE_S):
            found = await tx.fetch(_SIGNS, *_columns(keys))
        for message_id, steps_left, segment_index, outcome, state, receipt_state, receipt in found:
            own = State(state)
            now = own if receipt_state is None or own in FINALS else State(receipt_state)
            sign = Sign(segment_index, outcome == _TAKEN, now, _RECEIPTS.get(receipt))
            signs.setdefault(StepKey(message_id, steps_left), []).append(sign)
        return signs

    async def decide(self, tx: Transaction, verdicts: Sequence[StepVerdict]) -> None:
        """Write down what was decided."""
        if verdicts:
            async with asyncio.timeout(_DEADLINE_S):
                await tx.execute(_DECIDE, *_columns(verdicts))

    async def next_due_ms(self) -> int | None:
        """Return when the next step is due, None when none waits."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            due_ms: int | None = await connection.fetchval(
                "SELECT due_at FROM channel_steps WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1"
            )
        return due_ms

    async def overdue(self, *, now_ms: int, most: int) -> int:
        """Return how many steps are due and not decided, at most `most`."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            count: int = await connection.fetchval(
                "SELECT count(*) FROM (SELECT 1 FROM channel_steps WHERE due_at <= $1 LIMIT $2) AS due",
                now_ms,
                most,
            )
        return count

    async def forget_expired(self, *, now_ms: int, limit: int) -> int:
        """Delete rows past their time, at most `limit`; return how many."""
        async with asyncio.timeout(_DEADLINE_S), self._db.acquire() as connection:
            done: str = await connection.execute(_FORGET, now_ms, limit)
        return int(done.rpartition(" ")[2])

    async def insert_dead(self, tx: Transaction, rows: Sequence[DeadRow]) -> None:
        """Keep records that could not be processed."""
        async with asyncio.timeout(_DEADLINE_S):
            await common.insert_dead(tx, list(rows))


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
