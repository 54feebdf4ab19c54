"""`[smpp_server]`: the port that customers' ESMEs bind to. Who may bind is in the database: `caudal smpp credentials`."""

import re
import ssl
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from gateway.domain.message import MessageClass
from gateway.settings.base import Section

_SERVICE_TYPE = re.compile(r"[A-Za-z0-9_-]{1,5}")


class SmppServerTlsSettings(Section):
    """TLS on the port; every connection speaks it then."""

    enabled: bool = Field(False, description="Speak TLS, and nothing else, on the port.")
    certificate_file: Path | None = Field(None, description="Certificate chain of the server, PEM.")
    key_file: Path | None = Field(None, description="Its key, PEM; default is the certificate file.")
    client_ca_file: Path | None = Field(
        None,
        description="Ask every client for a certificate of this authority; without it none is asked for.",
    )

    @model_validator(mode="after")
    def _complete(self) -> "SmppServerTlsSettings":
        if self.enabled and self.certificate_file is None:
            raise ValueError("TLS needs certificate_file")
        return self

    def server_context(self) -> ssl.SSLContext | None:
        """Return the context of the port, None without TLS; raises OSError or ssl.SSLError for unusable files."""
        if not self.enabled or self.certificate_file is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate_file, self.key_file)
        if self.client_ca_file is not None:
            context.load_verify_locations(self.client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class SmppServerSettings(Section):
    """The SMPP server runs in the role `api`, with the same limits on what may enter."""

    enabled: bool = Field(False, description="Let customers' ESMEs bind to us.")
    host: str = Field("127.0.0.1", description="Address it listens on.")
    port: int = Field(2776, ge=0, le=65535, description="Its port; 0 takes a free one.")
    max_sessions: int = Field(
        1_000, ge=1, le=50_000, description="Connections at a time; more are closed at once."
    )
    session_init_s: float = Field(
        5.0, gt=0, le=300, description="A connection without a bind is closed after this."
    )
    enquire_link_s: float = Field(
        30.0, ge=0, le=3600, description="Silence after which a session is probed; 0 never probes."
    )
    inactivity_s: float = Field(
        0.0,
        ge=0,
        le=86_400,
        description="A session without submits or receipts is unbound after this; 0 never.",
    )
    response_s: float = Field(30.0, gt=0, le=300, description="Wait for the answer to a receipt.")
    receipt_window: int = Field(10, ge=1, le=1000, description="Unanswered receipts towards one session.")
    receipt_expiry_h: float = Field(
        48.0, gt=0, le=720, description="Hours that a receipt waits for its customer; then it is deleted."
    )
    parts_timeout_s: float = Field(
        300.0, ge=1, le=86_400, description="Wait for missing parts of a long message; then it is given up."
    )
    service_types: dict[str, MessageClass] = Field(
        {"OTP": MessageClass.OTP},
        description="Class by service_type of the submit; others have the class of the credential.",
    )
    tls: SmppServerTlsSettings = Field(SmppServerTlsSettings(), description="TLS on the port.")

    @field_validator("service_types")
    @classmethod
    def _service_types(cls, value: dict[str, MessageClass]) -> dict[str, MessageClass]:
        for name in value:
            if not _SERVICE_TYPE.fullmatch(name):
                raise ValueError(f"service_type {name[:40]!r}: 1 to 5 letters, digits, _ and -")
        return value
