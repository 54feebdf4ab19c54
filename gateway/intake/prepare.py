"""From a draft to a message: recipient, sender, text, segments, validity and route, or all that is wrong with it.

Called by `gateway.intake.entry` for every message of a request. It reads no clock and writes nothing, so `:validate`
gives exactly the numbers that sending would.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from uuid import UUID

import msgspec

from gateway.domain.addresses import parse_sender
from gateway.domain.cutting import USUAL_SEGMENTATION, SegmentationOptions
from gateway.domain.errors import AddressError, SegmentationError, quoted
from gateway.domain.message import Channel, Message, MessageClass, RichContent, Source
from gateway.domain.segmentation import MAX_SEGMENTS, MeasuredText
from gateway.domain.templates import Templates
from gateway.intake.channels import check_wishes, prepare_channels
from gateway.intake.numbers import parse_msisdn
from gateway.intake.requests import MessageDraft
from gateway.intake.rich import Fault, Said, check_template, read_content
from gateway.intake.validity import VALIDITY_MS, validity_times
from gateway.policy.routing import NoRoute, Plan, RouteQuery, RouteTable, UnknownCarrier
from gateway.ports.consent_store import Wishes
from gateway.ports.intake_store import Account
from gateway.ports.media_store import MediaFacts

# More characters than any 255 segments hold, so a megabyte of text is refused before anything is done with it.
_MAX_CHARACTERS = MAX_SEGMENTS * 160
_CACHED_SENDERS = 4_096
_NO_TEXT = MeasuredText("", "gsm7", 0, 1)


class Circumstances(msgspec.Struct):
    """What the messages of one request have in common. `now_ms` is the moment of acceptance.

    `message_id` is for a door that has named its one message already. `origin` is as in `Message`. `webhook_ids` are
    those of the endpoints named in the request that are the account's. `wishes` are what its recipients have asked for,
    None where nobody has asked this account for anything. `media` are the account's files among those named.
    """

    account: Account
    now_ms: int
    request_id: str | None = None
    batch_id: UUID | None = None
    is_test: bool = False
    source: Source = Source.API
    origin: str | None = None
    message_id: UUID | None = None
    webhook_ids: AbstractSet[str] = frozenset()
    wishes: Mapping[str, Wishes] | None = None
    media: Mapping[str, MediaFacts] = {}


class Preparer:
    """Turns drafts into messages. `new_id` gives a UUIDv7 of a time in milliseconds.

    Messages of test keys go to `test_carrier` whatever the rules say, and nowhere when there is none. Segments are
    counted by the options of the carrier that a message is routed to, which dispatch cuts with (sms-domain B27);
    a carrier that `segmentation` does not name has the usual ones. `templates` are those approved for carriers that
    have any.
    """

    def __init__(
        self,
        routes: RouteTable,
        *,
        new_id: Callable[[int], UUID],
        test_carrier: str | None = None,
        segmentation: Mapping[str, SegmentationOptions] | None = None,
        templates: Mapping[str, Templates] | None = None,
    ) -> None:
        self._new_id = new_id
        self.use(routes, test_carrier=test_carrier, segmentation=segmentation, templates=templates)

    def use(
        self,
        routes: RouteTable,
        *,
        test_carrier: str | None = None,
        segmentation: Mapping[str, SegmentationOptions] | None = None,
        templates: Mapping[str, Templates] | None = None,
    ) -> None:
        """Prepare by these tables from now on; nothing here awaits, so no message is prepared by a mixture."""
        self.routes = routes
        self._test_carrier = test_carrier
        self._segmentation = dict(segmentation or {})
        self._templates = dict(templates or {})

    def prepare(self, draft: MessageDraft, common: Circumstances) -> Message | tuple[Fault, ...]:
        """Return the message, or one fault per offending field with pointers relative to the message."""
        usual = self._usual(draft, common)
        if usual is not None:
            return usual
        if draft.channels is not None:
            return prepare_channels(self, draft, common)
        return self._prepare(draft, common)

    def _usual(self, draft: MessageDraft, common: Circumstances) -> Message | None:
        """Return a short message that wishes for nothing, as most are; None where the long way has to look.

        The same as `_prepare` without what it need not ask here; a property test holds the two together.
        """
        text = _plain_text(draft)
        if text is None or draft.to is None or draft.sender is None or common.is_test or common.wishes:
            return None
        account = common.account
        message_class = draft.message_class or MessageClass.TRANSACTIONAL
        try:
            recipient = parse_msisdn(
                draft.to, account.default_region, digits_are_international=account.bare_international
            )
            sender = _source_addr(draft.sender)
        except AddressError:
            return None
        plan = self.routes.plan_of(recipient, account.id, message_class, sender)
        if plan is None:
            return None
        options = self._segmentation.get(plan.carrier, USUAL_SEGMENTATION)
        measured = options.measure_short(text) if not account.transliterate else None
        if measured is None:
            return None
        return Message(
            id=common.message_id or self._new_id(common.now_ms),
            account_id=account.id,
            message_class=message_class,
            recipient=recipient,
            sender=sender,
            text=measured.text,
            encoding=measured.encoding,
            segment_count=1,
            accepted_at=common.now_ms,
            valid_until=common.now_ms + VALIDITY_MS[message_class],
            carrier=plan.carrier,
            candidates=plan.candidates,
            client_ref=draft.client_ref,
            batch_id=common.batch_id,
            request_id=common.request_id,
            route_reason=plan.reason,
            source=common.source,
            origin=common.origin,
        )

    def _prepare(self, draft: MessageDraft, common: Circumstances) -> Message | tuple[Fault, ...]:
        faults: list[Fault] = []
        account = common.account
        message_class = draft.message_class or MessageClass.TRANSACTIONAL
        channel = Channel.SMS if draft.channel is None else self._channel(draft.channel, faults)
        if draft.webhook_id is not None and draft.webhook_id not in common.webhook_ids:
            detail = f"webhook {quoted(draft.webhook_id)} does not exist"
            faults.append(Fault("unknown_webhook", detail, "/webhook_id"))
        if draft.client_ref is not None or draft.metadata is not None:
            _check_storable(draft, faults)
        recipient = _recipient(draft.to, account, faults)
        sender = _sender(draft.sender, faults)
        unroutable: list[Fault] = []
        plan = (
            self._plan(draft, common, message_class, recipient, sender, channel, unroutable)
            if recipient and channel
            else None
        )
        if common.wishes and recipient and channel:
            check_wishes(common, message_class, channel, recipient, sender or "", faults)
        measured, rich = self._words(draft, common, channel or Channel.SMS, plan, faults)
        send_at, valid_until = validity_times(draft, message_class, common.now_ms, faults)
        faults += unroutable
        if faults or recipient is None or sender is None or measured is None or plan is None or not channel:
            return tuple(faults)
        return Message(
            id=common.message_id or self._new_id(common.now_ms),
            account_id=account.id,
            message_class=message_class,
            recipient=recipient,
            sender=sender,
            text=measured.text,
            encoding=measured.encoding,
            segment_count=measured.segment_count,
            accepted_at=common.now_ms,
            valid_until=valid_until,
            carrier=plan.carrier,
            candidates=plan.candidates,
            channel=channel,
            send_at=send_at,
            client_ref=draft.client_ref,
            batch_id=common.batch_id,
            request_id=common.request_id,
            metadata=draft.metadata,
            route_reason=plan.reason,
            source=common.source,
            origin=common.origin,
            webhook_id=draft.webhook_id,
            rich=rich,
        )

    def _words(
        self,
        draft: MessageDraft,
        common: Circumstances,
        channel: Channel,
        plan: Plan | None,
        faults: list[Fault],
    ) -> tuple[MeasuredText | None, RichContent | None]:
        """Return what the message says, as it is counted for its carrier, and what it says beside the text."""
        said = read_content(
            draft.content, channel=channel, media=common.media, params=draft.params, faults=faults
        )
        if said is None:
            return None, None
        options = USUAL_SEGMENTATION
        if plan is not None:
            options = self._segmentation.get(plan.carrier, USUAL_SEGMENTATION)
            if said.rich is not None:
                check_template(said.rich, self._templates.get(plan.carrier), faults=faults)
        return _measure(draft, said, common.account, options, faults), said.rich

    def units_of(self, message: Message) -> int:
        """Return the length of a prepared message in septets, UTF-16 units or octets, as it was counted."""
        options = self._segmentation.get(message.carrier, USUAL_SEGMENTATION)
        return options.measure(message.text, encoding=message.encoding).units if message.text else 0

    def _channel(self, name: str, faults: list[Fault]) -> Channel | None:
        found = next((channel for channel in Channel if channel == name), None)
        if found is None or (found is not Channel.SMS and not self.routes.carriers_of(found)):
            there = [channel for channel in Channel if self.routes.carriers_of(channel)]
            detail = f"channel {quoted(name)} is not available; available: {', '.join(there) or 'none'}"
            faults.append(Fault("invalid_channel", detail, "/channel"))
            return None
        return found

    def cost_of(self, message: Message, draft: MessageDraft) -> str | None:
        """Return the price of a segment on the message's carrier, a decimal, None where no rule states it."""
        route = draft.route
        decision = self.routes.decide(
            RouteQuery(
                message.recipient,
                message.account_id,
                message.message_class,
                message.sender,
                tuple(route.prefer or ()) if route is not None else (),
                route is None or route.failover is not False,
                message.channel,
            )
        )
        if not isinstance(decision, Plan) or decision.carrier != message.carrier or decision.cost is None:
            return None
        return str(decision.cost)

    def _plan(
        self,
        draft: MessageDraft,
        common: Circumstances,
        message_class: MessageClass,
        recipient: str,
        sender: str | None,
        channel: Channel,
        faults: list[Fault],
    ) -> Plan | None:
        if common.is_test:
            if self._test_carrier is None or self.routes.channel_of(self._test_carrier) not in (
                None,
                channel,
            ):
                detail = f"test keys need a simulator of channel {channel}, and none is configured"
                faults.append(Fault("no_route", detail, "/to"))
                return None
            return Plan(self._test_carrier, (), "test key")
        prefer: tuple[str, ...] = ()
        failover = True
        if draft.route is not None:
            prefer = tuple(draft.route.prefer or ())
            failover = draft.route.failover is not False
        decision = self.routes.decide(
            RouteQuery(recipient, common.account.id, message_class, sender or "", prefer, failover, channel)
        )
        if isinstance(decision, Plan):
            return decision
        match decision:
            case NoRoute():
                on = "" if channel is Channel.SMS else f" on channel {channel}"
                detail = f"no route for {message_class}{on} to numbers that start with +{recipient[:4]}"
                faults.append(Fault("no_route", detail, "/to"))
            case UnknownCarrier(carrier, index):
                other = self.routes.channel_of(carrier)
                why = (
                    "does not exist" if other in (None, channel) else f"is of channel {other}, not {channel}"
                )
                detail = f"carrier {quoted(carrier)} {why}"
                faults.append(Fault("unknown_carrier", detail, f"/route/prefer/{index}"))
        return None


def _plain_text(draft: MessageDraft) -> str | None:
    """Return the text of a draft that wishes for nothing else; None where there is more to it, or too little."""
    content = draft.content
    if (
        content is None
        or not content.text
        or not content.is_plain
        or "\x00" in content.text
        or (draft.channel is not None and draft.channel != Channel.SMS)
        or draft.channels is not None
        or draft.webhook_id is not None
        or draft.send_at is not None
        or draft.expires_at is not None
        or draft.route is not None
        or draft.metadata is not None
        or draft.params is not None
        or draft.encoding is not None
        or draft.transliterate is not None
        or (draft.client_ref is not None and "\x00" in draft.client_ref)
    ):
        return None
    return content.text


def _recipient(text: str | None, account: Account, faults: list[Fault]) -> str | None:
    if text is None:
        faults.append(Fault("missing_field", "to is missing", "/to"))
        return None
    try:
        return parse_msisdn(text, account.default_region, digits_are_international=account.bare_international)
    except AddressError as error:
        faults.append(Fault(error.code, error.detail, "/to"))
        return None


@lru_cache(maxsize=_CACHED_SENDERS)
def _source_addr(text: str) -> str:
    return parse_sender(text).source_addr


def _sender(text: str | None, faults: list[Fault]) -> str | None:
    if text is None:
        faults.append(Fault("missing_field", "from is missing", "/from"))
        return None
    try:
        return _source_addr(text)
    except AddressError as error:
        faults.append(Fault(error.code, error.detail, "/from"))
        return None


def _measure(
    draft: MessageDraft, said: Said, account: Account, options: SegmentationOptions, faults: list[Fault]
) -> MeasuredText | None:
    text = said.text
    if not text and said.rich is not None:
        return _NO_TEXT
    if len(text) > _MAX_CHARACTERS:
        needed = len(text) // 160
        detail = f"more than {needed} segments exceed the limit of {account.max_segments}"
        faults.append(Fault("too_many_segments", detail, "/content/text"))
        return None
    if "\x00" in text:
        faults.append(
            Fault("invalid_text", "the text has a NUL (U+0000), which no handset shows", "/content/text")
        )
        return None
    transliterate = account.transliterate if draft.transliterate is None else draft.transliterate
    try:
        return options.measure(
            text,
            encoding=draft.encoding or "auto",
            transliterate=transliterate,
            max_segments=min(account.max_segments, MAX_SEGMENTS),
        )
    except SegmentationError as error:
        faults.append(Fault(error.code, error.detail, "/content/text"))
        return None


def _check_storable(draft: MessageDraft, faults: list[Fault]) -> None:
    """Refuse NUL where it would be kept: the database has no such character in a text."""
    if draft.client_ref is not None and "\x00" in draft.client_ref:
        faults.append(Fault("invalid_client_ref", "client_ref has a NUL (U+0000)", "/client_ref"))
    if draft.metadata is not None and any("\x00" in part for pair in draft.metadata.items() for part in pair):
        faults.append(Fault("invalid_metadata", "metadata has a NUL (U+0000)", "/metadata"))
