"""What an account reads: one message, its timeline, the list with its cursors; health and the published document."""

import asyncio
from dataclasses import replace

import pytest

from gateway.domain.ids import format_id, new_uuid7
from gateway.ingress.cursors import CursorError, Cursors
from gateway.ports.ingress_store import EventView, MessageView
from tests.contract.test_ingress_send import assert_problem, client
from tests.support.asgi import lifespan
from tests.support.intake import NOW_MS, Bench

OLD_MS = NOW_MS - 60_000


@pytest.fixture
async def bench():
    bench = Bench()
    async with lifespan(bench.app):
        yield bench


def view(number, **more):
    fields = {
        "id": new_uuid7(OLD_MS + number, number),
        "account_id": "acme",
        "message_class": "otp",
        "channel": "sms",
        "recipient": "525512345678",
        "sender": "ACME",
        "encoding": "gsm7",
        "segment_count": 1,
        "state": "delivered",
        "accepted_at": OLD_MS + number,
        "valid_until": OLD_MS + 300_000,
    }
    return MessageView(**(fields | more))


def add(bench, *views):
    for one in views:
        bench.views.messages[one.id] = one
    return views[0]


def path(one, tail=""):
    return f"/v1/messages/{format_id('msg', one.id)}{tail}"


async def test_message_is_shown_in_the_words_of_the_api(bench):
    one = add(
        bench,
        view(1, carrier="telco_a", attempt=2, metadata={"a": "b"}, final_at=NOW_MS, batch_id=view(9).id),
    )
    answer = await client(bench).get(path(one))
    assert answer.status == 200
    assert answer.headers["x-request-id"].startswith("req_")
    shown = answer.json
    assert shown["id"] == format_id("msg", one.id)
    assert (shown["status"], shown["to"], shown["from"]) == ("delivered", "+525512345678", "ACME")
    assert (shown["carrier"], shown["attempts"], shown["metadata"]) == ("telco_a", 2, {"a": "b"})
    assert shown["final_at"] == "2026-11-22T03:00:00.000Z"
    assert shown["batch_id"].startswith("bat_")
    assert "text" not in shown


async def test_another_accounts_message_is_404(bench):
    one = add(bench, view(1))
    assert_problem(await client(bench, "other").get(path(one)), 404, "not_found")
    assert_problem(await client(bench, "other").get(path(one, "/events")), 404, "not_found")
    assert (await client(bench, "other").get("/v1/messages")).json["data"] == []


@pytest.mark.parametrize(
    "text", ["msg_x", "bat_01kaq3m7x2f0g8h9jkmnpqrstv", "%00", "msg_" + "z" * 26, "..%2f.."]
)
async def test_what_is_no_message_id_is_404(bench, text):
    assert_problem(await client(bench).get(f"/v1/messages/{text}"), 404, "not_found")


async def test_an_old_unknown_id_is_404_at_once(bench):
    answer = await client(bench).get(path(view(5, id=new_uuid7(NOW_MS - 600_000, 7))))
    assert_problem(answer, 404, "not_found")
    assert "not recorded yet" not in answer.json["detail"]
    assert "retry-after" not in answer.headers
    assert bench.views.reads == 1


async def test_a_message_just_accepted_is_waited_for(bench):
    young = view(1, id=new_uuid7(NOW_MS, 7), state="queued")
    bench.views.late, bench.views.appear_after = young, 2
    answer = await client(bench).get(path(young))
    assert answer.status == 200
    assert answer.json["status"] == "queued"
    assert bench.views.reads == 3


async def test_a_young_id_that_never_comes_is_404_after_two_seconds(bench):
    task = asyncio.create_task(client(bench).get(path(view(1, id=new_uuid7(NOW_MS, 7)), "/events")))
    while bench.views.reads < 2:  # noqa: ASYNC110 - the request runs in this very loop
        await asyncio.sleep(0)
    assert not task.done()
    bench.clock.advance(2_001)
    answer = await task
    assert_problem(answer, 404, "not_found")
    # It may be accepted and on its way to the database: only who asks again can know.
    assert "not recorded yet" in answer.json["detail"]
    assert answer.headers["retry-after"] == "1"


async def test_timeline_is_paged_oldest_first(bench):
    one = add(bench, view(1))
    bench.views.events[one.id] = [
        EventView(OLD_MS + n // 2, n, "submitted", {"attempt": n, "carrier": "telco_a"}) for n in range(5)
    ]
    seen, target = [], path(one, "/events?limit=2")
    for _ in range(3):
        page = (await client(bench).get(target)).json
        seen += page["data"]
        target = path(one, f"/events?limit=2&cursor={page['next_cursor']}")
    assert page["next_cursor"] is None
    assert [event["attempt"] for event in seen] == [0, 1, 2, 3, 4]
    assert seen[0]["at"] == "2026-11-22T02:59:00.000Z"
    assert seen[0]["type"] == "submitted"


async def test_list_is_paged_newest_first_and_the_cursor_repeats_the_filters(bench):
    add(bench, *(view(n, state="failed" if n % 2 else "delivered") for n in range(10)))
    first = (await client(bench).get("/v1/messages?status=failed&limit=3")).json
    second = (await client(bench).get(f"/v1/messages?limit=3&cursor={first['next_cursor']}")).json
    shown = [one["created_at"][-4:-1] for one in first["data"] + second["data"]]
    assert shown == ["009", "007", "005", "003", "001"]
    assert second["next_cursor"] is None
    same = await client(bench).get(f"/v1/messages?status=failed&cursor={first['next_cursor']}")
    assert same.status == 200
    other = await client(bench).get(f"/v1/messages?status=delivered&cursor={first['next_cursor']}")
    assert_problem(other, 400, "invalid_cursor")


async def test_every_filter_narrows_the_list(bench):
    add(
        bench,
        view(1, client_ref="r", carrier="telco_b", message_class="marketing", recipient="56987654321"),
        view(2),
        view(3),
    )
    for text in (
        "client_ref=r",
        "carrier=telco_b",
        "class=marketing",
        "to=%2B56987654321",
        "to=+56987654321",
    ):
        data = (await client(bench).get(f"/v1/messages?{text}")).json["data"]
        assert [one["client_ref"] for one in data] == ["r"], text
    since = await client(bench).get("/v1/messages?since=2026-11-22T02:59:00.002Z")
    assert len(since.json["data"]) == 2


@pytest.mark.parametrize(
    "text",
    [
        "status=gone",
        "limit=0",
        "limit=201",
        "limit=x",
        "since=yesterday",
        "class=vip",
        "to=acme",
        "to=",
        "nope=1",
        "client_ref=a%00",
    ],
)
async def test_wrong_query_is_422(bench, text):
    problem = assert_problem(await client(bench).get(f"/v1/messages?{text}"), 422, "validation_failed")
    assert problem["errors"][0]["parameter"] == text.partition("=")[0]


async def test_a_cursor_of_someone_else_or_changed_is_400(bench):
    add(bench, *(view(n) for n in range(4)))
    add(bench, *(replace(view(n), account_id="other", id=new_uuid7(OLD_MS, 900 + n)) for n in range(4)))
    cursor = (await client(bench).get("/v1/messages?limit=1")).json["next_cursor"]
    assert_problem(await client(bench, "other").get(f"/v1/messages?cursor={cursor}"), 400, "invalid_cursor")
    for text in ("x", "é", "A" * 4000, cursor[:-1], "B" + cursor[1:]):
        assert_problem(await client(bench).get(f"/v1/messages?cursor={text}"), 400, "invalid_cursor")
    one = add(bench, view(1))
    assert_problem(await client(bench).get(path(one, f"/events?cursor={cursor}")), 400, "invalid_cursor")


def test_cursor_is_bound_to_kind_and_account():
    cursors = Cursors(b"s")
    text = cursors.write("k", "a", {"n": 1})
    assert cursors.read("k", "a", text) == {"n": 1}
    for kind, account, reader in (("k", "b", cursors), ("j", "a", cursors), ("k", "a", Cursors(b"t"))):
        with pytest.raises(CursorError):
            reader.read(kind, account, text)


async def test_reading_needs_its_scope(bench):
    for target in ("/v1/messages", path(view(1)), path(view(1), "/events")):
        assert_problem(await client(bench, "send-only").get(target), 403, "missing_scope")
        answer = await client(bench, "wrong").get(target)
        assert_problem(answer, 401, "invalid_key")
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_health_needs_no_key(bench):
    answer = await client(bench).get("/healthz", headers={"authorization": None})
    assert (answer.status, answer.json) == (200, {"status": "ok"})
    assert (await client(bench).get("/readyz")).status == 200
    bench.missing["bus"] = "no database"
    answer = await client(bench).get("/readyz")
    assert (answer.status, answer.json["reasons"]) == (503, {"bus": "no database"})


async def test_metrics_name_the_template_never_the_path(bench):
    one = add(bench, view(1))
    await client(bench).get(path(one))
    labels = {"route": "/v1/messages/{message_id}", "method": "GET"}
    assert bench.sample("http_requests_total", code="200", **labels) == 1
    assert bench.sample("http_request_duration_seconds_count", **labels) == 1
    assert bench.sample("http_requests_in_flight") == 0
    assert bench.sample("http_requests_total", route="/v1/messages", method="POST", code="202") == 0


async def test_published_document_has_every_operation_with_an_example_and_our_problems(bench):
    document = (await client(bench).get("/openapi.json")).json
    assert document["openapi"].startswith("3.1")
    operations = {
        (path, method): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert set(operations) == {
        ("/v1/messages", "post"),
        ("/v1/messages", "get"),
        ("/v1/messages:batch", "post"),
        ("/v1/messages:validate", "post"),
        ("/v1/messages/{message_id}", "get"),
        ("/v1/messages/{message_id}/events", "get"),
        ("/v1/routes:explain", "post"),
        ("/healthz", "get"),
        ("/readyz", "get"),
    }
    for operation in operations.values():
        good = next(entry for status, entry in operation["responses"].items() if status.startswith("2"))
        assert "example" in good["content"]["application/json"], operation["summary"]
        for status, entry in operation["responses"].items():
            if status.startswith("4"):
                assert set(entry["content"]) == {"application/problem+json"}
    text = str(document)
    assert "HTTPValidationError" not in text
    fields = document["components"]["schemas"]["MessageDraft"]["properties"]
    assert {"to", "from", "class", "content", "client_ref", "metadata"} <= set(fields)
    referenced = {part.split("'")[0] for part in text.split("#/components/schemas/")[1:]}
    assert referenced <= set(document["components"]["schemas"])
    assert (await client(bench).get("/docs")).status == 200
