"""Numbers of SMPP 3.4 as plain integers, with their names for logs, metrics and operators.

The enumerations come from aiosmpplib where they are right (all of those named here were checked
against SMPP 3.4 §5.1.2.1, §5.1.3, §5.2 and §5.3.2); what it lacks is written out below. Hot paths
compare plain integers, so each member is taken out of its enumeration once, at import.
"""

from typing import Final

from aiosmpplib import state as _lib
from aiosmpplib.state import NPI, TON, SmppCommand, SmppCommandStatus

# --- command_id, SMPP 3.4 §5.1.2.1 -----------------------------------------------------------------

RESPONSE_BIT: Final = 0x80000000

GENERIC_NACK: Final = int(SmppCommand.GENERIC_NACK)
BIND_RECEIVER: Final = int(SmppCommand.BIND_RECEIVER)
BIND_RECEIVER_RESP: Final = int(SmppCommand.BIND_RECEIVER_RESP)
BIND_TRANSMITTER: Final = int(SmppCommand.BIND_TRANSMITTER)
BIND_TRANSMITTER_RESP: Final = int(SmppCommand.BIND_TRANSMITTER_RESP)
QUERY_SM: Final = int(SmppCommand.QUERY_SM)
QUERY_SM_RESP: Final = int(SmppCommand.QUERY_SM_RESP)
SUBMIT_SM: Final = int(SmppCommand.SUBMIT_SM)
SUBMIT_SM_RESP: Final = int(SmppCommand.SUBMIT_SM_RESP)
DELIVER_SM: Final = int(SmppCommand.DELIVER_SM)
DELIVER_SM_RESP: Final = int(SmppCommand.DELIVER_SM_RESP)
UNBIND: Final = int(SmppCommand.UNBIND)
UNBIND_RESP: Final = int(SmppCommand.UNBIND_RESP)
REPLACE_SM: Final = int(SmppCommand.REPLACE_SM)
REPLACE_SM_RESP: Final = int(SmppCommand.REPLACE_SM_RESP)
CANCEL_SM: Final = int(SmppCommand.CANCEL_SM)
CANCEL_SM_RESP: Final = int(SmppCommand.CANCEL_SM_RESP)
BIND_TRANSCEIVER: Final = int(SmppCommand.BIND_TRANSCEIVER)
BIND_TRANSCEIVER_RESP: Final = int(SmppCommand.BIND_TRANSCEIVER_RESP)
OUTBIND: Final = int(SmppCommand.OUTBIND)
ENQUIRE_LINK: Final = int(SmppCommand.ENQUIRE_LINK)
ENQUIRE_LINK_RESP: Final = int(SmppCommand.ENQUIRE_LINK_RESP)
SUBMIT_MULTI: Final = int(SmppCommand.SUBMIT_MULTI)
SUBMIT_MULTI_RESP: Final = int(SmppCommand.SUBMIT_MULTI_RESP)
ALERT_NOTIFICATION: Final = int(SmppCommand.ALERT_NOTIFICATION)
DATA_SM: Final = int(SmppCommand.DATA_SM)
DATA_SM_RESP: Final = int(SmppCommand.DATA_SM_RESP)

COMMAND_NAMES: Final[dict[int, str]] = {int(command): command.name.lower() for command in SmppCommand}

BIND_COMMANDS: Final = frozenset({BIND_RECEIVER, BIND_TRANSMITTER, BIND_TRANSCEIVER})


def command_name(command_id: int) -> str:
    """Return the SMPP name of a command_id ("submit_sm"); an unknown one as eight hex digits."""
    return COMMAND_NAMES.get(command_id) or f"0x{command_id:08X}"


# --- command_status, SMPP 3.4 §5.1.3 ---------------------------------------------------------------

_S = SmppCommandStatus

ESME_ROK: Final = int(_S.ESME_ROK)
ESME_RINVMSGLEN: Final = int(_S.ESME_RINVMSGLEN)
ESME_RINVCMDLEN: Final = int(_S.ESME_RINVCMDLEN)
ESME_RINVCMDID: Final = int(_S.ESME_RINVCMDID)
ESME_RINVBNDSTS: Final = int(_S.ESME_RINVBNDSTS)
ESME_RALYBND: Final = int(_S.ESME_RALYBND)
ESME_RINVPRTFLG: Final = int(_S.ESME_RINVPRTFLG)
ESME_RINVREGDLVFLG: Final = int(_S.ESME_RINVREGDLVFLG)
ESME_RSYSERR: Final = int(_S.ESME_RSYSERR)
ESME_RINVSRCADR: Final = int(_S.ESME_RINVSRCADR)
ESME_RINVDSTADR: Final = int(_S.ESME_RINVDSTADR)
ESME_RINVMSGID: Final = int(_S.ESME_RINVMSGID)
ESME_RBINDFAIL: Final = int(_S.ESME_RBINDFAIL)
ESME_RINVPASWD: Final = int(_S.ESME_RINVPASWD)
ESME_RINVSYSID: Final = int(_S.ESME_RINVSYSID)
ESME_RCANCELFAIL: Final = int(_S.ESME_RCANCELFAIL)
ESME_RREPLACEFAIL: Final = int(_S.ESME_RREPLACEFAIL)
ESME_RMSGQFUL: Final = int(_S.ESME_RMSGQFUL)
ESME_RINVSERTYP: Final = int(_S.ESME_RINVSERTYP)
ESME_RINVNUMDESTS: Final = int(_S.ESME_RINVNUMDESTS)
ESME_RINVDLNAME: Final = int(_S.ESME_RINVDLNAME)
ESME_RINVDESTFLAG: Final = int(_S.ESME_RINVDESTFLAG)
ESME_RINVSUBREP: Final = int(_S.ESME_RINVSUBREP)
ESME_RINVESMCLASS: Final = int(_S.ESME_RINVESMCLASS)
ESME_RCNTSUBDL: Final = int(_S.ESME_RCNTSUBDL)
ESME_RSUBMITFAIL: Final = int(_S.ESME_RSUBMITFAIL)
ESME_RINVSRCTON: Final = int(_S.ESME_RINVSRCTON)
ESME_RINVSRCNPI: Final = int(_S.ESME_RINVSRCNPI)
ESME_RINVDSTTON: Final = int(_S.ESME_RINVDSTTON)
ESME_RINVDSTNPI: Final = int(_S.ESME_RINVDSTNPI)
ESME_RINVSYSTYP: Final = int(_S.ESME_RINVSYSTYP)
ESME_RINVREPFLAG: Final = int(_S.ESME_RINVREPFLAG)
ESME_RINVNUMMSGS: Final = int(_S.ESME_RINVNUMMSGS)
ESME_RTHROTTLED: Final = int(_S.ESME_RTHROTTLED)
ESME_RINVSCHED: Final = int(_S.ESME_RINVSCHED)
ESME_RINVEXPIRY: Final = int(_S.ESME_RINVEXPIRY)
ESME_RINVDFTMSGID: Final = int(_S.ESME_RINVDFTMSGID)
ESME_RX_T_APPN: Final = int(_S.ESME_RX_T_APPN)
ESME_RX_P_APPN: Final = int(_S.ESME_RX_P_APPN)
ESME_RX_R_APPN: Final = int(_S.ESME_RX_R_APPN)
ESME_RQUERYFAIL: Final = int(_S.ESME_RQUERYFAIL)
ESME_RINVOPTPARSTREAM: Final = int(_S.ESME_RINVOPTPARSTREAM)
ESME_ROPTPARNOTALLWD: Final = int(_S.ESME_ROPTPARNOTALLWD)
ESME_RINVPARLEN: Final = int(_S.ESME_RINVPARLEN)
ESME_RMISSINGOPTPARAM: Final = int(_S.ESME_RMISSINGOPTPARAM)
ESME_RINVOPTPARAMVAL: Final = int(_S.ESME_RINVOPTPARAMVAL)
ESME_RDELIVERYFAILURE: Final = int(_S.ESME_RDELIVERYFAILURE)
ESME_RUNKNOWNERR: Final = int(_S.ESME_RUNKNOWNERR)

# SMPP 5.0 §4.7.6: carriers send some of these to 3.4 binds too.
ESME_RSERTYPUNAUTH: Final = 0x100
ESME_RPROHIBITED: Final = 0x101
ESME_RSERTYPUNAVAIL: Final = 0x102
ESME_RSERTYPDENIED: Final = 0x103
ESME_RINVDCS: Final = 0x104

_SMPP_5_STATUS_NAMES: Final[dict[int, str]] = {
    ESME_RSERTYPUNAUTH: "ESME_RSERTYPUNAUTH",
    ESME_RPROHIBITED: "ESME_RPROHIBITED",
    ESME_RSERTYPUNAVAIL: "ESME_RSERTYPUNAVAIL",
    ESME_RSERTYPDENIED: "ESME_RSERTYPDENIED",
    ESME_RINVDCS: "ESME_RINVDCS",
    0x105: "ESME_RINVSRCADDRSUBUNIT",
    0x106: "ESME_RINVDSTADDRSUBUNIT",
    0x107: "ESME_RINVBCASTFREQINT",
    0x108: "ESME_RINVBCASTALIAS_NAME",
    0x109: "ESME_RINVBCASTAREAFMT",
    0x10A: "ESME_RINVNUMBCAST_AREAS",
    0x10B: "ESME_RINVBCASTCNTTYPE",
    0x10C: "ESME_RINVBCASTMSGCLASS",
    0x10D: "ESME_RBCASTFAIL",
    0x10E: "ESME_RBCASTQUERYFAIL",
    0x10F: "ESME_RBCASTCANCELFAIL",
    0x110: "ESME_RINVBCAST_REP",
    0x111: "ESME_RINVBCASTSRVGRP",
    0x112: "ESME_RINVBCASTCHANIND",
}

STATUS_NAMES: Final[dict[int, str]] = {int(status): status.name for status in _S} | _SMPP_5_STATUS_NAMES

# SMPP 3.4 §5.1.3: reserved for vendor-specific errors.
VENDOR_STATUS_FIRST: Final = 0x400
VENDOR_STATUS_LAST: Final = 0x4FF


def status_name(command_status: int) -> str:
    """Return the SMPP name of a command_status ("ESME_RTHROTTLED"); an unknown one as eight hex digits."""
    return STATUS_NAMES.get(command_status) or f"0x{command_status:08X}"


# --- addresses, SMPP 3.4 §5.2.5 and §5.2.6 ---------------------------------------------------------

TON_UNKNOWN: Final = int(TON.UNKNOWN)
TON_INTERNATIONAL: Final = int(TON.INTERNATIONAL)
TON_NATIONAL: Final = int(TON.NATIONAL)
TON_NETWORK_SPECIFIC: Final = int(TON.NETWORK_SPECIFIC)
TON_SUBSCRIBER_NUMBER: Final = int(TON.SUBSCRIBER_NUMBER)
TON_ALPHANUMERIC: Final = int(TON.ALPHANUMERIC)
TON_ABBREVIATED: Final = int(TON.ABBREVIATED)

NPI_UNKNOWN: Final = int(NPI.UNKNOWN)
NPI_ISDN: Final = int(NPI.ISDN)
NPI_DATA: Final = int(NPI.DATA)
NPI_TELEX: Final = int(NPI.TELEX)
NPI_LAND_MOBILE: Final = int(NPI.LAND_MOBILE)
NPI_NATIONAL: Final = int(NPI.NATIONAL)
NPI_PRIVATE: Final = int(NPI.PRIVATE)
NPI_ERMES: Final = int(NPI.ERMES)
NPI_INTERNET: Final = int(NPI.INTERNET)
NPI_WAP_CLIENT_ID: Final = int(NPI.WAP_CLIENT_ID)

# --- esm_class, SMPP 3.4 §5.2.12 -------------------------------------------------------------------

ESM_MODE_MASK: Final = 0x03
ESM_MODE_STORE_AND_FORWARD: Final = 0x03
ESM_TYPE_MASK: Final = 0x3C
ESM_TYPE_DELIVERY_RECEIPT: Final = 0x04
ESM_TYPE_SME_DELIVERY_ACK: Final = 0x08
ESM_TYPE_SME_MANUAL_ACK: Final = 0x10
ESM_TYPE_CONVERSATION_ABORT: Final = 0x18
ESM_TYPE_INTERMEDIATE: Final = 0x20
ESM_UDHI: Final = 0x40
ESM_REPLY_PATH: Final = 0x80

# 0x24 is no value of the standard, but carriers set both bits on intermediate receipts.
RECEIPT_ESM_TYPES: Final = frozenset({0x04, 0x08, 0x20, 0x24})

# --- registered_delivery, SMPP 3.4 §5.2.17 ---------------------------------------------------------

RECEIPT_NONE: Final = 0x00
RECEIPT_FINAL: Final = 0x01
RECEIPT_ON_FAILURE: Final = 0x02
RECEIPT_ON_SUCCESS: Final = 0x03  # SMPP 5.0 §4.7.21
RECEIPT_MASK: Final = 0x03
RECEIPT_INTERMEDIATE: Final = 0x10

# --- data_coding, SMPP 3.4 §5.2.19 -----------------------------------------------------------------

DATA_CODING_DEFAULT: Final = 0x00
DATA_CODING_IA5: Final = 0x01
DATA_CODING_LATIN1: Final = 0x03
DATA_CODING_BINARY: Final = 0x04
DATA_CODING_UCS2: Final = 0x08

# --- message_state, SMPP 3.4 §5.2.28 (SCHEDULED and SKIPPED: SMPP 5.0 §4.7.15) -----------------------

MESSAGE_STATE_NAMES: Final[dict[int, str]] = {
    0: "SCHEDULED",
    1: "ENROUTE",
    2: "DELIVERED",
    3: "EXPIRED",
    4: "DELETED",
    5: "UNDELIVERABLE",
    6: "ACCEPTED",
    7: "UNKNOWN",
    8: "REJECTED",
    9: "SKIPPED",
}
MESSAGE_STATE_CODES: Final[dict[str, int]] = {name: code for code, name in MESSAGE_STATE_NAMES.items()}

# ACCEPTED is intermediate and UNKNOWN ends only at the receipt deadline: both stay upgradeable.
FINAL_MESSAGE_STATES: Final = frozenset(
    {"DELIVERED", "EXPIRED", "DELETED", "UNDELIVERABLE", "REJECTED", "SKIPPED"}
)

# --- interface_version, SMPP 3.4 §5.2.4 ------------------------------------------------------------

INTERFACE_VERSION_3_3: Final = 0x33
INTERFACE_VERSION_3_4: Final = 0x34
INTERFACE_VERSION_5_0: Final = 0x50

# --- sequence_number, SMPP 3.4 §5.1.4 --------------------------------------------------------------

MAX_SEQUENCE_NUMBER: Final = 0x7FFFFFFF

# --- TLV tags, SMPP 3.4 §5.3.2 ---------------------------------------------------------------------

TAG_DEST_TELEMATICS_ID: Final = int(_lib.DEST_TELEMATICS_ID)
TAG_QOS_TIME_TO_LIVE: Final = int(_lib.QOS_TIME_TO_LIVE)
TAG_PAYLOAD_TYPE: Final = int(_lib.PAYLOAD_TYPE)
TAG_ADDITIONAL_STATUS_INFO_TEXT: Final = int(_lib.ADDITIONAL_STATUS_INFO_TEXT)
TAG_RECEIPTED_MESSAGE_ID: Final = int(_lib.RECEIPTED_MESSAGE_ID)
TAG_PRIVACY_INDICATOR: Final = int(_lib.PRIVACY_INDICATOR)
TAG_USER_MESSAGE_REFERENCE: Final = int(_lib.USER_MESSAGE_REFERENCE)
TAG_USER_RESPONSE_CODE: Final = int(_lib.USER_RESPONSE_CODE)
TAG_SOURCE_PORT: Final = int(_lib.SOURCE_PORT)
TAG_DESTINATION_PORT: Final = int(_lib.DESTINATION_PORT)
TAG_SAR_MSG_REF_NUM: Final = int(_lib.SAR_MSG_REF_NUM)
TAG_LANGUAGE_INDICATOR: Final = int(_lib.LANGUAGE_INDICATOR)
TAG_SAR_TOTAL_SEGMENTS: Final = int(_lib.SAR_TOTAL_SEGMENTS)
TAG_SAR_SEGMENT_SEQNUM: Final = int(_lib.SAR_SEGMENT_SEQNUM)
TAG_SC_INTERFACE_VERSION: Final = int(_lib.SC_INTERFACE_VERSION)
TAG_NETWORK_ERROR_CODE: Final = int(_lib.NETWORK_ERROR_CODE)
TAG_MESSAGE_PAYLOAD: Final = int(_lib.MESSAGE_PAYLOAD)
TAG_DELIVERY_FAILURE_REASON: Final = int(_lib.DELIVERY_FAILURE_REASON)
TAG_MORE_MESSAGES_TO_SEND: Final = int(_lib.MORE_MESSAGES_TO_SEND)
TAG_MESSAGE_STATE: Final = int(_lib.MESSAGE_STATE)
TAG_CONGESTION_STATE: Final = 0x0428  # SMPP 5.0 §4.8.4.18

# Octets of each integer TLV; None marks a C-octet string, 0 an opaque octet string.
_INTEGER_1, _INTEGER_2, _INTEGER_4, _C_STRING, _OCTETS = 1, 2, 4, None, 0

_TLV_TABLE: Final[tuple[tuple[int, str, int | None], ...]] = (
    (0x0005, "dest_addr_subunit", _INTEGER_1),
    (0x0006, "dest_network_type", _INTEGER_1),
    (0x0007, "dest_bearer_type", _INTEGER_1),
    (0x0008, "dest_telematics_id", _INTEGER_2),
    (0x000D, "source_addr_subunit", _INTEGER_1),
    (0x000E, "source_network_type", _INTEGER_1),
    (0x000F, "source_bearer_type", _INTEGER_1),
    (0x0010, "source_telematics_id", _INTEGER_1),
    (0x0017, "qos_time_to_live", _INTEGER_4),
    (0x0019, "payload_type", _INTEGER_1),
    (0x001D, "additional_status_info_text", _C_STRING),
    (0x001E, "receipted_message_id", _C_STRING),
    (0x0030, "ms_msg_wait_facilities", _INTEGER_1),
    (0x0201, "privacy_indicator", _INTEGER_1),
    (0x0202, "source_subaddress", _OCTETS),
    (0x0203, "dest_subaddress", _OCTETS),
    (0x0204, "user_message_reference", _INTEGER_2),
    (0x0205, "user_response_code", _INTEGER_1),
    (0x020A, "source_port", _INTEGER_2),
    (0x020B, "destination_port", _INTEGER_2),
    (0x020C, "sar_msg_ref_num", _INTEGER_2),
    (0x020D, "language_indicator", _INTEGER_1),
    (0x020E, "sar_total_segments", _INTEGER_1),
    (0x020F, "sar_segment_seqnum", _INTEGER_1),
    (0x0210, "sc_interface_version", _INTEGER_1),
    (0x0302, "callback_num_pres_ind", _INTEGER_1),
    (0x0303, "callback_num_atag", _OCTETS),
    (0x0304, "number_of_messages", _INTEGER_1),
    (0x0381, "callback_num", _OCTETS),
    (0x0420, "dpf_result", _INTEGER_1),
    (0x0421, "set_dpf", _INTEGER_1),
    (0x0422, "ms_availability_status", _INTEGER_1),
    (0x0423, "network_error_code", _OCTETS),
    (0x0424, "message_payload", _OCTETS),
    (0x0425, "delivery_failure_reason", _INTEGER_1),
    (0x0426, "more_messages_to_send", _INTEGER_1),
    (0x0427, "message_state", _INTEGER_1),
    (0x0428, "congestion_state", _INTEGER_1),
    (0x0501, "ussd_service_op", _OCTETS),
    (0x1201, "display_time", _INTEGER_1),
    (0x1203, "sms_signal", _INTEGER_2),
    (0x1204, "ms_validity", _INTEGER_1),
    (0x130C, "alert_on_message_delivery", _OCTETS),
    (0x1380, "its_reply_type", _INTEGER_1),
    (0x1383, "its_session_info", _OCTETS),
)

TLV_NAMES: Final[dict[int, str]] = {tag: name for tag, name, _ in _TLV_TABLE}
TLV_TAGS: Final[dict[str, int]] = {name: tag for tag, name, _ in _TLV_TABLE}
TLV_INTEGER_OCTETS: Final[dict[int, int]] = {tag: octets for tag, _, octets in _TLV_TABLE if octets}
TLV_C_STRING_TAGS: Final = frozenset(tag for tag, _, octets in _TLV_TABLE if octets is None)
