"""The watermark of one partition: what is committed, what is skipped after a restart, what is in doubt."""

import pytest

from gateway.bus.watermark import Watermark
from gateway.ports.bus import Position


def test_in_order_work_moves_the_offset_and_leaves_no_ranges():
    mark = Watermark(Position(10))
    for offset in range(10, 15):
        mark.take(offset)
        assert mark.done(offset)
    assert mark.position() == Position(15)
    assert mark.pending == 0


def test_work_done_above_an_open_head_is_kept_as_ranges():
    mark = Watermark(Position(0))
    for offset in range(8):
        mark.take(offset)
    for offset in (2, 3, 6, 5):
        mark.done(offset)
    assert mark.position() == Position(0, ((2, 4), (5, 7)), ((0, 2), (4, 5), (7, 8)))


def test_closing_a_gap_joins_both_neighbours():
    mark = Watermark(Position(0))
    for offset in (1, 3, 2):
        mark.done(offset)
    assert mark.position().completed == ((1, 4),)


def test_the_head_swallows_what_was_done_behind_it():
    mark = Watermark(Position(0, ((1, 5), (7, 9))))
    mark.done(0)
    assert mark.position() == Position(5, ((7, 9),))


def test_done_twice_changes_nothing():
    mark = Watermark(Position(0))
    assert mark.done(4)
    assert not mark.done(4)
    assert mark.done(0)
    assert not mark.done(0)
    assert mark.position() == Position(1, ((4, 5),))


def test_a_restart_skips_what_is_done():
    mark = Watermark(Position(3, ((5, 7),)))
    assert [offset for offset in range(9) if not mark.is_done(offset)] == [3, 4, 7, 8]


def test_a_restart_knows_what_was_in_hand_without_an_outcome():
    mark = Watermark(Position(3, ((5, 7),), ((3, 6), (8, 9))))
    assert mark.in_doubt == (3, 4, 8)
    assert mark.is_in_doubt(4)
    assert not mark.is_in_doubt(5)
    mark.done(4)
    assert mark.in_doubt == (3, 8)
    assert mark.position() == Position(3, ((4, 7),), ((3, 4), (8, 9)))


def test_what_is_taken_now_is_claimed_but_not_in_doubt():
    mark = Watermark(Position(0))
    mark.take(0)
    assert mark.position().claimed == ((0, 1),)
    assert mark.in_doubt == ()


def test_claims_of_an_earlier_owner_below_its_offset_are_forgotten():
    assert Watermark(Position(5, (), ((3, 5),))).position() == Position(5)


def test_touching_and_overlapping_restored_ranges_are_joined():
    assert Watermark(Position(2, ((0, 3), (5, 7), (7, 9), (6, 8)))).position() == Position(3, ((5, 9),))


def test_taking_a_done_or_taken_offset_is_refused():
    mark = Watermark(Position(5))
    mark.take(6)
    for offset in (4, 6):
        with pytest.raises(ValueError, match=f"offset {offset}"):
            mark.take(offset)


def test_the_number_in_hand_is_bounded():
    mark = Watermark(Position(0), max_pending=2)
    mark.take(0)
    assert not mark.is_full
    mark.take(1)
    assert mark.is_full
    with pytest.raises(ValueError, match="limit is 2"):
        mark.take(2)


def test_too_many_ranges_make_it_full_until_the_head_moves():
    mark = Watermark(Position(0), max_ranges=2)
    mark.done(2)
    mark.done(4)
    assert mark.is_full
    mark.done(1)
    mark.done(0)
    assert not mark.is_full
    assert mark.position() == Position(3, ((4, 5),))


def test_skipping_what_retention_dropped_moves_the_offset_through_done_ranges():
    mark = Watermark(Position(0, ((4, 8), (10, 12)), ((1, 2), (9, 10))))
    mark.skip_to(6)
    assert mark.position() == Position(8, ((10, 12),), ((9, 10),))
    mark.skip_to(3)
    assert mark.offset == 8


def test_skipping_to_the_edge_of_a_range_swallows_it():
    mark = Watermark(Position(0, ((4, 8),)))
    mark.skip_to(4)
    assert mark.position() == Position(8)


def test_the_next_record_to_do_lies_behind_what_is_done():
    mark = Watermark(Position(3, ((5, 8), (10, 11))))
    assert [mark.next_undone(offset) for offset in (0, 3, 4, 5, 7, 8, 10, 11, 50)] == [
        3,
        3,
        4,
        8,
        8,
        8,
        11,
        11,
        50,
    ]
    assert Watermark(Position(3)).next_undone(9) == 9
    assert mark.range_count == 2
