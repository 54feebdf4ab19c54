"""Message ids, and the deliver_sm bodies that report on them."""

from random import Random
from time import gmtime, strftime
from typing import Final

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.pdus import SubmitSm

DELETED: Final = c.MESSAGE_STATE_CODES["DELETED"]
DELIVERED: Final = c.MESSAGE_STATE_CODES["DELIVERED"]
EXPIRED: Final = c.MESSAGE_STATE_CODES["EXPIRED"]
UNDELIVERABLE: Final = c.MESSAGE_STATE_CODES["UNDELIVERABLE"]

ID_FORMATS: Final = ("decimal", "hex", "uuid")
MAX_ID_CHARACTERS: Final = 36

# dlvrd, stat and err of the receipt text; SMPP 3.4 Appendix B has the states, the errors are this carrier's own.
_TEXT_BY_STATE: Final = {
    DELIVERED: (b"001", b"DELIVRD", b"000"),
    EXPIRED: (b"000", b"EXPIRED", b"027"),
    UNDELIVERABLE: (b"000", b"UNDELIV", b"001"),
    DELETED: (b"000", b"DELETED", b"000"),
}

ERROR_BY_STATE: Final = {state: int(error) for state, (_, _, error) in _TEXT_BY_STATE.items()}


class MessageIds:
    """Ids of messages by their number in the record: one form in responses and maybe another in receipts.

    Raises ValueError for an unknown format, or uuid on one side only.
    """

    __slots__ = ("_first", "_receipt_format", "_submit_format", "_uuid_prefix")

    def __init__(self, *, first: int, submit_format: str, receipt_format: str, seed: int) -> None:
        receipt_format = submit_format if receipt_format == "same" else receipt_format
        for name in (submit_format, receipt_format):
            if name not in ID_FORMATS:
                raise ValueError(f"id format {name!r} is not one of {', '.join(ID_FORMATS)}")
        if (submit_format == "uuid") != (receipt_format == "uuid"):
            raise ValueError("a uuid has no other form: use uuid for responses and receipts, or for neither")
        self._first = first
        self._submit_format = submit_format
        self._receipt_format = receipt_format
        drawn = Random(f"ids:{seed}:{first}").getrandbits(56)
        self._uuid_prefix = f"{drawn >> 24:08x}-{drawn >> 8 & 0xFFFF:04x}-40{drawn & 0xFF:02x}-8"

    def in_response(self, number: int) -> str:
        """Return the message_id of the submit_sm_resp."""
        return self._write(number, self._submit_format)

    def in_receipt(self, number: int) -> str:
        """Return the id as receipts write it."""
        return self._write(number, self._receipt_format)

    def number_of(self, message_id: str) -> int | None:
        """Return the number whose response carried this id (hexadecimal digits in any case), None for no such form."""
        if not message_id.isascii() or len(message_id) > MAX_ID_CHARACTERS:
            return None
        try:
            if self._submit_format == "decimal":
                number = int(message_id) - self._first
            elif self._submit_format == "hex":
                number = int(message_id, 16) - self._first
            else:
                number = int(message_id[-16:].replace("-", ""), 16)
        except ValueError:
            return None
        # int() takes more than digits; only what we would write ourselves is an id of ours.
        is_ours = number >= 0 and self.in_response(number).upper() == message_id.upper()
        return number if is_ours else None

    def _write(self, number: int, form: str) -> str:
        if form == "decimal":
            return str(self._first + number)
        if form == "hex":
            return f"{self._first + number:X}"
        digits = f"{number:015x}"
        return f"{self._uuid_prefix}{digits[:3]}-{digits[3:]}"


class Stamps:
    """The YYMMDDhhmm of receipts (UTC), formatted once a minute."""

    __slots__ = ("_minute", "_text")

    def __init__(self) -> None:
        self._minute = -1
        self._text = b""

    def at(self, unix_ns: int) -> bytes:
        """Return the stamp of this instant."""
        minute = unix_ns // 60_000_000_000
        if minute != self._minute:
            self._minute = minute
            self._text = strftime("%y%m%d%H%M", gmtime(minute * 60)).encode()
        return self._text


def wants_receipt(registered_delivery: int, state: int) -> bool:
    """Tell whether the sender asked to hear of this final state (SMPP 3.4 §5.2.17)."""
    asked = registered_delivery & c.RECEIPT_MASK
    if asked == c.RECEIPT_FINAL:
        return True
    return asked == (c.RECEIPT_ON_SUCCESS if state == DELIVERED else c.RECEIPT_ON_FAILURE)


def receipt_head(pdu: SubmitSm) -> bytes:
    """Return the fields of the deliver_sm up to the destination: the submit's addresses, swapped (§4.6.1)."""
    return (
        f"\0{pdu.dest_addr_ton:c}{pdu.dest_addr_npi:c}{pdu.destination_addr}\0"
        f"{pdu.source_addr_ton:c}{pdu.source_addr_npi:c}{pdu.source_addr}\0"
    ).encode("latin-1")


def receipt_body(
    head: bytes, *, message_id: str, state: int, submitted: bytes, done: bytes, with_tlvs: bool
) -> bytes:
    """Return the body of a receipt: esm_class 04, the text of Appendix B, and the TLVs of §5.3.2.12 and §5.3.2.35."""
    octets = message_id.encode("ascii")
    delivered, stat, error = _TEXT_BY_STATE[state]
    text = b"id:%b sub:001 dlvrd:%b submit date:%b done date:%b stat:%b err:%b text:" % (
        octets,
        delivered,
        submitted,
        done,
        stat,
        error,
    )
    fixed = b"%b\x04\0\0\0\0\0\0\0\0%c%b" % (head, len(text), text)
    if not with_tlvs:
        return fixed
    return b"%b\0\x1e\0%c%b\0\x04\x27\0\x01%c" % (fixed, len(octets) + 1, octets, state)
