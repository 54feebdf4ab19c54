"""From a customer's submit to what intake takes, or to the status that refuses it (sms-domain D, E, G, I).

Pure: time is an argument. What is not carried is refused by name, so that no customer believes in what does not
happen: binary payloads and application ports (there is no channel for them), replacing a message, distribution lists.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final

from adapters.smpp.wire import constants as c
from adapters.smpp.wire.pdus import DataSm, SubmitMulti, SubmitSm
from adapters.smpp.wire.times import TimeFault, parse_time
from adapters.smpp.wire.tlv import Tlv, find_tlv
from adapters.smpp.wire.udh import IE_CONCATENATION_8, IE_CONCATENATION_16, parse_user_data
from gateway.domain.addresses import TON_INTERNATIONAL
from gateway.domain.alphabets import TextAlphabet, alphabet_of, decode_text
from gateway.domain.errors import SegmentationError
from gateway.domain.gsm7 import decode_unpacked
from gateway.domain.message import MessageClass
from gateway.intake.requests import MessageDraft
from gateway.intake.rich import Content
from gateway.intake.validity import MAX_VALIDITY_MS
from gateway.ports.smpp_store import SmppCredential

MAX_PRIORITY: Final = 3  # SMPP 3.4 §5.2.14
MAX_ADDRESS_CHARACTERS: Final = 20  # SMPP 3.4 §5.2.8, §5.2.9; data_sm has room for more, its receipt has not
IE_SINGLE_SHIFT: Final = 0x24  # 3GPP TS 23.040 §9.2.3.24.15
IE_LOCKING_SHIFT: Final = 0x25
_CONCATENATIONS: Final = (IE_CONCATENATION_8, IE_CONCATENATION_16)
_MAX_VALIDITY: Final = timedelta(milliseconds=MAX_VALIDITY_MS)
_SAR_TAGS: Final = frozenset({c.TAG_SAR_MSG_REF_NUM, c.TAG_SAR_TOTAL_SEGMENTS, c.TAG_SAR_SEGMENT_SEQNUM})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part stands in its message; `key` is the digest of what the parts of one message share."""

    key: bytes
    total: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Wording:
    """The octets of a text without their header, and how they are to be read."""

    octets: bytes
    alphabet: TextAlphabet
    single_shift: int = 0
    locking_shift: int = 0

    def text(self) -> str:
        """Return the text; what cannot be read is U+FFFD (sms-domain I9). Raises SegmentationError for unknown shifts."""
        if self.alphabet is TextAlphabet.GSM7 and (self.single_shift or self.locking_shift):
            return decode_unpacked(
                self.octets,
                national_single_shift=self.single_shift,
                national_locking_shift=self.locking_shift,
            )
        return decode_text(self.octets, self.alphabet) or ""


@dataclass(frozen=True, slots=True)
class SubmitRead:
    """A submit that can be taken: a draft for intake, and its place where it is a part of a long message.

    The draft of a part holds the text of that part alone; `wording` is for putting the parts together.
    """

    draft: MessageDraft
    wording: Wording
    place: Place | None = None


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


def as_single(pdu: SubmitMulti, *, ton: int, npi: int, destination: str) -> SubmitSm:
    """Return the submit_sm to one destination of a submit_multi (SMPP 3.4 §4.5.1)."""
    return SubmitSm(
        service_type=pdu.service_type,
        source_addr_ton=pdu.source_addr_ton,
        source_addr_npi=pdu.source_addr_npi,
        source_addr=pdu.source_addr,
        dest_addr_ton=ton,
        dest_addr_npi=npi,
        destination_addr=destination,
        esm_class=pdu.esm_class,
        protocol_id=pdu.protocol_id,
        priority_flag=pdu.priority_flag,
        schedule_delivery_time=pdu.schedule_delivery_time,
        validity_period=pdu.validity_period,
        registered_delivery=pdu.registered_delivery,
        replace_if_present_flag=pdu.replace_if_present_flag,
        data_coding=pdu.data_coding,
        sm_default_msg_id=pdu.sm_default_msg_id,
        short_message=pdu.short_message,
        tlvs=pdu.tlvs,
    )


def read_submit(
    pdu: SubmitSm, credential: SmppCredential, *, classes: Mapping[str, MessageClass], now_ms: int
) -> SubmitRead | int:
    """Return what a submit asks for, or the command_status that refuses it.

    `classes` are the classes by service_type in capitals; another service_type has the credential's class.
    """
    status = _field_status(pdu)
    if status:
        return status
    octets = pdu.short_message
    if pdu.tlvs:
        payload = find_tlv(pdu.tlvs, c.TAG_MESSAGE_PAYLOAD)
        if payload is not None:
            if octets:
                return c.ESME_RINVMSGLEN  # sms-domain B20
            octets = payload
    found = _wording(pdu, octets, credential)
    if isinstance(found, int):
        return found
    wording, place = found
    times = _times(pdu, now_ms)
    if isinstance(times, int):
        return times
    try:
        text = wording.text()
    except SegmentationError:
        return c.ESME_RINVESMCLASS
    send_at, expires_at = times
    draft = MessageDraft(
        to=_recipient(pdu, credential),
        sender=pdu.source_addr or None,
        message_class=classes.get(pdu.service_type.upper(), credential.message_class),
        content=Content(text=text),
        send_at=send_at,
        expires_at=expires_at,
    )
    return SubmitRead(draft, wording, place)


def _field_status(pdu: SubmitSm) -> int:
    """Return the status that a submit deserves for its fields alone (sms-domain E3, E6, E8, E9)."""
    if not pdu.destination_addr or len(pdu.destination_addr) > MAX_ADDRESS_CHARACTERS:
        return c.ESME_RINVDSTADR
    if len(pdu.source_addr) > MAX_ADDRESS_CHARACTERS:
        return c.ESME_RINVSRCADR
    if pdu.esm_class & c.ESM_TYPE_MASK:
        return c.ESME_RINVESMCLASS  # acknowledgements between handsets are not carried
    if pdu.priority_flag > MAX_PRIORITY:
        return c.ESME_RINVPRTFLG
    if pdu.replace_if_present_flag:
        # Taken without replacing, the recipient would get both.
        return c.ESME_RINVREPFLAG
    if pdu.sm_default_msg_id:
        return c.ESME_RINVDFTMSGID
    return c.ESME_ROK


def _wording(pdu: SubmitSm, octets: bytes, credential: SmppCredential) -> tuple[Wording, Place | None] | int:
    alphabet = alphabet_of(pdu.data_coding, default=credential.alphabet)
    if alphabet is TextAlphabet.BINARY:
        return c.ESME_RINVDCS
    wording = Wording(octets, alphabet)
    place: tuple[int, int, int, int] | None = None
    if pdu.esm_class & c.ESM_UDHI:
        data = parse_user_data(octets)
        if data.is_opaque:
            return c.ESME_RINVESMCLASS  # sms-domain I8: a header that lies carries no text we could name
        shifts = {IE_SINGLE_SHIFT: 0, IE_LOCKING_SHIFT: 0}
        for identifier, value in data.elements:
            if identifier in shifts and len(value) == 1:
                shifts[identifier] = value[0]
            elif identifier not in _CONCATENATIONS:
                return c.ESME_RINVESMCLASS  # ports and the like: no such application behind a text
        wording = Wording(data.payload, alphabet, shifts[IE_SINGLE_SHIFT], shifts[IE_LOCKING_SHIFT])
        if data.concatenation is not None:
            one = data.concatenation
            place = (one.reference_bits, one.reference, one.segment_count, one.segment_index)
    elif pdu.tlvs:
        sar = _sar(pdu.tlvs)
        if isinstance(sar, int):
            return sar
        place = sar
    if place is None or place[2] == 1:
        return wording, None
    bits, reference, total, sequence = place
    if total > credential.account.max_segments:
        return c.ESME_RINVMSGLEN
    shared = (
        pdu.source_addr,
        pdu.destination_addr,
        pdu.service_type,
        pdu.data_coding,
        bits,
        reference,
        total,
    )
    key = blake2b(repr(shared).encode(), digest_size=16).digest()
    return wording, Place(key, total, sequence)


def _sar(tlvs: tuple[Tlv, ...]) -> tuple[int, int, int, int] | int | None:
    """Return (16, reference, total, sequence) of the SAR parameters (SMPP 3.4 §5.3.2.22 to 24), or a status."""
    if _SAR_TAGS.isdisjoint(tag for tag, _ in tlvs):
        return None
    reference = find_tlv(tlvs, c.TAG_SAR_MSG_REF_NUM)
    total = find_tlv(tlvs, c.TAG_SAR_TOTAL_SEGMENTS)
    sequence = find_tlv(tlvs, c.TAG_SAR_SEGMENT_SEQNUM)
    if reference is None or total is None or sequence is None:
        return c.ESME_RMISSINGOPTPARAM
    if (len(reference), len(total), len(sequence)) != (2, 1, 1) or not 1 <= sequence[0] <= total[0]:
        return c.ESME_RINVOPTPARAMVAL
    return 16, int.from_bytes(reference, "big"), total[0], sequence[0]


def _recipient(pdu: SubmitSm, credential: SmppCredential) -> str:
    """Return the destination as people write it: international digits get their plus (SMPP 3.4 §5.2.5, sms-domain D2).

    The type of number says little: Kannel writes "national" by default, many write "unknown". So it is only asked
    where the account has a region that national digits could belong to.
    """
    address = pdu.destination_addr
    is_international = pdu.dest_addr_ton == TON_INTERNATIONAL or credential.account.default_region is None
    return "+" + address if is_international and not address.startswith("+") else address


def _times(pdu: SubmitSm, now_ms: int) -> tuple[datetime | None, datetime | None] | int:
    """Return (send_at, expires_at) or a status (sms-domain E1 to E3).

    A validity that is longer than ours is cut to it, as message centres do.
    """
    if not pdu.schedule_delivery_time and not pdu.validity_period:
        return None, None
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    scheduled = parse_time(pdu.schedule_delivery_time)
    if isinstance(scheduled, TimeFault):
        return c.ESME_RINVSCHED
    send_at = now + scheduled if isinstance(scheduled, timedelta) else scheduled
    validity = parse_time(pdu.validity_period)
    if isinstance(validity, TimeFault):
        return c.ESME_RINVEXPIRY
    expires_at = now + validity if isinstance(validity, timedelta) else validity
    if expires_at is not None:
        expires_at = min(expires_at, max(send_at or now, now) + _MAX_VALIDITY)
    return send_at, expires_at


def with_text(draft: MessageDraft, text: str) -> MessageDraft:
    """Return the draft with another text."""
    return MessageDraft(
        to=draft.to,
        sender=draft.sender,
        message_class=draft.message_class,
        content=Content(text=text),
        send_at=draft.send_at,
        expires_at=draft.expires_at,
    )


def joined(wordings: list[Wording]) -> Wording:
    """Return the wording of a whole message: octets first, so that no pair is lost that a cut went through."""
    return replace(wordings[0], octets=b"".join([one.octets for one in wordings]))
