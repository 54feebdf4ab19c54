"""What the processes of a run tell each other: the order of a load, what it did each second, its account, callbacks."""

from typing import Literal

from msgspec import Struct, field


class Order(Struct):
    """One load. `stages` are (rate before, rate, seconds); messages are numbered from `first`; `nonce` is the run's."""

    target: str
    key: str
    accepted_path: str
    nonce: str
    stages: list[tuple[float, float, float]]
    arrivals: Literal["uniform", "poisson"]
    batch: int
    seed: int
    mix: dict[str, float]
    gsm7: float
    segments: dict[int, float]
    duplicates: float
    recipients: int
    first: int = 0
    max_open: int = 1_000
    timeout_s: float = 30.0
    sender: str = "CAUDAL"


class Tick(Struct, tag="tick", omit_defaults=True):
    """What the generator did in a second; `open` requests wait for their answer now. `accept_ms`: p50, p90, p99, max."""

    offered: int = 0
    sent: int = 0
    requests: int = 0
    accepted: int = 0
    refused: int = 0
    errors: int = 0
    open: int = 0
    accept_ms: list[float] | None = None
    accept_hdr: str | None = None
    lateness_p99_ms: float | None = None


class Account(Struct, tag="account", omit_defaults=True):
    """What the generator did in all.

    `offered`, `sent`, `accepted`, `refused` and `unsure` (nobody ever said) count messages; `requests`, `errors` (5xx or
    no answer) and `repeated` (again with the same key) requests. `reasons` counts what went wrong. `lateness_s`: p50,
    p99, max. `next` is the number of the first message that was not made.
    """

    offered: int = 0
    sent: int = 0
    requests: int = 0
    accepted: int = 0
    refused: int = 0
    unsure: int = 0
    errors: int = 0
    repeated: int = 0
    is_sent: bool = False
    next: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    accept_hdr: str | None = None
    lateness_s: list[float] | None = None


class Heard(Struct, tag="heard", omit_defaults=True):
    """What the sink of callbacks got in a second: POSTs, the final states they told, and how long it let them wait."""

    requests: int = 0
    events: int = 0
    waited_s: float = 0.0
