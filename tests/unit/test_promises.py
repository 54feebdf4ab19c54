"""Promises of a scenario are read strictly and judged honestly."""

import pytest

from loadtest.promises import FIGURES, judge, parse_promise, verdict


@pytest.mark.parametrize(
    ("value", "measured", "kept"),
    [
        (0, 0, True),
        (0, 1, False),
        ("<= 100ms", 0.1, True),
        ("<= 100ms", 0.1001, False),
        (">= 0.98 * target", 98, True),
        (">= 0.98 * target", 97.9, False),
        ("<= 2 %", 0.02, True),
        ("< 5", 5, False),
        ("> target", 101, True),
        ("<= 0.0005", 0.0004, True),
    ],
)
def test_a_promise_is_kept_or_not(value: object, measured: float, kept: bool):
    assert judge(parse_promise("accept_p99", value), measured, target=100).is_kept is kept


def test_what_was_not_measured_is_not_kept():
    (row,) = verdict({"lost": parse_promise("lost", 0)}, {}, target=1)
    assert (row.is_kept, row.measured, row.margin) == (False, None, None)


def test_the_margin_is_how_far_the_figure_is_inside():
    assert judge(parse_promise("accept_p99", "<= 100ms"), 0.05, target=1).margin == pytest.approx(0.5)
    assert judge(parse_promise("submitted_mps_mean", ">= target"), 110, target=100).margin == pytest.approx(
        0.1
    )
    assert judge(parse_promise("accept_p99", "<= 100ms"), 0.2, target=1).margin == pytest.approx(-1)


@pytest.mark.parametrize(
    ("figure", "value", "names"),
    [
        ("speed", 0, "speed"),
        ("lost", True, "lost = True"),
        ("lost", [0], "lost"),
        ("accept_p99", "<= quickly", "quickly"),
        ("accept_p99", "<= 100 parsecs", "100 parsecs"),
    ],
)
def test_what_is_no_promise_is_refused_by_name(figure: str, value: object, names: str):
    with pytest.raises(ValueError, match=names):
        parse_promise(figure, value)


def test_every_figure_says_what_it_means():
    assert all(len(meaning) > 20 for meaning in FIGURES.values())
