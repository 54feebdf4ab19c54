"""The desk where webhook endpoints are made and changed; for the role `api` and for `caudal webhooks`."""

import secrets
from collections.abc import Callable
from uuid import UUID

from dlr.webhooks.client import Client
from dlr.webhooks.guard import Guard
from dlr.webhooks.signing import NEW_KEY_OCTETS, make_secret
from gateway.ingress.webhook_desk import WebhookDesk
from gateway.ports.clock import Clock
from gateway.runtime.webhook_probe import WebhookProber
from gateway.store.pool import Database
from gateway.store.webhook_delivery import PostgresDelivery
from gateway.store.webhooks import PostgresWebhooks


def make_webhook_desk(
    db: Database, *, guard: Guard, clock: Clock, new_id: Callable[[int], UUID], shards: int = 1
) -> tuple[WebhookDesk, Client]:
    """Return the desk, and the client of its tests, which is to be closed at the end."""
    client = Client(guard, clock=clock)
    prober = WebhookProber(client, deliveries=PostgresDelivery(db), db=db, clock=clock, new_id=new_id)
    desk = WebhookDesk(
        PostgresWebhooks(db, shards=shards),
        check_url=guard.check,
        prober=prober,
        clock=clock,
        new_id=new_id,
        new_secret=lambda: make_secret(secrets.token_bytes(NEW_KEY_OCTETS)),
    )
    return desk, client
