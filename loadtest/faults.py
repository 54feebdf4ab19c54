"""Faults of any simulator: its knobs by name, set at start, live, or by a timeline of `{at, for, set}` steps.

Every simulator offers its knobs as `Knobs`. `apply` sets several or none; a `Timeline` says what must be set when, and a
`TimelineRun` does it on the event loop. Read by `loadtest.smsc`, `loadtest.http_carrier` and the scenarios.
"""

import asyncio
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic_ns
from typing import Any, Final, Protocol

from loadtest.delays import parse_duration_ns

MAX_STEPS: Final = 1_000
_STEP_KEYS: Final = ("at", "for", "set")


class Knobs(Protocol):
    """What a simulator can be told."""

    def standing(self) -> dict[str, Any]:
        """Return the value of each knob as `change` takes it; knobs that act once are left out."""

    def change(self, name: str, value: Any) -> Callable[[], None]:
        """Return the change that `name: value` asks for, fully checked. Raises ValueError or TypeError."""


@dataclass(frozen=True, slots=True)
class Step:
    """From `at_ns` on, for `for_ns` (None: for good), the knobs have these values."""

    at_ns: int
    for_ns: int | None
    settings: Mapping[str, Any]


def apply(knobs: Knobs, wanted: Any) -> None:
    """Set all knobs of `wanted` (name to value) or none. Raises ValueError or TypeError naming the knob."""
    if not isinstance(wanted, Mapping):
        raise TypeError(f"faults {wanted!r} are not an object of names and values")
    changes = [knobs.change(str(name), value) for name, value in wanted.items()]
    for change in changes:
        change()


def boolean(name: str, value: Any) -> bool:
    """Return a truth value. Raises TypeError naming the knob."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} {value!r} is not true or false")
    return value


def number(name: str, value: Any, *, low: float, high: float) -> float:
    """Return a number within the limits. Raises ValueError or TypeError naming the knob."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"{name} {value!r} is not a number")
    try:
        found = float(value)
    except ValueError:
        raise ValueError(f"{name} {value!r} is not a number") from None
    if not low <= found <= high:
        raise ValueError(f"{name} {value!r} is outside {low:g}..{high:g}")
    return found


# -- timelines -----------------------------------------------------------------------------------------------------------


def parse_timeline(steps: Any, *, knobs: Knobs | None = None) -> tuple[Step, ...]:
    """Return the steps of `[{"at": "3m", "for": "60s", "set": {"mps": 50}}, ...]`.

    With `knobs` every value is checked against them too. Raises ValueError naming the step, the value and the limit.
    """
    if not isinstance(steps, Sequence) or isinstance(steps, str | bytes):
        raise ValueError(f"timeline {steps!r} is not a list of steps")  # noqa: TRY004  # one error for all that is wrong
    if len(steps) > MAX_STEPS:
        raise ValueError(f"timeline has {len(steps)} steps, the limit is {MAX_STEPS}")
    found = []
    for index, step in enumerate(steps, start=1):
        try:
            found.append(_parse_step(step, knobs))
        except (ValueError, TypeError) as error:
            raise ValueError(f"timeline step {index}: {error}") from None
    return tuple(sorted(found, key=lambda step: step.at_ns))


def _parse_step(step: Any, knobs: Knobs | None) -> Step:
    if not isinstance(step, Mapping):
        raise TypeError(f"{step!r} is not an object with {', '.join(_STEP_KEYS)}")
    unknown = sorted(set(map(str, step)) - set(_STEP_KEYS))
    if unknown:
        raise ValueError(f"unknown key {', '.join(unknown)}; known: {', '.join(_STEP_KEYS)}")
    if "at" not in step or "set" not in step:
        raise ValueError("it needs at and set")
    settings = step["set"]
    if not isinstance(settings, Mapping) or not settings:
        raise TypeError(f"set {settings!r} is not an object with at least one knob")
    for_ns = None if step.get("for") is None else parse_duration_ns(str(step["for"]))
    if for_ns == 0:
        raise ValueError("for 0 would end where it starts: leave it out, or give it a length")
    if knobs is not None:
        for name, value in settings.items():
            knobs.change(str(name), value)
    return Step(parse_duration_ns(str(step["at"])), for_ns, dict(settings))


def read_timeline(text: str) -> Any:
    """Return the raw steps of a TOML file (`[[step]]` tables) or of a JSON list written out. Raises ValueError."""
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except ValueError as error:
            raise ValueError(f"timeline {text[:60]!r} is not JSON: {error}") from None
    try:
        tree = tomllib.loads(Path(text).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"timeline {text}: {error}") from None
    if set(tree) - {"step"}:
        raise ValueError(
            f"timeline {text}: unknown key {', '.join(sorted(set(tree) - {'step'}))}; known: step"
        )
    return tree.get("step", [])


class Timeline:
    """What the steps want at each moment; pure, time is an argument.

    Of the steps that cover a knob, the one that started last decides. When none covers it any more, the knob gets back
    the value it had before the first of them.
    """

    __slots__ = ("_active", "_base", "_moments", "_next", "steps")

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)
        moments: list[
            tuple[int, int, int]
        ] = []  # when, 0 ends / 1 starts, which step: an end comes before a start
        for index, step in enumerate(self.steps):
            moments.append((step.at_ns, 1, index))
            if step.for_ns is not None:
                moments.append((step.at_ns + step.for_ns, 0, index))
        self._moments = sorted(moments)
        self._next = 0
        self._active: list[int] = []
        self._base: dict[str, Any] = {}

    @property
    def next_ns(self) -> int | None:
        """When something changes next; None when nothing will."""
        return self._moments[self._next][0] if self._next < len(self._moments) else None

    def states(self) -> list[str]:
        """Return `waiting`, `active` or `done` for each step."""
        started = {index for _, is_start, index in self._moments[: self._next] if is_start}
        return [
            "active" if index in self._active else "done" if index in started else "waiting"
            for index in range(len(self.steps))
        ]

    def advance(self, elapsed_ns: int, standing: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """Return the knobs to set now, in order; `standing` are their present values."""
        changes: list[tuple[str, Any]] = []
        values = dict(standing)
        while self._next < len(self._moments) and self._moments[self._next][0] <= elapsed_ns:
            _, is_start, index = self._moments[self._next]
            self._next += 1
            made = self._start(index, values) if is_start else self._end(index)
            values.update((name, value) for name, value in made if name in standing)
            changes += made
        return changes

    def cancel(self) -> list[tuple[str, Any]]:
        """End everything; return what must be set to be as before."""
        self._next = len(self._moments)
        self._active.clear()
        restored = list(self._base.items())
        self._base.clear()
        return restored

    def _start(self, index: int, values: Mapping[str, Any]) -> list[tuple[str, Any]]:
        settings = self.steps[index].settings
        self._active.append(index)
        for name in settings:
            if name in values:
                self._base.setdefault(name, values[name])
        return list(settings.items())

    def _end(self, index: int) -> list[tuple[str, Any]]:
        self._active.remove(index)
        changes = []
        for name in self.steps[index].settings:
            if name not in self._base:
                continue  # it acted once
            covering = next((at for at in reversed(self._active) if name in self.steps[at].settings), None)
            if covering is None:
                changes.append((name, self._base.pop(name)))
            else:
                changes.append((name, self.steps[covering].settings[name]))
        return changes


class TimelineRun:
    """A timeline on the clock of the event loop, from `start` on; one timer, no task."""

    def __init__(self, knobs: Knobs, *, clock: Callable[[], int] = monotonic_ns) -> None:
        self._knobs = knobs
        self._clock = clock
        self._timeline = Timeline(())
        self._started_ns = 0
        self._timer: asyncio.TimerHandle | None = None
        self.on_change: Callable[[], None] = lambda: None

    def start(self, steps: Sequence[Step]) -> None:
        """End the timeline that runs, restoring what it had set, and begin with these steps now."""
        self.cancel()
        self._timeline = Timeline(steps)
        self._started_ns = self._clock()
        self._advance()

    def cancel(self) -> None:
        """Stop, and set the knobs as they were before."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._set(self._timeline.cancel())
        self._timeline = Timeline(())

    def report(self) -> list[dict[str, Any]]:
        """Return the steps with their state, for people."""
        return [
            {
                "at_s": step.at_ns / 1e9,
                "for_s": None if step.for_ns is None else step.for_ns / 1e9,
                "set": dict(step.settings),
                "state": state,
            }
            for step, state in zip(self._timeline.steps, self._timeline.states(), strict=True)
        ]

    def _advance(self) -> None:
        self._timer = None
        elapsed_ns = self._clock() - self._started_ns
        self._set(self._timeline.advance(elapsed_ns, self._knobs.standing()))
        next_ns = self._timeline.next_ns
        if next_ns is not None:
            # The timer of the loop may fire a clock tick early: a little later is never too early.
            delay_s = max(next_ns - (self._clock() - self._started_ns), 0) / 1e9 + 1e-4
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._advance)

    def _set(self, changes: Sequence[tuple[str, Any]]) -> None:
        for name, value in changes:
            self._knobs.change(name, value)()
        if changes:
            self.on_change()


class FaultDesk:
    """Everything that can be ordered of one simulator: at start, by timeline, and live through `knobs`.

    Raises ValueError or TypeError at once for settings or steps that cannot be.
    """

    def __init__(
        self,
        knobs: Knobs,
        *,
        settings: Mapping[str, Any],
        timeline: Any = (),
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        self.knobs = knobs
        self.timeline = TimelineRun(knobs, clock=clock)
        self._settings = settings
        self._steps = parse_timeline(timeline, knobs=knobs)
        for name, value in settings.items():
            knobs.change(name, value)

    def begin(self) -> None:
        """Set what is wanted from the start, and begin the timeline; called once the simulator listens."""
        apply(self.knobs, self._settings)
        self.timeline.start(self._steps)
