"""What one way of sending came to, over several turns. Used by the benches that put systems side by side."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import process_time

NOT_OURS = ("generator", "simulator", "broker")


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def pace_ms() -> float:
    """Return the CPU milliseconds of a fixed piece of Python, the best of five: how fast this machine is just now.

    Where neighbours share the processor the same code takes up to twice as long an hour later.
    """
    best = float("inf")
    for _ in range(5):
        began = process_time()
        counts: dict[int, int] = {}
        for number in range(100_000):
            counts[number & 1023] = counts.get(number & 1023, 0) + number
        best = min(best, process_time() - began)
    return best * 1000


@dataclass
class Figures:
    """A list entry per turn; `cpu_s` is by process, in CPU seconds per 1,000 messages."""

    per_s: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    cpu_s: dict[str, list[float]] = field(default_factory=dict)

    def add(self, count: int, seconds: float, latencies_s: list[float], spent_s: Mapping[str, float]) -> None:
        """Add a turn of `count` messages; `spent_s` is CPU seconds by process."""
        self.per_s.append(count / seconds)
        self.p50_ms.append(percentile(latencies_s, 0.5) * 1000)
        self.p99_ms.append(percentile(latencies_s, 0.99) * 1000)
        for name, spent in spent_s.items():
            self.cpu_s.setdefault(name, []).append(spent / count * 1000)

    def gateway(self) -> float:
        """Return the CPU seconds per 1,000 messages of all processes that are the gateway's own: medians, added."""
        return sum(statistics.median(spent) for name, spent in self.cpu_s.items() if name not in NOT_OURS)

    def rows(self) -> dict[str, float]:
        """Return the medians by the name of their row."""
        found = {
            "messages/s": statistics.median(self.per_s),
            "request p50 ms": statistics.median(self.p50_ms),
            "request p99 ms": statistics.median(self.p99_ms),
        }
        found |= {f"CPU {name}": statistics.median(spent) for name, spent in sorted(self.cpu_s.items())}
        return found | {"CPU gateway": self.gateway()}
