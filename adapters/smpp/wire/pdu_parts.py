"""What PDUs are made of: their base classes and the fields several of them share."""

from dataclasses import dataclass
from typing import ClassVar

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.fields import CString, Field, Integer, ShortMessage
from adapters.smpp.wire.tlv import Tlv


class Pdu:
    """What all PDUs have: a command_id, a layout of mandatory fields, and TLVs after them."""

    __slots__ = ()

    command_id: ClassVar[int]
    layout: ClassVar[tuple[Field, ...]] = ()
    body_optional: ClassVar[bool] = False
    """Whether the body may be left out: true of responses (SMPP 3.4 §4.1.2, §4.4.2).

    Such a PDU has `has_body`: what a decoded one had; None lets the codec decide by command_status.
    """

    tlvs: tuple[Tlv, ...]


# 64 characters are the standard's limit; one more is seen and harmless.
MESSAGE_ID = CString("message_id", 66, c.ESME_RINVMSGID)
SERVICE_TYPE = CString("service_type", 6, c.ESME_RINVSERTYP)
SOURCE = (
    Integer("source_addr_ton"),
    Integer("source_addr_npi"),
    CString("source_addr", 21, c.ESME_RINVSRCADR),
)
DESTINATION = (
    Integer("dest_addr_ton"),
    Integer("dest_addr_npi"),
    CString("destination_addr", 21, c.ESME_RINVDSTADR),
)
SCHEDULE = CString("schedule_delivery_time", 17, c.ESME_RINVSCHED)
VALIDITY = CString("validity_period", 17, c.ESME_RINVEXPIRY)
SM_TAIL = (
    Integer("esm_class"),
    Integer("protocol_id"),
    Integer("priority_flag"),
    SCHEDULE,
    VALIDITY,
    Integer("registered_delivery"),
    Integer("replace_if_present_flag"),
    Integer("data_coding"),
    Integer("sm_default_msg_id"),
    ShortMessage(),
)
SM_LAYOUT: tuple[Field, ...] = (SERVICE_TYPE, *SOURCE, *DESTINATION, *SM_TAIL)


@dataclass(slots=True)
class HeaderOnly(Pdu):
    """A PDU that is its header only; TLVs are tolerated."""

    tlvs: tuple[Tlv, ...] = ()
