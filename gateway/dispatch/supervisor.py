"""Starts, owns and stops the lane workers of one process: one per carrier and shard whose lease it gets (D3)."""

import asyncio
import contextlib
from collections.abc import Sequence
from random import Random
from typing import Final

import structlog

from gateway.bus import topics
from gateway.dispatch.lane import DEAD_LANE_TOPIC, LaneWorker
from gateway.dispatch.metrics import DispatchMetrics
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
_RETRY_FIRST_S: Final = 1.0
_RETRY_MAX_S: Final = 30.0


class DispatchSupervisor:
    """Runs every plan's shards until stopped. A worker that fails is started again; the others do not notice (P5).

    `owner` names this process among all that might own a lane: host and role. A process that comes back under the
    same name takes its leases over at once; another one waits until they expire.
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
    ) -> None:
        self._plans = tuple(plans)
        self._owner = owner
        self._bus = bus
        self._db = db
        self._deferred = deferred
        self._leases = leases
        self._clock = clock
        self._metrics = metrics
        self._random = random
        self._settings = settings
        self._references = References(random)
        self._stopping = asyncio.Event()
        self._workers: dict[tuple[str, int], LaneWorker] = {}

    async def run(self) -> None:
        """Work until `stop`; what is in flight then gets `drain_s` for its answers."""
        async with asyncio.timeout(_START_TIMEOUT_S):
            await self._prepare_topics()
        async with asyncio.TaskGroup() as group:
            for plan in self._plans:
                for shard in range(plan.shards):
                    group.create_task(self._serve(plan, shard), name=f"dispatch.{plan.carrier}.{shard}")

    def stop(self) -> None:
        """Drain every worker and end `run`."""
        self._stopping.set()

    def explain(self) -> list[dict[str, object]]:
        """Return, for each lane worker of this process, which constraint binds now."""
        return [worker.explain() for worker in self._workers.values()]

    @property
    def is_ready(self) -> bool:
        """True once every shard of every plan has a worker here."""
        return len(self._workers) == sum(plan.shards for plan in self._plans)

    async def _prepare_topics(self) -> None:
        wanted = {topic: plan.shards for plan in self._plans for topic in topics.lanes(plan.carrier)}
        await self._bus.ensure_topics({**wanted, DEAD_LANE_TOPIC: 1})
        # A group that never commits: what was set aside stays until somebody has looked at it.
        await self._bus.register_group(DEAD_LANE_TOPIC, [DEAD_LANE_TOPIC])

    async def _serve(self, plan: CarrierPlan, shard: int) -> None:
        retry_s = _RETRY_FIRST_S
        while not self._stopping.is_set():
            started_ns = self._clock.monotonic_ns()
            try:
                if await self._serve_once(plan, shard):
                    retry_s = _RETRY_FIRST_S
            except Exception:  # noqa: BLE001 - one carrier's trouble stays its own (P5)
                _log.exception("dispatch.worker_failed", carrier=plan.carrier, shard=shard, retry_s=retry_s)
                if self._clock.monotonic_ns() - started_ns > _RETRY_MAX_S * 1e9:
                    retry_s = _RETRY_FIRST_S
                await self._pause(retry_s)
                retry_s = min(retry_s * 2, _RETRY_MAX_S)

    async def _serve_once(self, plan: CarrierPlan, shard: int) -> bool:
        """Get the lease and work under it; False when another holds it."""
        asked_ns = self._clock.monotonic_ns()
        lease = await self._leases.acquire(
            plan.carrier, shard=shard, owner=self._owner, ttl_ms=int(self._settings.lease_ttl_s * 1000)
        )
        if lease is None:
            await self._pause(min(1.0, self._settings.lease_ttl_s / 4))
            return False
        _log.info("lane.owned", carrier=plan.carrier, shard=shard, epoch=lease.epoch)
        try:
            await self._own(plan, shard, lease, asked_ns)
        except LeaseLostError:
            _log.warning("lane.lost", carrier=plan.carrier, shard=shard, epoch=lease.epoch)
        finally:
            self._workers.pop((plan.carrier, shard), None)
            with contextlib.suppress(Exception):  # it expires anyway
                await self._leases.release(lease)
        return True

    async def _own(self, plan: CarrierPlan, shard: int, lease: Lease, asked_ns: int) -> None:
        async def hold_lease(tx: Transaction) -> bool:
            return await self._leases.hold(tx, lease)

        worker = LaneWorker(
            plan,
            shard=shard,
            link=plan.link_factory(shard, plan.shards),
            bus=self._bus,
            db=self._db,
            deferred=self._deferred,
            governor=plan.governor(),
            clock=self._clock,
            references=self._references,
            metrics=self._metrics.carrier(plan.carrier),
            random=self._random,
            settings=self._settings,
            hold_lease=hold_lease,
        )
        worker.lease_until(self._deadline_ns(asked_ns))
        name = f"lane.{plan.carrier}.{shard}"
        async with asyncio.timeout(_START_TIMEOUT_S):
            await worker.start()
        self._workers[plan.carrier, shard] = worker
        running = asyncio.create_task(worker.run(), name=name)
        renewing = asyncio.create_task(self._renew(lease, worker), name=f"{name}.lease")
        stopping = asyncio.create_task(self._stopping.wait(), name=f"{name}.stop")
        try:
            await asyncio.wait({running, renewing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done() and not renewing.done():
                await self._drain(worker, running)
            if renewing.done():
                renewing.result()  # raises LeaseLostError
            if running.done():
                _raise_single(running)
        finally:
            tasks = (running, renewing, stopping)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _drain(self, worker: LaneWorker, running: "asyncio.Task[None]") -> None:
        drain_s = self._settings.drain_s
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
        ttl_s = self._settings.lease_ttl_s
        while True:
            await asyncio.sleep(ttl_s / 4)
            asked_ns = self._clock.monotonic_ns()
            try:
                async with asyncio.timeout(ttl_s / 4):
                    is_ours = await self._leases.renew(lease, ttl_ms=int(ttl_s * 1000))
            except Exception as error:  # noqa: BLE001 - the worker stops by its own deadline if this goes on
                _log.warning(
                    "lane.renew_failed", carrier=lease.carrier, shard=lease.shard, error=type(error).__name__
                )
                continue
            if not is_ours:
                raise LeaseLostError(f"the lease of {lease.carrier}/{lease.shard} is another's")
            worker.lease_until(self._deadline_ns(asked_ns))

    def _deadline_ns(self, asked_ns: int) -> int:
        # Counted from before the question and a fifth short: we stop before the database lets another in.
        return asked_ns + int(self._settings.lease_ttl_s * 0.8e9)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


def _raise_single(task: "asyncio.Task[None]") -> None:
    """Raise what ended the task; the only error of its group as itself, not wrapped."""
    error = task.exception() if not task.cancelled() else None
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if error is not None:
        raise error
