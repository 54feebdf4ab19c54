"""The API on the real stores: what 202 promised is in the database, whoever else accepts at the same time."""

import asyncio
import random
import secrets
from contextlib import AsyncExitStack

import pytest
from prometheus_client import CollectorRegistry

from gateway.bus.codec import decode
from gateway.bus.postgres import PostgresBus
from gateway.bus.topics import EVENTS, lane_group, lanes
from gateway.domain.ids import new_uuid7, parse_id
from gateway.ingress.app import Deps, build_app
from gateway.intake.backlog import Backlog
from gateway.intake.entry import Intake
from gateway.intake.journal import Journal, JournalLimits
from gateway.intake.metrics import IntakeMetrics
from gateway.intake.prepare import Preparer
from gateway.policy.routing import RouteTable
from gateway.ports.clock import SystemClock
from gateway.store.accounts import Accounts
from gateway.store.deferred import PostgresDeferred
from gateway.store.idempotency import IdempotencyStore
from gateway.store.key_cache import KeyCache
from gateway.store.views import PostgresViews
from tests.support.asgi import AsgiClient, lifespan

pytestmark = pytest.mark.postgres

OTP = {"to": "+525512345678", "from": "ACME", "class": "otp", "content": {"text": "Su codigo es 4815"}}
PEPPER = b"p" * 32


class Process:
    """What one api process builds, on the shared database."""

    def __init__(self, db, *, max_lane_messages=1_000_000):
        clock = SystemClock()
        bits = random.SystemRandom().getrandbits
        registry = CollectorRegistry()
        self.bus = PostgresBus(db)
        self.idempotency = IdempotencyStore(db)
        self.metrics = IntakeMetrics(registry)
        self.backlog = Backlog(
            self.bus, carriers=["telco_a"], clock=clock, max_lane_messages=max_lane_messages
        )

        def new_id(now_ms):
            return new_uuid7(now_ms, bits(74))

        intake = Intake(
            preparer=Preparer(RouteTable([], carriers=["telco_a"]), new_id=new_id),
            journal=Journal(
                transactions=db,
                bus=self.bus,
                idempotency=self.idempotency,
                deferred=PostgresDeferred(db),
                clock=clock,
                limits=JournalLimits(linger_ms=1.0),
            ),
            backlog=self.backlog,
            idempotency=self.idempotency,
            clock=clock,
            metrics=self.metrics,
            new_id=new_id,
        )
        self.app = build_app(
            Deps(
                intake=intake,
                intake_metrics=self.metrics,
                authenticator=KeyCache(Accounts(db, pepper=PEPPER)),
                views=PostgresViews(db),
                clock=clock,
                registry=registry,
                cursor_secret=b"s",
            )
        )


@pytest.fixture
async def key(db):
    bus = PostgresBus(db)
    await bus.start()
    await bus.ensure_topics({EVENTS: 4, **dict.fromkeys(lanes("telco_a"), 2)})
    await bus.register_group(lane_group("telco_a"), lanes("telco_a"))
    accounts = Accounts(db, pepper=PEPPER)
    return (await accounts.create_key("acme", random=secrets.token_bytes, now_ms=SystemClock().now_ms())).text


@pytest.fixture
async def processes(db, key):
    async with AsyncExitStack() as stack:
        started = []
        for _ in range(2):
            process = Process(db)
            await process.bus.start()
            await stack.enter_async_context(lifespan(process.app))
            process.client = AsgiClient(process.app, headers={"authorization": f"Bearer {key}"})
            started.append(process)
        yield started


async def stored(bus, topic):
    found = []
    for partition in range(bus.partitions(topic)):
        found += [decode(record.value) for record in await bus.read(topic, partition, offset=0, limit=10_000)]
    return found


async def test_accepted_messages_are_on_the_bus_in_lane_and_events(processes):
    one, _ = processes
    answers = await asyncio.gather(*(one.client.post("/v1/messages", json=OTP) for _ in range(50)))
    batch = await one.client.post("/v1/messages:batch", json={"messages": [OTP] * 200})

    ids = {parse_id("msg", answer.json["id"]) for answer in answers}
    ids |= {parse_id("msg", result["id"]) for result in batch.json["results"]}
    assert len(ids) == 250
    assert {message.id for message in await stored(one.bus, "lane.telco_a.otp")} == ids
    assert {event.message.id for event in await stored(one.bus, EVENTS)} == ids


async def test_one_key_used_in_two_processes_at_once_makes_one_message(processes):
    one, two = processes
    for number in range(10):
        key = {"idempotency-key": f"k-{number}"}
        answers = await asyncio.gather(
            *(process.client.post("/v1/messages", json=OTP, headers=key) for process in (one, two, one, two))
        )
        assert {answer.status for answer in answers} == {202}
        assert len({answer.body for answer in answers}) == 1
    other = await two.client.post(
        "/v1/messages", json=OTP | {"from": "X"}, headers={"idempotency-key": "k-1"}
    )
    assert other.json["code"] == "idempotency_key_reused"
    assert len(await stored(one.bus, EVENTS)) == 10


async def test_client_refs_in_two_processes_at_once_make_one_message_each(processes):
    refs = [f"r-{number}" for number in range(100)]
    batches = []
    for seed in range(4):
        order = refs[:]
        random.Random(seed).shuffle(order)
        batches.append({"messages": [OTP | {"client_ref": ref} for ref in order]})
    answers = await asyncio.gather(
        *(processes[n % 2].client.post("/v1/messages:batch", json=batch) for n, batch in enumerate(batches))
    )
    owners = [{r["client_ref"]: r["id"] for r in answer.json["results"]} for answer in answers]
    assert all(owner == owners[0] for owner in owners)
    assert sum(answer.json["duplicates"] for answer in answers) == 300
    assert len(await stored(processes[0].bus, EVENTS)) == 100


async def test_replayed_batch_with_repeats_is_identical_in_another_process(processes):
    one, two = processes
    batch = {"messages": [OTP | {"client_ref": "a"}, OTP | {"client_ref": "a"}, OTP | {"to": "1"}]}
    key = {"idempotency-key": "k"}
    first = await one.client.post("/v1/messages:batch", json=batch, headers=key)
    again = await two.client.post("/v1/messages:batch", json=batch, headers=key)
    assert first.status == 202
    assert first.json["duplicates"] == 1
    assert again.body == first.body
    assert again.headers["idempotency-replayed"] == "true"


async def test_scheduled_message_is_a_deferred_row(processes, db):
    at = (SystemClock().now_ms() // 1000 + 3600) * 1000
    from gateway.intake.answers import rfc3339

    answer = await processes[0].client.post("/v1/messages", json=OTP | {"send_at": rfc3339(at)})
    assert answer.json["status"] == "scheduled"
    async with db.transaction() as tx:
        (row,) = await PostgresDeferred(db).claim_due(tx, now_ms=at, limit=10)
    assert (row.due_at, row.topic) == (at, "lane.telco_a.otp")
    assert await stored(processes[0].bus, "lane.telco_a.otp") == []


async def test_a_lane_that_nobody_drains_fills_up(db, key):
    process = Process(db, max_lane_messages=10)
    await process.bus.start()
    async with lifespan(process.app):
        client = AsgiClient(process.app, headers={"authorization": f"Bearer {key}"})
        assert (await client.post("/v1/messages:batch", json={"messages": [OTP] * 10})).status == 202
        await process.backlog.refresh()
        assert (await client.post("/v1/messages", json=OTP)).json["code"] == "backpressure"
        assert (await client.post("/v1/messages", json=OTP | {"class": "marketing"})).status == 202


async def test_reads_of_an_empty_projection(processes):
    client = processes[0].client
    assert (await client.get("/v1/messages?status=queued&class=otp&to=%2B525512345678")).json == {
        "data": [],
        "next_cursor": None,
    }
    assert (await client.get("/v1/messages/msg_01kaq3m7x2f0g8h9jkmnpqrstv/events")).status == 404


async def test_revoked_key_and_mistyped_key(processes, db, key):
    accounts = Accounts(db, pepper=PEPPER)
    client = processes[0].client
    mistyped = {"authorization": f"Bearer {key[:-1]}" + ("a" if key[-1] != "a" else "b")}
    assert (await client.post("/v1/messages", json=OTP, headers=mistyped)).json["code"] == "invalid_key"
    await accounts.revoke_key(key, now_ms=SystemClock().now_ms())
    answer = await AsgiClient(processes[1].app).post(
        "/v1/messages", json=OTP, headers={"authorization": f"Bearer {key}"}
    )
    assert (answer.status, answer.json["code"]) == (401, "revoked_key")
