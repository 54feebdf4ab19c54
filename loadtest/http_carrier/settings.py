"""What one simulated HTTP carrier shall do, checked before anything listens."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from loadtest.http_client import parse_url

KINDS: Final = ("json", "whatsapp", "generic")
_TEMPLATE: Final = re.compile(
    r"(?P<name>[a-z0-9_]{1,512}):(?P<language>[a-z]{2,3}(_[A-Z]{2})?)(:(?P<count>\d{1,3}))?"
)


@dataclass(frozen=True, slots=True)
class Template:
    """An approved template: its name and exact language, and the parameters its body takes (None: any count)."""

    name: str
    language: str
    parameter_count: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Read `"order_update:es_MX:2"` or `"hello:es"`. Raises ValueError."""
        found = _TEMPLATE.fullmatch(text)
        if found is None:
            raise ValueError(f"template {text!r} is not name:language or name:language:parameters")
        count = found["count"]
        return cls(found["name"], found["language"], None if count is None else int(count))


@dataclass(frozen=True, slots=True)
class WhatsAppSettings:
    """The business account that the simulator plays; limits that are None are not kept.

    Real numbers have 80 messages a second, one message to a person every 6 s, and 250 to 100,000 people in 24 h.
    """

    account_id: str = "102290129340398"
    phone_number_ids: Mapping[str, str] = field(default_factory=lambda: {"106540352242922": "525512340000"})
    templates: Sequence[Template] = (
        Template("hello_world", "en_US", 0),
        Template("order_update", "es_MX", 2),
    )
    pair_gap_s: float | None = None
    pair_burst: int = 1
    max_unique_recipients: int | None = None
    late_errors: Sequence[int] = ()
    writes_old_mexican_ids: bool = False
    window_s: float = 86_400.0
    media_octets: int = 256 << 20

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not self.phone_number_ids:
            raise ValueError("no phone number: give at least one id with its number")
        for name, value, low, high in (
            ("pair_gap_s", 1.0 if self.pair_gap_s is None else self.pair_gap_s, 0.001, 86_400),
            ("window_s", self.window_s, 0.001, 86_400),
            ("pair_burst", self.pair_burst, 1, 1_000),
            (
                "max_unique_recipients",
                1 if self.max_unique_recipients is None else self.max_unique_recipients,
                1,
                1_000_000,
            ),
            ("media_octets", self.media_octets, 1, 4 << 30),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} {value} is outside {low}..{high}")


@dataclass(frozen=True, slots=True)
class GenericSettings:
    """What the generic carrier answers; `{id}` in the body becomes the id of the message.

    The fields are dotted paths into a JSON body (`"message.id"`), empty where there is nothing to find.
    """

    status: int = 200
    content_type: str = "application/json"
    body: str = '{"id": "{id}"}'
    ref_field: str = "ref"
    to_field: str = "to"
    keeps_requests: int = 1_000

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 100 <= self.status <= 599:
            raise ValueError(f"status {self.status} is outside 100..599")
        if not 0 <= self.keeps_requests <= 100_000:
            raise ValueError(f"keeps_requests {self.keeps_requests} is outside 0..100000")


@dataclass(frozen=True, slots=True)
class HttpCarrierSettings:
    """Settings of one carrier. Port 0 asks the system for a free port; `control_port` None means no control API.

    `faults` are the knobs of `loadtest.http_carrier.orders` as `POST /faults` takes them, `timeline` the steps of
    `loadtest.faults`. With one callback connection the calls come in the order of their time. `token` is what clients authorise with, `secret` signs the callbacks. Raises ValueError naming the
    setting that is wrong; the knobs are checked when the carrier is made.
    """

    kind: str = "json"
    host: str = "127.0.0.1"
    port: int = 0
    control_port: int | None = 0
    token: str = "token"  # noqa: S105  # of a simulator
    callback_url: str = ""
    secret: str = "secret"  # noqa: S105  # of a simulator
    verify_token: str = "verify"  # noqa: S105  # of a simulator
    verifies_at_start: bool = False
    faults: Mapping[str, Any] = field(default_factory=dict)
    timeline: Sequence[Mapping[str, Any]] = ()
    seed: int = 0
    first_message_id: int | None = None
    max_bulk: int = 1_000
    max_connections: int = 2_000
    record_limit: int = 2_000_000
    record_file: Path | None = None
    receipt_limit: int = 1_000_000
    callback_connections: int = 8
    callback_timeout_s: float = 10.0
    callback_retry_s: float = 1.0
    callback_tries: int = 10
    whatsapp: WhatsAppSettings = field(default_factory=WhatsAppSettings)
    generic: GenericSettings = field(default_factory=GenericSettings)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} is not one of {', '.join(KINDS)}")
        for name, value, low, high in (
            ("port", self.port, 0, 65_535),
            ("control_port", self.control_port or 0, 0, 65_535),
            ("max_bulk", self.max_bulk, 1, 10_000),
            ("max_connections", self.max_connections, 1, 20_000),
            ("record_limit", self.record_limit, 1, 50_000_000),
            ("receipt_limit", self.receipt_limit, 1, 10_000_000),
            ("callback_connections", self.callback_connections, 1, 1_000),
            ("callback_timeout_s", self.callback_timeout_s, 0.01, 3_600),
            ("callback_retry_s", self.callback_retry_s, 0.001, 3_600),
            ("callback_tries", self.callback_tries, 1, 1_000_000),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} {value} is outside {low}..{high}")
        if self.callback_url:
            parse_url(self.callback_url)
