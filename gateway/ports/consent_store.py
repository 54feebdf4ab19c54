"""What people have asked for: not to be written to, or only on some channels.

Implemented by `gateway.store.consents`. `recipient` is E.164 without plus; times are milliseconds since the epoch, UTC.
The rules:

1. `*` as channel or sender of an opt-out stands for all of them.
2. Writing an opt-out or a preference that is there already replaces it; what is withdrawn is gone.
3. A change is known to every process at once (notified), at the latest some seconds later.
4. Every call has a deadline of its own and raises `TimeoutError` past it, `StoreUnavailableError` without a database.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from gateway.domain.message import Channel

EVERY: Final = "*"
MAX_IMPORT: Final = 2_000
"""Opt-outs in one import."""


class OptOut(NamedTuple):
    """One person who does not want something from one account. `source` says who told us."""

    account_id: str
    recipient: str
    channel: str
    sender: str
    source: str
    at: int


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is known of one person: (channel, sender) opted out of, and the channels allowed, None for all."""

    opted_out: frozenset[tuple[str, str]] = frozenset()
    allowed: tuple[Channel, ...] | None = None

    def refuses(self, channel: Channel, sender: str) -> bool:
        """True when the person opted out of this channel or this sender on it."""
        found = self.opted_out
        return bool(found) and not found.isdisjoint(
            ((channel, sender), (channel, EVERY), (EVERY, sender), (EVERY, EVERY))
        )

    def allows(self, channel: Channel) -> bool:
        """True when the person may be written to on this channel."""
        return self.allowed is None or channel in self.allowed


NO_WISHES: Final = Wishes()


class Consents(Protocol):
    """Asked on the way in and before each later channel."""

    def has_any(self, account_id: str) -> bool:
        """Tell, without looking anything up, whether anybody has asked this account for anything."""

    async def wishes(self, account_id: str, recipients: Collection[str]) -> Mapping[str, Wishes]:
        """Return what is known of these people, in one look-up; those without wishes are left out."""


class ConsentStore(Protocol):
    """The tables `optouts` and `channel_preferences`, for people and tools."""

    async def opt_out(self, rows: Sequence[OptOut]) -> int:
        """Write opt-outs, all or none; return how many are new. ValueError for an account that does not exist."""

    async def opt_in(self, account_id: str, recipient: str, *, channel: str, sender: str) -> bool:
        """Withdraw one opt-out; False when it was not there."""

    async def list_opt_outs(
        self,
        account_id: str,
        *,
        recipient: str | None,
        channel: str | None,
        limit: int,
        after: OptOut | None,
    ) -> list[OptOut]:
        """Return opt-outs by recipient, channel and sender, those behind `after`."""

    async def preference(self, account_id: str, recipient: str) -> tuple[str, ...] | None:
        """Return the channels allowed, best first; None when nothing was asked for."""

    async def prefer(
        self, account_id: str, recipient: str, channels: Sequence[str] | None, *, now_ms: int
    ) -> None:
        """Write the channels allowed; None takes the preference away."""
