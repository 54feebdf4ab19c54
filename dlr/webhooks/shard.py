"""What the two halves of delivery share in one shard: outlets, ledger, and how a POST is made and judged.

`dlr.webhooks.delivery` makes first attempts from memory, `dlr.webhooks.backlog` all others.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final
from uuid import UUID

import structlog

from dlr.webhooks.client import Answer, Client
from dlr.webhooks.directory import Destination, Directory
from dlr.webhooks.ledger import Ledger
from dlr.webhooks.metrics import WebhookMetrics
from dlr.webhooks.outlet import Outlet
from dlr.webhooks.payloads import batch_body, batch_id, disabled_notice
from dlr.webhooks.schedule import Circuit, Schedule
from gateway.bus.codec import encode
from gateway.bus.topics import WEBHOOKS
from gateway.domain.ids import format_id, new_uuid7
from gateway.domain.notices import DISABLED_TYPE
from gateway.ports.bus import Record
from gateway.ports.clock import Clock
from gateway.ports.webhook_store import FAILING, GONE, AttemptRow, DeliveryStore, Health
from gateway.telemetry.metrics import observe_many

_log = structlog.get_logger()

_NOTE_SUCCESS_EVERY_MS: Final = 60_000
_RANDOM_BITS: Final = 74


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """Limits of one process; `drain_per_s` is events a second, `max_backlog` events, of one endpoint."""

    max_posts: int = 100
    max_in_hand: int = 10_000
    max_queue: int = 2_000
    direct_wait_s: float = 2.0
    drain_per_s: float = 500.0
    max_backlog: int = 1_000_000
    disable_after_ms: int = 3 * 86_400_000
    stop_s: float = 10.0
    linger_s: float = 0.05
    tick_s: float = 0.5

    def divided_by(self, shards: int) -> "DeliverySettings":
        """Return the limits of one of so many shards: an endpoint's events are spread over all of them."""
        return replace(
            self, drain_per_s=self.drain_per_s / shards, max_backlog=max(1, self.max_backlog // shards)
        )


class Shard:
    """One partition of `webhook.due`, owned by this process."""

    def __init__(
        self,
        number: int,
        *,
        store: DeliveryStore,
        directory: Directory,
        client: Client,
        ledger: Ledger,
        schedule: Schedule,
        settings: DeliverySettings,
        metrics: WebhookMetrics,
        clock: Clock,
        random: Random,
    ) -> None:
        self.number = number
        self.store = store
        self.directory = directory
        self.ledger = ledger
        self.schedule = schedule
        self.settings = settings
        self.metrics = metrics
        self.clock = clock
        self.random = random
        self.outlets: dict[str, Outlet] = {}
        self.posts = 0
        self.backlog_posts = 0
        self.slot_freed = asyncio.Event()
        """Pulsed after every POST."""
        self.is_stopping = False
        self.feed: Callable[[Outlet], None] = lambda _: None
        """Uses a slot that became free; set by who makes first attempts."""
        self._client = client
        self._healths: dict[str, Health] = {}
        self._noted_ms: dict[str, int] = {}
        self._counts: dict[str, int] = {}

    async def load(self) -> None:
        """Learn what was known of the endpoints, and how much waits."""
        self._healths = {health.endpoint_id: health for health in await self.store.healths()}
        await self.count()

    async def count(self) -> None:
        """Count what waits."""
        self._counts = await self.store.counts(self.number)
        for endpoint_id, outlet in self.outlets.items():
            outlet.waiting = self._counts.get(endpoint_id, 0)
        self.observe()

    def observe(self) -> None:
        """Report what waits, here and in the backlog."""
        waiting = {**self._counts, **{one: outlet.waiting for one, outlet in self.outlets.items()}}
        self.metrics.pending(self.number, sum(waiting.values()) + self.ledger.in_hand)
        self.metrics.disabled.set(self.directory.disabled_count)

    def outlet(self, destination: Destination) -> Outlet:
        """Return the outlet of an endpoint, as its account wants it now."""
        outlet = self.outlets.get(destination.endpoint_id)
        if outlet is None:
            health = self._healths.pop(destination.endpoint_id, None)
            circuit = Circuit(
                health or Health(destination.endpoint_id, None, 0, 0, None, ""),
                probes_s=self.schedule.probes_s,
            )
            outlet = self.outlets[destination.endpoint_id] = Outlet(destination, circuit)
            outlet.waiting = self._counts.get(destination.endpoint_id, 0)
        elif outlet.destination is not destination:
            outlet.destination = destination
        return outlet

    @property
    def has_slot(self) -> bool:
        """True when the shard may start a POST of first attempts."""
        return self.posts < self.settings.max_posts

    @property
    def has_backlog_slot(self) -> bool:
        """True when the shard may start a POST of the backlog: at most half of all, the rest is for first attempts."""
        return self.has_slot and self.backlog_posts < max(1, self.settings.max_posts // 2)

    async def post(self, outlet: Outlet, events: Sequence[tuple[UUID, bytes]]) -> Answer:
        """Send events together and note what the answer says of the endpoint."""
        destination = outlet.destination
        ids = [event_id for event_id, _ in events]
        now_ms = self.clock.now_ms()
        if destination.batch_max == 1:
            webhook_id, body = format_id("evt", ids[0]), events[0][1]
        else:
            webhook_id, body = batch_id(ids), batch_body([one for _, one in events], now_ms=now_ms)
        self.posts += 1
        try:
            answer = await self._client.post(
                destination.url, keys=destination.keys, webhook_id=webhook_id, body=body
            )
        finally:
            self.posts -= 1
            self.slot_freed.set()
        self.metrics.attempted(answer.outcome, len(events))
        self._judge(outlet, answer)
        return answer

    def attempt_rows(
        self,
        outlet: Outlet,
        events: Sequence[tuple[UUID, UUID, str, int]],
        answer: Answer,
        *,
        state: str,
        attempt: int,
    ) -> list[AttemptRow]:
        """Return the rows of one POST; each event is (event id, subject id, type, time)."""
        destination = outlet.destination
        now_ms, bits = self.clock.now_ms(), self.random.getrandbits
        return [
            AttemptRow(
                new_uuid7(now_ms, bits(_RANDOM_BITS)),
                subject_id,
                destination.endpoint_id,
                destination.account_id,
                event_id,
                event_type,
                attempt,
                state,
                answer.status,
                answer.duration_ms,
                answer.error,
                at,
                None,
            )
            for event_id, subject_id, event_type, at in events
        ]

    def delivered(self, ats: Sequence[int]) -> None:
        """Observe how long delivered events took since they came about."""
        now_ms = self.clock.now_ms()
        observe_many(self.metrics.delay, [max(now_ms - at, 0) / 1000 for at in ats])

    async def gave_up(self, outlet: Outlet, answer: Answer | None) -> None:
        """Disable an endpoint that is gone, or that failed for days and now costs events."""
        now_ms = self.clock.now_ms()
        failing_since = outlet.circuit.fails_since()
        if answer is not None and answer.is_gone:
            reason = GONE
        elif failing_since is not None and now_ms - failing_since >= self.settings.disable_after_ms:
            reason = FAILING
        else:
            return
        destination = outlet.destination
        endpoint_id = destination.endpoint_id
        if self.directory.get(endpoint_id) is None:
            return
        if not await self.store.disable_failing(endpoint_id, reason=reason, now_ms=now_ms):
            return
        _log.warning("webhook.disabled", webhook=endpoint_id, account=destination.account_id, reason=reason)
        await self.directory.refresh()
        self.metrics.disabled.set(self.directory.disabled_count)
        if self.directory.others(destination.account_id, DISABLED_TYPE):
            notice = disabled_notice(
                destination.account_id,
                endpoint_id,
                reason=reason,
                notice_id=new_uuid7(now_ms, self.random.getrandbits(_RANDOM_BITS)),
                now_ms=now_ms,
            )
            self.ledger.tell(Record(WEBHOOKS, notice.subject_id.bytes, encode(notice)))

    def _judge(self, outlet: Outlet, answer: Answer) -> None:
        circuit, now_ms = outlet.circuit, self.clock.now_ms()
        endpoint_id = outlet.destination.endpoint_id
        if answer.is_ok:
            was_open = circuit.is_open(now_ms)
            was_failing = circuit.succeeded(now_ms)
            if was_open:
                outlet.wants_pull_in = True
                _log.info("webhook.recovered", webhook=endpoint_id)
            if was_failing or now_ms - self._noted_ms.get(endpoint_id, 0) >= _NOTE_SUCCESS_EVERY_MS:
                self._noted_ms[endpoint_id] = now_ms
                self.ledger.note(circuit.health())
            return
        was_open = circuit.is_open(now_ms)
        circuit.failed(
            now_ms, error=answer.error, random=self.random.random(), retry_after_s=answer.retry_after_s
        )
        self.ledger.note(circuit.health())
        if not was_open and circuit.is_open(now_ms):
            _log.warning("webhook.failing", webhook=endpoint_id, error=answer.error)
