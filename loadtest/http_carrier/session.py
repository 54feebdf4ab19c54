"""One connection of a client: octets to requests, replies to octets, and every way in which a connection goes wrong.

Requests of a connection are answered one after the other, as HTTP/1.1 wants it; pipelined ones wait.
"""

import asyncio
from collections import deque
from http import HTTPStatus
from typing import Final, Protocol, cast

import httptools

from loadtest.http_carrier.exchange import Reply, Request
from loadtest.http_carrier.orders import Orders

MAX_PIPELINED: Final = 100
MAX_HEADERS: Final = 100
MAX_HEADER_OCTETS: Final = 65_536
MAX_TARGET_OCTETS: Final = 8_192
SLICE_S: Final = 0.02
"""How often a slow reader reads and a slow writer writes."""

_REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
_PLAIN: Final = b"Content-Type: text/plain\r\n"


def _whole(content_type: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (
        content_type,
        len(body),
        body,
    )


_GARBAGE: Final = {
    "octets": b"\x15\x03\x01\x00\x02\x02\x28 this is no HTTP \xff\xfe\r\n\r\n",
    "html": _whole(b"text/html", b"<html><body>Welcome</body></html>"),
    "empty": _whole(b"application/json", b""),
    "other_json": _whole(b"application/json", b'{"weather": "sunny"}'),
}


class Front(Protocol):
    """What a session needs of the carrier."""

    orders: Orders

    def clock(self) -> int:
        """Return nanoseconds of the monotonic clock."""

    def opened(self, session: "HttpSession") -> int:
        """Register a connection; 0 when there are too many."""

    def closed(self, session: "HttpSession") -> None:
        """Forget it."""

    def requested(self, session: "HttpSession", request: Request) -> None:
        """Take one request; the answer comes by `answer`."""

    def broke(self, session: "HttpSession", how: str) -> None:
        """Count a connection ended on purpose."""

    def max_body(self, path: str) -> int:
        """Return the most octets that a request to this path may have."""


class HttpSession(asyncio.Protocol):
    """The driver of one connection."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self.number = 0
        self.serial = 0
        self.is_dead = False
        self._transport: asyncio.Transport
        self._parser: httptools.HttpRequestParser
        self._request: Request
        self._target = b""
        self._header_octets = 0
        self._chunks: list[bytes] = []
        self._body_octets = 0
        self._max_body = 0
        self._is_at_start = True
        self._break = ""
        self._waiting: deque[tuple[Request, bool, str]] = deque()
        self._is_busy = False
        self._is_pumping = False
        self._keeps_alive = True
        self._is_ending = False
        self._current_break = ""
        self._postponed = b""
        self._reader: asyncio.TimerHandle | None = None
        self._writer: asyncio.TimerHandle | None = None
        self._is_write_paused = False

    # -- asyncio.Protocol --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the session; asyncio and uvloop have set TCP_NODELAY."""
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)
        self.number = self._front.opened(self)
        if not self.number:
            self._transport.abort()
        elif self._front.orders.silence == "all":
            self.hold()

    def data_received(self, data: bytes) -> None:
        """Read requests; a slow reader takes its time."""
        if self.is_dead or self._is_ending or not self.number:
            return
        orders = self._front.orders
        if (
            orders.slow_reader or orders.silence == "all"
        ):  # uvloop reads once although the transport was paused
            self._postponed += data
            self._transport.pause_reading()
            self._read_slowly()
            return
        self._feed(data)

    def eof_received(self) -> bool:
        """Let the connection end with its last answer."""
        return False

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read."""
        self._is_write_paused = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        self._is_write_paused = False
        self._resume()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the protocol's signature
        """Disappear."""
        self._is_ending = True
        for timer in (self._reader, self._writer):
            if timer is not None:
                timer.cancel()
        if self.number:
            self._front.closed(self)

    # -- for the carrier ---------------------------------------------------------------------------

    def hold(self) -> None:
        """Read no more: the client sees a carrier that hangs."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def release(self) -> None:
        """Go on where `hold` stopped."""
        self._resume()

    def die(self) -> None:
        """Be half open from now on: what comes is thrown away, nothing is said, not even goodbye."""
        self.is_dead = True

    def drop(self) -> None:
        """Close the TCP connection at once, as a crashing carrier does."""
        self._is_ending = True
        self._transport.abort()

    def answer(self, serial: int, reply: Reply) -> bool:
        """Write the answer to the request that is under way; False when it is not that one (any more)."""
        if serial != self.serial or not self._is_busy or self.is_dead or self._transport.is_closing():
            return False
        how = self._current_break
        if how == "after_read":
            self._front.broke(self, how)
            self.drop()
            return False
        orders = self._front.orders
        octets = _octets(reply, keeps_alive=self._keeps_alive)
        if orders.garbage.shares:
            garbage = orders.garbage.draw()
            if garbage is not None:
                octets = _spoilt(garbage, octets)
                self._keeps_alive = self._keeps_alive and garbage not in {"octets", "wrong_length"}
        if how == "mid_answer":
            self._transport.write(octets[: len(octets) // 2])
            self._front.broke(self, how)
            # The half must leave before the reset would throw it away.
            asyncio.get_running_loop().call_soon(self.drop)
            self._is_ending = True
            return False
        if orders.slow_answer:
            self._write_slowly(octets)
        else:
            self._transport.write(octets)
            self._answered()
        return True

    # -- reading -----------------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        orders = self._front.orders
        if self._is_at_start and data:
            self._is_at_start = False
            self._break = (orders.breaks.draw() or "") if orders.breaks.shares else ""
            if self._break == "before_read":
                self._front.broke(self, self._break)
                self.drop()
                return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._is_ending:
                self._refuse(400, b"this is not HTTP/1.1")
            return
        if not self._is_busy:
            self._next()

    def _read_slowly(self) -> None:
        if self._reader is not None or self._is_ending or self._front.orders.silence == "all":
            return
        self._reader = asyncio.get_running_loop().call_later(SLICE_S, self._read_a_little)

    def _read_a_little(self) -> None:
        self._reader = None
        if self._front.orders.silence == "all":
            return  # `release` calls again
        rate = self._front.orders.slow_reader
        size = max(1, int(rate * SLICE_S)) if rate else len(self._postponed)
        piece, self._postponed = self._postponed[:size], self._postponed[size:]
        if not self.is_dead and piece:
            self._feed(piece)
        if self._postponed:
            self._read_slowly()
        else:
            self._resume()

    def _resume(self) -> None:
        transport = self._transport
        is_held = self._is_write_paused or self._front.orders.silence == "all"
        if (
            transport.is_closing()
            or is_held
            or self._reader is not None
            or len(self._waiting) >= MAX_PIPELINED
        ):
            return
        if self._postponed:
            self._read_slowly()
        else:
            transport.resume_reading()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._request = Request(session=self.number, arrival_ns=0)
        self._target = b""
        self._chunks = []
        self._body_octets = 0
        self._header_octets = 0

    def on_url(self, url: bytes) -> None:
        """Take (a part of) the target."""
        self._target += url
        if len(self._target) > MAX_TARGET_OCTETS:
            self._refuse(414, b"the target is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        headers = self._request.headers
        self._header_octets += len(name) + len(value)
        if len(headers) >= MAX_HEADERS or self._header_octets > MAX_HEADER_OCTETS:
            self._refuse(431, b"too many headers")
            return
        headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Check the length before the body comes."""
        request = self._request
        path, _, query = self._target.partition(b"?")
        request.path, request.query = path.decode("latin-1"), query.decode("latin-1")
        request.method = self._parser.get_method().decode("latin-1")
        self._max_body = self._front.max_body(request.path)
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._max_body:
            self._refuse(413, b"the body is above the limit of %d octets" % self._max_body)
        elif request.headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._chunks.append(body)
        self._body_octets += len(body)
        if self._body_octets > self._max_body:
            self._refuse(413, b"the body is above the limit of %d octets" % self._max_body)

    def on_message_complete(self) -> None:
        """Queue the request; the ones before it are answered first."""
        if self._is_ending:
            return
        request = self._request
        chunks = self._chunks
        request.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        request.arrival_ns = self._front.clock()
        self._waiting.append((request, self._parser.should_keep_alive(), self._break))
        self._is_at_start = True
        if len(self._waiting) >= MAX_PIPELINED:
            self._transport.pause_reading()

    # -- answering ---------------------------------------------------------------------------------

    def _next(self) -> None:
        if self._is_pumping:
            return
        self._is_pumping = True
        while self._waiting and not self._is_busy and not self._is_ending:
            request, self._keeps_alive, self._current_break = self._waiting.popleft()
            self._is_busy = True
            self.serial += 1
            self._front.requested(self, request)
        self._is_pumping = False

    def _answered(self) -> None:
        self._is_busy = False
        if not self._keeps_alive:
            self._is_ending = True
            self._transport.close()
        elif self._waiting:
            self._next()
            self._resume()

    def _write_slowly(self, octets: bytes) -> None:
        """Write a slice now and the rest in time; the answer is done with its last octet."""
        self._writer = None
        if self._transport.is_closing() or self.is_dead:
            return
        rate = self._front.orders.slow_answer
        size = max(1, int(rate * SLICE_S)) if rate else len(octets)
        self._transport.write(octets[:size])
        if len(octets) > size:
            loop = asyncio.get_running_loop()
            self._writer = loop.call_later(SLICE_S, self._write_slowly, octets[size:])
        else:
            self._answered()

    def _refuse(self, status: int, why: bytes) -> None:
        """Answer what cannot be understood, and end."""
        if self._is_ending:
            return
        self._is_ending = True
        self._transport.write(_octets(Reply(status, why + b"\n", _PLAIN), keeps_alive=False))
        self._transport.close()


def _octets(reply: Reply, *, keeps_alive: bool) -> bytes:
    return b"HTTP/1.1 %d %b\r\n%bContent-Length: %d\r\n%b\r\n%b" % (
        reply.status,
        _REASONS.get(reply.status, b"Status"),
        reply.headers,
        len(reply.body),
        b"" if keeps_alive else b"Connection: close\r\n",
        reply.body,
    )


def _spoilt(how: str, octets: bytes) -> bytes:
    """Return an answer of the kind of garbage asked for, made of the right one where it says so."""
    ready = _GARBAGE.get(how)
    if ready is not None:
        return ready
    head, _, body = octets.partition(b"\r\n\r\n")
    if how == "cut_json":
        return _whole(b"application/json", body[: len(body) // 2])
    return (
        head.replace(b"Content-Length: ", b"Content-Length: 9") + b"\r\n\r\n" + body
    )  # promises more than comes
