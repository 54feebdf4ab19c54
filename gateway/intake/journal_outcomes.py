"""What the journal is bounded by, and what it answers; `gateway.intake.journal` gives these names on."""

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.intake.submission import Owners


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """Bounds of the group commit. `max_wait_s` is the age at which a submission that no flush took is given up."""

    linger_ms: float = 3.0
    max_messages: int = 5_000
    max_pending_messages: int = 50_000
    flush_deadline_s: float = 5.0
    max_wait_s: float = 8.0


@dataclass(slots=True)  # one for each request: freezing would triple what making it costs
class Kept:
    """The answer is durable. `replayed`: it is the first one's, and nothing new was kept.

    `owners` are the messages of this submission that repeated a client_ref, so that were not kept.
    """

    status: int
    body: bytes
    replayed: bool = False
    owners: Owners = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeyConflict:
    """The key was used with another body."""


@dataclass(frozen=True, slots=True)
class KeyInUse:
    """The first request with this key has no answer yet."""


@dataclass(frozen=True, slots=True)
class NotKept:
    """Nothing was promised. `reason` is full, closed, timeout, unavailable (try again), or data (it would fail again)."""

    reason: str


JournalOutcome = Kept | KeyConflict | KeyInUse | NotKept


class Callback:
    """Waits for an outcome without a future: what is to be done with it is done at once, and raises nothing."""

    __slots__ = ("_settled",)

    def __init__(self, settled: Callable[[JournalOutcome], None]) -> None:
        self._settled: Callable[[JournalOutcome], None] | None = settled

    def done(self) -> bool:
        """Tell whether the outcome was there."""
        return self._settled is None

    def set_result(self, outcome: JournalOutcome, /) -> None:
        """Take the outcome, once."""
        settled, self._settled = self._settled, None
        if settled is not None:
            settled(outcome)
