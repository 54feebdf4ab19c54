"""Whether a call is the carrier's: a signature over the octets of its body, a shared token, basic, where it came from.

Used by the readers of callbacks. Pure: the time is that of the request. Secrets are compared in constant time, and an
answer never says which of the checks failed.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from gateway.ports.callbacks import CallbackFault, CallbackRequest

_MAX_SIGNATURES: Final = 8
_MAX_HOPS: Final = 32
_BEYOND_SECONDS: Final = 100_000_000_000
"""A timestamp above it counts milliseconds: as seconds it would be the year 5138."""

Network = IPv4Network | IPv6Network
Secrets = tuple[bytes, ...]
"""Every one of them is accepted, so that one can be replaced while the carrier still uses another."""

PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class HmacCheck:
    """A signature in a header: of what `signed` says, with {body} and, where the time is signed as well, {timestamp}.

    The header may hold several signatures with commas between them; those that begin with `prefix` count.
    """

    header: str
    secrets: Secrets = field(repr=False)
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    signed: str = "{body}"
    timestamp_header: str = ""
    tolerance_ms: int = 300_000

    def fault(self, request: CallbackRequest) -> CallbackFault | None:
        """Return what is wrong with the signature, None when it is right."""
        timestamp = request.headers.get(self.timestamp_header, "").strip() if self.timestamp_header else ""
        given = self._given(request.headers.get(self.header, ""))
        # All secrets and all signatures are looked at, whichever fits: the time says nothing.
        fits = False
        for secret in self.secrets:
            made = hmac.new(secret, self._octets(request.body, timestamp), self.algorithm).digest()
            for one in given:
                fits |= hmac.compare_digest(one, made)
        if not fits:
            return CallbackFault.SIGNATURE
        if self.timestamp_header and not self._is_fresh(timestamp, request.received_at):
            return CallbackFault.STALE
        return None

    def _octets(self, body: bytes, timestamp: str) -> bytes:
        parts = PLACEHOLDER.split(self.signed)
        # Text and the names of placeholders take turns.
        return b"".join(
            part.encode()
            if place % 2 == 0
            else body
            if part == "body"
            else timestamp.encode("latin-1", "replace")
            for place, part in enumerate(parts)
        )

    def _given(self, header: str) -> list[bytes]:
        candidates = [one.strip() for one in header.split(",", _MAX_SIGNATURES)[:_MAX_SIGNATURES]]
        decode = _DECODERS[self.encoding]
        return [
            octets
            for one in candidates
            if one.startswith(self.prefix) and (octets := decode(one[len(self.prefix) :]))
        ]

    def _is_fresh(self, timestamp: str, now_ms: int) -> bool:
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 16):
            return False
        at = int(timestamp)
        at_ms = at if at > _BEYOND_SECONDS else at * 1000
        return abs(now_ms - at_ms) <= self.tolerance_ms


@dataclass(frozen=True, slots=True)
class TokenCheck:
    """A shared secret in a header, behind `prefix`, or in a parameter of the query."""

    secrets: Secrets = field(repr=False)
    header: str = ""
    query: str = ""
    prefix: str = ""

    def fault(self, request: CallbackRequest) -> CallbackFault | None:
        """Return what is wrong with the token, None when it is right."""
        if self.query:
            given = request.query.get(self.query, "").encode("utf-8", "replace")
        else:
            written = request.headers.get(self.header, "")
            given = written.removeprefix(self.prefix).strip().encode("latin-1", "replace")
            if not written.startswith(self.prefix):
                given = b""
        return _compared(given, self.secrets)


@dataclass(frozen=True, slots=True)
class BasicCheck:
    """A name and a password (RFC 7617)."""

    username: str
    secrets: Secrets = field(repr=False)

    def fault(self, request: CallbackRequest) -> CallbackFault | None:
        """Return what is wrong with the name or the password, None when both are right."""
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        given = _base64(encoded.strip()) if scheme.lower() == "basic" else b""
        name = self.username.encode() + b":"
        return _compared(given, tuple(name + secret for secret in self.secrets))


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """Only from these networks. Behind proxies of our own, the last address of X-Forwarded-For that is none of them."""

    networks: tuple[Network, ...]
    proxies: tuple[Network, ...] = ()

    def fault(self, request: CallbackRequest) -> CallbackFault | None:
        """Return what is wrong with the address, None when it is one of the carrier's."""
        source = request.source
        if self.proxies:
            hops = request.headers.get("x-forwarded-for", "").split(",")[-_MAX_HOPS:]
            while hops and _is_within(source, self.proxies):
                source = hops.pop().strip()
        return None if _is_within(source, self.networks) else CallbackFault.SOURCE


Check = HmacCheck | TokenCheck | BasicCheck | SourceCheck


def first_fault(checks: tuple[Check, ...], request: CallbackRequest) -> CallbackFault | None:
    """Return the fault of the first check that the call does not pass, None when it passes all."""
    for check in checks:
        fault = check.fault(request)
        if fault is not None:
            return fault
    return None


def _compared(given: bytes, secrets: Secrets) -> CallbackFault | None:
    fits = False
    for secret in secrets:
        # Digests, so that not even the length of the secret shows in the time.
        fits |= hmac.compare_digest(hashlib.sha256(given).digest(), hashlib.sha256(secret).digest())
    return None if fits and given else CallbackFault.SIGNATURE


def _is_within(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    found = mapped or found
    return any(found.version == network.version and found in network for network in networks)


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _base64(text: str) -> bytes:
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


_DECODERS: Final[Mapping[str, Callable[[str], bytes]]] = {"hex": _hex, "base64": _base64}
