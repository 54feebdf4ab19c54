"""One shard of a carrier in this process: get its lease, work under it, hand it over in order (D3).

Made and ended by the supervisor; a worker that fails is started again, and the others do not notice (P5).
"""

import asyncio
import contextlib
from dataclasses import dataclass
from random import Random
from typing import Final

import structlog

from gateway.bus.members import Membership
from gateway.dispatch.board import CarrierBoard
from gateway.dispatch.lane import LaneWorker
from gateway.dispatch.metrics import DispatchMetrics
from gateway.dispatch.orders import OrderBook
from gateway.dispatch.outbox import LeaseLostError
from gateway.dispatch.plan import CarrierPlan, DispatchSettings
from gateway.dispatch.references import References
from gateway.ports.bus import Bus, Transaction
from gateway.ports.clock import Clock
from gateway.ports.dispatch_store import DeferredStore, Lease, LeaseStore
from gateway.ports.store import Transactions

_log = structlog.get_logger()

_START_TIMEOUT_S: Final = 30.0
_FLUSH_GRACE_S: Final = 5.0
_POLL_S: Final = 1.0
_POLL_MINE_S: Final = 0.2
_URGENT_NS: Final = 1_000_000_000
_RETRY_FIRST_S: Final = 1.0
_RETRY_MAX_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Outfit:
    """What all shards of one process work with. `book` is None where nobody gives orders."""

    bus: Bus
    db: Transactions
    deferred: DeferredStore
    leases: LeaseStore
    clock: Clock
    metrics: DispatchMetrics
    random: Random
    settings: DispatchSettings
    references: References
    board: CarrierBoard
    membership: Membership
    book: OrderBook | None


class ShardKeeper:
    """Owns a shard whenever this process should; `worker` is there while it does."""

    def __init__(self, plan: CarrierPlan, *, shard: int, outfit: Outfit) -> None:
        self.worker: LaneWorker | None = None
        self._plan = plan
        self._shard = shard
        self._outfit = outfit
        self._ends = asyncio.Event()
        self._leaves = asyncio.Event()
        self._renew_now = asyncio.Event()
        self._owned_since_ns = 0
        self._asked_ns = self._until_ns = 0
        self._cut_ns = -1
        self._stands_in = False

    @property
    def is_settled(self) -> bool:
        """True while it is worked here, or is another process's."""
        return self.worker is not None or not self._outfit.membership.is_mine(self._plan.carrier, self._shard)

    def end(self) -> None:
        """Drain, release the lease and end `run`."""
        self._ends.set()
        self._leaves.set()

    def adjust(self, plan: CarrierPlan) -> None:
        """Follow a plan that differs in rate, burst or window only."""
        self._plan = plan
        if self.worker is not None:
            self.worker.adjust(plan)

    def review(self) -> None:
        """Follow the orders as they stand, and give the shard up where it is another's by now."""
        if self.worker is None:
            return
        outfit, carrier = self._outfit, self._plan.carrier
        if outfit.book is not None:
            self.worker.follow(outfit.book.of(carrier))
        if not self._leaves.is_set() and outfit.membership.must_give(
            carrier, self._shard, owned_since_ns=self._owned_since_ns, stands_in=self._stands_in
        ):
            _log.info("lane.handed_over", carrier=carrier, shard=self._shard)
            self._leaves.set()

    def cut_off(self) -> None:
        """Stop submitting within half the grace of a cut lifeline, unless the lease is renewed before."""
        self._cut_ns = self._outfit.clock.monotonic_ns()
        if self.worker is not None:
            self._allow(self.worker, self._asked_ns)
        self._renew_now.set()

    async def run(self) -> None:
        """Work until `end`; what fails is tried again, later each time."""
        retry_s = _RETRY_FIRST_S
        clock = self._outfit.clock
        carrier, shard = self._plan.carrier, self._shard
        while not self._ends.is_set():
            started_ns = clock.monotonic_ns()
            try:
                if self._outfit.membership.may_take(carrier, shard) and await self._serve_once():
                    retry_s = _RETRY_FIRST_S
                else:
                    await self._pause(self._poll_s())
            except Exception:  # noqa: BLE001 - one carrier's trouble stays its own (P5)
                _log.exception("dispatch.worker_failed", carrier=carrier, shard=shard, retry_s=retry_s)
                if clock.monotonic_ns() - started_ns > _RETRY_MAX_S * 1e9:
                    retry_s = _RETRY_FIRST_S
                await self._pause(retry_s)
                retry_s = min(retry_s * 2, _RETRY_MAX_S)

    def _poll_s(self) -> float:
        # What is ours and still in another's hand is worth asking for often: its part of the rate lies idle.
        is_mine = self._outfit.membership.is_mine(self._plan.carrier, self._shard)
        return min(_POLL_MINE_S if is_mine else _POLL_S, self._outfit.settings.lease_ttl_s / 4)

    async def _serve_once(self) -> bool:
        """Get the lease and work under it; False when another holds it."""
        outfit, carrier, shard = self._outfit, self._plan.carrier, self._shard
        asked_ns = outfit.clock.monotonic_ns()
        lease = await outfit.leases.acquire(
            carrier,
            shard=shard,
            owner=outfit.membership.owner,
            ttl_ms=int(outfit.settings.lease_ttl_s * 1000),
        )
        if lease is None:
            return False
        self._owned_since_ns = asked_ns
        self._stands_in = not outfit.membership.is_mine(carrier, shard)
        if not self._ends.is_set():
            self._leaves.clear()
        _log.info("lane.owned", carrier=carrier, shard=shard, epoch=lease.epoch, stands_in=self._stands_in)
        try:
            await self._own(lease, asked_ns)
        except LeaseLostError:
            _log.warning("lane.lost", carrier=carrier, shard=shard, epoch=lease.epoch)
        finally:
            self.worker = None
            with contextlib.suppress(Exception):  # it expires anyway
                await outfit.leases.release(lease)
        return True

    def _make_worker(self, lease: Lease, asked_ns: int) -> LaneWorker:
        plan, outfit = self._plan, self._outfit

        async def hold_lease(tx: Transaction) -> bool:
            return await outfit.leases.hold(tx, lease)

        worker = LaneWorker(
            plan,
            shard=self._shard,
            link=plan.link_factory(self._shard, plan.shards),
            bus=outfit.bus,
            db=outfit.db,
            deferred=outfit.deferred,
            governor=plan.governor(),
            clock=outfit.clock,
            references=outfit.references,
            metrics=outfit.metrics.carrier(plan.carrier),
            random=outfit.random,
            settings=outfit.settings,
            hold_lease=hold_lease,
            board=outfit.board,
        )
        self._allow(worker, asked_ns)
        if outfit.book is not None:
            worker.follow(outfit.book.of(plan.carrier))
        return worker

    async def _own(self, lease: Lease, asked_ns: int) -> None:
        worker = self._make_worker(lease, asked_ns)
        async with asyncio.timeout(_START_TIMEOUT_S):
            await worker.start()
        self.worker = worker
        name = f"lane.{lease.carrier}.{lease.shard}"
        running = asyncio.create_task(worker.run(), name=name)
        renewing = asyncio.create_task(self._renew(lease, worker), name=f"{name}.lease")
        leaving = asyncio.create_task(self._leaves.wait(), name=f"{name}.leave")
        try:
            await asyncio.wait({running, renewing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done() and not renewing.done():
                await self._drain(worker, running)
            if renewing.done():
                renewing.result()  # raises LeaseLostError
            if running.done():
                _raise_single(running)
        finally:
            tasks = (running, renewing, leaving)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _drain(self, worker: LaneWorker, running: "asyncio.Task[None]") -> None:
        drain_s = self._outfit.settings.drain_s
        try:
            async with asyncio.timeout(drain_s + _FLUSH_GRACE_S):
                unanswered = await worker.drain(deadline_s=drain_s)
                await asyncio.wait({running})
        except TimeoutError:
            _log.warning("lane.drain_timeout", carrier=worker.carrier, shard=worker.shard)
        else:
            _log.info("lane.drained", carrier=worker.carrier, shard=worker.shard, unanswered=unanswered)

    async def _renew(self, lease: Lease, worker: LaneWorker) -> None:
        """Keep the lease until cancelled; LeaseLostError when another has it. Failures only let the deadline near."""
        outfit, ttl_s = self._outfit, self._outfit.settings.lease_ttl_s
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ttl_s / 4):
                    await self._renew_now.wait()
            self._renew_now.clear()
            asked_ns = outfit.clock.monotonic_ns()
            try:
                async with asyncio.timeout(ttl_s / 4):
                    is_ours = await outfit.leases.renew(lease, ttl_ms=int(ttl_s * 1000))
            except Exception as error:  # noqa: BLE001 - the worker stops by its own deadline if this goes on
                _log.warning(
                    "lane.renew_failed", carrier=lease.carrier, shard=lease.shard, error=type(error).__name__
                )
                if outfit.clock.monotonic_ns() > self._until_ns - _URGENT_NS:
                    await asyncio.sleep(_POLL_MINE_S)
                    self._renew_now.set()
                continue
            if not is_ours:
                raise LeaseLostError(f"the lease of {lease.carrier}/{lease.shard} is another's")
            self._allow(worker, asked_ns)

    def _allow(self, worker: LaneWorker, asked_ns: int) -> None:
        # Counted from before the question and a fifth short: we stop before the database lets another in.
        settings = self._outfit.settings
        self._asked_ns = asked_ns
        self._until_ns = asked_ns + int(settings.lease_ttl_s * 0.8e9)
        if asked_ns <= self._cut_ns:
            self._until_ns = min(self._until_ns, self._cut_ns + int(settings.cut_grace_s * 0.5e9))
        worker.lease_until(self._until_ns)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ends.wait()


def _raise_single(task: "asyncio.Task[None]") -> None:
    """Raise what ended the task; the only error of its group as itself, not wrapped."""
    error = task.exception() if not task.cancelled() else None
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if error is not None:
        raise error
