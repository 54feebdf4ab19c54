"""What is read in one go is handed over as if each record had been asked about."""

import asyncio
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from gateway.bus.codec import encode
from gateway.dispatch.plan import DispatchSettings
from gateway.dispatch.position import LanePosition
from gateway.dispatch.reader import LaneReader
from gateway.ports.bus import Position, Stored
from tests.support.lane_rig import CARRIER, a_message

_RANGES = st.lists(st.tuples(st.integers(1, 260), st.integers(1, 9)), max_size=4)
_VALUE = encode(a_message())
_CONTEXT: Any = SimpleNamespace(carrier=CARRIER, shard=0, bus=None, settings=DispatchSettings())


class _Sink:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def on_message(self, lane: int, offset: int, message: object) -> None:
        self.told.append(("message", lane, offset, message))

    def on_in_doubt(self, lane: int, offset: int, message: object) -> None:
        self.told.append(("in doubt", lane, offset, message))

    def on_unreadable(self, lane: int, record: Stored, error: str) -> None:
        self.told.append(("unreadable", lane, record.offset, error))

    def on_batch(self) -> None:
        self.told.append(("batch",))


def _read(start: Position, ahead: list[int], records: list[Stored]) -> tuple[list[tuple[Any, ...]], Position]:
    sink, position = _Sink(), LanePosition(start)
    for offset in ahead:
        if not position.needs_nothing(offset):
            position.take_ahead(offset)
    reader = LaneReader(_CONTEXT, sink=sink, lanes=(), limit=10)
    asyncio.run(reader._hand_over(1, position, records))
    return sink.told, position.take_changes()


@given(
    completed=_RANGES,
    claimed=_RANGES,
    ahead=st.lists(st.integers(0, 260), max_size=5),
    missing=st.sets(st.integers(0, 240), max_size=4),
    broken=st.sets(st.integers(0, 240), max_size=2),
    count=st.integers(0, 240),
)
def test_reading_in_one_go_is_reading_one_by_one(
    completed: list[tuple[int, int]],
    claimed: list[tuple[int, int]],
    ahead: list[int],
    missing: set[int],
    broken: set[int],
    count: int,
) -> None:
    start = Position(
        0,
        tuple((first, first + length) for first, length in completed),
        tuple((first, first + length) for first, length in claimed),
    )
    records = [
        Stored(offset, b"nothing" if offset in broken else _VALUE)
        for offset in range(count)
        if offset not in missing
    ]
    short = _read(start, ahead, records)
    with patch.object(LanePosition, "is_new_from", lambda *_: False):
        assert short == _read(start, ahead, records)
