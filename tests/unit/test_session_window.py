"""The sliding window: hard bound, sequence numbers, FIFO timeouts, late answers."""

import pytest

from adapters.smpp.session.window import MAX_SEQUENCE, Window, WindowFullError

ANSWER = 0x80000004


def a_window(**options) -> Window:
    return Window(**{"slots": 3, "timeout_ns": 100, **options})


def test_h2_the_window_never_grants_more_than_its_slots():
    window = a_window()
    for context in "abc":
        window.open(ANSWER, context=context, now_ns=0)
    assert window.free_slots == 0
    with pytest.raises(WindowFullError, match="3 slots"):
        window.open(ANSWER, context="d", now_ns=0)


def test_h3_answers_out_of_order_find_their_own_request():
    window = a_window()
    first, second = (window.open(ANSWER, context=context, now_ns=0) for context in "ab")
    assert window.settle(second, ANSWER).context == "b"
    assert window.settle(first, ANSWER).context == "a"
    assert window.free_slots == 3


def test_h4_sequence_wraps_to_one_and_skips_numbers_still_outstanding():
    window = a_window(first_sequence=1)
    assert window.open(ANSWER, context="old", now_ns=0) == 1
    window._next = MAX_SEQUENCE
    assert window.open(ANSWER, context="last", now_ns=0) == MAX_SEQUENCE
    assert window.next_sequence == 1
    assert window.open(ANSWER, context="next", now_ns=0) == 2


def test_h4_sequence_skips_numbers_whose_answer_may_still_come_late():
    window = a_window(slots=1)
    assert window.open(ANSWER, context="slow", now_ns=0) == 1
    window.expire(100)
    window._next = 1
    assert window.open(ANSWER, context="new", now_ns=100) == 2


def test_h6_a_mismatched_answer_type_settles_nothing():
    window = a_window()
    number = window.open(ANSWER, context="a", now_ns=0)
    assert window.settle(number, 0x80000003) is None
    assert window.settle(number + 1, ANSWER) is None
    assert window.free_slots == 2


def test_h8_expiry_is_first_in_first_out_and_frees_each_slot_once():
    window = a_window()
    for now_ns, context in ((0, "a"), (10, "b"), (20, "c")):
        window.open(ANSWER, context=context, now_ns=now_ns)
    assert window.next_deadline_ns() == 100
    assert window.expire(99) == []
    assert [request.context for _, request in window.expire(110)] == ["a", "b"]
    assert window.expire(110) == []
    assert window.free_slots == 2
    assert window.next_deadline_ns() == 120


def test_h8_a_late_answer_is_found_once_and_frees_no_second_slot():
    window = a_window()
    number = window.open(ANSWER, context="a", now_ns=0)
    window.expire(100)
    assert window.settle(number, ANSWER) is None
    assert window.settle_late(number, ANSWER).context == "a"
    assert window.settle_late(number, ANSWER) is None
    assert window.free_slots == 3


def test_the_memory_of_late_answers_is_bounded_and_forgets_the_oldest():
    window = a_window(slots=10, late_slots=2)
    numbers = [window.open(ANSWER, context=n, now_ns=0) for n in range(5)]
    window.expire(100)
    assert list(window.late) == numbers[-2:]


def test_no_memory_of_late_answers_when_it_has_no_room():
    window = a_window(late_slots=0)
    window.open(ANSWER, context="a", now_ns=0)
    assert len(window.expire(100)) == 1
    assert window.late == {}


def test_drain_gives_back_everything_oldest_first():
    window = a_window()
    for context in "ab":
        window.open(ANSWER, context=context, now_ns=0)
    assert [request.context for _, request in window.drain()] == ["a", "b"]
    assert window.free_slots == 3
    assert window.next_deadline_ns() is None


@pytest.mark.parametrize("options", [{"slots": 0}, {"timeout_ns": 0}, {"late_slots": -1}])
def test_senseless_bounds_are_refused(options):
    with pytest.raises(ValueError, match="window needs"):
        a_window(**options)
