"""The worker of one (carrier, shard): it owns all four class lanes, the shard's part of the rate, and one link (D3).

`pump` is where submits happen: pick, permit, submit, in a loop without awaits; then one timer, or the link's word.
Everything else (reading ahead, claiming, making outcomes durable, receipts) runs beside it and never holds it up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Final

import structlog

from gateway.bus import topics
from gateway.dispatch.claims import Claims, release
from gateway.dispatch.cutter import Cutter
from gateway.dispatch.failover import Failover
from gateway.dispatch.inbound import InboundPump
from gateway.dispatch.metrics import CarrierMetrics
from gateway.dispatch.outbox import Outbox
from gateway.dispatch.plan import CarrierPlan, DispatchSettings
from gateway.dispatch.reader import LaneReader
from gateway.dispatch.references import References
from gateway.dispatch.settle import Settler
from gateway.dispatch.work import Lane, Work
from gateway.domain.errors import SegmentationError
from gateway.domain.events import Noted
from gateway.domain.lifecycle import State
from gateway.domain.message import CLASSES, Message, OutboundSegment
from gateway.domain.outcomes import Submitted
from gateway.policy.fairness import ClassPicker
from gateway.ports.bus import Bus, Record, Stored, Transaction
from gateway.ports.clock import Clock
from gateway.ports.dispatch_store import DeferredStore
from gateway.ports.links import WAIT_FOR_EVENT, BindChanged, BindState, CarrierLink, Inbound
from gateway.ports.store import Transactions
from throttling.governor import Governor

_log = structlog.get_logger()

DEAD_LANE_TOPIC: Final = "dead.lane"

_MOST_PER_PUMP: Final = 256
_LEAST_TIMER_NS: Final = 1_000_000
_MOST_COALESCED_NS: Final = 5_000_000
_TICK_S: Final = 1.0
_FOREVER_NS: Final = 1 << 62
_UP = frozenset({BindState.BOUND, BindState.THROTTLED})


async def _always(_: Transaction) -> bool:
    return True


class LaneWorker:
    """Submits one shard of a carrier's lanes. Use: `start`, then `run` as a task, `drain`, and await the task.

    The link's sink and the outbox's owner at once: both call back synchronously, from the same event loop.
    """

    def __init__(
        self,
        plan: CarrierPlan,
        *,
        shard: int,
        link: CarrierLink,
        bus: Bus,
        db: Transactions,
        deferred: DeferredStore,
        governor: Governor,
        clock: Clock,
        references: References,
        metrics: CarrierMetrics,
        random: Random,
        settings: DispatchSettings = DispatchSettings(),  # noqa: B008 - a frozen value
        hold_lease: Callable[[Transaction], Awaitable[bool]] = _always,
    ) -> None:
        self.carrier = plan.carrier
        self.shard = shard
        self.may_submit_until_ns = _FOREVER_NS
        self._link = link
        self._governor = governor
        self._clock = clock
        self._metrics = metrics
        self._hold_lease = hold_lease

        per_s = float(plan.shard_rate.per_s)
        read_ahead = max(settings.min_read_ahead, int(per_s * settings.read_ahead_s) + plan.window)
        self._max_unflushed = max(settings.min_unflushed_events, int(per_s * settings.max_unflushed_s))
        self._least_timer_ns = max(_LEAST_TIMER_NS, min(_MOST_COALESCED_NS, plan.slack_ns // 4))
        metrics.set_rate(float(plan.rate.per_s))

        self._lanes = tuple(
            Lane(index, claims=not name.resends_in_doubt) for index, name in enumerate(CLASSES)
        )
        self._picker = ClassPicker()
        self._claims = Claims(self._lanes, per_s=per_s, ahead_s=settings.claim_ahead_ms / 1000)
        self._cutter = Cutter(plan, references)
        self._segments_written = 0

        self._binds: dict[str, BindState] = {}
        self._down_since_ns: int | None = clock.monotonic_ns()
        self._constraint = "not_started"
        self._timer: asyncio.TimerHandle | None = None
        self._pump_is_due = False
        self._is_stopping = False

        self._outbox = Outbox(
            self,
            carrier=plan.carrier,
            shard=shard,
            bus=bus,
            db=db,
            deferred=deferred,
            clock=clock,
            settings=settings,
            metrics=metrics,
        )
        self._settler = Settler(
            link=link,
            lanes=self._lanes,
            outbox=self._outbox,
            clock=clock,
            metrics=metrics,
            random=random,
            wake=self.wake,
            is_up=self._is_up,
        )
        self._failover = Failover(
            self._lanes, outbox=self._outbox, settler=self._settler, metrics=metrics, settings=settings
        )
        self._reader = LaneReader(
            self,
            carrier=plan.carrier,
            shard=shard,
            bus=bus,
            lanes=self._lanes,
            limit=read_ahead,
            batch=settings.read_batch,
        )
        self._inbound = InboundPump(
            link,
            bus=bus,
            clock=clock,
            metrics=metrics,
            linger_s=settings.inbound_linger_ms / 1000,
            deadline_s=settings.inbound_deadline_s,
            max_pending=settings.max_inbound_pending,
        )
        self._background: list[asyncio.Task[None]] = []

    # --- life -------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Find out where the lanes stand and begin connecting."""
        await self._reader.open()
        self._outbox.positions = self._reader.positions
        await self._link.start(self)

    async def run(self) -> None:
        """Work until `drain` is through; LeaseLostError when the lane is another's by now."""
        name = f"lane.{self.carrier}.{self.shard}"
        try:
            async with asyncio.TaskGroup() as group:
                if not self._is_stopping:
                    self._background = [
                        group.create_task(self._reader.run(), name=f"{name}.read"),
                        group.create_task(self._tick(), name=f"{name}.tick"),
                    ]
                group.create_task(self._outbox.run(), name=f"{name}.flush")
                group.create_task(self._inbound.run(), name=f"{name}.inbound")
                self.wake()
        finally:
            self._is_stopping = True
            self._disarm()
            self._link.abort()

    async def drain(self, *, deadline_s: float) -> int:
        """Stop picking, wait for answers, write down what is known and end `run`; return submits left in doubt."""
        self._is_stopping = True
        self._disarm()
        for task in self._background:
            task.cancel()
        unanswered = await self._link.drain(deadline_s=deadline_s)
        self._leave_the_rest()
        self._inbound.close()
        self._outbox.close()
        return unanswered

    def _leave_the_rest(self) -> None:
        """Give back what was never submitted; what was begun goes on from a record that says what is done."""
        self._claims.settle()
        for lane in self._lanes:
            returned, claimed, _ = lane.empty()
            unsent = list(claimed)
            for work in returned:
                if work.submitted or work.refused:
                    self._settler.conclude(work)
                else:
                    unsent.append(work)
            release(lane, unsent, self._outbox.positions[lane.index])

    # --- the pump ---------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Run the pump in this turn of the loop; many calls make one run."""
        if not self._pump_is_due and not self._is_stopping:
            self._pump_is_due = True
            asyncio.get_running_loop().call_soon(self._on_wake)

    def _on_wake(self) -> None:
        self._pump_is_due = False
        self.pump(self._clock.monotonic_ns())

    def _on_timer(self) -> None:
        self._timer = None
        self.pump(self._clock.monotonic_ns())

    def pump(self, now_ns: int) -> None:
        """Submit all that may be submitted now, then wait for whatever hinders the next."""
        self._disarm()
        if self._is_stopping:
            self._constraint = "stopping"
            return
        wait_ns, self._constraint = self._closed(now_ns) or self._submit_all(now_ns)
        if wait_ns > 0:
            self._arm(wait_ns)
        elif wait_ns == 0:
            self.wake()
        if self._down_since_ns is None:
            urgent = self._claims.wanted()
            if urgent is not None:
                self._outbox.wake(urgent=urgent)

    def _closed(self, now_ns: int) -> tuple[int, str] | None:
        """Return (wait, reason) while nothing may be submitted whatever waits."""
        if now_ns >= self.may_submit_until_ns:
            return WAIT_FOR_EVENT, "lease"
        if self._outbox.unflushed >= self._max_unflushed:
            return WAIT_FOR_EVENT, "backlog_of_events"
        wait_ns = self._settler.pause.wait_ns(now_ns)
        return (wait_ns, "throttled") if wait_ns else None

    def _submit_all(self, now_ns: int) -> tuple[int, str]:
        """Submit until something hinders; return (wait, reason), the wait 0 when only this turn's share is used up."""
        otp, transactional, collections, marketing = self._lanes
        link_ready, offer, submit = self._link.ready, self._governor.offer, self._link.submit
        now_ms = self._clock.now_ms()
        for _ in range(_MOST_PER_PUMP):
            if not (otp.ready or transactional.ready or collections.ready or marketing.ready):
                return WAIT_FOR_EVENT, "no_work"
            permit = link_ready(now_ns)
            if permit.wait_ns:
                return permit.wait_ns, permit.reason
            grant = offer(now_ns)
            if grant.wait_ns:
                return grant.wait_ns, grant.reason
            segment = self._next_segment(now_ms)
            if segment is None:
                return WAIT_FOR_EVENT, "no_work"
            segment.submitted_at_ns = now_ns
            submit(segment, now_ns=now_ns)
            self._segments_written += 1
        return 0, "busy"

    def _next_segment(self, now_ms: int) -> OutboundSegment | None:
        lanes = self._lanes
        otp, transactional, collections, marketing = lanes
        while True:
            index = self._picker.pick(
                (otp.ready > 0, transactional.ready > 0, collections.ready > 0, marketing.ready > 0)
            )
            if index < 0:
                return None
            lane = lanes[index]
            work = lane.take()
            message = work.message
            if now_ms >= message.valid_until:
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
                work.settle,
            )

    def _cut(self, work: Work, now_ms: int) -> bool:
        """Make the segments of a message at its first pick; False when nothing is left to submit."""
        message = work.message
        try:
            self._cutter.cut(work)
        except SegmentationError as error:
            self._metrics.dead_by_reason["uncuttable"].inc()
            event = Noted(
                message.id, now_ms, "failed", state=State.FAILED, carrier=message.carrier, reason=error.code
            )
            self._outbox.add(event, lane=work.lane, offset=work.offset)
            return False
        if message.resent_in_doubt:
            # The answer may have come after all while the resend waited.
            work.todo = [index for index in work.todo if not self._settler.was_answered(message.id, index)]
        if work.todo:
            return True
        event = Noted(message.id, now_ms, "settled", state=State.SUBMITTED, reason="answered")
        self._outbox.add(event, lane=work.lane, offset=work.offset)
        return False

    def _is_up(self) -> bool:
        return self._down_since_ns is None

    def _arm(self, wait_ns: int) -> None:
        # Coming late costs no rate: the limiter makes good what a caller that it told to wait is late. So several
        # permits share one wake-up and one write, well within the limiter's patience.
        delay_ns = max(wait_ns, self._least_timer_ns)
        self._timer = asyncio.get_running_loop().call_later(delay_ns / 1e9, self._on_timer)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- the link's sink --------------------------------------------------------------------------------------

    def on_ready(self) -> None:
        """A slot became free or a bind came up."""
        if self._timer is None:
            self.wake()

    def on_inbound(self, batch: Sequence[Inbound]) -> None:
        """Receipts and MO to make durable."""
        self._inbound.put(batch)

    def on_late_answer(self, segment: OutboundSegment, outcome: Submitted) -> None:
        """An answer came after its submit was given up: its id is still worth having (sms-domain G)."""
        self._settler.answered_late(segment, outcome)

    def on_bind_changed(self, event: BindChanged) -> None:
        """A bind came up or went down."""
        self._metrics.bind_changed(event)
        self._binds[event.bind] = event.state
        if not _UP.isdisjoint(self._binds.values()):
            self._down_since_ns = None
            self.wake()
        elif self._down_since_ns is None:
            self._down_since_ns = self._clock.monotonic_ns()
        log = _log.warning if event.alert else _log.info
        log(
            "bind.changed",
            carrier=self.carrier,
            bind=event.bind,
            state=event.state.value,
            reason=event.reason,
        )

    # --- the reader's sink ------------------------------------------------------------------------------------

    def on_message(self, lane: int, offset: int, message: Message) -> None:
        """A message to submit."""
        self._lanes[lane].push(Work(message, lane=lane, offset=offset, on_settled=self._settler.settled))

    def on_in_doubt(self, lane: int, offset: int, message: Message) -> None:
        """A message that was claimed and has no outcome: never submitted again, the receipt decides (P2)."""
        event = Noted(
            message.id,
            self._clock.now_ms(),
            "in_doubt",
            state=State.SUBMITTED,
            carrier=message.carrier,
            reason="restart",
        )
        self._outbox.add(event, lane=lane, offset=offset)

    def on_unreadable(self, lane: int, record: Stored, error: str) -> None:
        """A record that is no message: set aside, so that it can be looked at and brought back."""
        self._metrics.dead_by_reason["envelope"].inc()
        topic = topics.lanes(self.carrier)[lane]
        _log.error("lane.unreadable", topic=topic, offset=record.offset, error=error[:200])
        batch = self._outbox.batch
        batch.records.append(Record(DEAD_LANE_TOPIC, topic.encode(), record.value))
        batch.done.append((lane, record.offset))
        self._outbox.wake()

    def on_batch(self) -> None:
        """Something was read."""
        if self._timer is None:
            self.wake()

    # --- the outbox's owner -----------------------------------------------------------------------------------

    async def hold_lease(self, tx: Transaction) -> bool:
        """Fence a transaction of ours."""
        return await self._hold_lease(tx)

    def choose_claims(self) -> list[tuple[int, list[int]]]:
        """Take the next messages of the claiming lanes in hand."""
        return [] if self._down_since_ns is not None or self._is_stopping else self._claims.choose()

    def claims_durable(self) -> None:
        """What was chosen may be submitted."""
        self._claims.settle()
        self._claims.adapt(self._outbox.last_flush_s)

    def flushed(self) -> None:
        """Results are durable: the pump may have been waiting for that."""
        if self._timer is None:
            self.wake()

    # --- every second -----------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self.observe()
            self.relieve()
            if self._timer is None:
                self.wake()

    def observe(self) -> None:
        """Publish gauges."""
        self._metrics.show_binds(self._link.figures())
        self._metrics.submitted.inc(self._segments_written)
        self._segments_written = 0
        for gauge, lane in zip(self._metrics.queue_depth, self._lanes, strict=True):
            gauge.set(lane.held)

    def relieve(self) -> None:
        """While the carrier is down: expire what is past its validity, move what has another carrier."""
        room = self._max_unflushed - self._outbox.unflushed
        if self._down_since_ns is not None and not self._claims.is_pending and room > 0:
            down_s = (self._clock.monotonic_ns() - self._down_since_ns) / 1e9
            self._failover.sweep(now_ms=self._clock.now_ms(), down_s=down_s, limit=room)

    def explain(self) -> dict[str, object]:
        """Return which constraint binds now, with the figures behind it, for people."""
        now_ns = self._clock.monotonic_ns()
        return {
            "carrier": self.carrier,
            "shard": self.shard,
            "constraint": self._constraint,
            "up": self._down_since_ns is None,
            "in_flight": self._link.in_flight,
            "ready": {name.value: lane.ready for name, lane in zip(CLASSES, self._lanes, strict=True)},
            "held": {name.value: lane.held for name, lane in zip(CLASSES, self._lanes, strict=True)},
            "unflushed": self._outbox.unflushed,
            "inbound_pending": self._inbound.pending,
            "throttle_pause_ms": self._settler.pause.wait_ns(now_ns) // 1_000_000,
            "lease_left_ms": max(0, (self.may_submit_until_ns - now_ns) // 1_000_000),
            "limits": list(self._governor.explain(now_ns)),
        }
