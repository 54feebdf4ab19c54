"""The look of each second: what a gateway that is slow to answer makes of the counts."""

from types import SimpleNamespace
from typing import Any

import pytest

from loadtest.running.carriers import Counts
from loadtest.running.orders import Heard, Tick
from loadtest.running.watching import Watch
from loadtest.scenario import Scenario

PAGES = {"back": "http://back", "api": "http://api"}
SCENARIO = Scenario.model_validate(
    {
        "scenario": {"name": "mine"},
        "load": {"stages": [{"to": 10, "over": "1s"}, {"hold": "10s"}]},
        "carrier": [{"id": "telco_a", "mps": 20}],
        "event": [{"at": "1s", "carrier": "telco_a", "set": {"disconnect": True}}],
    }
)


async def nothing(_: Any) -> dict[str, Any]:
    return {}


class Telco:
    """A carrier whose connections end one a look."""

    def __init__(self) -> None:
        self.settings = SCENARIO.carrier[0]
        self.closed = 0

    async def counts(self, _: Any) -> Counts:
        self.closed += 1
        return Counts(
            taken=10 * self.closed, submits=11 * self.closed, throttled=self.closed, closed=self.closed
        )


def a_watch(monkeypatch: pytest.MonkeyPatch, answers: list[tuple[str, str]]) -> Watch:
    """Return a watch of a gateway whose two parts answer so, look by look; empty for no answer."""
    gateway = SimpleNamespace(roles=nothing, pages=lambda _: PAGES, processes=lambda _: {})
    bench = SimpleNamespace(
        scenario=SCENARIO, carriers=[Telco()], http=None, gateway=gateway, heard=Heard, processes=dict
    )
    child = SimpleNamespace(is_running=False)
    process = SimpleNamespace(taken_ticks=lambda: Tick(accepted=10), child=child)
    watch = Watch(bench, SCENARIO.load.load(), process)  # type: ignore[arg-type]
    texts = iter([text for look in answers for text in look])

    async def page(_: Any, __: str) -> str:
        return next(texts)

    monkeypatch.setattr(watch, "_page", page)
    return watch


def said(count: int) -> str:
    return f'caudal_messages_final_total{{state="delivered"}} {count}\n'


LANES = 'caudal_queue_lag_messages{topic="lane.telco_a.otp",group="dispatch"} 3\n'


async def test_a_second_without_a_reading_has_no_count_and_the_sum_is_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = [("", LANES), (said(5), LANES), (said(12), LANES), ("", LANES), ("", ""), (said(40), LANES)]
    watch = a_watch(monkeypatch, answers)
    await watch.begin()  # asks again where a part did not answer
    seconds = [await watch.second(at_s) for at_s in (1.0, 2.0, 3.0, 4.0)]
    assert [second.final for second in seconds] == [7, None, None, 28]
    assert [second.in_flight for second in seconds] == [3, None, None, 5]
    assert [second.queue for second in seconds] == [{"otp": 3}, None, None, {"otp": 3}]
    assert watch.final == 35
    assert [second.submitted for second in seconds] == [10] * 4


async def test_faults_are_shown_what_their_carrier_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = a_watch(monkeypatch, [("x", "x")] * 4)
    await watch.begin()
    (fault,) = watch.faults.values()
    await watch.second(0.9)
    assert fault.idle() == ["disconnect"]
    await watch.second(1.9)
    assert fault.seen() == ["1 connections ended"]
    await watch.second(2.9)
    assert watch.counted("telco_a").throttled == 3
    assert watch.throttled_ratio == pytest.approx(1 / 11)
