"""What sessions, the carrier and its kinds hand to each other: requests, replies, fates, what a callback tells."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

JSON_HEADERS: Final = b"Content-Type: application/json\r\n"


class Request:
    """One request, read whole. `headers` have lower-case names."""

    __slots__ = ("arrival_ns", "body", "headers", "method", "path", "query", "session")

    def __init__(self, *, session: int, arrival_ns: int) -> None:
        self.session = session
        self.arrival_ns = arrival_ns
        self.method = ""
        self.path = ""
        self.query = ""
        self.headers: dict[str, str] = {}
        self.body = b""


class Reply(NamedTuple):
    """What a request is answered; `numbers` are the messages recorded for it.

    `is_answered` False means never; with `awaits_receipt` the answer comes after a receipt of one of its messages.
    """

    status: int
    body: bytes
    headers: bytes = JSON_HEADERS
    numbers: range = range(0)
    is_answered: bool = True
    awaits_receipt: bool = False


class Verdict(NamedTuple):
    """What becomes of a message: refused with a word, or taken with a fate."""

    refusal: str = ""
    fate: str = "delivered"
    is_answered: bool = True
    is_receipt_first: bool = False


class Notice(NamedTuple):
    """Something to tell by callback: a receipt of message `number`, or (number -1) a reply of a person.

    `reply` is what the control API was asked to send; `raw` a body to be sent as it is.
    """

    number: int
    state: str
    destination: str = ""
    source: str = ""
    ref: str = ""
    error: int = 0
    reply: Mapping[str, Any] | None = None
    raw: bytes | None = None


class Status(NamedTuple):
    """One state of a message's life, told by a receipt; `error` is the carrier's code of a failure."""

    state: str
    error: int = 0


class Message(NamedTuple):
    """What a kind understood of one message."""

    destination: str
    source: str
    ref: str
    text: bytes
    form: str = "text"


class Desk(Protocol):
    """What a kind needs of the carrier."""

    def judge(self, destination: str) -> Verdict:
        """Decide on a well-formed message."""

    def take(
        self, request: Request, message: Message, *, code: str, verdict: Verdict, http_status: int
    ) -> int:
        """Record a message with the word of its answer, schedule its receipts if it was taken; return its number."""

    def message_id(self, number: int) -> str:
        """Return the id of a message."""

    def clock(self) -> int:
        """Return nanoseconds of the monotonic clock."""

    def unix_ns(self) -> int:
        """Return the wall clock in nanoseconds."""


class Kind(Protocol):
    """The words of one sort of carrier."""

    def codes(self, word: str) -> str:
        """Return `word` if it may stand in the error mix. Raises ValueError naming what may."""

    def statuses(self, fate: str) -> tuple[Status, ...]:
        """Return the receipts that a message with this fate gets, in their order."""

    def requested(self, request: Request) -> Reply:
        """Answer one request."""

    def failed(self, request: Request, http_status: int) -> Reply:
        """Answer with a bare failure of HTTP."""

    def callback(self, notices: list[Notice], *, unix_ns: int) -> tuple[bytes, bytes]:
        """Return header lines and body of the call that tells these notices."""

    def reply(self, wish: Mapping[str, Any]) -> Notice:
        """Return the notice of a message that a person sends. Raises ValueError."""

    def max_body(self, path: str) -> int:
        """Return the most octets that a request to this path may have."""
