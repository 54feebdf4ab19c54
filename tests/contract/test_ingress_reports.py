"""Reports over HTTP: an account's own, an operator's of all, as JSON pages and as CSV; wrong questions say so."""

import csv
import io
from decimal import Decimal

import pytest
from prometheus_client import CollectorRegistry

from gateway.ingress.app import Deps, build_app
from gateway.ports.intake_store import Account, Principal
from gateway.ports.report_store import ReportLine, Sums
from gateway.reporting.desk import CSV_COLUMNS
from tests.contract.test_ingress_send import assert_problem
from tests.support.asgi import AsgiClient, lifespan
from tests.support.intake import Bench


def sums(messages: int) -> Sums:
    plain = dict.fromkeys(Sums._fields, 0)
    return Sums(
        **plain
        | {
            "messages": messages,
            "segments": 2 * messages,
            "sent": messages,
            "delivered": messages - 1,
            "undeliverable": 1,
            "timed": messages,
            "timely": messages,
            "cost": Decimal("1.50"),
            "submit_delays": (messages, *[0] * 13),
            "receipt_delays": (0, messages, *[0] * 11),
        }
    )


class ScriptedViews:
    """Answers with as many lines as there are, and remembers what it was asked."""

    def __init__(self):
        self.queries = []
        self.groups = ["telco_a", "telco_b", "telco_c"]

    async def lines(self, query):
        self.queries.append(query)
        lines = [
            ReportLine(span, tuple([name for _ in query.group_by]), sums(10))
            for span in range(len(query.spans))
            for name in (self.groups if query.group_by else [""])
        ]
        return [one for one in lines if query.after is None or one[:2] > query.after][: query.limit]

    async def total(self, query):
        return sums(10 * len(query.spans))

    async def as_of(self, *, begins, ends, now_ms):
        return now_ms - 60_000


@pytest.fixture
def views():
    return ScriptedViews()


@pytest.fixture
async def app(views):
    bench = Bench()
    control = frozenset({"carriers:control"})
    bench.keys.keys["operator"] = Principal("k9", Account("ops"), control)
    bench.keys.keys["owner"] = Principal("k8", Account("acme"), control | {"messages:read"})
    app = build_app(
        Deps(
            intake=bench.intake,
            intake_metrics=bench.metrics,
            authenticator=bench.keys,
            views=bench.views,
            clock=bench.clock,
            registry=CollectorRegistry(),
            cursor_secret=b"secret",
            reports=views,
        )
    )
    async with lifespan(app):
        yield app


def client(app, key="good"):
    return AsgiClient(app, headers={"Authorization": f"Bearer {key}"})


DAY = "from=2026-11-21&to=2026-11-21&tz=America/Mexico_City"


async def test_an_accounts_report_shows_its_own_figures_and_no_costs(app, views):
    answer = (await client(app).get(f"/v1/reports?{DAY}&group_by=carrier,class&country=mx")).json
    assert {
        name: answer[name] for name in ("period", "tz", "from", "to", "group_by", "as_of", "next_cursor")
    } == {
        "period": "day",
        "tz": "America/Mexico_City",
        "from": "2026-11-21",
        "to": "2026-11-21",
        "group_by": ["carrier", "class"],
        "as_of": "2026-11-22T02:59:00.000Z",
        "next_cursor": None,
    }
    line = answer["data"][0]
    assert (line["period"], line["starts_at"], line["ends_at"], line["group"]) == (
        "2026-11-21",
        "2026-11-21T06:00:00.000Z",
        "2026-11-22T06:00:00.000Z",
        {"carrier": "telco_a", "class": "telco_a"},
    )
    assert line["states"]["delivered"] == 9
    assert line["delivery_ratio"] == 0.9
    assert line["submit_delay"] == {"of": 10, "p50_s": 0.025, "p95_s": 0.048, "p99_s": 0.05}
    assert line["sla"] == {"timely": 10, "of": 10, "attained": 1.0}
    assert answer["total"]["messages"] == 10
    assert "cost" not in line
    assert "cost" not in answer["total"]
    assert {one.value: value for one, value in views.queries[0].filters.items()} == {
        "account": "acme",
        "country": "MX",
    }


async def test_operators_read_all_accounts_with_costs_and_others_do_not(app, views):
    for key, query, wanted in (
        ("operator", "account=*", {}),
        ("operator", "account=other", {"account": "other"}),
        ("owner", "", {"account": "acme"}),
    ):
        answer = await client(app, key).get(f"/v1/reports/monthly?{query}")
        assert answer.json["total"]["cost"] == "1.5"
        assert views.queries[-1].filters == wanted
        assert len(views.queries[-1].spans) == 3
    assert_problem(await client(app).get("/v1/reports?account=*"), 403, "missing_scope")
    assert_problem(await client(app).get("/v1/reports?account=acme"), 403, "missing_scope")
    assert_problem(await client(app, "operator").get("/v1/reports"), 403, "missing_scope")
    assert_problem(await AsgiClient(app).get("/v1/reports"), 401, "missing_key")


async def test_pages_repeat_the_question_and_belong_to_who_asked(app):
    path = "/v1/reports/weekly?group_by=carrier&limit=5"
    page = (await client(app).get(path)).json
    seen, pages = page["data"], 1
    while page["next_cursor"]:
        page = (await client(app).get(f"/v1/reports?limit=5&cursor={page['next_cursor']}")).json
        assert page["total"] is None
        assert (page["period"], page["group_by"]) == ("week", ["carrier"])
        seen, pages = seen + page["data"], pages + 1
    assert (len(seen), pages) == (12, 3)
    assert len({(one["period"], one["group"]["carrier"]) for one in seen}) == 12
    cursor = (await client(app).get(path)).json["next_cursor"]
    for key, query in (
        ("other", ""),
        ("good", "&period=day"),
        ("good", "&group_by=class"),
        ("good", "&tz=America/Bogota"),
        ("good", "&carrier=telco_a"),
        ("owner", "&account=*"),
    ):
        assert_problem(
            await client(app, key).get(f"/v1/reports?cursor={cursor}{query}"), 400, "invalid_cursor"
        )
    assert_problem(await client(app).get("/v1/reports?cursor=x"), 400, "invalid_cursor")


async def test_csv_has_the_same_columns_whatever_was_asked(app, views):
    answer = await client(app).get(f"/v1/reports?{DAY}&group_by=carrier&format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert (
        answer.headers["content-disposition"] == 'attachment; filename="caudal-day-2026-11-21-2026-11-21.csv"'
    )
    rows = list(csv.reader(io.StringIO(answer.body.decode(), newline="")))
    assert tuple(rows[0]) == CSV_COLUMNS
    row = dict(zip(rows[0], rows[1], strict=True))
    assert (row["carrier"], row["class"], row["messages"], row["cost"]) == ("telco_a", "", "10", "")
    assert row["as_of"] == "2026-11-22T02:59:00.000Z"
    views.groups = [f"c{n}" for n in range(10_001)]
    too_many = await client(app).get(f"/v1/reports?{DAY}&group_by=carrier&format=csv")
    assert "10000 rows" in assert_problem(too_many, 422, "validation_failed")["detail"]


WRONG = [
    ("period=year", "period"),
    ("group_by=carrier,sender", "group_by"),
    ("tz=Mexico", "tz"),
    ("tz=Asia/Kolkata", "tz"),
    ("from=2026-02-30", "from"),
    ("from=2026-11-02&to=2026-11-01", "to"),
    ("from=2020-01-01", "from"),
    ("from=0001-01-01&to=0001-01-01", "from"),
    ("to=0001-01-01&period=month", "to"),
    ("to=9999-12-31", "to"),
    ("limit=0", "limit"),
    ("limit=1001", "limit"),
    ("format=xlsx", "format"),
    ("format=csv&limit=5", "format"),
    ("campaign=%00", "campaign"),
    ("carrier=" + "x" * 81, "carrier"),
    ("sender=ACME", "sender"),
]


async def test_what_cannot_be_asked_names_the_parameter(app):
    for query, parameter in WRONG:
        problem = assert_problem(await client(app).get(f"/v1/reports?{query}"), 422, "validation_failed")
        assert [one["parameter"] for one in problem["errors"]] == [parameter], query


async def test_there_are_three_reports_by_name_and_the_document_describes_them(app):
    assert_problem(await client(app).get("/v1/reports/yearly"), 404, "not_found")
    assert_problem(await client(app).get("/v1/reports/daily?period=month"), 422, "validation_failed")
    assert_problem(await client(app).request("POST", "/v1/reports"), 405, "method_not_allowed")
    document = (await AsgiClient(app).get("/openapi.json")).json
    parameters = {one["name"] for one in document["paths"]["/v1/reports"]["get"]["parameters"]}
    assert parameters >= {
        "period",
        "from",
        "to",
        "tz",
        "group_by",
        "account",
        "class",
        "format",
        "limit",
        "cursor",
    }
    content = document["paths"]["/v1/reports"]["get"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "text/csv"}
