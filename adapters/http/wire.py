"""The connections of one HTTP carrier: one request at a time for each asker, and what is certain when it fails.

What a lost request means depends on one thing: whether octets of it left this process. A connection that was never
made, or that the peer had closed before the request was written, is certain; everything later is not. Used by `bind`.
"""

import asyncio
import contextlib
import ssl
from contextvars import ContextVar
from enum import IntEnum
from functools import lru_cache, partial
from typing import Any, Final
from weakref import WeakSet

import aiohttp
from yarl import URL

from adapters.http.dialect import HttpRequest, HttpResponse
from adapters.http.profile import HttpProfile

USER_AGENT: Final = "Caudal/1"
_DNS_TTL_S: Final = 30
_MAX_GONE: Final = 5
_AT_ONCE_OCTETS: Final = 64 * 1024  # what a socket takes in one go
_CHUNK_OCTETS: Final = 16 * 1024
_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)


class Phase(IntEnum):
    """How far a request came."""

    CONNECT = 0
    SEND = 1
    ANSWER = 2


class Exchange:
    """One request under way; an asker uses the same one again and again.

    `is_reused` tells of its connection. `is_aside`: what is asked submits nothing, so nothing is in doubt by it.
    """

    __slots__ = ("deadline", "is_aside", "is_reused", "phase", "wire")

    def __init__(self, wire: "Wire") -> None:
        self.wire = wire
        self.phase = Phase.CONNECT
        self.is_reused = False
        self.is_aside = False
        self.deadline: asyncio.Timeout | None = None

    @property
    def has_left(self) -> bool:
        """Whether octets of the request may have left this process."""
        return self.phase is not Phase.CONNECT and not self.is_aside

    def rest(self) -> None:
        """Be between two requests."""
        self.phase = Phase.CONNECT

    def begin(self, deadline: asyncio.Timeout) -> None:
        """Begin another request."""
        self.phase = Phase.CONNECT
        self.is_reused = False
        self.deadline = deadline

    def enter(self, phase: Phase, *, limit_s: float) -> None:
        """Go on to the next phase, which has its own time."""
        self.phase = phase
        assert self.deadline is not None
        self.deadline.reschedule(asyncio.get_running_loop().time() + limit_s)

    def written(self, deadline: asyncio.Timeout | None, _: object) -> None:
        """Wait for the answer now that a large request is written."""
        if deadline is self.deadline and self.phase is Phase.SEND:
            with contextlib.suppress(RuntimeError):  # it is over
                self.enter(Phase.ANSWER, limit_s=self.wire.profile.answer_s)


class ExchangeError(Exception):
    """No answer. `reason` is short and closed; `has_left` says that the carrier may have heard the request.

    `is_reused`: over a connection that had served before. `is_unreachable`: nobody was there to be asked. `is_alert`: an operator has to look at it.
    """

    def __init__(
        self,
        reason: str,
        *,
        has_left: bool,
        is_reused: bool = False,
        is_unreachable: bool = False,
        is_alert: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.has_left = has_left
        self.is_reused = is_reused
        self.is_unreachable = is_unreachable
        self.is_alert = is_alert


class _GoneError(aiohttp.ClientError):
    """The connection out of the pool was closed, or spoken on, before the request was written."""


class _SecondTryError(aiohttp.ClientError):
    """The library would send the request again; whether that may be is not for it to decide."""


_exchange: ContextVar[Exchange] = ContextVar("exchange")


class _Request(aiohttp.ClientRequest):
    """Notes when the octets of a request begin to leave."""

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        exchange = _exchange.get()
        wire = exchange.wire
        protocol = conn.protocol
        if exchange.phase is not Phase.CONNECT:
            raise _SecondTryError
        if protocol is None or not protocol.is_connected() or protocol.should_close:
            raise _GoneError
        exchange.is_reused = protocol in wire.used
        if not exchange.is_reused:
            wire.used.add(protocol)
        exchange.phase = Phase.SEND
        if int(self.headers.get("Content-Length", 0)) <= _AT_ONCE_OCTETS:
            response = await super().send(conn)
            exchange.enter(Phase.ANSWER, limit_s=wire.profile.answer_s)
            return response
        exchange.enter(Phase.SEND, limit_s=wire.profile.send_s)
        response = await super().send(conn)
        if self._writer is not None:
            self._writer.add_done_callback(partial(exchange.written, exchange.deadline))
        return response


class Wire:
    """The connections of one carrier, kept alive between requests. Made in the loop that uses it."""

    def __init__(self, profile: HttpProfile, *, tls: ssl.SSLContext | None) -> None:
        self.profile = profile
        self.used: WeakSet[Any] = WeakSet()
        self._tls = tls
        self._server_name = profile.tls.server_hostname if profile.tls is not None else None
        keeps = profile.idle_s > 0
        connector = aiohttp.TCPConnector(
            limit=0,  # the askers are bounded, and each has one request at a time
            ttl_dns_cache=_DNS_TTL_S,
            force_close=not keeps,
            keepalive_timeout=profile.idle_s if keeps else None,
            ssl=tls if tls is not None else True,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=_NO_TIMEOUT,  # the phases have their own
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            request_class=_Request,
            requote_redirect_url=False,
        )

    def join(self) -> Exchange:
        """Return the exchange of the running task, which is its asker from now on."""
        exchange = Exchange(self)
        _exchange.set(exchange)
        return exchange

    async def ask(self, exchange: Exchange, request: HttpRequest) -> HttpResponse:
        """Return the answer to a request of the task that `exchange` is of; raises ExchangeError without one.

        ValueError where the request cannot be written: none of it has left.
        """
        try:
            async with asyncio.timeout(self.profile.connect_s) as deadline:
                exchange.begin(deadline)
                response = await self._first_answer(request)
                try:
                    if exchange.phase is Phase.SEND:  # an answer before the whole of a large request was read
                        exchange.enter(Phase.ANSWER, limit_s=self.profile.answer_s)
                    body = await self._read(response)
                except BaseException:
                    response.close()
                    raise
                # Its names are found in lower case whatever case they came in.
                return HttpResponse(response.status, response.headers, body)
        except aiohttp.InvalidURL as error:
            raise ValueError(f"no URL: {type(error).__name__}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _failure(error, exchange) from None

    async def _first_answer(self, request: HttpRequest) -> aiohttp.ClientResponse:
        """Return the head of the answer; connections of the pool that were closed meanwhile are passed over."""
        tries = _MAX_GONE
        while True:
            try:
                return await self._session.request(
                    request.method,
                    _url(request.url),
                    data=request.body or None,
                    headers=request.headers,
                    allow_redirects=False,
                    server_hostname=self._server_name,
                )
            except _GoneError:
                tries -= 1
                if not tries:
                    raise

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """Return the body, cut at the limit; one that breaks off is as good as none where the status says it all."""
        limit = self.profile.max_answer_octets
        length = response.content_length
        try:
            if length is not None and length <= limit:
                return await response.read()
            chunks: list[bytes] = []
            size = 0
            while size < limit:
                chunk = await response.content.read(_CHUNK_OCTETS)
                if not chunk:
                    response.release()
                    return b"".join(chunks)
                chunks.append(chunk)
                size += len(chunk)
        except (aiohttp.ClientError, OSError):
            if 200 <= response.status < 300:
                raise
            response.close()
            return b""
        response.close()  # what is left is not waited for, so the connection cannot be used again
        return b"".join(chunks)[:limit]

    async def reach(self) -> None:
        """Make a connection and close it: somebody is there. Raises ExchangeError within `connect_s` where not."""
        profile, loop = self.profile, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(profile.connect_s):
                transport, _ = await loop.create_connection(
                    asyncio.Protocol,
                    profile.host,
                    profile.port,
                    ssl=self._tls,
                    server_hostname=(self._server_name or profile.host) if self._tls is not None else None,
                )
        except (OSError, ValueError) as error:
            raise _unreachable(error) from None
        transport.close()

    def abort(self) -> None:
        """Close every connection now."""
        for protocol in list(self.used):
            protocol.abort()

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()


@lru_cache(maxsize=64)
def _url(text: str) -> URL:
    # As it is: dialects encode what they put in, and a signature may be over it.
    return URL(text, encoded=True)


def _failure(error: Exception, exchange: Exchange) -> ExchangeError:
    if isinstance(error, _GoneError):
        return ExchangeError("connection_closed", has_left=False)
    if exchange.phase is Phase.CONNECT:
        return _unreachable(error)
    if isinstance(error, TimeoutError):
        reason = "response_timeout" if exchange.phase is Phase.ANSWER else "send_timeout"
    elif isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
        reason = "bad_answer"
    else:
        reason = "connection_lost"
    return ExchangeError(reason, has_left=True, is_reused=exchange.is_reused)


def _unreachable(error: Exception) -> ExchangeError:
    """Return why there is no connection, in the words of the SMPP link."""
    reason, is_alert = "connect_failed", False
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, TimeoutError):
        reason = "connect_timeout"
    elif isinstance(
        error, aiohttp.ClientConnectorSSLError | aiohttp.ClientConnectorCertificateError | ssl.SSLError
    ) or isinstance(cause, ssl.SSLError | ssl.CertificateError):
        reason, is_alert = "tls_failed", True
    elif isinstance(cause, ConnectionRefusedError):
        reason = "connect_refused"
    return ExchangeError(reason, has_left=False, is_unreachable=True, is_alert=is_alert)
