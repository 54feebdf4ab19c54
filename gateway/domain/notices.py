"""What an account is told of: the records of the topics `webhook.due` and `esme.due`.

Made by the recorder (changes of a message's state) and by `gateway.inbound` (replies); read by `dlr.webhooks` and
`gateway.smppd`.
"""

from typing import Any, NamedTuple
from uuid import UUID

from gateway.domain.carried import Carried
from gateway.domain.ids import derived_uuid, format_id
from gateway.domain.instants import rfc3339
from gateway.domain.lifecycle import FINALS, State


class Notice(Carried, frozen=True):
    """One thing that happened, as an account learns of it.

    `id` follows from what happened (`gateway.domain.ids.derived_uuid` of subject and type), so a repeat has the same
    id. `subject_id` is the message or reply; it is the record's key, so notices of one subject keep their order. `at`
    is milliseconds since the epoch, UTC. `data` is the JSON that the account sees, in the words of the API.
    `endpoint_id` names the one webhook endpoint to tell, None every one that is subscribed to `type`. `origin` is
    the message's, opaque to all but `gateway.smppd`.
    """

    id: UUID
    account_id: str
    type: str
    at: int
    subject_id: UUID
    data: dict[str, Any]
    endpoint_id: str | None = None
    origin: str | None = None


ANY_TYPE = "*"
TEST_TYPE = "webhook.test"
"""Sent on request to one endpoint, whatever it is subscribed to."""
DISABLED_TYPE = "webhook.disabled"
SUBMITTED_TYPE = "message.submitted"
INBOUND_TYPE = "inbound.received"

MESSAGE_TYPE_BY_STATE = {
    state.value: f"message.{state}" for state in State if state is State.SUBMITTED or state in FINALS
}
"""The states of a message that its account is told of."""

TYPES = (
    *MESSAGE_TYPE_BY_STATE.values(),
    INBOUND_TYPE,
    "optout.created",
    "campaign.completed",
    "carrier.state_changed",
    DISABLED_TYPE,
)
"""What an endpoint can be subscribed to, beside `*`."""


class MessageFacts(NamedTuple):
    """What a notice tells of a message, as it is stored. `metadata` is anything that the encoder writes as JSON."""

    id: UUID
    account_id: str
    message_class: str
    channel: str
    recipient: str
    sender: str
    encoding: str
    segment_count: int
    client_ref: str | None
    batch_id: UUID | None
    metadata: Any
    accepted_at: int
    webhook_id: str | None
    origin: str | None
    state: str
    partial: bool
    carrier: str | None
    attempt: int
    submitted_at: int | None
    final_at: int | None
    error: str


def message_notice(facts: MessageFacts, state: str) -> Notice:
    """Return the notice that a message reached a state: the one it has, or `submitted` that it passed through."""
    event_type = MESSAGE_TYPE_BY_STATE[state]
    # In a batch of events a message may be final before anybody was told that it was submitted.
    is_final = state != State.SUBMITTED
    at = facts.final_at if is_final else facts.submitted_at
    return Notice(
        derived_uuid(facts.id, event_type),
        facts.account_id,
        event_type,
        facts.accepted_at if at is None else at,
        facts.id,
        {
            "id": format_id("msg", facts.id),
            "status": state,
            "to": "+" + facts.recipient,
            "from": facts.sender,
            "channel": facts.channel,
            "class": facts.message_class,
            "encoding": facts.encoding,
            "segments": facts.segment_count,
            "partial": facts.partial and is_final,
            "carrier": facts.carrier,
            "attempts": facts.attempt,
            "client_ref": facts.client_ref,
            "batch_id": None if facts.batch_id is None else format_id("bat", facts.batch_id),
            "error": (facts.error or None) if is_final else None,
            "created_at": rfc3339(facts.accepted_at),
            "submitted_at": None if facts.submitted_at is None else rfc3339(facts.submitted_at),
            "final_at": rfc3339(facts.final_at) if is_final and facts.final_at is not None else None,
            "metadata": facts.metadata,
        },
        facts.webhook_id,
        facts.origin,
    )


def event_json(event_id: UUID, event_type: str, at: int, data: Any) -> dict[str, Any]:
    """Return an event as a webhook carries it ; the body of a POST of one event."""
    return {"id": format_id("evt", event_id), "type": event_type, "timestamp": rfc3339(at), "data": data}
