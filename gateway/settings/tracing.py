"""`[tracing]`: spans of some messages, sent to a collector by OTLP over HTTP; deploy/docs/tracing.md."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from gateway.settings.base import Section, SettingsError, read_secret


class TracingSettings(Section):
    """Whether messages are traced, which, and where their spans go."""

    enabled: bool = Field(False, description="Trace some messages through all processes.")
    endpoint: str = Field(
        "http://127.0.0.1:4318/v1/traces", description="OTLP/HTTP address of the collector, with its path."
    )
    sample_ratio: float = Field(
        0.01,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Share of the messages traced whose caller sends no `traceparent`; one that does decides itself.",
    )
    max_per_s: int = Field(
        100,
        ge=0,
        le=100_000,
        description="Most messages and traced requests a second in one process, whatever callers ask for.",
    )
    service_name: str = Field(
        "caudal", min_length=1, max_length=255, description="`service.name` of our spans."
    )
    headers: dict[str, str] = Field(
        {}, repr=False, description="Headers of each request to the collector: often a key."
    )
    headers_file: Path | None = Field(
        None, description="File that holds the headers instead, one `name: value` a line."
    )
    headers_env: str | None = Field(
        None, description="Environment variable that holds the headers instead, one `name: value` a line."
    )
    timeout_s: float = Field(
        10.0,
        gt=0,
        le=60,
        description="Longest time for sending one batch, tries that failed included; then it is dropped.",
    )
    queue_spans: int = Field(
        4_096, ge=1, le=1_000_000, description="Spans that may wait in one process; more are dropped."
    )
    shutdown_s: float = Field(
        2.0, ge=0, le=30, description="Time for sending what waits when a process stops."
    )

    @field_validator("endpoint")
    @classmethod
    def _url(cls, endpoint: str) -> str:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an http:// or https:// address is needed, with its path: mostly /v1/traces")
        return endpoint

    @model_validator(mode="after")
    def _headers_once(self) -> "TracingSettings":
        given = [name for name in ("headers", "headers_file", "headers_env") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"give the headers once, not by {' and '.join(given)}")
        return self

    def resolved_headers(self) -> dict[str, str]:
        """Return the headers from wherever they are kept; SettingsError when they are missing or unreadable."""
        if self.headers_file is not None:
            return _parse(read_secret(self.headers_file), f"the file {self.headers_file}")
        if self.headers_env is not None:
            value = os.environ.get(self.headers_env)
            if value is None:
                raise SettingsError(f"the variable {self.headers_env} (tracing.headers_env) is not set")
            return _parse(value, f"the variable {self.headers_env}")
        return self.headers


def _parse(text: str, where: str) -> dict[str, str]:
    headers = {}
    for number, line in enumerate(text.splitlines(), start=1):
        name, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon or not name.strip():
            # The line is not shown: it may be the secret itself.
            raise SettingsError(f"{where}: line {number} is no header; write `name: value`")
        headers[name.strip()] = value.strip()
    return headers
