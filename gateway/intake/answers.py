"""The bodies of accepted requests, rendered before the transaction that keeps them, so that a replay is identical.

Called by `gateway.intake.entry`. Field names are the API's (http-api 4.1, 4.2).
"""

from collections.abc import Mapping, Sequence
from typing import Literal
from uuid import UUID

import msgspec

from gateway.domain import instants
from gateway.domain.ids import format_id
from gateway.domain.message import ChannelPlan, ChannelStep, Message, Progress
from gateway.intake.rich import Fault
from gateway.policy.routing import Plan

_ENCODE = msgspec.json.Encoder().encode
rfc3339 = instants.rfc3339
_Status = Literal["queued", "scheduled"]


class AcceptedMessage(msgspec.Struct, gc=False):
    """The answer to `POST /v1/messages`."""

    id: str
    status: _Status
    to: str
    client_ref: str | None
    segments: int
    encoding: str
    created_at: str


class ItemError(msgspec.Struct, gc=False):
    """Why one message of a batch was refused."""

    code: str
    detail: str
    pointer: str


class ItemResult(msgspec.Struct, gc=False, omit_defaults=True):
    """What became of one message of a batch. `duplicate`: `id` is the message that had this client_ref first."""

    index: int
    status: Literal["queued", "scheduled", "rejected"]
    id: str | None = None
    segments: int | None = None
    client_ref: str | None = None
    duplicate: bool = False
    error: ItemError | None = None


class AcceptedBatch(msgspec.Struct, gc=False):
    """The answer to `POST /v1/messages:batch`. `accepted` counts repeats too; `duplicates` says how many they are."""

    id: str
    accepted: int
    rejected: int
    duplicates: int
    results: list[ItemResult]


class PlannedRoute(msgspec.Struct, gc=False):
    """Which carriers a message would be tried on, in order, and why."""

    carrier: str
    candidates: tuple[str, ...]
    reason: str


class PlannedChannel(msgspec.Struct, gc=False):
    """One of several channels: where it would go, and when the next one would begin."""

    channel: str
    to: str
    sender: str = msgspec.field(name="from")
    carrier: str
    segments: int
    cost: str | None
    unless: str | None
    within_s: int | None


class ValidatedMessage(msgspec.Struct, gc=False):
    """The answer to `POST /v1/messages:validate`: what sending would do. `text` is what would really be sent."""

    to: str
    sender: str = msgspec.field(name="from")
    message_class: str = msgspec.field(name="class")
    encoding: str
    units: int
    segments: int
    text: str
    expires_at: str
    send_at: str | None
    route: PlannedRoute
    channel: str
    channels: list[PlannedChannel] | None
    valid: bool = True


def render_accepted(message: Message, *, message_id: str) -> bytes:
    """Return the answer for one message."""
    return _ENCODE(
        AcceptedMessage(
            id=message_id,
            status=_status(message),
            to="+" + message.recipient,
            client_ref=message.client_ref,
            segments=message.segment_count,
            encoding=message.encoding,
            created_at=rfc3339(message.accepted_at),
        )
    )


def item_results(
    prepared: Sequence[Message | tuple[Fault, ...]],
    client_refs: Sequence[str | None],
    *,
    owners: Mapping[UUID, UUID] | None = None,
) -> list[ItemResult]:
    """Return one result per item, in order; `owners` are the messages that repeat a client_ref."""
    results = []
    for index, item in enumerate(prepared):
        if isinstance(item, tuple):
            fault = item[0]
            error = ItemError(fault.code, fault.detail, f"#/messages/{index}{fault.pointer}")
            results.append(
                ItemResult(index=index, status="rejected", client_ref=client_refs[index], error=error)
            )
            continue
        message_id, duplicate = item.id, False
        if owners and item.id in owners:
            message_id, duplicate = owners[item.id], True
        results.append(
            ItemResult(
                index=index,
                status=_status(item),
                id=format_id("msg", message_id),
                segments=item.segment_count,
                client_ref=item.client_ref,
                duplicate=duplicate,
            )
        )
    return results


def render_batch(batch_id: UUID, results: list[ItemResult]) -> bytes:
    """Return the answer for a batch."""
    rejected = sum(1 for result in results if result.error is not None)
    duplicates = sum(1 for result in results if result.duplicate)
    return _ENCODE(
        AcceptedBatch(format_id("bat", batch_id), len(results) - rejected, rejected, duplicates, results)
    )


def render_validated(message: Message, *, units: int) -> bytes:
    """Return what sending this message would do."""
    plan = Plan(message.carrier, message.candidates, message.route_reason)
    return _ENCODE(
        ValidatedMessage(
            to="+" + message.recipient,
            sender=message.sender,
            message_class=message.message_class,
            encoding=message.encoding,
            units=units,
            segments=message.segment_count,
            text=message.text,
            expires_at=rfc3339(message.valid_until),
            send_at=None if message.send_at is None else rfc3339(message.send_at),
            route=PlannedRoute(plan.carrier, plan.candidates, plan.reason),
            channel=message.channel,
            channels=None if message.plan is None else _channels(message, message.plan),
        )
    )


def _channels(message: Message, plan: ChannelPlan) -> list[PlannedChannel]:
    first = _channel(message, plan.cost, plan.wait_for, plan.wait_ms)
    return [first, *[_channel(step, step.cost, step.wait_for, step.wait_ms) for step in plan.rest]]


def _channel(
    step: Message | ChannelStep, cost: str | None, wait_for: Progress | None, wait_ms: int
) -> PlannedChannel:
    return PlannedChannel(
        channel=step.channel,
        to="+" + step.recipient,
        sender=step.sender,
        carrier=step.carrier,
        segments=step.segment_count,
        cost=cost,
        unless=wait_for,
        within_s=wait_ms // 1_000 if wait_for is not None else None,
    )


def _status(message: Message) -> _Status:
    return "queued" if message.send_at is None else "scheduled"
