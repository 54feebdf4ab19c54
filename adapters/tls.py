"""TLS towards a carrier, whatever is spoken on top of it. Used by the links; made from the settings."""

import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """TLS towards a peer; `is_verified` False accepts any certificate and is for test benches."""

    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    server_hostname: str | None = None
    is_verified: bool = True

    def client_context(self) -> ssl.SSLContext:
        """Return a client context of at least TLS 1.2; raises OSError or ssl.SSLError for unusable files."""
        context = ssl.create_default_context(cafile=self.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate_file is not None:
            context.load_cert_chain(self.certificate_file, self.key_file)
        if not self.is_verified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
