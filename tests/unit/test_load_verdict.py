"""PASS, FAIL and INVALID: when a run proves something, and what."""

from dataclasses import replace

import pytest

from loadtest.promises import Row, judge, parse_promise
from loadtest.running.verdict import Conditions, judge_run

GOOD = Conditions(offered=1_000, sent=1_000, lateness_p99_s=0.004)
LATE = replace(GOOD, lateness_p99_s=0.051)
SHORT = replace(GOOD, sent=989)
UNFELT = replace(GOOD, unfelt=("the fault at 60 s had no effect",))
STARVED = replace(GOOD, foreign=0.6, idle=0.02)


def row(figure: str, promise: object, measured: float | None) -> Row:
    return judge(parse_promise(figure, promise), measured, target=1_000)


KEPT = row("accept_p99", "<= 100ms", 0.05)
SLOW = row("accept_p99", "<= 100ms", 0.2)
LOST = row("lost", 0, 3)
UNKNOWN = row("callbacks_missing", 0, None)


@pytest.mark.parametrize(
    ("rows", "conditions", "verdict", "words"),
    [
        ([KEPT], GOOD, "PASS", "The promise was kept"),
        ([], GOOD, "PASS", "promises nothing"),
        ([SLOW], GOOD, "FAIL", "accept_p99 is 0.2 s, promised is <= 0.1 s"),
        ([KEPT, UNKNOWN], GOOD, "FAIL", "callbacks_missing was not measured"),
        ([KEPT], LATE, "INVALID", "51 ms after they were due"),
        ([KEPT], SHORT, "INVALID", "sent 989 of 1000"),
        ([KEPT], STARVED, "PASS", "kept"),
        ([SLOW], STARVED, "INVALID", "busy with other programs"),
        ([KEPT], UNFELT, "INVALID", "The fault at 60 s had no effect."),
        ([SLOW], UNFELT, "FAIL", "accept_p99 is 0.2 s"),
        ([KEPT], replace(LATE, unfelt=UNFELT.unfelt), "INVALID", "51 ms after they were due"),
        ([UNKNOWN], STARVED, "FAIL", "not measured"),
        ([KEPT], replace(GOOD, trouble="the target is not there"), "INVALID", "The target is not there."),
        ([KEPT], replace(GOOD, aborted="the run was aborted"), "FAIL", "The run was aborted."),
    ],
)
def test_a_run_is_judged_by_its_promises_and_by_what_it_was_made_under(
    rows: list[Row], conditions: Conditions, verdict: str, words: str
) -> None:
    said, reasons = judge_run(rows, conditions)
    assert said == verdict
    assert words in reasons[0]


@pytest.mark.parametrize("conditions", [GOOD, LATE, SHORT, STARVED])
def test_what_is_lost_is_lost_however_late_the_generator_was(conditions: Conditions) -> None:
    said, reasons = judge_run([LOST, SLOW], conditions)
    assert said == "FAIL"
    assert reasons[0].startswith("lost is 3, promised is == 0")


def test_a_fault_that_did_nothing_is_told_beside_the_promise_that_was_missed() -> None:
    assert judge_run([SLOW], UNFELT)[1][1:] == ["The fault at 60 s had no effect."]


def test_a_failed_run_says_what_the_generator_noted() -> None:
    _, reasons = judge_run([SLOW], replace(GOOD, refusals={"HTTP 503": 7, "TimeoutError": 9}))
    assert reasons[1:] == [
        "The generator noted 9 times: TimeoutError.",
        "The generator noted 7 times: HTTP 503.",
    ]


def test_messages_that_were_due_and_not_sent_after_an_abort_are_no_doubt() -> None:
    said, _ = judge_run([KEPT], replace(SHORT, aborted="the run was aborted"))
    assert said == "FAIL"
