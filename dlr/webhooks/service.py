"""Webhooks of one process: for each partition of `webhook.due` the lease, and under it the two halves of delivery.

Runs in the role `back`. A partition, its memory and its backlog belong to whoever holds the lease, so two processes
never post the same event at the same time; one that dies is followed when its lease ends.
"""

import asyncio
import contextlib
from random import Random
from typing import Final

import structlog

from dlr.webhooks.backlog import Backlog
from dlr.webhooks.client import Client
from dlr.webhooks.delivery import Delivery
from dlr.webhooks.directory import Directory
from dlr.webhooks.ledger import LeaseLostError, Ledger
from dlr.webhooks.metrics import WebhookMetrics
from dlr.webhooks.schedule import Schedule
from dlr.webhooks.shard import DeliverySettings, Shard
from dlr.webhooks.traces import WebhookSpans
from gateway.bus.members import Membership
from gateway.bus.reader_metrics import ReaderMetrics
from gateway.bus.topics import WEBHOOK_GROUP, WEBHOOKS
from gateway.bus.watermark import Watermark
from gateway.ports.bus import Bus, Transaction
from gateway.ports.clock import Clock
from gateway.ports.dispatch_store import Lease, LeaseStore
from gateway.ports.store import Transactions
from gateway.ports.webhook_store import DeliveryStore

_log = structlog.get_logger()

LEASE_NAME: Final = "@webhooks"
"""No carrier can be called so: it shares the table of the lanes."""

_TABLE: Final = "webhook_deliveries"
_RETRY_S: Final = 1.0
_MAX_RANGES: Final = 2_000
"""Runs of events done behind one that is not: bounds what is written with each commit."""
_SWEEP_EVERY_S: Final = 60.0
_OBSERVE_EVERY_S: Final = 5.0
_FLUSH_RETRY_MAX_S: Final = 5.0


class WebhookService:
    """One per process. `owner` names it among all that might deliver; by `membership` they share the partitions."""

    def __init__(
        self,
        *,
        owner: str,
        bus: Bus,
        db: Transactions,
        store: DeliveryStore,
        directory: Directory,
        client: Client,
        leases: LeaseStore,
        membership: Membership | None = None,
        clock: Clock,
        metrics: WebhookMetrics,
        reader_metrics: ReaderMetrics,
        random: Random,
        settings: DeliverySettings = DeliverySettings(),  # noqa: B008 - a frozen value
        schedule: Schedule = Schedule(),  # noqa: B008 - has no state
        lease_ttl_s: float = 10.0,
        spans: WebhookSpans | None = None,
    ) -> None:
        self._owner = owner
        self._bus = bus
        self._db = db
        self._store = store
        self._directory = directory
        self._client = client
        self._leases = leases
        self._membership = membership
        self._clock = clock
        self._metrics = metrics
        self._reader_metrics = reader_metrics
        self._random = random
        self._settings = settings
        self._schedule = schedule
        self._lease_ttl_s = lease_ttl_s
        self._on_attempts = None if spans is None else spans.attempted
        self._stopping = asyncio.Event()
        reader_metrics.introduce(topic=WEBHOOKS, group=WEBHOOK_GROUP, table=_TABLE)

    def stop(self) -> None:
        """Let open POSTs end, commit, and end `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Deliver until `stop`."""
        await self._bus.register_group(WEBHOOK_GROUP, [WEBHOOKS])
        await self._client.start()
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._bus.partitions(WEBHOOKS)):
                    group.create_task(self._serve(number), name=f"webhooks.{number}")
        finally:
            await self._client.close()

    async def _serve(self, number: int) -> None:
        while not self._stopping.is_set():
            try:
                asked_ns = self._clock.monotonic_ns()
                if self._membership is not None and not self._membership.may_take(LEASE_NAME, number):
                    await self._pause(_RETRY_S)
                    continue
                lease = await self._leases.acquire(
                    LEASE_NAME, shard=number, owner=self._owner, ttl_ms=int(self._lease_ttl_s * 1000)
                )
                if lease is None:
                    await self._pause(min(_RETRY_S, self._lease_ttl_s / 4))
                    continue
                try:
                    await self._own(number, lease, asked_ns)
                finally:
                    with contextlib.suppress(Exception):  # it expires anyway
                        await self._leases.release(lease)
            except LeaseLostError:
                _log.warning("webhooks.lost", shard=number)
            except Exception as error:  # noqa: BLE001 - whatever the outside world does, the events wait for us
                self._reader_metrics.errors.labels(_TABLE, "database").inc()
                _log.warning("webhooks.retry", shard=number, error=_name(error))
                await self._pause(_RETRY_S)
            finally:
                self._metrics.pending(number, 0)

    async def _own(self, number: int, lease: Lease, asked_ns: int) -> None:
        async def hold_lease(tx: Transaction) -> bool:
            return await self._leases.hold(tx, lease)

        await self._directory.refresh()
        self._metrics.disabled.set(self._directory.disabled_count)
        position = await self._bus.position(WEBHOOK_GROUP, WEBHOOKS, number)
        watermark = Watermark(position, max_ranges=_MAX_RANGES)
        ledger = Ledger(
            number,
            watermark=watermark,
            db=self._db,
            bus=self._bus,
            store=self._store,
            hold_lease=hold_lease,
            on_attempts=self._on_attempts,
        )
        shard = Shard(
            number,
            store=self._store,
            directory=self._directory,
            client=self._client,
            ledger=ledger,
            schedule=self._schedule,
            settings=self._settings.divided_by(self._bus.partitions(WEBHOOKS)),
            metrics=self._metrics,
            clock=self._clock,
            random=self._random,
        )
        await shard.load()
        owned = _Owned(shard, ledger)
        tasks: set[asyncio.Task[None]] = set()
        posts = asyncio.create_task(self._work(owned, watermark), name=f"webhooks.{number}.work")
        renewing = asyncio.create_task(self._renew(lease, asked_ns), name=f"webhooks.{number}.lease")
        stopping = asyncio.create_task(self._until_leaving(number, asked_ns), name=f"webhooks.{number}.stop")
        tasks |= {posts, renewing, stopping}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not posts.done() and not renewing.done():
                await self._drain(owned)
            for task in (renewing, posts):
                if task.done():
                    _raise_single(task)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _work(self, owned: "_Owned", watermark: Watermark) -> None:
        async with asyncio.TaskGroup() as group:
            delivery = owned.delivery = Delivery(owned.shard, bus=self._bus, watermark=watermark, group=group)
            backlog = Backlog(owned.shard, group=group)
            group.create_task(delivery.run(), name="webhooks.read")
            group.create_task(self._flush(owned.ledger), name="webhooks.flush")
            group.create_task(self._tick(owned.shard, delivery), name="webhooks.tick")
            group.create_task(backlog.run(), name="webhooks.backlog")
            group.create_task(self._sweep(backlog), name="webhooks.sweep")
            group.create_task(self._observe(owned.shard), name="webhooks.observe")

    async def _drain(self, owned: "_Owned") -> None:
        """Let what is in flight end; what is not committed then comes again."""
        shard = owned.shard
        shard.is_stopping = True
        if owned.delivery is not None:
            owned.delivery.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.stop_s):
                while shard.posts:
                    shard.slot_freed.clear()
                    await shard.slot_freed.wait()
        await asyncio.sleep(0)  # the tasks of the last POSTs note what came of them
        with contextlib.suppress(Exception):
            await owned.ledger.flush()

    async def _flush(self, ledger: Ledger) -> None:
        retry_s = 0.0
        while True:
            await ledger.news.wait()
            await asyncio.sleep(self._settings.linger_s)
            started_ns = self._clock.monotonic_ns()
            try:
                rows = await ledger.flush()
            except LeaseLostError:
                raise
            except Exception as error:  # noqa: BLE001 - the page is kept and written later
                self._reader_metrics.errors.labels(_TABLE, "database").inc()
                retry_s = min(max(retry_s * 2, 0.1), _FLUSH_RETRY_MAX_S)
                _log.warning("webhooks.flush_failed", error=type(error).__name__, in_s=retry_s)
                ledger.news.set()
                await asyncio.sleep(retry_s)
                continue
            retry_s = 0.0
            if rows:
                self._reader_metrics.batch_rows.labels(_TABLE).observe(rows)
                duration_s = (self._clock.monotonic_ns() - started_ns) / 1e9
                self._reader_metrics.write_duration.labels(_TABLE).observe(duration_s)

    async def _tick(self, shard: Shard, delivery: Delivery) -> None:
        while True:
            await asyncio.sleep(self._settings.tick_s)
            if not shard.is_stopping:
                delivery.tick()

    async def _sweep(self, backlog: Backlog) -> None:
        while True:
            try:
                await backlog.sweep()
            except LeaseLostError:
                raise
            except Exception as error:  # noqa: BLE001 - the database may be away; next time
                _log.warning("webhooks.sweep_failed", error=type(error).__name__)
            await asyncio.sleep(_SWEEP_EVERY_S)

    async def _observe(self, shard: Shard) -> None:
        while True:
            now_ms = self._clock.now_ms()
            with contextlib.suppress(Exception):
                lags = await self._bus.lag(WEBHOOK_GROUP)
                self._reader_metrics.lag(lags, topic=WEBHOOKS, group=WEBHOOK_GROUP, now_ms=now_ms)
                self._reader_metrics.progressed(topic=WEBHOOKS, group=WEBHOOK_GROUP, now_ms=now_ms)
            shard.observe()
            await asyncio.sleep(_OBSERVE_EVERY_S)

    async def _renew(self, lease: Lease, asked_ns: int) -> None:
        """Keep the lease; LeaseLostError when it is another's, or before it could be."""
        ttl_s = self._lease_ttl_s
        deadline_ns = asked_ns + int(ttl_s * 0.8e9)
        while True:
            await asyncio.sleep(ttl_s / 4)
            asked_ns = self._clock.monotonic_ns()
            try:
                async with asyncio.timeout(ttl_s / 4):
                    is_ours = await self._leases.renew(lease, ttl_ms=int(ttl_s * 1000))
            except Exception as error:
                _log.warning("webhooks.renew_failed", shard=lease.shard, error=type(error).__name__)
                if self._clock.monotonic_ns() >= deadline_ns:
                    raise LeaseLostError(f"webhooks shard {lease.shard}: not renewed in time") from error
                continue
            if not is_ours:
                raise LeaseLostError(f"webhooks shard {lease.shard} is another's")
            deadline_ns = asked_ns + int(ttl_s * 0.8e9)

    async def _until_leaving(self, number: int, owned_since_ns: int) -> None:
        """Return when the process stops, or the partition is another's by the rule that all follow."""
        membership = self._membership
        if membership is None:
            await self._stopping.wait()
            return
        stands_in = not membership.is_mine(LEASE_NAME, number)
        while not self._stopping.is_set():
            if membership.must_give(LEASE_NAME, number, owned_since_ns=owned_since_ns, stands_in=stands_in):
                _log.info("webhooks.handed_over", shard=number)
                return
            await self._pause(_RETRY_S)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


class _Owned:
    """What one lease gave us."""

    __slots__ = ("delivery", "ledger", "shard")

    def __init__(self, shard: Shard, ledger: Ledger) -> None:
        self.shard = shard
        self.ledger = ledger
        self.delivery: Delivery | None = None


def _raise_single(task: "asyncio.Task[None]") -> None:
    """Raise what ended the task; the only error of its group as itself."""
    error = task.exception() if not task.cancelled() else None
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if error is not None:
        raise error


def _name(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__
