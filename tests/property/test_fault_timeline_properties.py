"""Timelines of faults against their definition: of the steps that cover a knob, the one that started last decides."""

from hypothesis import given
from hypothesis import strategies as st

from loadtest.faults import Step, Timeline

STEPS = st.lists(
    st.builds(
        Step,
        at_ns=st.integers(0, 20),
        for_ns=st.none() | st.integers(1, 20),
        settings=st.fixed_dictionaries(
            {}, optional={"brightness": st.integers(20, 90), "colour": st.text("abc", min_size=1, max_size=1)}
        ),
    ),
    max_size=8,
)


@given(STEPS, st.lists(st.integers(0, 45), max_size=12))
def test_at_any_time_the_step_that_started_last_decides(steps, instants):
    steps = sorted(steps, key=lambda step: step.at_ns)
    values: dict[str, object] = {"brightness": 10, "colour": "white"}
    timeline = Timeline(steps)
    for now in [*sorted(instants), 50]:
        for name, value in timeline.advance(now, dict(values)):
            values[name] = value
        for name, before in (("brightness", 10), ("colour", "white")):
            covering = [
                step.settings[name]
                for step in steps
                if name in step.settings
                and step.at_ns <= now
                and (step.for_ns is None or now < step.at_ns + step.for_ns)
            ]
            assert values[name] == (covering[-1] if covering else before)
