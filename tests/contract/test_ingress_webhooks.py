"""`/v1/webhooks` through the whole application, on real tables and with real POSTs."""

import json
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from dlr.webhooks.guard import Guard
from gateway.bus.codec import decode
from gateway.domain.ids import format_id, new_uuid7
from gateway.domain.notices import TYPES
from gateway.ingress.app import Deps, build_app
from gateway.ports.clock import SystemClock
from gateway.ports.intake_store import Account, Principal
from gateway.ports.webhook_store import DELIVERED, EXHAUSTED, FAILED, MAX_ENDPOINTS, AttemptRow
from gateway.runtime.wiring.webhook_desk import make_webhook_desk
from gateway.store.parked import PostgresOrphans
from gateway.store.pool import Database
from gateway.store.webhook_delivery import PostgresDelivery
from gateway.store.webhook_names import WebhookNamesCache
from tests.contract.test_ingress_send import assert_problem
from tests.support.asgi import AsgiAnswer, AsgiClient, lifespan
from tests.support.intake import NOW_MS, Bench
from tests.support.records import BackHalf, receipt

pytestmark = pytest.mark.postgres

HOOK = "http://127.0.0.1:9/hook"
_bits = random.Random(1).getrandbits


def new_id(now_ms: int) -> Any:
    return new_uuid7(now_ms, _bits(74))


class Sink:
    """A customer's endpoint: keeps what it is sent and answers as told."""

    def __init__(self) -> None:
        self.status = 200
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.requests.append(({k.lower(): v for k, v in request.headers.items()}, await request.read()))
        return web.Response(status=self.status, headers={"location": "http://127.0.0.1:1/"})


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    sink = Sink()
    app = web.Application()
    app.router.add_post("/hook", sink.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sink.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield sink
    await runner.cleanup()


class Office:
    """The application with webhooks on a real database; messages stay in memory."""

    def __init__(self, db: Database) -> None:
        clock = SystemClock()
        self.db = db
        self.names = WebhookNamesCache(db, clock=clock)
        self.bench = Bench(webhooks=self.names)
        manage = frozenset({"messages:send", "messages:read", "webhooks:manage"})
        self.bench.keys.keys |= {
            "manager": Principal("m1", Account("acme"), manage),
            "rival": Principal("m2", Account("rival"), manage),
            "operator": Principal("m3", Account("ops"), frozenset({"carriers:control"})),
        }
        guard = Guard(allow_loopback=True)
        self.desk, self.http = make_webhook_desk(db, guard=guard, clock=clock, new_id=new_id)
        self.deliveries = PostgresDelivery(db)
        self.app = build_app(
            Deps(
                intake=self.bench.intake,
                intake_metrics=self.bench.metrics,
                authenticator=self.bench.keys,
                views=self.bench.views,
                clock=self.bench.clock,
                registry=self.bench.registry.__class__(),
                cursor_secret=b"secret",
                webhooks=self.desk,
                orphans=PostgresOrphans(db),
            )
        )

    async def call(self, method: str, path: str, key: str = "manager", **more: Any) -> AsgiAnswer:
        client = AsgiClient(self.app, headers={"authorization": f"Bearer {key}"})
        headers = {"content-type": "application/json"} if method == "PATCH" else {}
        return await client.request(method, f"/v1{path}", headers=headers, **more)

    async def made(self, url: str = HOOK, **more: Any) -> dict[str, Any]:
        answer = await self.call("POST", "/webhooks", json={"url": url, **more})
        assert answer.status == 201, answer.body
        return answer.json

    async def attempted(self, webhook_id: str, number: int, **changes: Any) -> AttemptRow:
        row = AttemptRow(
            id=new_uuid7(NOW_MS + number, number),
            message_id=new_uuid7(NOW_MS, number),
            endpoint_id=webhook_id,
            account_id="acme",
            event_id=new_uuid7(NOW_MS, 1_000 + number),
            type="message.delivered",
            attempt=1,
            state=DELIVERED,
            status_code=200,
            duration_ms=12,
            error="",
            event_at=NOW_MS,
            body=None,
        )._replace(**changes)
        async with self.db.transaction() as tx:
            await self.deliveries.record(tx, [row])
        return row


@pytest.fixture
async def office(db: Database) -> AsyncIterator[Office]:
    office = Office(db)
    async with lifespan(office.app):
        yield office
    await office.http.close()


async def test_an_endpoint_is_made_and_its_secret_is_shown_once(office: Office) -> None:
    made = await office.made(types=["message.delivered"], description="Production")
    assert made["secret"].startswith("whsec_")
    assert (made["status"], made["types"], made["batch_max"]) == ("live", ["message.delivered"], 1)
    answer = await office.call("GET", f"/webhooks/{made['id']}")
    assert answer.status == 200
    assert answer.json == {name: value for name, value in made.items() if name != "secret"}
    listed = await office.call("GET", "/webhooks")
    assert [one["id"] for one in listed.json["data"]] == [made["id"]]
    assert made["secret"] not in (answer.body + listed.body).decode()


async def test_another_accounts_endpoint_does_not_exist(office: Office) -> None:
    path = f"/webhooks/{(await office.made())['id']}"
    for method, tail, body in (
        ("GET", "", None),
        ("PATCH", "", {}),
        ("DELETE", "", None),
        ("GET", "/attempts", None),
        ("POST", ":test", {}),
        ("POST", ":rotate-secret", {}),
        ("POST", ":disable", {}),
        ("POST", ":enable", {}),
        ("POST", ":replay", {"since": "2026-11-22T00:00:00Z"}),
    ):
        answer = await office.call(method, path + tail, "rival", json=body)
        assert_problem(answer, 404, "not_found")
    assert (await office.call("GET", "/webhooks", "rival")).json["data"] == []
    assert (await office.call("GET", path)).json["status"] == "live"
    assert_problem(await office.call("GET", "/webhooks/whk_nonsense"), 404, "not_found")


async def test_reading_needs_a_reading_scope_and_changes_their_own(office: Office) -> None:
    made = await office.made()
    assert (await office.call("GET", "/webhooks", "read-only")).status == 200
    assert (await office.call("GET", f"/webhooks/{made['id']}/attempts", "read-only")).status == 200
    assert_problem(await office.call("GET", "/webhooks", "send-only"), 403, "missing_scope")
    for method, path in (
        ("POST", "/webhooks"),
        ("PATCH", f"/webhooks/{made['id']}"),
        ("DELETE", f"/webhooks/{made['id']}"),
        ("POST", f"/webhooks/{made['id']}:test"),
        ("POST", f"/webhooks/{made['id']}:rotate-secret"),
    ):
        problem = assert_problem(await office.call(method, path, "read-only", json={}), 403, "missing_scope")
        assert "webhooks:manage" in problem["detail"]


BAD_SETTINGS: list[tuple[dict[str, Any], str, str, str]] = [
    ({}, "#/url", "invalid_url", "missing"),
    ({"url": "https://10.1.2.3/x"}, "#/url", "invalid_url", "10.1.2.3"),
    ({"url": "https://169.254.169.254/latest"}, "#/url", "invalid_url", "169.254.169.254"),
    ({"url": "https://[fd00::1]/"}, "#/url", "invalid_url", "fd00::1"),
    ({"url": "http://hooks.acme.example/"}, "#/url", "invalid_url", "https://"),
    ({"url": "ftp://hooks.acme.example/"}, "#/url", "invalid_url", "https://"),
    ({"url": HOOK, "types": ["message.read"]}, "#/types", "unknown_event_type", "message.read"),
    ({"url": HOOK, "types": []}, "#/types", "unknown_event_type", "empty"),
    ({"url": HOOK, "types": ["*", TYPES[0]]}, "#/types", "unknown_event_type", "alone"),
    ({"url": HOOK, "batch_max": 101}, "#/batch_max", "invalid_value", "1..100"),
    ({"url": HOOK, "max_in_flight": 0}, "#/max_in_flight", "invalid_value", "1..100"),
    ({"url": HOOK, "description": "x" * 201}, "#/description", "invalid_value", "200"),
    ({"url": HOOK, "secret": "whsec_mine"}, "#/secret", "unknown_field", "secret"),
    ({"url": 7}, "#/url", "invalid_type", "str"),
    ({"url": HOOK, "types": [7]}, "#/types/0", "invalid_type", "str"),
]


async def test_bad_settings_are_refused_with_their_field(office: Office) -> None:
    for body, pointer, code, said in BAD_SETTINGS:
        answer = await office.call("POST", "/webhooks", json=body)
        problem = assert_problem(answer, 422, "validation_failed")
        assert [(one["pointer"], one["code"]) for one in problem["errors"]] == [(pointer, code)], body
        assert said in problem["errors"][0]["detail"], body
    assert (await office.call("GET", "/webhooks")).json["data"] == []


async def test_bodies_that_are_no_json_are_refused(office: Office) -> None:
    assert_problem(await office.call("POST", "/webhooks", body=b"{"), 400, "invalid_json")
    assert_problem(await office.call("POST", "/webhooks", body=b"x" * 70_000), 413, "body_too_large")


async def test_an_account_has_so_many_endpoints_and_no_more(office: Office) -> None:
    for _ in range(MAX_ENDPOINTS):
        await office.made()
    problem = assert_problem(
        await office.call("POST", "/webhooks", json={"url": HOOK}), 409, "too_many_webhooks"
    )
    assert str(MAX_ENDPOINTS) in problem["detail"]


async def test_a_change_touches_what_it_names(office: Office) -> None:
    made = await office.made(types=["message.delivered"], description="old")
    path = f"/webhooks/{made['id']}"
    changed = (await office.call("PATCH", path, json={"description": "new", "batch_max": 50})).json
    assert (changed["description"], changed["batch_max"]) == ("new", 50)
    assert (changed["types"], changed["url"]) == (["message.delivered"], HOOK)
    assert_problem(
        await office.call("PATCH", path, json={"url": "https://192.168.1.1/"}), 422, "validation_failed"
    )
    assert (await office.call("GET", path)).json["url"] == HOOK


async def test_disabled_enabled_deleted(office: Office) -> None:
    path = f"/webhooks/{(await office.made())['id']}"
    disabled = (await office.call("POST", f"{path}:disable")).json
    assert (disabled["status"], disabled["disabled_reason"]) == ("disabled", "by_account")
    assert_problem(await office.call("POST", f"{path}:test"), 409, "webhook_disabled")
    assert (await office.call("POST", f"{path}:enable")).json["status"] == "live"
    assert (await office.call("DELETE", path)).status == 204
    assert_problem(await office.call("DELETE", path), 404, "not_found")
    assert_problem(await office.call("GET", path), 404, "not_found")


async def test_a_test_event_is_signed_sent_now_and_among_the_attempts(office: Office, sink: Sink) -> None:
    made = await office.made(sink.url, types=["message.delivered"])
    answer = await office.call("POST", f"/webhooks/{made['id']}:test")
    assert answer.status == 200
    outcome = answer.json
    assert (outcome["is_ok"], outcome["status_code"], outcome["error"]) == (True, 200, None)
    headers, body = sink.requests[0]
    event = Webhook(made["secret"]).verify(body.decode(), headers)
    assert (event["type"], event["data"]["webhook_id"]) == ("webhook.test", made["id"])
    assert headers["webhook-id"] == outcome["event_id"] == event["id"]
    attempts = (await office.call("GET", f"/webhooks/{made['id']}/attempts")).json["data"]
    assert [(one["event_id"], one["type"], one["status"], one["message_id"]) for one in attempts] == [
        (outcome["event_id"], "webhook.test", "delivered", None)
    ]


async def test_a_test_says_what_the_endpoint_answered(office: Office, sink: Sink) -> None:
    made = await office.made(sink.url)
    for count, status in enumerate((301, 404, 503), start=1):
        sink.status = status
        outcome = (await office.call("POST", f"/webhooks/{made['id']}:test")).json
        assert (outcome["is_ok"], outcome["status_code"]) == (False, status)
        assert str(status) in outcome["error"]
        assert len(sink.requests) == count  # a redirect is not followed


async def test_a_test_of_an_endpoint_that_is_not_there_says_so(office: Office) -> None:
    made = await office.made("http://127.0.0.1:9/hook")
    outcome = (await office.call("POST", f"/webhooks/{made['id']}:test")).json
    assert (outcome["is_ok"], outcome["status_code"]) == (False, None)
    assert outcome["error"].startswith("connect")


async def test_a_test_of_a_batching_endpoint_is_a_batch(office: Office, sink: Sink) -> None:
    made = await office.made(sink.url, batch_max=100)
    assert (await office.call("POST", f"/webhooks/{made['id']}:test")).json["is_ok"]
    batch = json.loads(sink.requests[0][1])
    assert batch["type"] == "batch"
    assert [event["type"] for event in batch["data"]] == ["webhook.test"]


async def test_while_a_secret_is_rotated_both_sign(office: Office, sink: Sink) -> None:
    made = await office.made(sink.url)
    path = f"/webhooks/{made['id']}"
    rotated = (await office.call("POST", f"{path}:rotate-secret", json={"overlap_s": 3600})).json
    assert rotated["secret"] != made["secret"]
    assert rotated["old_secret_until"]
    await office.call("POST", f"{path}:test")
    headers, body = sink.requests[-1]
    for secret in (made["secret"], rotated["secret"]):
        Webhook(secret).verify(body.decode(), headers)
    at_once = (await office.call("POST", f"{path}:rotate-secret", json={"overlap_s": 0})).json
    await office.call("POST", f"{path}:test")
    headers, body = sink.requests[-1]
    Webhook(at_once["secret"]).verify(body.decode(), headers)
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(rotated["secret"]).verify(body.decode(), headers)
    problem = await office.call("POST", f"{path}:rotate-secret", json={"overlap_s": -1})
    assert_problem(problem, 422, "validation_failed")


async def test_attempts_come_newest_first_in_pages_by_filter(office: Office) -> None:
    webhook_id = (await office.made())["id"]
    rows = [await office.attempted(webhook_id, n, state=(DELIVERED, FAILED)[n % 2]) for n in range(7)]
    path = f"/webhooks/{webhook_id}/attempts"
    seen, cursor = [], ""
    while True:
        page = (await office.call("GET", f"{path}?limit=3{cursor}")).json
        seen += page["data"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert [one["event_id"] for one in seen] == [format_id("evt", row.event_id) for row in reversed(rows)]
    assert seen[0]["message_id"] == format_id("msg", rows[-1].message_id)
    failed = (await office.call("GET", f"{path}?status=failed&limit=2")).json
    assert {one["status"] for one in failed["data"]} == {"failed"}
    rest = (await office.call("GET", f"{path}?cursor={failed['next_cursor']}")).json
    assert [one["status"] for one in rest["data"]] == ["failed"]
    other = (await office.made())["id"]
    crossed = await office.call("GET", f"/webhooks/{other}/attempts?cursor={failed['next_cursor']}")
    assert_problem(crossed, 400, "invalid_cursor")
    assert_problem(await office.call("GET", f"{path}?type=message.read"), 422, "validation_failed")
    assert_problem(await office.call("GET", f"{path}?colour=red"), 422, "validation_failed")


async def test_an_event_that_was_given_up_is_replayed_by_id_and_by_span(office: Office) -> None:
    webhook_id = (await office.made())["id"]
    path = f"/webhooks/{webhook_id}"
    rows = [
        await office.attempted(webhook_id, n, state=EXHAUSTED, status_code=500, body=b'{"type":"x"}')
        for n in range(3)
    ]
    one = await office.call("POST", f"{path}:replay", json={"event_id": format_id("evt", rows[1].event_id)})
    assert one.json == {"events": 1, "is_complete": True, "next_since": None}
    assert (await office.call("GET", path)).json["waiting_events"] == 1
    rest = await office.call("POST", f"{path}:replay", json={"since": "2026-11-22T00:00:00Z"})
    assert rest.json["events"] == 2
    assert (await office.call("GET", path)).json["waiting_events"] == 3
    limited = await office.call("POST", f"{path}:replay", json={"since": "2026-11-22T00:00:00Z", "limit": 1})
    assert limited.json["is_complete"] is False or limited.json["events"] == 0


BAD_REPLAYS: list[dict[str, Any]] = [
    {},
    {"event_id": "evt_nonsense"},
    {"event_id": "evt_01kaq3m7x2f0g8h9jkmnpqrstv", "since": "2026-11-22T00:00:00Z"},
    {"since": "yesterday"},
    {"since": "2026-11-22T00:00:00Z", "until": "2026-11-21T00:00:00Z"},
    {"since": "2026-11-22T00:00:00Z", "status": "failed"},
    {"since": "2026-11-22T00:00:00Z", "status": "open"},
    {"since": "2026-11-22T00:00:00Z", "type": "message.read"},
    {"since": "2026-11-22T00:00:00Z", "limit": 10_001},
]


async def test_a_replay_that_makes_no_sense_is_refused(office: Office) -> None:
    path = f"/webhooks/{(await office.made())['id']}:replay"
    for body in BAD_REPLAYS:
        assert_problem(await office.call("POST", path, json=body), 422, "validation_failed")


async def test_a_message_names_an_endpoint_of_its_own_account(office: Office) -> None:
    webhook_id = (await office.made())["id"]
    draft = {"to": "+525512345678", "from": "ACME", "content": {"text": "hola"}}
    sent = await office.call("POST", "/messages", json=draft | {"webhook_id": webhook_id})
    assert sent.status == 202
    message = decode(office.bench.kept.records[-1].value)
    assert message.webhook_id == webhook_id
    batch = await office.call(
        "POST",
        "/messages:batch",
        json={"defaults": {"webhook_id": webhook_id}, "messages": [draft, draft | {"webhook_id": "whk_1"}]},
    )
    assert [one["status"] for one in batch.json["results"]] == ["queued", "rejected"]
    assert batch.json["results"][1]["error"]["code"] == "unknown_webhook"
    assert decode(office.bench.kept.records[-1].value).webhook_id == webhook_id
    foreign = await office.call("POST", "/messages", "rival", json=draft | {"webhook_id": webhook_id})
    problem = assert_problem(foreign, 422, "validation_failed")
    assert [(one["pointer"], one["code"]) for one in problem["errors"]] == [
        ("#/webhook_id", "unknown_webhook")
    ]


async def test_an_endpoint_is_looked_up_once_for_many_messages_and_seen_when_it_is_new(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook_id = (await office.made())["id"]
    looks = 0
    load = office.names._load

    async def counted(account_id: str) -> frozenset[str]:
        nonlocal looks
        looks += 1
        return await load(account_id)

    monkeypatch.setattr(office.names, "_load", counted)
    for _ in range(5):
        assert await office.names.among("acme", {webhook_id}) == {webhook_id}
    for _ in range(5):
        assert await office.names.among("acme", {webhook_id, "whk_madeup"}) == {webhook_id}
    assert looks == 1  # a made-up id costs one look a second at most
    new = (await office.made())["id"]
    office.names._drop("")  # as the notification of the change does
    assert await office.names.among("acme", {new}) == {new}


async def test_every_operation_is_in_the_published_document_with_an_example(office: Office) -> None:
    document = (await AsgiClient(office.app).get("/openapi.json")).json
    operations = {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path.startswith(("/v1/webhooks", "/v1/receipts"))
    }
    assert len(operations) == 12
    for (method, path), operation in operations.items():
        good = next(
            operation["responses"][code] for code in ("200", "201", "204") if code in operation["responses"]
        )
        assert method == "delete" or good["content"]["application/json"]["example"], path
        assert "403" in operation["responses"]


async def test_orphans_are_for_operators_and_come_in_pages(office: Office, db: Database) -> None:
    back = await BackHalf(db).start()
    await back.put_receipts(
        *(receipt(f"foreign{n}", carrier="telco_b" if n else "telco_a") for n in range(4))
    )
    await back.turn()
    await back.parking.expire(limit=10, max_rows=2)
    assert_problem(await office.call("GET", "/receipts/orphans"), 403, "missing_scope")
    page = (await office.call("GET", "/receipts/orphans?carrier=telco_b&limit=2", "operator")).json
    rest = (
        await office.call("GET", f"/receipts/orphans?limit=2&cursor={page['next_cursor']}", "operator")
    ).json
    found = [*page["data"], *rest["data"]]
    assert [one["carrier_message_id"] for one in found] == ["foreign3", "foreign2", "foreign1"]
    assert [one["reason"] for one in found] == ["waiting", "waiting", "crowded_out"]
    assert found[0]["state"] == "delivered"
    assert found[0]["parked_until"] > found[0]["parked_at"]
    assert rest["next_cursor"] is None
    assert_problem(await office.call("GET", "/receipts/orphans?cursor=x", "operator"), 400, "invalid_cursor")
