"""What operators see and order over HTTP: carriers, holds, the audit; who may, and what wrong input is told."""

from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from gateway.domain.message import CLASSES
from gateway.ingress.app import Deps, build_app
from gateway.ingress.carrier_views import CarrierFacts
from gateway.ingress.desk import Desk
from gateway.ports.control_store import CarrierReport, OrderKind
from gateway.ports.intake_store import Account, Principal, StoreUnavailableError
from gateway.store.controls import PostgresControls
from tests.contract.test_ingress_send import assert_problem
from tests.support.asgi import AsgiClient
from tests.support.intake import NOW_MS, Bench

pytestmark = pytest.mark.postgres

CONTROL = frozenset({"carriers:control"})
WHY = {"reason": "maintenance"}


def facts(name, **more):
    fields = {
        "id": name,
        "protocol": "smpp",
        "rate": "100/s",
        "burst": None,
        "window": 10,
        "binds": 2,
        "bind_type": "transceiver",
        "bind_names": ("trx1", "trx2"),
    }
    return CarrierFacts(**(fields | more))


class Room:
    """The API with a desk on a real store."""

    def __init__(self, db):
        bench = Bench()
        bench.keys.keys |= {
            "control": Principal("k8", Account("ops"), CONTROL),
            "test-control": Principal("k9", Account("ops"), CONTROL, is_test=True),
        }
        self.clock = bench.clock
        self.controls = PostgresControls(db)
        self.desk = Desk(
            self.controls,
            carriers={"telco_a": facts("telco_a"), "telco_b": facts("telco_b", rate="600/min")},
            clock=bench.clock,
            account_exists=self._is_account,
        )
        self.app = build_app(
            Deps(
                intake=bench.intake,
                intake_metrics=bench.metrics,
                authenticator=bench.keys,
                views=bench.views,
                clock=bench.clock,
                registry=CollectorRegistry(),
                cursor_secret=b"secret",
                desk=self.desk,
            )
        )

    async def _is_account(self, name):
        return name in ("acme", "other")

    def client(self, key="control"):
        return AsgiClient(
            self.app, headers={"authorization": f"Bearer {key}", "content-type": "application/json"}
        )

    async def get(self, path, key="control"):
        return await self.client(key).get(path)

    async def post(self, path, key="control", **body):
        return await self.client(key).post(path, json=body)

    async def patch(self, **body):
        return await self.client().request("PATCH", "/v1/carriers/telco_a", json=body)

    async def report(self, *binds, shard=0, at=NOW_MS, **more):
        picture = {"constraint": "rate", "in_flight": 3, "ready": {"otp": 1}, "held": {"otp": 2}, **more}
        picture["binds"] = [
            {"bind": f"trx{n}", "state": state, "bound_since_ms": NOW_MS - 5_000, "breaker": "closed"}
            for n, state in enumerate(binds, start=1)
        ]
        await self.controls.report([CarrierReport("telco_a", shard, "h1", at, picture)])

    async def status(self):
        return (await self.get("/v1/carriers/telco_a")).json["status"]

    async def standing(self):
        orders = await self.controls.standing(now_ms=self.clock.now_ms())
        return [(one.carrier, one.kind.value, one.target, one.value) for one in orders]


@pytest.fixture
async def room(db):
    return Room(db)


async def test_a_carrier_shows_configuration_orders_and_live_figures(room):
    await room.report("bound", "bound")
    assert (await room.patch(mps=80, window=20, **WHY)).status == 200
    shown = (await room.get("/v1/carriers/telco_a")).json
    assert shown["configured"] == {
        "rate": "100/s",
        "burst": None,
        "window": 10,
        "binds": 2,
        "bind_type": "transceiver",
        "shards": 1,
    }
    assert shown["effective"] == {"rate": "80/s", "window": 20}
    assert (shown["status"], shown["in_flight"], shown["held"]["otp"]) == ("up", 3, 2)
    assert [(one["kind"], one["value"], one["actor"]) for one in shown["orders"]] == [
        ("rate", "80/s", "k8"),
        ("window", "20", "k8"),
    ]
    (shard,) = shown["shards"]
    assert (shard["owner"], shard["constraint"]) == ("h1", "rate")
    assert shard["binds"][0]["bound_since"] == "2026-11-22T02:59:55.000Z"
    listed = (await room.get("/v1/carriers", "good")).json["data"]
    assert [one["id"] for one in listed] == ["telco_a", "telco_b"]
    assert "password" not in str(listed)


async def test_the_status_is_what_shards_report_and_unknown_after_five_seconds_of_silence(room):
    assert await room.status() == "unknown"
    for binds, status in (
        (("bound", "throttled"), "up"),
        (("bound", "connecting"), "degraded"),
        (("bound", "paused"), "degraded"),
        (("paused", "paused"), "paused"),
        (("down", "connecting"), "down"),
    ):
        await room.report(*binds)
        assert await room.status() == status, binds
    room.clock.advance(5_001)
    assert await room.status() == "unknown"


async def test_a_breaker_that_is_not_closed_or_a_silent_shard_is_degraded(room):
    await room.report("bound")
    room.desk.use({"telco_a": facts("telco_a", shards=2)})
    assert await room.status() == "degraded"
    room.desk.use({"telco_a": facts("telco_a")})
    assert await room.status() == "up"
    report = (await room.controls.reports(since_ms=0))[0]
    report.picture["binds"][0]["breaker"] = "half_open"
    await room.controls.report([report])
    assert await room.status() == "degraded"


async def test_pause_resume_and_drain_stand_until_they_are_ended(room):
    await room.report("bound", "bound")
    answer = await room.post("/v1/carriers/telco_a:pause", expires_in_s=60, **WHY)
    assert (answer.status, answer.json["status"]) == (200, "paused")
    assert answer.json["orders"][0]["expires_at"] == "2026-11-22T03:01:00.000Z"
    await room.post("/v1/carriers/telco_a:pause", bind="trx1", **WHY)
    await room.post("/v1/carriers/telco_a:drain", **WHY)
    assert await room.status() == "drained"
    await room.post("/v1/carriers/telco_a:resume", bind="trx1", **WHY)
    assert [one[1:3] for one in await room.standing()] == [("drain", ""), ("pause", "")]
    answer = await room.post("/v1/carriers/telco_a:resume", **WHY)
    assert (answer.status, answer.json["status"], await room.standing()) == (200, "up", [])
    assert (await room.post("/v1/carriers/telco_a:resume", **WHY)).status == 200
    await room.post("/v1/carriers/telco_a:pause", expires_in_s=1, **WHY)
    room.clock.advance(1_000)
    await room.report("bound", at=NOW_MS + 1_000)
    assert (await room.status(), await room.standing()) == ("up", [])


async def test_reconnect_counts_and_goes_by_itself(room):
    for _ in range(2):
        assert (await room.post("/v1/carriers/telco_a:reconnect", bind="trx2", **WHY)).status == 200
    ((carrier, kind, bind, number),) = await room.standing()
    assert (carrier, kind, bind) == ("telco_a", "reconnect", "trx2")
    assert int(number) >= 2
    room.clock.advance(60_001)
    assert await room.standing() == []


async def test_null_goes_back_to_the_configuration_and_what_is_left_out_stays(room):
    await room.patch(mps="4800/min", window=5, **WHY)
    assert [one[3] for one in await room.standing()] == ["80/s", "5"]
    answer = await room.patch(mps=None, **WHY)
    assert answer.json["effective"] == {"rate": "100/s", "window": 5}
    assert (await room.patch(mps=0.5, **WHY)).json["effective"]["rate"] == "30/min"
    assert (await room.patch(window=None, **WHY)).json["effective"] == {"rate": "30/min", "window": 10}


WRONG_LIMITS = [
    ({"mps": 101}, "mps", "above the limit of 100/s"),
    ({"mps": 0}, "mps", "below the limit of 1/h"),
    ({"mps": -1}, "mps", "does not start with a number"),
    ({"mps": "fast/s"}, "mps", "'fast/s'"),
    ({"mps": "80/day"}, "mps", "no known unit"),
    ({"mps": True}, "mps", "bool"),
    ({"window": 0}, "window", "within 1 and 1000"),
    ({"window": 1001}, "window", "1001"),
    ({"window": 2.5}, "window", "int"),
    ({}, "mps", "give mps, window or both"),
    ({"mps": 5, "weight": 3}, "weight", "unknown field"),
    ({"mps": 5, "reason": " "}, "reason", "a reason is required"),
    ({"mps": 5, "reason": "x" * 501}, "reason", "501 characters"),
    ({"mps": 5, "expires_at": "2026-11-22T02:00:00Z"}, "expires_at", "in the past"),
    ({"mps": 5, "expires_at": "2036-11-22T02:00:00Z"}, "expires_at", "366 days"),
    ({"mps": 5, "expires_at": "soon"}, "expires_at", "RFC3339"),
    ({"mps": 5, "expires_in_s": 0}, "expires_in_s", "within 1"),
    ({"mps": 5, "expires_in_s": 5, "expires_at": "2026-11-23T02:00:00Z"}, "expires_in_s", "not both"),
]


async def test_a_wrong_limit_is_422_naming_value_and_limit_and_changes_nothing(room):
    for body, field, said in WRONG_LIMITS:
        problem = assert_problem(await room.patch(**(WHY | body)), 422, "validation_failed")
        assert problem["errors"][0]["pointer"] == f"#/{field}", body
        assert said in problem["detail"], body
    assert await room.standing() == []


async def test_what_does_not_exist_is_named_with_what_does(room):
    await room.report("bound")
    for path in ("/v1/carriers/telco_x", "/v1/carriers/%00"):
        assert_problem(await room.get(path), 404, "not_found")
    problem = assert_problem(await room.post("/v1/carriers/telco_x:pause", **WHY), 404, "not_found")
    assert "telco_a, telco_b" in problem["detail"]
    for verb in ("pause", "resume", "reconnect"):
        answer = await room.post(f"/v1/carriers/telco_a:{verb}", bind="rx7", **WHY)
        problem = assert_problem(answer, 422, "validation_failed")
        assert (problem["errors"][0]["code"], "trx1, trx2" in problem["detail"]) == ("unknown_bind", True)
    problem = assert_problem(
        await room.post("/v1/holds", **{"class": "vip"}, **WHY), 422, "validation_failed"
    )
    assert (problem["errors"][0]["code"], ", ".join(CLASSES) in problem["detail"]) == ("invalid_class", True)
    for body, code in (
        ({"account": "acmee"}, "unknown_account"),
        ({"account": "a\x00b"}, "unknown_account"),
        ({"class": "otp", "carrier": "telco_x"}, "unknown_carrier"),
        ({"class": "otp", "account": "acme"}, "missing_field"),
        ({}, "missing_field"),
    ):
        problem = assert_problem(await room.post("/v1/holds", **body, **WHY), 422, "validation_failed")
        assert problem["errors"][0]["code"] == code
    assert_problem(await room.client().request("DELETE", "/v1/holds/hld_x"), 404, "not_found")
    assert_problem(
        await room.post("/v1/carriers/telco_a:drain", bind="trx1", **WHY), 422, "validation_failed"
    )
    assert_problem(await room.post("/v1/carriers/telco_a:boost", **WHY), 405, "method_not_allowed")
    assert_problem(await room.client().post("/v1/holds", body=b"{"), 400, "invalid_json")
    assert await room.standing() == []


async def test_a_hold_has_an_id_of_its_own_and_ends_by_it(room):
    created = await room.post("/v1/holds", account="acme", carrier="telco_a", **WHY)
    again = await room.post("/v1/holds", account="acme", carrier="telco_a", reason="still")
    everywhere = await room.post("/v1/holds", **{"class": "marketing"}, **WHY)
    assert (created.status, created.headers["location"]) == (201, f"/v1/holds/{created.json['id']}")
    assert created.json["id"] == again.json["id"] != everywhere.json["id"]
    assert {one[1:3] for one in await room.standing()} == {
        ("hold_account", "acme"),
        ("hold_class", "marketing"),
    }
    assert [one["class"] for one in (await room.get("/v1/holds", "other")).json["data"]] == ["marketing"]
    assert len((await room.get("/v1/holds", "good")).json["data"]) == 2
    ended = await room.client().request("DELETE", f"{created.headers['location']}?reason=paid")
    assert (ended.status, ended.json["account"]) == (200, "acme")
    assert [one[1] for one in await room.standing()] == [OrderKind.HOLD_CLASS]


async def test_orders_need_the_scope_and_a_live_key(room):
    for path in ("/v1/carriers/telco_a:pause", "/v1/holds"):
        assert_problem(await room.post(path, "good", **WHY), 403, "missing_scope")
        assert_problem(await room.post(path, "test-control", **WHY), 403, "test_key")
        assert_problem(await room.post(path, "nobody", **WHY), 401, "invalid_key")
    assert_problem(await room.get("/v1/audit", "good"), 403, "missing_scope")
    assert_problem(await room.get("/v1/carriers", "send-only"), 403, "missing_scope")
    for key in ("good", "test", "control", "test-control"):
        assert (await room.get("/v1/carriers", key)).status == 200, key


async def test_a_store_that_does_not_answer_is_503_and_nothing_is_promised(room, monkeypatch):
    async def away(*_, **__):
        raise StoreUnavailableError("no database")

    for method in ("standing", "give", "audit"):
        monkeypatch.setattr(room.controls, method, away)
    for answer in (
        await room.get("/v1/carriers"),
        await room.get("/v1/audit"),
        await room.post("/v1/carriers/telco_a:drain", **WHY),
    ):
        assert_problem(answer, 503, "unavailable")


async def test_the_audit_tells_who_ordered_what_and_why_page_by_page(room):
    await room.patch(mps=80, **WHY)
    room.clock.advance(1_000)
    await room.patch(mps=60, reason="less", expires_at=datetime(2026, 11, 23, tzinfo=UTC).isoformat())
    await room.post("/v1/carriers/telco_b:pause", bind="trx2", **WHY)
    await room.post("/v1/carriers/telco_b:resume", reason="done")
    seen, cursor = [], ""
    while cursor is not None:
        page = (await room.get(f"/v1/audit?limit=3{cursor and '&cursor='}{cursor}")).json
        seen, cursor = seen + page["data"], page["next_cursor"]
    assert [(one["actor"], one["action"], one["subject"], one["reason"]) for one in seen] == [
        ("k8", "withdraw", "telco_b pause trx2", "done"),
        ("k8", "give", "telco_b pause trx2", "maintenance"),
        ("k8", "replace", "telco_a rate", "less"),
        ("k8", "give", "telco_a rate", "maintenance"),
    ]
    assert seen[2]["detail"] == {
        "value": "60/s",
        "expires_at": "2026-11-23T00:00:00.000Z",
        "before": {"value": "80/s", "expires_at": None},
    }
    for wrong in ("cursor=x", "limit=0", "nope=1"):
        assert (await room.get(f"/v1/audit?{wrong}")).status in (400, 422)


async def test_every_operation_is_published_with_an_example_and_our_problems(room):
    document = (await room.get("/openapi.json")).json
    found = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if operation.get("tags") != ["carriers"]:
                continue
            found += 1
            good = next(entry for status, entry in operation["responses"].items() if status.startswith("2"))
            assert "example" in good["content"]["application/json"], operation["summary"]
            if method in ("post", "patch"):
                assert "example" in operation["requestBody"]["content"]["application/json"]
            for status, entry in operation["responses"].items():
                if status.startswith("4"):
                    assert set(entry["content"]) == {"application/problem+json"}, (path, status)
    assert found == 11
