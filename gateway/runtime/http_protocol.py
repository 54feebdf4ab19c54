"""uvicorn's HTTP protocol with a short way for whole requests: no task, no scope, no ASGI events between (decision 57).

Built by `gateway.runtime.server`. What a short way does not take, and whatever is unusual in HTTP (a body in pieces, a
request behind another one, `Expect`, an upgrade, a peer that does not read), goes the ordinary way, which knows it all.
A request whose head is that of the one before on its connection is not even parsed (decision 61).
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.ingress.auth import Caller
from gateway.ingress.fast import FastPath
from gateway.runtime.http_heads import KnownHead, known_head

_CLOSE: Final = b"connection: close\r\n"


class HttpProtocol(HttpToolsProtocol):
    """One connection. `fast` has the short ways by raw path; they are for POST."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        fast: Mapping[bytes, FastPath],
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._fast = fast
        self._way: FastPath | None = None
        self._whole = b""
        self._defaults: tuple[list[tuple[bytes, bytes]], bytes] | None = None
        self._idle_since: float | None = None
        self._is_amid = False  # a request that the parser has begun
        self._alone = b""  # what has come, where it began with a request
        self._taken: tuple[KnownHead, FastPath, Caller] | None = None

    def data_received(self, data: bytes) -> None:
        """Parse what came; a request whose body is still under way goes the ordinary way."""
        if self._taken is not None and self._take_alike(data):
            return
        self._alone = b"" if self._is_amid else data
        super().data_received(data)
        self._alone = b""
        if self._way is not None:
            self._way = None
            self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the watch over an idle connection as well."""
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def on_message_begin(self) -> None:
        """Begin a request; its scope is made when it is known to be needed."""
        self._is_amid = True
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """Hold a request that a short way may take until its body is there."""
        way = self._fast.get(self.url)
        if way is not None and self._may_be_short():
            self._way = way
            self._whole = b""
        else:
            self._begin()

    def on_body(self, body: bytes) -> None:
        """Keep or hand on a piece of the body."""
        if self._way is not None:
            self._whole = self._whole + body if self._whole else body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Offer a whole request to its short way."""
        self._is_amid = False
        way, self._way = self._way, None
        if way is None:
            super().on_message_complete()
            return
        caller = way.caller(self.headers)
        is_kept = self.parser.should_keep_alive()
        if caller is None or not self._offer(way, caller, self._whole, is_kept=is_kept):
            self._go_on()
            super().on_message_complete()
        elif is_kept and self._alone:
            head = known_head(self._alone, body_octets=len(self._whole))
            self._taken = None if head is None else (head, way, caller)

    def _take_alike(self, data: bytes) -> bool:
        """Take a request that differs from the last one taken in nothing but its body; False: nothing was done."""
        assert self._taken is not None
        head, way, caller = self._taken
        if self._is_amid or not self.cycle.response_complete or self.flow.write_paused:
            return False
        body = head.body_of(data)
        if body is None or not self._offer(way, caller, body, is_kept=True):
            return False
        self._idle_since = None
        return True

    def _offer(self, way: FastPath, caller: Caller, body: bytes, *, is_kept: bool) -> bool:
        before = self.cycle
        exchange = _Exchange(self, keep_alive=is_kept)
        self.cycle = exchange  # type: ignore[assignment]  # it has what this protocol asks of a cycle
        is_taken = way.take(caller, body, exchange)
        if not is_taken:
            self.cycle = before
        return is_taken

    def respond(self, status: int, fields: bytes, body: bytes, *, keep_alive: bool) -> None:
        """Write a whole answer; `fields` are lines with their ends."""
        defaults = self.server_state.default_headers
        if self._defaults is None or self._defaults[0] is not defaults:
            lines = b"".join([b"%b: %b\r\n" % pair for pair in defaults])
            self._defaults = (defaults, lines)
        transport = self.transport
        if not transport.is_closing():
            end = b"\r\n" if keep_alive else _CLOSE + b"\r\n"
            transport.write(b"".join((STATUS_LINE[status], self._defaults[1], fields, end, body)))
            if not keep_alive:
                transport.close()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request that came meanwhile, or watch an idle connection.

        One timer looks again now and then: setting and taking back one for each request would cost more than the rest.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._watch(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that has been idle for long enough."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return  # a request is on; its end sets the timer
        left_s = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._watch(left_s)
        else:
            super().timeout_keep_alive_handler()

    def _watch(self, delay_s: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(delay_s, self.timeout_keep_alive_handler)

    def _unset_keepalive_if_required(self) -> None:
        # uvicorn calls it when something came.
        self._idle_since = None

    def _may_be_short(self) -> bool:
        return (
            (self.cycle is None or self.cycle.response_complete)
            and not self.expect_100_continue
            and not self.flow.write_paused
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and not self.parser.should_upgrade()
        )

    def _begin(self) -> None:
        """Do what was put off when the request began, and go on as uvicorn does."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers
        super().on_headers_complete()

    def _go_on(self) -> None:
        """Hand a held request to the ordinary way, with what is there of its body."""
        self._begin()
        if self._whole:
            super().on_body(self._whole)
            self._whole = b""


class _Nobody:
    """Stands for the event of a cycle: nobody waits for it here."""

    def set(self) -> None:
        """Wake nobody."""


class _Exchange:
    """The request that a short way has taken, as the protocol sees a cycle; answered exactly once."""

    __slots__ = ("_protocol", "disconnected", "keep_alive", "response_complete")

    message_event: Final = _Nobody()

    def __init__(self, protocol: HttpProtocol, *, keep_alive: bool) -> None:
        self._protocol = protocol
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False

    def answer(self, status: int, fields: bytes, body: bytes) -> None:
        """Answer, unless the client is gone."""
        self.response_complete = True
        self._protocol.respond(status, fields, body, keep_alive=self.keep_alive)
