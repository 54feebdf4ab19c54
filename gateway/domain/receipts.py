"""Delivery receipts and mobile-originated messages as values, parsed and raw side by side.

Made by carrier adapters, carried on the topics `receipts` and `mo`, read by `dlr`.
"""

from enum import StrEnum

from gateway.domain.alphabets import TextAlphabet
from gateway.domain.carried import Carried
from gateway.domain.lifecycle import State


class MessageState(StrEnum):
    """The carrier's own state of a segment (SMPP 3.4 §5.2.28); not ours."""

    ENROUTE = "ENROUTE"
    DELIVERED = "DELIVERED"
    EXPIRED = "EXPIRED"
    DELETED = "DELETED"
    UNDELIVERABLE = "UNDELIVERABLE"
    ACCEPTED = "ACCEPTED"
    UNKNOWN = "UNKNOWN"
    REJECTED = "REJECTED"
    SCHEDULED = "SCHEDULED"
    SKIPPED = "SKIPPED"
    READ = "READ"  # of channels that tell; more than delivered


STATE_OF: dict[MessageState, State] = {
    MessageState.SCHEDULED: State.SUBMITTED,
    MessageState.ENROUTE: State.SUBMITTED,
    MessageState.ACCEPTED: State.SUBMITTED,  # intermediate by decision, never "delivered"
    MessageState.UNKNOWN: State.SUBMITTED,  # final only after the receipt deadline
    MessageState.DELIVERED: State.DELIVERED,
    MessageState.READ: State.DELIVERED,
    MessageState.UNDELIVERABLE: State.UNDELIVERABLE,
    MessageState.SKIPPED: State.UNDELIVERABLE,
    MessageState.DELETED: State.UNDELIVERABLE,
    MessageState.EXPIRED: State.EXPIRED,
    MessageState.REJECTED: State.REJECTED,
}


class Receipt(Carried, frozen=True):
    """One delivery receipt of one segment, as a carrier sent it.

    `carrier_message_id` is normalised by the carrier's profile, the same way as the id of the submit response;
    `second_id` is the id in the text where the TLV says another. `received_at` is our clock, in milliseconds.
    `intermediate` is true for esm_class type 0x20 whatever the state says. `raw` is the carrier's text with its
    `text:` field cut off, so that no message text is kept. `parked_at` is when it began to wait for its message, None
    for the many that did not have to.
    """

    carrier: str
    bind: str
    carrier_message_id: str
    message_state: MessageState
    received_at: int
    intermediate: bool = False
    second_id: str | None = None
    raw_stat: str | None = None
    err: str | None = None
    network_error_type: int | None = None
    network_error_code: int | None = None
    submit_date: str | None = None
    done_date: str | None = None
    raw: str | None = None
    parked_at: int | None = None

    @property
    def state(self) -> State:
        """Our state of the segment after this receipt."""
        return State.SUBMITTED if self.intermediate else STATE_OF[self.message_state]


class MobileOriginated(Carried, frozen=True):
    """One deliver_sm that is no receipt, kept with its octets so that nothing is lost before it is understood.

    `alphabet` is what the octets behind a header are to be read as on this carrier (sms-domain A13), by
    `gateway.domain.alphabets`. Of a channel that speaks in characters `text` is there instead of octets; `source_id` is
    the carrier's own id of it, by which a repeat is known, and `media` names what came with it (type, id, link, name).
    """

    carrier: str
    bind: str
    sender: str
    recipient: str
    data_coding: int
    esm_class: int
    short_message_hex: str
    received_at: int
    service_type: str = ""
    tlvs_hex: tuple[tuple[int, str], ...] = ()
    alphabet: TextAlphabet = TextAlphabet.GSM7
    channel: str = "sms"
    text: str | None = None
    source_id: str | None = None
    media: dict[str, str] | None = None
