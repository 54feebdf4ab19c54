"""The worker of one (carrier, shard): it owns all four class lanes, the shard's part of the rate, and one link (D3).

It holds the parts together (reader, claims, pump, settler, outbox, inbound) and speaks for them to each other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Final

import structlog

from gateway.bus import topics
from gateway.dispatch.claims import Claims, release
from gateway.dispatch.context import LaneContext
from gateway.dispatch.cutter import Cutter
from gateway.dispatch.failover import Failover
from gateway.dispatch.inbound import InboundPump
from gateway.dispatch.metrics import CarrierMetrics
from gateway.dispatch.outbox import Outbox
from gateway.dispatch.plan import CarrierPlan, DispatchSettings
from gateway.dispatch.pump import Pump
from gateway.dispatch.reader import LaneReader
from gateway.dispatch.references import References
from gateway.dispatch.settle import Settler
from gateway.dispatch.uplink import Uplink
from gateway.dispatch.work import Lane, Work
from gateway.domain.events import Noted
from gateway.domain.lifecycle import State
from gateway.domain.message import CLASSES, Message, OutboundSegment
from gateway.domain.outcomes import Submitted
from gateway.ports.bus import Bus, Record, Stored, Transaction
from gateway.ports.clock import Clock
from gateway.ports.dispatch_store import DeferredStore
from gateway.ports.links import BindChanged, CarrierLink, Inbound
from gateway.ports.store import Transactions
from throttling.governor import Governor

_log = structlog.get_logger()

DEAD_LANE_TOPIC: Final = "dead.lane"

_TICK_S: Final = 1.0


async def _always(_: Transaction) -> bool:
    return True


class LaneWorker:
    """Submits one shard of a carrier's lanes. Use: `start`, then `run` as a task, `drain`, and await the task.

    The sink of link and reader and the outbox's owner at once: all call back synchronously, from the same event loop.
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
        context = LaneContext(plan.carrier, shard, bus, db, deferred, clock, metrics, random, settings)
        self.carrier = plan.carrier
        self.shard = shard
        self._context = context
        self._link = link
        self._governor = governor
        self._hold_lease = hold_lease
        self._is_stopping = False
        self._background: list[asyncio.Task[None]] = []
        metrics.set_rate(float(plan.rate.per_s))

        per_s = float(plan.shard_rate.per_s)
        lanes = tuple(Lane(index, claims=not name.resends_in_doubt) for index, name in enumerate(CLASSES))
        self._lanes = lanes
        self._uplink = Uplink(context)
        self._claims = Claims(lanes, per_s=per_s, window=plan.window, settings=settings)
        self._outbox = outbox = Outbox(context, owner=self)
        self._settler = settler = Settler(
            context, link=link, lanes=lanes, outbox=outbox, wake=self.wake, is_up=self._uplink.is_up
        )
        self._pump = Pump(
            context,
            plan=plan,
            link=link,
            governor=governor,
            lanes=lanes,
            claims=self._claims,
            cutter=Cutter(plan, references),
            outbox=outbox,
            settler=settler,
            uplink=self._uplink,
        )
        self._failover = Failover(context, lanes=lanes, outbox=outbox, settler=settler)
        read_ahead = max(settings.min_read_ahead, int(per_s * settings.read_ahead_s) + plan.window)
        self._reader = LaneReader(context, sink=self, lanes=lanes, limit=read_ahead)
        self._inbound = InboundPump(context, link=link)

    # --- life -------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Find out where the lanes stand and begin connecting."""
        await self._reader.open()
        self._outbox.positions = self._claims.positions = self._reader.positions
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
            self._stop_submitting()
            self._link.abort()

    async def drain(self, *, deadline_s: float) -> int:
        """Stop picking, wait for answers, write down what is known and end `run`; return submits left in doubt."""
        self._stop_submitting()
        for task in self._background:
            task.cancel()
        unanswered = await self._link.drain(deadline_s=deadline_s)
        self._leave_the_rest()
        self._inbound.close()
        self._outbox.close()
        return unanswered

    def lease_until(self, until_ns: int) -> None:
        """Submit up to this instant of the monotonic clock, not later (D3)."""
        self._pump.may_submit_until_ns = until_ns
        self.wake()

    def wake(self) -> None:
        """Let the pump look whether something can be submitted."""
        self._pump.wake()

    def _stop_submitting(self) -> None:
        self._is_stopping = True
        self._pump.stop()

    def _leave_the_rest(self) -> None:
        """Give back what was never submitted; what was begun goes on from a record that says what is done."""
        self._claims.settle()
        for lane in self._lanes:
            begun, claimed, _ = lane.empty()
            unsent = list(claimed)
            for work in begun:
                if work.submitted or work.refused:
                    self._settler.conclude(work)
                else:
                    unsent.append(work)
            release(lane, unsent, self._outbox.positions[lane.index])

    # --- the link's sink --------------------------------------------------------------------------------------

    def on_ready(self) -> None:
        """A slot became free or a bind came up."""
        self._pump.slot_freed()

    def on_inbound(self, batch: Sequence[Inbound]) -> None:
        """Receipts and MO to make durable."""
        self._inbound.put(batch)

    def on_late_answer(self, segment: OutboundSegment, outcome: Submitted) -> None:
        """An answer came after its submit was given up: its id is still worth having (sms-domain G)."""
        self._settler.answered_late(segment, outcome)

    def on_bind_changed(self, event: BindChanged) -> None:
        """A bind came up or went down."""
        self._uplink.changed(event)
        if self._uplink.is_up():
            self.wake()

    # --- the reader's sink ------------------------------------------------------------------------------------

    def on_message(self, lane: int, offset: int, message: Message) -> None:
        """A message to submit."""
        self._lanes[lane].push(Work(message, lane=lane, offset=offset))

    def on_in_doubt(self, lane: int, offset: int, message: Message) -> None:
        """A message that was claimed and has no outcome: never submitted again, the receipt decides (P2)."""
        event = Noted(
            message.id,
            self._context.clock.now_ms(),
            "in_doubt",
            state=State.SUBMITTED,
            carrier=message.carrier,
            reason="restart",
        )
        self._outbox.add(event, lane=lane, offset=offset)

    def on_unreadable(self, lane: int, record: Stored, error: str) -> None:
        """A record that is no message: set aside, so that it can be looked at and brought back."""
        self._context.metrics.dead_by_reason["envelope"].inc()
        topic = topics.lanes(self.carrier)[lane]
        _log.error("lane.unreadable", topic=topic, offset=record.offset, error=error[:200])
        batch = self._outbox.batch
        batch.records.append(Record(DEAD_LANE_TOPIC, topic.encode(), record.value))
        batch.done.append((lane, record.offset))
        self._outbox.wake()

    def on_batch(self) -> None:
        """Something was read."""
        self._pump.nudge()

    # --- the outbox's owner -----------------------------------------------------------------------------------

    async def hold_lease(self, tx: Transaction) -> bool:
        """Fence a transaction of ours."""
        return await self._hold_lease(tx)

    def choose_claims(self) -> list[tuple[int, list[int]]]:
        """Take the next messages of the claiming lanes in hand."""
        return [] if self._is_stopping or not self._uplink.is_up() else self._claims.choose()

    def flushed(self) -> None:
        """Results and claims are durable: the pump may have been waiting for that."""
        self._claims.settle()
        self._claims.adapt(self._outbox.last_flush_s)
        self._pump.nudge()

    # --- every second -----------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self.observe()
            self.relieve()
            self._pump.nudge()

    def observe(self) -> None:
        """Publish gauges."""
        metrics = self._context.metrics
        metrics.show_binds(self._link.figures())
        metrics.submitted.inc(self._pump.take_written())
        for gauge, lane in zip(metrics.queue_depth, self._lanes, strict=True):
            gauge.set(lane.held)

    def relieve(self) -> None:
        """While the carrier is down: expire what is past its validity, move what has another carrier."""
        room = self._pump.max_unflushed - self._outbox.unflushed
        if not self._uplink.is_up() and not self._claims.is_pending and room > 0:
            self._failover.sweep(now_ms=self._context.clock.now_ms(), down_s=self._uplink.down_s, limit=room)

    def explain(self) -> dict[str, object]:
        """Return which constraint binds now, with the figures behind it, for people."""
        now_ns = self._context.clock.monotonic_ns()
        lanes = dict(zip([name.value for name in CLASSES], self._lanes, strict=True))
        return {
            "carrier": self.carrier,
            "shard": self.shard,
            "constraint": self._pump.constraint,
            "up": self._uplink.is_up(),
            "in_flight": self._link.in_flight,
            "ready": {name: lane.ready for name, lane in lanes.items()},
            "held": {name: lane.held for name, lane in lanes.items()},
            "resting": sum([lane.resting_count for lane in self._lanes]),
            "unflushed": self._outbox.unflushed,
            "inbound_pending": self._inbound.pending,
            "lease_left_ms": max(0, (self._pump.may_submit_until_ns - now_ns) // 1_000_000),
            "limits": list(self._governor.explain(now_ns)),
        }
