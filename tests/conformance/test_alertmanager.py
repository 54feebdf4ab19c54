"""A real Alertmanager with the shipped example keeps the alerts back that say the same thing again, and no others."""

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.architecture.test_observability import alerts
from tests.support.prometheus import Alertmanager

pytestmark = [pytest.mark.peer]

CARRIER_DOWN = {"alertname": "CarrierAllBindsDown", "severity": "page", "carrier": "telco_a"}
KEPT_BACK_BY_A_CARRIER_DOWN = (
    "BindFlapping",
    "CarrierBelowPromisedRate",
    "CarrierThrottlingSustained",
    "DlrSilence",
)


def of(name: str, **labels: str) -> dict[str, str]:
    """Return an alert of ours with its severity."""
    severities = {one["alert"]: one["labels"]["severity"] for one in alerts()}
    return {"alertname": name, "severity": severities[name], **labels}


async def states(manager: Alertmanager, firing: list[dict[str, str]]) -> dict[tuple[str, str], str]:
    """Let these alerts fire; return by name and carrier whether each is told (active) or kept back (suppressed)."""
    async with aiohttp.ClientSession() as http:
        body = [{"labels": one} for one in firing]
        async with http.post(manager.url + "/api/v2/alerts", json=body) as answer:
            assert answer.status == 200, await answer.text()

    def read(found: list[dict[str, Any]]) -> dict[tuple[str, str], str]:
        return {
            (one["labels"]["alertname"], one["labels"].get("carrier", "")): one["status"]["state"]
            for one in found
        }

    async with asyncio.timeout(30):
        while True:
            found = read(await manager.firing())
            if len(found) == len(firing) and "unprocessed" not in found.values():
                return found
            await asyncio.sleep(0.05)


async def test_a_carrier_that_is_down_is_told_of_once_and_other_carriers_are_not_forgotten() -> None:
    async with Alertmanager("http://127.0.0.1:1") as manager:
        same = [of(name, carrier="telco_a") for name in KEPT_BACK_BY_A_CARRIER_DOWN]
        other = [of(name, carrier="telco_b") for name in KEPT_BACK_BY_A_CARRIER_DOWN]
        found = await states(
            manager, [CARRIER_DOWN, *same, *other, of("SloIngressAvailabilityBurnsQuick", slo="x")]
        )
        kept_back = {key for key, state in found.items() if state == "suppressed"}
        assert kept_back == {(name, "telco_a") for name in KEPT_BACK_BY_A_CARRIER_DOWN}


async def test_without_figures_only_their_absence_is_told() -> None:
    async with Alertmanager("http://127.0.0.1:1") as manager:
        found = await states(
            manager,
            [
                of("GatewayMetricsAbsent"),
                of("QueueOldestTooOld", queue="events"),
                of("ConsumerStalled", topic="events", group="recorder"),
                of("SloIngressAvailabilityBurnsQuick", slo="ingress-availability"),
                CARRIER_DOWN,
            ],
        )
        told = {name for (name, _), state in found.items() if state == "active"}
        assert told == {"GatewayMetricsAbsent", "CarrierAllBindsDown"}


async def test_a_database_that_fails_is_told_of_once_beside_what_customers_feel() -> None:
    async with Alertmanager("http://127.0.0.1:1") as manager:
        found = await states(
            manager,
            [
                of("StoreErrors", table="messages", reason="database"),
                of("ConsumerStalled", topic="events", group="recorder"),
                of("QueueOldestTooOld", queue="events"),
                of("StoreWriteSlow", table="messages"),
                of("SloIngressAvailabilityBurnsQuick", slo="ingress-availability"),
                of("DeadLetterGrowing", reason="rejected"),
            ],
        )
        told = {name for (name, _), state in found.items() if state == "active"}
        assert told == {"StoreErrors", "SloIngressAvailabilityBurnsQuick", "DeadLetterGrowing"}
