"""Where submits happen: pick, permit, submit, in a loop without awaits; then one timer, or somebody's word (D3).

Everything else (reading ahead, claiming, making outcomes durable, receipts) runs beside the pump and never holds
it up.
"""

import asyncio
from functools import partial
from typing import Final

from gateway.dispatch.claims import Claims
from gateway.dispatch.constraints import (
    BACKLOG_OF_EVENTS,
    BUSY,
    CLAIMS,
    HOLD,
    LEASE,
    NO_WORK,
    NOT_STARTED,
    STOPPING,
)
from gateway.dispatch.context import LaneContext
from gateway.dispatch.cutter import Cutter
from gateway.dispatch.outbox import Outbox
from gateway.dispatch.plan import CarrierPlan
from gateway.dispatch.settle import Settler
from gateway.dispatch.uplink import Uplink
from gateway.dispatch.work import Lane, Work
from gateway.domain.errors import SegmentationError
from gateway.domain.events import Noted
from gateway.domain.lifecycle import State
from gateway.domain.message import OutboundSegment
from gateway.policy.fairness import ClassPicker
from gateway.ports.links import WAIT_FOR_EVENT, CarrierLink
from throttling.governor import Governor

_MOST_PER_PUMP: Final = 256
_LEAST_TIMER_NS: Final = 1_000_000
_MOST_COALESCED_NS: Final = 5_000_000
_FOREVER_NS: Final = 1 << 62
_STANDS_NS: Final = 250_000_000
_NOTHING: Final = Lane(-1, claims=False)


class Pump:
    """Submits from a worker's lanes whatever link, rate and results allow.

    `constraint` names what hinders the next submit, in the words of `gateway.dispatch.constraints` or the link's own;
    `may_submit_until_ns` is the end of the lease as the caller knows it, on the monotonic clock. `shut_by` says why
    nothing may be submitted whatever waits, None when something may.
    """

    def __init__(
        self,
        context: LaneContext,
        *,
        plan: CarrierPlan,
        link: CarrierLink,
        governor: Governor,
        lanes: tuple[Lane, ...],
        claims: Claims,
        cutter: Cutter,
        outbox: Outbox,
        settler: Settler,
        uplink: Uplink,
    ) -> None:
        self.constraint = NOT_STARTED
        self.shut_by: str | None = None
        self.may_submit_until_ns = _FOREVER_NS
        self._clock = context.clock
        self._metrics = context.metrics
        self._link = link
        self._governor = governor
        self._lanes = lanes
        self._open_lanes = lanes  # a lane that is held has an empty one in its place
        self._claims = claims
        self._cutter = cutter
        self._outbox = outbox
        self._settler = settler
        self._settled = settler.settled
        self._uplink = uplink
        self._picker = ClassPicker(plan.shares)
        self._settings = context.settings
        self.max_unflushed = 0
        self._least_timer_ns = 0
        self.resize(per_s=float(plan.shard_rate.per_s), slack_ns=plan.slack_ns)
        self._since_ns = context.clock.monotonic_ns()
        self._spent_ns: dict[str, int] = {}
        self._leading = NOT_STARTED
        self._timer: asyncio.TimerHandle | None = None
        self._is_due = False
        self._is_stopped = False
        self._written = 0

    def resize(self, *, per_s: float, slack_ns: int) -> None:
        """Follow a rate that changed; `per_s` is this shard's, `slack_ns` how late its permits may be taken."""
        settings = self._settings
        self.max_unflushed = max(settings.min_unflushed_segments, int(per_s * settings.max_unflushed_s))
        # Coming late costs no rate: the limiter makes good what a caller that it told to wait is late. So several
        # permits share one wake-up and one write, well within the limiter's patience.
        self._least_timer_ns = max(_LEAST_TIMER_NS, min(_MOST_COALESCED_NS, slack_ns * 3 // 10))

    def hold(self, indices: frozenset[int]) -> None:
        """Pick nothing of these lanes until told otherwise."""
        self._open_lanes = tuple([_NOTHING if lane.index in indices else lane for lane in self._lanes])

    def binding(self) -> str:
        """Return what hinders submits now: what stands for a while, else what hindered most since `sum_up`."""
        is_standing = self._clock.monotonic_ns() - self._since_ns >= _STANDS_NS
        return self.constraint if is_standing or self._leading == NOT_STARTED else self._leading

    def sum_up(self) -> None:
        """Close the account of what hindered how long; call about once a second."""
        self._account(self._clock.monotonic_ns())
        self._leading = max(self._spent_ns, key=self._spent_ns.__getitem__)
        self._spent_ns.clear()

    def wake(self) -> None:
        """Run in this turn of the loop; many calls make one run."""
        if not self._is_due and not self._is_stopped:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._on_wake)

    def nudge(self) -> None:
        """Wake, unless a timer does so anyway: what happened does not end the wait that it stands for."""
        if self._timer is None:
            self.wake()

    def slot_freed(self) -> None:
        """Nudge; but where nothing waits, an answer changes nothing, and answers come one by one."""
        if self.constraint != NO_WORK:
            self.nudge()

    def stop(self) -> None:
        """Submit nothing more."""
        self._is_stopped = True
        self.constraint = self._leading = STOPPING
        self._disarm()

    def take_written(self) -> int:
        """Return the number of segments submitted since the last call."""
        written, self._written = self._written, 0
        return written

    def _on_wake(self) -> None:
        self._is_due = False
        self._run()

    def _on_timer(self) -> None:
        self._timer = None
        self._run()

    def _run(self) -> None:
        """Submit all that may be submitted now, then wait for whatever hinders the next."""
        self._disarm()
        if self._is_stopped:
            return
        now_ns = self._clock.monotonic_ns()
        was = self.constraint
        hindrance = self._closed(now_ns)
        wait_ns, self.constraint = (
            self._submit_all(now_ns) if hindrance is None else (WAIT_FOR_EVENT, hindrance)
        )
        if self.constraint != was:
            self._account(now_ns, was)
        if wait_ns > 0:
            delay_ns = max(wait_ns, self._least_timer_ns)
            self._timer = asyncio.get_running_loop().call_later(delay_ns / 1e9, self._on_timer)
        elif wait_ns == 0:
            self.wake()
        if self._uplink.is_up():
            urgent = self._claims.wanted()
            if urgent is not None:
                self._outbox.wake(urgent=urgent)

    def _account(self, now_ns: int, constraint: str = "") -> None:
        constraint = constraint or self.constraint
        self._spent_ns[constraint] = self._spent_ns.get(constraint, 0) + now_ns - self._since_ns
        self._since_ns = now_ns

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _closed(self, now_ns: int) -> str | None:
        """Return why nothing may be submitted whatever waits, None when something may."""
        if now_ns >= self.may_submit_until_ns:
            return LEASE
        if self.shut_by is not None:
            return self.shut_by
        if self._outbox.unflushed >= self.max_unflushed:
            return BACKLOG_OF_EVENTS
        return None

    def _idle(self) -> str:
        """Say why nothing can be picked."""
        if any(lane.ready for lane in self._lanes):
            return HOLD
        return CLAIMS if any(lane.waiting_count for lane in self._open_lanes) else NO_WORK

    def _submit_all(self, now_ns: int) -> tuple[int, str]:
        """Submit until something hinders; return (wait, reason), the wait 0 when only this turn's share is used up."""
        otp, transactional, collections, marketing = self._open_lanes
        link_ready, offer, submit = self._link.ready, self._governor.offer, self._link.submit
        now_ms = self._clock.now_ms()
        for _ in range(_MOST_PER_PUMP):
            if not (otp.ready or transactional.ready or collections.ready or marketing.ready):
                return WAIT_FOR_EVENT, self._idle()
            permit = link_ready(now_ns)
            if permit.wait_ns:
                return permit.wait_ns, permit.reason
            grant = offer(now_ns)
            if grant.wait_ns:
                return grant.wait_ns, grant.reason
            segment = self._next_segment(now_ms)
            if segment is None:
                return WAIT_FOR_EVENT, self._idle()
            segment.submitted_at_ns = now_ns
            submit(segment, now_ns=now_ns)
            self._written += 1
        return 0, BUSY

    def _next_segment(self, now_ms: int) -> OutboundSegment | None:
        lanes = self._open_lanes
        otp, transactional, collections, marketing = lanes
        while True:
            index = self._picker.pick(
                (otp.ready > 0, transactional.ready > 0, collections.ready > 0, marketing.ready > 0)
            )
            if index < 0:
                return None
            lane = lanes[index]
            work = lane.take()
            if now_ms >= work.message.valid_until:
                self._settler.expire(work, now_ms)
                continue
            if not work.segments and not self._cut(work, now_ms):
                continue
            segment_index = work.todo.pop(0)
            if work.todo:
                lane.keep_current(work)
            work.outstanding += 1
            return OutboundSegment(
                work.message,
                segment_index,
                work.data_coding,
                work.segments[segment_index - 1],
                partial(self._settled, work),
            )

    def _cut(self, work: Work, now_ms: int) -> bool:
        """Make the segments of a message at its first pick; False when nothing is left to submit."""
        message = work.message
        if message.plan is not None and self._settler.drop_repeat(work, now_ms):
            return False
        try:
            self._cutter.cut(work)
        except SegmentationError as error:
            self._settler.uncuttable(work, error.code, now_ms)
            return False
        if message.resent_in_doubt:
            # The answer may have come after all while the resend waited.
            work.todo = [index for index in work.todo if not self._settler.was_answered(message.id, index)]
        if work.todo:
            return True
        event = Noted(message.id, now_ms, "settled", state=State.SUBMITTED, reason="answered")
        self._outbox.add(event, lane=work.lane, offset=work.offset)
        self._settler.step_over(message, now_ms)
        return False
