"""Which hours are counted again now. Pure; used by `gateway.reporting.roller`.

Nothing tells of a change: messages are written without an eye on reports. PostgreSQL's own counters of a day's
partition say that something was written to it, which leaves out all quiet days. Of the others an hour is counted again
the sooner the younger it is and the less the counting takes.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from gateway.ports.report_store import HOUR_MS, HourState, Writes

DAY_MS: Final = 86_400_000

_OFTEN: Final = 30
_SELDOM: Final = 4
"""An hour is counted again when it is by one thirtieth older, if that costs little, or by a quarter, if it costs much."""
_MUCH: Final = 2000
"""Counting costs much where the wait is not as many times as long."""
_LEAST: Final = 50
_LONGEST_MS: Final = 6 * HOUR_MS
_NOTHING: Final = Writes(0, 0)


class Plan(NamedTuple):
    """Hours to count, the most urgent first, and those that something was written to since they were counted."""

    due: list[int]
    stale: list[int]


def plan(
    hours: Mapping[int, HourState],
    writes: Mapping[int | None, Writes],
    *,
    first_hour: int,
    now_ms: int,
    refresh_ms: int,
) -> Plan:
    """Return what to do about the hours from `first_hour` to now; `refresh_ms` is how often one is counted at most."""
    due: list[tuple[float, int]] = []
    stale = []
    for id_hour in range(first_hour, now_ms + 1, HOUR_MS):
        state = hours.get(id_hour)
        if state is None or not state.computed_at:
            due.append((float("inf"), id_hour))
            continue
        if is_changed(state, writes_of(writes, id_hour)):
            stale.append(id_hour)
        elif state.is_closed or id_hour + HOUR_MS <= now_ms:
            continue  # the hour that runs does not wait until the counters tell
        waited = now_ms - state.computed_at
        needed = _wait_ms(state, now_ms=now_ms, refresh_ms=refresh_ms)
        if waited >= needed:
            due.append((waited / needed, id_hour))
    due.sort(reverse=True)
    return Plan([id_hour for _, id_hour in due], stale)


def writes_of(writes: Mapping[int | None, Writes], time_ms: int) -> Writes:
    """Return the counters of the day that a time is in."""
    found = writes.get(time_ms - time_ms % DAY_MS)
    return found if found is not None else writes.get(None, _NOTHING)


def is_changed(state: HourState, writes: Writes) -> bool:
    """Return whether messages of the hour may be other than they were counted.

    A message with a final state stays as it is, so where all have one only new messages matter.
    """
    if state.is_closed:
        return False
    if not writes.writes and state.messages:
        return True  # the counters are off, or a crash has lost them
    if state.open:
        return writes != (state.inserts, state.writes)
    return writes.inserts != state.inserts


def _wait_ms(state: HourState, *, now_ms: int, refresh_ms: int) -> int:
    age_ms = max(0, now_ms - state.id_hour - HOUR_MS)
    least = max(refresh_ms, state.work_ms * _LEAST)
    wanted = max(least, state.work_ms * _MUCH, age_ms // _OFTEN)
    return min(wanted, max(least, age_ms // _SELDOM), max(least, _LONGEST_MS))
