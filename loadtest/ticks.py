"""A queue of things due later, in ticks of one millisecond: one timer serves any number of them."""

from heapq import heappop, heappush
from typing import Final, Generic, TypeVar

T = TypeVar("T")

TICK_NS: Final = 1_000_000


class TickQueue(Generic[T]):
    """Items by the millisecond they are due in; appending costs one dictionary look-up, a heap entry only per tick.

    Items of one tick keep their order. Nothing comes early; at most one tick late.
    """

    __slots__ = ("_heap", "_items", "_length")

    def __init__(self) -> None:
        self._items: dict[int, list[T]] = {}
        self._heap: list[int] = []
        self._length = 0

    def __len__(self) -> int:
        """Count the items that wait."""
        return self._length

    def push(self, due_ns: int, item: T) -> None:
        """Add `item`, due at `due_ns`."""
        tick = -(-due_ns // TICK_NS)
        bucket = self._items.get(tick)
        if bucket is None:
            self._items[tick] = [item]
            heappush(self._heap, tick)
        else:
            bucket.append(item)
        self._length += 1

    def pop_due(self, now_ns: int) -> list[T]:
        """Remove and return all items whose tick has come, earliest first."""
        now_tick = now_ns // TICK_NS
        heap = self._heap
        due: list[T] = []
        while heap and heap[0] <= now_tick:
            due += self._items.pop(heappop(heap))
        self._length -= len(due)
        return due

    @property
    def next_due_ns(self) -> int | None:
        """When the earliest tick comes; None while nothing waits."""
        return self._heap[0] * TICK_NS if self._heap else None
