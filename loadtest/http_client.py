"""A keep-alive HTTP/1.1 connection of few parts: for callbacks of simulators and for load at one message a request.

One request at a time; about 25 µs of CPU each, a tenth of a full client. No redirects, no cookies, no compression.
"""

import asyncio
import ssl
from typing import Final, NamedTuple, cast
from urllib.parse import urlsplit

import httptools

MAX_ANSWER_OCTETS: Final = 1 << 20


class Target(NamedTuple):
    """Where a URL leads: `path` includes the query."""

    is_tls: bool
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> bytes:
        """Return the value of the Host header."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{name}:{self.port}".encode()


class Answer(NamedTuple):
    """Status and body of an answer; `headers` have lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes


def parse_url(url: str) -> Target:
    """Return the parts of an http or https URL. Raises ValueError naming it."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"url {url!r} is not http://host... or https://host...")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme == "https", parts.hostname, port, path)


class _Conversation(asyncio.Protocol):
    """The connection itself: octets to one answer at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.is_open = False
        self._parser: httptools.HttpResponseParser
        self._waiter: asyncio.Future[Answer] | None = None
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.is_open = True
        self._parser = httptools.HttpResponseParser(self)

    def send(self, octets: bytes) -> "asyncio.Future[Answer]":
        assert self.transport is not None
        assert self._waiter is None
        self._waiter = asyncio.get_running_loop().create_future()
        self.transport.write(octets)
        return self._waiter

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(ConnectionError(f"the answer is not HTTP: {error}"))
            self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self._fail(ConnectionResetError(f"the connection ended before the answer: {exc or 'closed'}"))

    def drop(self) -> None:
        self.is_open = False
        if self.transport is not None:
            self.transport.abort()

    def _fail(self, error: Exception) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)

    # -- httptools ---------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._headers = {}
        self._body = bytearray()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > MAX_ANSWER_OCTETS:
            self._fail(ConnectionError(f"the answer is longer than {MAX_ANSWER_OCTETS} octets"))
            self.drop()

    def on_message_complete(self) -> None:
        parser = self._parser
        status = parser.get_status_code()
        if 100 <= status < 200:
            return
        if not parser.should_keep_alive():
            self.is_open = False
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(Answer(status, self._headers, bytes(self._body)))
        if not self.is_open and self.transport is not None:
            self.transport.close()


class HttpChannel:
    """One connection to one host, opened when needed. Requests one after the other; not for concurrent use."""

    def __init__(self, target: Target, *, tls: ssl.SSLContext | None = None) -> None:
        self._target = target
        self._tls = tls or (ssl.create_default_context() if target.is_tls else None)
        self._conversation: _Conversation | None = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: bytes = b"",
        body: bytes = b"",
        timeout_s: float = 10.0,
        is_repeatable: bool = False,
    ) -> Answer:
        """Return the answer; `headers` are ready lines, each with its CRLF.

        An `is_repeatable` request goes again at once when the kept connection turns out to be closed. Raises OSError
        (ConnectionError, refused) or TimeoutError; the connection is dropped then.
        """
        head = f"{method} {path} HTTP/1.1\r\nHost: ".encode()
        octets = b"%b%b\r\nContent-Length: %d\r\n%b\r\n%b" % (
            head,
            self._target.host_header,
            len(body),
            headers,
            body,
        )
        try:
            async with asyncio.timeout(timeout_s):
                conversation = self._conversation
                if conversation is not None and conversation.is_open:
                    try:
                        return await conversation.send(octets)
                    except ConnectionError:
                        if not is_repeatable:
                            raise
                conversation = self._conversation = await self._connect()
                return await conversation.send(octets)
        except BaseException:
            self.close()
            raise

    async def _connect(self) -> _Conversation:
        loop = asyncio.get_running_loop()
        _, conversation = await loop.create_connection(
            _Conversation, self._target.host, self._target.port, ssl=self._tls
        )
        return conversation

    def close(self) -> None:
        """Drop the connection."""
        if self._conversation is not None:
            self._conversation.drop()
            self._conversation = None
