"""`[inbound]`: mobile-originated messages, from segments to accounts."""

from pydantic import Field

from gateway.settings.base import Section


class InboundSettings(Section):
    """How long segments wait for each other, how many may, and how far back a reply reaches."""

    partial_timeout_s: float = Field(
        86_400.0,
        ge=1,
        le=604_800,
        description="Wait for the missing segments of a message; then it is given out with those that came.",
    )
    repeat_window_s: float = Field(
        3_600.0,
        ge=1,
        le=86_400,
        description="Time after a message in segments in which the same segments again are the carrier's repeat, "
        "not a new message.",
    )
    max_parts_per_sender: int = Field(
        1_020,
        ge=255,
        le=100_000,
        description="Segments of one sender that may wait; beyond it its oldest messages are given out incomplete.",
    )
    max_parts: int = Field(
        200_000,
        ge=255,
        le=10_000_000,
        description="Segments of all senders that may wait; beyond it the oldest messages are given out incomplete.",
    )
    reply_days: int = Field(
        7,
        ge=1,
        le=30,
        description="Days in which a message that comes in is taken as the answer to one that was sent.",
    )
