"""Between the domain and one carrier's dialect: segments to submit_sm bodies, deliver_sm to receipts and MO.

One `Translator` per carrier, used by its link; everything particular comes from the `CarrierProfile`.
"""

import re
from contextlib import suppress
from datetime import UTC
from functools import lru_cache
from zoneinfo import ZoneInfo

from adapters.smpp.profile import AddressType, BindMode, CarrierProfile
from adapters.smpp.wire import constants as c
from adapters.smpp.wire.fields import MAX_SHORT_MESSAGE_OCTETS
from adapters.smpp.wire.pdus import BindReceiver, BindTransceiver, BindTransmitter, DataSm, DeliverSm
from adapters.smpp.wire.receipt_plain import PlainReceipt
from adapters.smpp.wire.receipt_text import is_receipt, normalise_id, parse_receipt, parse_receipt_date
from adapters.smpp.wire.times import format_relative
from adapters.smpp.wire.tlv import Tlv, encode_tlvs, tlv_of
from gateway.domain import gsm7
from gateway.domain.addresses import SenderKind, parse_sender
from gateway.domain.alphabets import TextAlphabet, alphabet_of
from gateway.domain.message import MessageClass, OutboundSegment
from gateway.domain.receipts import MessageState, MobileOriginated, Receipt

_BIND_PDUS: dict[BindMode, type[BindTransceiver | BindTransmitter | BindReceiver]] = {
    BindMode.TRX: BindTransceiver,
    BindMode.TX: BindTransmitter,
    BindMode.RX: BindReceiver,
}
_OTP = MessageClass.OTP  # looking a member up costs more than comparing with it
MAX_REMEMBERED_SENDERS = 10_000
MAX_REMEMBERED_MIDDLES = 4096
MAX_RAW_OCTETS = 255

_FREE_TEXT = re.compile(rb"text[ \t]{0,3}:", re.IGNORECASE)
_ACKNOWLEDGEMENTS_OF_PEOPLE = ("sme_delivery_ack", "manual_ack")


class UntranslatableError(ValueError):
    """A segment that cannot be said in this carrier's dialect; it may go to another carrier."""


class Translator:
    """Translates for one carrier, in both directions; remembers octets that come again (bounded)."""

    __slots__ = ("_alphabets", "_heads", "_middle_of", "_profile")

    def __init__(self, profile: CarrierProfile) -> None:
        self._profile = profile
        default = TextAlphabet(profile.default_alphabet)
        # What the carrier is to be told for an alphabet, it tells for the same one; 0 is its default in any case.
        self._alphabets = {
            theirs: alphabet_of(chosen, default=default)
            for chosen, theirs in sorted(profile.data_coding_map.items(), reverse=True)
        } | {c.DATA_CODING_DEFAULT: default}
        self._heads: dict[str, bytes] = {}
        self._middle_of = lru_cache(maxsize=MAX_REMEMBERED_MIDDLES)(self._make_middle)

    def bind_pdu(self, mode: BindMode) -> BindTransceiver | BindTransmitter | BindReceiver:
        """Return the bind that asks for `mode` (TRX, TX or RX; SMPP 3.4 §4.1)."""
        profile = self._profile
        return _BIND_PDUS[mode](
            system_id=profile.system_id,
            password=profile.password,
            system_type=profile.system_type,
            interface_version=profile.interface_version,
            address_range=profile.address_range,
        )

    # -- out -------------------------------------------------------------------------------------

    def submit_body(self, segment: OutboundSegment, *, now_ms: int, allows_tlvs: bool = True) -> bytes:
        """Return the body of a submit_sm (SMPP 3.4 §4.4.1): the session puts the header before it.

        validity_period is what remains of the message's validity at `now_ms` (E4), at least one second: what has
        expired is the caller's to hold back. Raises UntranslatableError.
        """
        profile, message, payload = self._profile, segment.message, segment.payload
        head = self._heads.get(message.sender)
        if head is None:
            head = self._remember_head(message.sender)
        short_message = payload.short_message
        data_coding = segment.data_coding
        tlvs = payload.tlvs
        if data_coding == c.DATA_CODING_DEFAULT and profile.default_alphabet != "gsm7":
            if short_message:
                short_message = self._in_default_alphabet(payload.udh, short_message)
            tlvs = tuple(
                [
                    (
                        name,
                        self._in_default_alphabet(payload.udh, value) if isinstance(value, bytes) else value,
                    )
                    for name, value in tlvs
                ]
            )
        sm_length = len(short_message)
        if sm_length > MAX_SHORT_MESSAGE_OCTETS:
            raise UntranslatableError(
                f"short_message has {sm_length} octets, at most {MAX_SHORT_MESSAGE_OCTETS} fit"
            )
        recipient = message.recipient
        if not (recipient.isascii() and recipient.isdigit() and len(recipient) <= 20):
            raise UntranslatableError("the recipient is not 1 to 20 digits")
        tail = b""
        if tlvs:
            if not allows_tlvs:
                raise UntranslatableError("the carrier's interface version knows no TLVs (SMPP 3.4 only)")
            tail = encode_tlvs(tuple(_tlv(name, value) for name, value in tlvs))
        middle = self._middle_of(
            payload.esm_class,
            message.message_class is _OTP,
            (message.valid_until - now_ms) // 1000,
            segment.wants_receipt,
            data_coding,
        )
        return b"%b%b%b%c%b%b" % (head, recipient.encode(), middle, sm_length, short_message, tail)

    def _make_middle(
        self,
        esm_class: int,
        is_otp: bool,  # noqa: FBT001 - by position, since the cache before it is asked for each segment
        valid_s: int,
        wants_receipt: bool,  # noqa: FBT001
        data_coding: int,
    ) -> bytes:
        """Return what stands between destination_addr and sm_length: the same for most segments of one second."""
        profile = self._profile
        return b"\0%c%c%c\0%b\0%c\0%c\0" % (
            esm_class | profile.esm_class,
            profile.protocol_id,
            profile.priority_flag_otp if is_otp else 0,
            format_relative(max(1, valid_s)).encode() if profile.sends_validity else b"",
            profile.registered_delivery if wants_receipt else 0,
            profile.data_coding_map.get(data_coding, data_coding),
        )

    def _remember_head(self, sender: str) -> bytes:
        """Return service_type, source address and the type of the destination: the same for every text of a sender."""
        profile = self._profile
        try:
            parsed = parse_sender(sender)
        except ValueError as error:
            raise UntranslatableError(str(error)) from None
        kind: AddressType = {
            SenderKind.SHORT_CODE: profile.short_code,
            SenderKind.LONG_NUMBER: profile.long_number,
            SenderKind.ALPHANUMERIC: profile.alphanumeric,
        }[parsed.kind]
        head = b"%b\0%c%c%b\0%c%c" % (
            profile.service_type.encode("latin-1"),
            kind.ton,
            kind.npi,
            parsed.source_addr.encode("latin-1"),
            profile.recipient.ton,
            profile.recipient.npi,
        )
        if len(self._heads) >= MAX_REMEMBERED_SENDERS:
            self._heads.clear()
        self._heads[sender] = head
        return head

    def _in_default_alphabet(self, udh: bytes, short_message: bytes) -> bytes:
        """Return the octets with the text after `udh` in the alphabet that data_coding 0 means here (A13)."""
        text = gsm7.decode_unpacked(short_message[len(udh) :])
        alphabet = self._profile.default_alphabet
        try:
            return udh + text.encode(alphabet)
        except UnicodeEncodeError as error:
            raise UntranslatableError(
                f"U+{ord(text[error.start]):04X} is not in the carrier's {alphabet}"
            ) from None

    # -- in --------------------------------------------------------------------------------------

    def inbound(self, pdu: DeliverSm | DataSm, *, bind: str, now_ms: int) -> Receipt | MobileOriginated:
        """Return what a deliver_sm or data_sm says; never raises for anything the carrier wrote."""
        if not is_receipt(esm_class=pdu.esm_class, tlvs=pdu.tlvs):
            return self._mobile_originated(pdu, bind=bind, now_ms=now_ms)
        short_message = pdu.short_message if isinstance(pdu, DeliverSm) else b""
        parsed = parse_receipt(
            esm_class=pdu.esm_class, data_coding=pdu.data_coding, short_message=short_message, tlvs=pdu.tlvs
        )
        id_format = self._profile.receipt_id_format
        message_id = normalise_id(parsed.message_id or "", id_format, side="receipt")
        second_id: str | None = None
        if parsed.message_id_tlv is not None and parsed.message_id_text is not None:
            second_id = normalise_id(parsed.message_id_text, id_format, side="receipt")
            if second_id == message_id:
                second_id = None
        network_error = parsed.network_error
        return Receipt(
            self._profile.carrier,
            bind,
            message_id,
            _STATES.get(parsed.state or "", MessageState.UNKNOWN),
            now_ms,
            parsed.receipt_type == "intermediate",
            second_id,
            parsed.raw_stat,
            parsed.err,
            None if network_error is None else network_error.network_type,
            None if network_error is None else network_error.code,
            _iso_date(parsed.raw_submit_date, self._profile.receipt_time_zone),
            _iso_date(parsed.raw_done_date, self._profile.receipt_time_zone),
            None if parsed.receipt_type in _ACKNOWLEDGEMENTS_OF_PEOPLE else _without_free_text(parsed.raw),
        )

    def plain_receipt(self, plain: PlainReceipt, *, bind: str, now_ms: int) -> Receipt:
        """Return what `inbound` says of the deliver_sm that a plain receipt came in."""
        message_id, state, stat, err, submit_date, done_date, head = plain
        profile = self._profile
        id_format, zone = profile.receipt_id_format, profile.receipt_time_zone
        return Receipt(
            profile.carrier,
            bind,
            # There is no white space around it.
            message_id.lower()
            if id_format == "string"
            else normalise_id(message_id, id_format, side="receipt"),
            _STATES[state],
            now_ms,
            False,
            None,
            stat,
            err,
            None,
            None,
            _iso_date(submit_date, zone),
            _iso_date(done_date, zone),
            head,
        )

    def submitted_id(self, carrier_message_id: str) -> str:
        """Return the id of a submit_sm_resp in the form that receipts are matched in (F13)."""
        return normalise_id(carrier_message_id, self._profile.receipt_id_format, side="resp")

    def _mobile_originated(self, pdu: DeliverSm | DataSm, *, bind: str, now_ms: int) -> MobileOriginated:
        return MobileOriginated(
            carrier=self._profile.carrier,
            bind=bind,
            sender=pdu.source_addr,
            recipient=pdu.destination_addr,
            data_coding=pdu.data_coding,
            esm_class=pdu.esm_class,
            short_message_hex=pdu.short_message.hex() if isinstance(pdu, DeliverSm) else "",
            received_at=now_ms,
            service_type=pdu.service_type,
            tlvs_hex=tuple((tlv.tag, tlv.value.hex()) for tlv in pdu.tlvs),
            alphabet=self._alphabets.get(pdu.data_coding) or alphabet_of(pdu.data_coding),
        )


_TAGS: dict[str, int] = {name: tag for tag, name in c.TLV_NAMES.items()}


def _tlv(name: str, value: int | bytes) -> Tlv:
    return tlv_of(_TAGS[name], value)


_STATES: dict[str, MessageState] = {state.value: state for state in MessageState}


@lru_cache(maxsize=4096)
def _iso_date(raw: str | None, zone: ZoneInfo | None) -> str | None:
    """Return a receipt's date as ISO text, None when it is no date (F6, F7): in UTC where the carrier's zone is known.

    Without a zone the text is naive, as the carrier wrote it (F8). Dates repeat, so they are kept.
    """
    when = parse_receipt_date(raw)
    if when is None:
        return None
    if zone is not None:
        # A year no zone reaches (1, 9999) is beyond conversion; it stays as it was written.
        with suppress(OverflowError):
            return f"{when.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None).isoformat()}Z"
    return when.isoformat()


def _without_free_text(raw: bytes) -> str | None:
    """Return the receipt's text up to its `text:` field, so that no message text is kept; None for UTF-16."""
    # The plain search finds where the pattern may begin, at a fifth of its price.
    may_begin = raw.lower().find(b"text")
    cut = _FREE_TEXT.search(raw, may_begin) if may_begin >= 0 else None
    head = raw[: cut.start()] if cut is not None else raw
    if b"\0" in head[:4]:
        return None
    return head[:MAX_RAW_OCTETS].decode("latin-1").rstrip(" \0") or None
