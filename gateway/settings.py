"""One frozen settings tree: TOML file, overridden by CAUDAL_* variables, unknown keys refused by name and line.

Read once by `gateway.cli`; features get plain values from `gateway.runtime.wiring`. Nested keys are reached from the
environment with a double underscore (`CAUDAL_API__PORT=8081`). Secrets are given in the file, by `*_file`, or by
`*_env`.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.domain.message import MessageClass
from throttling.rates import Rate

ENV_PREFIX = "CAUDAL_"
# Variables with our prefix that are no settings: the path of the file, and switches of the test suite.
_OTHER_VARIABLES = frozenset({"CAUDAL_CONFIG"})
_TEST_PREFIX = "CAUDAL_TEST_"
CARRIER_ID = r"^[a-z][a-z0-9_-]{0,31}$"


class SettingsError(Exception):
    """The configuration cannot be used; the text names file, line, key and limit."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_rate(text: str) -> str:
    Rate.parse(text)
    return text


RateText = Annotated[str, AfterValidator(_check_rate)]


class ApiSettings(_Section):
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


class AdminSettings(_Section):
    host: str = Field("127.0.0.1", description="Address of the admin ports.")
    port: int = Field(
        8090,
        ge=0,
        le=65535,
        description="First admin port (supervisor); the roles take the next ones. 0: free ones.",
    )


class SecuritySettings(_Section):
    pepper: str = Field("", repr=False, description="Key of the HMAC that API keys are stored under.")
    pepper_file: Path | None = Field(
        None,
        description="File with the pepper; default is `pepper` in the state directory, made at first start.",
    )


class SimulatorSettings(_Section):
    enabled: bool = Field(False, description="Start the bundled SMSC simulator beside the roles.")
    smpp_port: int = Field(2775, ge=0, le=65535, description="Its SMPP port; 0 takes a free one.")
    http_port: int = Field(8099, ge=0, le=65535, description="Port of its HTTP API; 0 takes a free one.")
    receipt_delay: str = Field(
        "300ms", description="Delay of its receipts, as `loadtest smsc --receipt-delay`."
    )
    latency: str = Field("2ms", description="Delay of its submit responses, as `loadtest smsc --latency`.")
    arguments: tuple[str, ...] = Field((), description="More command line options for `loadtest smsc`.")


class TlsSettings(_Section):
    enabled: bool = Field(False, description="Speak TLS to the carrier.")
    server_name: str | None = Field(None, description="Name expected in the carrier's certificate.")
    ca_file: Path | None = Field(None, description="CA certificates to trust instead of the system's.")
    certificate_file: Path | None = Field(None, description="Client certificate.")
    key_file: Path | None = Field(None, description="Private key of the client certificate.")


class AddressingSettings(_Section):
    ton: int = Field(ge=0, le=6, description="Type of number.")
    npi: int = Field(ge=0, le=18, description="Numbering plan indicator.")


class ProfileSettings(_Section):
    """How a carrier's dialect differs from the standard; data only, no code by carrier."""

    default_alphabet: Literal["gsm7", "latin1", "ascii"] = Field(
        "gsm7", description="Meaning of data_coding 0."
    )
    interface_version: int = Field(0x34, ge=0x33, le=0x50, description="interface_version of the bind.")
    system_type: str = Field("", max_length=12, description="system_type of the bind.")
    service_type: str = Field("", max_length=5, description="service_type of submits.")
    short_code: AddressingSettings = Field(
        AddressingSettings(ton=3, npi=0), description="Addressing of short code senders."
    )
    long_number: AddressingSettings = Field(
        AddressingSettings(ton=1, npi=1), description="Addressing of long number senders."
    )
    alphanumeric: AddressingSettings = Field(
        AddressingSettings(ton=5, npi=0), description="Addressing of alphanumeric senders."
    )
    receipt_id_format: Literal["string", "decimal", "hex", "resp_hex_receipt_dec", "resp_dec_receipt_hex"] = (
        Field("string", description="How ids of submit responses and receipts are written.")
    )
    response_timeout_s: float = Field(20.0, gt=0, le=300, description="Wait for a submit response.")
    enquire_link_s: float = Field(30.0, gt=0, le=3600, description="Silence after which the link is probed.")
    bind_timeout_s: float = Field(10.0, gt=0, le=120, description="Wait for connect and bind response.")


class CarrierSettings(_Section):
    protocol: Literal["smpp"] = Field("smpp", description="How the carrier is spoken to.")
    host: str = Field(description="Host name or address of the carrier.")
    port: int = Field(ge=0, le=65535, description="Port of the carrier.")
    system_id: str = Field(max_length=15, description="Login name given by the carrier (SMPP 3.4 §5.2.1).")
    password: str = Field(
        "", max_length=8, repr=False, description="Password, at most 8 octets (SMPP 3.4 §5.2.2)."
    )
    password_file: Path | None = Field(None, description="File that holds the password.")
    password_env: str | None = Field(None, description="Environment variable that holds the password.")
    rate: RateText = Field("10/s", description="Segments per second the carrier sold, over all binds.")
    burst: int | None = Field(
        None, ge=0, le=10_000, description="Segments above the rate in any second; default 2 % of the rate."
    )
    binds: int = Field(1, ge=1, le=32, description="Sessions to open.")
    bind_type: Literal["transceiver", "transmitter_receiver"] = Field(
        "transceiver", description="One TRX session a bind, or a TX and an RX pair."
    )
    bind_rate: RateText | None = Field(
        None, description="Segments per second of one bind, where the carrier limits it."
    )
    window: int = Field(10, ge=1, le=1000, description="Unanswered submits on one bind.")
    tls: TlsSettings = Field(TlsSettings(), description="TLS towards the carrier.")
    profile: ProfileSettings = Field(ProfileSettings(), description="The carrier's dialect.")

    @model_validator(mode="after")
    def _one_password(self) -> "CarrierSettings":
        given = [name for name in ("password", "password_file", "password_env") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"give the password once, not by {' and '.join(given)}")
        return self

    def resolved_password(self) -> str:
        """Return the password from wherever it is kept; SettingsError when it is missing or too long."""
        if self.password_file is not None:
            return _limited(_read_secret(self.password_file), 8, f"password in {self.password_file}")
        if self.password_env is not None:
            value = os.environ.get(self.password_env)
            if value is None:
                raise SettingsError(f"the variable {self.password_env} (password_env) is not set")
            return _limited(value, 8, f"password in ${self.password_env}")
        return self.password


class RouteSettings(_Section):
    """One rule; the first that fits names the carriers to try, in order."""

    carriers: tuple[str, ...] = Field(min_length=1, max_length=10, description="Carriers to try, best first.")
    prefix: str = Field(
        "", pattern=r"^\d{0,15}$", description="First digits of the recipient; empty fits all."
    )
    message_class: MessageClass | None = Field(None, alias="class", description="Only this class.")
    account: str | None = Field(None, description="Only this account.")
    sender: str | None = Field(None, description="Only this sender.")
    weight: int = Field(1, ge=1, le=1000, description="Share among rules that fit equally well.")


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
    simulator: SimulatorSettings = Field(SimulatorSettings(), description="The bundled carrier.")
    carriers: dict[str, CarrierSettings] = Field({}, description="Carriers by id.")
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
        for index, route in enumerate(self.routes):
            for carrier in route.carriers:
                if carrier not in self.carriers:
                    raise ValueError(
                        f"routes[{index}] names the carrier {carrier!r}, which is not configured"
                    )
        return self

    def admin_port(self, index: int) -> int:
        """Return the admin port of the process with that index (0 is the supervisor); 0 means a free one."""
        return self.admin.port + index if self.admin.port else 0


DEMO_CARRIER = "simulator"
# A thousand a second: enough to feel fast, low enough to see the rate being kept.
DEMO: Mapping[str, Any] = {
    "simulator": {"enabled": True},
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


def load_settings(path: Path | None = None) -> tuple[Settings, str]:
    """Return the settings and where they came from; SettingsError says what to mend.

    Without a path: $CAUDAL_CONFIG, then `caudal.toml` here, then the embedded demo with the simulator as carrier.
    """
    _refuse_unknown_variables()
    if path is None and (named := os.environ.get("CAUDAL_CONFIG")):
        path = Path(named)
    if path is None and Path("caudal.toml").is_file():
        path = Path("caudal.toml")
    if path is None:
        return _build(dict(DEMO), text="", source="demo"), "demo"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"cannot read the configuration {path}: {error.strerror}") from None
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    return _build(tree, text=text, source=str(path)), str(path)


def check_exposure(settings: Settings) -> list[str]:
    """Return a warning for each listener that is open to other machines."""
    warnings = []
    for name, host in (("api", settings.api.host), ("admin", settings.admin.host)):
        try:
            open_to_others = not ip_address(host).is_loopback
        except ValueError:
            open_to_others = host != "localhost"
        if open_to_others and name == "admin":
            warnings.append(f"admin.host {host} is reachable from other machines and has no authentication")
    return warnings


def _build(tree: dict[str, Any], *, text: str, source: str) -> Settings:
    try:
        return Settings(**tree)
    except ValidationError as error:
        lines = [_explain(dict(one), text=text, source=source) for one in error.errors()]
        raise SettingsError("\n".join(lines)) from None


def _explain(error: dict[str, Any], *, text: str, source: str) -> str:
    path = tuple(str(part) for part in error["loc"])
    line = line_of(text, path)
    where = f"{source}:{line}" if line else source
    key = ".".join(path) or "settings"
    if error["type"] == "extra_forbidden":
        return f"{where}: unknown key {key!r}"
    if error["type"] == "missing":
        return f"{where}: {key} is missing"
    given = error.get("input")
    # A whole table is never shown: it may hold a secret.
    hidden = isinstance(given, dict | list) or "password" in key or "pepper" in key
    shown = "" if hidden else f" (got {str(given)[:80]!r})"
    return f"{where}: {key}: {error['msg'].removeprefix('Value error, ')}{shown}"


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """Return the line (from 1) where the deepest found part of a dotted key stands in a TOML text."""
    best: tuple[int, int] | None = None
    table: tuple[str, ...] = ()
    seen: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if header := re.match(r"^(\[\[?)\s*([^\]]+?)\s*\]", stripped):
            table = tuple(part.strip().strip("\"'") for part in header[2].split("."))
            if header[1] == "[[":
                seen[table] = seen.get(table, -1) + 1
                table = (*table, str(seen[table]))
            here = table
        elif found := re.match(r"^([A-Za-z0-9_.\"'-]+)\s*=", stripped):
            here = (*table, *(part.strip("\"'") for part in found[1].split(".")))
        else:
            continue
        depth = len(here)
        if here == path[:depth] and (best is None or depth > best[0]):
            best = (depth, number)
    return best[1] if best else None


def _refuse_unknown_variables() -> None:
    for name in sorted(os.environ):
        if not name.startswith(ENV_PREFIX) or name in _OTHER_VARIABLES or name.startswith(_TEST_PREFIX):
            continue
        key = name[len(ENV_PREFIX) :].lower().split("__", maxsplit=1)[0]
        if key not in Settings.model_fields:
            raise SettingsError(
                f"the variable {name} is no setting; known first parts: {', '.join(Settings.model_fields)}"
            )


def _read_secret(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"cannot read the secret {path}: {error.strerror}") from None


def _limited(value: str, limit: int, what: str) -> str:
    if len(value) > limit:
        raise SettingsError(f"{what} has {len(value)} octets, the limit is {limit}")
    return value
