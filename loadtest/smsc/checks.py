"""What a carrier checks in a submit before taking it."""

from typing import Final

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.pdus import DataSm, SubmitSm

MAX_PRIORITY: Final = 3  # SMPP 3.4 §5.2.14
MAX_ADDRESS_CHARACTERS: Final = 20  # SMPP 3.4 §5.2.8, §5.2.9


def is_smpp_time(text: str) -> bool:
    """Tell whether `text` is a 16-character SMPP time: YYMMDDhhmmss, tenths, offset in quarters, sign (§7.1.1).

    Relative times (`R`) are free in their fields, but their offset is 00.
    """
    if len(text) != 16 or not text[:15].isdigit() or not text.isascii():
        return False
    month, day, hour, minute, second = (int(text[at : at + 2]) for at in (2, 4, 6, 8, 10))
    offset = int(text[13:15])
    if text[15] == "R":
        return (
            text[12:15] == "000" and month <= 12 and day <= 31 and hour < 24 and minute < 60 and second < 60
        )
    return (
        text[15] in "+-"
        and 1 <= month <= 12
        and 1 <= day <= 31
        and hour < 24
        and minute < 60
        and second < 60
        and offset <= 48
    )


def submit_status(pdu: SubmitSm) -> int:
    """Return the command_status a submit deserves for its fields alone (sms-domain E3, E8, D2, D4, B20, I4)."""
    destination = pdu.destination_addr
    # data_sm has room for 64 characters, but its receipt is a deliver_sm with room for 20.
    if not destination.isdigit() or not destination.isascii() or len(destination) > MAX_ADDRESS_CHARACTERS:
        return c.ESME_RINVDSTADR
    if not pdu.source_addr.isascii() or len(pdu.source_addr) > MAX_ADDRESS_CHARACTERS:
        return c.ESME_RINVSRCADR
    if not pdu.service_type.isascii():
        return c.ESME_RINVSERTYP
    if pdu.schedule_delivery_time and not is_smpp_time(pdu.schedule_delivery_time):
        return c.ESME_RINVSCHED
    if pdu.validity_period and not is_smpp_time(pdu.validity_period):
        return c.ESME_RINVEXPIRY
    if pdu.priority_flag > MAX_PRIORITY:
        return c.ESME_RINVPRTFLG
    if pdu.tlvs and pdu.short_message and any(tlv.tag == c.TAG_MESSAGE_PAYLOAD for tlv in pdu.tlvs):
        return c.ESME_RINVMSGLEN
    return c.ESME_ROK


def as_submit(pdu: DataSm) -> SubmitSm:
    """Return the submit_sm that says what a data_sm says; its text stays in message_payload (SMPP 3.4 §4.7.1)."""
    return SubmitSm(
        service_type=pdu.service_type,
        source_addr_ton=pdu.source_addr_ton,
        source_addr_npi=pdu.source_addr_npi,
        source_addr=pdu.source_addr,
        dest_addr_ton=pdu.dest_addr_ton,
        dest_addr_npi=pdu.dest_addr_npi,
        destination_addr=pdu.destination_addr,
        esm_class=pdu.esm_class,
        registered_delivery=pdu.registered_delivery,
        data_coding=pdu.data_coding,
        tlvs=pdu.tlvs,
    )
