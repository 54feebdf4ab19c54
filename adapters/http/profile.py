"""Where an HTTP carrier is and how it is driven: what the link wants to know beside the carrier's words.

Built by `gateway.runtime.http_carriers` from the settings.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from adapters.tls import TlsSettings

MAX_WINDOW: Final = 10_000
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HttpProfile:
    """One carrier's access and limits. Durations in seconds, sizes as named. Raises ValueError out of range.

    `url` says host, port and whether there is TLS; placeholders in its path do not matter. `bind_count` slot pools take
    `window_slots` unanswered submits each, in at most `connections` requests at a time (None: as many as the window).
    `linger_ms` is how long a bulk request waits for more. `rate` and `bind_rate` are text with unit ("100/s"), None for
    no limit; `top_rate` is the carrier's where the link's owner keeps it, `burst` how many segments may exceed them in
    any second, None for 2 %.
    """

    carrier: str
    url: str
    bind_count: int = 1
    window_slots: int = 10
    connections: int | None = None
    linger_ms: float = 5.0
    tls: TlsSettings | None = None
    rate: str | None = None
    bind_rate: str | None = None
    top_rate: str | None = None
    burst: int | None = None

    connect_s: float = 10.0
    send_s: float = 10.0
    answer_s: float = 20.0
    idle_s: float = 4.0
    max_answer_octets: int = 256 * 1024
    reconnect_min_s: float = 1.0
    reconnect_max_s: float = 60.0
    refused_login_s: float = 30.0
    stable_after_s: float = 30.0
    breaker_failures: int = 3
    breaker_open_s: float = 5.0
    breaker_max_open_s: float = 60.0
    breaker_probes: int = 3

    def __post_init__(self) -> None:
        split = urlsplit(self.url)
        if split.scheme not in _PORTS or not split.hostname:
            raise ValueError(f"url {self.url[:80]!r} has no http:// or https:// and host")
        if not 1 <= self.bind_count <= 100:
            raise ValueError(f"bind_count {self.bind_count} is not within 1 to 100")
        if not 1 <= self.window_slots <= MAX_WINDOW:
            raise ValueError(f"window_slots {self.window_slots} is not within 1 to {MAX_WINDOW}")
        if self.connections is not None and not 1 <= self.connections <= MAX_WINDOW:
            raise ValueError(f"connections {self.connections} is not within 1 to {MAX_WINDOW}")
        if not 0 < self.reconnect_min_s <= self.reconnect_max_s:
            raise ValueError(
                f"reconnect_min_s {self.reconnect_min_s} is not within 0 to {self.reconnect_max_s}"
            )

    @property
    def host(self) -> str:
        """Host name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Port, that of the scheme where the URL has none."""
        split = urlsplit(self.url)
        return split.port or _PORTS[split.scheme]

    @property
    def is_tls(self) -> bool:
        """Whether there is TLS."""
        return urlsplit(self.url).scheme == "https"
