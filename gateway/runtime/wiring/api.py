"""Role `api`."""

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from typing import Any
from uuid import UUID

from gateway.bus import topics
from gateway.domain.cutting import SegmentationOptions
from gateway.ingress.app import Deps, build_app
from gateway.intake.backlog import Backlog
from gateway.intake.entry import Intake
from gateway.intake.journal import Journal, JournalLimits
from gateway.intake.lookups import LookUps
from gateway.intake.metrics import IntakeMetrics, LaneMetrics, LimiterMetrics
from gateway.intake.prepare import Preparer
from gateway.runtime.admin import VERSION
from gateway.runtime.carriers import route_table, segmentation_options, test_carrier
from gateway.runtime.desk import carrier_facts, make_desk
from gateway.runtime.ids import new_id_source
from gateway.runtime.pepper import load_pepper
from gateway.runtime.server import ApiServer
from gateway.runtime.tracing import intake_tracing
from gateway.runtime.whatsapp import approved_templates
from gateway.runtime.wiring.callbacks import carrier_calls, make_callbacks
from gateway.runtime.wiring.parts import Base
from gateway.runtime.wiring.reports import report_views
from gateway.runtime.wiring.smppd import SmppServerPart
from gateway.runtime.wiring.webhook_desk import make_webhook_desk
from gateway.runtime.wiring.webhooks import webhook_guard
from gateway.settings import Settings
from gateway.store.accounts import Accounts
from gateway.store.consents import PostgresConsents
from gateway.store.deferred import PostgresDeferred
from gateway.store.idempotency import IdempotencyStore
from gateway.store.inbound_views import PostgresInboundViews
from gateway.store.key_cache import KeyCache
from gateway.store.media import KnownMediaCache, PostgresMedia
from gateway.store.parked import PostgresOrphans
from gateway.store.views import PostgresViews
from gateway.store.webhook_names import WebhookNamesCache


class ApiPart:
    """Role `api`: HTTP in, one durable append, 202."""

    def __init__(self, base: Base) -> None:
        settings = base.settings
        self._base = base
        metrics, limiters = IntakeMetrics(base.registry), LimiterMetrics(base.registry)
        pepper = load_pepper(settings)
        new_id = new_id_source()
        self._preparer = _make_preparer(settings, new_id)
        self._backlog = _make_backlog(base, limiters)
        self._desk = make_desk(base.db, settings)
        self._webhook_names = WebhookNamesCache(base.db, clock=base.clock)
        self._consents = PostgresConsents(base.db, clock=base.clock)
        webhooks, self._webhook_client = make_webhook_desk(
            base.db,
            guard=webhook_guard(settings.webhooks),
            clock=base.clock,
            new_id=new_id,
            shards=base.bus.partitions(topics.WEBHOOKS),
        )
        self._tracing = intake_tracing(settings, base.spans, clock=base.clock)
        intake = self._make_intake(base, metrics=metrics, new_id=new_id)
        self._keys = KeyCache(Accounts(base.db, pepper=pepper))
        self._smppd: SmppServerPart | None = None
        if settings.smpp_server.enabled:
            self._smppd = SmppServerPart(
                base, intake=intake.direct(), pepper=pepper, new_id=new_id, limiters=limiters
            )
        self._callbacks = make_callbacks(base)
        app = build_app(
            Deps(
                intake=intake,
                intake_metrics=metrics,
                authenticator=self._keys,
                views=PostgresViews(base.db),
                clock=base.clock,
                registry=base.registry,
                cursor_secret=hmac.new(pepper, b"cursor", hashlib.sha256).digest(),
                not_ready=self.not_ready,
                max_body_octets=settings.api.max_body_octets,
                version=VERSION,
                desk=self._desk,
                routes=lambda: self._preparer.routes,
                inbound=PostgresInboundViews(base.db),
                webhooks=webhooks,
                orphans=PostgresOrphans(base.db),
                consents=self._consents,
                callbacks=self._callbacks,
                media=PostgresMedia(base.db),
                reports=report_views(base.db),
                max_media_octets=settings.media.max_account_octets,
                new_id=new_id,
                tracing=self._tracing,
            )
        )
        self._server = ApiServer(
            app,
            host=settings.api.host,
            port=settings.api.port,
            drain_delay_s=settings.api.drain_delay_s,
            fast=app.fast,
        )

    def _make_intake(self, base: Base, *, metrics: IntakeMetrics, new_id: Callable[[int], UUID]) -> Intake:
        settings = base.settings
        idempotency = IdempotencyStore(base.db)
        journal = Journal(
            transactions=base.db,
            bus=base.bus,
            idempotency=idempotency,
            deferred=PostgresDeferred(base.db),
            clock=base.clock,
            limits=JournalLimits(
                linger_ms=settings.api.linger_ms, max_pending_messages=settings.api.max_pending_messages
            ),
            on_flushed=metrics.flushed,
            appends_outlive_transactions=settings.kafka.bootstrap is not None,
        )
        return Intake(
            preparer=self._preparer,
            journal=journal,
            backlog=self._backlog,
            idempotency=idempotency,
            clock=base.clock,
            metrics=metrics,
            new_id=new_id,
            look_ups=LookUps(
                webhooks=self._webhook_names,
                media=KnownMediaCache(PostgresMedia(base.db), clock=base.clock),
                consents=self._consents,
            ),
            max_batch_messages=settings.api.max_batch_messages,
            tracing=self._tracing,
        )

    async def run(self) -> None:
        await self._keys.start(self._base.db)
        await self._webhook_names.start()
        await self._consents.start()
        try:
            await self._serve()
        finally:
            await self._webhook_client.close()

    async def _serve(self) -> None:
        if self._smppd is None:
            await self._server.run()
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run_http(self._smppd), name="api.http")
            group.create_task(self._run_smppd(self._smppd), name="api.smpp")

    async def _run_http(self, smppd: SmppServerPart) -> None:
        try:
            await self._server.run()
        finally:
            smppd.server.stop()

    async def _run_smppd(self, smppd: SmppServerPart) -> None:
        await smppd.run()
        # The group commit ends with the HTTP server, so what SMPP has open is answered before.
        self._server.stop()

    def stop(self) -> None:
        if self._smppd is None:
            self._server.stop()
        else:
            self._smppd.server.stop()

    def not_ready(self) -> dict[str, str]:
        smppd = {} if self._smppd is None else self._smppd.server.not_ready()
        return self._server.not_ready() | smppd

    def facts(self) -> dict[str, Any]:
        ports = {} if self._smppd is None else {"smpp_port": self._smppd.server.port}
        return {"port": self._server.port, **ports}

    async def reload(self, settings: Settings) -> None:
        """Route, count and watch by these carriers and routes; what was prepared before keeps its plan."""
        self._backlog.use(tuple(settings.carriers))
        self._preparer.use(
            route_table(settings),
            test_carrier=test_carrier(settings),
            segmentation=_segmentation(settings),
            templates=approved_templates(settings),
        )
        self._desk.use(carrier_facts(settings))
        self._callbacks.use(carrier_calls(settings))


def _make_preparer(settings: Settings, new_id: Callable[[int], UUID]) -> Preparer:
    return Preparer(
        route_table(settings),
        new_id=new_id,
        test_carrier=test_carrier(settings),
        segmentation=_segmentation(settings),
        templates=approved_templates(settings),
    )


def _segmentation(settings: Settings) -> dict[str, SegmentationOptions]:
    return {name: segmentation_options(carrier) for name, carrier in settings.carriers.items()}


def _make_backlog(base: Base, limiters: LimiterMetrics) -> Backlog:
    return Backlog(
        base.bus,
        carriers=tuple(base.settings.carriers),
        clock=base.clock,
        max_lane_messages=base.settings.api.max_lane_messages,
        metrics=LaneMetrics(base.registry),
        limiters=limiters,
    )
