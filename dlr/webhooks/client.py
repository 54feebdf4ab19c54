"""One POST to an endpoint: signed, guarded, bounded in time and in what is read of the answer.

One per process, shared by all shards. It never raises for anything an endpoint or the network does.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

import aiohttp

from dlr.webhooks.guard import BlockedAddressError, Guard, GuardError
from dlr.webhooks.signing import sign
from gateway.ports.clock import Clock

USER_AGENT: Final = "Caudal-Webhooks/1"
TIMEOUT_S: Final = 15.0
CONNECT_S: Final = 5.0

_MAX_ANSWER_OCTETS: Final = 4_096
_KEEP_ALIVE_S: Final = 10.0
_DNS_TTL_S: Final = 10
_GONE: Final = 410


class Outcome(StrEnum):
    """How a POST ended: the closed set of the metric label."""

    OK = "ok"
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"
    TIMEOUT = "timeout"
    CONNECT = "connect"
    BLOCKED = "blocked"


class Answer(NamedTuple):
    """What came of a POST. `error` is "" for a success."""

    outcome: Outcome
    status: int | None
    error: str
    duration_ms: int
    retry_after_s: float | None = None

    @property
    def is_ok(self) -> bool:
        """True when the endpoint took the events."""
        return self.outcome is Outcome.OK

    @property
    def is_gone(self) -> bool:
        """True when the endpoint wants nothing any more."""
        return self.status == _GONE


class Client:
    """Keeps connections alive between POSTs. `start` in the loop that uses it, `close` at the end."""

    def __init__(
        self, guard: Guard, *, clock: Clock, timeout_s: float = TIMEOUT_S, connect_s: float = CONNECT_S
    ) -> None:
        self._guard = guard
        # A guard's answer about one URL never changes, but for what DNS says, and that is asked at every connection.
        self._check_url = lru_cache(maxsize=1_024)(guard.check_url)
        self._clock = clock
        self._timeout_s = timeout_s
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=connect_s)
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the session."""
        if self._session is not None:
            return
        connector = aiohttp.TCPConnector(
            resolver=self._guard,
            socket_factory=self._guard.open_socket,
            limit=0,  # whoever calls bounds the POSTs in flight
            ttl_dns_cache=_DNS_TTL_S,
            keepalive_timeout=_KEEP_ALIVE_S,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,  # a proxy would connect for us, past the guard
            auto_decompress=False,
            timeout=self._timeout,
            headers={"user-agent": USER_AGENT, "content-type": "application/json", "accept": "*/*"},
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()
        await self._guard.close()

    async def post(self, url: str, *, keys: Sequence[bytes], webhook_id: str, body: bytes) -> Answer:
        """Send one body; every outcome of the world is an Answer."""
        started_ns = self._clock.monotonic_ns()
        timestamp_s = self._clock.now_ms() // 1000
        headers = {
            "webhook-id": webhook_id,
            "webhook-timestamp": str(timestamp_s),
            "webhook-signature": sign(keys, webhook_id, timestamp_s=timestamp_s, body=body),
        }
        status, retry_after_s = None, None
        try:
            self._check_url(url)  # the settings may have become stricter since it was made
            status, retry_after_s = await self._once_more(url, headers, body)
            outcome, error = _judged(status)
        except GuardError as problem:
            outcome, error = Outcome.BLOCKED, str(problem)
        except TimeoutError:
            outcome, error = Outcome.TIMEOUT, f"no answer within {self._timeout_s:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            outcome, error = _failed(problem)
        duration_ms = (self._clock.monotonic_ns() - started_ns) // 1_000_000
        if error:
            error = f"{outcome}: {error}"[:200]
        return Answer(outcome, status, error, duration_ms, retry_after_s)

    async def _once_more(self, url: str, headers: dict[str, str], body: bytes) -> tuple[int, float | None]:
        try:
            return await self._post(url, headers, body)
        except (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError):
            # Mostly a connection kept alive that the endpoint closed just now. A repeat is allowed: at least once.
            return await self._post(url, headers, body)

    async def _post(self, url: str, headers: dict[str, str], body: bytes) -> tuple[int, float | None]:
        assert self._session is not None, "start() comes first"
        response = await self._session.post(url, data=body, headers=headers, allow_redirects=False)
        try:
            unread = _MAX_ANSWER_OCTETS
            while unread > 0 and not response.content.at_eof():
                unread -= len(await response.content.read(unread))
            status, answered = response.status, response.headers
        finally:
            # Read to its end, the connection serves again; otherwise it is closed.
            if response.content.at_eof():
                response.release()
            else:
                response.close()
        return status, _wait_s(answered.get("retry-after"), answered.get("date"))


def _judged(status: int) -> tuple[Outcome, str]:
    if 200 <= status < 300:
        return Outcome.OK, ""
    if 300 <= status < 400:
        return Outcome.HTTP_4XX, f"{status}, redirects are not followed"
    return (Outcome.HTTP_4XX if 400 <= status < 500 else Outcome.HTTP_5XX), str(status)


def _failed(problem: Exception) -> tuple[Outcome, str]:
    cause: BaseException | None = problem
    while cause is not None:
        if isinstance(cause, BlockedAddressError):
            return Outcome.BLOCKED, str(cause)
        cause = getattr(cause, "os_error", None) or cause.__cause__
    return Outcome.CONNECT, type(problem).__name__


def _wait_s(retry_after: str | None, date: str | None) -> float | None:
    """Return the seconds that a Retry-After asks for, None where it says nothing (RFC 9110 §10.2.3).

    A date counts from the `date` of the same answer, since the endpoint's clock may differ from ours; without that it
    says nothing.
    """
    if retry_after is None or not retry_after.isascii():
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        until, now = _instant(retry_after), _instant(date)
        return None if until is None or now is None else max(0.0, (until - now).total_seconds())
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _instant(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text or "")
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    # "-0000" is UTC that says nothing of a zone; HTTP knows nothing else.
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
