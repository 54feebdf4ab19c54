"""Refusals that a person should look at (a blocked account, an unpaid bill, a sender that was never registered).

Called by `settle` for outcomes that ask for it. One line a minute and status is enough: the metrics count the rest.
"""

from typing import Final

import structlog

from gateway.domain.outcomes import Refused

_log = structlog.get_logger()

_EVERY_NS: Final = 60_000_000_000
_MAX_STATUSES: Final = 100


class Alarms:
    """Tells of one carrier's refusals."""

    def __init__(self, carrier: str) -> None:
        self._carrier = carrier
        self._due_ns: dict[str, int] = {}

    def refused(self, outcome: Refused, *, now_ns: int) -> bool:
        """Log a refusal unless the same was told within a minute; return whether it was."""
        status = outcome.status if len(self._due_ns) < _MAX_STATUSES else "other"
        if now_ns < self._due_ns.get(status, 0):
            return False
        self._due_ns[status] = now_ns + _EVERY_NS
        _log.warning("carrier.refuses", carrier=self._carrier, status=status, bind=outcome.bind)
        return True
