"""Which carriers can be sent to, as far as this process knows: where a message may go that has to leave another (D1).

One per process: its own workers tell it directly, those of other processes through their reports.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from gateway.ports.clock import Clock
from gateway.ports.control_store import CarrierReport


class Health(StrEnum):
    """What is known of a carrier, or of one shard of it."""

    UP = "up"
    UNKNOWN = "unknown"
    DOWN = "down"
    PAUSED = "paused"
    DRAINED = "drained"


_BEST_FIRST: Final = tuple(Health)
_MAX_HEARD: Final = 10_000


class CarrierBoard:
    """The health of all carriers. A report counts as fresh for `stale_after_s` after it was new here.

    Whose clock made the report does not matter. A carrier of which nothing fresh is known is `unknown`, and is chosen
    only with `takes_unknown`.
    """

    def __init__(self, *, clock: Clock, stale_after_s: float, takes_unknown: bool = False) -> None:
        self._clock = clock
        self._stale_ns = int(stale_after_s * 1e9)
        self._takes_unknown = takes_unknown
        self._configured: frozenset[str] | None = None
        self._own: dict[tuple[str, int], Health] = {}
        self._heard: dict[
            tuple[str, int], tuple[int, int, Health]
        ] = {}  # (report time, when new here, health)

    def configure(self, carriers: Iterable[str]) -> None:
        """Say which carriers there are: a message is not sent where nobody would read its lane."""
        self._configured = frozenset(carriers)

    def tell(self, carrier: str, *, shard: int, health: Health) -> None:
        """Note what a worker of this process says of its shard."""
        self._own[carrier, shard] = health

    def forget(self, carrier: str, *, shard: int) -> None:
        """Forget a shard that this process does not work any more."""
        self._own.pop((carrier, shard), None)

    def hear(self, reports: Sequence[CarrierReport]) -> None:
        """Note what other processes report."""
        now_ns = self._clock.monotonic_ns()
        heard: dict[tuple[str, int], tuple[int, int, Health]] = {}
        for report in reports[:_MAX_HEARD]:
            key = (report.carrier, report.shard)
            before = self._heard.get(key)
            new_ns = before[1] if before is not None and before[0] == report.at else now_ns
            heard[key] = (report.at, new_ns, _health_in(report))
        self._heard = heard

    def health(self, carrier: str) -> Health:
        """Return the best of the carrier's shards: one that sends is enough to go there."""
        fresh_ns = self._clock.monotonic_ns() - self._stale_ns
        known = [health for (name, _), health in self._own.items() if name == carrier]
        known += [
            health
            for (name, shard), (_, new_ns, health) in self._heard.items()
            if name == carrier and new_ns >= fresh_ns and (name, shard) not in self._own
        ]
        return min(known, key=_BEST_FIRST.index, default=Health.UNKNOWN)

    def choose(self, candidates: Sequence[str]) -> int | None:
        """Return the index of the first candidate that is up, None when the message is better off where it is."""
        if not candidates:
            return None
        best = self.prefer(candidates)
        health = self.health(candidates[best])
        is_fine = health is Health.UP or (
            self._takes_unknown and health is Health.UNKNOWN and self._is_there(candidates[best])
        )
        return best if is_fine else None

    def prefer(self, candidates: Sequence[str]) -> int:
        """Return the index of the candidate to go to when staying is no choice: up, else unknown, else the first.

        One that is not configured, and that nobody reports of, comes after all others.
        """

        def rank(index: int) -> tuple[bool, int]:
            health = self.health(candidates[index])
            is_gone = health is Health.UNKNOWN and not self._is_there(candidates[index])
            return is_gone, min(2, _BEST_FIRST.index(health))

        return min(range(len(candidates)), key=rank)

    def _is_there(self, carrier: str) -> bool:
        return self._configured is None or carrier in self._configured


def _health_in(report: CarrierReport) -> Health:
    try:
        return Health(str(report.picture.get("health")))
    except ValueError:
        return Health.UNKNOWN
