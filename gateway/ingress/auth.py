"""Who is asking: `Authorization: Bearer`, the key's state, its scope (http-api 1.1)."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.ports.clock import Clock
from gateway.ports.intake_store import Authenticator, KeyRejection, Principal, Recognition

SEND = "messages:send"
READ = "messages:read"
WEBHOOKS = "webhooks:manage"
CONTROL = "carriers:control"

CHALLENGE = (b"www-authenticate", b'Bearer realm="caudal"')
_CODES = {
    KeyRejection.MALFORMED: ("invalid_key", "the API key is not valid; check that it was copied completely"),
    KeyRejection.UNKNOWN: ("invalid_key", "the API key is not valid"),
    KeyRejection.REVOKED: ("revoked_key", "the API key was revoked"),
    KeyRejection.EXPIRED: ("expired_key", "the API key has expired"),
}
_MAX_KEY = 256


@dataclass(frozen=True, slots=True)
class Denied:
    """No: `code` is of the problem catalogue (401 or 403)."""

    code: str
    detail: str


class Gate:
    """Lets callers with a valid key and the right scope through."""

    def __init__(
        self,
        authenticator: Authenticator,
        *,
        clock: Clock,
        on_denied: Callable[[], None] = lambda: None,
    ) -> None:
        self._authenticator = authenticator
        self._clock = clock
        self._on_denied = on_denied

    async def admit(self, authorization: str, scope: str, *others: str) -> Principal | Denied:
        """Return who asks, or why not; raises what the authenticator raises when its store cannot be reached.

        One of the scopes is enough.
        """
        verdict = await self._judge(authorization, (scope, *others))
        if isinstance(verdict, Denied):
            self._on_denied()
        return verdict

    def caller(self, authorization: bytes, scope: str) -> "Caller":
        """Return whoever sends this header, to be asked again with each request."""
        return Caller(self, authorization, scope)

    def recognise(self, authorization: bytes, scope: str, *, now_ms: int) -> Recognition | None:
        """Return who asks where that is known without asking, and may; None leaves it to `admit`, which says why."""
        if authorization[:7] != b"Bearer ":
            return None
        found = self._authenticator.known(authorization[7:], now_ms=now_ms)
        return found if found is not None and found.principal.may(scope) else None

    def now_ms(self) -> int:
        """Return the time by which keys are judged."""
        return self._clock.now_ms()

    async def _judge(self, authorization: str, scopes: tuple[str, ...]) -> Principal | Denied:
        scheme, _, key = authorization.partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            return Denied("missing_key", "send the API key as 'Authorization: Bearer cdl_...'")
        if len(key) > _MAX_KEY:
            return Denied(*_CODES[KeyRejection.MALFORMED])
        found = await self._authenticator.authenticate(key, now_ms=self._clock.now_ms())
        if isinstance(found, KeyRejection):
            return Denied(*_CODES[found])
        if not any(map(found.may, scopes)):
            return Denied("missing_scope", f"the API key lacks the scope {' or '.join(scopes)}")
        return found


class Caller:
    """Whoever sends one `Authorization` header. A key that was found right is not looked up while that holds."""

    __slots__ = ("_authorization", "_gate", "_recognition", "_scope")

    def __init__(self, gate: Gate, authorization: bytes, scope: str) -> None:
        self._gate = gate
        self._authorization = authorization
        self._scope = scope
        self._recognition: Recognition | None = None

    def principal(self) -> Principal | None:
        """Return who asks where that is known without asking, and may; None leaves it to `Gate.admit`."""
        now_ms = self._gate.now_ms()
        found = self._recognition
        if found is None or not found.holds(now_ms):
            found = self._recognition = self._gate.recognise(self._authorization, self._scope, now_ms=now_ms)
        return None if found is None else found.principal
