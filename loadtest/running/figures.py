"""The figures of a run from what was counted and listed: every name of `loadtest.promises.FIGURES`. Pure.

Times are seconds from the start of the load; counts at carriers are segments taken, by whole second.
"""

from collections.abc import Sequence
from typing import Final

MINUTE_S: Final = 60
RECOVERED: Final = 0.9
"""Part of the offered rate that has to reach the carriers again for a fault to be over."""
RECOVERY_WINDOW_S: Final = 3
BACK: Final = 0.5
"""Part of what a carrier took before its fault that it has to take again to be back."""
BEFORE_S: Final = 10


def highest_steady(steady: Sequence[tuple[float, float, float]]) -> list[tuple[int, int]]:
    """Return the whole seconds (from, to) of the stages that hold the highest rate: there it was promised."""
    top = max((rate for _, _, rate in steady), default=0.0)
    found = []
    for start_s, end_s, rate in steady:
        first, last = -int(-start_s // 1), int(end_s)
        if rate == top and last > first:
            found.append((first, last))
    return found


def worst_minute(counts: Sequence[int], stages: Sequence[tuple[int, int]]) -> float | None:
    """Return the lowest mean rate of 60 seconds on end within a stage; of the whole stage where that is shorter."""
    worst: float | None = None
    for first, last in stages:
        last = min(last, len(counts))  # noqa: PLW2901 - the run may have been cut short
        length = min(MINUTE_S, last - first)
        if length <= 0:
            continue
        total = sum(counts[first : first + length])
        lowest = total
        for at in range(first + length, last):
            total += counts[at] - counts[at - length]
            lowest = min(lowest, total)
        mean = lowest / length
        worst = mean if worst is None else min(worst, mean)
    return worst


def mean_rate(counts: Sequence[int], stages: Sequence[tuple[int, int]]) -> float | None:
    """Return the mean rate over the stages."""
    seconds = sum(max(0, min(last, len(counts)) - first) for first, last in stages)
    if not seconds:
        return None
    return sum(sum(counts[first:last]) for first, last in stages) / seconds


def burst(mps: float) -> int:
    """Return the segments above its rate that a carrier's contract allows in any second."""
    return max(1, round(mps * 0.02))


def contract_use(worst_second: int, *, mps: float) -> float:
    """Return the worst second at a carrier as part of its contract plus burst."""
    return worst_second / (mps + burst(mps))


def recovery_s(
    counts: Sequence[int],
    *,
    end_s: float,
    offered: Sequence[float],
    until_s: float,
    own: Sequence[int] = (),
    own_share: float = 0.0,
) -> float | None:
    """Return the seconds from the end of a fault until the offered rate reaches the carriers again.

    `offered` are segments offered by whole second. Three seconds on end have to bring nine tenths of what was offered
    in them, and the carrier that the fault was at, of which `own` are the counts, half of the share that it had before:
    else the others would hide that it never came back. None when that never was before `until_s`, the end of the load,
    where the rate ends anyway. With the begin and the end of a fault it tells how long others took to take over.
    """
    last = min(int(until_s), len(counts), len(offered))
    for at in range(int(end_s), last - RECOVERY_WINDOW_S + 1):
        window = slice(at, at + RECOVERY_WINDOW_S)
        wanted = sum(offered[window])
        if sum(counts[window]) >= RECOVERED * wanted and sum(own[window]) >= BACK * own_share * wanted:
            return max(0.0, at - end_s)
    return None


def share_before(own: Sequence[int], *, at_s: float, offered: Sequence[float]) -> float:
    """Return the part of what was offered that one carrier took in the ten seconds before a moment."""
    window = slice(max(0, int(at_s) - BEFORE_S), int(at_s))
    return min(1.0, ratio(sum(own[window]), sum(offered[window])) or 0.0)


def ratio(part: float, whole: float) -> float | None:
    """Return a part of a whole; None of nothing."""
    return part / whole if whole else None
