"""Names of the topics, and which group reads which."""

from functools import lru_cache

from gateway.domain.message import CLASSES, MessageClass

EVENTS = "events"
RECEIPTS = "receipts"
MO = "mo"
WEBHOOKS = "webhook.due"
ESME = "esme.due"
CHANNELS = "channel.watch"

RECORDER_GROUP = "recorder"
DLR_GROUP = "dlr"
INBOUND_GROUP = "inbound"
WEBHOOK_GROUP = "webhooks"
ESME_GROUP = "smppd"
CHANNELS_GROUP = "channels"


@lru_cache(maxsize=4_096)
def lane(carrier: str, message_class: MessageClass) -> str:
    """Return the topic of one carrier's lane of one class."""
    return f"lane.{carrier}.{message_class}"


def lanes(carrier: str) -> tuple[str, ...]:
    """Return the lane topics of a carrier, highest priority first."""
    return tuple(lane(carrier, message_class) for message_class in CLASSES)


def lane_group(carrier: str) -> str:
    """Return the group that drains a carrier's lanes."""
    return f"dispatch.{carrier}"
