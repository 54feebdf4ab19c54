"""What a carrier's own timestamps say: arrivals in windows, percentiles, memory of processes."""

from collections.abc import Sequence
from pathlib import Path

SECOND_NS = 1_000_000_000


def worst_window(arrivals_ns: Sequence[int], window_ns: int = SECOND_NS) -> int:
    """Return the largest number of arrivals in any sliding window (open at its start)."""
    worst = start = 0
    for end, at_ns in enumerate(arrivals_ns):
        while arrivals_ns[start] <= at_ns - window_ns:
            start += 1
        worst = max(worst, end - start + 1)
    return worst


def slowest_window(arrivals_ns: Sequence[int], window_ns: int) -> int | None:
    """Return the least number of arrivals in any window that begins with one; None when all lasted less than that."""
    least: int | None = None
    end = 0
    for start, at_ns in enumerate(arrivals_ns):
        if at_ns + window_ns > arrivals_ns[-1]:
            break
        while arrivals_ns[end] < at_ns + window_ns:
            end += 1
        least = end - start if least is None else min(least, end - start)
    return least


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
