"""A carrier that takes whatever comes: for e-mail, push, voice and other APIs of examples and tests.

Every request is recorded as one message and kept whole (the newest ones); the answer is a configured body with `{id}`
replaced. Nothing is checked but the hidden limit and the error mix of HTTP statuses.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from loadtest.http_carrier.exchange import (
    JSON_HEADERS,
    Desk,
    Message,
    Notice,
    Reply,
    Request,
    Status,
    Verdict,
)
from loadtest.http_carrier.json_sms import signed
from loadtest.http_carrier.orders import Orders
from loadtest.http_carrier.settings import HttpCarrierSettings

MAX_BODY_OCTETS: Final = 16 << 20
MAX_KEPT_OCTETS: Final = 65_536
_STATUSES: Final = {"throttled": 429, "refused": 400, "system_error": 500}


class Generic:
    """The kind `generic`."""

    def __init__(self, desk: Desk, orders: Orders, *, settings: HttpCarrierSettings) -> None:
        given = settings.generic
        self._desk = desk
        self._orders = orders
        self._secret = settings.secret.encode()
        self._status = given.status
        self._headers = f"Content-Type: {given.content_type}\r\n".encode()
        self._body = given.body.encode()
        self._ref_field, self._to_field = given.ref_field.split("."), given.to_field.split(".")
        self.requests: deque[dict[str, Any]] = deque(maxlen=given.keeps_requests)

    def max_body(self, path: str) -> int:  # noqa: ARG002  # one limit for all paths
        """Return the most octets that a request may have."""
        return MAX_BODY_OCTETS

    def codes(self, word: str) -> str:
        """Refuse: this kind has no words of its own."""
        raise ValueError(f"error {word!r} is not an HTTP status 400..599")

    def statuses(self, fate: str) -> tuple[Status, ...]:  # noqa: ARG002  # it tells nothing by itself
        """Return no receipts: `POST /callback` of the control API sends what a test wants told."""
        return ()

    def failed(self, request: Request, http_status: int) -> Reply:  # noqa: ARG002  # the same for all
        """Answer with a bare failure of HTTP."""
        headers = JSON_HEADERS
        if http_status in {429, 503} and self._orders.retry_after_s:
            headers += b"Retry-After: %d\r\n" % self._orders.retry_after_s
        return Reply(http_status, b'{"error":"request failed"}', headers)

    def requested(self, request: Request) -> Reply:
        """Record a request and answer it."""
        self.requests.append(
            {
                "method": request.method,
                "path": request.path,
                "query": request.query,
                "headers": request.headers,
                "body": request.body[:MAX_KEPT_OCTETS].decode("utf-8", "replace"),
            }
        )
        try:
            tree = msgspec.json.decode(request.body) if request.body else None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            tree = None
        to, ref = _field(tree, self._to_field), _field(tree, self._ref_field)
        message = Message(to, f"{request.method} {request.path}", ref, request.body, "request")
        is_let = self._orders.takes("", request.arrival_ns)
        verdict = self._desk.judge(to) if is_let else Verdict(refusal="throttled")
        http_status = _STATUSES.get(verdict.refusal, self._status)
        number = self._desk.take(
            request, message, code=verdict.refusal, verdict=verdict, http_status=http_status
        )
        numbers = range(number, number + 1)
        if verdict.refusal:
            return self.failed(request, http_status)._replace(numbers=numbers)
        body = self._body.replace(b"{id}", self._desk.message_id(number).encode())
        return Reply(http_status, body, self._headers, numbers, verdict.is_answered)

    def callback(self, notices: list[Notice], *, unix_ns: int) -> tuple[bytes, bytes]:
        """Return the body as it was ordered, signed as the kind `json` signs."""
        body = notices[0].raw or b"{}"
        return signed(self._secret, body, unix_ns=unix_ns), body

    def reply(self, wish: Mapping[str, Any]) -> Notice:
        """Return a notice with this JSON body."""
        return Notice(-1, "REPLY", raw=msgspec.json.encode(dict(wish)))


def _field(tree: Any, path: list[str]) -> str:
    for name in path:
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return str(tree) if isinstance(tree, str | int) else ""
