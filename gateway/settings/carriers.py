"""`[carriers.<id>]`: where a carrier is, who we are to it, what it sold. Its dialect is `profile`.

`examples` of a field are TOML values: deploy/docs/carriers.md shows them, and a test loads every one.
"""

import os
from datetime import date
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from gateway.domain.message import Channel
from gateway.settings.base import Printable, RateText, Section, SettingsError, check_printable, read_secret
from gateway.settings.breaker import BreakerSettings
from gateway.settings.lanes import LaneSettings, RetrySettings
from gateway.settings.profile import ProfileSettings

_MAX_PASSWORD_OCTETS = 8  # SMPP 3.4 §5.2.2


class TlsFileSettings(Section):
    """What TLS towards a carrier is made of, at least version 1.2."""

    server_name: str | None = Field(
        None,
        description="Name expected in the carrier's certificate; default is the host.",
        examples=['"smpp.telco-a.example"'],
    )
    ca_file: Path | None = Field(
        None,
        description="CA certificates (PEM) to trust instead of the system's.",
        examples=['"/etc/caudal/telco-a-ca.pem"'],
    )
    certificate_file: Path | None = Field(
        None,
        description="Client certificate (PEM), where the carrier asks for one.",
        examples=['"/etc/caudal/client.pem"'],
    )
    key_file: Path | None = Field(
        None,
        description="Private key of the client certificate (PEM, without passphrase); "
        "default is the key in `certificate_file`.",
        examples=['"/etc/caudal/client.key"'],
    )
    verify: bool = Field(
        True,
        description="Check the carrier's certificate and name. `false` is for test benches: "
        "whoever answers gets the password and every message.",
        examples=["true"],
    )

    @field_validator("key_file")
    @classmethod
    def _with_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("certificate_file") is None:
            raise ValueError("a key is of use only with certificate_file")
        return value


class TlsSettings(TlsFileSettings):
    """TLS towards an SMPP carrier."""

    enabled: bool = Field(False, description="Speak TLS to the carrier.", examples=["true"])


class CarrierCommon(Section):
    """What every carrier has, whatever it speaks: what it sold, and how dispatch drives it."""

    rate: RateText = Field(
        "10/s",
        description="Segments per second the carrier sold, over all binds.",
        examples=['"100/s"'],
        json_schema_extra={"limits": "with unit: `100/s`, `6000/min`"},
    )
    burst: int | None = Field(
        None,
        ge=0,
        le=10_000,
        description="Segments above the rate in any second; default 2 % of the rate.",
        examples=["2"],
    )
    binds: int = Field(1, ge=1, le=32, description="Sessions to open.", examples=["2"])
    shards: int = Field(
        1,
        ge=1,
        le=64,
        description="Parts that dispatch processes share the carrier in, each with its part of rate and binds; "
        "can grow, never shrink. At most `binds`, and best at most `burst`.",
        examples=["1"],
    )
    bind_rate: RateText | None = Field(
        None,
        description="Segments per second of one bind, where the carrier limits it.",
        examples=['"50/s"'],
        json_schema_extra={"limits": "with unit: `50/s`"},
    )
    window: int = Field(
        10,
        ge=1,
        le=1000,
        description="Unanswered submits on one bind; rate of a bind = window / response time.",
        examples=["50"],
    )
    credentials_expire: date | None = Field(
        None,
        description="Last day (UTC) on which the password, key or token that the carrier gave is good; "
        "an alert comes 14 days before. Certificates are looked at by themselves.",
        examples=["2027-03-31"],
        json_schema_extra={"limits": "a date, such as 2027-03-31"},
    )
    breaker: BreakerSettings = Field(
        BreakerSettings(), description="When a bind in trouble is left alone, and how it comes back."
    )
    lanes: LaneSettings = Field(LaneSettings(), description="How the class lanes share the rate.")

    @model_validator(mode="after")
    def _a_bind_for_each_shard(self) -> Self:
        if self.shards > self.binds:
            raise ValueError(f"{self.shards} shards share {self.binds} binds, each needs one of its own")
        return self


class CarrierSettings(CarrierCommon):
    """One SMPP carrier: where it is, who we are to it, what it sold, how it speaks."""

    protocol: Literal["smpp"] = Field(
        "smpp", description="How the carrier is spoken to.", examples=['"smpp"']
    )
    host: str = Field(
        min_length=1, description="Host name or address of the carrier.", examples=['"smpp.telco-a.example"']
    )
    port: int = Field(ge=0, le=65535, description="Port of the carrier.", examples=["2775"])
    system_id: Printable = Field(
        max_length=15, description="Login name given by the carrier (SMPP 3.4 §5.2.1).", examples=['"acme"']
    )
    password: Printable = Field(
        "",
        max_length=_MAX_PASSWORD_OCTETS,
        repr=False,
        description="Password, at most 8 octets (SMPP 3.4 §5.2.2).",
        examples=['"secret"'],
    )
    password_file: Path | None = Field(
        None, description="File that holds the password.", examples=['"/run/secrets/telco_a"']
    )
    password_env: str | None = Field(
        None, description="Environment variable that holds the password.", examples=['"TELCO_A_PASSWORD"']
    )
    bind_type: Literal["transceiver", "transmitter_receiver"] = Field(
        "transceiver",
        description="One TRX session a bind, or a TX and an RX pair.",
        examples=['"transmitter_receiver"'],
    )
    tls: TlsSettings = Field(TlsSettings(), description="TLS towards the carrier.")
    profile: ProfileSettings = Field(ProfileSettings(), description="The carrier's dialect.")
    retry: RetrySettings = Field(
        RetrySettings(), description="When a refused segment is tried again here, by class and by status."
    )

    @property
    def channel(self) -> Channel:
        """What the carrier's messages are: SMPP knows short messages only."""
        return Channel.SMS

    @model_validator(mode="after")
    def _one_password(self) -> "CarrierSettings":
        given = [name for name in ("password", "password_file", "password_env") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"give the password once, not by {' and '.join(given)}")
        return self

    def resolved_password(self) -> str:
        """Return the password from wherever it is kept; SettingsError when it is missing or too long."""
        if self.password_file is not None:
            return _limited(read_secret(self.password_file), f"password in {self.password_file}")
        if self.password_env is not None:
            value = os.environ.get(self.password_env)
            if value is None:
                raise SettingsError(f"the variable {self.password_env} (password_env) is not set")
            return _limited(value, f"password in ${self.password_env}")
        return self.password


def _limited(value: str, what: str) -> str:
    octets = len(value.encode())
    if octets > _MAX_PASSWORD_OCTETS:
        raise SettingsError(f"{what} has {octets} octets, the limit is {_MAX_PASSWORD_OCTETS}")
    try:
        return check_printable(value)
    except ValueError as error:
        raise SettingsError(f"{what}: {error}") from None
