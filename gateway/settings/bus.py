"""`[bus]`: how the topics that all processes share are cut into partitions; the same on both buses."""

from pydantic import Field

from gateway.settings.base import Section


class PartitionSettings(Section):
    """Partitions by topic: at most so many processes of the role `back` work on it at a time. They can only grow."""

    events: int = Field(1, ge=1, le=256, description="What happens to messages, for the recorder.")
    receipts: int = Field(1, ge=1, le=256, description="Carriers' delivery receipts.")
    mo: int = Field(1, ge=1, le=256, description="Mobile-originated messages.")
    webhooks: int = Field(1, ge=1, le=256, description="Events to post to accounts.")
    esme: int = Field(1, ge=1, le=256, description="Receipts for customers bound by SMPP.")
    channels: int = Field(1, ge=1, le=256, description="Messages whose next channel may fall due.")


class BusSettings(Section):
    """What holds for either bus."""

    partitions: PartitionSettings = Field(
        PartitionSettings(),
        description="Partitions of the shared topics. More are made at a start when no other process runs and nothing "
        "waits to be read; fewer than there are is refused.",
    )
