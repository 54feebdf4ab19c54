"""TLS of carriers: from the settings to the files that links read, and what is wrong with them.

Used by `gateway.runtime.carriers` and `gateway.runtime.http_carriers`.
"""

from pathlib import Path

from adapters.tls import TlsSettings as TlsFiles
from gateway.settings import TlsFileSettings

_ENCRYPTED_KEY = b"ENCRYPTED"


def tls_files(tls: TlsFileSettings) -> TlsFiles:
    """Return what a link wants to know."""
    return TlsFiles(
        ca_file=_text(tls.ca_file),
        certificate_file=_text(tls.certificate_file),
        key_file=_text(tls.key_file),
        server_hostname=tls.server_name,
        is_verified=tls.verify,
    )


def tls_stamps(tls: TlsFileSettings) -> tuple[int, ...]:
    """Return when the files of TLS changed: a link reads them once, so new ones need a new link."""
    files = (tls.ca_file, tls.certificate_file, tls.key_file)
    return tuple([path.stat().st_mtime_ns for path in files if path is not None and path.exists()])


def tls_faults(tls: TlsFileSettings) -> list[tuple[str, str]]:
    """Return (key, what is wrong with it) of files that cannot be read or used."""
    faults = []
    for key in ("ca_file", "certificate_file", "key_file"):
        path: Path | None = getattr(tls, key)
        if path is None:
            continue
        try:
            octets = path.read_bytes()
        except OSError as error:
            faults.append((key, f"cannot read {path}: {error.strerror}"))
            continue
        if key != "ca_file" and _ENCRYPTED_KEY in octets:
            # It would be asked for on a terminal that nobody watches.
            faults.append((key, f"the key in {path} has a passphrase; give one without"))
    if faults or not (tls.ca_file or tls.certificate_file):
        return faults
    for key, files in (
        ("ca_file", TlsFiles(ca_file=_text(tls.ca_file))),
        ("certificate_file", tls_files(tls)),
    ):
        try:
            files.client_context()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = getattr(error, "reason", None) or error
            return [(key, f"not usable: {reason}")]
    return []


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
