"""What HTTP carriers call on our side: receipts and replies, by `POST /callbacks/{carrier}` (and GET where one verifies).

Implemented by `adapters.http`; `gateway.ingress.callbacks` makes what was read durable and answers only then. The rules:

1. `read` never raises for anything in the request; it does no I/O.
2. A request whose signature is wrong gives no items and an answer that says no more than that.
3. The same call twice gives the same items: what reads them deduplicates.
4. `answer` is for after the items are durable; if they cannot be made durable the carrier gets 503 and calls again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gateway.domain.receipts import MobileOriginated, Receipt


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """One call of a carrier. `headers` have lower-case names; `query` is as decoded, last value wins."""

    method: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    received_at: int


class CallbackAnswer(NamedTuple):
    """What the carrier is told."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class CallbackReading:
    """What a call said. `fault` is why it, or a part of it, was not understood (closed set, for metrics and logs)."""

    answer: CallbackAnswer
    items: Sequence[Receipt | MobileOriginated] = ()
    fault: str = ""


class CallbackReader(Protocol):
    """Reads the calls of one carrier; see the rules above."""

    def read(self, request: CallbackRequest) -> CallbackReading:
        """Return the answer and what the call said."""
