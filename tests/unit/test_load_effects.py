"""Whether the faults of a run did anything: a promise kept while nothing was wrong proves nothing."""

import asyncio
import signal
from typing import Any

import psutil
import pytest

from loadtest.running.carriers import Counts
from loadtest.running.effects import CarrierFault
from loadtest.running.gateway import GatewayError, until_signalled
from loadtest.running.proof import idle_load, standing_idle
from loadtest.scenario import CarrierSettings, LoadSettings

CARRIER: dict[str, Any] = {"id": "telco_a", "mps": 300}
STAGES = [{"hold": "10s"}]


def shown(knobs: dict[str, Any], *counts: tuple[float, Counts], until_s: float = 20.0) -> CarrierFault:
    """Return a fault from 10 s on that was shown these counts."""
    fault = CarrierFault(10.0, until_s, knobs)
    for at_s, one in counts:
        fault.look(at_s, one)
    return fault


def taking(rate: float, *, from_s: int, to_s: int, first: int = 0) -> list[tuple[float, Counts]]:
    """Return looks at a carrier that takes so many a second."""
    return [
        (at_s + 0.15, Counts(taken=int(first + rate * (at_s - from_s)), submits=first + 1))
        for at_s in range(from_s, to_s + 1)
    ]


def test_an_outage_that_only_refuses_new_connections_had_no_effect() -> None:
    fault = shown({"refuse": True}, *taking(300, from_s=0, to_s=30))
    assert fault.idle() == ["refuse"]
    assert fault.seen() == []


def test_a_carrier_that_takes_nothing_while_it_is_out_was_out() -> None:
    looks = [*taking(300, from_s=0, to_s=10), *taking(0, from_s=11, to_s=20, first=3_000)]
    fault = shown({"outage": True}, *looks)
    assert fault.idle() == []
    assert fault.seen() == ["0 segments a second taken, 300 before"]


def test_a_carrier_that_took_nothing_before_cannot_be_missed() -> None:
    assert shown({"outage": True}, *taking(0, from_s=0, to_s=20)).idle() == ["outage"]


def test_an_outage_shorter_than_a_look_is_seen_by_the_connections_that_ended() -> None:
    looks = [*taking(300, from_s=0, to_s=9), (10.4, Counts(taken=2_900, closed=2))]
    assert shown({"outage": True}, *looks, until_s=10.5).seen() == ["2 connections ended"]


@pytest.mark.parametrize(
    ("knobs", "grown"),
    [
        ({"disconnect": 1}, {"closed": 1}),
        ({"unbind": True}, {"closed": 1}),
        ({"refuse_binds": "ESME_RBINDFAIL"}, {"binds_refused": 1}),
        ({"silence": True}, {"unanswered": 1}),
        ({"mps": 50}, {"throttled": 1}),
        ({"errors": {"ESME_RSYSERR": 0.1}}, {"refused": 1}),
        ({"hold_receipts": True}, {"held": 7}),
        ({"receipts_lost": 0.5}, {"fallen": {"receipts_lost": 1}}),
        ({"latency": "2s"}, {"submits": 1}),
    ],
)
def test_each_knob_is_seen_by_what_it_does_and_not_by_being_set(
    knobs: dict[str, Any], grown: dict[str, Any]
) -> None:
    base = Counts(fallen={"receipts_lost": 0})
    (name,) = knobs
    assert shown(knobs, (9.1, base), (12.1, base)).idle() == [name]
    fault = shown(knobs, (9.1, base), (12.1, Counts(**grown)))
    assert fault.idle() == []
    assert len(fault.seen()) == 1
    late = shown(knobs, (9.1, base), (40.1, Counts(**grown)))
    assert late.idle() == [name]  # long after its end it is not its doing


def test_a_knob_that_is_set_back_has_nothing_to_do() -> None:
    assert shown({"refuse": False, "errors": {}, "mps": None}, (9.1, Counts()), (12.1, Counts())).idle() == []


def test_a_hidden_limit_errors_and_receipts_that_never_went_wrong_are_told() -> None:
    settings = CarrierSettings.model_validate(
        {
            **CARRIER,
            "limit": 200,
            "errors": {"ESME_RSYSERR": 0.01},
            "receipts": {"delay": "p50=30s,p99=60s", "duplicated": 0.05, "delivered": 0.9},
        }
    )
    healthy = Counts(submits=10_000, taken=10_000, fallen={"receipts_duplicated": 0})
    told = standing_idle(settings, healthy, early_share=0.9)
    assert [line.split()[0] for line in told] == [
        "telco_a",
        "telco_a",
        "receipts_duplicated",
        "fail",
        "telco_a",
    ]
    assert "limit of 200" in told[0]
    assert "90% of its receipts before half of their delay" in told[4]
    broken = Counts(
        submits=10_000,
        taken=9_000,
        throttled=900,
        refused=100,
        fallen={"receipts_duplicated": 500, "fail": 900},
    )
    assert standing_idle(settings, broken, early_share=0.1) == []


def test_what_was_too_rare_to_be_expected_is_not_missed() -> None:
    settings = CarrierSettings.model_validate({**CARRIER, "errors": {"ESME_RSYSERR": 0.01}})
    assert standing_idle(settings, Counts(submits=100, taken=100), early_share=None) == []


def test_a_backlog_that_was_gone_and_callbacks_answered_at_once_are_told() -> None:
    load = LoadSettings.model_validate({"stages": STAGES, "waiting": 1_000, "callback_delay": "2s"})
    gone, fast = idle_load(load, still_waiting=0, callbacks=10, waited_s=1.0)
    assert "none of the 1000 messages" in gone
    assert "after 0.10 s, not after 2s" in fast
    assert idle_load(load, still_waiting=1, callbacks=10, waited_s=20.0) == []
    plain = LoadSettings.model_validate({"stages": STAGES})
    assert idle_load(plain, still_waiting=0, callbacks=10, waited_s=0.0) == []


async def test_a_process_that_is_told_to_stop_or_end_is_seen_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtest.running.gateway.SIGNALLED_S", 0.2)
    child = await asyncio.create_subprocess_exec("sleep", "600")
    process = psutil.Process(child.pid)
    with pytest.raises(GatewayError, match="back went on for 0 s after SIGSTOP"):
        await until_signalled([process], signal.SIGSTOP, part="back")
    monkeypatch.setattr("loadtest.running.gateway.SIGNALLED_S", 30.0)
    for signum in (signal.SIGSTOP, signal.SIGKILL):
        child.send_signal(signum)
        await until_signalled([process], signum, part="back")
    assert await child.wait() == -signal.SIGKILL
