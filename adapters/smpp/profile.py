"""Everything that is particular about one carrier's SMPP, as data: the link has no `if carrier ==` anywhere.

Built from the configuration by `gateway.runtime.wiring`; read by `translate`, `bind` and `link`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal
from zoneinfo import ZoneInfo

from adapters.smpp.classify import StatusClass
from adapters.smpp.session.sending import SessionConfig
from adapters.smpp.session.timers import SECOND_NS, TimerSettings
from adapters.smpp.wire.receipt_text import IdFormat
from adapters.tls import TlsSettings

DefaultAlphabet = Literal["gsm7", "latin1", "ascii"]
"""What data_coding 0 ("SMSC default alphabet") means on a carrier (sms-domain A13)."""


class BindMode(StrEnum):
    """Which binds are opened; TRX falls back to TX + RX where the carrier does not know it (0x03)."""

    TRX = "trx"
    TX_RX = "tx_rx"
    TX = "tx"
    RX = "rx"


@dataclass(frozen=True, slots=True)
class AddressType:
    """TON and NPI of one kind of address (SMPP 3.4 §5.2.5, §5.2.6)."""

    ton: int
    npi: int


MAX_OCTET = 0xFF
# C-octet strings without their NUL, SMPP 3.4 §4.1.1 and §4.4.1; integers of one octet.
_TEXT_LIMITS = {"system_type": 12, "address_range": 40, "service_type": 5}
_NUMBER_LIMITS = {
    "interface_version": MAX_OCTET,
    "registered_delivery": MAX_OCTET,
    "priority_flag_otp": 3,
    "protocol_id": MAX_OCTET,
    "esm_class": MAX_OCTET,
}


@dataclass(frozen=True, slots=True)
class CarrierProfile:
    """One carrier as its contract and its interface sheet describe it. Durations in seconds, sizes as named.

    `data_coding_map` replaces the data_coding that segmentation chose (7-bit as 0xF0, say).
    `receipt_time_zone` is where the dates of its receipts are at home; they stay naive without. `esm_class` is set
    with OR: messaging mode only. `status_overrides` gives command_status codes another class than `classify` would.
    `rate` and `bind_rate` are text with unit ("100/s"); None means no limit of that kind.
    `top_rate` is the carrier's where the link's owner keeps it: what throttle answers cut recovers up to it. `burst` is how many segments
    may exceed them in any second, None for 2 %. Raises ValueError for what no PDU can say.
    """

    carrier: str
    host: str
    port: int
    system_id: str
    password: str = field(repr=False)
    system_type: str = ""
    interface_version: int = 0x34
    bind_mode: BindMode = BindMode.TRX
    bind_count: int = 1
    address_range: str = ""
    tls: TlsSettings | None = None

    default_alphabet: DefaultAlphabet = "gsm7"
    receipt_id_format: IdFormat = "string"
    receipt_time_zone: ZoneInfo | None = None
    service_type: str = ""
    long_number: AddressType = AddressType(1, 1)
    short_code: AddressType = AddressType(3, 0)
    alphanumeric: AddressType = AddressType(5, 0)
    recipient: AddressType = AddressType(1, 1)
    registered_delivery: int = 1
    priority_flag_otp: int = 0
    protocol_id: int = 0
    esm_class: int = 0
    sends_validity: bool = True
    data_coding_map: Mapping[int, int] = field(default_factory=dict)
    status_overrides: Mapping[int, StatusClass] = field(default_factory=dict)

    rate: str | None = None
    bind_rate: str | None = None
    top_rate: str | None = None
    burst: int | None = None
    window_slots: int = 10
    max_unacknowledged: int = 5000

    connect_timeout_s: float = 10.0
    bind_timeout_s: float = 10.0
    response_timeout_s: float = 30.0
    enquire_link_s: float = 30.0
    enquire_link_response_s: float = 10.0
    enquire_link_tries: int = 1
    unbind_timeout_s: float = 5.0
    reconnect_min_s: float = 1.0
    reconnect_max_s: float = 60.0
    refused_bind_s: float = 300.0
    stable_after_s: float = 30.0
    breaker_failures: int = 3
    breaker_open_s: float = 5.0
    breaker_max_open_s: float = 60.0
    breaker_probes: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.bind_count <= 100:
            raise ValueError(f"bind_count {self.bind_count} is not within 1 to 100")
        if not 1 <= self.window_slots <= 10_000:
            raise ValueError(f"window_slots {self.window_slots} is not within 1 to 10000")
        if self.max_unacknowledged < 1:
            raise ValueError(f"max_unacknowledged {self.max_unacknowledged} is below 1")
        if len(self.system_id) > 15 or len(self.password) > 8:
            # SMPP 3.4 §5.2.1, §5.2.2: what is longer cannot be written into a bind.
            raise ValueError("system_id has at most 15 characters and password at most 8")
        for name, limit in _TEXT_LIMITS.items():
            text = getattr(self, name)
            if len(text) > limit or not (text.isascii() and (text.isprintable() or not text)):
                raise ValueError(f"{name} is not at most {limit} printable ASCII characters")
        for name, most in _NUMBER_LIMITS.items():
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} {getattr(self, name)} is not within 0 to {most}")
        for chosen, theirs in self.data_coding_map.items():
            if not 0 <= theirs <= MAX_OCTET:
                raise ValueError(f"data_coding {theirs} for {chosen} is not within 0 to {MAX_OCTET}")
        if self.breaker_failures < 1 or self.breaker_probes < 1:
            raise ValueError(
                f"breaker_failures {self.breaker_failures} or breaker_probes {self.breaker_probes} is below 1"
            )
        if not 0 < self.breaker_open_s <= self.breaker_max_open_s:
            raise ValueError(
                f"breaker_open_s {self.breaker_open_s} is not within 0 to {self.breaker_max_open_s}"
            )
        if not 0 < self.reconnect_min_s <= self.reconnect_max_s:
            raise ValueError(
                f"reconnect_min_s {self.reconnect_min_s} is not within 0 to {self.reconnect_max_s}"
            )

    def session_config(self) -> SessionConfig:
        """Return the limits of one session in the units of the session core."""
        return SessionConfig(
            window_slots=self.window_slots,
            late_slots=max(1000, 4 * self.window_slots),
            reads_receipts=True,
            timers=TimerSettings(
                session_init_ns=_ns(self.bind_timeout_s),
                bind_response_ns=_ns(self.bind_timeout_s),
                response_ns=_ns(self.response_timeout_s),
                enquire_link_ns=_ns(self.enquire_link_s),
                enquire_link_response_ns=_ns(self.enquire_link_response_s),
                enquire_link_tries=self.enquire_link_tries,
                unbind_response_ns=_ns(self.unbind_timeout_s),
            ),
        )


def _ns(seconds: float) -> int:
    return int(seconds * SECOND_NS)
