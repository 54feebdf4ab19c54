"""The PDUs about messages already sent, and alert_notification (SMPP 3.4 §4.8 to §4.10, §4.12)."""

from dataclasses import dataclass, field
from typing import ClassVar

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.fields import CString, Field, Integer, ShortMessage
from adapters.smpp.wire.pdu_parts import (
    DESTINATION,
    MESSAGE_ID,
    SCHEDULE,
    SERVICE_TYPE,
    SOURCE,
    VALIDITY,
    HeaderOnly,
    Pdu,
)
from adapters.smpp.wire.tlv import Tlv


@dataclass(slots=True)
class QuerySm(Pdu):
    """query_sm (SMPP 3.4 §4.8.1)."""

    command_id: ClassVar[int] = c.QUERY_SM
    layout: ClassVar[tuple[Field, ...]] = (MESSAGE_ID, *SOURCE)

    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    tlvs: tuple[Tlv, ...] = ()


@dataclass(slots=True)
class QuerySmResp(Pdu):
    """query_sm_resp (SMPP 3.4 §4.8.2)."""

    command_id: ClassVar[int] = c.QUERY_SM_RESP
    layout: ClassVar[tuple[Field, ...]] = (
        MESSAGE_ID,
        CString("final_date", 17, c.ESME_RINVEXPIRY),
        Integer("message_state"),
        Integer("error_code"),
    )
    body_optional: ClassVar[bool] = True

    message_id: str = ""
    final_date: str = ""
    message_state: int = 0
    error_code: int = 0
    tlvs: tuple[Tlv, ...] = ()
    has_body: bool | None = field(default=None, compare=False, repr=False, kw_only=True)


@dataclass(slots=True)
class CancelSm(Pdu):
    """cancel_sm (SMPP 3.4 §4.9.1)."""

    command_id: ClassVar[int] = c.CANCEL_SM
    layout: ClassVar[tuple[Field, ...]] = (SERVICE_TYPE, MESSAGE_ID, *SOURCE, *DESTINATION)

    service_type: str = ""
    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    tlvs: tuple[Tlv, ...] = ()


class CancelSmResp(HeaderOnly):
    """cancel_sm_resp (SMPP 3.4 §4.9.2)."""

    __slots__ = ()
    command_id = c.CANCEL_SM_RESP


@dataclass(slots=True)
class ReplaceSm(Pdu):
    """replace_sm (SMPP 3.4 §4.10.1)."""

    command_id: ClassVar[int] = c.REPLACE_SM
    layout: ClassVar[tuple[Field, ...]] = (
        MESSAGE_ID,
        *SOURCE,
        SCHEDULE,
        VALIDITY,
        Integer("registered_delivery"),
        Integer("sm_default_msg_id"),
        ShortMessage(),
    )

    message_id: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""
    tlvs: tuple[Tlv, ...] = ()


class ReplaceSmResp(HeaderOnly):
    """replace_sm_resp (SMPP 3.4 §4.10.2)."""

    __slots__ = ()
    command_id = c.REPLACE_SM_RESP


@dataclass(slots=True)
class AlertNotification(Pdu):
    """alert_notification (SMPP 3.4 §4.12.1); never answered."""

    command_id: ClassVar[int] = c.ALERT_NOTIFICATION
    layout: ClassVar[tuple[Field, ...]] = (
        Integer("source_addr_ton"),
        Integer("source_addr_npi"),
        CString("source_addr", 65, c.ESME_RINVSRCADR),
        Integer("esme_addr_ton"),
        Integer("esme_addr_npi"),
        CString("esme_addr", 65, c.ESME_RINVDSTADR),
    )

    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    esme_addr_ton: int = 0
    esme_addr_npi: int = 0
    esme_addr: str = ""
    tlvs: tuple[Tlv, ...] = ()
