"""Starts, steers and stops the shards of one process: those whose lease it gets, of every carrier it is told (D3)."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any, Final

import structlog

from gateway.bus import topics
from gateway.bus.members import Membership
from gateway.dispatch.board import CarrierBoard
from gateway.dispatch.control import Control, reports_of
from gateway.dispatch.holds import held_dues
from gateway.dispatch.metrics import DispatchMetrics
from gateway.dispatch.orders import OrderBook
from gateway.dispatch.plan import CarrierPlan, DispatchSettings
from gateway.dispatch.references import References
from gateway.dispatch.shard import Outfit, ShardKeeper
from gateway.ports.bus import Bus
from gateway.ports.clock import Clock
from gateway.ports.control_store import CarrierReport, ControlStore
from gateway.ports.dispatch_store import DeferredStore, LeaseStore, Lifeline
from gateway.ports.store import Transactions

_log = structlog.get_logger()

_START_TIMEOUT_S: Final = 30.0


class DispatchSupervisor:
    """Runs the shards of every plan that fall to this process, until stopped; the topics of their lanes are there.

    `owner` names this process among all that might own a shard. A process that comes back under the same name takes
    its leases over at once, so a name is for those who know that the one before is dead; another one waits until they
    expire. Without `control` nobody gives orders, and the process takes itself for the only one.
    """

    def __init__(
        self,
        plans: Sequence[CarrierPlan],
        *,
        owner: str,
        bus: Bus,
        db: Transactions,
        deferred: DeferredStore,
        leases: LeaseStore,
        clock: Clock,
        metrics: DispatchMetrics,
        random: Random,
        settings: DispatchSettings = DispatchSettings(),  # noqa: B008 - a frozen value
        control: ControlStore | None = None,
        lifeline: Lifeline | None = None,
    ) -> None:
        self._plans = {plan.carrier: plan for plan in plans}
        self._bus = bus
        self._metrics = metrics
        self._membership = Membership(
            owner, clock=clock, orphan_after_s=settings.orphan_after_s, stand_in_s=settings.stand_in_s
        )
        board = CarrierBoard(
            clock=clock, stale_after_s=settings.report_stale_s, takes_unknown=settings.moves_to_unknown
        )
        board.configure(self._plans)
        self._book = None if control is None else OrderBook(control, clock=clock)
        self._outfit = Outfit(
            bus=bus,
            db=db,
            deferred=deferred,
            leases=leases,
            clock=clock,
            metrics=metrics,
            random=random,
            settings=settings,
            references=References(random),
            board=board,
            membership=self._membership,
            book=self._book,
        )
        self._control: Control | None = None
        if control is not None and self._book is not None:
            self._control = Control(
                control,
                steered=self,
                book=self._book,
                membership=self._membership,
                board=board,
                leases=leases,
                deferred=deferred,
                clock=clock,
                settings=settings,
                lifeline=lifeline,
            )
        self._stopping = asyncio.Event()
        self._changing = asyncio.Lock()
        self._group: asyncio.TaskGroup | None = None
        self._keepers: dict[str, dict[int, ShardKeeper]] = {}
        self._tasks: dict[ShardKeeper, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Work until `stop`; what is in flight then gets `drain_s` for its answers."""
        if self._control is not None:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await self._control.open()
        async with asyncio.TaskGroup() as group:
            self._group = group
            for plan in self._plans.values():
                self._start(plan)
            controlling = None
            if self._control is not None:
                controlling = group.create_task(self._control.run(), name="dispatch.control")
            await self._stopping.wait()
            async with self._changing:
                await self._end(self._all_keepers())
                self._group = None
            if controlling is not None:
                controlling.cancel()
        if self._control is not None:
            await self._control.leave()

    def stop(self) -> None:
        """Drain every worker and end `run`."""
        self._stopping.set()

    async def reload(self, plans: Sequence[CarrierPlan]) -> None:
        """Follow a new configuration while running; returns when what had to stop has stopped.

        Carriers whose plan is equal are untouched. One that differs in rate, burst or window alone is adjusted in
        place, any other is drained and begun anew. Removed ones are drained, new ones start. RuntimeError when not
        running.
        """
        async with self._changing:
            if self._group is None:
                raise RuntimeError("plans are reloaded only while dispatch runs")
            wanted = {plan.carrier: plan for plan in plans}
            before = self._plans
            same = {name for name, plan in wanted.items() if before.get(name) == plan}
            adjusted = {
                name
                for name, plan in wanted.items()
                if name not in same and name in before and plan.is_adjustment_of(before[name])
            }
            anew = [plan for name, plan in wanted.items() if name not in same | adjusted]
            gone = [name for name in before if name not in same | adjusted]
            await self._end([keeper for name in gone for keeper in self._keepers.pop(name, {}).values()])
            self._plans = wanted
            self._outfit.board.configure(wanted)
            for name in adjusted:
                plan = self._as_partitioned(wanted[name])
                for keeper in self._keepers[name].values():
                    keeper.adjust(plan)
            if not self._stopping.is_set():
                for plan in anew:
                    self._start(plan)
            _log.info(
                "plans.reloaded",
                unchanged=len(same),
                adjusted=sorted(adjusted),
                begun=sorted(plan.carrier for plan in anew),
                ended=sorted(gone),
            )

    def explain(self) -> list[dict[str, Any]]:
        """Return, for each lane worker of this process, which constraint binds now."""
        return [keeper.worker.explain() for keeper in self._all_keepers() if keeper.worker is not None]

    @property
    def is_ready(self) -> bool:
        """True once every shard that falls to this process has a worker here."""
        return self._group is not None and all(keeper.is_settled for keeper in self._all_keepers())

    # --- what the control tasks ask ---------------------------------------------------------------------------

    def review(self) -> None:
        """Let every shard follow the orders and members as they are known now."""
        for keeper in self._all_keepers():
            try:
                keeper.review()
            except Exception:  # noqa: BLE001 - one carrier's trouble stays its own (P5)
                _log.exception("orders.not_followed")

    def reports(self) -> list[CarrierReport]:
        """Return what to report of the shards worked here."""
        return reports_of(self.explain(), owner=self._membership.owner, now_ms=self._outfit.clock.now_ms())

    def held_dues(self) -> list[int]:
        """Return the due times of messages that are to stay aside."""
        book = self._book
        if book is None:
            return []
        return held_dues((carrier, book.of(carrier).held_accounts) for carrier in self._plans)

    def cut_off(self) -> None:
        """Others may take this process for dead within moments: submit no longer than that without a new lease."""
        for keeper in self._all_keepers():
            keeper.cut_off()

    # --- inside -----------------------------------------------------------------------------------------------

    def _all_keepers(self) -> list[ShardKeeper]:
        return [keeper for keepers in self._keepers.values() for keeper in keepers.values()]

    def _as_partitioned(self, plan: CarrierPlan) -> CarrierPlan:
        """Return the plan with as many shards as its lanes have partitions: each needs one reader, and has only one."""
        partitions = min(self._bus.partitions(topic) for topic in topics.lanes(plan.carrier))
        if partitions == plan.shards:
            return plan
        _log.warning(
            "carrier.shards_as_partitions", carrier=plan.carrier, shards=partitions, configured=plan.shards
        )
        return replace(plan, shards=partitions)

    def _start(self, plan: CarrierPlan) -> None:
        assert self._group is not None
        plan = self._as_partitioned(plan)
        self._metrics.touch(
            tuple(self._plans), statuses={name: plan.statuses for name, plan in self._plans.items()}
        )
        keepers = self._keepers[plan.carrier] = {
            shard: ShardKeeper(plan, shard=shard, outfit=self._outfit) for shard in range(plan.shards)
        }
        for shard, keeper in keepers.items():
            self._tasks[keeper] = self._group.create_task(
                keeper.run(), name=f"dispatch.{plan.carrier}.{shard}"
            )

    async def _end(self, keepers: Sequence[ShardKeeper]) -> None:
        tasks = [self._tasks.pop(keeper) for keeper in keepers if keeper in self._tasks]
        for keeper in keepers:
            keeper.end()
        if tasks:
            await asyncio.wait(tasks)
