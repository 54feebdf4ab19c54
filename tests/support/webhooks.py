"""Webhooks for tests: an endpoint that answers as told, and a delivery on a real database that can be watched."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from aiohttp import web
from prometheus_client import CollectorRegistry
from standardwebhooks import Webhook

from dlr.webhooks.client import Client
from dlr.webhooks.directory import Directory
from dlr.webhooks.guard import Guard
from dlr.webhooks.metrics import WebhookMetrics
from dlr.webhooks.schedule import Schedule
from dlr.webhooks.service import WebhookService
from dlr.webhooks.shard import DeliverySettings
from dlr.webhooks.signing import make_secret
from gateway.bus.codec import encode
from gateway.bus.members import Membership
from gateway.bus.postgres import PostgresBus
from gateway.bus.reader_metrics import ReaderMetrics
from gateway.bus.topics import ESME, WEBHOOK_GROUP, WEBHOOKS
from gateway.domain.ids import derived_uuid, format_id, new_uuid7
from gateway.domain.notices import Notice
from gateway.ports.bus import Record
from gateway.ports.clock import SystemClock
from gateway.ports.webhook_store import Endpoint, EndpointSettings
from gateway.store.leases import PostgresLeases
from gateway.store.pool import Database
from gateway.store.webhook_delivery import PostgresDelivery
from gateway.store.webhooks import PostgresWebhooks

SECRET = make_secret(b"k" * 32)
QUICK = Schedule((0.2, 0.2, 0.2, 0.3), probes_s=(0.2, 0.4))
"""A retry schedule for people without time."""

_numbers = iter(range(1, 1 << 60))
Answerer = Callable[["Heard"], Any]


@dataclass
class Heard:
    """One POST as an endpoint got it."""

    headers: dict[str, str]
    body: bytes
    at: float
    path: str

    @property
    def payload(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def events(self) -> list[dict[str, Any]]:
        payload = self.payload
        return payload["data"] if payload["type"] == "batch" else [payload]

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verify(self, secret: str = SECRET) -> Any:
        """Check the signature as a customer would."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    """An endpoint on loopback. `answer` gets what was heard and returns a status or a response, or awaits first."""

    answer: Any = 200
    heard: list[Heard] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    url: str = ""
    base: str = ""
    _runner: web.AppRunner | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> "Receiver":
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.base = f"http://{host}:{port}"
        self.url = f"{self.base}/hook"
        return self

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        one = Heard(
            {name.lower(): value for name, value in request.headers.items()},
            await request.read(),
            asyncio.get_running_loop().time(),
            request.path,
        )
        self.heard.append(one)
        self._news.set()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            answer = self.answer(one) if callable(self.answer) else self.answer
            if asyncio.iscoroutine(answer):
                answer = await answer
        finally:
            self.in_flight -= 1
        return web.Response(status=answer) if isinstance(answer, int) else answer

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for one in self.heard for event in one.events]

    @property
    def event_ids(self) -> list[str]:
        return [event["id"] for event in self.events]

    async def until(self, condition: Callable[[], bool], *, deadline_s: float = 30.0) -> None:
        """Wait for POSTs until the condition holds; TimeoutError."""
        async with asyncio.timeout(deadline_s):
            while not condition():
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await self._news.wait()

    async def until_events(self, count: int, *, deadline_s: float = 30.0) -> None:
        await self.until(lambda: len(self.events) >= count, deadline_s=deadline_s)


@contextlib.asynccontextmanager
async def receiving(answer: Any = 200) -> AsyncIterator[Receiver]:
    receiver = await Receiver(answer).start()
    try:
        yield receiver
    finally:
        await receiver.stop()


def a_notice(
    event_type: str = "message.delivered",
    *,
    subject: UUID | None = None,
    account: str = "acme",
    **changes: Any,
) -> Notice:
    """A notice about a message, new unless `subject` says which."""
    now_ms = SystemClock().now_ms()
    subject_id = subject or new_uuid7(now_ms, next(_numbers))
    data = {"id": format_id("msg", subject_id), "status": event_type.partition(".")[2]}
    return Notice(
        changes.pop("id", None) or derived_uuid(subject_id, event_type),
        account,
        event_type,
        now_ms,
        subject_id,
        data,
        **changes,
    )


class Rig:
    """Delivery on a database: endpoints, notices in, and a service that can be killed and started again."""

    def __init__(self, db: Database, *, schedule: Schedule = QUICK, **settings: Any) -> None:
        self.db = db
        self.bus = PostgresBus(db)
        self.store = PostgresWebhooks(db)
        self.delivery = PostgresDelivery(db)
        self.clock = SystemClock()
        self.schedule = schedule
        self.settings = DeliverySettings(**{"tick_s": 0.05, "linger_s": 0.01, "stop_s": 2.0, **settings})
        self.registry = CollectorRegistry()
        self.service: WebhookService | None = None
        self.membership: Membership | None = None
        self.directory: Directory | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(
        self, owner: str = "one", *, partitions: int = 1, membership: Membership | None = None
    ) -> "Rig":
        await self.bus.start()
        await self.bus.ensure_topics({WEBHOOKS: partitions, ESME: 1})
        await self.bus.register_group(WEBHOOK_GROUP, [WEBHOOKS])
        self.membership = membership
        self.run(owner)
        return self

    def run(self, owner: str = "one", *, guard: Guard | None = None, timeout_s: float = 2.0) -> None:
        """Start delivering."""
        self.registry = CollectorRegistry()
        self.directory = Directory(self.delivery, clock=self.clock, notifications=self.db)
        self.service = WebhookService(
            owner=owner,
            bus=self.bus,
            db=self.db,
            store=self.delivery,
            directory=self.directory,
            client=Client(
                guard or Guard(allow_loopback=True), clock=self.clock, timeout_s=timeout_s, connect_s=1.0
            ),
            leases=PostgresLeases(self.db),
            membership=self.membership,
            clock=self.clock,
            metrics=WebhookMetrics(self.registry),
            reader_metrics=ReaderMetrics(self.registry),
            random=Random(1),
            settings=self.settings,
            schedule=self.schedule,
            lease_ttl_s=2.0,
        )
        self._tasks = [
            asyncio.create_task(self.directory.run(), name="test.directory"),
            asyncio.create_task(self.service.run(), name="test.webhooks"),
        ]

    async def kill(self) -> None:
        """End it where it stands, with nothing committed that was not."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def stop(self) -> None:
        """End it in order."""
        if self.service is not None and self._tasks:
            assert self.directory is not None
            self.service.stop()
            self.directory.stop()
            async with asyncio.timeout(10):
                await asyncio.gather(*self._tasks)
        self._tasks = []

    async def endpoint(
        self, url: str, *, account: str = "acme", secret: str = SECRET, **chosen: Any
    ) -> Endpoint:
        now_ms = self.clock.now_ms()
        made = await self.store.create(
            account,
            format_id("whk", new_uuid7(now_ms, next(_numbers))),
            EndpointSettings(url, **chosen),
            secret=secret,
            now_ms=now_ms,
        )
        if self.directory is not None:
            await self.directory.refresh()
        return made

    async def put(self, *notices: Notice) -> None:
        await self.bus.append(
            [Record(WEBHOOKS, notice.subject_id.bytes, encode(notice)) for notice in notices]
        )

    async def value(self, statement: str, *arguments: Any) -> Any:
        async with self.db.acquire() as connection:
            return await connection.fetchval(statement, *arguments)

    async def column(self, statement: str) -> list[Any]:
        async with self.db.acquire() as connection:
            return [row[0] for row in await connection.fetch(statement)]

    async def until_value(
        self, wanted: Any, statement: str, *arguments: Any, deadline_s: float = 30.0
    ) -> None:
        """Wait until the database says so; TimeoutError."""
        found = None
        try:
            async with asyncio.timeout(deadline_s):
                while (found := await self.value(statement, *arguments)) != wanted:  # noqa: ASYNC110 - a database sets no event
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise TimeoutError(f"{statement} is {found}, not {wanted}") from None

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"caudal_{name}", labels) or 0.0
