"""The whole settings tree but the carriers: one frozen pydantic-settings model."""

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.domain.message import MessageClass
from gateway.settings.base import Section
from gateway.settings.bus import BusSettings
from gateway.settings.carriers import CarrierSettings
from gateway.settings.http_carriers import HttpCarrierSettings
from gateway.settings.inbound import InboundSettings
from gateway.settings.kafka import KafkaSettings
from gateway.settings.media import MediaSettings
from gateway.settings.reports import ReportSettings
from gateway.settings.smpp_server import SmppServerSettings
from gateway.settings.tracing import TracingSettings
from gateway.settings.webhooks import WebhookSettings
from gateway.settings.whatsapp import WhatsAppCarrierSettings

ENV_PREFIX = "CAUDAL_"
UNKNOWN_PROTOCOL = "unknown_protocol"
CARRIER_ID = r"^[a-z][a-z0-9_-]{0,31}$"


def _protocol_of(carrier: Any) -> str:
    """Return which kind of settings the table of a carrier is; a table that says nothing is SMPP."""
    found = (
        carrier.get("protocol", "smpp") if isinstance(carrier, Mapping) else getattr(carrier, "protocol", "")
    )
    return str(found)


AnyCarrier = Annotated[
    Annotated[CarrierSettings, Tag("smpp")]
    | Annotated[HttpCarrierSettings, Tag("http")]
    | Annotated[WhatsAppCarrierSettings, Tag("whatsapp")],
    Discriminator(
        _protocol_of,
        custom_error_type=UNKNOWN_PROTOCOL,
        custom_error_message="no protocol known here; write smpp, http or whatsapp",
    ),
]
"""A carrier of whatever protocol."""


class ApiSettings(Section):
    host: str = Field("127.0.0.1", description="Address the API listens on.")
    port: int = Field(8080, ge=0, le=65535, description="Port of the API; 0 takes a free one.")
    max_body_octets: int = Field(10 * 1024 * 1024, ge=1024, description="Largest request body; above it 413.")
    max_batch_messages: int = Field(
        10_000, ge=1, le=100_000, description="Most messages in one batch request."
    )
    linger_ms: float = Field(
        3.0, ge=0, le=1000, description="How long an accept waits for neighbours to share a commit."
    )
    max_pending_messages: int = Field(
        50_000, ge=1, description="Accepts waiting for their commit; above it 503 with Retry-After."
    )
    drain_delay_s: float = Field(
        0.0,
        ge=0,
        le=120,
        description="Wait between turning unready and closing, for a load balancer to notice.",
    )
    max_lane_messages: int = Field(
        5_000_000, ge=1, description="Messages waiting in one lane; above it new ones for it get 503."
    )


class AdminSettings(Section):
    host: str = Field("127.0.0.1", description="Address of the admin ports.")
    port: int = Field(
        8090,
        ge=0,
        le=65535,
        description="First admin port (supervisor); the roles take the next ones. 0: free ones.",
    )


class SecuritySettings(Section):
    pepper: str = Field("", repr=False, description="Key of the HMAC that API keys are stored under.")
    pepper_file: Path | None = Field(
        None,
        description="File with the pepper; default is `pepper` in the state directory, made at first start.",
    )


class SimulatorSettings(Section):
    enabled: bool = Field(False, description="Start the bundled SMSC simulator beside the roles.")
    smpp_port: int = Field(2775, ge=0, le=65535, description="Its SMPP port; 0 takes a free one.")
    http_port: int = Field(8099, ge=0, le=65535, description="Port of its HTTP API; 0 takes a free one.")
    receipt_delay: str = Field(
        "300ms", description="Delay of its receipts, as `loadtest smsc --receipt-delay`."
    )
    latency: str = Field("2ms", description="Delay of its submit responses, as `loadtest smsc --latency`.")
    arguments: tuple[str, ...] = Field((), description="More command line options for `loadtest smsc`.")


class RouteSettings(Section):
    """One rule; the first that fits names the carriers to try, in order."""

    carriers: tuple[str, ...] = Field(min_length=1, max_length=10, description="Carriers to try, best first.")
    prefix: str = Field(
        "", pattern=r"^\d{0,15}$", description="First digits of the recipient; empty fits all."
    )
    message_class: MessageClass | None = Field(None, alias="class", description="Only this class.")
    account: str | None = Field(None, description="Only this account.")
    sender: str | None = Field(None, description="Only this sender.")
    weight: int = Field(
        1, ge=1, le=1000, description="Share among rules with the same conditions and the same cost."
    )
    cost: Decimal | None = Field(
        None,
        ge=0,
        max_digits=12,
        decimal_places=8,
        allow_inf_nan=False,
        description="Price of a segment, in any one unit; among rules with the same conditions the cheaper comes "
        "first, and one without a cost last.",
    )


class Settings(BaseSettings):
    """The whole tree."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=ENV_PREFIX, env_nested_delimiter="__", validate_default=True
    )

    state_dir: Path = Field(Path("var"), description="Where the embedded database and secrets live.")
    database_url: str | None = Field(
        None, repr=False, description="PostgreSQL to use; without it one is started in the state directory."
    )
    postgres_bin: Path | None = Field(
        None, description="Folder with initdb and postgres, if not the bundled ones."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged.")
    drain_s: float = Field(10.0, ge=0, le=300, description="Longest wait for open submits at a stop.")
    retention_days: int = Field(30, ge=1, le=3650, description="Days a message and its timeline are kept.")
    api: ApiSettings = Field(ApiSettings(), description="The HTTP API.")
    admin: AdminSettings = Field(AdminSettings(), description="Metrics and health.")
    security: SecuritySettings = Field(SecuritySettings(), description="Keys.")
    bus: BusSettings = Field(BusSettings(), description="The topics that all processes share.")
    kafka: KafkaSettings = Field(KafkaSettings(), description="The bus on Kafka.")
    simulator: SimulatorSettings = Field(SimulatorSettings(), description="The bundled carrier.")
    inbound: InboundSettings = Field(InboundSettings(), description="Mobile-originated messages.")
    smpp_server: SmppServerSettings = Field(
        SmppServerSettings(), description="The port that customers' ESMEs bind to."
    )
    webhooks: WebhookSettings = Field(WebhookSettings(), description="Events posted to accounts.")
    media: MediaSettings = Field(MediaSettings(), description="Files that accounts give us to send.")
    reports: ReportSettings = Field(ReportSettings(), description="Daily, weekly and monthly reports.")
    tracing: TracingSettings = Field(TracingSettings(), description="Traces of messages.")
    carriers: dict[str, AnyCarrier] = Field({}, description="Carriers by id.")
    routes: tuple[RouteSettings, ...] = Field((), description="Routing rules, first fit first.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment override the file."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        for carrier in self.carriers:
            if not re.match(CARRIER_ID, carrier):
                raise ValueError(f"carrier id {carrier!r}: lower-case letters, digits, _ and -, at most 32")
        numbers: dict[str, str] = {}
        for name, one in self.carriers.items():
            if isinstance(one, WhatsAppCarrierSettings):
                other = numbers.setdefault(one.phone_number_id, name)
                if other != name:
                    raise ValueError(
                        f"carriers.{name}.phone_number_id {one.phone_number_id} is that of {other} already"
                    )
        for index, route in enumerate(self.routes):
            for carrier in route.carriers:
                if carrier not in self.carriers:
                    raise ValueError(
                        f"routes[{index}] names the carrier {carrier!r}, which is not configured"
                    )
        return self

    @property
    def smpp_carriers(self) -> dict[str, CarrierSettings]:
        """The carriers that are spoken to by SMPP."""
        return {name: one for name, one in self.carriers.items() if isinstance(one, CarrierSettings)}

    def admin_port(self, index: int) -> int:
        """Return the admin port of the process with that index (0 is the supervisor); 0 means a free one."""
        return self.admin.port + index if self.admin.port else 0


DEMO_CARRIER = "simulator"
# Two thousand a second: enough to feel fast, low enough to see the rate being kept.
DEMO: Mapping[str, Any] = {
    "simulator": {"enabled": True},
    # Whoever tries webhooks has a receiver on this machine.
    "webhooks": {"allow_loopback": True},
    "carriers": {
        DEMO_CARRIER: {
            "host": "127.0.0.1",
            "port": 2775,
            "system_id": "caudal",
            "password": "demo",
            "rate": "2000/s",
            "binds": 2,
            "window": 100,
        }
    },
}
