"""Arrivals of a load: as many as the stages say, in order, at the rate of their time."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.arrivals import Load, Stage

rates = st.floats(min_value=1, max_value=300)
durations = st.floats(min_value=0.5, max_value=5)


@st.composite
def loads(draw: st.DrawFn) -> Load:
    levels = draw(st.lists(rates, min_size=2, max_size=5))
    return Load([Stage(before, after, draw(durations)) for before, after in pairwise(levels)])


@given(loads(), st.integers(1, 100))
def test_uniform_arrivals_are_exactly_what_the_stages_offer(load: Load, batch: int):
    due = list(load.due(arrivals="uniform", batch=batch, seed=1))
    assert due == sorted(due)
    assert abs(len(due) * batch - load.messages) <= batch
    assert not due or 0 <= due[0] <= due[-1] <= load.duration_s + 1e-6


@given(loads(), st.integers(0, 9))
def test_poisson_arrivals_stay_near_what_the_stages_offer(load: Load, seed: int):
    due = list(load.due(arrivals="poisson", batch=1, seed=seed))
    assert due == sorted(due)
    assert due == list(load.due(arrivals="poisson", batch=1, seed=seed)), "a seed repeats a load"
    assert abs(len(due) - load.messages) <= 8 * max(load.messages, 1) ** 0.5 + 8


@given(rates, rates, durations, st.floats(0, 1))
def test_a_stage_inverts_its_own_count(before: float, after: float, duration_s: float, share: float):
    stage = Stage(before, after, duration_s)
    at_s = share * duration_s
    assert stage.time_of(stage.count(at_s)) == pytest.approx(at_s, rel=1e-6, abs=1e-6)


def test_a_ramp_from_nothing_begins_slowly():
    load = Load([Stage(0, 100, 10), Stage(100, 100, 5), Stage(100, 0, 1)])
    due = list(load.due(arrivals="uniform", batch=1, seed=0))
    assert sum(at < 1 for at in due) == 5
    assert sum(9 <= at < 10 for at in due) == 95
    assert sum(10 <= at < 11 for at in due) == 100
    assert load.steady() == [(10, 15, 100)]
    assert (load.rate_at(5), load.rate_at(12), load.rate_at(99)) == (50, 100, 0)
