"""An aggregator's JSON SMS API, of no company in particular.

`POST /sms/2/messages`, `Authorization: Bearer TOKEN`, body `{"to", "from", "text", "ref"}` or `{"messages": [...]}`;
the answer has one `{"id", "ref", "to", "status": {"code", "name"}}` for each message, in their order. Callbacks are
signed: `X-Signature: sha256=HEX` is HMAC-SHA256 of `X-Timestamp`, a dot and the body. With `receipt_batch` 1 the body is one
event, else `{"events": [...]}`.
"""

import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
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
from loadtest.http_carrier.orders import Orders

PATH: Final = "/sms/2/messages"
MAX_BODY_OCTETS: Final = 4 << 20
MAX_TEXT_CHARACTERS: Final = 4_096
MAX_SENDER_CHARACTERS: Final = 20
MAX_REF_CHARACTERS: Final = 200

ITEM_CODES: Final = {
    "ACCEPTED": 0,
    "INVALID_DESTINATION": 1,
    "INVALID_SENDER": 2,
    "INVALID_TEXT": 3,
    "THROTTLED": 4,
    "SYSTEM_ERROR": 5,
    "BLOCKED": 6,
    "NO_CREDIT": 7,
    "NO_ROUTE": 8,
}
"""Codes of an item in an answer, by name."""

RECEIPT_CODES: Final = {"DELIVERED": 0, "UNDELIVERABLE": 21, "REJECTED": 22, "EXPIRED": 27}
"""Codes of a receipt, by name; `fail_code` replaces the one of UNDELIVERABLE."""

_WORDS: Final = {"throttled": "THROTTLED", "refused": "INVALID_DESTINATION", "system_error": "SYSTEM_ERROR"}
_ERROR_WORDS: Final = {
    400: b"BAD_REQUEST",
    401: b"UNAUTHORIZED",
    403: b"FORBIDDEN",
    404: b"NOT_FOUND",
    405: b"METHOD_NOT_ALLOWED",
    429: b"TOO_MANY_REQUESTS",
}
_ERROR: Final = b'{"error":{"code":"%b","message":"%b"}}'


class Submission(msgspec.Struct, rename={"sender": "from"}):
    """One message of a request, or a whole request with `messages`."""

    to: str = ""
    sender: str = ""
    text: str = ""
    ref: str = ""
    messages: "list[Submission] | None" = None


class JsonSms:
    """The kind `json`."""

    def __init__(
        self, desk: Desk, orders: Orders, *, token: str, secret: str, max_bulk: int, clock: Callable[[], int]
    ) -> None:
        self._desk = desk
        self._orders = orders
        self._authorization = f"Bearer {token}"
        self._secret = secret.encode()
        self._max_bulk = max_bulk
        self._clock = clock
        self._decode = msgspec.json.Decoder(Submission).decode
        self._encode = msgspec.json.Encoder().encode

    def max_body(self, path: str) -> int:  # noqa: ARG002  # one limit for all paths
        """Return the most octets that a request may have."""
        return MAX_BODY_OCTETS

    def codes(self, word: str) -> str:
        """Return the name of an item's code. Raises ValueError."""
        if word not in ITEM_CODES or word == "ACCEPTED":
            names = ", ".join(name for name in ITEM_CODES if name != "ACCEPTED")
            raise ValueError(f"error {word!r} is neither one of {names} nor an HTTP status 400..599")
        return word

    def statuses(self, fate: str) -> tuple[Status, ...]:
        """Return the one receipt of a message, or none."""
        if fate == "undeliverable":
            code = self._orders.fail_code
            return (Status("UNDELIVERABLE", code or RECEIPT_CODES["UNDELIVERABLE"]),)
        return _RECEIPTS[fate]

    def failed(self, request: Request, http_status: int) -> Reply:  # noqa: ARG002  # the same for all
        """Answer with a failure of the whole request; 429 tells when to come again."""
        word = _ERROR_WORDS.get(http_status, b"INTERNAL_ERROR" if http_status >= 500 else b"BAD_REQUEST")
        headers = JSON_HEADERS
        if http_status in {429, 503} and self._orders.retry_after_s:
            headers += b"Retry-After: %d\r\n" % self._orders.retry_after_s
        return Reply(http_status, _ERROR % (word, b"request failed"), headers)

    def requested(self, request: Request) -> Reply:
        """Answer one request."""
        if request.path != PATH:
            return self.failed(request, 404)
        if request.method != "POST":
            return self.failed(request, 405)
        given = request.headers.get("authorization", "")
        if given != self._authorization:
            return self.failed(request, 401)
        try:
            submission = self._decode(request.body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return Reply(400, self._encode({"error": {"code": "BAD_REQUEST", "message": str(error)}}))
        submissions = [submission] if submission.messages is None else submission.messages
        if not 1 <= len(submissions) <= self._max_bulk:
            why = f"messages has {len(submissions)} entries, the limits are 1 and {self._max_bulk}"
            return Reply(400, self._encode({"error": {"code": "BAD_REQUEST", "message": why}}))
        return self._submit(request, submissions)

    def _submit(self, request: Request, submissions: list[Submission]) -> Reply:
        desk, orders = self._desk, self._orders
        items = []
        first = -1
        number = -1
        is_answered, awaits_receipt = True, False
        is_single = len(submissions) == 1
        for submission in submissions:
            code = _fault(submission)
            verdict = _REFUSED
            if not code:
                if not orders.takes("", request.arrival_ns):
                    code = "THROTTLED"
                else:
                    verdict = desk.judge(submission.to)
                    code = _WORDS.get(verdict.refusal, verdict.refusal)
            if code == "THROTTLED" and orders.throttle_as == "429" and (is_single or first < 0):
                return self._throttle(request, submissions)
            number = desk.take(request, _message(submission), code=code, verdict=verdict, http_status=200)
            first = number if first < 0 else first
            if not code:
                is_answered = is_answered and verdict.is_answered
                awaits_receipt = awaits_receipt or verdict.is_receipt_first
            name = code or "ACCEPTED"
            item = {"to": submission.to, "status": {"code": ITEM_CODES[name], "name": name}}
            if submission.ref:
                item["ref"] = submission.ref
            if not code:
                item["id"] = desk.message_id(number)
            items.append(item)
        return Reply(
            200,
            self._encode({"messages": items}),
            numbers=range(first, number + 1),
            is_answered=is_answered,
            awaits_receipt=awaits_receipt,
        )

    def _throttle(self, request: Request, submissions: list[Submission]) -> Reply:
        """Take none of a request's messages."""
        taken = [
            self._desk.take(request, _message(one), code="THROTTLED", verdict=_REFUSED, http_status=429)
            for one in submissions
        ]
        return self.failed(request, 429)._replace(numbers=range(taken[0], taken[-1] + 1))

    # -- callbacks ---------------------------------------------------------------------------------

    def callback(self, notices: list[Notice], *, unix_ns: int) -> tuple[bytes, bytes]:
        """Return headers and body of a signed call."""
        raw = notices[0].raw
        if raw is not None:
            body = raw
        else:
            at = datetime.fromtimestamp(unix_ns / 1e9, tz=UTC).isoformat(timespec="milliseconds")
            at = at.replace("+00:00", "Z")
            events = [self._event(notice, at) for notice in notices]
            is_single = self._orders.receipt_batch == 1 and len(events) == 1
            body = self._encode(events[0] if is_single else {"events": events})
        return signed(self._secret, body, unix_ns=unix_ns), body

    def _event(self, notice: Notice, at: str) -> dict[str, Any]:
        if notice.reply is not None:
            return {"event": "reply", **notice.reply, "at": at}
        event = {
            "event": "receipt",
            "id": self._desk.message_id(notice.number),
            "to": notice.destination,
            "status": {"code": notice.error, "name": notice.state},
            "at": at,
        }
        if notice.ref:
            event["ref"] = notice.ref
        return event

    def reply(self, wish: Mapping[str, Any]) -> Notice:
        """Return the notice of a person's message: `{"from", "to", "text"}` and an `id` of its own if wanted."""
        unknown = set(wish) - {"id", "from", "to", "text"}
        if unknown or not {"from", "to", "text"} <= set(wish):
            raise ValueError(
                f"a reply has from, to, text and maybe id, not {', '.join(sorted(wish)) or 'nothing'}"
            )
        told = {name: str(value) for name, value in wish.items()}
        told.setdefault("id", f"mo-{self._clock():x}")
        return Notice(-1, "REPLY", told["to"], told["from"], reply=told)


_REFUSED: Final = Verdict(refusal="refused")
_RECEIPTS: Final[dict[str, tuple[Status, ...]]] = {
    "delivered": (Status("DELIVERED"),),
    "read": (Status("DELIVERED"),),
    "sent": (),
    "silent": (),
    "expired": (Status("EXPIRED", RECEIPT_CODES["EXPIRED"]),),
}


def signed(secret: bytes, body: bytes, *, unix_ns: int) -> bytes:
    """Return the header lines of a signed JSON body."""
    timestamp = b"%d" % (unix_ns // 1_000_000_000)
    signature = hmac.digest(secret, timestamp + b"." + body, "sha256").hex().encode()
    return b"%bX-Timestamp: %b\r\nX-Signature: sha256=%b\r\n" % (JSON_HEADERS, timestamp, signature)


def _message(submission: Submission) -> Message:
    return Message(
        submission.to.removeprefix("+"),
        submission.sender,
        submission.ref,
        submission.text.encode("utf-8", "replace"),
    )


def _fault(submission: Submission) -> str:
    """Return the code that a message deserves for its fields alone, empty when they are good."""
    to = submission.to.removeprefix("+")
    if not (to.isascii() and to.isdigit() and 7 <= len(to) <= 15):
        return "INVALID_DESTINATION"
    if len(submission.sender) > MAX_SENDER_CHARACTERS:
        return "INVALID_SENDER"
    if not 1 <= len(submission.text) <= MAX_TEXT_CHARACTERS or len(submission.ref) > MAX_REF_CHARACTERS:
        return "INVALID_TEXT"
    return ""
