"""The worker of one (carrier, shard): it owns all four class lanes, the shard's part of the rate, and one link (D3).

It holds the parts together (reader, claims, pump, settler, outbox, inbound) and speaks for them to each other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, Final

import structlog

from gateway.bus import topics
from gateway.dispatch.board import CarrierBoard
from gateway.dispatch.claims import Claims, release
from gateway.dispatch.conclude import in_doubt
from gateway.dispatch.context import LaneContext
from gateway.dispatch.cutter import Cutter
from gateway.dispatch.failover import Failover
from gateway.dispatch.helm import Helm
from gateway.dispatch.holds import Aside
from gateway.dispatch.inbound import InboundPump
from gateway.dispatch.metrics import CarrierMetrics
from gateway.dispatch.orders import CarrierOrders
from gateway.dispatch.outbox import Outbox
from gateway.dispatch.plan import CarrierPlan, DispatchSettings
from gateway.dispatch.pump import Pump
from gateway.dispatch.reader import LaneReader
from gateway.dispatch.references import References
from gateway.dispatch.repeats import Repeats
from gateway.dispatch.settle import Settler
from gateway.dispatch.traced import TracedSettler
from gateway.dispatch.uplink import Uplink
from gateway.dispatch.work import Lane, Work
from gateway.domain.message import CLASSES, Message, OutboundSegment
from gateway.domain.outcomes import Submitted
from gateway.ports.bus import Bus, Stored, Transaction
from gateway.ports.clock import Clock
from gateway.ports.dispatch_store import DeferredStore
from gateway.ports.links import BindChanged, CarrierLink, Inbound
from gateway.ports.record_store import DeadRow
from gateway.ports.store import Transactions
from throttling.governor import Governor

_log = structlog.get_logger()


_STUCK_READS: Final = 20
_MAX_READ_AHEAD: Final = 10_000


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
        board: CarrierBoard | None = None,
    ) -> None:
        if board is None:  # alone, it knows nothing of other carriers and trusts them all
            board = CarrierBoard(clock=clock, stale_after_s=settings.report_stale_s, takes_unknown=True)
        context = LaneContext(plan.carrier, shard, bus, db, deferred, clock, metrics, random, settings, board)
        self.carrier = plan.carrier
        self.shard = shard
        self._context = context
        self._link = link
        self._hold_lease = hold_lease
        self._is_stopping = False
        self._repeats = Repeats(settings.remembered_ids) if settings.remembered_ids else None
        self._background: list[asyncio.Task[None]] = []

        per_s = float(plan.shard_rate.per_s)
        lanes = tuple(Lane(index, claims=not name.resends_in_doubt) for index, name in enumerate(CLASSES))
        self._lanes = lanes
        self._uplink = Uplink(context)
        self._claims = Claims(lanes, per_s=per_s, window=plan.window, settings=settings)
        self._outbox = outbox = Outbox(context, owner=self)
        make_settler = Settler if metrics.spans is None else TracedSettler
        self._settler = settler = make_settler(
            context,
            link=link,
            lanes=lanes,
            outbox=outbox,
            wake=self.wake,
            is_up=self._uplink.is_up,
            retry=plan.retry,
        )
        self._pump = self._make_pump(plan, governor, Cutter(plan, references), settler)
        self._aside = Aside(context, lanes=lanes, outbox=outbox)
        failover = Failover(context, lanes=lanes, outbox=outbox, settler=settler)
        self._helm = self._make_helm(plan, governor, failover)
        self._read_ahead = self._read_ahead_of(plan)
        self._reader = LaneReader(context, sink=self, lanes=lanes, limit=self._read_ahead)
        self._inbound = InboundPump(context, link=link)

    def _read_ahead_of(self, plan: CarrierPlan) -> int:
        settings = self._context.settings
        return max(
            settings.min_read_ahead, int(float(plan.shard_rate.per_s) * settings.read_ahead_s) + plan.window
        )

    def _make_pump(self, plan: CarrierPlan, governor: Governor, cutter: Cutter, settler: Settler) -> Pump:
        return Pump(
            self._context,
            plan=plan,
            link=self._link,
            governor=governor,
            lanes=self._lanes,
            claims=self._claims,
            cutter=cutter,
            outbox=self._outbox,
            settler=settler,
            uplink=self._uplink,
        )

    def _make_helm(self, plan: CarrierPlan, governor: Governor, failover: Failover) -> Helm:
        return Helm(
            self._context,
            plan=plan,
            link=self._link,
            governor=governor,
            lanes=self._lanes,
            claims=self._claims,
            outbox=self._outbox,
            pump=self._pump,
            uplink=self._uplink,
            failover=failover,
            aside=self._aside,
        )

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
            self._helm.retire()

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

    def follow(self, orders: CarrierOrders) -> None:
        """Apply what operators ordered for this carrier; repeating it changes nothing."""
        self._helm.follow(orders)

    def adjust(self, plan: CarrierPlan) -> None:
        """Follow a plan that differs in rate, burst or window only."""
        self._helm.adjust(plan)
        self._read_ahead = self._read_ahead_of(plan)

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
                    self._settler.conclude(work, self._context.clock.now_ms())
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
        self._helm.note_health()
        if self._uplink.is_up():
            self.wake()

    # --- the reader's sink ------------------------------------------------------------------------------------

    def on_message(self, lane: int, offset: int, message: Message) -> None:
        """A message to submit."""
        if self._repeats is not None:
            first = self._repeats.sift(message)
            if first is None:
                self._context.metrics.repeats.inc()
                self._outbox.batch.done.append((lane, offset))
                self._outbox.wake()
                return
            message = first
        aside = self._aside
        if message.account_id in aside.accounts and aside.take(message, lane=lane, offset=offset):
            return
        self._lanes[lane].push(Work(message, lane=lane, offset=offset))

    def on_in_doubt(self, lane: int, offset: int, message: Message) -> None:
        """A message that was claimed and has no outcome: never submitted again, the receipt decides (P2)."""
        now_ms = self._context.clock.now_ms()
        self._outbox.add(in_doubt(message, now_ms=now_ms), lane=lane, offset=offset)
        self._settler.step_over(message, now_ms)

    def on_unreadable(self, lane: int, record: Stored, error: str) -> None:
        """A record that is no message: set aside, so that it can be looked at and brought back."""
        self._context.metrics.dead_by_reason["envelope"].inc()
        topic = topics.lanes(self.carrier)[lane]
        _log.error("lane.unreadable", topic=topic, offset=record.offset, error=error[:200])
        batch = self._outbox.batch
        now_ms = self._context.clock.now_ms()
        batch.dead.append(DeadRow(topic, self.shard, record.offset, record.value, error[:500], now_ms))
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

    # --- beside the messages ----------------------------------------------------------------------------------

    async def _tick(self) -> None:
        tick_s = self._context.settings.tick_s
        while True:
            await asyncio.sleep(tick_s)
            self._helm.tick()
            # What may not move must not hide what may, behind it in the lane.
            wider = min(_MAX_READ_AHEAD, _STUCK_READS * self._read_ahead)
            self._reader.set_limit(max(self._read_ahead, wider) if self._helm.lets_go else self._read_ahead)

    def relieve(self) -> None:
        """While the carrier cannot be sent to: expire what is past its validity, move what has another carrier."""
        self._helm.relieve()

    def explain(self) -> dict[str, Any]:
        """Return which constraint binds now, with the figures behind it, as JSON for people and reports."""
        ahead = sum([position.ahead_count for position in self._reader.positions])
        return {
            **self._helm.explain(),
            "taken_ahead": ahead,
            "inbound_pending": self._inbound.pending,
        }
