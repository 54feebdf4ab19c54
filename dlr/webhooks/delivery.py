"""First attempts: from the bus through memory to the endpoints, one shard.

An event is read, offered to the outlet of each endpoint that wants it, and posted as soon as that endpoint has a slot,
together with others where the endpoint takes batches. It goes to the backlog instead when its attempt failed, when its
endpoint has been too slow for two seconds or fails anyway, or when an earlier event of the same subject is there. So
every event is decided within seconds, and no endpoint holds up another. What was decided is committed in batches with
the position on the bus, out of order where a slow POST is still open (D4).
"""

import asyncio
import contextlib
from typing import Final
from uuid import UUID

import structlog

from dlr.webhooks.client import Answer, Outcome
from dlr.webhooks.outlet import Outlet, Slip
from dlr.webhooks.payloads import Event, read_event
from dlr.webhooks.shard import Shard
from dlr.webhooks.taken import LEAST_EVENTS, post_rows
from gateway.bus.codec import EnvelopeError
from gateway.bus.topics import WEBHOOKS
from gateway.bus.watermark import Watermark
from gateway.domain.ids import new_uuid7
from gateway.ports.bus import Bus, Stored
from gateway.ports.record_store import DeadRow
from gateway.ports.webhook_store import DELIVERED, EXHAUSTED, FAILED, AttemptRow, EventRow

_log = structlog.get_logger()

_READ_LIMIT: Final = 1_000
_IDLE_S: Final = 0.5
_RETRY_S: Final = 1.0
_FULL_LINGER_RECORDS: Final = 20
_LINGER_ALONE: Final = 0.25


class Delivery:
    """The first half of one shard. `group` owns the tasks of the POSTs."""

    def __init__(self, shard: Shard, *, bus: Bus, watermark: Watermark, group: asyncio.TaskGroup) -> None:
        self._shard = shard
        self._bus = bus
        self._watermark = watermark
        self._group = group
        self._next = watermark.offset
        self._hungry: dict[str, Outlet] = {}
        self._stopping = asyncio.Event()
        shard.feed = self._feed

    def stop(self) -> None:
        """Read nothing more."""
        self._stopping.set()

    async def run(self) -> None:
        """Read until `stop`; an error waits and tries again."""
        while not self._stopping.is_set():
            try:
                await self._read_on()
            except Exception as error:  # noqa: BLE001 - the database may be away; the events stay on the bus
                _log.warning("webhooks.read_failed", error=type(error).__name__)
                await self._pause(_RETRY_S)

    async def _read_on(self) -> None:
        shard = self._shard
        size, was_full = 0, False
        while not self._stopping.is_set():
            if not was_full:
                share = min(1.0, _LINGER_ALONE + size / _FULL_LINGER_RECORDS)
                await self._pause(shard.settings.linger_s * share)
            room = shard.settings.max_in_hand - shard.ledger.in_hand
            if room <= 0 or self._watermark.is_full:
                size, was_full = 0, False
                continue
            limit = min(room, _READ_LIMIT)
            records = await self._bus.read(WEBHOOKS, shard.number, offset=self._next, limit=limit)
            size, was_full = len(records), len(records) == limit
            if records:
                await self.take(records)
            else:
                await self._bus.wait([WEBHOOKS], timeout_s=_IDLE_S)

    async def take(self, records: list[Stored]) -> None:
        """Decide where each record goes: all of them, or none where the database cannot be asked."""
        shard, ledger = self._shard, self._shard.ledger
        now_ns = shard.clock.monotonic_ns()
        pairs: list[tuple[Outlet, Slip]] = []
        unwanted: list[int] = []
        dead: list[DeadRow] = []
        watermark, fresh = self._watermark, records
        if watermark.range_count or records[0].offset < watermark.offset:
            fresh = [record for record in records if not watermark.is_done(record.offset)]
        for offset, value in fresh:
            try:
                event = read_event(value)
            except EnvelopeError as error:
                now_ms = shard.clock.now_ms()
                text = f"EnvelopeError: {error}"[:500]
                dead.append(DeadRow(WEBHOOKS, shard.number, offset, value, text, now_ms))
                continue
            destinations = shard.directory.destinations(event)
            if not destinations:
                unwanted.append(offset)
                continue
            slip = Slip(event, offset=offset, left=len(destinations), taken_ns=now_ns)
            pairs += [(shard.outlet(destination), slip) for destination in destinations]
        async with ledger.lock:
            waiting = await self._waiting(pairs)
            # From here on nothing is awaited: the records are taken.
            self._skip_gaps(records)
            self._next = records[-1].offset + 1
            ledger.took(len(fresh))
            for row in dead:
                ledger.bury(row)
            if unwanted:
                ledger.done(unwanted)
            touched = self._route(pairs, waiting)
        for outlet in touched:
            if len(outlet.queue) > shard.settings.max_queue:
                self._spill(outlet, outlet.take_queue())
            self.pump(outlet)

    def _skip_gaps(self, records: list[Stored]) -> None:
        """Count offsets that hold no record as done; Kafka has such, and retention leaves some."""
        expected = self._next
        if records[-1].offset - expected == len(records) - 1:
            return
        for offset, _ in records:
            for missing in range(expected, offset):
                self._watermark.done(missing)
            expected = offset + 1

    async def _waiting(self, pairs: list[tuple[Outlet, Slip]]) -> set[tuple[str, UUID]]:
        """Return the pairs of endpoint and subject that have an event in the backlog, where that matters."""
        now_ms = self._shard.clock.now_ms()
        doubtful = [
            (outlet.destination.endpoint_id, slip.event.subject_id)
            for outlet, slip in pairs
            if outlet.may_have_backlog and not outlet.circuit.is_open(now_ms)
        ]
        if not doubtful:
            return set()
        endpoint_ids, subject_ids = zip(*doubtful, strict=True)
        return await self._shard.store.subjects_waiting(endpoint_ids, subject_ids)

    def _route(self, pairs: list[tuple[Outlet, Slip]], waiting: set[tuple[str, UUID]]) -> list[Outlet]:
        """Offer each event to its endpoints, or spill it; return the outlets concerned."""
        now_ms = self._shard.clock.now_ms()
        touched: dict[str, Outlet] = {}
        spills: dict[str, dict[int, list[Slip]]] = {}
        for outlet, slip in pairs:
            endpoint_id, subject = outlet.destination.endpoint_id, slip.subject
            touched[endpoint_id] = outlet
            if (
                outlet.circuit.is_open(now_ms)
                or outlet.is_spilling_of(subject)
                or (waiting and (endpoint_id, slip.event.subject_id) in waiting)
            ):
                spills.setdefault(endpoint_id, {}).setdefault(subject, []).append(slip)
            elif spills and subject in spills.get(endpoint_id, ()):
                spills[endpoint_id][subject].append(slip)
            else:
                outlet.offer(slip)
        for endpoint_id, by_subject in spills.items():
            self._spill(touched[endpoint_id], [slip for slips in by_subject.values() for slip in slips])
        return list(touched.values())

    def pump(self, outlet: Outlet) -> None:
        """Start POSTs while there are events and slots."""
        shard = self._shard
        while outlet.queue and outlet.has_first_slot:
            if not shard.has_slot:
                self._hungry[outlet.destination.endpoint_id] = outlet
                return
            batch = outlet.next_batch()
            if not batch:
                return
            self._group.create_task(self._post(outlet, batch), name="webhooks.post")

    def tick(self) -> None:
        """Spill what has waited too long, and let those start that found no slot."""
        shard = self._shard
        oldest_ns = shard.clock.monotonic_ns() - int(shard.settings.direct_wait_s * 1e9)
        now_ms = shard.clock.now_ms()
        for endpoint_id, outlet in list(shard.outlets.items()):
            destination = shard.directory.get(endpoint_id)
            if destination is not None:
                outlet.destination = destination
            elif outlet.is_idle:
                del shard.outlets[endpoint_id]
                self._hungry.pop(endpoint_id, None)
                continue
            queue = outlet.queue
            if queue and (
                destination is None or queue[0].taken_ns < oldest_ns or outlet.circuit.is_open(now_ms)
            ):
                self._spill(outlet, outlet.take_queue())
            self.pump(outlet)

    async def _post(self, outlet: Outlet, batch: list[Slip]) -> None:
        try:
            answer = await self._shard.post(outlet, [(slip.event.id, slip.body) for slip in batch])
        except Exception:  # noqa: BLE001 - a fault of ours must cost one attempt, not the shard
            _log.exception("webhooks.post_failed", webhook=outlet.destination.endpoint_id)
            answer = Answer(Outcome.CONNECT, None, "connect: internal error", 0)
        except BaseException:
            outlet.landed(batch, is_ok=True)  # cancelled: not committed, so it comes again
            raise
        if answer.is_ok:
            self._delivered(outlet, batch, answer)
        else:
            self._failed(outlet, batch, answer)
        # After the failed ones: nothing of the same subject may slip through in between.
        self._spill(outlet, outlet.landed(batch, is_ok=answer.is_ok))
        self._feed(outlet)
        if answer.is_gone:
            await self._shard.gave_up(outlet, answer)

    def _delivered(self, outlet: Outlet, batch: list[Slip], answer: Answer) -> None:
        shard, ledger = self._shard, self._shard.ledger
        alone = batch
        if len(batch) >= LEAST_EVENTS:
            assert answer.status is not None, "whoever takes something answers"
            rows, alone = post_rows(
                outlet.destination,
                batch,
                status=answer.status,
                duration_ms=answer.duration_ms,
                now_ms=shard.clock.now_ms(),
                random_bits=shard.random.getrandbits,
            )
            ledger.taken(rows)
        if alone:
            ledger.attempted(
                shard.attempt_rows(
                    outlet, [_named(slip.event) for slip in alone], answer, state=DELIVERED, attempt=1
                )
            )
        shard.delivered([slip.event.at for slip in batch])
        self._finish(batch)

    def _failed(self, outlet: Outlet, batch: list[Slip], answer: Answer) -> None:
        """Let a failed batch wait for its second attempt; with 410 there is none."""
        shard, ledger = self._shard, self._shard.ledger
        state = EXHAUSTED if answer.is_gone else FAILED
        rows = shard.attempt_rows(
            outlet, [_named(slip.event) for slip in batch], answer, state=state, attempt=1
        )
        if answer.is_gone:
            ledger.attempted([row._replace(body=slip.body) for row, slip in zip(rows, batch, strict=True)])
        else:
            ledger.attempted(rows)
            now_ms = shard.clock.now_ms()
            due_at = shard.schedule.due_at(
                1, now_ms=now_ms, random=shard.random.random(), retry_after_s=answer.retry_after_s
            )
            assert due_at is not None, "a schedule has at least one wait"
            ledger.spill(
                outlet,
                [
                    self._row(outlet, slip, attempts=1, due_at=due_at, error=answer.error, now_ms=now_ms)
                    for slip in batch
                ],
            )
        self._finish(batch)

    def _spill(self, outlet: Outlet, slips: list[Slip]) -> None:
        """Let events wait that were not tried; what would be too many is given up, to be replayed."""
        if not slips:
            return
        shard, ledger = self._shard, self._shard.ledger
        now_ms = shard.clock.now_ms()
        room = max(0, shard.settings.max_backlog - outlet.waiting)
        kept, excess = slips[:room], slips[room:]
        if kept:
            ledger.spill(
                outlet,
                [self._row(outlet, one, attempts=0, due_at=now_ms, error="", now_ms=now_ms) for one in kept],
            )
        if excess:
            ledger.attempted([self._given_up(outlet, slip, now_ms) for slip in excess])
        self._finish(slips)

    def _given_up(self, outlet: Outlet, slip: Slip, now_ms: int) -> AttemptRow:
        event, destination = slip.event, outlet.destination
        return AttemptRow(
            new_uuid7(now_ms, self._shard.random.getrandbits(74)),
            event.subject_id,
            destination.endpoint_id,
            destination.account_id,
            event.id,
            event.type,
            0,
            EXHAUSTED,
            None,
            0,
            f"more than {self._shard.settings.max_backlog} events wait",
            event.at,
            slip.body,
        )

    def _row(
        self, outlet: Outlet, slip: Slip, *, attempts: int, due_at: int, error: str, now_ms: int
    ) -> EventRow:
        event, destination = slip.event, outlet.destination
        return EventRow(
            self._shard.number,
            slip.offset,
            destination.endpoint_id,
            destination.account_id,
            event.id,
            event.subject_id,
            event.type,
            event.at,
            slip.body,
            attempts,
            now_ms,
            due_at,
            error,
        )

    def _finish(self, slips: list[Slip]) -> None:
        over: list[int] = []
        for slip in slips:
            slip.left -= 1
            if not slip.left:
                over.append(slip.offset)
        if over:
            self._shard.ledger.done(over)

    def _feed(self, outlet: Outlet) -> None:
        """Use the slot that became free: for those that found none first, in turn."""
        for endpoint_id in list(self._hungry):
            if not self._shard.has_slot:
                break
            self.pump(self._hungry.pop(endpoint_id))
        self.pump(outlet)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


def _named(event: Event) -> tuple[UUID, UUID, str, int]:
    return event.id, event.subject_id, event.type, event.at
