"""Timelines of faults: how they are read, and what they set when."""

from typing import Any

import pytest

from loadtest.faults import MAX_STEPS, FaultDesk, Timeline, apply, number, parse_timeline, read_timeline

SECOND_NS = 1_000_000_000


class Lamp:
    """Knobs of a lamp: brightness 0 to 100, a colour, and a flash that acts once."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {"brightness": 10, "colour": "white"}
        self.flashes = 0

    def standing(self) -> dict[str, Any]:
        return dict(self.values)

    def change(self, name: str, value: Any) -> Any:
        if name == "flash":
            return self._flash
        if name not in self.values:
            raise ValueError(f"fault {name!r} is not one of brightness, colour, flash")
        if name == "brightness":
            value = number(name, value, low=0, high=100)
        return lambda: self.values.__setitem__(name, value)

    def _flash(self) -> None:
        self.flashes += 1


def run(steps: Any, *instants_s: float) -> list[dict[str, Any]]:
    """Return the values of a lamp after each of these instants."""
    lamp = Lamp()
    timeline = Timeline(parse_timeline(steps, knobs=lamp))
    seen = []
    for at_s in instants_s:
        for name, value in timeline.advance(int(at_s * SECOND_NS), lamp.standing()):
            lamp.change(name, value)()
        seen.append({**lamp.values, "flashes": lamp.flashes})
    return seen


def test_a_step_sets_a_knob_for_its_time_and_gives_back_what_was():
    seen = run([{"at": "2s", "for": "3s", "set": {"brightness": 90}}], 1.9, 2, 4.9, 5)
    assert [one["brightness"] for one in seen] == [10, 90, 90, 10]


def test_a_step_without_for_stays():
    assert run([{"at": "1s", "set": {"colour": "red"}}], 1, 100)[-1]["colour"] == "red"


def test_of_two_steps_over_one_knob_the_later_start_decides_and_the_first_value_comes_back():
    steps = [
        {"at": "1s", "for": "10s", "set": {"brightness": 20}},
        {"at": "2s", "for": "2s", "set": {"brightness": 30}},
        {"at": "5s", "for": "20s", "set": {"brightness": 40}},
    ]
    seen = run(steps, 1, 2, 4, 5, 11, 25)
    assert [one["brightness"] for one in seen] == [20, 30, 20, 40, 40, 10]


def test_what_acts_once_is_not_given_back():
    seen = run([{"at": "1s", "for": "1s", "set": {"flash": True}}], 1, 2, 3)
    assert [one["flashes"] for one in seen] == [1, 1, 1]


def test_a_step_whose_whole_time_was_slept_through_changes_nothing_that_lasts():
    assert run([{"at": "1s", "for": "1s", "set": {"brightness": 90}}], 10)[0]["brightness"] == 10


def test_cancelling_gives_back_what_was():
    lamp = Lamp()
    timeline = Timeline(parse_timeline([{"at": "0", "for": "9s", "set": {"brightness": 1}}]))
    for name, value in timeline.advance(0, lamp.standing()):
        lamp.change(name, value)()
    assert lamp.values["brightness"] == 1
    assert timeline.cancel() == [("brightness", 10)]
    assert timeline.next_ns is None


def test_the_states_of_steps_can_be_read():
    timeline = Timeline(
        parse_timeline([{"at": f"{n}s", "for": "1s", "set": {"colour": "red"}} for n in range(3)])
    )
    timeline.advance(int(1.5 * SECOND_NS), {"colour": "white"})
    assert timeline.states() == ["done", "active", "waiting"]


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ({"at": "1s"}, "is not a list of steps"),
        (["soon"], "step 1: 'soon' is not an object"),
        ([{"at": "1s"}], "step 1: it needs at and set"),
        ([{"at": "1", "set": {"colour": "red"}}], "step 1: duration '1' is not a number with a unit"),
        ([{"at": "25h", "set": {"colour": "red"}}], "duration '25h' is above the limit of 86400 s"),
        ([{"at": "1s", "for": "0", "set": {"colour": "red"}}], "for 0 would end where it starts"),
        ([{"at": "1s", "set": {}}], "set {} is not an object with at least one knob"),
        ([{"at": "1s", "set": {"colour": "red"}, "until": "2s"}], "unknown key until; known: at, for, set"),
        ([{"at": "1s", "set": {"sound": 1}}], "fault 'sound' is not one of brightness, colour, flash"),
        (
            [{"at": "0", "set": {"colour": "red"}}, {"at": "1s", "set": {"brightness": 101}}],
            "step 2: brightness 101 is outside 0..100",
        ),
        ([{"at": "1s", "set": {"brightness": True}}], "brightness True is not a number"),
        ([{"at": "1s", "set": {"colour": "red"}}] * (MAX_STEPS + 1), f"the limit is {MAX_STEPS}"),
    ],
)
def test_a_bad_timeline_is_refused_naming_the_step_the_value_and_the_limit(steps, why):
    with pytest.raises(ValueError) as caught:
        parse_timeline(steps, knobs=Lamp())
    assert why in str(caught.value)


def test_a_timeline_is_read_from_toml_and_from_json(tmp_path):
    file = tmp_path / "faults.toml"
    file.write_text('[[step]]\nat = "1s"\nfor = "2s"\nset = {brightness = 5}\n')
    from_json = read_timeline('[{"at": "1s", "for": "2s", "set": {"brightness": 5}}]')
    assert parse_timeline(read_timeline(str(file))) == parse_timeline(from_json)


@pytest.mark.parametrize(
    ("text", "why"),
    [("[1,", "is not JSON"), ("no/such.toml", "no/such.toml"), ("{bad}", "unknown key steps; known: step")],
)
def test_a_timeline_that_cannot_be_read_says_why(text, why, tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text("steps = 1\n")
    with pytest.raises(ValueError) as caught:
        read_timeline(text.replace("{bad}", str(bad)))
    assert why in str(caught.value)


def test_all_knobs_are_set_or_none():
    lamp = Lamp()
    with pytest.raises(ValueError, match=r"brightness 900 is outside 0\.\.100"):
        apply(lamp, {"colour": "red", "brightness": 900})
    assert lamp.values["colour"] == "white"


def test_what_cannot_be_is_refused_before_anything_starts():
    with pytest.raises(ValueError, match="sound"):
        FaultDesk(Lamp(), settings={"sound": 1})
    with pytest.raises(ValueError, match="step 1"):
        FaultDesk(Lamp(), settings={}, timeline=[{"at": "0", "set": {"sound": 1}}])
