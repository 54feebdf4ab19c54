"""What becomes of messages that wait for a carrier which is down: some expire, some move on (D1, P5)."""

from gateway.dispatch.conclude import moved
from gateway.dispatch.context import LaneContext
from gateway.dispatch.outbox import Outbox
from gateway.dispatch.settle import Settler
from gateway.dispatch.work import Lane, Work


class Failover:
    """Goes through one worker's lanes now and then while its carrier is down."""

    def __init__(
        self, context: LaneContext, *, lanes: tuple[Lane, ...], outbox: Outbox, settler: Settler
    ) -> None:
        settings = context.settings
        self._lanes = lanes
        self._outbox = outbox
        self._settler = settler
        self._metrics = context.metrics
        self._after_s = (settings.otp_failover_after_s, *[settings.failover_after_s] * (len(lanes) - 1))

    def sweep(self, *, now_ms: int, down_s: float, limit: int) -> None:
        """End what is past its validity; move what has another carrier once this one is down for long enough.

        A message of which a segment may be with the carrier stays: its segments go by one route (sms-domain B16).
        At most `limit` messages leave, the others keep their place.
        """
        leaving: list[tuple[Work, bool]] = []
        for lane in self._lanes:
            moves = down_s >= self._after_s[lane.index]
            kept: list[list[Work]] = []
            for works in lane.empty():
                kept.append([])
                for work in works:
                    is_past = now_ms >= work.message.valid_until
                    can_move = moves and bool(work.message.candidates) and work.is_untouched
                    if len(leaving) < limit and (is_past or can_move):
                        leaving.append((work, is_past))
                    else:
                        kept[-1].append(work)
            lane.refill(*kept)
        for work, is_past in leaving:
            if is_past:
                self._settler.expire(work, now_ms)
            else:
                self._move(work, now_ms)

    def _move(self, work: Work, now_ms: int) -> None:
        event, record = moved(work.message, now_ms=now_ms, reason="carrier_down")
        self._outbox.batch.records.append(record)
        self._outbox.add(event, lane=work.lane, offset=work.offset)
        self._metrics.failed_over(work.message.candidates[0])
