"""What HTTP carriers call on our side: receipts and replies, by `POST /callbacks/{carrier}` (and GET where one verifies).

Implemented by `adapters.http`; `gateway.ingress.callbacks` makes what was read durable and answers only then. The rules:

1. `read` never raises for anything in the request; it does no I/O.
2. A request whose signature is wrong gives no items and an answer that says no more than that.
3. The same call twice gives the same items: what reads them deduplicates.
4. `answer` is for after the items are durable; if they cannot be made durable the carrier gets 503 and calls again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from gateway.domain.receipts import MobileOriginated, Receipt


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """One call of a carrier. `headers` have lower-case names; `query` is as decoded, last value wins.

    `source` is the address that the call came from, as the socket says.
    """

    method: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    received_at: int
    source: str = ""


class CallbackFault(StrEnum):
    """Why a call, or a part of it, was not understood."""

    METHOD = "method"  # GET where it has to be POST, or the other way round
    SOURCE = "source"  # from an address that the carrier does not call from
    SIGNATURE = "signature"  # not signed, or not by who knows the secret
    STALE = "stale"  # signed at a time that is too far from now
    MALFORMED = "malformed"  # not JSON, or not the form that it should be
    TOO_MANY = "too_many"  # more items than one call may have
    SHAPE = "shape"  # an item lacks what it must have, or has it in another type
    UNKNOWN_KIND = "unknown_kind"  # neither a receipt nor a reply by the rules given
    UNKNOWN_STATE = "unknown_state"  # a state that the configuration has no word for


class CallbackAnswer(NamedTuple):
    """What the carrier is told."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class CallbackReading:
    """What a call said. `fault` is why it, or a part of it, was not understood: a `CallbackFault`, or "" if it was."""

    answer: CallbackAnswer
    items: Sequence[Receipt | MobileOriginated] = ()
    fault: str = ""


class CallbackReader(Protocol):
    """Reads the calls of one carrier; see the rules above."""

    def read(self, request: CallbackRequest) -> CallbackReading:
        """Return the answer and what the call said."""
