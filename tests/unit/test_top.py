"""`caudal top`: what two looks at the metrics of all processes say."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

import pytest
from aiohttp import web
from click.testing import CliRunner
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from rich.console import Console

from gateway.commands.top import plain, screen, top
from gateway.runtime.top import picture, quantile, read
from gateway.telemetry.metrics import counter, gauge, histogram


class Process:
    """The metrics of one process, as it would expose them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def page(self) -> str:
        return generate_latest(self.registry).decode()


def dispatch(*, submitted: int, bound: int, responses: tuple[float, ...] = ()) -> str:
    process = Process()
    counter(process.registry, "carrier_segments_submitted_total").labels("telco_a").inc(submitted)
    state = gauge(process.registry, "carrier_bind_state")
    for number in (1, 2):
        for name in ("bound", "down"):
            state.labels("telco_a", f"trx{number}", name).set((number <= bound) == (name == "bound"))
    gauge(process.registry, "carrier_mps_limit").labels("telco_a").set(200)
    gauge(process.registry, "carrier_mps_effective_limit").labels("telco_a").set(150)
    circuit = gauge(process.registry, "carrier_circuit_state")
    for name in ("closed", "half_open", "open"):
        circuit.labels("telco_a", name).set(name == "closed")
    duration = histogram(process.registry, "carrier_submit_duration_seconds").labels("telco_a")
    for value in responses:
        duration.observe(value)
    return process.page()


def api(*, accepted: int, lag: int, oldest: float, failed: int = 0) -> str:
    process = Process()
    counter(process.registry, "messages_accepted_total").labels("sms", "otp", "api").inc(accepted)
    requests = counter(process.registry, "http_requests_total")
    requests.labels("/v1/messages", "POST", "202").inc(accepted)
    requests.labels("/v1/messages", "POST", "503").inc(failed)
    gauge(process.registry, "queue_lag_messages").labels("lane.telco_a.otp", "dispatch.telco_a").set(lag)
    gauge(process.registry, "queue_oldest_message_timestamp_seconds").labels("lane.telco_a.otp").set(oldest)
    return process.page()


def two_looks(*, bound: int = 2) -> dict:
    before = read(
        {
            ("dispatch", "h:1"): dispatch(submitted=1_000, bound=2),
            ("api", "h:2"): api(accepted=500, lag=10, oldest=990),
            ("api", "h:3"): api(accepted=500, lag=12, oldest=990),
        },
        at=1_000,
    )
    now = read(
        {
            ("dispatch", "h:1"): dispatch(submitted=1_400, bound=bound, responses=(0.02,) * 99 + (0.2,)),
            ("api", "h:2"): api(accepted=700, lag=10, oldest=990, failed=1),
            ("api", "h:3"): api(accepted=700, lag=12, oldest=990),
        },
        at=1_002,
    )
    return picture(before, now)


def test_rates_are_summed_over_processes_and_lanes_are_counted_once():
    found = two_looks()
    assert found["totals"]["accepted_per_s"] == 200
    (carrier,) = found["carriers"]
    assert (carrier["state"], carrier["per_s"], carrier["limit_per_s"]) == ("up", 200, 200)
    assert carrier["waiting"] == {"otp": 12, "transactional": 0, "collections": 0, "marketing": 0}
    assert 0.01 < carrier["response_p99_s"] <= 0.025
    assert found["queues"] == [{"queue": "lane.telco_a.otp", "records": 12, "oldest_s": 12}]


def test_the_budget_counts_what_was_answered_5xx():
    assert two_looks()["totals"]["budget_used"] == pytest.approx(1 / 1401 / 0.0005)


@pytest.mark.parametrize(("bound", "state"), [(2, "up"), (1, "degraded"), (0, "down")])
def test_a_carrier_is_as_its_binds_are(bound: int, state: str):
    assert two_looks(bound=bound)["carriers"][0]["state"] == state


def test_a_process_that_began_again_gives_no_negative_rate():
    pages = {("dispatch", "h:1"): dispatch(submitted=1_000, bound=2)}
    again = {("dispatch", "h:1"): dispatch(submitted=3, bound=2)}
    found = picture(read(pages, at=0), read(again, at=2))
    assert found["carriers"][0]["per_s"] == 0


def test_quantiles_follow_prometheus():
    assert quantile(0.5, [(1, 50), (2, 100), (float("inf"), 100)]) == 1
    assert quantile(0.75, [(1, 50), (2, 100), (float("inf"), 100)]) == 1.5
    assert quantile(0.99, [(1, 50), (float("inf"), 100)]) == 1
    assert quantile(0.5, [(1, 0), (float("inf"), 0)]) is None


def test_both_forms_name_what_matters():
    found = two_looks(bound=1)
    lines = plain(found)
    assert "carrier telco_a  degraded  200/200/s" in lines
    assert "queue lane.telco_a.otp  12  oldest 12.0 s" in lines
    out = StringIO()
    Console(file=out, width=200).print(screen(found))
    assert "telco_a" in out.getvalue()
    assert "degraded" in out.getvalue()


@contextmanager
def a_gateway() -> Iterator[str]:
    """Serve /sd and /metrics as a supervisor would, on a thread of its own."""
    ready, loop = threading.Event(), asyncio.new_event_loop()
    address = ""

    async def start() -> web.AppRunner:
        nonlocal address

        async def discovery(_: web.Request) -> web.Response:
            return web.json_response([{"targets": [address], "labels": {"role": "dispatch"}}])

        async def metrics(_: web.Request) -> web.Response:
            return web.Response(text=dispatch(submitted=10, bound=2))

        app = web.Application()
        app.router.add_get("/sd", discovery)
        app.router.add_get("/metrics", metrics)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = f"127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        return runner

    def serve() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait(10)
    try:
        yield f"http://{address}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def test_one_picture_is_printed_for_a_pipe_and_as_json():
    with a_gateway() as admin:
        printed = CliRunner().invoke(top, ["--admin", admin, "--once", "--every", "0.5"])
        assert printed.exit_code == 0, printed.output
        assert "carrier telco_a  up" in printed.output
        as_json = CliRunner().invoke(top, ["--admin", admin, "--once", "--every", "0.5", "--json"])
        assert json.loads(as_json.output)["carriers"][0]["carrier"] == "telco_a"


def test_without_a_gateway_it_says_so():
    printed = CliRunner().invoke(top, ["--admin", "http://127.0.0.1:1", "--once"])
    assert printed.exit_code == 1
    assert "no gateway answers on http://127.0.0.1:1" in printed.output
