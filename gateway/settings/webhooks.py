"""`[webhooks]`: where events of accounts may be posted, and how hard we try."""

import ipaddress

from pydantic import Field, field_validator

from gateway.settings.base import RateText, Section


class WebhookSettings(Section):
    """Limits of the delivery of events to endpoints of accounts."""

    allow_loopback: bool = Field(
        False, description="Let endpoints be on this machine, also by http; for trying things out."
    )
    allow_http: bool = Field(False, description="Let endpoints be reached without TLS.")
    allow_networks: tuple[str, ...] = Field(
        (), description="Networks (`10.1.0.0/16`) that endpoints may be in although they are not public."
    )
    timeout_s: float = Field(15.0, gt=0, le=60, description="Longest wait for the answer to a POST.")
    connect_timeout_s: float = Field(5.0, gt=0, le=60, description="Longest wait for a connection.")
    max_posts: int = Field(
        100,
        ge=2,
        le=10_000,
        description="POSTs in flight at a time, of all endpoints; half are for first attempts.",
    )
    direct_wait_s: float = Field(
        2.0,
        gt=0,
        le=60,
        description="Time that an event waits in memory for its slow endpoint; then it waits in the database.",
    )
    drain_rate: RateText = Field(
        "500/s", description="Events that one endpoint gets of those that waited in the database."
    )
    max_backlog: int = Field(
        1_000_000,
        ge=1,
        description="Events that may wait for one endpoint; more are given up at once, and can be replayed.",
    )
    disable_after_h: float = Field(
        72.0,
        gt=0,
        le=8_760,
        description="Hours without any success after which an endpoint that costs events is disabled.",
    )

    @field_validator("allow_networks")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for one in networks:
            ipaddress.ip_network(one)  # ValueError says what is wrong
        return networks
