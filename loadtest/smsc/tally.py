"""What the simulator counts: reset with the record, read by `GET /stats`."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from adapters.smpp.wire import constants as c


@dataclass(slots=True)
class Tally:
    """Counts since the last reset.

    `unanswered` are submits that will never get a response; `max_outstanding` is the most requests of one session
    that were open at once, those included (an ESME that times out may open more, rightly).
    """

    submits: int = 0
    unanswered: int = 0
    max_outstanding: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    binds: Counter[str] = field(default_factory=Counter)
    closes: Counter[str] = field(default_factory=Counter)
    receipts_sent: int = 0
    receipts_acknowledged: int = 0
    receipts_refused: int = 0
    receipts_requeued: int = 0
    receipts_dropped: int = 0

    def report(self) -> dict[str, Any]:
        """Return the counts with statuses by name."""
        return {
            "submits": self.submits,
            "unanswered": self.unanswered,
            "max_outstanding": self.max_outstanding,
            "statuses": {c.status_name(status): count for status, count in sorted(self.statuses.items())},
            "binds": dict(self.binds),
            "closes": dict(self.closes),
            "receipts": {
                "sent": self.receipts_sent,
                "acknowledged": self.receipts_acknowledged,
                "refused": self.receipts_refused,
                "requeued": self.receipts_requeued,
                "dropped": self.receipts_dropped,
            },
        }
