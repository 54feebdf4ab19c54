"""Other tables for a running intake: every message is prepared by the old ones or the new ones, none is lost."""

import asyncio

import pytest

from gateway.bus.topics import lane, lane_group
from gateway.domain.message import MessageClass
from gateway.policy.routing import RouteTable
from gateway.ports.bus import Lag
from tests.contract.test_ingress_send import assert_problem, client
from tests.support.asgi import lifespan
from tests.support.intake import Bench

MESSAGE = {"from": "ACME", "class": "otp", "content": {"text": "hola"}}
NUMBERS = [f"+5255123456{n:02d}" for n in range(60)]


@pytest.fixture
async def bench():
    bench = Bench(carriers=("telco_a", "telco_b"), max_lane_messages=5)
    async with lifespan(bench.app):
        yield bench


def use(bench, *carriers):
    bench.backlog.use(carriers)
    bench.preparer.use(RouteTable([], carriers=carriers))


async def test_messages_take_the_new_route_from_the_reload_on(bench):
    first = await client(bench).post("/v1/messages", json=MESSAGE | {"to": NUMBERS[0]})
    use(bench, "telco_c", "telco_b")
    second = await client(bench).post("/v1/messages", json=MESSAGE | {"to": NUMBERS[0]})
    assert (first.status, second.status) == (202, 202)
    assert [(one.carrier, one.candidates) for one in bench.accepted_messages()] == [
        ("telco_a", ("telco_b",)),
        ("telco_c", ("telco_b",)),
    ]


async def test_a_preferred_carrier_that_was_removed_does_not_exist_any_more(bench):
    use(bench, "telco_b")
    body = MESSAGE | {"to": NUMBERS[0], "route": {"prefer": ["telco_a"]}}
    answer = await client(bench).post("/v1/messages", json=body)
    assert (answer.status, answer.json["errors"][0]["code"]) == (422, "unknown_carrier")


async def test_requests_that_are_under_way_all_end_well_and_in_one_of_the_two_ways(bench):
    posts = [
        asyncio.create_task(
            client(bench).post("/v1/messages", json=MESSAGE | {"to": number}), name="test.post"
        )
        for number in NUMBERS
    ]
    await asyncio.sleep(0)
    use(bench, "telco_c")
    answers = await asyncio.gather(*posts)
    assert {answer.status for answer in answers} == {202}
    accepted = bench.accepted_messages()
    assert len(accepted) == len(NUMBERS)
    ways = {(one.carrier, one.candidates) for one in accepted}
    assert ways <= {("telco_a", ("telco_b",)), ("telco_c", ())}
    assert ("telco_c", ()) in ways or len(ways) == 1


async def test_the_backlog_watches_the_new_carriers_and_forgets_the_removed(bench):
    body = MESSAGE | {"to": NUMBERS[0]}
    for carrier in ("telco_a", "telco_c"):
        bench.bus.lags[lane_group(carrier)] = [Lag(lane(carrier, MessageClass.OTP), 0, 5, None)]
    await bench.backlog.refresh()
    assert_problem(await client(bench).post("/v1/messages", json=body), 503, "backpressure")
    use(bench, "telco_c")
    assert (await client(bench).post("/v1/messages", json=body)).status == 202
    await bench.backlog.refresh()
    assert_problem(await client(bench).post("/v1/messages", json=body), 503, "backpressure")
    use(bench, "telco_a")  # what was known of it before is forgotten until the next refresh
    assert (await client(bench).post("/v1/messages", json=body)).status == 202
