"""The tables `optouts` and `channel_preferences`, and the cache that says which accounts have any.

Implements `gateway.ports.consent_store`. Most accounts have none, and asking for them costs nothing: the cache holds the
names of those that do. A notification adds to it; it is read again after `_TTL_NS`, and after the listener was away.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import asyncpg

from gateway.domain.message import Channel
from gateway.ports.clock import Clock
from gateway.ports.consent_store import OptOut, Wishes
from gateway.ports.intake_store import StoreDataError
from gateway.store.pool import Database

CHANNEL: Final = "caudal_consents"
DEADLINE_S: Final = 5.0

_TTL_NS: Final = 30_000_000_000
_MAX_LIMIT: Final = 1_000
_CHANNELS: Final = {channel.value: channel for channel in Channel}

# One look into each index: a DISTINCT would read them whole.
_ACCOUNTS: Final = """
SELECT a.id FROM accounts AS a
WHERE EXISTS (SELECT 1 FROM optouts AS o WHERE o.account_id = a.id)
   OR EXISTS (SELECT 1 FROM channel_preferences AS p WHERE p.account_id = a.id)
"""
_WISHES: Final = """
SELECT k.recipient, o.channel, o.sender, NULL::text[] AS channels
FROM unnest($2::text[]) AS k (recipient)
CROSS JOIN LATERAL (
    SELECT channel, sender FROM optouts WHERE account_id = $1 AND recipient = k.recipient OFFSET 0
) AS o
UNION ALL
SELECT k.recipient, NULL, NULL, p.channels
FROM unnest($2::text[]) AS k (recipient)
CROSS JOIN LATERAL (
    SELECT channels FROM channel_preferences WHERE account_id = $1 AND recipient = k.recipient OFFSET 0
) AS p
"""
_OPT_OUT: Final = """
INSERT INTO optouts AS o (account_id, recipient, channel, sender, source, at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])
ON CONFLICT (account_id, recipient, channel, sender) DO UPDATE SET source = EXCLUDED.source, at = EXCLUDED.at
RETURNING (xmax = 0) AS is_new
"""
_LIST: Final = """
SELECT account_id, recipient, channel, sender, source, at FROM optouts
WHERE account_id = $1 AND ($2::text IS NULL OR recipient = $2) AND ($3::text IS NULL OR channel = $3)
  AND (recipient, channel, sender) > ($4, $5, $6)
ORDER BY recipient, channel, sender LIMIT $7
"""
_PREFER: Final = """
INSERT INTO channel_preferences (account_id, recipient, channels, at) VALUES ($1, $2, $3, $4)
ON CONFLICT (account_id, recipient) DO UPDATE SET channels = EXCLUDED.channels, at = EXCLUDED.at
"""
_NOTIFY: Final = "SELECT pg_notify($1, $2)"


class PostgresConsents:
    """See the rules of the port; implements both of its protocols. Call `start` to be told of changes."""

    def __init__(self, db: Database, *, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._accounts: frozenset[str] | None = None
        self._loaded_ns = 0
        self._drops = 0

    async def start(self) -> None:
        """Begin to follow changes."""
        await self._db.listen(CHANNEL, self._changed)

    def _changed(self, account_id: str) -> None:
        self._drops += 1
        if account_id and self._accounts is not None:
            self._accounts |= {account_id}
        else:  # the listener was away: anything may have changed
            self._accounts = None

    def has_any(self, account_id: str) -> bool:
        """Tell whether anybody may have asked this account for anything; True while nothing is known."""
        accounts = self._accounts
        return (
            accounts is None
            or account_id in accounts
            or self._clock.monotonic_ns() - self._loaded_ns >= _TTL_NS
        )

    async def wishes(self, account_id: str, recipients: Collection[str]) -> Mapping[str, Wishes]:
        """Return what is known of these people, in one look-up; those without wishes are left out."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            if self._accounts is None or self._clock.monotonic_ns() - self._loaded_ns >= _TTL_NS:
                drops = self._drops
                accounts = frozenset([row[0] for row in await connection.fetch(_ACCOUNTS)])
                if drops == self._drops:  # otherwise what we have read may be what has changed
                    self._accounts, self._loaded_ns = accounts, self._clock.monotonic_ns()
                if account_id not in accounts:
                    return {}
            rows = await connection.fetch(_WISHES, account_id, list(recipients))
        opted_out: dict[str, set[tuple[str, str]]] = {}
        allowed: dict[str, tuple[Channel, ...]] = {}
        for recipient, channel, sender, channels in rows:
            if channels is None:
                opted_out.setdefault(recipient, set()).add((channel, sender))
            else:
                allowed[recipient] = tuple([_CHANNELS[one] for one in channels if one in _CHANNELS])
        return {
            recipient: Wishes(frozenset(opted_out.get(recipient, ())), allowed.get(recipient))
            for recipient in opted_out.keys() | allowed.keys()
        }

    async def opt_out(self, rows: Sequence[OptOut]) -> int:
        """Write opt-outs, all or none; return how many are new. ValueError for an account that does not exist."""
        if not rows:
            return 0
        unique = {row[:4]: row for row in rows}
        columns = [list(column) for column in zip(*(unique[key] for key in sorted(unique)), strict=True)]
        try:
            async with asyncio.timeout(DEADLINE_S), self._db.transaction() as tx:
                written = await tx.fetch(_OPT_OUT, *columns)
                for account_id in {row.account_id for row in rows}:
                    await tx.execute(_NOTIFY, CHANNEL, account_id)
        except StoreDataError as error:
            if not isinstance(error.__cause__, asyncpg.ForeignKeyViolationError):
                raise
            raise ValueError(f"account {rows[0].account_id!r} does not exist") from None
        return sum([row[0] for row in written])

    async def opt_in(self, account_id: str, recipient: str, *, channel: str, sender: str) -> bool:
        """Withdraw one opt-out; False when it was not there."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            done: str = await connection.execute(
                "DELETE FROM optouts WHERE account_id = $1 AND recipient = $2 AND channel = $3 AND sender = $4",
                account_id,
                recipient,
                channel,
                sender,
            )
        return done != "DELETE 0"

    async def list_opt_outs(
        self,
        account_id: str,
        *,
        recipient: str | None,
        channel: str | None,
        limit: int,
        after: OptOut | None,
    ) -> list[OptOut]:
        """Return opt-outs by recipient, channel and sender, those behind `after`."""
        place = ("", "", "") if after is None else (after.recipient, after.channel, after.sender)
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(
                _LIST, account_id, recipient, channel, *place, min(max(limit, 1), _MAX_LIMIT)
            )
        return [OptOut(*row) for row in rows]

    async def preference(self, account_id: str, recipient: str) -> tuple[str, ...] | None:
        """Return the channels allowed, best first; None when nothing was asked for."""
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            found = await connection.fetchval(
                "SELECT channels FROM channel_preferences WHERE account_id = $1 AND recipient = $2",
                account_id,
                recipient,
            )
        return None if found is None else tuple(found)

    async def prefer(
        self, account_id: str, recipient: str, channels: Sequence[str] | None, *, now_ms: int
    ) -> None:
        """Write the channels allowed; None takes the preference away."""
        async with asyncio.timeout(DEADLINE_S), self._db.transaction() as tx:
            if channels is None:
                await tx.execute(
                    "DELETE FROM channel_preferences WHERE account_id = $1 AND recipient = $2",
                    account_id,
                    recipient,
                )
                return
            await tx.execute(_PREFER, account_id, recipient, list(channels), now_ms)
            await tx.execute(_NOTIFY, CHANNEL, account_id)
