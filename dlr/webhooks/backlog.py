"""Everything after the first attempt: the backlog of one shard is drained by due time, endpoint by endpoint.

A drain takes a few events at a time, posts them, commits what came of it, and goes on, no faster than the set rate and
with one slot of the endpoint left to first attempts. An endpoint whose circuit is open gets a single event as a probe.
The lease of the shard keeps other processes away, so no row is locked while a POST is open.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from dlr.webhooks.client import Answer, Outcome
from dlr.webhooks.outlet import MAX_POST_OCTETS, Outlet
from dlr.webhooks.schedule import PULL_IN_ATTEMPTS, batch_limit
from dlr.webhooks.shard import Shard
from gateway.domain.ids import new_uuid7
from gateway.ports.webhook_store import DELIVERED, EXHAUSTED, FAILED, AttemptRow, Delay, DueRow

_log = structlog.get_logger()

_MAX_CHUNK: Final = 1_000
_SWEEP_ROWS: Final = 500
_LOOK_AT_ALL_EVERY: Final = 8
"""Ticks between two looks at endpoints that seem to have nothing waiting: replays come from elsewhere."""


class Backlog:
    """The second half of one shard. `group` owns the tasks of the drains."""

    def __init__(self, shard: Shard, *, group: asyncio.TaskGroup, every_s: float | None = None) -> None:
        self._shard = shard
        self._group = group
        self._every_s = shard.settings.tick_s if every_s is None else every_s
        self._ticks = 0

    async def run(self) -> None:
        """Start a drain for every endpoint that has something due, until cancelled."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - the database may be away; what waits stays
                _log.warning("webhooks.look_failed", error=type(error).__name__)
            await asyncio.sleep(self._every_s)

    async def look(self) -> None:
        """Look once."""
        shard = self._shard
        directory = shard.directory
        every_one = self._ticks % _LOOK_AT_ALL_EVERY == 0
        self._ticks += 1
        ids = (
            directory.ids
            if every_one
            else [one for one, outlet in shard.outlets.items() if outlet.may_have_backlog]
        )
        if not ids or shard.is_stopping:
            return
        async with shard.ledger.lock:
            due = await shard.store.next_due(shard.number, ids)
            for endpoint_id in ids:
                outlet = shard.outlets.get(endpoint_id)
                if outlet is not None:
                    outlet.may_have_backlog = endpoint_id in due or outlet.is_spilling
        now_ms = shard.clock.now_ms()
        for endpoint_id, due_at in due.items():
            destination = directory.get(endpoint_id)
            if destination is None:
                continue
            outlet = shard.outlet(destination)
            if outlet.is_draining or not (due_at <= now_ms or outlet.wants_pull_in):
                continue
            if outlet.circuit.is_open(now_ms) and not outlet.circuit.may_probe(now_ms):
                continue
            outlet.is_draining = True
            self._group.create_task(self._drain(outlet), name="webhooks.drain")

    async def _drain(self, outlet: Outlet) -> None:
        try:
            await self.drain(outlet)
        except Exception as error:  # noqa: BLE001 - the database may be away; the rows stay where they are
            _log.warning(
                "webhooks.drain_failed", webhook=outlet.destination.endpoint_id, error=type(error).__name__
            )
        finally:
            outlet.is_draining = False

    async def drain(self, outlet: Outlet) -> None:
        """Post what is due of one endpoint until nothing is, or the endpoint fails."""
        shard = self._shard
        while not shard.is_stopping:
            endpoint_id = outlet.destination.endpoint_id
            if shard.directory.get(endpoint_id) is None:
                return
            started_ns = shard.clock.monotonic_ns()
            now_ms = shard.clock.now_ms()
            if outlet.wants_pull_in:
                outlet.wants_pull_in = False
                await shard.store.pull_in(
                    shard.number, endpoint_id, max_attempts=PULL_IN_ATTEMPTS, now_ms=now_ms
                )
            is_probe = outlet.circuit.is_open(now_ms)
            if is_probe and not outlet.circuit.may_probe(now_ms):
                return
            rows = await self._due(outlet, now_ms=now_ms, limit=1 if is_probe else self._chunk(outlet))
            if not rows:
                return
            await self._post_all(outlet, rows)
            await shard.ledger.flush()
            if is_probe and outlet.circuit.is_open(shard.clock.now_ms()):
                return
            spent_s = (shard.clock.monotonic_ns() - started_ns) / 1e9
            await asyncio.sleep(max(0.0, len(rows) / shard.settings.drain_per_s - spent_s))

    async def sweep(self) -> int:
        """Give up what is too old, drop what belongs to deleted endpoints, count the rest; return how many ended."""
        shard = self._shard
        ended = 0
        before_ms = shard.clock.now_ms() - shard.schedule.length_ms
        for endpoint_id in await shard.store.strangers(shard.number, []):
            if shard.directory.get(endpoint_id) is None and not await shard.store.exists(endpoint_id):
                await self._drop_all(endpoint_id)
                continue
            ended += await self._give_up_old(endpoint_id, before_ms)
        await shard.count()
        return ended

    async def _drop_all(self, endpoint_id: str) -> None:
        shard = self._shard
        dropped = _SWEEP_ROWS
        while dropped == _SWEEP_ROWS and not shard.is_stopping:
            dropped = await shard.store.drop(shard.number, endpoint_id, limit=_SWEEP_ROWS)

    async def _give_up_old(self, endpoint_id: str, before_ms: int) -> int:
        shard = self._shard
        ended = 0
        while not shard.is_stopping:
            rows = await shard.store.over(shard.number, endpoint_id, before_ms=before_ms, limit=_SWEEP_ROWS)
            if not rows:
                break
            shard.ledger.attempted([self._given_up(one) for one in rows])
            shard.ledger.remove([one.id for one in rows])
            await shard.ledger.flush()
            ended += len(rows)
        outlet = shard.outlets.get(endpoint_id)
        if ended and outlet is not None:
            await shard.gave_up(outlet, None)
        return ended

    async def _due(self, outlet: Outlet, *, now_ms: int, limit: int) -> list[DueRow]:
        shard = self._shard
        # Under the lock: what is on its way into the backlog is either seen here or known to the outlet.
        async with shard.ledger.lock:
            rows = await shard.store.due(
                shard.number, outlet.destination.endpoint_id, now_ms=now_ms, limit=limit
            )
            return [
                one
                for one in rows
                if not (outlet.is_busy_with(one.row.subject_id.int) or shard.ledger.is_open(one.id))
            ]

    def _chunk(self, outlet: Outlet) -> int:
        destination = outlet.destination
        slots = max(1, destination.max_in_flight - 1)
        # Enough for every slot, and no more than a second of the rate.
        wanted = max(destination.batch_max * slots * 2, 20)
        return max(1, min(wanted, int(self._shard.settings.drain_per_s), _MAX_CHUNK))

    async def _post_all(self, outlet: Outlet, rows: Sequence[DueRow]) -> None:
        async with asyncio.TaskGroup() as group:
            for batch in _batches(rows, batch_max=outlet.destination.batch_max):
                await self._slot(outlet)
                group.create_task(self._post(outlet, batch), name="webhooks.retry")

    async def _slot(self, outlet: Outlet) -> None:
        """Take a slot of the endpoint and of the shard."""
        shard = self._shard
        outlet.backlog_waits += 1
        try:
            while not (outlet.has_backlog_slot and shard.has_backlog_slot):
                shard.slot_freed.clear()
                await shard.slot_freed.wait()
        finally:
            outlet.backlog_waits -= 1
        outlet.backlog_started()
        shard.backlog_posts += 1

    async def _post(self, outlet: Outlet, batch: Sequence[DueRow]) -> None:
        shard = self._shard
        try:
            answer = await shard.post(outlet, [(one.row.event_id, one.row.body) for one in batch])
        except Exception:  # noqa: BLE001 - a fault of ours must cost one attempt, not the shard
            _log.exception("webhooks.post_failed", webhook=outlet.destination.endpoint_id)
            answer = Answer(Outcome.CONNECT, None, "connect: internal error", 0)
        finally:
            outlet.backlog_landed()
            shard.backlog_posts -= 1
            shard.slot_freed.set()
        if answer.is_ok:
            self._delivered(outlet, batch, answer)
        elif self._failed(outlet, batch, answer):
            await shard.gave_up(outlet, answer)
        if not shard.is_stopping:
            shard.feed(outlet)

    def _delivered(self, outlet: Outlet, batch: Sequence[DueRow], answer: Answer) -> None:
        shard = self._shard
        self._record(outlet, batch, answer, DELIVERED)
        shard.delivered([one.row.at for one in batch])
        shard.ledger.remove([one.id for one in batch])
        outlet.waiting = max(0, outlet.waiting - len(batch))

    def _failed(self, outlet: Outlet, batch: Sequence[DueRow], answer: Answer) -> bool:
        """Put the events off, or give up those that had all their attempts; True when some were given up."""
        shard = self._shard
        now_ms = shard.clock.now_ms()
        over: list[DueRow] = []
        later: list[DueRow] = []
        delays: list[Delay] = []
        for one in batch:
            attempts = one.row.attempts + 1
            due_at = None
            if not answer.is_gone:
                due_at = shard.schedule.due_at(
                    attempts,
                    now_ms=now_ms,
                    random=shard.random.random(),
                    retry_after_s=answer.retry_after_s,
                )
            if due_at is None:
                over.append(one)
            else:
                later.append(one)
                delays.append(Delay(one.id, attempts, due_at, answer.error))
        self._record(outlet, later, answer, FAILED)
        self._record(outlet, over, answer, EXHAUSTED)
        shard.ledger.delay(delays)
        shard.ledger.remove([one.id for one in over])
        outlet.waiting = max(0, outlet.waiting - len(over))
        return bool(over)

    def _record(self, outlet: Outlet, batch: Sequence[DueRow], answer: Answer, state: str) -> None:
        if not batch:
            return
        rows = self._shard.attempt_rows(
            outlet,
            [(one.row.event_id, one.row.subject_id, one.row.type, one.row.at) for one in batch],
            answer,
            state=state,
            attempt=0,
        )
        self._shard.ledger.attempted(
            [
                row._replace(attempt=one.row.attempts + 1, body=one.row.body if state == EXHAUSTED else None)
                for row, one in zip(rows, batch, strict=True)
            ]
        )

    def _given_up(self, one: DueRow) -> AttemptRow:
        row, shard = one.row, self._shard
        return AttemptRow(
            new_uuid7(shard.clock.now_ms(), shard.random.getrandbits(74)),
            row.subject_id,
            row.endpoint_id,
            row.account_id,
            row.event_id,
            row.type,
            row.attempts,
            EXHAUSTED,
            None,
            0,
            f"too old; the last attempt: {row.last_error}" if row.last_error else "too old",
            row.at,
            row.body,
        )


def _batches(rows: Sequence[DueRow], *, batch_max: int) -> list[list[DueRow]]:
    """Put events together that were tried equally often: the more often, the fewer."""
    batches: list[list[DueRow]] = []
    by_attempts: dict[int, list[DueRow]] = {}
    for one in rows:
        by_attempts.setdefault(one.row.attempts, []).append(one)
    for attempts, group in by_attempts.items():
        limit = batch_limit(batch_max, attempts)
        batch: list[DueRow] = []
        octets = 0
        for one in group:
            octets += len(one.row.body)
            if batch and (len(batch) == limit or octets > MAX_POST_OCTETS):
                batches.append(batch)
                batch, octets = [], len(one.row.body)
            batch.append(one)
        batches.append(batch)
    return batches
