"""What becomes of messages that wait for a carrier which cannot be sent to: some expire, some move on (D1, P5)."""

from collections.abc import Sequence
from typing import Final

from gateway.dispatch.conclude import moved
from gateway.dispatch.context import LaneContext
from gateway.dispatch.outbox import Outbox
from gateway.dispatch.settle import Settler
from gateway.dispatch.steps import step_failed
from gateway.dispatch.work import Lane, Work
from gateway.domain.carried import replace
from gateway.domain.events import Noted
from gateway.domain.lifecycle import State

MAX_HOPS: Final = 4
"""How often a message changes its carrier at most for the sake of a carrier that is down; then it waits."""

CARRIER_DOWN: Final = "carrier_down"
DRAINED: Final = "drained"

_EXPIRED: Final = -1
_NEXT_CHANNEL: Final = -2


class Failover:
    """Goes through one worker's lanes now and then while its carrier cannot be sent to."""

    def __init__(
        self, context: LaneContext, *, lanes: tuple[Lane, ...], outbox: Outbox, settler: Settler
    ) -> None:
        settings = context.settings
        self._lanes = lanes
        self._outbox = outbox
        self._settler = settler
        self._metrics = context.metrics
        self._board = context.board
        self._after_s = (settings.otp_failover_after_s, *[settings.failover_after_s] * (len(lanes) - 1))

    def is_due(self, lane: Lane, *, trouble_s: float) -> bool:
        """Tell whether this lane's messages have waited for long enough; an otp has less time than the others."""
        return trouble_s >= self._after_s[lane.index]

    def sweep(self, lanes: Sequence[Lane], *, now_ms: int, limit: int, reason: str) -> bool:
        """End what is past its validity; with a `reason`, move what has another carrier that is up.

        A message of which a segment may be with the carrier stays: its segments go by one route (sms-domain B16). So
        does one whose candidates are all known to be down, or that has moved too often, unless it may try another channel
        whose carriers are up. At most `limit` messages leave, the others keep their place; True where that kept some.
        """
        leaving: list[tuple[Work, int]] = []
        is_cut = False
        choices: dict[tuple[str, ...], int | None] = {}
        for lane in lanes:
            if not lane.held:
                continue
            kept: list[list[Work]] = []
            for works in lane.empty():
                kept.append([])
                for work in works:
                    to = _EXPIRED
                    if now_ms < work.message.valid_until:
                        target = self._target(work, choices) if reason else None
                        if target is None:
                            kept[-1].append(work)
                            continue
                        to = target
                    if len(leaving) >= limit:
                        kept[-1].append(work)
                        is_cut = True
                    else:
                        leaving.append((work, to))
            lane.refill(*kept)
        for work, to in leaving:
            if to == _EXPIRED:
                self._settler.expire(work, now_ms)
            elif to == _NEXT_CHANNEL:
                self._leave_channel(work, now_ms=now_ms, reason=reason)
            else:
                self._move(work, to, now_ms=now_ms, reason=reason)
        return is_cut

    def _target(self, work: Work, choices: dict[tuple[str, ...], int | None]) -> int | None:
        message = work.message
        if not work.is_untouched:
            return None
        target = None if message.hops >= MAX_HOPS else self._choose(message.candidates, choices)
        if target is None and message.plan is not None and message.plan.rest:
            following = message.plan.rest[0]
            if self._choose((following.carrier, *following.candidates), choices) is not None:
                return _NEXT_CHANNEL
        return target

    def _choose(self, candidates: tuple[str, ...], choices: dict[tuple[str, ...], int | None]) -> int | None:
        if not candidates:
            return None
        if candidates not in choices:
            choices[candidates] = self._board.choose(candidates)
        return choices[candidates]

    def _leave_channel(self, work: Work, *, now_ms: int, reason: str) -> None:
        message = work.message
        # No attempt was made under this number, so the next channel begins with it.
        untried = replace(message, attempt=message.attempt - 1)
        self._outbox.batch.records.append(
            step_failed(untried, state=State.FAILED, reason=reason, now_ms=now_ms)
        )
        event = Noted(message.id, now_ms, "channel_left", carrier=message.carrier, reason=reason)
        self._outbox.add(event, lane=work.lane, offset=work.offset)

    def _move(self, work: Work, to: int, *, now_ms: int, reason: str) -> None:
        event, record = moved(work.message, to=to, now_ms=now_ms, reason=reason)
        self._outbox.batch.records.append(record)
        self._outbox.add(event, lane=work.lane, offset=work.offset)
        self._metrics.failed_over(work.message.candidates[to], reason)
