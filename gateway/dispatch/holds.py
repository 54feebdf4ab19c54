"""Messages of accounts that an operator holds: set aside durably, so that they are in nobody's way, until he lets go.

They wait as deferred rows whose due time lies beyond any real one and says which carrier and account they are of: no
work while the hold stands, whatever their number, and one statement to bring them back.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final

from gateway.dispatch.conclude import lane_record
from gateway.dispatch.context import LaneContext
from gateway.dispatch.outbox import Outbox
from gateway.dispatch.work import Lane, Work
from gateway.domain.events import Noted
from gateway.domain.message import Message
from gateway.ports.dispatch_store import DeferredRow

HELD_FROM_MS: Final = 1 << 52
"""Due times from here on mean held; as a date it is beyond the year 140000."""

_HASH_OCTETS: Final = 4
_WHOLE_SECOND_MS: Final = 1000  # what every store keeps exactly


def held_until_ms(carrier: str, account: str) -> int:
    """Return the due time that stands for a hold of `account` on `carrier`.

    Two holds may share one, once in four thousand million: their messages then come back together, and those still
    held are set aside again.
    """
    digest = blake2b(f"{carrier}\0{account}".encode(), digest_size=_HASH_OCTETS).digest()
    return HELD_FROM_MS + int.from_bytes(digest) * _WHOLE_SECOND_MS


class Aside:
    """Sets messages of held accounts aside, for one lane worker. `accounts` are those held now."""

    def __init__(self, context: LaneContext, *, lanes: tuple[Lane, ...], outbox: Outbox) -> None:
        self.accounts: frozenset[str] = frozenset()
        self._carrier = context.carrier
        self._clock = context.clock
        self._lanes = lanes
        self._outbox = outbox
        self._limit = context.settings.max_aside
        self._is_due = False

    def hold(self, accounts: frozenset[str]) -> None:
        """Hold these accounts from now on; what is in hand of them leaves with the next `sweep`."""
        self._is_due |= bool(accounts - self.accounts)
        self.accounts = accounts

    def take(self, message: Message, *, lane: int, offset: int) -> bool:
        """Set a message aside that was just read; False when the flush in the making is full, so it has to wait."""
        batch = self._outbox.batch
        if len(batch.deferred) >= self._limit:
            self._is_due = True
            return False
        now_ms = self._clock.now_ms()
        record = lane_record(message)
        due_ms = held_until_ms(self._carrier, message.account_id)
        batch.deferred.append(DeferredRow(due_ms, record.topic, record.key, record.value, message.id))
        batch.aside_count += 1
        event = Noted(message.id, now_ms, "held", carrier=self._carrier, reason="account_held")
        self._outbox.add(event, lane=lane, offset=offset)
        return True

    def sweep(self) -> None:
        """Set aside what is in hand of held accounts, as far as it was not begun."""
        if not self._is_due:
            return
        self._is_due = False
        for lane in self._lanes:
            if not lane.held:
                continue
            kept = [self._kept(works) for works in lane.empty()]
            lane.refill(*kept)

    def _kept(self, works: Sequence[Work]) -> list[Work]:
        return [
            work
            for work in works
            if work.message.account_id not in self.accounts
            or work.outstanding
            or work.submitted
            or work.refused
            or not self.take(work.message, lane=work.lane, offset=work.offset)
        ]


def held_dues(holds: Iterable[tuple[str, frozenset[str]]]) -> list[int]:
    """Return the due times that must stay, of (carrier, accounts held on it)."""
    return sorted({held_until_ms(carrier, account) for carrier, accounts in holds for account in accounts})
