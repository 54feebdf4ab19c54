"""Accounts and their API keys, as they are kept; `gateway.store.key_cache` answers for every request.

A key is `cdl_live_<12 id>_<32 secret><6 crc>`, 60 characters; `cdl_test_` keys go to the simulator. The id finds the
row, the checksum rejects typing errors without a look-up, the whole key is checked by HMAC-SHA256(pepper, key).
The secret has 190 bits, so a slow hash would buy nothing.
"""

import hmac
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

from gateway.ports.bus import Transaction
from gateway.ports.intake_store import Account
from gateway.store.pool import Database

SCOPES = (
    "messages:send",
    "messages:read",
    "webhooks:manage",
    "campaigns:*",
    "carriers:control",
    "keys:admin",
)
DEFAULT_SCOPES = ("messages:send", "messages:read")
CHANNEL = "caudal_keys"
KEY_LENGTH = 60
MAX_EXPIRY_MS = 10 * 366 * 86_400_000

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY = re.compile(r"cdl_(live|test)_([0-9A-Za-z]{12})_([0-9A-Za-z]{32})([0-9A-Za-z]{6})")
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_CHECKED = KEY_LENGTH - 6
KEY_ID = slice(9, 21)  # where the id is in a key
_RANDOM_OCTETS = 40  # 44 characters of 62 are 262 bits; what more there is makes the bias nothing
USED_EVERY_MS = 60_000

RandomBytes = Callable[[int], bytes]
"""`secrets.token_bytes`, or what a test puts in its place."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as it is kept. Times are milliseconds since the epoch; `digest` is HMAC-SHA256(pepper, key)."""

    id: str
    account: Account
    digest: bytes
    is_test: bool
    scopes: frozenset[str]
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    last_used_at: int | None = None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. `text` is the key itself: shown once, kept nowhere."""

    stored: StoredKey
    text: str


def compose_key(random: RandomBytes, *, is_test: bool = False) -> str:
    """Return a new key of 60 characters."""
    body = f"cdl_{'test' if is_test else 'live'}_{_draw(random, 12)}_{_draw(random, 32)}"
    return body + _checksum(body)


def key_id(text: str) -> str | None:
    """Return the id inside a well-formed key; None when a character is wrong or missing."""
    found = _KEY.fullmatch(text) if len(text) == KEY_LENGTH else None
    return found[2] if found and _checksum(text[:_CHECKED]) == found[4] else None


def digest_of(text: str, *, pepper: bytes) -> bytes:
    """Return what is stored of a key."""
    return hmac.digest(pepper, text.encode(), "sha256")


def check_account_name(name: str) -> str:
    """Return the name; ValueError when it cannot be an account's."""
    if not _ACCOUNT.fullmatch(name):
        raise ValueError(
            f"account {name!r}: lower-case letters, digits, '_', '.' and '-', starting with a letter or digit, at most 63"
        )
    return name


def _draw(random: RandomBytes, length: int) -> str:
    return _base62(int.from_bytes(random(_RANDOM_OCTETS)), length)


def _checksum(body: str) -> str:
    return _base62(crc32(body.encode()), 6)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


_COLUMNS = """
    k.id, k.digest, k.is_test, k.scopes, k.created_at, k.expires_at, k.revoked_at, k.last_used_at,
    a.id AS account_id, a.transliterate, a.max_segments, a.messages_per_second, a.default_region, a.bare_international,
    a.retention_days, a.otp_despite_opt_out
"""
_FIND = f"SELECT {_COLUMNS} FROM api_keys AS k JOIN accounts AS a ON a.id = k.account_id WHERE k.id = $1"
_LIST = f"""
SELECT {_COLUMNS} FROM api_keys AS k JOIN accounts AS a ON a.id = k.account_id
WHERE $1::text IS NULL OR k.account_id = $1 ORDER BY k.created_at, k.id LIMIT $2
"""
_TOUCH = """
UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)
"""


class Accounts:
    """Accounts and keys in the database."""

    def __init__(self, db: Database, *, pepper: bytes) -> None:
        if not pepper:
            raise ValueError("the pepper of the API keys is empty")
        self._db = db
        self._pepper = pepper

    async def create_account(self, name: str, *, now_ms: int, tx: Transaction | None = None) -> bool:
        """Create the account if there is none of that name; True when there was none."""
        statement = (
            "INSERT INTO accounts (id, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING id"
        )
        arguments = (check_account_name(name), _instant(now_ms))
        if tx is not None:
            return await tx.fetchval(statement, *arguments) is not None
        async with self._db.acquire() as connection:
            return await connection.fetchval(statement, *arguments) is not None

    async def update_account(self, account: Account) -> bool:
        """Store the account's defaults; False when there is no such account. Live keys see them at once."""
        async with self._db.transaction() as tx:
            changed = await tx.fetch(
                """
                WITH changed AS (
                    UPDATE accounts SET transliterate = $2, max_segments = $3, messages_per_second = $4,
                        default_region = $5, bare_international = $6, retention_days = $7,
                        otp_despite_opt_out = $8
                    WHERE id = $1 RETURNING id
                )
                SELECT changed.id, k.id AS key_id
                FROM changed LEFT JOIN api_keys AS k ON k.account_id = changed.id
                """,
                account.id,
                account.transliterate,
                account.max_segments,
                account.messages_per_second,
                account.default_region,
                account.bare_international,
                account.retention_days,
                account.otp_despite_opt_out,
            )
            for row in changed:
                await tx.execute("SELECT pg_notify($1, $2)", CHANNEL, row["key_id"] or "")
        return bool(changed)

    async def find_account(self, name: str) -> Account | None:
        """Return the account, None when there is none of that name."""
        async with self._db.acquire() as connection:
            row = await connection.fetchrow("SELECT *, id AS account_id FROM accounts WHERE id = $1", name)
        return _account(row) if row else None

    async def list_accounts(self, *, limit: int = 10_000) -> list[Account]:
        """Return the accounts with their defaults, by name."""
        async with self._db.acquire() as connection:
            rows = await connection.fetch(
                "SELECT *, id AS account_id FROM accounts ORDER BY id LIMIT $1", limit
            )
        return [_account(row) for row in rows]

    async def create_key(
        self,
        account: str,
        *,
        random: RandomBytes,
        now_ms: int,
        scopes: Iterable[str] = DEFAULT_SCOPES,
        expires_at_ms: int | None = None,
        is_test: bool = False,
    ) -> NewKey:
        """Make a key, and its account where that does not exist; ValueError for an unknown scope or bad name."""
        wanted = frozenset(scopes)
        if unknown := sorted(wanted - set(SCOPES)):
            raise ValueError(f"unknown scopes {', '.join(unknown)}; there are {', '.join(SCOPES)}")
        if not wanted:
            raise ValueError("a key without scopes could do nothing")
        if expires_at_ms is not None and not now_ms < expires_at_ms <= now_ms + MAX_EXPIRY_MS:
            raise ValueError("a key expires in the future, within ten years")
        text = compose_key(random, is_test=is_test)
        found_id = key_id(text)
        assert found_id is not None
        async with self._db.transaction() as tx:
            await self.create_account(account, now_ms=now_ms, tx=tx)
            await tx.execute(
                """
                INSERT INTO api_keys (id, account_id, digest, is_test, scopes, created_at, expires_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7)
                """,
                found_id,
                account,
                digest_of(text, pepper=self._pepper),
                is_test,
                sorted(wanted),
                _instant(now_ms),
                None if expires_at_ms is None else _instant(expires_at_ms),
            )
            stored = _stored(await tx.fetchrow(_FIND, found_id))
        return NewKey(stored, text)

    async def revoke_key(self, id_or_key: str, *, now_ms: int) -> bool:
        """Make a key useless at once; False when there is no live key with that id (or that text)."""
        async with self._db.acquire() as connection:
            revoked = await connection.fetchval(
                """
                WITH revoked AS (
                    UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL RETURNING id
                )
                SELECT count(pg_notify($3, id)::text) FROM revoked
                """,
                key_id(id_or_key) or id_or_key,
                _instant(now_ms),
                CHANNEL,
            )
        return bool(revoked)

    async def list_keys(self, account: str | None = None, *, limit: int = 1000) -> list[StoredKey]:
        """Return the keys of an account, or of all, oldest first."""
        async with self._db.acquire() as connection:
            return [_stored(row) for row in await connection.fetch(_LIST, account, limit)]

    async def find_key(self, found_id: str) -> StoredKey | None:
        """Return the key with that id, revoked and expired ones too."""
        async with self._db.acquire() as connection:
            row = await connection.fetchrow(_FIND, found_id)
        return _stored(row) if row else None

    async def touch_key(self, found_id: str, *, now_ms: int) -> None:
        """Note that a key was used, at most once a minute."""
        async with self._db.acquire() as connection:
            await connection.execute(_TOUCH, found_id, _instant(now_ms), _instant(now_ms - USED_EVERY_MS))

    def matches(self, stored: StoredKey, text: str) -> bool:
        """True when `text` is the very key that is stored; takes the same time either way."""
        return hmac.compare_digest(stored.digest, digest_of(text, pepper=self._pepper))


def _instant(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms / 1000, UTC)


def _milliseconds(instant: datetime | None) -> int | None:
    return None if instant is None else round(instant.timestamp() * 1000)


def _account(row: Any) -> Account:
    return Account(
        id=row["account_id"],
        transliterate=row["transliterate"],
        max_segments=row["max_segments"],
        messages_per_second=row["messages_per_second"],
        default_region=row["default_region"],
        bare_international=row["bare_international"],
        retention_days=row["retention_days"],
        otp_despite_opt_out=row["otp_despite_opt_out"],
    )


def _stored(row: Any) -> StoredKey:
    created_at = _milliseconds(row["created_at"])
    assert created_at is not None
    return StoredKey(
        id=row["id"],
        account=_account(row),
        digest=row["digest"],
        is_test=row["is_test"],
        scopes=frozenset(row["scopes"]),
        created_at=created_at,
        expires_at=_milliseconds(row["expires_at"]),
        revoked_at=_milliseconds(row["revoked_at"]),
        last_used_at=_milliseconds(row["last_used_at"]),
    )
