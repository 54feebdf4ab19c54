"""Property 9: the committed offset never passes an unfinished one; both are equal when all finish, in any order."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.bus.watermark import Watermark
from gateway.ports.bus import Position

START = 7


@given(st.integers(1, 60).flatmap(lambda count: st.permutations(range(START, START + count))))
def test_offset_never_passes_an_unfinished_one(order):
    mark = Watermark(Position(START))
    unfinished = set(order)
    for offset in order:
        mark.take(offset)
    for offset in order:
        mark.done(offset)
        unfinished.discard(offset)
        assert all(offset >= mark.offset for offset in unfinished)
        assert all(mark.is_done(offset) != (offset in unfinished) for offset in order)
        assert mark.pending == len(unfinished)
    assert mark.position() == Position(START + len(order))


@given(st.sets(st.integers(0, 80)), st.sets(st.integers(0, 80)))
def test_a_position_says_all_there_is_to_know(taken, done):
    mark = Watermark(Position(0))
    for offset in sorted(taken):
        mark.take(offset)
    for offset in done:
        mark.done(offset)
    stored = mark.position()
    again = Watermark(stored)
    assert again.position() == stored
    assert {offset for offset in range(90) if again.is_done(offset)} == done
    assert set(again.in_doubt) == taken - done


@given(st.sets(st.integers(0, 80)), st.sets(st.integers(0, 80)), st.integers(0, 80))
def test_ranges_are_ascending_apart_and_above_the_offset(taken, done, skipped):
    mark = Watermark(Position(0))
    for offset in taken:
        mark.take(offset)
    for offset in done:
        mark.done(offset)
    mark.skip_to(skipped)
    position = mark.position()
    assert position.offset >= skipped
    floor = position.offset
    for start, end in position.completed:
        assert floor < start < end
        floor = end
    assert all(start >= position.offset and start < end for start, end in position.claimed)
    finished = done | set(range(skipped))
    assert {offset for offset in range(90) if mark.is_done(offset)} == finished
