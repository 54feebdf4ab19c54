"""What an HTTP carrier wants to hear and how its answers are read: the seam between the link and each kind of carrier.

`adapters.http.link` owns connections, pace, breaker, deadlines and outcomes of the transport; a dialect knows the
carrier's words. `mapping` is a dialect made of data, `whatsapp` one made of code. Dialects do no I/O and read no clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from gateway.domain.message import OutboundSegment
from gateway.domain.outcomes import SubmitOutcome


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request as it goes out. `headers` hold secrets: use `shown` for people."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


class HttpResponse(NamedTuple):
    """One answer: `headers` have lower-case names, `body` is at most as long as the link reads."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpDialect(Protocol):
    """The words of one carrier."""

    @property
    def bulk_limit(self) -> int:
        """Segments that one request may carry, 1 where the carrier takes them singly."""

    def refuses(self, segment: OutboundSegment, *, now_ms: int) -> SubmitOutcome | None:
        """Return the outcome of a segment that must not be sent now (a limit per recipient, nothing to say it with)."""

    def upload(self, segment: OutboundSegment, *, now_ms: int) -> str | None:
        """Return the `media_id` of ours that the carrier must have before the segment can go, None when nothing."""

    def upload_request(self, media_id: str, *, content_type: str, name: str, octets: bytes) -> HttpRequest:
        """Return the request that gives the carrier a file."""

    def uploaded(self, media_id: str, response: HttpResponse, *, now_ms: int) -> SubmitOutcome | None:
        """Remember the carrier's id of the file; return the outcome for its segments when the carrier refused it."""

    def request(self, segments: Sequence[OutboundSegment], *, now_ms: int) -> HttpRequest:
        """Return the request that submits the segments, at most `bulk_limit` of them."""

    def outcomes(
        self, response: HttpResponse, segments: Sequence[OutboundSegment], *, bind: str, response_ms: int
    ) -> list[SubmitOutcome]:
        """Return the outcome of each segment, whatever the carrier wrote; never raises."""

    def normalise_id(self, carrier_message_id: str) -> str:
        """Return a carrier's id in the form that receipts are matched in."""

    def reference(self, segment: OutboundSegment) -> str:
        """Return what receipts name the segment by as well when its answer was lost, empty where they do not."""

    def shown(self, request: HttpRequest) -> dict[str, object]:
        """Return a request for people: secrets and all but the last two digits of numbers masked."""
