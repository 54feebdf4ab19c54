"""What the doors (HTTP, SMPP) and intake need of the store: accounts with their keys, and repeats recognised.

Implemented by `gateway.store.accounts` (`Accounts`, `KeyCache`) and `gateway.store.idempotency` (`IdempotencyStore`).
All times are integer milliseconds since the Unix epoch (UTC). The rules:

1. A method with `tx` takes part in that transaction and keeps nothing of its own; one without opens its own.
2. Every method has a deadline and raises `TimeoutError` past it, `StoreUnavailableError` without a database.
3. One round trip for a whole group of requests, a second one only when something in it is a repeat.
4. A concurrent transaction with the same key or reference waits for the first to end, then sees what that one kept.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol
from uuid import UUID

from gateway.ports.bus import Transaction

KEPT_MS = 24 * 3600 * 1000
"""How long an idempotency key and a client_ref are remembered."""


class StoreUnavailableError(ConnectionError):
    """The database cannot be reached now; the caller answers 503, or tries again later.

    When it is raised by a transaction's commit, that may or may not have happened.
    """


class StoreDataError(ValueError):
    """The database refuses these values; the same statement will fail again."""


@dataclass(frozen=True, slots=True)
class Account:
    """One customer and its defaults.

    `messages_per_second` None means no limit of its own. `default_region` (such as `MX`) is where national numbers
    of this account belong; None refuses them. `bare_international` says that digits without plus are international.
    `retention_days` is how long its messages are kept, None: as long as everybody's. `otp_despite_opt_out` sends
    one-time passwords to people who opted out, too.
    """

    id: str
    transliterate: bool = False
    max_segments: int = 10
    messages_per_second: int | None = None
    default_region: str | None = None
    bare_international: bool = False
    retention_days: int | None = None
    otp_despite_opt_out: bool = False


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a valid API key speaks for. `is_test` keys go to the simulator, never to a carrier."""

    key_id: str
    account: Account
    scopes: frozenset[str]
    is_test: bool = False

    def may(self, scope: str) -> bool:
        """True when the key has the scope, or its family (`campaigns:*`)."""
        return scope in self.scopes or f"{scope.partition(':')[0]}:*" in self.scopes


class KeyRejection(StrEnum):
    """Why a key is refused. For logs and metrics: the caller is told 401 and no more."""

    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(slots=True)
class Recognition:
    """A key that was found right, believed within these bounds. Who gave it ends it early by setting `until_ms` to 0."""

    principal: Principal
    since_ms: int
    until_ms: int

    def holds(self, now_ms: int) -> bool:
        """Tell whether the principal may still be taken for who asks."""
        return self.since_ms <= now_ms < self.until_ms


class Authenticator(Protocol):
    """Answers from a bounded cache; a revoked key stops at once (notified), at the latest after the cache's TTL."""

    async def authenticate(self, key: str, *, now_ms: int) -> Principal | KeyRejection:
        """Return who the key speaks for, or why it is refused; a mistyped key costs no look-up."""

    def known(self, key: bytes, *, now_ms: int) -> Recognition | None:
        """Return who the key speaks for where that is known without asking; None says nothing of the key.

        It may be kept: it stops to hold when the key has to be looked up again, at once when that is notified.
        """


class WebhookNames(Protocol):
    """Answers from a bounded cache; a new endpoint is known at once (notified), at the latest a second later."""

    async def among(self, account_id: str, wanted: AbstractSet[str]) -> AbstractSet[str]:
        """Return those of the ids that are webhook endpoints of this account."""


class KeyedRequest(NamedTuple):
    """One request with an Idempotency-Key. `fingerprint` is the SHA-256 of its body.

    With a `status` above 0 the answer is known already and is kept at once, which saves `store_answers`.
    """

    account_id: str
    route: str
    key: str
    fingerprint: bytes
    status: int = 0
    body: bytes = b""


class KeptAnswer(NamedTuple):
    """What is kept under a key. `status` 0: the first request has no answer yet (409).

    Below 0 it is the answer that was prepared, and it is not known whether its messages were appended.
    """

    fingerprint: bytes
    status: int
    body: bytes


class ClientRefClaim(NamedTuple):
    """A message that wants its client_ref for itself."""

    account_id: str
    client_ref: str
    message_id: UUID


class Idempotency(Protocol):
    """See the numbered rules above."""

    async def reserve_keys(
        self, tx: Transaction, requests: Sequence[KeyedRequest], *, now_ms: int
    ) -> list[KeptAnswer | None]:
        """Return, per request in order, None where the key is now ours, else what is kept under it.

        The second of two equal keys in one call gets the first one's fingerprint, status and body.
        Keys older than `KEPT_MS` are taken over.
        """

    async def store_answers(self, tx: Transaction, requests: Sequence[KeyedRequest]) -> None:
        """Keep the answers of keys reserved in this transaction."""

    async def look_up(self, account_id: str, route: str, key: str, *, now_ms: int) -> KeptAnswer | None:
        """Return what is kept under the key, None when it is free."""

    async def claim_client_refs(
        self, tx: Transaction, claims: Sequence[ClientRefClaim], *, now_ms: int
    ) -> Mapping[tuple[str, str], UUID]:
        """Return the message id that owns (account_id, client_ref), for every one that had an owner.

        A reference claimed twice in one call is in the result with its first claimant, so a claim is a repeat
        exactly when `result.get((account_id, client_ref), message_id) != message_id`. Owners older than `KEPT_MS`
        are replaced.
        """

    async def purge(self, *, now_ms: int) -> int:
        """Delete keys and references older than `KEPT_MS`, in bounded chunks; return how many."""
