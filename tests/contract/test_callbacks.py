"""`/callbacks/{carrier}` on a real database, from the settings to the state of messages: wrong, repeated, out of order.

The promise: whatever is posted gets the right answer, and what a carrier was answered 2xx for is durable.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from starlette.types import Message, Receive, Scope, Send

from gateway.bus.postgres import PostgresBus
from gateway.bus.reader_metrics import ReaderMetrics
from gateway.bus.topics import EVENTS, MO, RECEIPTS, WEBHOOKS
from gateway.inbound.assembler import Assembler, AssemblyLimits
from gateway.inbound.consumer import InboundConsumer
from gateway.inbound.delivery import Delivery
from gateway.inbound.metrics import InboundMetrics
from gateway.inbound.ownership import Ownership
from gateway.inbound.sweeper import SOURCES_MS, InboundSweeper
from gateway.ingress.app import Deps, build_app
from gateway.ingress.callbacks import CallbackMetrics, Callbacks
from gateway.ingress.group_append import GroupAppend
from gateway.ports.inbound_store import InboundFilters, InboundMessage, NumberRow
from gateway.ports.intake_store import StoreUnavailableError
from gateway.runtime.wiring.callbacks import carrier_calls
from gateway.settings import Settings
from gateway.store.inbound import InboundNumbers, PostgresInbound
from gateway.store.inbound_views import PostgresInboundViews
from gateway.store.pool import Database
from tests.contract.test_dlr import effects
from tests.support.asgi import AsgiAnswer, AsgiClient, lifespan
from tests.support.intake import Bench
from tests.support.records import HOUR, NOON, BackHalf, FixedClock, attempted

pytestmark = pytest.mark.postgres

SECRET = "s3cret"
PERSON, NUMBER = "5215512345678", "+56987654321"

CALLBACKS: dict[str, Any] = {
    "auth": {
        "hmac": {
            "header": "X-Signature",
            "prefix": "sha256=",
            "secret": SECRET,
            "signed": "{timestamp}.{body}",
            "timestamp_header": "X-Timestamp",
            "tolerance_s": 604_800,
        }
    },
    "max_body_octets": 4_096,
    "receipt": {
        "when": {"field": "/event", "equals": ["status"]},
        "id": "/id",
        "state": "/status",
        "states": {
            "sent": "ENROUTE",
            "delivered": "DELIVERED",
            "read": "READ",
            "failed": "UNDELIVERABLE",
        },
        "error": "/error",
        "time": "/at",
    },
    "reply": {
        "when": {"field": "/event", "equals": ["message"]},
        "id": "/id",
        "sender": "/from",
        "recipient": "/to",
        "text": "/text",
        "media_type": "/media/type",
        "media_link": "/media/url",
    },
    "answer_body": "OK",
}


def settings_of(**callbacks: Any) -> Settings:
    carriers = {
        "telco_a": {
            "protocol": "http",
            "url": "http://127.0.0.1:1/messages",
            "channel": "whatsapp",
            "callbacks": CALLBACKS | callbacks,
        },
        "silent": {"protocol": "http", "url": "http://127.0.0.1:1/messages"},
    }
    return Settings(carriers=carriers)


class Desk:
    """The API's endpoint before the real bus, with dlr and inbound behind it."""

    def __init__(self, db: Database) -> None:
        self.clock = FixedClock()
        self.back = BackHalf(db, clock=self.clock)
        self.bus: PostgresBus = self.back.bus
        self.registry = CollectorRegistry()
        self.appends = GroupAppend(self.bus, clock=self.clock, max_pending=500, deadline_s=2.0)
        self.callbacks = Callbacks(
            carrier_calls(settings_of()),
            appends=self.appends,
            clock=self.clock,
            metrics=CallbackMetrics(self.registry),
            body_deadline_s=0.5,
        )
        bench = Bench()
        self.app = build_app(
            Deps(
                intake=bench.intake,
                intake_metrics=bench.metrics,
                authenticator=bench.keys,
                views=bench.views,
                clock=self.clock,
                registry=self.registry,
                cursor_secret=b"secret",
                callbacks=self.callbacks,
            )
        )
        self.client = AsgiClient(self.app)
        store = PostgresInbound(db)
        self.views = PostgresInboundViews(db)
        self.numbers = InboundNumbers(db)
        assembler = Assembler(store, limits=AssemblyLimits())
        delivery = Delivery(store, ownership=Ownership(store))
        self.inbound_metrics = InboundMetrics(self.registry)
        common: dict[str, Any] = {
            "db": db,
            "store": store,
            "assembler": assembler,
            "delivery": delivery,
            "clock": self.clock,
            "metrics": self.inbound_metrics,
        }
        self.inbound = InboundConsumer(self.bus, reader_metrics=ReaderMetrics(self.registry), **common)
        self.sweeper = InboundSweeper(self.bus, remember_ms=HOUR, **common)

    async def start(self) -> None:
        await self.back.start()
        await self.bus.ensure_topics({MO: 1, WEBHOOKS: 1})

    async def call(
        self, document: Any, *, carrier: str = "telco_a", secret: str = SECRET, **more: Any
    ) -> AsgiAnswer:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        at = str(self.clock.ms // 1000)
        digest = hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers = {"x-signature": f"sha256={digest}", "x-timestamp": at}
        return await self.client.post(f"/callbacks/{carrier}", body=body, headers=headers, **more)

    async def turn(self) -> None:
        await self.back.turn()
        await self.inbound.reader.drain()

    async def kept(self) -> int:
        topics = [
            (topic, partition) for topic in (RECEIPTS, MO) for partition in range(self.bus.partitions(topic))
        ]
        return sum([len(await self.bus.read(*one, offset=0, limit=10_000)) for one in topics])

    async def replies(self) -> list[InboundMessage]:
        found = await self.views.list_inbound("acme", InboundFilters(), limit=100, before=None)
        return found[::-1]

    def called(self, outcome: str) -> float:
        labels = {"carrier": "telco_a", "outcome": outcome}
        return self.registry.get_sample_value("caudal_carrier_callbacks_total", labels) or 0.0


@pytest.fixture
async def desk(db: Database) -> AsyncIterator[Desk]:
    desk = Desk(db)
    await desk.start()
    async with db.acquire() as connection:
        await connection.execute("INSERT INTO accounts (id, created_at) VALUES ('acme', now())")
    async with lifespan(desk.app):
        yield desk


def status(word: str, *, id: str = "A1", **more: Any) -> dict[str, Any]:  # noqa: A002 - the carrier's word
    return {"event": "status", "id": id, "status": word, **more}


def message(text: str | None, *, id: str = "m1", **more: Any) -> dict[str, Any]:  # noqa: A002 - the carrier's word
    return {"event": "message", "id": id, "from": PERSON, "to": NUMBER, "text": text, **more}


async def test_a_receipt_is_durable_before_it_is_answered_and_delivers_its_message(desk: Desk) -> None:
    sent = await desk.back.submitted("A1")
    answer = await desk.call(status("delivered", at="2026-11-25T12:00:01Z"))
    assert (answer.status, answer.body, answer.headers["content-type"]) == (
        200,
        b"OK",
        "text/plain; charset=utf-8",
    )
    assert await desk.kept() == 1
    await desk.turn()
    assert await desk.back.state(sent) == ("delivered", False)
    assert desk.called("stored") == 1


async def test_read_before_delivered_repeated_and_replayed_for_days_come_to_one_state(desk: Desk) -> None:
    one = await desk.back.submitted("A1")
    two = await desk.back.accepted()
    calls = [status("read"), status("delivered"), status("sent"), status("read"), status("failed", error=5)]
    for call in calls:
        assert (await desk.call(call)).status == 200
    # A receipt that is quicker than the answer to its submit waits for it.
    assert (await desk.call(status("delivered", id="B1"))).status == 200
    await desk.turn()
    assert await desk.back.state(one) == ("delivered", False)
    await desk.back.put(attempted(two, "B1"))
    await desk.turn()
    assert await desk.back.state(two) == ("delivered", False)
    for _ in range(3):
        desk.clock.ms += 24 * HOUR
        assert (await desk.call([status("delivered"), status("delivered", id="B1")])).status == 200
        await desk.turn()
    assert await desk.back.state(one) == ("delivered", False)
    assert await effects(desk.back, one) == [
        "delivered",
        "late",
        "late",
        "duplicate",
        "conflict",
        *["late"] * 3,
    ]
    assert await effects(desk.back, two) == ["delivered", *["duplicate"] * 3]


WRONG: list[tuple[dict[str, Any], int, str]] = [
    ({"secret": "wrong"}, 401, "signature"),
    ({"body": b'{"event": "status"'}, 400, "malformed"),
    ({"body": b"\xff\xfe<xml/>"}, 400, "malformed"),
    ({"body": b"[" * 4_000}, 400, "malformed"),
    ({"body": b'{"event": "status", "id": 5}'}, 400, "shape"),
    ({"body": b'{"event": "billing"}'}, 400, "unknown_kind"),
    ({"body": b"{" + b" " * 5_000}, 413, "too_large"),
]


async def test_what_is_wrong_gets_the_right_answer_and_leaves_nothing(desk: Desk) -> None:
    for change, code, outcome in WRONG:
        before = desk.called(outcome)
        answer = await desk.call(
            **({"document": change.get("body", status("delivered"))} | _without_body(change))
        )
        assert (answer.status, desk.called(outcome) - before) == (code, 1), change
        assert b"s3cret" not in answer.body
    assert await desk.kept() == 0


def _without_body(change: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in change.items() if name != "body"}


async def test_what_is_understood_in_part_is_taken_and_counted(desk: Desk) -> None:
    sent = await desk.back.submitted("A1")
    answers = [
        await desk.call([status("delivered"), {"event": "billing"}, status("delivered", id=["A2"])]),
        await desk.call(status("teleported", id="A3")),
    ]
    assert [answer.status for answer in answers] == [200, 200]
    assert (desk.called("partial"), desk.called("unknown_state"), await desk.kept()) == (1, 1, 2)
    await desk.turn()
    assert await desk.back.state(sent) == ("delivered", False)


async def test_a_body_is_not_read_beyond_its_limit_nor_waited_for_for_ever(desk: Desk) -> None:
    chunks = [b" " * 1_000] * 50
    answer = await desk.client.post("/callbacks/telco_a", body=chunks)
    assert (answer.status, answer.json["code"]) == (413, "body_too_large")
    assert answer.received_octets <= 6_000
    answer = await desk.client.post("/callbacks/telco_a", body=[])
    assert (answer.status, answer.json["code"], answer.headers["connection"]) == (
        408,
        "request_timeout",
        "close",
    )
    assert (desk.called("too_large"), desk.called("timeout")) == (1, 1)


async def test_who_and_how_is_checked(desk: Desk) -> None:
    for carrier in ("silent", "nobody", "telco_a/x", ""):
        answer = await desk.call(status("delivered"), carrier=carrier)
        assert (answer.status, answer.json["code"]) == (404, "not_found"), carrier
    answer = await desk.client.get("/callbacks/telco_a")
    assert (answer.status, answer.headers["allow"], desk.called("method")) == (405, "POST", 1)
    answer = await desk.client.request("DELETE", "/callbacks/telco_a")
    assert (answer.status, answer.json["code"]) == (405, "method_not_allowed")
    desk.clock.ms += 8 * 24 * HOUR
    old = str((NOON) // 1000)
    body = json.dumps(status("delivered")).encode()
    digest = hmac.new(SECRET.encode(), old.encode() + b"." + body, hashlib.sha256).hexdigest()
    replayed = {"x-signature": f"sha256={digest}", "x-timestamp": old}
    answer = await desk.client.post("/callbacks/telco_a", body=body, headers=replayed)
    assert (answer.status, desk.called("stale"), await desk.kept()) == (401, 1, 0)


async def test_concurrent_calls_share_their_appends(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    appended: list[int] = []
    append = desk.bus.append

    async def count(records: Any, **more: Any) -> None:
        appended.append(len(records))
        await append(records, **more)

    monkeypatch.setattr(desk.bus, "append", count)
    answers = await asyncio.gather(*(desk.call(status("delivered", id=f"A{n}")) for n in range(200)))
    assert {answer.status for answer in answers} == {200}
    assert sum(appended) == await desk.kept() == 200
    assert len(appended) <= 20


async def test_a_bus_that_is_away_is_told_with_503_and_the_carrier_calls_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = await desk.back.submitted("A1")

    async def away(*_: Any, **__: Any) -> None:
        raise StoreUnavailableError("down")

    async def stalled(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    for broken in (away, stalled):
        with monkeypatch.context() as patch:
            patch.setattr(desk.bus, "append", broken)
            answer = await desk.call(status("delivered"))
        assert (answer.status, answer.json["code"], answer.headers["retry-after"]) == (
            503,
            "unavailable",
            "5",
        )
    assert desk.called("unavailable") == 2
    assert (await desk.call(status("delivered"))).status == 200
    await desk.turn()
    assert await desk.back.state(sent) == ("delivered", False)


async def test_one_item_that_the_bus_refuses_does_not_hold_up_the_calls_beside_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = desk.bus.append

    async def picky(records: Any, **more: Any) -> None:
        if any(b"huge" in record.value for record in records):
            raise ValueError("a record does not fit a batch")
        await append(records, **more)

    monkeypatch.setattr(desk.bus, "append", picky)
    answers = await asyncio.gather(
        *(desk.call(status("delivered", id=one)) for one in ("A1", "huge", "A2", "A3"))
    )
    assert [answer.status for answer in answers] == [200, 413, 200, 200]
    assert await desk.kept() == 3


async def test_more_calls_than_may_wait_are_told_to_come_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = asyncio.Event()
    append = desk.bus.append

    async def slow(records: Any, **more: Any) -> None:
        await go.wait()
        await append(records, **more)

    monkeypatch.setattr(desk.bus, "append", slow)
    first = [asyncio.create_task(desk.call([status("delivered")] * 50), name=f"call{n}") for n in range(10)]
    async with asyncio.timeout(30):
        while desk.appends.pending < 500:  # noqa: ASYNC110 - all of them wait: the eleventh is one too many
            await asyncio.sleep(0.001)
    assert (await desk.call(status("delivered"))).status == 503
    go.set()
    assert [answer.status for answer in await asyncio.gather(*first)] == [200] * 10
    assert await desk.kept() == 500


async def test_a_caller_that_goes_away_disturbs_nobody(desk: Desk) -> None:
    answer = await desk.client.post("/callbacks/telco_a", body=b"{}", gone=True)
    assert answer.status == 0
    gone: list[str] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(event: Message) -> None:
        gone.append(event["type"])

    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/callbacks/telco_a",
        "query_string": b"",
        "headers": [(b"content-length", b"-1")],
        "client": None,
    }
    app: Any = desk.app
    taking: Receive = receive
    giving: Send = send
    await app(scope, taking, giving)
    assert gone == []
    assert (await desk.call(status("delivered"))).status == 200


async def test_a_reload_reads_by_the_new_settings(desk: Desk) -> None:
    desk.callbacks.use(carrier_calls(settings_of(auth={"token": {"query": "token", "secret": "other"}})))
    assert (await desk.call(status("delivered"))).status == 401
    answer = await desk.client.post(
        "/callbacks/telco_a?token=other", body=json.dumps(status("sent")).encode()
    )
    assert (answer.status, await desk.kept()) == (200, 1)
    desk.callbacks.use({})
    assert (await desk.call(status("delivered"))).status == 404


# -- replies ------------------------------------------------------------------------------------------


async def test_a_reply_over_http_is_stored_once_and_its_account_is_told(desk: Desk) -> None:
    await desk.numbers.add(NumberRow("56987654321", "", "acme", NOON))
    for call in (
        message("Sí, mañana"),
        message("Sí, mañana"),
        [message("Sí, mañana"), message("¡ya!", id="m2")],
    ):
        assert (await desk.call(call)).status == 200
    await desk.turn()
    desk.clock.ms += 6 * 24 * HOUR
    assert (await desk.call(message("Sí, mañana"))).status == 200
    await desk.turn()
    one, two = await desk.replies()
    assert (one.text, one.encoding, one.channel, one.media) == ("Sí, mañana", "utf8", "whatsapp", None)
    assert (two.text, two.raw["source_id"]) == ("¡ya!", "m2")
    assert len(await desk.bus.read(WEBHOOKS, 0, offset=0, limit=10)) == 2
    assert desk.registry.get_sample_value("caudal_mo_segments_repeated_total") == 3
    assert desk.registry.get_sample_value("caudal_mo_segments_received_total", {"carrier": "telco_a"}) == 5
    # Long after the last repeat the id is forgotten.
    desk.clock.ms += SOURCES_MS
    await desk.sweeper.sweep()
    async with desk.back.db.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM inbound_sources") == 0


async def test_d6_a_reply_from_521_joins_the_message_that_was_sent_to_52(desk: Desk) -> None:
    sent = await desk.back.submitted("A1", recipient="525512345678", sender="56987654321")
    await desk.turn()
    await desk.call(message("hola"))
    await desk.turn()
    (reply,) = await desk.replies()
    assert (reply.sender, reply.sender_is_e164, reply.recipient) == ("525512345678", True, "56987654321")
    assert (reply.account_id, reply.assigned_by, reply.in_reply_to) == ("acme", "sender", sent.id)
    assert reply.raw["source_addr"] == PERSON


async def test_a_picture_without_words_is_a_reply(desk: Desk) -> None:
    await desk.numbers.add(NumberRow("56987654321", "telco_a", "acme", NOON))
    media = {"type": "image/jpeg", "url": "https://media.telco-h.example/1\u0000"}
    assert (await desk.call(message(None, media=media))).status == 200
    await desk.turn()
    (reply,) = await desk.replies()
    assert (reply.text, reply.media) == (
        None,
        {"type": "image/jpeg", "link": "https://media.telco-h.example/1\ufffd"},
    )
    assert await desk.bus.read(EVENTS, 0, offset=0, limit=10) == []
