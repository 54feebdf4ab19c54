"""Repeats recognised: idempotency keys of requests, and client_refs of messages.

Both are claimed inside the transaction that makes the messages durable, so either both exist or neither. Claims are
made in key order: two transactions with the same keys wait for each other, never both for both.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from gateway.ports.bus import Transaction
from gateway.ports.intake_store import KEPT_MS, ClientRefClaim, KeptAnswer, KeyedRequest
from gateway.ports.store import Transactions

MAX_KEY_CHARACTERS = 255
PURGE_CHUNK = 5_000
MAX_PURGE_CHUNKS = 200

_Key = tuple[str, str, str]

# A conflicting row of another open transaction is waited for; one that is too old is taken over.
_RESERVE = """
INSERT INTO idempotency AS kept (account_id, route, key, fingerprint, status, body, created_at)
SELECT wanted.*, $7
FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::int[], $6::bytea[]) AS wanted
ON CONFLICT (account_id, route, key) DO UPDATE
SET fingerprint = excluded.fingerprint, status = excluded.status, body = excluded.body,
    created_at = excluded.created_at
WHERE kept.created_at < $8
RETURNING account_id, route, key
"""
# A statement of its own: its snapshot sees what the other transaction has committed meanwhile.
_KEPT = """
SELECT kept.account_id, kept.route, kept.key, kept.fingerprint, kept.status, kept.body
FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (account_id, route, key)
JOIN idempotency AS kept USING (account_id, route, key)
"""
_ANSWER = """
UPDATE idempotency AS kept SET status = given.status, body = given.body
FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::bytea[]) AS given (account_id, route, key, status, body)
WHERE kept.account_id = given.account_id AND kept.route = given.route AND kept.key = given.key
"""
_LOOK_UP = """
SELECT fingerprint, status, body FROM idempotency
WHERE account_id = $1 AND route = $2 AND key = $3 AND created_at >= $4
"""
_CLAIM = """
INSERT INTO client_refs AS owned (account_id, client_ref, message_id, created_at)
SELECT wanted.*, $4 FROM unnest($1::text[], $2::text[], $3::uuid[]) AS wanted
ON CONFLICT (account_id, client_ref) DO UPDATE
SET message_id = excluded.message_id, created_at = excluded.created_at
WHERE owned.created_at < $5
RETURNING account_id, client_ref
"""
_OWNERS = """
SELECT owned.account_id, owned.client_ref, owned.message_id
FROM unnest($1::text[], $2::text[]) AS wanted (account_id, client_ref)
JOIN client_refs AS owned USING (account_id, client_ref)
"""
_PURGE = """
WITH gone AS (
    DELETE FROM {table} WHERE created_at < $1 AND ctid = ANY (
        ARRAY (SELECT ctid FROM {table} WHERE created_at < $1 ORDER BY created_at LIMIT $2)
    ) RETURNING 1
)
SELECT count(*) FROM gone
"""


class IdempotencyStore:
    """Implements `gateway.ports.intake_store.Idempotency`."""

    def __init__(self, db: Transactions) -> None:
        self._db = db

    async def reserve_keys(
        self, tx: Transaction, requests: Sequence[KeyedRequest], *, now_ms: int
    ) -> list[KeptAnswer | None]:
        """Return, per request in order, None where the key is now ours, else what is kept under it."""
        firsts: dict[_Key, KeyedRequest] = {}
        for request in requests:
            firsts.setdefault(request[:3], request)
        if not firsts:
            return []
        ordered = [firsts[key] for key in sorted(firsts)]
        rows = await tx.fetch(_RESERVE, *_columns(ordered, 6), _instant(now_ms), _instant(now_ms - KEPT_MS))
        ours = {tuple(row) for row in rows}
        kept: dict[_Key, KeptAnswer] = {}
        if len(ours) < len(firsts):
            missing = [request for request in ordered if request[:3] not in ours]
            for account_id, route, key, fingerprint, status, body in await tx.fetch(
                _KEPT, *_columns(missing, 3)
            ):
                kept[account_id, route, key] = KeptAnswer(fingerprint, status, body)
        answers: list[KeptAnswer | None] = []
        for request in requests:
            key3 = request[:3]
            if key3 not in ours:
                # Absent only if its owner was purged between the two statements: still running, as far as we know.
                answers.append(kept.get(key3) or KeptAnswer(request.fingerprint, 0, b""))
            elif (first := firsts[key3]) is request:
                answers.append(None)
            else:
                answers.append(KeptAnswer(first.fingerprint, first.status, first.body))
        return answers

    async def store_answers(self, tx: Transaction, requests: Sequence[KeyedRequest]) -> None:
        """Keep the answers of keys reserved in this transaction."""
        if requests:
            columns = _columns(requests, 6)
            await tx.execute(_ANSWER, *columns[:3], columns[4], columns[5])

    async def look_up(self, account_id: str, route: str, key: str, *, now_ms: int) -> KeptAnswer | None:
        """Return what is kept under the key, None when it is free."""
        async with self._db.acquire() as connection:
            row = await connection.fetchrow(_LOOK_UP, account_id, route, key, _instant(now_ms - KEPT_MS))
        return KeptAnswer(*row) if row else None

    async def claim_client_refs(
        self, tx: Transaction, claims: Sequence[ClientRefClaim], *, now_ms: int
    ) -> dict[tuple[str, str], UUID]:
        """Return the message id that owns (account_id, client_ref), for every one that had an owner."""
        firsts: dict[tuple[str, str], UUID] = {}
        owners: dict[tuple[str, str], UUID] = {}
        for account_id, client_ref, message_id in claims:
            first = firsts.setdefault((account_id, client_ref), message_id)
            if first != message_id:
                owners[account_id, client_ref] = first
        if not firsts:
            return owners
        ordered = sorted(firsts)
        rows = await tx.fetch(
            _CLAIM,
            [account_id for account_id, _ in ordered],
            [client_ref for _, client_ref in ordered],
            [firsts[ref] for ref in ordered],
            _instant(now_ms),
            _instant(now_ms - KEPT_MS),
        )
        if len(rows) < len(ordered):
            ours = {tuple(row) for row in rows}
            missing = [ref for ref in ordered if ref not in ours]
            found = await tx.fetch(_OWNERS, [ref[0] for ref in missing], [ref[1] for ref in missing])
            owners.update({(account_id, client_ref): owner for account_id, client_ref, owner in found})
        return owners

    async def purge(self, *, now_ms: int) -> int:
        """Delete keys and references older than 24 h, in bounded chunks; return how many."""
        before = _instant(now_ms - KEPT_MS)
        total = 0
        for table in ("idempotency", "client_refs"):
            for _ in range(MAX_PURGE_CHUNKS):
                async with self._db.acquire() as connection:
                    deleted: int = await connection.fetchval(_PURGE.format(table=table), before, PURGE_CHUNK)
                total += deleted
                if deleted < PURGE_CHUNK:
                    break
        return total


def _columns(requests: Sequence[KeyedRequest], count: int) -> list[list[object]]:
    return [list(column) for column in list(zip(*requests, strict=True))[:count]]


def _instant(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)
