"""From whole messages to rows and notices: what it says, whose it is, who is told.

Used by the consumer and the sweeper inside their transactions.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import structlog

from gateway.bus.codec import EnvelopeError, encode
from gateway.bus.topics import WEBHOOKS
from gateway.domain.addresses import clean_number
from gateway.domain.errors import AddressError
from gateway.domain.ids import derived_uuid
from gateway.domain.notices import ANY_TYPE, INBOUND_TYPE, Notice
from gateway.domain.receipts import MobileOriginated
from gateway.inbound.assembler import Arrival
from gateway.inbound.metrics import InboundMetrics
from gateway.inbound.ownership import Ownership
from gateway.inbound.reading import Content, decode_mo, is_spoken, read, text_of
from gateway.inbound.reassembly import Closed, Why
from gateway.inbound.shown import notice_data
from gateway.intake.numbers import parse_recipient
from gateway.ports.bus import Record, Transaction
from gateway.ports.inbound_store import InboundMessage, InboundStore, SourceRow

_log = structlog.get_logger()

_BY_ID: Final = attrgetter("id.int")
_TOLD_BY: Final = frozenset({INBOUND_TYPE, ANY_TYPE})
_CHARACTERS: Final = "utf8"
_MAX_SHORT_CODE: Final = 8
_MAX_LONG_ADDRESS: Final = 256  # of mail, a little more than RFC 5321 §4.5.3.1.3 allows
_MAX_ADDRESS: Final = 65  # SMPP 3.4 §4.7.1: octets of an address in data_sm


@dataclass(slots=True)
class Delivered:
    """What a transaction stored: the new messages, the records that tell of them, and what to count once it is done."""

    messages: list[InboundMessage] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    closed: list[Closed] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)
    repeated: int = 0

    def count(self, metrics: InboundMetrics) -> None:
        """Count it, after the commit."""
        for message in self.messages:
            metrics.received(message.carrier, message.text)
            if message.account_id is None:
                metrics.unassigned.labels(message.carrier).inc()
        for closed in self.closed:
            if closed.why is not Why.COMPLETE:
                metrics.partial.labels(closed.of.key.carrier, closed.why.value).inc()
        for carrier in self.malformed:
            metrics.malformed.labels(carrier).inc()
        if self.repeated:
            metrics.repeated.inc(self.repeated)


class Audience(Protocol):
    """Who wants to be told, by account and type of notice; `dlr.webhooks.directory.Directory` is one."""

    async def subscriptions(self) -> Mapping[str, AbstractSet[str]]:
        """Return what is known now; raises while nothing is."""


class Looked(NamedTuple):
    """One page of a second look: what tells of the messages that have an account now, how many; where to go on."""

    records: list[Record]
    found: int
    next_id: UUID | None


class Delivery:
    """Stores messages with their accounts, and makes the notices. Without an `audience` every account is told."""

    def __init__(
        self, store: InboundStore, *, ownership: Ownership, audience: Audience | None = None
    ) -> None:
        self._store = store
        self._ownership = ownership
        self._audience = audience

    async def deliver(
        self, tx: Transaction, arrivals: Sequence[Arrival], closed: Sequence[Closed]
    ) -> Delivered:
        """Store messages of one segment and closed sets; they are told of in the order of the bus."""
        delivered = Delivered(closed=list(closed))
        messages = []
        fresh = await self._without_repeats(tx, arrivals)
        delivered.repeated = len(arrivals) - len(fresh)
        for arrival in fresh:
            if is_spoken(arrival.mo):
                messages.append(_spoken_message(arrival.record_id, arrival.mo))
                continue
            if arrival.content.fault:
                delivered.malformed.append(arrival.mo.carrier)
            messages.append(
                _message(
                    arrival.record_id, [arrival.mo], [arrival.content], received_at=arrival.mo.received_at
                )
            )
        messages += [message for one in closed if (message := _message_of_set(one)) is not None]
        messages = await self._ownership.assigned(tx, sorted(messages, key=_BY_ID))
        new = await self._store.insert_messages(tx, messages)
        delivered.messages = [message for message in messages if message.id in new]
        delivered.records = await self._notices(delivered.messages)
        return delivered

    async def _without_repeats(self, tx: Transaction, arrivals: Sequence[Arrival]) -> Sequence[Arrival]:
        """Return the arrivals without those that a carrier has brought before, by its own ids of them."""
        named = [
            SourceRow(one.mo.carrier, one.mo.source_id, one.record_id, one.mo.received_at)
            for one in arrivals
            if one.mo.source_id is not None
        ]
        if not named:
            return arrivals
        new = await self._store.claim_sources(tx, named)
        return [one for one in arrivals if one.mo.source_id is None or one.record_id in new]

    async def look_again(self, tx: Transaction, *, since_ms: int, before: UUID | None, limit: int) -> Looked:
        """Look for the accounts of messages that are nobody's, received since then, newest first, a page at a time.

        The recorder may be behind: a reply can be here before the message that it answers. And an operator may have
        given the number to an account meanwhile.
        """
        unassigned = await self._store.unassigned(tx, since_ms=since_ms, before=before, limit=limit)
        found = [one for one in await self._ownership.assigned(tx, unassigned) if one.account_id is not None]
        changed = await self._store.assign(tx, found)
        records = await self._notices([one for one in sorted(found, key=_BY_ID) if one.id in changed])
        return Looked(records, len(changed), unassigned[-1].id if len(unassigned) == limit else None)

    async def _notices(self, messages: Sequence[InboundMessage]) -> list[Record]:
        owned = [message for message in messages if message.account_id is not None]
        if owned and self._audience is not None:
            wanted = await self._audience.subscriptions()
            owned = [one for one in owned if not _TOLD_BY.isdisjoint(wanted.get(one.account_id or "", ()))]
        return [notice_record(message) for message in owned]


def notice_record(message: InboundMessage) -> Record:
    """Return the record that tells the account of its message, keyed so that one person's messages keep their order.

    Accounts that are connected by SMPP get it as deliver_sm: the same notice on the topic `esme.due` belongs here.
    """
    assert message.account_id is not None
    notice = Notice(
        id=derived_uuid(message.id, INBOUND_TYPE),
        account_id=message.account_id,
        type=INBOUND_TYPE,
        at=message.received_at,
        subject_id=message.id,
        data=notice_data(message),
    )
    return Record(WEBHOOKS, message.sender.encode(), encode(notice))


def plain_number(text: str) -> str:
    """Return one of our numbers as it is compared: digits without plus, or the text itself."""
    return clean_number(text).removeprefix("+")


def _message_of_set(closed: Closed) -> InboundMessage | None:
    records: list[MobileOriginated | None] = [None] * closed.of.key.segment_count
    for index, segment in closed.of.segments.items():
        # A record that an older version wrote and this one cannot read any more counts as missing.
        try:
            records[index - 1] = decode_mo(segment.value)
        except EnvelopeError:
            continue
    if not any(records):
        _log.error("inbound.set_unreadable", carrier=closed.of.key.carrier, segments=len(closed.of.segments))
        return None
    contents = [None if one is None else read(one) for one in records]
    return _message(closed.id, records, contents, received_at=closed.at)


def _message(
    message_id: UUID,
    records: Sequence[MobileOriginated | None],
    contents: Sequence[Content | None],
    *,
    received_at: int,
) -> InboundMessage:
    first = next(one for one in records if one is not None)
    reading = text_of(contents)
    sender, is_e164 = _person(first.sender)
    raw: dict[str, Any] = {
        "source_addr": first.sender,
        "destination_addr": first.recipient,
        "data_coding": first.data_coding,
        "esm_class": first.esm_class,
    }
    if first.service_type:
        raw["service_type"] = first.service_type
    headers = [content.header.hex() for content in contents if content is not None]
    if any(headers):
        raw["udh_hex"] = headers
    fault = next((content.fault for content in contents if content is not None and content.fault), "")
    if fault:
        raw["fault"] = fault
    if reading.data is not None:
        raw["data_hex"] = reading.data.hex()
    return InboundMessage(
        id=message_id,
        carrier=first.carrier,
        bind=first.bind,
        sender=sender,
        sender_is_e164=is_e164,
        recipient=plain_number(first.recipient)[:_MAX_ADDRESS],
        text=reading.text,
        encoding=reading.encoding.value,
        segment_count=len(records),
        missing=tuple(index for index, one in enumerate(records, start=1) if one is None),
        received_at=received_at,
        raw=raw,
    )


def _spoken_message(message_id: UUID, mo: MobileOriginated) -> InboundMessage:
    """Return the message of a channel that speaks in characters: nothing is decoded, nothing joined."""
    sender, is_e164 = _person(mo.sender, limit=_MAX_LONG_ADDRESS)
    raw: dict[str, Any] = {"source_addr": mo.sender, "destination_addr": mo.recipient}
    if mo.source_id is not None:
        raw["source_id"] = mo.source_id
    return InboundMessage(
        id=message_id,
        carrier=mo.carrier,
        bind=mo.bind,
        sender=sender,
        sender_is_e164=is_e164,
        # Numbers of ours are written like those of people here: with punctuation, or as 521 and ten digits.
        recipient=_person(mo.recipient, limit=_MAX_LONG_ADDRESS)[0]
        if len(mo.recipient) > _MAX_SHORT_CODE
        else plain_number(mo.recipient),
        text=mo.text,
        encoding=_CHARACTERS,
        segment_count=1,
        missing=(),
        received_at=mo.received_at,
        raw=raw,
        channel=mo.channel,
        media=mo.media,
    )


def _person(address: str, *, limit: int = _MAX_ADDRESS) -> tuple[str, bool]:
    """Return the number of who wrote, in E.164 without plus, or else the address as it is."""
    written = "+" + address[2:] if address.startswith("00") else address
    try:
        return parse_recipient(written, digits_are_international=True).msisdn, True
    except AddressError:
        return address[:limit], False
