"""What accounts and operators do beside sending, on a whole gateway: endpoints, their timeline, orphans, retention."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from tests.support.stack import Stack, demo_tree, until

pytestmark = [pytest.mark.slow, pytest.mark.postgres]

MESSAGE = {"to": "+525512345678", "from": "ACME", "content": {"text": "Su codigo es 4815"}}


class Sink:
    """A customer's endpoint."""

    def __init__(self) -> None:
        self.events: list[tuple[dict[str, str], str]] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.events.append(({k.lower(): v for k, v in request.headers.items()}, await request.text()))
        return web.Response()


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


async def the_report_is_what_was_sent(stack: Stack) -> None:
    path = "/v1/reports/daily?group_by=campaign,carrier,class,country&tz=America/Mexico_City"

    async def counted() -> Any:
        _, report = await stack.request("GET", path)
        return report if report["total"]["states"]["delivered"] else None

    report = await until(
        counted, limit_s=90, every_s=0.5
    )  # PostgreSQL tells of what was written up to a minute later
    (line,) = report["data"]
    assert line["group"] == {"campaign": "spring", "carrier": "simulator", "class": "otp", "country": "MX"}
    assert (line["messages"], line["segments"], line["sla"]["attained"], line["delivery_ratio"]) == (
        1,
        1,
        1.0,
        1.0,
    )
    assert report["total"] == {name: line[name] for name in report["total"]}
    shown = await stack.caudal("reports", "month", "--by", "account,class", "--tz", "America/Bogota")
    assert "demo" in shown
    assert "100.00 %" in shown
    as_json = json.loads(await stack.caudal("reports", "day", "--account", "demo", "--json"))
    assert as_json["total"]["messages"] == 1
    said = await stack.caudal("reports", "week", "--by", "campaign", "--csv", "week.csv")
    assert said == "week.csv: 1 rows"
    assert "spring" in (stack.folder / "week.csv").read_text()


async def test_an_endpoint_made_on_the_command_line_is_told_and_the_timeline_says_so(sink: Sink) -> None:
    tree = demo_tree() | {"webhooks": {"allow_loopback": True}, "reports": {"refresh_s": 1}}
    async with Stack(tree) as stack:
        made = json.loads(
            await stack.caudal("webhooks", "create", "--account", "demo", "--url", sink.url, "--json")
        )[0]
        tested = json.loads(await stack.caudal("webhooks", "test", made["id"], "--json"))[0]
        assert tested["is_ok"]

        sent = await stack.post(
            **MESSAGE, webhook_id=made["id"], **{"class": "otp"}, metadata={"campaign": "spring"}
        )
        assert (await stack.final(sent["id"]))["status"] == "delivered"

        async def told() -> list[dict[str, Any]]:
            _, body = await stack.request("GET", f"/v1/messages/{sent['id']}/events")
            return [one for one in body["data"] if one["type"] == "webhook"]

        await until(lambda: len(sink.events) >= 3, limit_s=15)
        lines = await until(told, limit_s=15)
        assert {one["endpoint"] for one in lines} == {made["id"]}
        types = [Webhook(made["secret"]).verify(body, headers)["type"] for headers, body in sink.events]
        assert types[0] == "webhook.test"
        assert types[-1] == "message.delivered"

        attempts = json.loads(await stack.caudal("webhooks", "attempts", made["id"], "--json"))
        assert {one["status"] for one in attempts} == {"delivered"}
        status, _ = await stack.request("POST", "/v1/messages", json=MESSAGE | {"webhook_id": "whk_none"})
        assert status == 422
        await the_report_is_what_was_sent(stack)
