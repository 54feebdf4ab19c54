"""One dataclass per SMPP 3.4 PDU, each with its layout as data.

Field names are those of the specification. C-octet strings are `str` (Latin-1, without NUL),
short_message is `bytes`. sequence_number and command_status belong to the header and travel beside
the PDU. Plain (not frozen) slots dataclasses: building one is on the hot path. All PDUs are imported
from here; those of the session live in `session_pdus`, those about messages already sent in `management_pdus`.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.fields import (
    CString,
    DestAddresses,
    DistributionList,
    Field,
    Integer,
    SmeAddress,
    UnsuccessSme,
    UnsuccessSmes,
)
from adapters.smpp.wire.management_pdus import (
    AlertNotification,
    CancelSm,
    CancelSmResp,
    QuerySm,
    QuerySmResp,
    ReplaceSm,
    ReplaceSmResp,
)
from adapters.smpp.wire.pdu_parts import (
    MESSAGE_ID,
    SERVICE_TYPE,
    SM_LAYOUT,
    SM_TAIL,
    SOURCE,
    Pdu,
)
from adapters.smpp.wire.session_pdus import (
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    Unbind,
    UnbindResp,
)
from adapters.smpp.wire.tlv import Tlv

__all__ = [
    "PDU_TYPES",
    "AlertNotification",
    "BindReceiver",
    "BindReceiverResp",
    "BindTransceiver",
    "BindTransceiverResp",
    "BindTransmitter",
    "BindTransmitterResp",
    "CancelSm",
    "CancelSmResp",
    "DataSm",
    "DataSmResp",
    "DeliverSm",
    "DeliverSmResp",
    "DistributionList",
    "EnquireLink",
    "EnquireLinkResp",
    "GenericNack",
    "Outbind",
    "Pdu",
    "QuerySm",
    "QuerySmResp",
    "ReplaceSm",
    "ReplaceSmResp",
    "SmeAddress",
    "SubmitMulti",
    "SubmitMultiResp",
    "SubmitSm",
    "SubmitSmResp",
    "Tlv",
    "Unbind",
    "UnbindResp",
    "UnsuccessSme",
]


# --- SMPP 3.4 §4.4 to §4.7 ---------------------------------------------------------------


@dataclass(slots=True)
class SubmitSm(Pdu):
    """submit_sm (SMPP 3.4 §4.4.1)."""

    command_id: ClassVar[int] = c.SUBMIT_SM
    layout: ClassVar[tuple[Field, ...]] = SM_LAYOUT

    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    esm_class: int = 0
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""
    tlvs: tuple[Tlv, ...] = ()


@dataclass(slots=True)
class DeliverSm(Pdu):
    """deliver_sm (SMPP 3.4 §4.6.1).

    `tlv_error` says that this is a receipt whose run of TLVs was cut or lied about a length: the
    mandatory fields and the TLVs before the fault are good, and a receipt must not be lost for it.
    """

    command_id: ClassVar[int] = c.DELIVER_SM
    layout: ClassVar[tuple[Field, ...]] = SM_LAYOUT

    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    esm_class: int = 0
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""
    tlvs: tuple[Tlv, ...] = ()
    tlv_error: bool = False


@dataclass(slots=True)
class _MessageIdResp(Pdu):
    layout: ClassVar[tuple[Field, ...]] = (MESSAGE_ID,)
    body_optional: ClassVar[bool] = True

    message_id: str = ""
    tlvs: tuple[Tlv, ...] = ()
    has_body: bool | None = field(default=None, compare=False, repr=False, kw_only=True)


class SubmitSmResp(_MessageIdResp):
    """submit_sm_resp (SMPP 3.4 §4.4.2)."""

    __slots__ = ()
    command_id = c.SUBMIT_SM_RESP


class DeliverSmResp(_MessageIdResp):
    """deliver_sm_resp (SMPP 3.4 §4.6.2); its message_id is unused and left empty."""

    __slots__ = ()
    command_id = c.DELIVER_SM_RESP


class DataSmResp(_MessageIdResp):
    """data_sm_resp (SMPP 3.4 §4.7.2)."""

    __slots__ = ()
    command_id = c.DATA_SM_RESP


@dataclass(slots=True)
class DataSm(Pdu):
    """data_sm (SMPP 3.4 §4.7.1); its text is the TLV message_payload."""

    command_id: ClassVar[int] = c.DATA_SM
    layout: ClassVar[tuple[Field, ...]] = (
        SERVICE_TYPE,
        Integer("source_addr_ton"),
        Integer("source_addr_npi"),
        CString("source_addr", 65, c.ESME_RINVSRCADR),
        Integer("dest_addr_ton"),
        Integer("dest_addr_npi"),
        CString("destination_addr", 65, c.ESME_RINVDSTADR),
        Integer("esm_class"),
        Integer("registered_delivery"),
        Integer("data_coding"),
    )

    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    esm_class: int = 0
    registered_delivery: int = 0
    data_coding: int = 0
    tlvs: tuple[Tlv, ...] = ()


@dataclass(slots=True)
class SubmitMulti(Pdu):
    """submit_multi (SMPP 3.4 §4.5.1)."""

    command_id: ClassVar[int] = c.SUBMIT_MULTI
    layout: ClassVar[tuple[Field, ...]] = (SERVICE_TYPE, *SOURCE, DestAddresses(), *SM_TAIL)

    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_address: tuple[SmeAddress | DistributionList, ...] = ()
    esm_class: int = 0
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""
    tlvs: tuple[Tlv, ...] = ()


@dataclass(slots=True)
class SubmitMultiResp(Pdu):
    """submit_multi_resp (SMPP 3.4 §4.5.2)."""

    command_id: ClassVar[int] = c.SUBMIT_MULTI_RESP
    layout: ClassVar[tuple[Field, ...]] = (MESSAGE_ID, UnsuccessSmes())
    body_optional: ClassVar[bool] = True

    message_id: str = ""
    unsuccess_sme: tuple[UnsuccessSme, ...] = ()
    tlvs: tuple[Tlv, ...] = ()
    has_body: bool | None = field(default=None, compare=False, repr=False, kw_only=True)


PDU_TYPES: dict[int, type[Pdu]] = {
    pdu_type.command_id: pdu_type
    for pdu_type in (
        AlertNotification,
        BindReceiver,
        BindReceiverResp,
        BindTransceiver,
        BindTransceiverResp,
        BindTransmitter,
        BindTransmitterResp,
        CancelSm,
        CancelSmResp,
        DataSm,
        DataSmResp,
        DeliverSm,
        DeliverSmResp,
        EnquireLink,
        EnquireLinkResp,
        GenericNack,
        Outbind,
        QuerySm,
        QuerySmResp,
        ReplaceSm,
        ReplaceSmResp,
        SubmitMulti,
        SubmitMultiResp,
        SubmitSm,
        SubmitSmResp,
        Unbind,
        UnbindResp,
    )
}
