"""Refusals that ask for a person are told once a minute, whatever the rate."""

from gateway.dispatch import alarms as module
from gateway.dispatch.alarms import Alarms
from gateway.domain.outcomes import Refusal, Refused
from tests.support.heard import heard

SECOND = 1_000_000_000


def refused(status: str) -> Refused:
    return Refused(status, "http1", Refusal.FAILOVER, alert=True)


def test_each_status_is_told_once_a_minute_and_their_number_is_bounded() -> None:
    alarms = Alarms("wa")
    with heard(module) as logs:
        for second in range(0, 121, 10):
            alarms.refused(refused("WA_131042"), now_ns=second * SECOND)
            alarms.refused(refused("WA_368"), now_ns=second * SECOND)
    assert [log["status"] for log in logs] == ["WA_131042", "WA_368"] * 3
    assert logs[0] == {
        "event": "carrier.refuses",
        "carrier": "wa",
        "status": "WA_131042",
        "bind": "http1",
        "log_level": "warning",
    }
    with heard(module) as logs:
        for number in range(1_000):
            alarms.refused(refused(f"WA_{number}"), now_ns=500 * SECOND)
    assert len(logs) == 99
    assert logs[-1]["status"] == "other"
