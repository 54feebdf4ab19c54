"""What a fault of a carrier was seen to do: a carrier that was never gone proves nothing about its loss. Pure.

`Watch` shows each `CarrierFault` the counts of its simulator once a second; `loadtest.running.proof` asks it at the end.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from loadtest.running.carriers import Counts

BEFORE_S: Final = 10
AFTER_S: Final = 5.0
"""What a fault does is seen so long after its end at the latest: counts are read once a second."""
TAKEN_STILL: Final = 0.1
"""Part of its rate before that a carrier which is gone may still have taken: what was on its way."""
EDGE_S: Final = 1.5

_GROWS: Final[dict[str, tuple[str, str]]] = {
    "disconnect": ("closed", "connections ended"),
    "unbind": ("closed", "connections ended"),
    "refuse_binds": ("binds_refused", "binds refused"),
    "unanswered": ("unanswered", "submits without an answer"),
    "mps": ("throttled", "submits throttled"),
    "errors": ("failed", "submits refused"),
    "disconnect_mix": ("closed", "connections ended"),
}
_GONE: Final = frozenset(("refuse", "outage"))


def _is_off(value: Any) -> bool:
    """Tell whether a knob is set to where it breaks nothing."""
    return value in (None, False, 0, "0", "none", {}, "")


class CarrierFault:
    """One event of a carrier: what its counts say that each knob did."""

    def __init__(self, at_s: float, until_s: float, knobs: Mapping[str, Any]) -> None:
        self.at_s = at_s
        self.until_s = until_s
        self._knobs = {name: value for name, value in knobs.items() if not _is_off(value)}
        self._before: deque[tuple[float, Counts]] = deque(maxlen=BEFORE_S + 1)
        self._inside: list[tuple[float, Counts]] = []
        self._last: Counts | None = None
        self._most_held = 0

    def look(self, at_s: float, counts: Counts) -> None:
        """Note what the carrier has counted `at_s` after the start of the load; later ones come later."""
        if at_s <= self.at_s or not self._before:
            self._before.append((at_s, counts))
        if self.at_s < at_s <= self.until_s + AFTER_S:
            self._last = counts
            self._most_held = max(self._most_held, counts.held)
            if self.at_s + EDGE_S <= at_s <= self.until_s:
                self._inside = [*self._inside[:1], (at_s, counts)]

    def seen(self) -> list[str]:
        """Return what was seen of each knob that did something, in words."""
        return [said for name in self._knobs if (said := self._seen(name))]

    def idle(self) -> list[str]:
        """Return the knobs of which nothing was seen."""
        return [name for name in self._knobs if not self._seen(name)]

    def _seen(self, name: str) -> str:
        if name in _GONE or (name == "silence" and self._knobs[name] == "all"):
            return self._seen_gone()
        if name == "hold_receipts":
            return f"{self._most_held} receipts held back at once" if self._most_held else ""
        if name == "silence":
            grown, words = self._grown("unanswered"), "submits without an answer"
        elif name in _GROWS:
            attribute, words = _GROWS[name]
            grown = self._grown(attribute)
        elif self._last is not None and name in self._last.fallen:
            base = self._before[-1][1].fallen.get(name, 0)
            grown, words = self._last.fallen[name] - base, f"times {name}"
        else:
            grown, words = self._grown("submits"), "submits meanwhile"
        return f"{grown} {words}" if grown > 0 else ""

    def _grown(self, attribute: str) -> int:
        if self._last is None or not self._before:
            return 0
        return int(getattr(self._last, attribute)) - int(getattr(self._before[-1][1], attribute))

    def _seen_gone(self) -> str:
        """Tell whether a carrier that took something took next to nothing any more; a short fault only ends binds."""
        before = _taken_per_s(self._before)
        if not before:
            return ""
        if len(self._inside) < 2:
            ended = self._grown("closed")
            return f"{ended} connections ended" if ended else ""
        inside = _taken_per_s(self._inside) or 0.0
        return (
            f"{inside:.0f} segments a second taken, {before:.0f} before"
            if inside <= TAKEN_STILL * before
            else ""
        )


def _taken_per_s(looks: Sequence[tuple[float, Counts]]) -> float | None:
    """Return the rate between the first look and the last; None where there is but one."""
    if len(looks) < 2 or looks[-1][0] <= looks[0][0]:
        return None
    return (looks[-1][1].taken - looks[0][1].taken) / (looks[-1][0] - looks[0][0])
