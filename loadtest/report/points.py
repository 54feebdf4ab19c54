"""Seconds of a run as the points of a chart and the rows of a table: thinned honestly, gaps kept. Pure."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from loadtest.results import Latency, Second

MAX_POINTS: Final = 1_500
MAX_ROWS: Final = 60
_STEPS_PER_NINE: Final = 24
MAX_NINES: Final = 6

Values = list[float | None]


def thinned(
    times: Sequence[float], series: Sequence[Values], *, limit: int = MAX_POINTS
) -> tuple[list[float], list[Values], int]:
    """Return times, series and how many seconds a point stands for (1: nothing was left out).

    Above `limit` points, spans of equal length become two points each, the lowest and the highest value of every series
    in the order in which they came, so that no peak and no hole is lost. A span without any value is a gap.
    """
    if len(times) <= limit:
        return list(times), [list(values) for values in series], 1
    span = -(-len(times) // (limit // 2))
    starts = range(0, len(times), span)
    kept_times: list[float] = []
    kept: list[Values] = [[] for _ in series]
    for start in starts:
        end = min(start + span, len(times))
        if end - start == 1:
            kept_times.append(times[start])
        else:
            kept_times += (times[start], times[start + (end - start) // 2])
        for values, target in zip(series, kept, strict=True):
            extremes = _extremes(values[start:end])
            target.extend(extremes if end - start > 1 else extremes[:1])
    return kept_times, kept, span


def _extremes(values: Values) -> tuple[float | None, float | None]:
    """Return the lowest and the highest in the order in which they came."""
    there = [(value, at) for at, value in enumerate(values) if value is not None]
    if not there:
        return None, None
    low, high = min(there), max(there, key=lambda pair: (pair[0], -pair[1]))
    return (low[0], high[0]) if low[1] <= high[1] else (high[0], low[0])


def rows_of(
    times: Sequence[float], series: Sequence[Values], *, worst: Sequence[str], limit: int = MAX_ROWS
) -> tuple[list[tuple[float, Values]], int]:
    """Return at most `limit` rows (time of the first second, one value a series) and how many seconds a row covers.

    `worst` says for each series what a row shows of its seconds: `mean`, `max` or `last`.
    """
    span = max(1, -(-len(times) // limit))
    rows = [
        (
            times[start],
            [_shown(values[start : start + span], how) for values, how in zip(series, worst, strict=True)],
        )
        for start in range(0, len(times), span)
    ]
    return rows, span


def _shown(values: Values, how: str) -> float | None:
    there = [value for value in values if value is not None]
    if not there:
        return None
    if how == "max":
        return max(there)
    return there[-1] if how == "last" else sum(there) / len(there)


def column(seconds: Sequence[Second], get: Callable[[Second], float | None]) -> Values:
    """Return one value of each second."""
    return [get(second) for second in seconds]


def spread(values: Values) -> Values:
    """Return counts with those that stand for several seconds divided evenly over them; the sum stays.

    A count after seconds without one is of all of them. What follows the last count is not known.
    """
    found: Values = []
    waiting = 0
    for value in values:
        waiting += 1
        if value is not None:
            found += [value / waiting] * waiting
            waiting = 0
    return found + [None] * waiting


def names_in(seconds: Sequence[Second], get: Callable[[Second], dict[str, Any] | None]) -> list[str]:
    """Return the keys of a table of each second, in the order in which they come up."""
    found: dict[str, None] = {}
    for second in seconds:
        found.update(dict.fromkeys(get(second) or ()))
    return list(found)


def stages(seconds: Sequence[Second]) -> list[tuple[float, str]]:
    """Return when each stage began, with its name."""
    found: list[tuple[float, str]] = []
    for second in seconds:
        if not found or found[-1][1] != second.stage:
            found.append((max(0.0, second.t - 1), second.stage))
    return found


def percentile_curves(latencies: dict[str, Latency]) -> tuple[list[float], dict[str, Values]]:
    """Return `1 / (1 - percentile)` on a scale of nines, and the milliseconds of each distribution there.

    A curve ends where its count does: the last point is one in `count`. Distributions that cannot be decoded have none.
    """
    decoded = {
        name: found
        for name, one in latencies.items()
        if one.count and (found := _decoded(one.hdr)) is not None
    }
    if not decoded:
        return [], {}
    most = max(latencies[name].count for name in decoded)
    odds = [1.0]
    for step in range(1, MAX_NINES * _STEPS_PER_NINE + 1):
        odds.append(10 ** (step / _STEPS_PER_NINE))
        if odds[-1] > most:
            break
    curves: dict[str, Values] = {}
    for name, histogram in decoded.items():
        reach = latencies[name].count * 10 ** (1 / _STEPS_PER_NINE)
        wanted = [100 * (1 - 1 / odd) for odd in odds if odd <= reach]
        found = histogram.get_percentile_to_value_dict(wanted)
        values: Values = [found[percentile] / 1e3 if percentile in found else None for percentile in wanted]
        curves[name] = values + [None] * (len(odds) - len(wanted))
    return odds, curves


def _decoded(text: str | None) -> Any:
    """Return a histogram, None where the text is none."""
    from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

    if not text:
        return None
    try:
        return HdrHistogram.decode(text.encode())
    except Exception:  # noqa: BLE001 - a damaged one raises anything from zlib to ctypes; the run stands without its curve
        return None
