"""What the journal is bounded by, and what it answers; `gateway.intake.journal` gives these names on."""

from dataclasses import dataclass

import msgspec

from gateway.intake.submission import Owners


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """Bounds of the group commit. `max_wait_s` is the age at which a submission that no flush took is given up."""

    linger_ms: float = 3.0
    max_messages: int = 5_000
    max_pending_messages: int = 50_000
    flush_deadline_s: float = 5.0
    max_wait_s: float = 8.0


class Kept(msgspec.Struct, frozen=True):
    """The answer is durable. `replayed`: it is the first one's, and nothing new was kept.

    `owners` are the messages of this submission that repeated a client_ref, so that were not kept.
    """

    status: int
    body: bytes
    replayed: bool = False
    owners: Owners = {}


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
