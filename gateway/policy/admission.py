"""Whether more messages may enter: the account's own rate, and the room left in the lanes.

Called by `gateway.intake.backlog`. Two refusals that mean different things: a spent allowance is the caller's matter
(429), a full lane is ours (503). Instants are integer nanoseconds of a monotonic clock.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

_SECOND_NS = 1_000_000_000


class Allowance(NamedTuple):
    """What an account may still do: `remaining` messages now, the whole quota again after `reset_s`."""

    admitted: bool
    quota: int
    remaining: int
    reset_s: int
    retry_after_s: int


class MessageAllowance:
    """One account's messages per second: `quota` at once, earned back evenly over one second.

    A batch larger than the quota is admitted only when the whole quota is there, and its excess is a debt that later
    requests wait for; so the long-run rate holds and no batch is impossible. Raises ValueError for a quota below 1.
    """

    __slots__ = ("_full_at_ns", "_gap_ns", "quota")

    def __init__(self, quota: int) -> None:
        if quota < 1:
            raise ValueError(f"quota {quota} is below the limit of 1 message a second")
        self.quota = quota
        self._gap_ns = _SECOND_NS // quota
        self._full_at_ns = 0  # when the whole quota is there again, if nothing more is taken

    def take(self, count: int, *, now_ns: int) -> Allowance:
        """Take `count` messages if they are admitted; a refusal takes nothing."""
        owed_ns = max(0, self._full_at_ns - now_ns)
        wanted_ns = count * self._gap_ns
        room_ns = self.quota * self._gap_ns
        admitted = owed_ns == 0 or owed_ns + wanted_ns <= room_ns
        if admitted:
            owed_ns += wanted_ns
            self._full_at_ns = now_ns + owed_ns
            wait_ns = 0
        else:
            wait_ns = owed_ns + min(wanted_ns, room_ns) - room_ns
        remaining = max(0, (room_ns - owed_ns) // self._gap_ns)
        return Allowance(admitted, self.quota, remaining, _ceil_s(owed_ns), _ceil_s(wait_ns))


def fullest_lane(lanes: Iterable[str], *, records: Mapping[str, int], limit: int) -> str | None:
    """Return a lane that holds `limit` records or more, or None when all of them have room."""
    return next((lane for lane in lanes if records.get(lane, 0) >= limit), None)


def _ceil_s(duration_ns: int) -> int:
    return -(-duration_ns // _SECOND_NS)
