"""What a message is while it travels: the logical message on a lane, and one segment on its way to a carrier.

Built by `gateway.intake`, carried by the bus, read by `gateway.dispatch` and the recorder. Times are integer
milliseconds since the Unix epoch (UTC); a message never carries a monotonic time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from gateway.domain.carried import Carried
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
    WHATSAPP = "whatsapp"
    RCS = "rcs"
    EMAIL = "email"
    PUSH = "push"
    VOICE = "voice"


class ContentKind(StrEnum):
    """What a message is beyond a text."""

    TEMPLATE = "template"
    IMAGE = "image"
    DOCUMENT = "document"
    AUDIO = "audio"
    VIDEO = "video"
    MAIL = "mail"


class Progress(StrEnum):
    """How far a message must have come in time for the next channel to stay unused."""

    SENT = "sent"
    DELIVERED = "delivered"


class RichContent(Carried, frozen=True):
    """What a message says beside its text, which is the caption of media and the body of a mail.

    `name` is a template's or a file's, `language` a template's, exactly as it was approved; `params` are the template's,
    by name or by place from "1". Media is at `link`, or kept here as `media_id` (`med_...`). `subject` is a mail's.
    `header` is what kind of media stands above a template.
    """

    kind: ContentKind
    name: str = ""
    language: str = ""
    params: dict[str, str] | None = None
    link: str = ""
    media_id: str = ""
    subject: str = ""
    header: ContentKind | None = None


class ChannelStep(Carried, frozen=True):
    """One more way that a message may go, planned at intake; the fields are as in `Message`.

    `wait_for` and `wait_ms` say when the step after it begins although this one has not failed.
    """

    channel: Channel
    recipient: str
    sender: str
    text: str
    encoding: str
    segment_count: int
    carrier: str
    candidates: tuple[str, ...] = ()
    route_reason: str = ""
    rich: RichContent | None = None
    cost: str | None = None
    wait_for: Progress | None = None
    wait_ms: int = 0


class ChannelPlan(Carried, frozen=True):
    """Where a message stands among its channels: it is on its `step` (from 1), and `rest` are those still to try.

    The next one begins when this one definitely failed, or when the message did not come as far as `wait_for` within
    `wait_ms` of its submission. Never two at a time. `cost` is the price of a segment of this step, a decimal.
    `first_attempt` is the number of this step's first attempt and `begun_at` when the step began, None for the first.
    `ignores_opt_out` is an otp's of an account that sends them all the same.
    """

    step: int
    rest: tuple[ChannelStep, ...] = ()
    wait_for: Progress | None = None
    wait_ms: int = 0
    cost: str | None = None
    first_attempt: int = 1
    begun_at: int | None = None
    ignores_opt_out: bool = False


class Source(StrEnum):
    """How a message entered."""

    API = "api"
    SMPP = "smpp_server"


APPENDED_AGAIN = 0
"""`Message.attempt` of a lane record that may be the second one of an untouched message."""


class Message(Carried, frozen=True):
    """One logical message with all its segments; the value of a lane record (D14).

    `recipient` is E.164 without plus. `text` is already NFC and, where asked for, transliterated: what is counted
    is what is sent. `encoding` is the alphabet chosen at intake. `carrier` is whose lane it is in and `candidates`
    are the carriers still to try. `attempt` counts submit tries from 1. `segments_done` lists the segment indices
    (from 1) that an earlier attempt has already settled. `reference` is the concatenation reference once drawn. `hops`
    counts how often it moved to another carrier. `webhook_id` names the one endpoint that is told of it, None all that
    the account subscribed. `origin` is what `gateway.smppd` needs to answer the sender (F21), opaque to all others.
    `rich` is what it says beside the text, None for text alone; `plan` is there when it may try several channels.
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
    rich: RichContent | None = None
    plan: ChannelPlan | None = None


class TracedMessage(Message, frozen=True):
    """A message that was sampled: `trace_id` is 32 hexadecimal digits. A class of its own, so that others carry nothing."""

    trace_id: str = ""


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
