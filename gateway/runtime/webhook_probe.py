"""The one POST of a webhook that is not made by delivery: a test, asked for through the API or the command line."""

import asyncio
from collections.abc import Callable
from typing import Final
from uuid import UUID

from dlr.webhooks.client import Client
from dlr.webhooks.payloads import batch_body, batch_id
from dlr.webhooks.signing import key_of
from gateway.domain.ids import format_id
from gateway.domain.notices import TEST_TYPE
from gateway.ingress.webhook_desk import Probe
from gateway.ports.clock import Clock
from gateway.ports.store import Transactions
from gateway.ports.webhook_store import (
    DELIVERED,
    EXHAUSTED,
    AttemptRow,
    DeliveryStore,
    LiveEndpoint,
)

_AT_ONCE: Final = 20


class WebhookProber:
    """Implements `gateway.ingress.webhook_desk.Prober` with the client, keys and bodies of delivery itself."""

    def __init__(
        self,
        client: Client,
        *,
        deliveries: DeliveryStore,
        db: Transactions,
        clock: Clock,
        new_id: Callable[[int], UUID],
    ) -> None:
        self._client = client
        self._deliveries = deliveries
        self._db = db
        self._clock = clock
        self._new_id = new_id
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def live(self, endpoint_id: str) -> LiveEndpoint | None:
        """Return the endpoint with its secrets, None when it is disabled."""
        found = await self._deliveries.live(now_ms=self._clock.now_ms())
        return next((one for one in found if one.endpoint.id == endpoint_id), None)

    async def post(self, live: LiveEndpoint, *, event_id: UUID, body: bytes) -> Probe:
        """Post the body and note the attempt; never raises for what the endpoint does."""
        endpoint = live.endpoint
        at = self._clock.now_ms()
        webhook_id = format_id("evt", event_id)
        if endpoint.settings.batch_max > 1:
            body, webhook_id = batch_body([body], now_ms=at), batch_id([event_id])
        async with self._slots:
            await self._client.start()
            answer = await self._client.post(
                endpoint.settings.url,
                keys=[key_of(secret) for secret in live.secrets],
                webhook_id=webhook_id,
                body=body,
            )
        row = AttemptRow(
            id=self._new_id(self._clock.now_ms()),
            message_id=event_id,
            endpoint_id=endpoint.id,
            account_id=endpoint.account_id,
            event_id=event_id,
            type=TEST_TYPE,
            attempt=1,
            state=DELIVERED if answer.is_ok else EXHAUSTED,
            status_code=answer.status,
            duration_ms=answer.duration_ms,
            error=answer.error,
            event_at=at,
            body=None,  # a test is not replayed but made anew
        )
        async with self._db.transaction() as tx:
            await self._deliveries.record(tx, [row])
        return Probe(answer.status, answer.duration_ms, answer.error)
