"""The cache that answers "who is this?" for every request (ports.intake_store)."""

import asyncio
import contextlib
import hmac
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from secrets import token_bytes
from zlib import crc32

from gateway.ports.intake_store import KeyRejection, Principal, Recognition, StoreUnavailableError
from gateway.store.accounts import CHANNEL, KEY_ID, USED_EVERY_MS, Accounts, StoredKey, key_id
from gateway.store.pool import Database

_LOAD_S = 5.0
_STRIPES = 64


@dataclass(slots=True)
class _Entry:
    stored: StoredKey | None
    loaded_at: int
    principal: Principal | None
    is_touched: bool = False
    proof: bytes = b""
    recognition: Recognition | None = None

    def end(self) -> None:
        """Take back what was given out: nobody would hear any more that the key was revoked."""
        if self.recognition is not None:
            self.recognition.until_ms = 0


class KeyCache:
    """Implements `ports.intake_store.Authenticator`. Holds no key, only what is stored of it.

    An entry lives for `ttl_ms`; a notification drops it at once, a lost listener drops them all. An entry also keeps a
    proof of the key that was found right: a digest under a secret of this process, a third of the cost of the stored
    one, so that a repeat of the key is neither parsed nor checked again.
    """

    def __init__(
        self,
        accounts: Accounts,
        *,
        ttl_ms: int = 10_000,
        max_entries: int = 10_000,
        secret: bytes | None = None,
    ) -> None:
        self._keyed = blake2b(key=secret or token_bytes(32), digest_size=32)
        self._accounts = accounts
        self._ttl_ms = ttl_ms
        self._max_entries = max_entries
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._drops = 0
        self._locks: Sequence[asyncio.Lock] = tuple(asyncio.Lock() for _ in range(_STRIPES))

    async def start(self, db: Database) -> None:
        """Begin to follow revocations."""
        await db.listen(CHANNEL, self.drop)

    def drop(self, found_id: str) -> None:
        """Forget one key, or all of them with ""."""
        self._drops += 1
        for one in (found_id,) if found_id else tuple(self._entries):
            self._forget(one)

    async def authenticate(self, key: str, *, now_ms: int) -> Principal | KeyRejection:
        """Return who the key speaks for, or why it is refused; a mistyped key costs no look-up."""
        found_id = key[KEY_ID]
        entry = self._entries.get(found_id)
        is_fresh = entry is None or not 0 <= now_ms - entry.loaded_at < self._ttl_ms
        proof = self._proof(key.encode(errors="replace"))
        if entry is None or is_fresh or not entry.proof or not hmac.compare_digest(entry.proof, proof):
            if key_id(key) is None:
                return KeyRejection.MALFORMED
            if entry is None or is_fresh:
                entry = await self._load(found_id, now_ms)
            if entry.stored is None or not self._accounts.matches(entry.stored, key):
                return KeyRejection.UNKNOWN
            entry.proof = proof
        stored = entry.stored
        if stored is None or entry.principal is None:
            return KeyRejection.UNKNOWN
        if stored.revoked_at is not None:
            return KeyRejection.REVOKED
        if stored.expires_at is not None and now_ms >= stored.expires_at:
            return KeyRejection.EXPIRED
        if is_fresh and not entry.is_touched and now_ms - (stored.last_used_at or 0) >= USED_EVERY_MS:
            entry.is_touched = True
            with contextlib.suppress(StoreUnavailableError, TimeoutError):  # a key is valid without it
                await self._accounts.touch_key(found_id, now_ms=now_ms)
        return entry.principal

    def known(self, key: bytes, *, now_ms: int) -> Recognition | None:
        """Return who the key speaks for where its entry is fresh and the key was found right before."""
        entry = self._entries.get(key[KEY_ID].decode("latin-1"))
        if entry is None or not entry.proof or entry.principal is None or entry.stored is None:
            return None
        found = entry.recognition
        if found is None:
            stored = entry.stored
            if stored.revoked_at is not None:
                return None
            until_ms = entry.loaded_at + self._ttl_ms
            if stored.expires_at is not None:
                until_ms = min(until_ms, stored.expires_at)
            found = entry.recognition = Recognition(entry.principal, entry.loaded_at, until_ms)
        if not found.holds(now_ms) or not hmac.compare_digest(entry.proof, self._proof(key)):
            return None
        return found

    def _forget(self, found_id: str) -> None:
        entry = self._entries.pop(found_id, None)
        if entry is not None:
            entry.end()

    def _proof(self, key: bytes) -> bytes:
        digest = self._keyed.copy()
        digest.update(key)
        return digest.digest()

    async def _load(self, found_id: str, now_ms: int) -> _Entry:
        """Load one entry; who asks for the same key meanwhile waits for the same answer."""
        async with asyncio.timeout(_LOAD_S), self._locks[crc32(found_id.encode()) % _STRIPES]:
            entry = self._entries.get(found_id)
            if entry is not None and 0 <= now_ms - entry.loaded_at < self._ttl_ms:
                return entry
            drops = self._drops
            stored = await self._accounts.find_key(found_id)
            principal = (
                Principal(stored.id, stored.account, stored.scopes, is_test=stored.is_test)
                if stored
                else None
            )
            entry = _Entry(stored, now_ms, principal)
            if drops == self._drops:  # otherwise what we have read may be what was dropped
                self._forget(found_id)
                self._entries[found_id] = entry
                while len(self._entries) > self._max_entries:
                    self._forget(next(iter(self._entries)))
            return entry
