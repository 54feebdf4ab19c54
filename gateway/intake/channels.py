"""Messages with several channels: each is prepared as a message of its own, then they become one with a plan.

Called by `gateway.intake.prepare`. What is wrong with any channel refuses the message; a channel that the person does
not want is left out, and the message is refused when none remains.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from gateway.domain.carried import replace
from gateway.domain.errors import quoted
from gateway.domain.message import Channel, ChannelPlan, ChannelStep, Message, MessageClass
from gateway.intake.requests import ChannelWish, FallbackWish, MessageDraft, RouteWish
from gateway.intake.rich import Fault
from gateway.policy.channels import DEFAULT_WAIT_FOR, DEFAULT_WAIT_MS
from gateway.policy.routing import RouteTable

if TYPE_CHECKING:
    from gateway.intake.prepare import Circumstances

OPTED_OUT: Final = "opted_out"

_OWN_FIELDS: Final = ("to", "from", "content")


class SinglePreparer(Protocol):
    """What this module asks of `gateway.intake.prepare.Preparer`."""

    @property
    def routes(self) -> RouteTable:
        """The rules in force."""

    def prepare(self, draft: MessageDraft, common: "Circumstances") -> Message | tuple[Fault, ...]:
        """Prepare a message of one channel."""

    def cost_of(self, message: Message, draft: MessageDraft) -> str | None:
        """Return the price of a segment of a prepared message."""


def check_wishes(
    common: "Circumstances",
    message_class: MessageClass,
    channel: Channel,
    recipient: str,
    sender: str,
    faults: list[Fault],
) -> None:
    """Add a fault where the person does not want this channel, or anything from this sender on it."""
    wishes = (common.wishes or {}).get(recipient)
    if wishes is None:
        return
    ignores = message_class is MessageClass.OTP and common.account.otp_despite_opt_out
    if not wishes.allows(channel):
        detail = f"the recipient does not want messages by {channel}"
        faults.append(Fault(OPTED_OUT, detail, "/to"))
    elif wishes.refuses(channel, sender) and not ignores:
        detail = f"the recipient opted out of messages by {channel}"
        faults.append(Fault(OPTED_OUT, detail, "/to"))


def prepare_channels(
    preparer: SinglePreparer, draft: MessageDraft, common: "Circumstances"
) -> Message | tuple[Fault, ...]:
    """Return the message on its first channel, with the others in its plan."""
    wishes = [ChannelWish(one) if isinstance(one, str) else one for one in draft.channels or ()]
    faults: list[Fault] = []
    if draft.channel is not None:
        faults.append(Fault("invalid_channel", "give channel or channels, not both", "/channels"))
    faults += _doubled(wishes)
    faults += _unknown_preferred(preparer.routes, draft, wishes)
    prepared: list[tuple[Message, ChannelWish, str | None]] = []
    refusals: list[Fault] = []
    for index, wish in enumerate(wishes):
        one = _draft_of(draft, wish, preparer.routes)
        made = preparer.prepare(one, common)
        if isinstance(made, Message):
            prepared.append((made, wish, preparer.cost_of(made, one)))
        elif all(fault.code == OPTED_OUT for fault in made):
            refusals.append(made[0])
        else:
            faults += [_placed(fault, index, wish) for fault in made if fault.code != OPTED_OUT]
    if faults:
        return tuple(dict.fromkeys(faults))
    if not prepared:
        return (refusals[0],)
    return _planned(_by_preference(prepared, common), common)


def _draft_of(draft: MessageDraft, wish: ChannelWish, routes: RouteTable) -> MessageDraft:
    """Return the message as it would be on this channel alone."""
    route = draft.route
    if route is not None and route.prefer:
        of_channel = [name for name in route.prefer if routes.channel_of(name) == wish.channel]
        route = RouteWish(of_channel, route.failover)
    return msgspec.structs.replace(
        draft,
        channel=wish.channel,
        channels=None,
        to=draft.to if wish.to is None else wish.to,
        sender=draft.sender if wish.sender is None else wish.sender,
        content=draft.content if wish.content is None else wish.content,
        route=route,
    )


def _doubled(wishes: Iterable[ChannelWish]) -> list[Fault]:
    """Refuse to say the same thing twice the same way: nothing would be gained."""
    seen: set[tuple[str, str | None, str | None]] = set()
    faults = []
    for index, wish in enumerate(wishes):
        key = (wish.channel, wish.to, wish.sender)
        if key in seen:
            detail = f"channel {quoted(wish.channel)} is there twice with the same from and to"
            faults.append(Fault("invalid_channel", detail, f"/channels/{index}"))
        seen.add(key)
    return faults


def _unknown_preferred(routes: RouteTable, draft: MessageDraft, wishes: Iterable[ChannelWish]) -> list[Fault]:
    channels = {wish.channel for wish in wishes}
    prefer = draft.route.prefer if draft.route is not None else None
    return [
        Fault(
            "unknown_carrier",
            f"carrier {quoted(name)} does not exist, or is of none of the channels",
            f"/route/prefer/{index}",
        )
        for index, name in enumerate(prefer or ())
        if routes.channel_of(name) not in channels
    ]


def _placed(fault: Fault, index: int, wish: ChannelWish) -> Fault:
    """Return the fault with a pointer to where the field was given."""
    pointer = fault.pointer
    field = pointer.split("/")[1] if pointer else ""
    given: Mapping[str, object] = {"to": wish.to, "from": wish.sender, "content": wish.content}
    if field == "channel":
        return fault._replace(pointer=f"/channels/{index}/channel")
    if field in _OWN_FIELDS and given[field] is not None:
        return fault._replace(pointer=f"/channels/{index}{pointer}")
    return fault


def _by_preference(
    prepared: list[tuple[Message, ChannelWish, str | None]], common: "Circumstances"
) -> list[tuple[Message, ChannelWish, str | None]]:
    """Return the channels in the order that the person prefers, where one is known."""
    wishes = (common.wishes or {}).get(prepared[0][0].recipient)
    if wishes is None or wishes.allowed is None:
        return prepared
    order = {channel: place for place, channel in enumerate(wishes.allowed)}
    return sorted(prepared, key=lambda one: order.get(one[0].channel, len(order)))


def _planned(prepared: list[tuple[Message, ChannelWish, str | None]], common: "Circumstances") -> Message:
    last = len(prepared) - 1
    steps = [
        ChannelStep(
            channel=message.channel,
            recipient=message.recipient,
            sender=message.sender,
            text=message.text,
            encoding=message.encoding,
            segment_count=message.segment_count,
            carrier=message.carrier,
            candidates=message.candidates,
            route_reason=message.route_reason,
            rich=message.rich,
            cost=cost,
            wait_for=None if index == last else (_fallback(wish).unless or DEFAULT_WAIT_FOR),
            wait_ms=0 if index == last else 1_000 * (_fallback(wish).within_s or DEFAULT_WAIT_MS // 1_000),
        )
        for index, (message, wish, cost) in enumerate(prepared)
    ]
    message, first = prepared[0][0], steps[0]
    return replace(
        message,
        plan=ChannelPlan(
            step=1,
            rest=tuple(steps[1:]),
            wait_for=first.wait_for,
            wait_ms=first.wait_ms,
            cost=first.cost,
            ignores_opt_out=message.message_class is MessageClass.OTP and common.account.otp_despite_opt_out,
        ),
    )


def _fallback(wish: ChannelWish) -> FallbackWish:
    return wish.fallback or FallbackWish()
