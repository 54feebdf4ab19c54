"""What a session tells its driver. Closed set `Event`; plain slots classes, because one is made per answer."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from adapters.smpp.session.matrix import SessionState
from adapters.smpp.wire.pdus import BindReceiver, BindTransceiver, BindTransmitter, Pdu
from adapters.smpp.wire.receipt_plain import PlainReceipt


class CloseReason(StrEnum):
    """Why a session ended; a closed set, usable as a metric label."""

    UNBOUND = "unbound"
    PEER_UNBOUND = "peer_unbound"
    BIND_REFUSED = "bind_refused"
    BIND_TIMEOUT = "bind_timeout"
    SESSION_INIT_TIMEOUT = "session_init_timeout"
    ENQUIRE_LINK_TIMEOUT = "enquire_link_timeout"
    INACTIVE = "inactive"
    FRAMING_LOST = "framing_lost"
    CONNECTION_LOST = "connection_lost"
    ABORTED = "aborted"


@dataclass(slots=True)
class Answered:
    """The peer answered a windowed request.

    `answer_id` is the response's command_id, or GENERIC_NACK when the peer refused it so. `is_late` says that
    the request had been reported as Unanswered before: bind the id, free nothing. `message_id` is the first
    C-string of the body (empty when there is none), `body` the undecoded octets.
    """

    answer_id: int
    command_status: int
    message_id: str
    context: Any
    sent_ns: int
    sequence_number: int
    body: bytes
    is_late: bool = False


@dataclass(slots=True)
class Unanswered:
    """A windowed request ends without an answer; its slot is free again.

    `left_process` is False only when no octet of it was ever handed out by `take_output`. `reason` is
    "response_timeout" or the CloseReason of the session.
    """

    answer_id: int
    context: Any
    sent_ns: int
    sequence_number: int
    left_process: bool
    reason: str


@dataclass(slots=True)
class RequestReceived:
    """The peer asks; the driver must answer with `respond*` and this sequence_number.

    alert_notification and outbind come this way too and take no answer (`respond` not to be called). With
    `SessionConfig.reads_receipts` a deliver_sm that is a plain receipt comes as what it says.
    """

    command_id: int
    sequence_number: int
    pdu: Pdu | PlainReceipt


@dataclass(slots=True)
class BindRequested:
    """An ESME wants to bind: the driver answers with `accept_bind` or `reject_bind`."""

    command_id: int
    sequence_number: int
    pdu: BindTransmitter | BindReceiver | BindTransceiver


@dataclass(slots=True)
class Bound:
    """The bind stands; `peer_interface_version` is None when the peer did not say it (SMPP 3.4 §5.3.2.25)."""

    state: SessionState
    peer_system_id: str
    peer_interface_version: int | None


@dataclass(slots=True)
class BindRefused:
    """The message centre refused our bind; Closed follows."""

    command_status: int


@dataclass(slots=True)
class PeerUnbinding:
    """The peer sent unbind; no new request may be sent, Closed follows."""


@dataclass(slots=True)
class Closed:
    """The session is over: the driver writes what `take_output` still gives and closes the connection."""

    reason: CloseReason
    detail: str = ""


Event = Answered | Unanswered | RequestReceived | BindRequested | Bound | BindRefused | PeerUnbinding | Closed
