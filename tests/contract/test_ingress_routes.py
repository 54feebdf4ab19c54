"""`POST /v1/routes:explain` and `caudal routes explain`: the same reasons for the API and for the command line."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry

from gateway.cli import main
from gateway.domain.message import MessageClass
from gateway.ingress.app import Deps, build_app
from gateway.ingress.carrier_views import CarrierFacts
from gateway.ingress.desk import Desk
from gateway.ingress.routes import PATH
from gateway.policy.routing import RouteRule
from gateway.ports.control_store import CarrierReport
from gateway.ports.intake_store import Account, Principal
from tests.contract.test_ingress_send import assert_problem
from tests.support.asgi import AsgiClient
from tests.support.intake import NOW_MS, Bench

RULES = [
    RouteRule(("telco_a",), prefix="52", cost=Decimal("0.02"), weight=3),
    RouteRule(("telco_b",), prefix="52", cost=Decimal("0.0125")),
    RouteRule(("telco_a",), account="vip", sender="VIP"),
    RouteRule(("telco_b", "telco_a"), message_class=MessageClass.OTP),
]
MX, CO = "+525512345678", "+573001112233"
PICTURE = {
    "constraint": "rate",
    "in_flight": 4,
    "ready": {"otp": 0},
    "held": {"otp": 7},
    "binds": [{"bind": "trx1", "state": "bound"}],
}


class Reports:
    """As much of a ControlStore as looking needs."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    async def standing(self, *, now_ms: int) -> list:
        if self.error is not None:
            raise self.error
        return []

    async def reports(self, *, since_ms: int) -> list[CarrierReport]:
        return [CarrierReport("telco_b", 0, "host-a", NOW_MS, PICTURE)]


def facts(name: str) -> CarrierFacts:
    return CarrierFacts(name, "smpp", "100/s", None, 10, 1, "transceiver", ("trx1",))


class Room:
    """The API with these rules, and a desk."""

    def __init__(self) -> None:
        bench = Bench(rules=RULES)
        bench.keys.keys |= {
            "operator": Principal("k8", Account("ops"), frozenset({"carriers:control"})),
            "reader": Principal("k9", Account("acme"), frozenset({"messages:read"})),
            "national": Principal(
                "k10", replace(Account("acme"), default_region="MX"), frozenset({"messages:read"})
            ),
        }
        self.reports = Reports()
        desk = Desk(
            self.reports,
            carriers={name: facts(name) for name in ("telco_a", "telco_b")},
            clock=bench.clock,
        )
        app = build_app(
            Deps(
                intake=bench.intake,
                intake_metrics=bench.metrics,
                authenticator=bench.keys,
                views=bench.views,
                clock=bench.clock,
                registry=CollectorRegistry(),
                cursor_secret=b"secret",
                desk=desk,
                routes=lambda: bench.preparer.routes,
            )
        )
        self.client = AsgiClient(app)

    async def ask(self, key: str = "reader", **question):
        headers = {"authorization": f"Bearer {key}"}
        return await self.client.post(PATH, json=question, headers=headers)


async def test_the_answer_has_the_plan_its_reasons_every_rule_and_how_the_candidates_are():
    answer = await Room().ask("operator", to="+52 55 1234 5678", **{"class": "otp", "from": "ACME"})
    assert answer.status == 200
    said = answer.json
    assert {name: said[name] for name in ("to", "from", "class", "account", "carrier", "reason")} == {
        "to": MX,
        "from": "ACME",
        "class": "otp",
        "account": "ops",
        "carrier": "telco_b",
        "reason": "rule 2, prefix 52",
    }
    assert said["candidates"] == [
        {"carrier": "telco_b", "reason": "rule 2, chosen"},
        {"carrier": "telco_a", "reason": "rule 1, dearer"},
    ]
    assert [(rule["index"], rule["verdict"], rule["share"], rule["cost"]) for rule in said["rules"]] == [
        (1, "dearer", 0, "0.02"),
        (2, "chosen", 1, "0.0125"),
        (3, "misfit", 0, None),
        (4, "later", 0, None),
    ]
    assert said["live"]["telco_b"] == {
        "status": "up",
        "effective": {"rate": "100/s", "window": 10},
        "in_flight": 4,
        "ready": {"otp": 0, "transactional": 0, "collections": 0, "marketing": 0},
        "held": {"otp": 7, "transactional": 0, "collections": 0, "marketing": 0},
        "constraints": ["rate"],
    }
    assert said["live"]["telco_a"]["status"] == "unknown"


async def test_an_account_sees_neither_costs_nor_the_rules_of_others():
    said = (await Room().ask(to=CO)).json
    assert said["class"] == "transactional"
    assert (said["carrier"], said["reason"], said["candidates"]) == (None, "no rule fits", [])
    assert [rule["index"] for rule in said["rules"]] == [1, 2, 4]
    assert all("cost" not in rule for rule in said["rules"])
    assert "0.0125" not in json.dumps((await Room().ask(to=MX)).json)


async def test_another_account_may_be_asked_for_with_the_scope_to_control_only():
    room = Room()
    asked = {"to": CO, "from": "VIP", "account": "vip"}
    assert (await room.ask("operator", **asked)).json["carrier"] == "telco_a"
    assert_problem(await room.ask(**asked), 403, "missing_scope")
    assert (await room.ask(to=CO, account="acme")).status == 200


async def test_a_wish_is_followed_as_in_a_message():
    room = Room()
    said = (await room.ask(to=MX, prefer=["telco_a"], failover=False)).json
    assert said["candidates"] == [{"carrier": "telco_a", "reason": "preferred by the request"}]
    assert (await room.ask("national", to="5512345678")).json["to"] == MX


async def test_without_the_store_the_rules_are_still_explained():
    room = Room()
    room.reports.error = TimeoutError()
    said = (await room.ask(to=MX)).json
    assert said["carrier"] == "telco_b"
    assert said["live"] is None


@pytest.mark.parametrize(
    ("question", "code", "pointer"),
    [
        ({}, "missing_field", "#/to"),
        ({"to": "5512345678"}, "invalid_number", "#/to"),
        ({"to": MX, "from": "A" * 12}, "invalid_sender", "#/from"),
        ({"to": MX, "class": "bulk"}, "invalid_class", "#/class"),
        ({"to": MX, "prefer": ["telco_a", "nobody"]}, "unknown_carrier", "#/prefer/1"),
        ({"to": MX, "prefer": "telco_a"}, "invalid_type", "#/prefer"),
        ({"to": MX, "carrier": "telco_a"}, "unknown_field", "#/carrier"),
        ({"to": MX, "account": "a" * 65}, "invalid_type", "#/account"),
    ],
)
async def test_wrong_input_is_named(question, code, pointer):
    answer = await Room().ask("operator", **question)
    problem = assert_problem(answer, 422, "validation_failed")
    assert (problem["errors"][0]["code"], problem["errors"][0]["pointer"]) == (code, pointer)


async def test_who_may_not_ask_is_told_so():
    room = Room()
    assert_problem(await room.client.post(PATH, json={"to": MX}), 401, "missing_key")
    assert_problem(await room.ask("send-only", to=MX), 403, "missing_scope")
    answer = await room.client.get(PATH, headers={"authorization": "Bearer reader"})
    assert_problem(answer, 405, "method_not_allowed")


async def test_the_document_shows_the_question_with_an_example():
    document = (await Room().client.get("/openapi.json")).json
    operation = document["paths"][PATH]["post"]
    body = operation["requestBody"]["content"]["application/json"]
    assert set(body["schema"]["properties"]) == {
        "to",
        "from",
        "class",
        "channel",
        "account",
        "prefer",
        "failover",
    }
    assert body["example"]["to"] == MX
    assert operation["responses"]["200"]["content"]["application/json"]["example"]["carrier"] == "telco_a"
    assert {"401", "403", "422", "503"} <= set(operation["responses"])


CONFIGURATION = """
[carriers.telco_a]
host = "127.0.0.1"
port = 2775
system_id = "acme"

[carriers.telco_b]
host = "127.0.0.1"
port = 2776
system_id = "acme"

[[routes]]
carriers = ["telco_a"]
prefix = "52"
cost = "0.02"

[[routes]]
carriers = ["telco_b"]
prefix = "52"
cost = "0.0125"
"""


@pytest.fixture
def configuration(tmp_path, monkeypatch):
    path = tmp_path / "caudal.toml"
    path.write_text(f'state_dir = "{tmp_path / "var"}"\n{CONFIGURATION}')
    monkeypatch.delenv("CAUDAL_DATABASE_URL", raising=False)
    return str(path)


@pytest.mark.parametrize("command", [("routes", "explain"), ("carriers", "explain-route")])
def test_the_command_explains_from_the_configuration_alone(configuration, command):
    found = CliRunner().invoke(main, [*command, "--config", configuration, "--to", MX, "--class", "otp"])
    assert found.exit_code == 0, found.output
    assert "carrier: telco_b (rule 2, prefix 52)" in found.output
    assert "2. telco_a  (rule 1, dearer)" in found.output
    assert "1. telco_a  for prefix 52, weight 1, cost 0.02: dearer" in found.output
    assert "live: not known" in found.output


def test_the_command_prints_json_and_fails_without_a_route(configuration):
    arguments = ["routes", "explain", "--config", configuration, "--json"]
    found = CliRunner().invoke(main, [*arguments, "--to", MX, "--prefer", "telco_a", "--no-failover"])
    said = json.loads(found.output)
    assert (said["carrier"], said["live"]) == ("telco_a", None)
    assert [rule["cost"] for rule in said["rules"]] == ["0.02", "0.0125"]
    none = CliRunner().invoke(main, [*arguments, "--to", CO])
    assert none.exit_code == 1
    assert "no route: no rule fits" in none.output
    wrong = CliRunner().invoke(main, [*arguments, "--to", "5512345678"])
    assert wrong.exit_code == 1
    assert "no country code" in wrong.output
