"""When passwords and certificates end, for the metric that an alert looks at. Used by `gateway.runtime.run_metrics`."""

import re
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from gateway.settings import AnyCarrier, CarrierSettings, Settings

PASSWORD = "password"  # noqa: S105 - a label value
CERTIFICATE = "certificate"

SMPP_SERVER = "smpp_server"
KAFKA = "kafka"

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_MAX_OCTETS = 1024 * 1024
_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18

Ends = dict[tuple[str, str], Callable[[], float]]
"""What asks for the Unix time in seconds at which something ends, by (owner, kind)."""


def credential_ends(settings: Settings, *, role: str) -> Ends:
    """Return what ends of that which this role holds: carriers' of dispatch, the SMPP server's of api, Kafka's of all."""
    found: Ends = {}
    if role == "dispatch":
        for name, carrier in settings.carriers.items():
            if carrier.credentials_expire is not None:
                end_s = _end_of(carrier.credentials_expire)
                found[name, PASSWORD] = lambda end_s=end_s: end_s  # type: ignore[misc]  # mypy: defaults of lambdas
            certificate = _client_certificate(carrier)
            if certificate is not None:
                found[name, CERTIFICATE] = CertificateEnd(certificate)
    server = settings.smpp_server
    if role == "api" and server.enabled and server.tls.enabled and server.tls.certificate_file is not None:
        found[SMPP_SERVER, CERTIFICATE] = CertificateEnd(server.tls.certificate_file)
    if settings.kafka.bootstrap is not None and settings.kafka.certificate_file is not None:
        found[KAFKA, CERTIFICATE] = CertificateEnd(settings.kafka.certificate_file)
    return found


def _client_certificate(carrier: AnyCarrier) -> Path | None:
    if isinstance(carrier, CarrierSettings) and not carrier.tls.enabled:
        return None
    return carrier.tls.certificate_file


def _end_of(day: date) -> float:
    return (datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)).timestamp()


class CertificateEnd:
    """When the first certificate of a PEM file to end does so; 0 for a file that cannot be read.

    Called at each scrape, in the thread that builds the page; the file is read again when it has changed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._end_s = 0.0

    def __call__(self) -> float:
        """Return the Unix time in seconds."""
        try:
            found = self._path.stat()
            stamp = found.st_mtime_ns, found.st_size
            if stamp != self._stamp:
                with self._path.open("rb") as file:
                    self._end_s = certificates_end_s(file.read(_MAX_OCTETS))
                self._stamp = stamp
        except (OSError, ValueError):
            self._stamp, self._end_s = None, 0.0
        return self._end_s


def certificates_end_s(pem: bytes) -> float:
    """Return when the first of the certificates in a PEM text ends; ValueError for what is none (RFC 5280 §4.1)."""
    ends = [_not_after(ssl.PEM_cert_to_DER_cert(text.decode("ascii"))) for text in _CERTIFICATE.findall(pem)]
    if not ends:
        raise ValueError("no certificate")
    return min(ends)


def _not_after(der: bytes) -> float:
    try:
        (certificate,) = _elements(der)
        signed = next(_elements(certificate[1]))
        fields = [element for element in _elements(signed[1]) if element[0] != _VERSION]
        # serial number, algorithm, issuer, validity
        _, (tag, text) = _elements(fields[3][1])
    except (IndexError, StopIteration, ValueError):
        raise ValueError("not a certificate") from None
    digits = text.decode("ascii").removesuffix("Z")
    if tag == _UTC_TIME:
        digits = ("19" if digits[:2] >= "50" else "20") + digits
    elif tag != _GENERALIZED_TIME:
        raise ValueError("not a certificate")
    return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (tag, content) of each element in order (X.690 §8.1); ValueError when one is cut short."""
    at = 0
    while at < len(der):
        tag, length = der[at], der[at + 1]
        at += 2
        if length & 0x80:
            octets = length & 0x7F
            length = int.from_bytes(der[at : at + octets], "big")
            at += octets
        if at + length > len(der):
            raise ValueError("cut short")
        yield tag, der[at : at + length]
        at += length
