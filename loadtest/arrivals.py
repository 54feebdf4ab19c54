"""When each request of a load is due: an open loop, whose arrivals do not wait for answers.

Pure. A stage changes the rate on a straight line or holds it; arrivals follow the rate evenly or as a Poisson process,
which is the same stretched: the k-th arrival is due when the expected number of arrivals reaches k - 1/2, or the sum of
k exponential draws.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

Arrivals = Literal["uniform", "poisson"]
MAX_RATE_PER_S: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a load: from the rate before to `rate_per_s` (messages a second) within `duration_s`."""

    start_per_s: float
    rate_per_s: float
    duration_s: float

    def count(self, elapsed_s: float) -> float:
        """Return how many messages are expected in its first `elapsed_s` seconds."""
        slope = (self.rate_per_s - self.start_per_s) / self.duration_s
        return self.start_per_s * elapsed_s + slope * elapsed_s * elapsed_s / 2

    def time_of(self, count: float) -> float:
        """Return the seconds into the stage at which `count` messages are expected."""
        slope = (self.rate_per_s - self.start_per_s) / self.duration_s
        if abs(slope) < 1e-12:
            return count / self.start_per_s
        root = math.sqrt(max(0.0, self.start_per_s**2 + 2 * slope * count))
        # The form that does not subtract two numbers of nearly the same size.
        return 2 * count / (self.start_per_s + root) if self.start_per_s + root > 0 else self.duration_s


class Load:
    """The stages of a load as one rate over time."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        if not stages:
            raise ValueError("a load needs at least one stage")
        self.stages = tuple(stages)
        self.duration_s = sum(stage.duration_s for stage in stages)
        self.messages = sum(stage.count(stage.duration_s) for stage in stages)
        self.peak_per_s = max(max(stage.start_per_s, stage.rate_per_s) for stage in stages)

    def rate_at(self, at_s: float) -> float:
        """Return the offered rate, messages a second, 0 after the end."""
        for stage in self.stages:
            if at_s <= stage.duration_s:
                share = at_s / stage.duration_s
                return stage.start_per_s + (stage.rate_per_s - stage.start_per_s) * share
            at_s -= stage.duration_s
        return 0.0

    def steady(self) -> list[tuple[float, float, float]]:
        """Return (from, to, rate) of every stage that holds its rate: only there a rate can be promised."""
        found, start = [], 0.0
        for stage in self.stages:
            if stage.start_per_s == stage.rate_per_s > 0:
                found.append((start, start + stage.duration_s, stage.rate_per_s))
            start += stage.duration_s
        return found

    def due(self, *, arrivals: Arrivals, batch: int, seed: int) -> Iterator[float]:
        """Yield the seconds from the start at which each request of `batch` messages is due, in order."""
        draw = Random(f"arrivals:{seed}").expovariate
        expected = -batch / 2 if arrivals == "uniform" else 0.0
        start_s = 0.0
        done = 0.0  # expected messages of the stages before
        stages = iter(self.stages)
        stage = next(stages)
        while True:
            expected += batch if arrivals == "uniform" else batch * draw(1.0)
            while expected - done > stage.count(stage.duration_s):
                done += stage.count(stage.duration_s)
                start_s += stage.duration_s
                following = next(stages, None)
                if following is None:
                    return
                stage = following
            yield start_s + min(stage.time_of(expected - done), stage.duration_s)
