"""What an account reads of what people wrote: its own, paged and filtered; what is nobody's only for operators."""

import pytest
from prometheus_client import CollectorRegistry

from gateway.domain.ids import format_id, new_uuid7
from gateway.ingress.app import Deps, build_app
from gateway.ports.inbound_store import InboundMessage
from gateway.ports.intake_store import Account, Principal
from tests.contract.test_ingress_send import assert_problem
from tests.support.asgi import AsgiClient, lifespan
from tests.support.intake import NOW_MS, Bench


class MemoryInbound:
    """A full implementation of `InboundViews` on a list."""

    def __init__(self):
        self.messages = []

    async def get_inbound(self, account_id, message_id):
        return next(
            (one for one in self.messages if (one.account_id, one.id) == (account_id, message_id)), None
        )

    async def list_inbound(self, account_id, filters, *, limit, before):
        found = [
            one
            for one in self.messages
            if one.account_id == account_id
            and (before is None or one.id < before)
            and (filters.sender is None or one.sender == filters.sender)
            and (filters.recipient is None or one.recipient == filters.recipient)
            and (filters.since is None or one.received_at >= filters.since)
        ]
        return sorted(found, key=lambda one: one.id, reverse=True)[:limit]


@pytest.fixture
async def views():
    return MemoryInbound()


@pytest.fixture
async def app(views):
    bench = Bench()
    bench.keys.keys["operator"] = Principal("k9", Account("ops"), frozenset({"carriers:control"}))
    app = build_app(
        Deps(
            intake=bench.intake,
            intake_metrics=bench.metrics,
            authenticator=bench.keys,
            views=bench.views,
            clock=bench.clock,
            registry=CollectorRegistry(),
            cursor_secret=b"secret",
            inbound=views,
        )
    )
    async with lifespan(app):
        yield app


def client(app, key="good"):
    return AsgiClient(app, headers={"Authorization": f"Bearer {key}"})


def a_message(number, **changes):
    at = NOW_MS + number
    fields = {
        "id": new_uuid7(at, number),
        "carrier": "telco_a",
        "bind": "rx1",
        "sender": "525512345678",
        "sender_is_e164": True,
        "recipient": "22222",
        "text": f"hola {number}",
        "encoding": "gsm7",
        "segment_count": 1,
        "missing": (),
        "received_at": at,
        "raw": {"source_addr": "5215512345678", "data_coding": 0, "esm_class": 0},
        "account_id": "acme",
    }
    return InboundMessage(**(fields | changes))


def path(one):
    return f"/v1/inbound/{format_id('mo', one.id)}"


async def test_a_message_is_shown_in_the_words_of_the_api(app, views):
    answered = new_uuid7(NOW_MS, 9)
    one = a_message(1, missing=(2,), segment_count=3, in_reply_to=answered)
    views.messages.append(one)
    answer = await client(app).get(path(one))
    assert answer.status == 200
    assert answer.json == {
        "id": format_id("mo", one.id),
        "from": "+525512345678",
        "to": "22222",
        "channel": "sms",
        "text": "hola 1",
        "data_hex": None,
        "media": None,
        "encoding": "gsm7",
        "segments": 3,
        "partial": True,
        "missing_segments": [2],
        "carrier": "telco_a",
        "received_at": "2026-11-22T03:00:00.001Z",
        "in_reply_to": format_id("msg", answered),
        "raw": {"source_addr": "5215512345678", "data_coding": 0, "esm_class": 0},
    }


async def test_a_sender_that_is_no_number_has_no_plus_and_binary_has_no_text(app, views):
    one = a_message(
        1, sender="BANCO", sender_is_e164=False, text=None, encoding="binary", raw={"data_hex": "00ff"}
    )
    views.messages.append(one)
    shown = (await client(app).get(path(one))).json
    assert (shown["from"], shown["text"], shown["data_hex"], shown["raw"]) == ("BANCO", None, "00ff", {})


async def test_another_accounts_message_and_nobodys_are_404(app, views):
    views.messages += [a_message(1), a_message(2, account_id=None)]
    assert_problem(await client(app, "other").get(path(views.messages[0])), 404, "not_found")
    assert_problem(await client(app).get(path(views.messages[1])), 404, "not_found")
    assert (await client(app, "other").get("/v1/inbound")).json["data"] == []


@pytest.mark.parametrize("text", ["mo_x", "msg_01kaq3m7x2f0g8h9jkmnpqrstv", "%00", "mo_" + "z" * 26])
async def test_what_is_no_id_is_404(app, text):
    assert_problem(await client(app).get(f"/v1/inbound/{text}"), 404, "not_found")


async def test_pages_go_back_in_time_and_repeat_their_filters(app, views):
    views.messages += [a_message(n, recipient="22222" if n % 2 else "33333") for n in range(1, 8)]
    page = (await client(app).get("/v1/inbound?to=22222&limit=2")).json
    assert [one["text"] for one in page["data"]] == ["hola 7", "hola 5"]
    rest = (await client(app).get(f"/v1/inbound?limit=9&cursor={page['next_cursor']}")).json
    assert [one["text"] for one in rest["data"]] == ["hola 3", "hola 1"]
    assert rest["next_cursor"] is None
    other = await client(app).get(f"/v1/inbound?to=33333&cursor={page['next_cursor']}")
    assert_problem(other, 400, "invalid_cursor")
    assert_problem(
        await client(app, "other").get(f"/v1/inbound?cursor={page['next_cursor']}"), 400, "invalid_cursor"
    )


@pytest.mark.parametrize("query", ["from=%2B525512345678", "from=+525512345678", "from=525512345678"])
async def test_the_sender_is_found_with_or_without_plus(app, views, query):
    views.messages += [a_message(1), a_message(2, sender="573001112233")]
    assert [one["text"] for one in (await client(app).get("/v1/inbound?" + query)).json["data"]] == ["hola 1"]


async def test_since_is_inclusive(app, views):
    views.messages += [a_message(n) for n in (1, 2, 3)]
    page = (await client(app).get("/v1/inbound?since=2026-11-22T03:00:00.002Z")).json
    assert [one["text"] for one in page["data"]] == ["hola 3", "hola 2"]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "since=yesterday", "colour=red", "from=%00"])
async def test_a_parameter_that_cannot_be_used_is_named(app, query):
    assert_problem(await client(app).get("/v1/inbound?" + query), 422, "validation_failed")


async def test_only_operators_see_what_is_nobodys(app, views):
    views.messages += [a_message(1), a_message(2, account_id=None)]
    nobodys = views.messages[1]
    for target in ("/v1/inbound?unassigned=true", path(nobodys) + "?unassigned=true"):
        assert_problem(await client(app).get(target), 403, "missing_scope")
    listed = (await client(app, "operator").get("/v1/inbound?unassigned=true")).json["data"]
    assert [one["text"] for one in listed] == ["hola 2"]
    one = await client(app, "operator").get(path(nobodys) + "?unassigned=true")
    assert one.json["id"] == format_id("mo", nobodys.id)
    assert_problem(await client(app, "operator").get("/v1/inbound"), 403, "missing_scope")
    owned = await client(app, "operator").get(path(views.messages[0]) + "?unassigned=true")
    assert_problem(owned, 404, "not_found")


async def test_a_key_that_may_only_send_reads_nothing(app):
    assert_problem(await client(app, "send-only").get("/v1/inbound"), 403, "missing_scope")
    assert_problem(await client(app, "nonsense").get("/v1/inbound"), 401, "invalid_key")


async def test_the_published_document_has_an_example_of_both(app):
    document = app.openapi()
    for route in ("/v1/inbound", "/v1/inbound/{message_id}"):
        operation = document["paths"][route]["get"]
        assert operation["responses"]["200"]["content"]["application/json"]["example"]
        assert {"401", "403", "422", "503"} <= set(operation["responses"])
    assert {one["name"] for one in document["paths"]["/v1/inbound"]["get"]["parameters"]} == {
        "from",
        "to",
        "since",
        "unassigned",
        "limit",
        "cursor",
    }
