"""What a message is while it travels: the logical message on a lane, and one segment on its way to a carrier.

Built by `gateway.intake`, carried by the bus, read by `gateway.dispatch` and the recorder. Times are integer
milliseconds since the Unix epoch (UTC); a message never carries a monotonic time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from gateway.domain.outcomes import SubmitOutcome
from gateway.domain.segmentation import SegmentPayload


class MessageClass(StrEnum):
    """What the message is for; it decides lane, priority, validity and what a crash may do to it."""

    OTP = "otp"
    TRANSACTIONAL = "transactional"
    COLLECTIONS = "collections"
    MARKETING = "marketing"

    @property
    def resends_in_doubt(self) -> bool:
        """True where a submit without an answer is sent again (P2); the others wait for their receipt."""
        return self in (MessageClass.OTP, MessageClass.TRANSACTIONAL)


CLASSES: tuple[MessageClass, ...] = tuple(MessageClass)
"""All classes, highest priority first."""


class Channel(StrEnum):
    SMS = "sms"


class Source(StrEnum):
    """How a message entered."""

    API = "api"
    SMPP = "smpp_server"


@dataclass(frozen=True, slots=True)
class Message:
    """One logical message with all its segments; the value of a lane record (D14).

    `recipient` is E.164 without plus. `text` is already NFC and, where asked for, transliterated: what is counted
    is what is sent. `encoding` is the alphabet chosen at intake. `carrier` is whose lane it is in and `candidates`
    are the carriers still to try. `attempt` counts submit tries from 1. `segments_done` lists the segment indices
    (from 1) that an earlier attempt has already settled. `reference` is the concatenation reference once drawn. `hops`
    counts how often it moved to another carrier. `webhook_id` names the one endpoint that is told of it, None all that
    the account subscribed. `origin` is what `gateway.smppd` needs to answer the sender (F21), opaque to all others.
    """

    id: UUID
    account_id: str
    message_class: MessageClass
    recipient: str
    sender: str
    text: str
    encoding: str
    segment_count: int
    accepted_at: int
    valid_until: int
    carrier: str
    candidates: tuple[str, ...] = ()
    channel: Channel = Channel.SMS
    source: Source = Source.API
    send_at: int | None = None
    client_ref: str | None = None
    batch_id: UUID | None = None
    request_id: str | None = None
    metadata: dict[str, str] | None = None
    attempt: int = 1
    reference: int | None = None
    segments_done: tuple[int, ...] = ()
    resent_in_doubt: bool = False
    route_reason: str = ""
    hops: int = 0
    webhook_id: str | None = None
    origin: str | None = None


@dataclass(slots=True)
class OutboundSegment:
    """One short message handed to a carrier link; not kept anywhere.

    `payload` holds the octets as segmentation made them (esm_class with the UDHI bit, UDH included in
    short_message). `settle` is called exactly once, by the link, with the outcome.
    """

    message: Message
    segment_index: int
    data_coding: int
    payload: SegmentPayload
    settle: "Callable[[OutboundSegment, SubmitOutcome], None]"
    wants_receipt: bool = True
    submitted_at_ns: int = field(default=0)
