"""One frozen settings tree: TOML file, overridden by CAUDAL_* variables, unknown keys refused by name and line.

Read once by `gateway.cli`; features get plain values from `gateway.runtime.wiring`. Nested keys are reached from the
environment with a double underscore (`CAUDAL_API__PORT=8081`). Secrets are given in the file, by `*_file`, or by
`*_env`.
"""

from gateway.settings.base import RateText, Section, SettingsError
from gateway.settings.breaker import BreakerSettings
from gateway.settings.bus import BusSettings, PartitionSettings
from gateway.settings.callbacks import (
    CallbackAuthSettings,
    CallbackBasicSettings,
    CallbackHmacSettings,
    CallbackKindSettings,
    CallbackReceiptSettings,
    CallbackReplySettings,
    CallbackSecretSettings,
    CallbackSettings,
    CallbackTokenSettings,
    CallbackWhenSettings,
)
from gateway.settings.carriers import CarrierCommon, CarrierSettings, TlsFileSettings, TlsSettings
from gateway.settings.http_carriers import (
    HttpAuthSettings,
    HttpBulkSettings,
    HttpCarrierSettings,
    HttpRequestSettings,
    HttpResponseSettings,
    HttpRuleSettings,
    HttpTimeoutSettings,
)
from gateway.settings.inbound import InboundSettings
from gateway.settings.kafka import KafkaSettings
from gateway.settings.lanes import (
    HttpRetrySettings,
    LaneSettings,
    RetrySettings,
    ScheduleSettings,
    StatusScheduleSettings,
    WeightSettings,
    duration_ms,
)
from gateway.settings.loading import check_exposure, line_of, load_settings, place_of
from gateway.settings.media import MediaSettings
from gateway.settings.profile import (
    AddressingSettings,
    ProfileSettings,
    StatusReaction,
    TimingSettings,
    status_code,
)
from gateway.settings.reports import ReportSettings
from gateway.settings.smpp_server import SmppServerSettings, SmppServerTlsSettings
from gateway.settings.tracing import TracingSettings
from gateway.settings.tree import (
    DEMO,
    DEMO_CARRIER,
    AdminSettings,
    AnyCarrier,
    ApiSettings,
    RouteSettings,
    SecuritySettings,
    Settings,
    SimulatorSettings,
)
from gateway.settings.webhooks import WebhookSettings
from gateway.settings.whatsapp import WhatsAppCarrierSettings, WhatsAppTemplateSettings

__all__ = [
    "DEMO",
    "DEMO_CARRIER",
    "AddressingSettings",
    "AdminSettings",
    "AnyCarrier",
    "ApiSettings",
    "BreakerSettings",
    "BusSettings",
    "CallbackAuthSettings",
    "CallbackBasicSettings",
    "CallbackHmacSettings",
    "CallbackKindSettings",
    "CallbackReceiptSettings",
    "CallbackReplySettings",
    "CallbackSecretSettings",
    "CallbackSettings",
    "CallbackTokenSettings",
    "CallbackWhenSettings",
    "CarrierCommon",
    "CarrierSettings",
    "HttpAuthSettings",
    "HttpBulkSettings",
    "HttpCarrierSettings",
    "HttpRequestSettings",
    "HttpResponseSettings",
    "HttpRetrySettings",
    "HttpRuleSettings",
    "HttpTimeoutSettings",
    "InboundSettings",
    "KafkaSettings",
    "LaneSettings",
    "MediaSettings",
    "PartitionSettings",
    "ProfileSettings",
    "RateText",
    "ReportSettings",
    "RetrySettings",
    "RouteSettings",
    "ScheduleSettings",
    "Section",
    "SecuritySettings",
    "Settings",
    "SettingsError",
    "SimulatorSettings",
    "SmppServerSettings",
    "SmppServerTlsSettings",
    "StatusReaction",
    "StatusScheduleSettings",
    "TimingSettings",
    "TlsFileSettings",
    "TlsSettings",
    "TracingSettings",
    "WebhookSettings",
    "WeightSettings",
    "WhatsAppCarrierSettings",
    "WhatsAppTemplateSettings",
    "check_exposure",
    "duration_ms",
    "line_of",
    "load_settings",
    "place_of",
    "status_code",
]
