"""What `POST /v1/messages` and `:batch` answer to right and to wrong requests, through the whole application."""

import asyncio
import json

import pytest

from gateway.bus.codec import decode
from gateway.bus.topics import EVENTS
from gateway.domain.events import Accepted
from gateway.domain.ids import parse_id
from gateway.domain.message import MessageClass
from gateway.intake.journal import JournalLimits
from gateway.ports.bus import Lag
from tests.support.asgi import AsgiClient, lifespan
from tests.support.intake import NOW_MS, Bench

OTP = {"to": "+525512345678", "from": "ACME", "class": "otp", "content": {"text": "Su codigo es 4815"}}


def client(bench, key="good"):
    return AsgiClient(
        bench.app, headers={"authorization": f"Bearer {key}"}, short=getattr(bench, "is_short", True)
    )


@pytest.fixture(params=["ordinary", "short"])
async def bench(request):
    """Both ways to one answer: through ASGI, and the short way of single messages with ASGI behind it."""
    bench = Bench()
    bench.is_short = request.param == "short"
    async with lifespan(bench.app):
        yield bench


async def test_the_short_way_takes_the_usual_message_and_nothing_else(bench):
    way = bench.app.fast[b"/v1/messages"]
    headers = [(b"authorization", b"Bearer good"), (b"content-type", b"application/json")]
    usual = json.dumps(OTP).encode()
    answers = []

    class Exchange:
        def answer(self, status, fields, body):
            answers.append(status)

    def takes(headers, body):
        caller = way.caller(headers)
        return caller is not None and way.take(caller, body, Exchange())

    assert takes(headers, usual)
    for left, body in (
        ([*headers, (b"idempotency-key", b"k")], usual),
        ([*headers, (b"content-encoding", b"gzip")], usual),
        (headers[:1], usual),
        ([(b"authorization", b"Bearer revoked"), headers[1]], usual),
        ([(b"authorization", b"Bearer read-only"), headers[1]], usual),
        (headers, usual[:-1]),
        (headers, json.dumps(OTP | {"to": "1"}).encode()),
        (headers, json.dumps(OTP | {"webhook_id": "whk_1"}).encode()),
        (headers, json.dumps(OTP | {"channels": ["sms"]}).encode()),
    ):
        assert not takes(left, body), (left, body)
    async with asyncio.timeout(10):
        while not answers:  # noqa: ASYNC110 - the flush runs in this very loop
            await asyncio.sleep(0)
    await asyncio.sleep(0)  # it is counted in the next turn of the loop, with all that leave in this one
    assert answers == [202]
    assert len(bench.accepted_messages()) == 1
    assert bench.sample("http_requests_total", route="/v1/messages", method="POST", code="202") == 1
    assert bench.sample("http_requests_in_flight") == 0


def assert_problem(answer, status, code):
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["type"]
    assert problem["title"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    return problem


async def test_accepted_message_is_durable_before_202(bench):
    answer = await client(bench).post("/v1/messages", json=OTP | {"client_ref": "login-991"})

    assert answer.status == 202
    body = answer.json
    assert body == {
        "id": body["id"],
        "status": "queued",
        "to": "+525512345678",
        "client_ref": "login-991",
        "segments": 1,
        "encoding": "gsm7",
        "created_at": "2026-11-22T03:00:00.000Z",
    }
    assert answer.headers["location"] == f"/v1/messages/{body['id']}"
    assert answer.headers["x-request-id"].startswith("req_")
    assert [record.topic for record in bench.kept.records] == [EVENTS, "lane.telco_a.otp"]
    event, lane = bench.kept.records
    message = decode(lane.value)
    assert decode(event.value) == Accepted(message)
    assert event.key == parse_id("msg", body["id"]).bytes
    assert lane.key == b"525512345678"
    assert message.request_id == answer.headers["x-request-id"]
    assert message.valid_until == NOW_MS + 300_000
    assert message.candidates == ("telco_b",)
    assert bench.sample("messages_accepted_total", channel="sms", source="api", **{"class": "otp"}) == 1


async def test_scheduled_message_waits_in_deferred_not_in_a_lane(bench):
    answer = await client(bench).post("/v1/messages", json=OTP | {"send_at": "2026-11-22T04:00:00+01:00"})
    assert answer.json["status"] == "queued"  # an hour of offset: that is now

    answer = await client(bench).post("/v1/messages", json=OTP | {"send_at": "2026-11-22T04:00:00Z"})

    assert answer.json["status"] == "scheduled"
    (row,) = bench.kept.deferred
    assert row.due_at == NOW_MS + 3_600_000
    assert row.topic == "lane.telco_a.otp"
    assert decode(row.value).valid_until == NOW_MS + 3_900_000
    assert sum(record.topic == EVENTS for record in bench.kept.records) == 2


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"too": "x"}, "unknown_field", "#/too"),
        ({"text": "hi"}, "unknown_field", "#/text"),
        ({"content": {"txt": "hi"}}, "unknown_field", "#/content/txt"),
        ({"to": 525512345678}, "invalid_type", "#/to"),
        ({"to": None}, "missing_field", "#/to"),
        ({"to": "5512345678"}, "invalid_number", "#/to"),
        ({"to": "+521"}, "invalid_number", "#/to"),
        ({"to": "\x00"}, "invalid_number", "#/to"),
        ({"from": "TWELVECHARSX"}, "invalid_sender", "#/from"),
        ({"from": None}, "missing_field", "#/from"),
        ({"channel": "whatsapp"}, "invalid_channel", "#/channel"),
        ({"class": "vip"}, "invalid_class", "#/class"),
        ({"content": {"text": ""}}, "empty_text", "#/content/text"),
        ({"content": {}}, "missing_field", "#/content/text"),
        ({"content": None}, "missing_field", "#/content"),
        ({"content": {"text": "a\x00b"}}, "invalid_text", "#/content/text"),
        ({"content": {"text": "a" * 1531}}, "too_many_segments", "#/content/text"),
        ({"content": {"text": "a" * 1_000_000}}, "too_many_segments", "#/content/text"),
        ({"content": {"text": "\ud800 half"}}, "lone_surrogate", "#/content/text"),
        ({"content": {"template_id": "tpl_1"}}, "templates_unavailable", "#/content/template_id"),
        ({"params": {"a": 1}}, "templates_unavailable", "#/params"),
        ({"encoding": "gsm7", "content": {"text": "á"}}, "not_in_alphabet", "#/content/text"),
        ({"encoding": "latin1"}, "invalid_encoding", "#/encoding"),
        ({"client_ref": "x" * 65}, "invalid_client_ref", "#/client_ref"),
        ({"client_ref": "a\x00"}, "invalid_client_ref", "#/client_ref"),
        ({"metadata": {"a": {"b": "c"}}}, "invalid_metadata", "#/metadata"),
        ({"metadata": {"a": "\x00"}}, "invalid_metadata", "#/metadata"),
        ({"metadata": {str(n): "x" for n in range(11)}}, "invalid_metadata", "#/metadata"),
        ({"metadata": {"a": "x" * 257}}, "invalid_metadata", "#/metadata"),
        ({"expires_at": "2026-11-22T02:59:59Z"}, "expired_validity", "#/expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+23:59"}, "expired_validity", "#/expires_at"),
        ({"expires_at": "2026-11-25T03:00:01Z"}, "validity_too_long", "#/expires_at"),
        ({"expires_at": "tomorrow"}, "invalid_time", "#/expires_at"),
        ({"send_at": "2026-11-22T02:00:00Z"}, "invalid_send_at", "#/send_at"),
        ({"send_at": "2027-11-22T02:00:00Z"}, "invalid_send_at", "#/send_at"),
        ({"route": {"prefer": ["telco_b", "nobody"]}}, "unknown_carrier", "#/route/prefer/1"),
        ({"route": {"prefer": [1]}}, "invalid_type", "#/route/prefer/0"),
        ({"webhook_id": "whk_1"}, "unknown_webhook", "#/webhook_id"),
    ],
)
async def test_wrong_field_is_422_with_its_pointer(bench, change, code, pointer):
    answer = await client(bench).post("/v1/messages", json=OTP | change)

    problem = assert_problem(answer, 422, "validation_failed")
    assert [(error["code"], error["pointer"]) for error in problem["errors"]] == [(code, pointer)]
    assert problem["instance"] == "/v1/messages"
    assert bench.kept.records == []


async def test_b15_eleven_segments_name_both_numbers(bench):
    answer = await client(bench).post("/v1/messages", json=OTP | {"content": {"text": "a" * (153 * 10 + 1)}})

    (error,) = assert_problem(answer, 422, "validation_failed")["errors"]
    assert "11" in error["detail"]
    assert "10" in error["detail"]


async def test_every_offending_field_is_named(bench):
    answer = await client(bench).post("/v1/messages", json={"to": "300111", "content": {"text": ""}})

    problem = assert_problem(answer, 422, "validation_failed")
    assert {error["pointer"] for error in problem["errors"]} == {"#/to", "#/from", "#/content/text"}
    assert bench.sample("messages_rejected_total", reason="invalid_number") == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"to": "+525512345678",',
        b"\xff\xfe",
        b'{"to": "\xff"}',
        b"[" * 100_000,
        b'{"zz": {"a": }}',
        b"{} x",
    ],
)
async def test_bad_json_is_400(bench, body):
    for path in ("/v1/messages", "/v1/messages:batch", "/v1/messages:validate"):
        assert_problem(await client(bench).post(path, body=body), 400, "invalid_json")


@pytest.mark.parametrize("body", [b"[]", b"null", b"7", b'"text"'])
async def test_json_that_is_no_object_is_422(bench, body):
    problem = assert_problem(await client(bench).post("/v1/messages", body=body), 422, "validation_failed")
    assert problem["errors"][0]["pointer"] == "#"


async def test_body_above_the_limit_is_413_unread_when_its_length_is_known(bench):
    body = b'{"to": "' + b"5" * (11 * 1024 * 1024) + b'"}'

    answer = await client(bench).post("/v1/messages:batch", body=body)

    assert_problem(answer, 413, "body_too_large")
    assert answer.received_octets == 0


async def test_streamed_body_is_cut_at_the_limit(bench):
    answer = await client(bench).post("/v1/messages:batch", body=[b"x" * 1024 * 1024] * 30)

    assert_problem(answer, 413, "body_too_large")
    assert answer.received_octets == 11 * 1024 * 1024


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        ("wrong", 401, "invalid_key"),
        ("mistyped", 401, "invalid_key"),
        ("x" * 5000, 401, "invalid_key"),
        ("revoked", 401, "revoked_key"),
        ("expired", 401, "expired_key"),
        ("read-only", 403, "missing_scope"),
    ],
)
async def test_key_that_may_not_send_is_refused_unread(bench, key, status, code):
    answer = await client(bench, key).post("/v1/messages", json=OTP)

    assert_problem(answer, status, code)
    assert answer.received_octets == 0
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert bench.sample("messages_rejected_total", reason="auth") == 1


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Basic Z29vZA==", "good"])
async def test_no_bearer_key_is_401(bench, authorization):
    answer = await client(bench).post("/v1/messages", json=OTP, headers={"authorization": authorization})
    assert_problem(answer, 401, "missing_key")


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_other_content_type_is_415(bench, content_type):
    answer = await client(bench).post("/v1/messages", json=OTP, headers={"content-type": content_type})
    assert_problem(answer, 415, "unsupported_media_type")


async def test_content_type_with_charset_is_taken_and_compression_is_not(bench):
    good = {"content-type": "Application/JSON; charset=utf-8"}
    assert (await client(bench).post("/v1/messages", json=OTP, headers=good)).status == 202
    zipped = await client(bench).post("/v1/messages", json=OTP, headers={"content-encoding": "gzip"})
    assert_problem(zipped, 415, "unsupported_media_type")


async def test_unknown_path_and_method_are_problems(bench):
    assert_problem(await client(bench).get("/v1/nothing"), 404, "not_found")
    answer = await client(bench).request("DELETE", "/v1/messages")
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, POST"
    assert_problem(await client(bench).get("/v1/messages:batch"), 405, "method_not_allowed")
    assert bench.sample("http_requests_total", route="unmatched", method="GET", code="404") == 1


async def test_no_route_is_422(bench):
    from gateway.policy.routing import RouteRule

    only_chile = Bench(rules=[RouteRule(("telco_a",), prefix="56")])
    async with lifespan(only_chile.app):
        answer = await client(only_chile).post("/v1/messages", json=OTP)
    (error,) = assert_problem(answer, 422, "validation_failed")["errors"]
    assert (error["code"], error["pointer"]) == ("no_route", "#/to")
    assert only_chile.sample("messages_rejected_total", reason="no_route") == 1


async def test_test_key_goes_to_the_simulator_only(bench):
    answer = await client(bench, "test").post("/v1/messages", json=OTP)
    assert assert_problem(answer, 422, "validation_failed")["errors"][0]["code"] == "no_route"

    with_simulator = Bench(test_carrier="telco_b")
    async with lifespan(with_simulator.app):
        assert (await client(with_simulator, "test").post("/v1/messages", json=OTP)).status == 202
    (message,) = with_simulator.accepted_messages()
    assert (message.carrier, message.candidates) == ("telco_b", ())


async def test_crash_in_intake_is_a_500_problem_without_the_cause(bench, capsys):
    def explode(*_):
        raise RuntimeError("secret text +525512345678")

    bench.preparer.prepare = explode
    answer = await client(bench).post("/v1/messages", json=OTP)

    assert_problem(answer, 500, "internal_error")
    assert b"secret" not in answer.body
    assert "secret" not in capsys.readouterr().out
    assert bench.sample("http_requests_total", route="/v1/messages", method="POST", code="500") == 1


async def test_client_that_goes_away_before_its_body_gets_nothing_and_nothing_is_kept(bench):
    answer = await client(bench).post("/v1/messages", json=OTP, gone=True)
    assert answer.status == 0
    assert bench.kept.records == []


# --- batches ----------------------------------------------------------------------------------------------------


async def test_batch_keeps_the_good_items_and_names_the_bad_ones(bench):
    batch = {
        "defaults": {"from": "ACME", "class": "collections", "content": {"text": "Pague hoy"}},
        "messages": [
            {"to": "+573001112233", "client_ref": "inv-1"},
            {"to": "300111", "client_ref": "inv-2"},
            {"to": "+56987654321", "class": "otp", "content": {"text": "Codigo 1"}},
            {"to": 7},
            "nonsense",
        ],
    }
    answer = await client(bench).post("/v1/messages:batch", json=batch)

    assert answer.status == 202
    body = answer.json
    assert (body["accepted"], body["rejected"], body["duplicates"]) == (2, 3, 0)
    first, second, third, fourth, fifth = body["results"]
    assert first == {"index": 0, "id": first["id"], "status": "queued", "segments": 1, "client_ref": "inv-1"}
    assert second == {
        "index": 1,
        "status": "rejected",
        "client_ref": "inv-2",
        "error": {
            "code": "invalid_number",
            "detail": "'300111' has no country code",
            "pointer": "#/messages/1/to",
        },
    }
    assert third["status"] == "queued"
    assert fourth["error"]["pointer"] == "#/messages/3/to"
    assert fifth["error"]["code"] == "invalid_type"
    messages = bench.accepted_messages()
    assert [message.message_class for message in messages] == [MessageClass.COLLECTIONS, MessageClass.OTP]
    assert {message.batch_id for message in messages} == {parse_id("bat", body["id"])}


async def test_b13_lone_surrogate_refuses_its_item_only(bench):
    messages = [OTP, OTP | {"content": {"text": "\udc00"}}, OTP | {"from": "\ud83d"}]
    answer = await client(bench).post("/v1/messages:batch", json={"messages": messages})

    assert answer.status == 202
    assert [result["status"] for result in answer.json["results"]] == ["queued", "rejected", "rejected"]
    assert answer.json["results"][1]["error"]["pointer"] == "#/messages/1/content/text"
    assert answer.json["results"][2]["error"]["pointer"] == "#/messages/2/from"


@pytest.mark.parametrize(
    ("batch", "code", "pointer"),
    [
        ({"messages": []}, "empty_batch", "#/messages"),
        ({}, "missing_field", "#/messages"),
        ({"messages": {}}, "invalid_type", "#/messages"),
        ({"messages": [OTP], "default": {}}, "unknown_field", "#/default"),
        ({"messages": [OTP], "defaults": {"window": {}}}, "unknown_field", "#/defaults/window"),
        ({"messages": [OTP], "on_error": "stop"}, "invalid_value", "#/on_error"),
    ],
)
async def test_batch_that_is_none_is_422(bench, batch, code, pointer):
    problem = assert_problem(
        await client(bench).post("/v1/messages:batch", json=batch), 422, "validation_failed"
    )
    assert (code, pointer) in {(error["code"], error["pointer"]) for error in problem["errors"]}
    assert bench.kept.records == []


async def test_batch_of_refused_items_only_is_422_with_results(bench):
    answer = await client(bench).post("/v1/messages:batch", json={"messages": [OTP | {"to": "1"}] * 3})
    problem = assert_problem(answer, 422, "batch_rejected")
    assert problem["errors"][2]["pointer"] == "#/messages/2/to"
    assert [result["index"] for result in problem["results"]] == [0, 1, 2]


async def test_reject_all_accepts_nothing_when_one_item_is_bad(bench):
    batch = {"messages": [OTP, OTP | {"to": "1"}], "on_error": "reject_all"}
    assert_problem(await client(bench).post("/v1/messages:batch", json=batch), 422, "batch_rejected")
    assert bench.kept.records == []


async def test_too_many_messages_is_413():
    bench = Bench(max_batch_messages=3)
    async with lifespan(bench.app):
        answer = await client(bench).post("/v1/messages:batch", json={"messages": [OTP] * 4})
        bad = await client(bench).post("/v1/messages:batch", json={"messages": [7] * 4})
    assert_problem(answer, 413, "batch_too_large")
    assert_problem(bad, 413, "batch_too_large")


async def test_ten_thousand_messages_in_one_batch(bench):
    batch = {"defaults": OTP, "messages": []}
    batch["defaults"] = {name: value for name, value in OTP.items() if name != "to"}
    batch["messages"] = [{"to": f"+5255123{index:05d}"} for index in range(10_000)]
    answer = await client(bench).post("/v1/messages:batch", json=batch)
    assert answer.status == 202
    assert answer.json["accepted"] == 10_000
    assert len(bench.kept.records) == 20_000
    assert bench.database.commits == 1


async def test_client_ref_repeated_in_another_batch_gives_the_first_id(bench):
    batch = {"messages": [OTP | {"client_ref": "a"}, OTP | {"client_ref": "b"}, OTP | {"client_ref": "a"}]}
    first = (await client(bench).post("/v1/messages:batch", json=batch)).json
    again = (await client(bench).post("/v1/messages:batch", json=batch)).json

    ids = [result["id"] for result in first["results"]]
    assert ids[0] == ids[2] != ids[1]
    assert [result.get("duplicate", False) for result in first["results"]] == [False, False, True]
    assert [result["id"] for result in again["results"]] == ids
    assert (again["accepted"], again["rejected"], again["duplicates"]) == (3, 0, 3)
    assert len(bench.accepted_messages()) == 2
    assert bench.sample("messages_deduplicated_total", stage="ingress") == 4
    assert bench.sample("messages_accepted_total", channel="sms", source="api", **{"class": "otp"}) == 2


async def test_client_ref_is_free_again_after_a_day_and_per_account(bench):
    batch = {"messages": [OTP | {"client_ref": "a"}]}
    await client(bench).post("/v1/messages:batch", json=batch)
    assert (await client(bench, "other").post("/v1/messages:batch", json=batch)).json["duplicates"] == 0
    bench.clock.advance(24 * 3600 * 1000 + 1)
    assert (await client(bench).post("/v1/messages:batch", json=batch)).json["duplicates"] == 0


# --- repeats ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages:batch"])
async def test_same_key_and_body_gives_the_identical_answer(bench, path):
    body = (
        OTP
        if path == "/v1/messages"
        else {"messages": [OTP | {"client_ref": "a"}, OTP | {"client_ref": "a"}]}
    )
    key = {"idempotency-key": "k-1"}
    first = await client(bench).post(path, json=body, headers=key)
    bench.clock.advance(5_000)
    again = await client(bench).post(path, json=body, headers=key)

    assert (first.status, again.status) == (202, 202)
    assert again.body == first.body
    assert again.headers.get("location") == first.headers.get("location")
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len(bench.accepted_messages()) == 1


async def test_same_key_with_another_body_is_422(bench):
    key = {"idempotency-key": "k-1"}
    await client(bench).post("/v1/messages", json=OTP, headers=key)
    answer = await client(bench).post("/v1/messages", json=OTP | {"from": "OTHER"}, headers=key)
    assert_problem(answer, 422, "idempotency_key_reused")
    assert len(bench.accepted_messages()) == 1
    # another account and another route are other scopes
    assert (await client(bench, "other").post("/v1/messages", json=OTP, headers=key)).status == 202
    assert (
        await client(bench).post("/v1/messages:batch", json={"messages": [OTP]}, headers=key)
    ).status == 202


async def test_concurrent_requests_with_one_key_create_one_message(bench):
    key = {"idempotency-key": "k-1"}
    answers = await asyncio.gather(
        *(client(bench).post("/v1/messages", json=OTP, headers=key) for _ in range(10)),
        *(client(bench).post("/v1/messages", json=OTP | {"from": "X"}, headers=key) for _ in range(3)),
    )
    assert len({answer.body for answer in answers if answer.status == 202}) == 1
    assert sorted(answer.status for answer in answers) == [202] * 10 + [422] * 3
    assert len(bench.accepted_messages()) == 1


async def test_replay_outlives_what_made_the_request_impossible(bench):
    body = OTP | {"expires_at": "2026-11-22T03:01:00Z"}
    key = {"idempotency-key": "k-1"}
    first = await client(bench).post("/v1/messages", json=body, headers=key)
    bench.clock.advance(120_000)
    again = await client(bench).post("/v1/messages", json=body, headers=key)
    assert again.body == first.body
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    other = await client(bench).post("/v1/messages", json=body | {"from": "X"}, headers=key)
    assert_problem(other, 422, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "k" * 256, "tab\there", "ñandú"])
async def test_unusable_idempotency_key_is_400(bench, key):
    answer = await client(bench).post("/v1/messages", json=OTP, headers={"idempotency-key": key})
    assert_problem(answer, 400, "invalid_idempotency_key")
    assert bench.kept.records == []


async def test_a_key_of_a_refused_request_is_free(bench):
    key = {"idempotency-key": "k-1"}
    assert (await client(bench).post("/v1/messages", json=OTP | {"to": "1"}, headers=key)).status == 422
    assert (await client(bench).post("/v1/messages", json=OTP, headers=key)).status == 202


# --- limits and trouble -----------------------------------------------------------------------------------------


async def test_full_lane_is_503_and_only_for_its_own_messages(bench):
    bench.bus.lags["dispatch.telco_a"] = [
        Lag("lane.telco_a.otp", 0, 600, None),
        Lag("lane.telco_a.otp", 1, 400, None),
    ]
    await bench.backlog.refresh()

    answer = await client(bench).post("/v1/messages", json=OTP)
    assert_problem(answer, 503, "backpressure")
    assert int(answer.headers["retry-after"]) >= 1
    assert (await client(bench).post("/v1/messages", json=OTP | {"class": "marketing"})).status == 202
    mixed = {"messages": [OTP, OTP | {"class": "marketing"}]}
    assert_problem(await client(bench).post("/v1/messages:batch", json=mixed), 503, "backpressure")
    assert len(bench.accepted_messages()) == 1
    assert bench.sample("messages_rejected_total", reason="backpressure") == 3

    bench.bus.fail_lag = True
    await bench.backlog.refresh()  # a failure keeps the last figures
    assert (await client(bench).post("/v1/messages", json=OTP)).status == 503
    bench.bus.fail_lag = False
    bench.bus.lags["dispatch.telco_a"] = [
        Lag("lane.telco_a.otp", 0, 0, None),
        Lag("lane.telco_a.otp", 1, 0, None),
    ]
    await bench.backlog.refresh()
    assert (await client(bench).post("/v1/messages", json=OTP)).status == 202


async def test_rate_limit_counts_messages_and_tells_what_is_left(bench):
    limited = client(bench, "limited")
    answer = await limited.post("/v1/messages", json=OTP)
    assert answer.headers["ratelimit-policy"] == '"messages";q=10;w=1'
    assert answer.headers["ratelimit"] == '"messages";r=9;t=1'
    assert (await limited.post("/v1/messages:batch", json={"messages": [OTP] * 9})).headers[
        "ratelimit"
    ] == '"messages";r=0;t=1'

    over = await limited.post("/v1/messages", json=OTP)
    problem = assert_problem(over, 429, "rate_limited")
    assert problem["type"].endswith("#quota-exceeded")
    assert problem["violated-policies"] == ["messages"]
    assert over.headers["retry-after"] == "1"
    assert over.headers["ratelimit"] == '"messages";r=0;t=1'
    bench.clock.advance(1_000)
    assert (await limited.post("/v1/messages", json=OTP)).status == 202
    assert "ratelimit" not in (await client(bench).post("/v1/messages", json=OTP)).headers


async def test_failed_commit_is_503_for_every_waiter_and_keeps_nothing(bench):
    bench.database.fail_next = 1
    answers = await asyncio.gather(*(client(bench).post("/v1/messages", json=OTP) for _ in range(5)))
    for answer in answers:
        assert_problem(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
    assert bench.kept.records == []
    assert (await client(bench).post("/v1/messages", json=OTP)).status == 202


async def test_authenticator_without_a_database_is_503_not_401(bench):
    bench.keys.down = True
    for answer in (
        await client(bench).post("/v1/messages", json=OTP),
        await client(bench).get("/v1/messages"),
    ):
        assert_problem(answer, 503, "unavailable")
        assert "retry-after" in answer.headers


async def test_too_many_waiting_messages_is_503_with_retry_after():
    bench = Bench(limits=JournalLimits(linger_ms=1, max_pending_messages=3))
    bench.database.hold = asyncio.Event()
    async with lifespan(bench.app):
        waiting = [asyncio.create_task(client(bench).post("/v1/messages", json=OTP)) for _ in range(3)]
        while bench.journal.pending_messages < 3:  # noqa: ASYNC110 - the requests run in this very loop
            await asyncio.sleep(0)
        assert_problem(await client(bench).post("/v1/messages", json=OTP), 503, "backpressure")
        bench.database.hold.set()
        assert [answer.status for answer in await asyncio.gather(*waiting)] == [202] * 3


# --- validate ---------------------------------------------------------------------------------------------------


async def test_b27_validate_gives_the_numbers_of_sending_and_keeps_nothing(bench):
    body = OTP | {
        "content": {"text": "Código " + "á" * 70},
        "route": {"prefer": ["telco_b"], "failover": False},
    }
    answer = await client(bench).post("/v1/messages:validate", json=body)

    assert answer.status == 200
    assert answer.json["valid"] is True
    assert (answer.json["encoding"], answer.json["units"], answer.json["segments"]) == ("ucs2", 77, 2)
    assert answer.json["route"] == {
        "carrier": "telco_b",
        "candidates": [],
        "reason": "preferred by the request",
    }
    assert bench.kept.records == []
    sent = await client(bench).post("/v1/messages", json=body)
    assert (sent.json["encoding"], sent.json["segments"]) == ("ucs2", 2)
    assert_problem(
        await client(bench).post("/v1/messages:validate", json=OTP | {"to": "1"}), 422, "validation_failed"
    )


async def test_c5_transliteration_by_request_or_by_account(bench):
    body = OTP | {"content": {"text": "Código válido, Man\u0303ana"}}
    assert (await client(bench).post("/v1/messages", json=body)).json["encoding"] == "ucs2"
    assert (await client(bench).post("/v1/messages", json=body | {"transliterate": True})).json[
        "encoding"
    ] == "gsm7"
    assert (await client(bench, "plain").post("/v1/messages", json=body)).json["encoding"] == "gsm7"
    off = await client(bench, "plain").post("/v1/messages", json=body | {"transliterate": False})
    assert off.json["encoding"] == "ucs2"
    assert [message.text for message in bench.accepted_messages()][1] == "Codigo valido, Mañana"


def test_every_code_in_answers_is_in_the_catalogue():
    import re
    from pathlib import Path

    from gateway.ingress.problems import CATALOGUE, FAULTS

    sources = "".join(
        path.read_text() for path in Path("gateway/intake").glob("*.py") if path.name != "inspect.py"
    )
    sources += "".join(path.read_text() for path in Path("gateway/ingress").glob("*.py"))
    faults = set(re.findall(r'Fault\(\s*"(\w+)"', sources))
    requests = set(re.findall(r'(?:Refusal|BodyError|ProblemError|Denied)\(\s*"(\w+)"', sources))
    assert faults - set(FAULTS) == set()
    assert requests - set(CATALOGUE) == set()
    assert json.dumps(sorted(requests))
