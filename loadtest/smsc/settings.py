"""What one simulator shall do, checked before anything listens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loadtest.delays import Delay
from loadtest.rates import HiddenLimit
from loadtest.smsc.behaviour import Behaviour, parse_errors
from loadtest.smsc.receipts import MessageIds

MAX_SYSTEM_ID_OCTETS = 15
MAX_PASSWORD_OCTETS = 8


@dataclass(frozen=True, slots=True)
class SmscSettings:
    """Settings of one message centre; the texts are those of the command line.

    `accounts` maps system_id to password. Port 0 asks the system for a free port. `faults` are more knobs as
    `POST /faults` takes them, `timeline` the steps of `loadtest.faults`; both are checked when the centre is made.
    Raises ValueError naming the setting that is wrong.
    """

    accounts: dict[str, str] = field(default_factory=lambda: {"caudal": "secret"})
    host: str = "127.0.0.1"
    port: int = 0
    http_port: int | None = 0
    latency: str = "0"
    receipt_delay: str = "0"
    errors: str = ""
    mps: float | None = None
    message_id_format: str = "decimal"
    receipt_id_format: str = "same"
    first_message_id: int | None = None
    seed: int = 0
    sends_receipts: bool = True
    is_magic: bool = True
    window_slots: int = 100
    max_binds: int = 100
    record_limit: int = 2_000_000
    receipt_limit: int = 1_000_000
    receipt_timeout_s: float = 30.0
    receipt_retry_s: float = 1.0
    enquire_link_s: float = 30.0
    faults: Mapping[str, Any] = field(default_factory=dict)
    timeline: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name, value, low, high in (
            ("port", self.port, 0, 65_535),
            ("http_port", self.http_port or 0, 0, 65_535),
            ("window_slots", self.window_slots, 1, 10_000),
            ("max_binds", self.max_binds, 1, 1_000),
            ("record_limit", self.record_limit, 1, 50_000_000),
            ("receipt_limit", self.receipt_limit, 1, 10_000_000),
            ("receipt_timeout_s", self.receipt_timeout_s, 0.05, 3_600),
            ("receipt_retry_s", self.receipt_retry_s, 0.01, 3_600),
            ("enquire_link_s", self.enquire_link_s, 0.1, 3_600),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} {value} is outside {low}..{high}")
        if not self.accounts:
            raise ValueError("no account: give a system_id and its password")
        for system_id, password in self.accounts.items():
            if not 1 <= len(system_id) <= MAX_SYSTEM_ID_OCTETS:
                raise ValueError(
                    f"system_id {system_id!r} does not have 1 to {MAX_SYSTEM_ID_OCTETS} characters"
                )
            if len(password) > MAX_PASSWORD_OCTETS:
                raise ValueError(
                    f"the password of {system_id!r} is longer than {MAX_PASSWORD_OCTETS} characters"
                )
        self.latency_delay()
        self.receipt_delays()
        self.behaviour()
        self.message_ids(first=0)
        if self.mps is not None:
            HiddenLimit(self.mps)

    def latency_delay(self) -> Delay:
        """Return the delay of submit responses."""
        return Delay(self.latency, seed=f"latency:{self.seed}")

    def receipt_delays(self) -> Delay:
        """Return the delay of receipts, counted from the response."""
        return Delay(self.receipt_delay, seed=f"receipt:{self.seed}")

    def behaviour(self) -> Behaviour:
        """Return the standing orders."""
        return Behaviour(errors=parse_errors(self.errors), is_magic=self.is_magic, seed=self.seed)

    def message_ids(self, *, first: int) -> MessageIds:
        """Return the id maker; `first` counts where the settings do not."""
        return MessageIds(
            first=first if self.first_message_id is None else self.first_message_id,
            submit_format=self.message_id_format,
            receipt_format=self.receipt_id_format,
            seed=self.seed,
        )
