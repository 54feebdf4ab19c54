"""Traces of real messages through real processes to a collector that decodes what it gets."""

import json
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.e2e.test_webhook_events import an_endpoint
from tests.support.collector import Collector, Seen
from tests.support.stack import Stack, demo_tree, until
from tests.support.webhooks import Receiver, receiving

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]

NUMBER = "+525512345678"
TEXT = "Tu cita es el 7 de mayo"
OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@dataclass
class Traced:
    """A gateway that traces those who ask for it and nobody else, its collector, and an endpoint of the account."""

    stack: Stack
    collector: Collector
    receiver: Receiver

    async def post(
        self, path: str, body: Any, *, flags: str | None = "01"
    ) -> tuple[str, str, dict[str, Any], str]:
        """Post with a `traceparent`; return (trace id, the caller's span id, answer, `traceresponse`)."""
        trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
        headers = {"Authorization": f"Bearer {self.stack.key}"}
        if flags is not None:
            headers["traceparent"] = f"00-{trace_id}-{span_id}-{flags}"
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.stack.api + path, json=body, headers=headers) as answer,
        ):
            assert answer.status == 202, await answer.text()
            return trace_id, span_id, await answer.json(), answer.headers.get("traceresponse", "")

    async def metrics(self, role: str, **headers: str) -> str:
        port = (await self.stack.roles())[role]["admin_port"]
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/metrics", headers=headers) as answer,
        ):
            return await answer.text()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def traced() -> AsyncIterator[Traced]:
    async with Collector() as collector, receiving() as receiver:
        tree = demo_tree(receipt_delay="200ms") | {
            "webhooks": {"allow_loopback": True},
            "tracing": {
                "enabled": True,
                "endpoint": collector.url,
                "sample_ratio": 0,
                "timeout_s": 1,
                "headers": {"x-team": "acme"},
            },
        }
        async with Stack(tree) as stack:
            await an_endpoint(stack, receiver.url)
            yield Traced(stack, collector, receiver)


def one(spans: list[Seen]) -> Seen:
    assert len(spans) == 1, spans
    return spans[0]


def message(**fields: Any) -> dict[str, Any]:
    return {"to": NUMBER, "from": "CAUDAL", "class": "otp", "content": {"text": TEXT}, **fields}


async def test_a_callers_trace_goes_from_its_request_to_its_webhook_through_all_processes(
    traced: Traced,
) -> None:
    collector = traced.collector
    trace_id, caller, answer, response = await traced.post("/v1/messages", message())
    for name in (
        "POST",
        "enqueue",
        "submit",
        "receipt",
        "webhook message.delivered",
    ):  # each process tells its own
        await collector.until(lambda name=name: collector.named(name, trace_id=trace_id))
    request = one(collector.named("POST /v1/messages", trace_id=trace_id))
    enqueue = one(collector.named("enqueue lane.simulator.otp", trace_id=trace_id))
    submit = one(collector.named("submit simulator", trace_id=trace_id))
    receipt = one(collector.named("receipt simulator", trace_id=trace_id))
    webhook = one(collector.named("webhook message.delivered", trace_id=trace_id))
    # The tree: one trace, each span beneath what it follows from, linked to what it answers.
    assert (request.parent_id, enqueue.parent_id) == (caller, request.span_id)
    assert {submit.parent_id, receipt.parent_id, webhook.parent_id} == {enqueue.span_id}
    assert receipt.links == ((trace_id, submit.span_id),)
    assert webhook.links == ((trace_id, receipt.span_id),)
    assert [span.role for span in (request, enqueue, submit, receipt, webhook)] == [
        "api",
        "api",
        "dispatch",
        "back",
        "back",
    ]
    assert len({span.resource["service.instance.id"] for span in (request, submit, receipt)}) == 3
    assert [span.kind for span in (request, enqueue, submit, receipt, webhook)] == [
        "server",
        "producer",
        "client",
        "consumer",
        "client",
    ]
    assert response == f"00-{trace_id}-{request.span_id}-01"
    # What each says.
    ids = {span.attributes["messaging.message.id"] for span in (enqueue, submit, receipt, webhook)}
    assert ids == {answer["id"]}
    assert request.attributes["http.response.status_code"] == 202
    assert submit.attributes["smpp.command_status"] == "ESME_ROK"
    assert (submit.attributes["caudal.attempt"], submit.attributes["caudal.outcome"]) == (1, "submitted")
    assert submit.attributes["caudal.bind"]
    assert receipt.attributes["caudal.receipt_after_ms"] >= 100
    assert (webhook.attributes["http.response.status_code"], webhook.attributes["caudal.attempt"]) == (200, 1)
    assert not any(span.error for span in (request, enqueue, submit, receipt, webhook))
    assert collector.headers[0]["x-team"] == "acme"
    # Where people look.
    _, view = await traced.stack.request("GET", f"/v1/messages/{answer['id']}")
    assert view["trace_id"] == trace_id
    _, events = await traced.stack.request("GET", f"/v1/messages/{answer['id']}/events")
    assert events["data"][0]["trace_id"] == trace_id


async def test_exemplars_name_the_trace_to_who_asks_for_openmetrics(traced: Traced) -> None:
    trace_id, *_ = await traced.post("/v1/messages", message())
    await traced.collector.until(lambda: traced.collector.named("submit", trace_id=trace_id))
    where = {
        "caudal_http_request_duration_seconds_bucket": "api",
        "caudal_carrier_submit_duration_seconds_bucket": "dispatch",
        "caudal_message_submit_delay_seconds_bucket": "dispatch",
    }
    for name, role in where.items():
        page = await traced.metrics(role, **OPEN_METRICS)
        assert page.endswith("# EOF\n")
        assert re.search(rf'^{name}{{.*}} [0-9.]+ # {{trace_id="{trace_id}"}} ', page, re.MULTILINE), name
        assert trace_id not in await traced.metrics(role)


async def test_who_does_not_ask_is_not_traced(traced: Traced) -> None:
    _, _, silent, response = await traced.post("/v1/messages", message(), flags=None)
    refused, _, told_not_to, _ = await traced.post("/v1/messages", message(), flags="00")
    asked, *_ = await traced.post("/v1/messages", message())
    for answer in (silent, told_not_to):
        await traced.stack.final(answer["id"])
    await traced.collector.until(lambda: traced.collector.named("webhook message.delivered", trace_id=asked))
    assert response == ""
    told = {span.attributes.get("messaging.message.id") for span in traced.collector.spans}
    assert not told & {silent["id"], told_not_to["id"]}
    assert refused not in {span.trace_id for span in traced.collector.spans}
    _, view = await traced.stack.request("GET", f"/v1/messages/{silent['id']}")
    assert view["trace_id"] is None


async def test_of_a_batch_some_messages_are_traced_under_one_request(traced: Traced) -> None:
    collector = traced.collector
    batch = {"defaults": {"from": "CAUDAL"}, "messages": [{"to": NUMBER, "content": {"text": TEXT}}] * 50}
    trace_id, _, answer, _ = await traced.post("/v1/messages:batch", batch)
    await collector.until(lambda: len(collector.named("webhook message.delivered", trace_id=trace_id)) == 20)
    await collector.until(lambda: collector.named("POST", trace_id=trace_id))
    await collector.until(lambda: len(collector.named("enqueue", trace_id=trace_id)) >= 20)
    request = one(collector.named("POST", trace_id=trace_id))
    enqueued = collector.named("enqueue", trace_id=trace_id)
    assert request.attributes["messaging.batch.message_count"] == 50
    assert {span.parent_id for span in enqueued} == {request.span_id}
    ids = {span.attributes["messaging.message.id"] for span in enqueued}
    assert len(ids) == 20
    assert ids <= {result["id"] for result in answer["results"]}


async def test_a_collector_that_is_away_costs_spans_and_no_message(traced: Traced) -> None:
    await traced.collector.stop()
    _, _, answer, _ = await traced.post("/v1/messages", message())
    assert (await traced.stack.final(answer["id"]))["status"] == "delivered"

    async def is_dropped() -> bool:
        page = await traced.metrics("api")
        found = re.search(r'caudal_traces_spans_dropped_total{reason="export_failed"} ([0-9.]+)', page)
        return found is not None and float(found[1]) >= 2

    await until(is_dropped, limit_s=30)
    lines = [json.loads(line) for line in traced.stack.lines if "tracing.export_failed" in line]
    assert len({line["role"] for line in lines}) == len(lines)  # one a minute and process
    await traced.collector.start()
    trace_id, *_ = await traced.post("/v1/messages", message())
    await traced.collector.until(
        lambda: traced.collector.named("webhook message.delivered", trace_id=trace_id)
    )


async def test_p8_no_text_and_no_full_number_is_in_any_span(traced: Traced) -> None:
    told = b"".join(traced.collector.bodies)
    assert len(told) > 1_000
    for secret in (TEXT, NUMBER, NUMBER.removeprefix("+"), "cita"):
        assert secret.encode() not in told
