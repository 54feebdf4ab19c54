"""One frozen settings tree: TOML file, overridden by CAUDAL_* variables, unknown keys refused by name and line.

Read once by `gateway.cli`; features get plain values from `gateway.runtime.wiring`. Nested keys are reached from the
environment with a double underscore (`CAUDAL_API__PORT=8081`). Secrets are given in the file, by `*_file`, or by
`*_env`.
"""

from gateway.settings.base import RateText, Section, SettingsError
from gateway.settings.carriers import CarrierSettings, TlsSettings
from gateway.settings.loading import check_exposure, line_of, load_settings, place_of
from gateway.settings.profile import (
    AddressingSettings,
    ProfileSettings,
    StatusReaction,
    TimingSettings,
    status_code,
)
from gateway.settings.tree import (
    DEMO,
    DEMO_CARRIER,
    AdminSettings,
    ApiSettings,
    RouteSettings,
    SecuritySettings,
    Settings,
    SimulatorSettings,
)

__all__ = [
    "DEMO",
    "DEMO_CARRIER",
    "AddressingSettings",
    "AdminSettings",
    "ApiSettings",
    "CarrierSettings",
    "ProfileSettings",
    "RateText",
    "RouteSettings",
    "Section",
    "SecuritySettings",
    "Settings",
    "SettingsError",
    "SimulatorSettings",
    "StatusReaction",
    "TimingSettings",
    "TlsSettings",
    "check_exposure",
    "line_of",
    "load_settings",
    "place_of",
    "status_code",
]
