"""The PDUs that open, keep and end a session (SMPP 3.4 §4.1, §4.2, §4.3, §4.11)."""

from dataclasses import dataclass, field
from typing import ClassVar

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.fields import CString, Field, Integer
from adapters.smpp.wire.pdu_parts import HeaderOnly, Pdu
from adapters.smpp.wire.tlv import Tlv

SYSTEM_ID = CString("system_id", 16, c.ESME_RINVSYSID)
PASSWORD = CString("password", 9, c.ESME_RINVPASWD)
_BIND_LAYOUT: tuple[Field, ...] = (
    SYSTEM_ID,
    PASSWORD,
    CString("system_type", 13, c.ESME_RINVSYSTYP),
    Integer("interface_version"),
    Integer("addr_ton"),
    Integer("addr_npi"),
    CString("address_range", 41, c.ESME_RBINDFAIL),
)


@dataclass(slots=True)
class _Bind(Pdu):
    layout: ClassVar[tuple[Field, ...]] = _BIND_LAYOUT

    system_id: str = ""
    password: str = field(default="", repr=False)
    system_type: str = ""
    interface_version: int = c.INTERFACE_VERSION_3_4
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: str = ""
    tlvs: tuple[Tlv, ...] = ()


class BindTransmitter(_Bind):
    """bind_transmitter (SMPP 3.4 §4.1.1)."""

    __slots__ = ()
    command_id = c.BIND_TRANSMITTER


class BindReceiver(_Bind):
    """bind_receiver (SMPP 3.4 §4.1.3)."""

    __slots__ = ()
    command_id = c.BIND_RECEIVER


class BindTransceiver(_Bind):
    """bind_transceiver (SMPP 3.4 §4.1.5)."""

    __slots__ = ()
    command_id = c.BIND_TRANSCEIVER


@dataclass(slots=True)
class _BindResp(Pdu):
    layout: ClassVar[tuple[Field, ...]] = (SYSTEM_ID,)
    body_optional: ClassVar[bool] = True

    system_id: str = ""
    tlvs: tuple[Tlv, ...] = ()
    has_body: bool | None = field(default=None, compare=False, repr=False, kw_only=True)


class BindTransmitterResp(_BindResp):
    """bind_transmitter_resp (SMPP 3.4 §4.1.2)."""

    __slots__ = ()
    command_id = c.BIND_TRANSMITTER_RESP


class BindReceiverResp(_BindResp):
    """bind_receiver_resp (SMPP 3.4 §4.1.4)."""

    __slots__ = ()
    command_id = c.BIND_RECEIVER_RESP


class BindTransceiverResp(_BindResp):
    """bind_transceiver_resp (SMPP 3.4 §4.1.6)."""

    __slots__ = ()
    command_id = c.BIND_TRANSCEIVER_RESP


@dataclass(slots=True)
class Outbind(Pdu):
    """outbind (SMPP 3.4 §4.1.7)."""

    command_id: ClassVar[int] = c.OUTBIND
    layout: ClassVar[tuple[Field, ...]] = (SYSTEM_ID, PASSWORD)

    system_id: str = ""
    password: str = field(default="", repr=False)
    tlvs: tuple[Tlv, ...] = ()


class Unbind(HeaderOnly):
    """unbind (SMPP 3.4 §4.2.1)."""

    __slots__ = ()
    command_id = c.UNBIND


class UnbindResp(HeaderOnly):
    """unbind_resp (SMPP 3.4 §4.2.2)."""

    __slots__ = ()
    command_id = c.UNBIND_RESP


class GenericNack(HeaderOnly):
    """generic_nack (SMPP 3.4 §4.3.1)."""

    __slots__ = ()
    command_id = c.GENERIC_NACK


class EnquireLink(HeaderOnly):
    """enquire_link (SMPP 3.4 §4.11.1)."""

    __slots__ = ()
    command_id = c.ENQUIRE_LINK


class EnquireLinkResp(HeaderOnly):
    """enquire_link_resp (SMPP 3.4 §4.11.2)."""

    __slots__ = ()
    command_id = c.ENQUIRE_LINK_RESP
