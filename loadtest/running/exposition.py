"""What a run reads of the gateway's metrics: a few names of its exposition, summed over its processes. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

_SAMPLE: Final = re.compile(r"caudal_(\w+?)(?:\{(.*)\})? (\S+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_LANE: Final = re.compile(r"lane\.(?P<carrier>.+)\.(?P<class>otp|transactional|collections|marketing)")
WANTED: Final = frozenset(
    (
        "messages_final_total",
        "queue_lag_messages",
        "queue_oldest_message_timestamp_seconds",
        "carrier_window_in_use",
        "carrier_window_size",
        "carrier_mps_limit",
        "build_info",
    )
)


@dataclass
class Reading:
    """What the gateway says of itself: `final` by process, waiting messages by class, windows and limits by carrier."""

    final: dict[str, float] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    oldest_at: float | None = None
    window_in_use: dict[str, int] = field(default_factory=dict)
    window_size: dict[str, int] = field(default_factory=dict)
    mps_limit: dict[str, float] = field(default_factory=dict)
    version: str | None = None


def samples(text: str) -> Iterable[tuple[str, dict[str, str], float]]:
    """Yield name without prefix, labels and value of each wanted sample; what cannot be read is passed over."""
    for line in text.splitlines():
        if not line.startswith("caudal_"):
            continue
        found = _SAMPLE.match(line)
        if found is None or found[1] not in WANTED:
            continue
        try:
            value = float(found[3])
        except ValueError:
            continue
        yield found[1], dict(_LABEL.findall(found[2] or "")), value


def read(pages: Mapping[str, str]) -> Reading:
    """Return what the pages of all processes say together."""
    found = Reading()
    for process, text in pages.items():
        for name, labels, value in samples(text):
            if name == "messages_final_total":
                found.final[process] = found.final.get(process, 0.0) + value
            elif name == "build_info":
                found.version = labels.get("version")
            elif name.startswith("queue_"):
                _read_queue(found, name, labels, value)
            else:
                _read_carrier(found, name, labels.get("carrier", ""), value)
    return found


def _read_queue(found: Reading, name: str, labels: Mapping[str, str], value: float) -> None:
    lane = _LANE.search(labels.get("topic") or labels.get("queue") or "")
    if lane is None:
        return
    if name == "queue_lag_messages":
        found.waiting[lane["class"]] = found.waiting.get(lane["class"], 0) + int(value)
    elif value > 0:
        found.oldest_at = value if found.oldest_at is None else min(found.oldest_at, value)


def _read_carrier(found: Reading, name: str, carrier: str, value: float) -> None:
    if name == "carrier_mps_limit":
        found.mps_limit[carrier] = value
    else:
        by = found.window_in_use if name == "carrier_window_in_use" else found.window_size
        by[carrier] = by.get(carrier, 0) + int(value)


class Growth:
    """The sum of counters that begin at 0 again when their process does."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self.total = 0.0

    def add(self, values: Mapping[str, float], *, counts_from_zero: bool = True) -> float:
        """Return how much they grew since the last call; a counter seen first counts whole, or not at all."""
        grown = 0.0
        for name, value in values.items():
            last = self._last.get(name)
            if last is None:
                grown += value if counts_from_zero else 0.0
            else:
                grown += value - last if value >= last else value
            self._last[name] = value
        self.total += grown
        return grown
