"""Within how long of what a person wrote one may answer freely: the customer service window. Pure, bounded.

Used by dialects of messaging platforms; fed with what people wrote. It says "shut" only when it knows: who it has not
heard of, or not for long enough, is left to the platform.
"""

from collections import OrderedDict
from typing import Final

WINDOW_MS: Final = 24 * 3_600 * 1_000
MARGIN_MS: Final = 60_000
"""Clocks differ: this long after the window's end the platform is still asked."""
MAX_PEOPLE: Final = 500_000


class ServiceWindows:
    """When each person wrote last; times in milliseconds.

    Beyond `max_people` those are forgotten who wrote longest ago; from then on nothing is known of that time.
    """

    __slots__ = ("_as_of_ms", "_heard_ms", "_max_people", "_since_ms")

    def __init__(self, *, max_people: int = MAX_PEOPLE) -> None:
        self._max_people = max_people
        self._heard_ms: OrderedDict[str, int] = OrderedDict()
        self._since_ms: int | None = None
        self._as_of_ms = 0

    def __len__(self) -> int:
        return len(self._heard_ms)

    def hear(self, person: str, *, at_ms: int) -> None:
        """Take note that the person wrote."""
        heard = self._heard_ms
        known_ms = heard.get(person)
        if known_ms is not None and known_ms >= at_ms:
            return
        heard[person] = at_ms
        heard.move_to_end(person)
        if len(heard) > self._max_people:
            _, lost_ms = heard.popitem(last=False)
            self._since_ms = max(lost_ms + 1, self._since_ms or 0)

    def know(self, *, since_ms: int, as_of_ms: int) -> None:
        """Take note that nobody else wrote between these times."""
        self._since_ms = since_ms if self._since_ms is None else max(self._since_ms, since_ms)
        self._as_of_ms = max(self._as_of_ms, as_of_ms)

    def forget(self, *, now_ms: int) -> None:
        """Drop who wrote so long ago that it makes no difference."""
        heard, floor_ms = self._heard_ms, now_ms - WINDOW_MS - MARGIN_MS
        while heard:
            person, at_ms = next(iter(heard.items()))
            if at_ms > floor_ms:
                return
            del heard[person]

    def is_shut(self, person: str, *, asked_ms: int, now_ms: int) -> bool:
        """Return True when the person certainly did not write within the window before now.

        `asked_ms` is when we were asked to write to them: what is answered was there by then, so knowledge that is
        older than that is no knowledge.
        """
        floor_ms = now_ms - WINDOW_MS - MARGIN_MS
        if self._since_ms is None or self._since_ms > now_ms - WINDOW_MS or self._as_of_ms < asked_ms:
            return False
        return self._heard_ms.get(person, 0) <= floor_ms
