"""What the lanes hold is shown for every configured carrier, from its first second to its last."""

from prometheus_client import CollectorRegistry

from gateway.intake.backlog import Backlog
from gateway.intake.metrics import LaneMetrics
from gateway.ports.bus import Lag
from tests.support.intake import MemoryBus, MemoryDatabase, SetClock


def shown(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"caudal_{name}", labels)


async def test_lag_and_oldest_of_each_lane_are_summed_over_its_partitions():
    registry, bus, clock = CollectorRegistry(), MemoryBus(MemoryDatabase()), SetClock()
    backlog = Backlog(bus, carriers=("telco_a",), clock=clock, metrics=LaneMetrics(registry))
    lane = {"topic": "lane.telco_a.otp", "group": "dispatch.telco_a"}
    assert shown(registry, "queue_lag_messages", **lane) == 0
    bus.lags["dispatch.telco_a"] = [
        Lag("lane.telco_a.otp", 0, 3, 7_000),
        Lag("lane.telco_a.otp", 1, 4, 5_000),
    ]
    await backlog.refresh()
    assert shown(registry, "queue_lag_messages", **lane) == 7
    assert shown(registry, "queue_oldest_message_timestamp_seconds", queue="lane.telco_a.otp") == 5
    oldest = shown(registry, "queue_oldest_message_timestamp_seconds", queue="lane.telco_a.marketing")
    assert oldest == clock.now_ms() / 1000, "an empty lane has no age"


async def test_carriers_come_and_go_with_the_configuration():
    registry = CollectorRegistry()
    backlog = Backlog(
        MemoryBus(MemoryDatabase()), carriers=("telco_a",), clock=SetClock(), metrics=LaneMetrics(registry)
    )
    backlog.use(("telco_b",))
    assert shown(registry, "queue_lag_messages", topic="lane.telco_a.otp", group="dispatch.telco_a") is None
    assert shown(registry, "queue_lag_messages", topic="lane.telco_b.otp", group="dispatch.telco_b") == 0
