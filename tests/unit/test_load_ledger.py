"""The conservation ledger: what is lost, stuck, doubled, out of order, untold."""

import pytest

from loadtest.ledger import MAX_EXAMPLES, NEVER, Accepted, Ended, Taken, Times, Told, reconcile

A, B, C = "525512345678", "525512345679", "56987654321"


def accepted(number: int, recipient: str = A, **more: object) -> Accepted:
    return Accepted(f"m{number}", number * 10, recipient, f"k{number}", **more)


def test_a_run_in_which_all_went_well_has_no_findings():
    messages = [accepted(n, recipient) for n, recipient in enumerate((A, B, A, C))]
    result = reconcile(
        messages,
        [Taken(f"k{n}", 100 + n) for n in range(4)],
        [Ended(f"m{n}", 200) for n in range(4)],
        [Told(f"m{n}", 210) for n in range(4)],
        wants_callbacks=True,
        late_after_ns=1_000,
    )
    report = result.report()
    assert {name for name, value in report.items() if isinstance(value, dict) and value["count"]} == set()
    assert (result.accepted, result.taken_segments, result.ended, result.told) == (4, 4, 4, 4)


def test_what_no_carrier_got_and_nobody_ended_is_lost_and_what_a_carrier_got_is_stuck():
    result = reconcile(
        [accepted(1), accepted(2), accepted(3)], [Taken("k2", 30)], [Ended("m3", 40, was_sent=False)]
    )
    assert result.lost.examples == ["m1"]
    assert result.stuck.examples == ["m1", "m2"]
    assert result.accepted == result.ended + result.stuck.count


def test_what_a_fault_left_in_doubt_is_stuck_and_not_lost() -> None:
    result = reconcile([accepted(1), accepted(2)], [], [], in_doubt={"m1"})
    assert (result.in_doubt.examples, result.lost.examples) == (["m1"], ["m2"])
    assert result.stuck.examples == ["m1", "m2"]


@pytest.mark.parametrize(
    ("message_class", "is_fault", "found"),
    [
        ("otp", True, "duplicated_by_fault"),
        ("otp", False, "duplicated"),
        ("marketing", True, "duplicated"),
        ("marketing", False, "duplicated"),
    ],
)
def test_a_repeat_is_excused_only_by_a_fault_and_for_classes_that_may_double(message_class, is_fault, found):
    result = reconcile(
        [accepted(1, message_class=message_class)],
        [Taken("k1", 20), Taken("k1", 50), Taken("k1", 60)],
        [Ended("m1", 70)],
        is_excused=lambda at_ns: is_fault and 40 <= at_ns <= 55,
    )
    counts = {name: getattr(result, name).count for name in ("duplicated", "duplicated_by_fault")}
    assert counts == {"duplicated": 0, "duplicated_by_fault": 0} | {found: 1}


def test_segments_are_counted_each_for_itself():
    messages = [accepted(1, segment_count=2), accepted(2, B, segment_count=2)]
    taken = [Taken("k1", 30, 1), Taken("k1", 31, 2), Taken("k2", 32, 1)]
    result = reconcile(messages, taken, [Ended("m1", 40), Ended("m2", 40)])
    assert (result.incomplete.examples, result.duplicated.count) == (["m2"], 0)


def test_a_message_that_was_delivered_without_a_carrier_is_invented():
    result = reconcile([accepted(1), accepted(2)], [], [Ended("m1", 30), Ended("m2", 30, was_sent=False)])
    assert result.invented.examples == ["m1"]


def test_the_order_of_a_recipient_is_that_of_acceptance_within_a_class():
    messages = [
        accepted(1),
        accepted(2),
        accepted(3),
        accepted(4, message_class="otp"),
        accepted(5, B),
    ]
    taken = [Taken("k5", 60), Taken("k4", 70), Taken("k2", 80), Taken("k1", 90), Taken("k3", 100)]
    result = reconcile(messages, taken, [])
    assert result.wrong_order.examples == ["m1"]


def test_late_untold_repeated_and_unclaimed_are_found():
    result = reconcile(
        [accepted(1), accepted(2, B), accepted(1)],
        [Taken("k1", 200), Taken("k9", 20)],
        [Ended("m1", 210), Ended("m2", 30, was_sent=False), Ended("m9", 30)],
        [Told("m1", 220), Told("m1", 230), Told("m8", 230)],
        wants_callbacks=True,
        late_after_ns=100,
    )
    assert result.late.examples == ["m1"]
    assert result.callbacks_missing.examples == ["m2"]
    assert result.callbacks_repeated.examples == ["m1"]
    assert result.unclaimed.examples == ["k9", "m9", "m8"]
    assert result.accepted_twice.examples == ["m1"]


def test_examples_are_the_first_and_bounded():
    result = reconcile([accepted(n) for n in range(100)], [], [])
    assert (result.lost.count, result.lost.examples) == (100, [f"m{n}" for n in range(MAX_EXAMPLES)])


def test_requests_that_were_open_at_once_have_no_order_and_those_of_one_request_have() -> None:
    def two(first: tuple[int, int], second: tuple[int, int], *, taken: tuple[int, int]) -> list[str]:
        messages = [
            Accepted(f"m{n}", at, A, f"k{n}", sent_ns=sent) for n, (sent, at) in enumerate((first, second))
        ]
        segments = [Taken(f"k{n}", at) for n, at in enumerate(taken)]
        return reconcile(messages, segments, []).wrong_order.examples

    assert two((0, 50), (40, 90), taken=(200, 150)) == []  # the second left before the first was answered
    assert two((0, 50), (60, 90), taken=(200, 150)) == ["m0"]
    assert two((0, 50), (60, 90), taken=(150, 200)) == []
    assert two((0, 50), (0, 50), taken=(200, 150)) == ["m0"]
    assert two((0, 50), (0, 50), taken=(150, 200)) == []


def test_one_that_waits_for_days_is_overtaken_by_many_and_counted_once() -> None:
    messages = [accepted(n) for n in range(5)]
    taken = [Taken("k0", 900), *(Taken(f"k{n}", 100 + n) for n in range(1, 5))]
    assert reconcile(messages, taken, []).wrong_order.examples == ["m0"]


def test_the_times_of_each_message_can_be_observed() -> None:
    seen: list[Times] = []
    reconcile(
        [accepted(1, message_class="otp", segment_count=2), accepted(2)],
        [Taken("k1", 30, 1, 60), Taken("k1", 35, 2, 80)],
        [],
        [Told("m1", 95), Told("m1", 99)],
        observe=seen.append,
    )
    assert seen == [Times("otp", 10, 30, 80, 95), Times("transactional", 20, NEVER, NEVER, NEVER)]


def test_what_the_gateway_shows_to_wait_is_stuck_and_not_lost() -> None:
    result = reconcile([accepted(1), accepted(2)], [], [], still_waiting={"m1"})
    assert (result.stuck.examples, result.lost.examples) == (["m1", "m2"], ["m2"])
