"""`[media]`: files that accounts give us to send."""

from pydantic import Field

from gateway.settings.base import Section


class MediaSettings(Section):
    max_account_octets: int = Field(
        1024 * 1024 * 1024,
        ge=1024 * 1024,
        description="How large the files of one account may be together; they are kept for 30 days.",
    )
