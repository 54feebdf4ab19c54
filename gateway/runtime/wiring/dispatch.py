"""Role `dispatch`."""

import asyncio
import secrets
from random import Random
from typing import Any

from gateway.bus.topics import INBOUND_GROUP
from gateway.dispatch.acquaintance import Acquaintance, AcquaintanceFeed
from gateway.dispatch.metrics import DispatchMetrics
from gateway.dispatch.plan import CarrierPlan, DispatchSettings
from gateway.dispatch.repeats import KEPT_IDS
from gateway.dispatch.supervisor import DispatchSupervisor
from gateway.runtime.carriers import carrier_plan, failover_pairs
from gateway.runtime.whatsapp import acquaintances
from gateway.runtime.wiring.parts import Base
from gateway.settings import Settings
from gateway.store.controls import PostgresControls
from gateway.store.conversations import PostgresConversations
from gateway.store.deferred import PostgresDeferred
from gateway.store.leases import PostgresLeases
from gateway.store.lifeline import Lifeline
from gateway.store.media import PostgresMedia


class DispatchPart:
    """Role `dispatch`: lanes to carriers."""

    def __init__(self, base: Base) -> None:
        settings = base.settings
        self._clock = base.clock
        self._media = PostgresMedia(base.db)
        self._people: dict[str, Acquaintance] = {}
        self._bus = base.bus
        self._feed = AcquaintanceFeed(
            PostgresConversations(base.db), clock=base.clock, waiting_since=self._waiting_since
        )
        plans = self._plans(settings)
        lifeline = Lifeline(base.db, clock=base.clock)
        self._metrics = DispatchMetrics(
            base.registry,
            carriers=tuple(settings.carriers),
            statuses={plan.carrier: plan.statuses for plan in plans},
            pairs=failover_pairs(settings),
            spans=base.spans,
        )
        self._supervisor = DispatchSupervisor(
            plans,
            owner=base.owner,
            bus=base.bus,
            db=base.db,
            deferred=PostgresDeferred(base.db),
            leases=PostgresLeases(base.db, lifeline=lifeline),
            clock=base.clock,
            metrics=self._metrics,
            random=Random(secrets.randbits(256)),
            settings=DispatchSettings(
                drain_s=settings.drain_s,
                remembered_ids=KEPT_IDS if settings.kafka.bootstrap is not None else 0,
            ),
            control=PostgresControls(base.db),
            lifeline=lifeline,
        )

    def _plans(self, settings: Settings) -> list[CarrierPlan]:
        self._people = acquaintances(settings, self._people)
        self._feed.use(self._people)
        return [
            carrier_plan(name, carrier, self._clock, media=self._media, known=self._people.get(name))
            for name, carrier in settings.carriers.items()
        ]

    async def _waiting_since(self) -> int | None:
        lags = await self._bus.lag(INBOUND_GROUP)
        return min((one.oldest_ms or 0 for one in lags if one.records), default=None)

    async def run(self) -> None:
        feed = asyncio.create_task(self._feed.run(), name="dispatch.acquaintance")
        try:
            await self._supervisor.run()
        finally:
            feed.cancel()  # it only reads
            await asyncio.gather(feed, return_exceptions=True)

    def stop(self) -> None:
        self._supervisor.stop()

    def not_ready(self) -> dict[str, str]:
        # A carrier that is down does not make dispatch unready: its lane waits.
        return {} if self._supervisor.is_ready else {"lanes": "not all owned yet"}

    def facts(self) -> dict[str, Any]:
        return {}

    async def reload(self, settings: Settings) -> None:
        """Follow added, changed and removed carriers; the workers of the others notice nothing."""
        self._metrics.expect_failovers(failover_pairs(settings))
        await self._supervisor.reload(self._plans(settings))

    def explain(self) -> list[dict[str, object]]:
        """Return, for each lane worker, what it is waiting for."""
        return self._supervisor.explain()
