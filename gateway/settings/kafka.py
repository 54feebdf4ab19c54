"""`[kafka]`: the bus of a gateway on several hosts. Without `bootstrap` the bus is in PostgreSQL."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from gateway.settings.base import Section, SettingsError, read_secret


class KafkaSettings(Section):
    """Where the cluster is, who we are to it, how topics are made."""

    bootstrap: str | None = Field(
        None,
        description="Brokers to ask first, `host:port` with commas; without it the bus is in PostgreSQL.",
    )
    prefix: str = Field(
        "caudal.",
        pattern=r"^[a-zA-Z0-9._-]{0,32}$",
        description="What the names of our topics and groups begin with.",
    )
    replication: int = Field(1, ge=1, le=9, description="Replicas of each partition; 3 in production.")
    retention_days: int = Field(
        7, ge=1, le=365, description="Days that records are kept for a reader that is away."
    )
    compression: Literal["none", "gzip", "lz4", "zstd"] = Field(
        "zstd", description="How batches are compressed."
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How brokers are spoken to."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="How we log in, with a SASL protocol."
    )
    username: str | None = Field(None, description="Login name, with a SASL protocol.")
    password: str = Field("", repr=False, description="Password, with a SASL protocol.")
    password_file: Path | None = Field(None, description="File that holds the password.")
    password_env: str | None = Field(None, description="Environment variable that holds the password.")
    ca_file: Path | None = Field(None, description="CA certificates (PEM) to trust instead of the system's.")
    certificate_file: Path | None = Field(
        None, description="Client certificate (PEM), where brokers ask for one."
    )
    key_file: Path | None = Field(None, description="Private key of the client certificate (PEM).")

    @model_validator(mode="after")
    def _consistent(self) -> "KafkaSettings":
        given = [name for name in ("password", "password_file", "password_env") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"give the password once, not by {' and '.join(given)}")
        if self.bootstrap is not None and self.security_protocol.startswith("SASL") and not self.username:
            raise ValueError(f"security_protocol {self.security_protocol} needs username and a password")
        return self

    def resolved_password(self) -> str:
        """Return the password from wherever it is kept; SettingsError when it is missing."""
        if self.password_file is not None:
            return read_secret(self.password_file)
        if self.password_env is not None:
            value = os.environ.get(self.password_env)
            if value is None:
                raise SettingsError(f"the variable {self.password_env} (kafka.password_env) is not set")
            return value
        return self.password
