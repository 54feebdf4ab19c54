"""Webhooks: the workers of the role `back`, and the guard that the API asks too."""

import secrets
from random import Random

from dlr.traces import LateSpans
from dlr.webhooks.client import Client
from dlr.webhooks.directory import Directory
from dlr.webhooks.guard import Guard
from dlr.webhooks.metrics import WebhookMetrics
from dlr.webhooks.service import WebhookService
from dlr.webhooks.shard import DeliverySettings
from dlr.webhooks.traces import WebhookSpans
from gateway.bus.members import Membership
from gateway.bus.reader_metrics import ReaderMetrics
from gateway.runtime.wiring.parts import Base
from gateway.settings import WebhookSettings
from gateway.store.leases import PostgresLeases
from gateway.store.webhook_delivery import PostgresDelivery
from throttling.rates import Rate

_HOUR_MS = 3_600_000


def webhook_guard(settings: WebhookSettings) -> Guard:
    """Return the rules about where webhooks may go; `close` it at the end."""
    return Guard(
        allow_loopback=settings.allow_loopback,
        allow_http=settings.allow_http,
        networks=settings.allow_networks,
    )


def webhook_workers(
    base: Base,
    *,
    reader_metrics: ReaderMetrics,
    membership: Membership | None = None,
    late: LateSpans | None = None,
) -> tuple[Directory, dict[str, Directory | WebhookService]]:
    """Return the directory, which the recorder asks too, and the workers by name."""
    settings = base.settings.webhooks
    store = PostgresDelivery(base.db)
    directory = Directory(store, clock=base.clock, notifications=base.db)
    service = WebhookService(
        owner=base.owner,
        bus=base.bus,
        db=base.db,
        store=store,
        directory=directory,
        client=Client(
            webhook_guard(settings),
            clock=base.clock,
            timeout_s=settings.timeout_s,
            connect_s=settings.connect_timeout_s,
        ),
        leases=PostgresLeases(base.db),
        membership=membership,
        clock=base.clock,
        metrics=WebhookMetrics(base.registry),
        reader_metrics=reader_metrics,
        random=Random(secrets.randbits(256)),
        settings=DeliverySettings(
            max_posts=settings.max_posts,
            direct_wait_s=settings.direct_wait_s,
            drain_per_s=float(Rate.parse(settings.drain_rate).per_s),
            max_backlog=settings.max_backlog,
            disable_after_ms=int(settings.disable_after_h * _HOUR_MS),
            stop_s=base.settings.drain_s,
        ),
        spans=None if late is None else WebhookSpans(late, directory=directory),
    )
    return directory, {"webhook_directory": directory, "webhooks": service}
