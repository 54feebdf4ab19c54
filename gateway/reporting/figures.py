"""From sums to the figures that people read: ratios, delays at percentiles, objectives. Pure.

The definitions are those of contracts; deploy/docs/reports.md says them in full.
"""

from collections.abc import Sequence
from typing import Any, Final

from gateway.ports.report_store import Sums
from gateway.reporting.fold import RECEIPT_BOUNDS_MS, SUBMIT_BOUNDS_MS

STATES: Final = (
    "scheduled",
    "queued",
    "submitted",
    "delivered",
    "undeliverable",
    "rejected",
    "expired",
    "failed",
    "cancelled",
    "unknown",
)
FINALS: Final = STATES[3:]
_PERCENTILES: Final = (("p50_s", 0.5), ("p95_s", 0.95), ("p99_s", 0.99))


def figures(sums: Sums, *, with_cost: bool) -> dict[str, Any]:
    """Return the figures of a group as the API shows them; None where there is nothing to divide by.

    What segments cost us is for operators alone.
    """
    finals = sum([getattr(sums, name) for name in FINALS])
    shown: dict[str, Any] = {
        "messages": sums.messages,
        "segments": sums.segments,
        "sent": sums.sent,
        "states": {name: getattr(sums, name) for name in STATES},
        "partial": sums.partial,
        "retried": sums.retried,
        "delivery_ratio": _ratio(sums.delivered, finals),
        "submit_delay": _delay(sums.submit_delays, SUBMIT_BOUNDS_MS),
        "receipt_delay": _delay(sums.receipt_delays, RECEIPT_BOUNDS_MS),
        "sla": {"timely": sums.timely, "of": sums.timed, "attained": _ratio(sums.timely, sums.timed)},
        "replies": sums.replies,
    }
    if with_cost:
        shown["cost"] = format(sums.cost.normalize(), "f") if sums.cost else "0"
        shown["billed_segments"] = sums.billed_segments
        shown["unpriced_segments"] = sums.unpriced_segments
    return shown


def percentile(counts: Sequence[int], bounds_ms: Sequence[int], share: float) -> float | None:
    """Return the delay in seconds that `share` of the values are within, interpolated in its bucket.

    What is above the last bound counts as being there.
    """
    total = sum(counts)
    if not total:
        return None
    wanted, seen, lower = share * total, 0, 0
    for count, upper in zip(counts, bounds_ms, strict=False):
        if count and seen + count >= wanted:
            return round((lower + (upper - lower) * (wanted - seen) / count) / 1000, 3)
        seen += count
        lower = upper
    return bounds_ms[-1] / 1000


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _delay(counts: Sequence[int], bounds_ms: Sequence[int]) -> dict[str, Any]:
    shown: dict[str, Any] = {"of": sum(counts)}
    for name, share in _PERCENTILES:
        shown[name] = percentile(counts, bounds_ms, share)
    return shown
