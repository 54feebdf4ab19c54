"""The combined limiter: a permit needs every limit to agree, and then all are charged, or none.

A worker owns one per bind: the bind's own limit and its share of the carrier's.
"""

from typing import Final, NamedTuple

from throttling.gcra import Gcra
from throttling.rates import Rate

CARRIER_RATE: Final = "carrier_rate"
BIND_RATE: Final = "bind_rate"


class Permit(NamedTuple):
    """Permission to submit one segment now (`wait_ns` 0), or how long to wait and which limit says so."""

    wait_ns: int
    reason: str


GRANTED: Final = Permit(0, "")


class Governor:
    """Several limits as one. A limiter may be in several governors (the carrier's, over all its binds).

    `limits` pairs each limiter with the reason it gives, the widest first. Raises ValueError when there is none,
    more than 8, or a limiter comes twice.
    """

    __slots__ = ("_gcras", "_only", "_reasons")

    def __init__(self, limits: tuple[tuple[str, Gcra], ...]) -> None:
        if not 1 <= len(limits) <= 8:
            raise ValueError(f"a governor has 1 to 8 limits, not {len(limits)}")
        self._reasons = tuple(reason for reason, _ in limits)
        self._gcras = tuple(gcra for _, gcra in limits)
        self._only = self._gcras[0] if len(limits) == 1 else None
        if len({id(gcra) for gcra in self._gcras}) != len(limits):
            raise ValueError(f"a limiter comes twice among {self._reasons}")

    @classmethod
    def of(cls, *, carrier: Gcra, bind: Gcra | None = None) -> "Governor":
        """Return the usual pair: the carrier's limit and, where configured, the bind's."""
        if bind is None:
            return cls(((CARRIER_RATE, carrier),))
        return cls(((CARRIER_RATE, carrier), (BIND_RATE, bind)))

    def offer(self, now_ns: int) -> Permit:
        """Charge every limit and return GRANTED, or charge none and name the limit that waits longest."""
        only = self._only
        if only is not None:  # nearly always: refusing, it notes by itself that work waits
            wait_ns = only.offer(now_ns)
            return Permit(wait_ns, self._reasons[0]) if wait_ns else GRANTED
        for gcra in self._gcras:
            if now_ns < gcra.due_ns:
                return self._refuse(now_ns)
        for gcra in self._gcras:
            gcra.offer(now_ns)
        return GRANTED

    def peek(self, now_ns: int) -> Permit:
        """Return what `offer` would, and change nothing."""
        wait_ns, reason = 0, ""
        for gcra, name in zip(self._gcras, self._reasons, strict=True):
            own_ns = gcra.peek(now_ns)
            if own_ns > wait_ns:
                wait_ns, reason = own_ns, name
        return Permit(wait_ns, reason) if wait_ns else GRANTED

    def set_rate(self, reason: str, rate: Rate, *, now_ns: int, slack_ns: int | None = None) -> None:
        """Change the limit that gives `reason`, see `Gcra.set_rate`; ValueError when there is none."""
        self._gcras[self._reasons.index(reason)].set_rate(rate, now_ns=now_ns, slack_ns=slack_ns)

    def explain(self, now_ns: int) -> tuple[str, ...]:
        """Return one line per limit, in the order they were given."""
        return tuple(
            f"{name}: {gcra.explain(now_ns)}" for gcra, name in zip(self._gcras, self._reasons, strict=True)
        )

    def _refuse(self, now_ns: int) -> Permit:
        # Work waits, so every limit owes it what it comes late by; else a wide limit would take the time spent
        # waiting for a narrow one as idleness and hold back the permits the narrow one makes up for.
        for gcra in self._gcras:
            gcra.note_waiting()
        return self.peek(now_ns)
