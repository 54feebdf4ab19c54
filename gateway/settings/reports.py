"""What reports are made from, and how long they are kept."""

from pydantic import Field

from gateway.settings.base import Section


class ReportSettings(Section):
    """Daily, weekly and monthly reports: messages counted by hour, which outlive the messages."""

    refresh_s: float = Field(
        60.0,
        ge=1,
        le=3600,
        description="Seconds after which the hour that runs is counted again, at the soonest.",
    )
    retention_days: int = Field(1100, ge=1, le=3650, description="Days that the counts are kept.")
    campaign_key: str = Field(
        "campaign",
        min_length=1,
        max_length=64,
        description="Key of a message's `metadata` whose value is its campaign in reports.",
    )
