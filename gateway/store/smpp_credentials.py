"""Who may bind to the SMPP server, and the cache that answers every bind (sms-domain H13).

A password has at most 8 octets (SMPP 3.4 §5.2.2), too few to survive a stolen table without the pepper; so it is kept
as HMAC-SHA256(pepper, system_id, NUL, password), guesses are slowed down by `gateway.smppd.gate`, and generated ones
are drawn from 62 characters.
"""

import asyncio
import hmac
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any, Final

from gateway.domain.alphabets import TextAlphabet
from gateway.domain.message import MessageClass
from gateway.ports.intake_store import Account
from gateway.ports.smpp_store import SmppCredential
from gateway.store.accounts import RandomBytes, check_account_name
from gateway.store.pool import Database

CHANNEL: Final = "caudal_smpp_credentials"
MAX_SYSTEM_ID: Final = 15  # SMPP 3.4 §5.2.1, the NUL left out
MAX_PASSWORD: Final = 8
MAX_NETWORKS: Final = 50

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_OCTETS: Final = 16  # of 62 to the 8th: what more there is makes the bias nothing
_LOAD_S: Final = 4.0
_NOBODY: Final = bytes(32)
_COLUMNS: Final = """
    c.system_id, c.digest, c.max_binds, c.window_slots, c.messages_per_second, c.allowed_networks, c.message_class,
    c.alphabet, c.enabled, c.created_at,
    a.id AS account_id, a.transliterate, a.max_segments, a.messages_per_second AS account_mps, a.default_region,
    a.bare_international
"""
_FROM: Final = "FROM smpp_credentials AS c JOIN accounts AS a ON a.id = c.account_id"


@dataclass(frozen=True, slots=True)
class CredentialDraft:
    """What an operator decides of a credential."""

    system_id: str
    account: str
    max_binds: int = 2
    window: int = 50
    messages_per_second: int | None = None
    allowed_networks: tuple[str, ...] = ()
    message_class: MessageClass = MessageClass.TRANSACTIONAL
    alphabet: TextAlphabet = TextAlphabet.GSM7


def make_password(random: RandomBytes) -> str:
    """Return a new password of 8 characters, 47 bits."""
    number = int.from_bytes(random(_RANDOM_OCTETS))
    drawn = []
    for _ in range(MAX_PASSWORD):
        number, digit = divmod(number, len(_ALPHABET))
        drawn.append(_ALPHABET[digit])
    return "".join(drawn)


def check_password(password: str) -> str:
    """Return the password; ValueError unless a bind can carry it."""
    if not (1 <= len(password) <= MAX_PASSWORD and password.isascii() and password.isprintable()):
        raise ValueError(
            f"a password has 1 to {MAX_PASSWORD} printable ASCII characters, this one has {len(password)} characters"
        )
    return password


def check_draft(draft: CredentialDraft) -> CredentialDraft:
    """Return the draft; ValueError naming the value and the limit."""
    name = draft.system_id
    if not (1 <= len(name) <= MAX_SYSTEM_ID and name.isascii() and name.isprintable() and " " not in name):
        raise ValueError(
            f"system_id {name[:40]!r}: 1 to {MAX_SYSTEM_ID} printable ASCII characters without blanks"
        )
    check_account_name(draft.account)
    if not 1 <= draft.max_binds <= 100:
        raise ValueError(f"max binds {draft.max_binds} is not in 1..100")
    if not 1 <= draft.window <= 1000:
        raise ValueError(f"window {draft.window} is not in 1..1000")
    if draft.messages_per_second is not None and draft.messages_per_second < 1:
        raise ValueError(f"{draft.messages_per_second} messages a second are below the limit of 1")
    if draft.alphabet is TextAlphabet.BINARY:
        raise ValueError("alphabet binary is none; one of gsm7, ascii, latin1, ucs2")
    if len(draft.allowed_networks) > MAX_NETWORKS:
        raise ValueError(f"{len(draft.allowed_networks)} networks, at most {MAX_NETWORKS} are allowed")
    for network in draft.allowed_networks:
        try:
            ip_network(network)
        except ValueError as error:
            raise ValueError(f"network {network[:60]!r}: {error}") from None
    return draft


class SmppCredentials:
    """The table `smpp_credentials`."""

    def __init__(self, db: Database, *, pepper: bytes) -> None:
        if not pepper:
            raise ValueError("the pepper of the passwords is empty")
        self._db = db
        self._pepper = pepper

    def digest_of(self, system_id: str, password: str) -> bytes:
        """Return what is stored of a password."""
        return hmac.digest(self._pepper, f"smpp\0{system_id}\0{password}".encode(), "sha256")

    async def create(self, draft: CredentialDraft, *, password: str, now_ms: int) -> bool:
        """Keep a new credential, and its account where that does not exist; False when the system_id is taken."""
        check_draft(draft)
        digest = self.digest_of(draft.system_id, check_password(password))
        at = datetime.fromtimestamp(now_ms / 1000, UTC)
        async with self._db.transaction() as tx:
            await tx.execute(
                "INSERT INTO accounts (id, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                draft.account,
                at,
            )
            made = await tx.fetchval(
                """
                INSERT INTO smpp_credentials (system_id, account_id, digest, max_binds, window_slots,
                    messages_per_second, allowed_networks, message_class, alphabet, created_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING RETURNING system_id
                """,
                draft.system_id,
                draft.account,
                digest,
                draft.max_binds,
                draft.window,
                draft.messages_per_second,
                list(draft.allowed_networks),
                draft.message_class.value,
                draft.alphabet.value,
                at,
            )
            await tx.execute("SELECT pg_notify($1, $2)", CHANNEL, draft.system_id)
        return made is not None

    async def change(self, draft: CredentialDraft, *, enabled: bool, password: str | None = None) -> bool:
        """Store new limits, and a new password where one is given; False when there is no such system_id."""
        check_draft(draft)
        digest = None if password is None else self.digest_of(draft.system_id, check_password(password))
        async with self._db.transaction() as tx:
            changed = await tx.fetchval(
                """
                UPDATE smpp_credentials SET digest = coalesce($2, digest), max_binds = $3, window_slots = $4,
                    messages_per_second = $5, allowed_networks = $6, message_class = $7, alphabet = $8, enabled = $9
                WHERE system_id = $1 RETURNING system_id
                """,
                draft.system_id,
                digest,
                draft.max_binds,
                draft.window,
                draft.messages_per_second,
                list(draft.allowed_networks),
                draft.message_class.value,
                draft.alphabet.value,
                enabled,
            )
            await tx.execute("SELECT pg_notify($1, $2)", CHANNEL, draft.system_id)
        return changed is not None

    async def delete(self, system_id: str) -> bool:
        """Delete a credential; its sessions end, its receipts wait for their expiry. False when there is none."""
        async with self._db.transaction() as tx:
            deleted = await tx.fetchval(
                "DELETE FROM smpp_credentials WHERE system_id = $1 RETURNING system_id", system_id
            )
            await tx.execute("SELECT pg_notify($1, $2)", CHANNEL, system_id)
        return deleted is not None

    async def find(self, system_id: str) -> SmppCredential | None:
        """Return the credential with its account, None when there is none."""
        async with self._db.acquire() as connection:
            row = await connection.fetchrow(f"SELECT {_COLUMNS} {_FROM} WHERE c.system_id = $1", system_id)
        return None if row is None else _credential(row)

    async def list_all(self, account: str | None = None, *, limit: int = 1000) -> Sequence[SmppCredential]:
        """Return the credentials of an account, or of all, by system_id."""
        statement = f"""
            SELECT {_COLUMNS} {_FROM} WHERE $1::text IS NULL OR c.account_id = $1 ORDER BY c.system_id LIMIT $2
        """
        async with self._db.acquire() as connection:
            return [_credential(row) for row in await connection.fetch(statement, account, limit)]


class CredentialCache:
    """Implements `ports.smpp_store.Credentials`; what does not exist is remembered too, bounded."""

    def __init__(self, store: SmppCredentials, *, ttl_ms: int = 10_000, max_entries: int = 10_000) -> None:
        self._store = store
        self._ttl_ms = ttl_ms
        self._max_entries = max_entries
        self._entries: OrderedDict[str, tuple[SmppCredential | None, int]] = OrderedDict()
        self._drops = 0

    def drop(self, system_id: str) -> None:
        """Forget one, or all of them with ""."""
        self._drops += 1
        if system_id:
            self._entries.pop(system_id, None)
        else:
            self._entries.clear()

    async def find(self, system_id: str, *, now_ms: int) -> SmppCredential | None:
        """Return the credential, disabled ones too; None when there is none."""
        entry = self._entries.get(system_id)
        if entry is not None and 0 <= now_ms - entry[1] < self._ttl_ms:
            return entry[0]
        drops = self._drops
        async with asyncio.timeout(_LOAD_S):
            found = await self._store.find(system_id)
        if drops == self._drops:  # otherwise what we have read may be what was dropped
            self._entries[system_id] = (found, now_ms)
            self._entries.move_to_end(system_id)
            while len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)
        return found

    def matches(self, credential: SmppCredential | None, *, system_id: str, password: str) -> bool:
        """True when this is the password; takes the same time whether or not, and without a credential."""
        digest = self._store.digest_of(system_id, password)
        stored = _NOBODY if credential is None else credential.digest
        return hmac.compare_digest(stored, digest) and credential is not None


def _credential(row: Any) -> SmppCredential:
    return SmppCredential(
        system_id=row["system_id"],
        account=Account(
            id=row["account_id"],
            transliterate=row["transliterate"],
            max_segments=row["max_segments"],
            messages_per_second=row["account_mps"],
            default_region=row["default_region"],
            bare_international=row["bare_international"],
        ),
        digest=row["digest"],
        max_binds=row["max_binds"],
        window=row["window_slots"],
        messages_per_second=row["messages_per_second"],
        allowed_networks=tuple(row["allowed_networks"]),
        message_class=MessageClass(row["message_class"]),
        alphabet=TextAlphabet(row["alphabet"]),
        enabled=row["enabled"],
        created_at=round(row["created_at"].timestamp() * 1000),
    )
