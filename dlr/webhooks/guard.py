"""Where a webhook may go: no way into our own network, whatever the URL or the name server says (SSRF).

Every address that a name stands for must be allowed, each time it is resolved; the socket is then made for one of
those very addresses. The API asks `Guard.check_url` when an endpoint is made; `dlr.webhooks.client` uses `Guard` as
resolver and socket factory of its connections, so that there is no second look-up in between.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

MAX_URL: Final = 2_000
RESOLVE_S: Final = 5.0
_THREADS: Final = 16
_MAX_HOST: Final = 253

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
AddressInfo = tuple[Any, ...]
LookUp = Callable[[str, int], Sequence[AddressInfo]]
"""`socket.getaddrinfo` of a host and port, for a stream socket; may block."""

_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII | re.IGNORECASE)
_NUMBER: Final = re.compile(r"0x[0-9a-f]*|[0-9]+", re.ASCII | re.IGNORECASE)
_LOOPBACK: Final[tuple[Network, ...]] = (
    ipaddress.IPv4Network("127.0.0.0/8"),
    ipaddress.IPv6Network("::1/128"),
)
# What `is_global` lets pass in one or another version of Python, or only means in part.
_NEVER: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",  # carrier-grade NAT
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local: also the metadata services of clouds
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
            "::/96",  # unspecified, loopback, IPv4-compatible
            "64:ff9b:1::/48",
            "100::/64",
            "2001::/23",  # Teredo, ORCHID, benchmarks
            "2001:db8::/32",
            "3fff::/20",
            "5f00::/16",
            "fc00::/7",  # unique local
            "fe80::/10",  # link-local
            "fec0::/10",  # site-local
            "ff00::/8",  # multicast
        ),
    )
)
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
_TRANSLATED: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::ffff:0:0:0/96"))
_SIX_TO_FOUR: Final = ipaddress.IPv6Network("2002::/16")


class GuardError(ValueError):
    """A URL that webhooks never go to; the text names what is wrong with it."""


class BlockedAddressError(OSError):
    """A name stands for an address that webhooks never go to."""


class Target(NamedTuple):
    """A URL that was checked. `address` is set where the host is one."""

    url: str
    host: str
    port: int
    address: Address | None


class Guard(AbstractResolver):
    """Rules and resolver in one. `networks` may be reached although they are not public."""

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        allow_http: bool = False,
        networks: Sequence[str] = (),
        look_up: LookUp | None = None,
    ) -> None:
        allowed = tuple(ipaddress.ip_network(one) for one in networks)
        self._allowed = (*allowed, *_LOOPBACK) if allow_loopback else allowed
        self._allow_loopback = allow_loopback
        self._allow_http = allow_http
        self._look_up = look_up or _getaddrinfo
        # Apart from the loop's own threads: a name server that hangs must not stop anything else.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="webhook-dns")

    def check_url(self, url: str) -> Target:
        """Return what the URL says; GuardError unless webhooks may go there as far as can be told without asking DNS."""
        if len(url) > MAX_URL:
            raise GuardError(f"a URL of {len(url)} characters; the limit is {MAX_URL}")
        if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
            raise GuardError(
                "a URL is printable ASCII without spaces and backslashes; write other names in Punycode"
            )
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise GuardError(f"not a URL: {error}") from None
        host = (parts.hostname or "").rstrip(".")
        if parts.scheme not in ("https", "http") or not host:
            raise GuardError("the URL must start with https:// and a host")
        if parts.username is not None or parts.password is not None:
            raise GuardError(
                "a URL with a user name or password is not accepted; check the signature instead"
            )
        if parts.fragment:
            raise GuardError("a URL with a fragment (#) is not accepted")
        if port == 0:
            raise GuardError("port 0 is not a port")
        address = _literal(host)
        if address is not None and not self.is_allowed(address):
            raise GuardError(f"the address {address} is not public")
        if address is None:
            _check_name(host)
            if (host == "localhost" or host.endswith(".localhost")) and not self._allow_loopback:
                raise GuardError("localhost is not public")
        if parts.scheme == "http" and not (self._allow_http or self._is_loopback(host, address)):
            raise GuardError("the URL must start with https://")
        return Target(url, host, port or (443 if parts.scheme == "https" else 80), address)

    async def check(self, url: str) -> Target:
        """Return what the URL says once DNS was asked too; GuardError, also for a name that is not found."""
        target = self.check_url(url)
        if target.address is None:
            try:
                await self.resolve(target.host, target.port)
            except BlockedAddressError as error:
                raise GuardError(str(error)) from None
            except OSError:
                raise GuardError(f"the host {target.host} cannot be resolved") from None
        return target

    def is_allowed(self, address: Address) -> bool:
        """Tell whether a webhook may go to this address."""
        inner = _inside(address)
        if inner is not None:
            return self.is_allowed(inner)
        if any(address in network for network in self._allowed if network.version == address.version):
            return True
        return address.is_global and not any(
            address in network for network in _NEVER if network.version == address.version
        )

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host; BlockedAddressError when one of them is not allowed, OSError."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(RESOLVE_S):
                found = await loop.run_in_executor(self._threads, self._look_up, host, port)
        except TimeoutError:
            raise OSError(f"no answer about {host} in {RESOLVE_S:g} s") from None
        results: list[ResolveResult] = []
        for kind, _, proto, _, place in found:
            if family not in (socket.AF_UNSPEC, kind):
                continue
            self._check_address(host, place[0])
            results.append(
                ResolveResult(
                    hostname=host,
                    host=place[0],
                    port=port,
                    family=kind,
                    proto=proto,
                    flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                )
            )
        if not results:
            raise OSError(f"{host} has no address")
        return results

    def open_socket(self, info: AddressInfo) -> socket.socket:
        """Make the socket of a connection to this very address; BlockedAddressError."""
        family, kind, proto, _, place = info
        self._check_address(place[0], place[0])
        return socket.socket(family=family, type=kind, proto=proto)

    async def close(self) -> None:
        """Let the threads go; one that waits for a name server ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _check_address(self, host: str, text: str) -> None:
        try:
            is_allowed = self.is_allowed(ipaddress.ip_address(text.partition("%")[0]))
        except ValueError:
            is_allowed = False
        if not is_allowed:
            # The address itself is not said: it would tell a stranger what our names stand for.
            raise BlockedAddressError(f"{host} stands for an address that is not public")

    def _is_loopback(self, host: str, address: Address | None) -> bool:
        if not self._allow_loopback:
            return False
        return host == "localhost" or (address is not None and address.is_loopback)


def _literal(host: str) -> Address | None:
    """Return the address that a host is, None for a name; GuardError for the other ways of writing IPv4."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    # 127.1, 0x7f000001 and 2130706433 are addresses to the resolver, and a last label of digits is no public name.
    if _NUMBER.fullmatch(host.rpartition(".")[2]) or ":" in host:
        raise GuardError(f"{host[:64]!r} is neither a name nor an address in its usual form")
    return None


def _check_name(host: str) -> None:
    if len(host) > _MAX_HOST or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise GuardError(f"{host[:64]!r} is not a host name")


def _inside(address: Address) -> Address | None:
    """Return the IPv4 address that an IPv6 address carries, where the way to it leads there."""
    if address.version == 4:
        return None
    number = int(address)
    if address in _MAPPED or any(address in network for network in _TRANSLATED):
        return ipaddress.IPv4Address(number & 0xFFFFFFFF)
    if address in _SIX_TO_FOUR:
        return ipaddress.IPv4Address(number >> 80 & 0xFFFFFFFF)
    return None


def _getaddrinfo(host: str, port: int) -> Sequence[AddressInfo]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
