"""The table `media`: files that accounts give us to send, until they expire.

Implements `gateway.ports.media_store`: the API adds and shows, intake asks which there are, links read them.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple
from uuid import UUID

from gateway.domain.ids import format_id, parse_id
from gateway.ports.clock import Clock
from gateway.ports.media_store import MediaFacts, MediaFile
from gateway.ports.store import Transactions

DEADLINE_S: Final = 10.0
LOOK_UP_DEADLINE_S: Final = 5.0
PREFIX: Final = "med"

_PURGED_AT_ONCE: Final = 50
_KNOWN_NS: Final = 60_000_000_000
_MAX_KNOWN: Final = 20_000

_COLUMNS: Final = (
    "id, account_id, content_type, name, size, encode(sha256, 'hex') AS sha256, created_at, expires_at"
)
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('media:' || $1, 0))"
_ROOM: Final = "SELECT coalesce(sum(size), 0)::bigint FROM media WHERE account_id = $1 AND expires_at > $2"
_ADD: Final = """
INSERT INTO media (id, account_id, content_type, name, size, sha256, created_at, expires_at, octets)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_FIND: Final = f"SELECT {_COLUMNS} FROM media WHERE id = $1 AND account_id = $2 AND expires_at > $3"
_AMONG: Final = (
    f"SELECT {_COLUMNS} FROM media WHERE id = ANY ($1::uuid[]) AND account_id = $2 AND expires_at > $3"
)
_READ: Final = "SELECT content_type, name, octets FROM media WHERE id = $1 AND expires_at > $2"
_REMOVE: Final = "DELETE FROM media WHERE id = $1 AND account_id = $2"
_PURGE: Final = """
DELETE FROM media WHERE id = ANY (ARRAY (
    SELECT id FROM media WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
))
"""


class PostgresMedia:
    """Implements `MediaStore` and `MediaSource`."""

    def __init__(self, db: Transactions) -> None:
        self._db = db

    async def add(self, facts: MediaFacts, octets: bytes, *, max_octets: int) -> bool:
        """Keep a file; False when the account's files together would be larger than `max_octets`."""
        async with asyncio.timeout(DEADLINE_S), self._db.transaction() as tx:
            # Two uploads of one account must not both take the last room.
            await tx.execute(_LOCK, facts.account_id)
            taken: int = await tx.fetchval(_ROOM, facts.account_id, facts.created_at)
            if taken + facts.size > max_octets:
                return False
            await tx.execute(
                _ADD,
                parse_id(PREFIX, facts.id),
                facts.account_id,
                facts.content_type,
                facts.name,
                facts.size,
                bytes.fromhex(facts.sha256),
                facts.created_at,
                facts.expires_at,
                octets,
            )
        return True

    async def find(self, account_id: str, media_id: str, *, now_ms: int) -> MediaFacts | None:
        """Return what is known of one file of the account, None when there is none."""
        wanted = _parsed(media_id)
        if wanted is None:
            return None
        async with asyncio.timeout(LOOK_UP_DEADLINE_S), self._db.acquire() as connection:
            row = await connection.fetchrow(_FIND, wanted, account_id, now_ms)
        return None if row is None else _facts(*row)

    async def remove(self, account_id: str, media_id: str) -> bool:
        """Delete a file of the account; False when there is none."""
        wanted = _parsed(media_id)
        if wanted is None:
            return False
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            tag: str = await connection.execute(_REMOVE, wanted, account_id)
        return not tag.endswith(" 0")

    async def read_media(self, media_id: str, *, now_ms: int) -> MediaFile | None:
        """Return the file, None when it is not there or has expired."""
        wanted = _parsed(media_id)
        if wanted is None:
            return None
        async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
            row = await connection.fetchrow(_READ, wanted, now_ms)
        return None if row is None else MediaFile(*row)

    async def among(
        self, account_id: str, media_ids: Collection[str], *, now_ms: int
    ) -> Mapping[str, MediaFacts]:
        """Return those of the files that are the account's and have not expired, by id."""
        wanted = [one for one in map(_parsed, media_ids) if one is not None]
        if not wanted:
            return {}
        async with asyncio.timeout(LOOK_UP_DEADLINE_S), self._db.acquire() as connection:
            rows = await connection.fetch(_AMONG, wanted, account_id, now_ms)
        found = [_facts(*row) for row in rows]
        return {one.id: one for one in found}

    async def purge(self, *, now_ms: int) -> int:
        """Delete files that have expired, in small bites; return how many."""
        purged = 0
        while True:
            async with asyncio.timeout(DEADLINE_S), self._db.acquire() as connection:
                tag: str = await connection.execute(_PURGE, now_ms, _PURGED_AT_ONCE)
            count = int(tag.rsplit(maxsplit=1)[-1])
            purged += count
            if count < _PURGED_AT_ONCE:
                return purged


class _Known(NamedTuple):
    facts: MediaFacts
    until_ns: int


class KnownMediaCache:
    """Implements `KnownMedia` for one process of the role `api`: a file that was found is known for a minute.

    A file that is deleted meanwhile can still be named; its message then fails where the file is wanted.
    """

    def __init__(self, media: PostgresMedia, *, clock: Clock) -> None:
        self._media = media
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()

    async def among(self, account_id: str, media_ids: Collection[str]) -> Mapping[str, MediaFacts]:
        """Return those of the files that are the account's and have not expired, by id."""
        now_ms, now_ns = self._clock.now_ms(), self._clock.monotonic_ns()
        found: dict[str, MediaFacts] = {}
        for media_id in media_ids:
            known = self._known.get((account_id, media_id))
            if known is not None and known.until_ns > now_ns and known.facts.expires_at > now_ms:
                found[media_id] = known.facts
        missing = [media_id for media_id in media_ids if media_id not in found]
        if missing:
            looked_up = await self._media.among(account_id, missing, now_ms=now_ms)
            for media_id, facts in looked_up.items():
                found[media_id] = facts
                self._known[account_id, media_id] = _Known(facts, now_ns + _KNOWN_NS)
                self._known.move_to_end((account_id, media_id))
            while len(self._known) > _MAX_KNOWN:
                self._known.popitem(last=False)
        return found


def _parsed(media_id: str) -> UUID | None:
    try:
        return parse_id(PREFIX, media_id)
    except ValueError:
        return None


def _facts(media_id: UUID, *columns: object) -> MediaFacts:
    return MediaFacts(format_id(PREFIX, media_id), *columns)  # type: ignore[arg-type]  # in the order of _COLUMNS
