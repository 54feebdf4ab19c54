"""Levels of logs change while a process runs: for all or for one logger, for a time or until the end."""

import json
import subprocess
import sys

import pytest

from gateway.runtime.log_levels import LevelDesk, LevelOrder
from gateway.telemetry.logs import LEVELS, MAX_LEVELS, Levels


class Watch:
    def __init__(self) -> None:
        self.now = 100.0
        self.levels = Levels(now=lambda: self.now)
        self.levels.configure("info")

    def passing(self, *lines: tuple[str, str]) -> list[bool]:
        return [self.levels.passes(method, event) for method, event in lines]


LINES = (("debug", "bind.changed"), ("debug", "lane.owned"), ("info", "bind.changed"), ("error", "lane.lost"))


def test_the_configured_level_holds_until_something_is_ordered():
    watch = Watch()
    assert watch.passing(*LINES) == [False, False, True, True]
    watch.levels.configure("error")
    assert watch.passing(*LINES) == [False, False, False, True]


def test_one_logger_says_more_or_less_than_the_others():
    watch = Watch()
    watch.levels.order("debug", logger="bind")
    assert watch.passing(*LINES) == [True, False, True, True]
    watch.levels.order("error", logger="bind")
    assert watch.passing(*LINES) == [False, False, False, True]


def test_an_order_for_all_leaves_what_one_logger_was_told():
    watch = Watch()
    watch.levels.order("warning", logger="bind")
    watch.levels.order("debug")
    assert watch.passing(*LINES) == [False, True, False, True]
    watch.levels.order(None)
    watch.levels.order(None, logger="bind")
    assert watch.passing(*LINES) == [False, False, True, True]


def test_an_order_outlives_a_reload_and_ends_with_its_time():
    watch = Watch()
    watch.levels.order("debug", logger="bind", for_s=60)
    watch.levels.configure("warning")
    assert watch.passing(*LINES) == [True, False, True, True]
    assert watch.levels.shown() == {
        "configured": "warning",
        "ordered": [{"logger": "bind", "level": "debug", "for_s": 60}],
    }
    watch.now += 60
    assert watch.passing(*LINES) == [False, False, False, True]
    assert watch.levels.shown()["ordered"] == []


def test_levels_and_loggers_are_a_closed_and_a_bounded_set():
    watch = Watch()
    with pytest.raises(ValueError, match="level 'loud' is not one of"):
        watch.levels.order("loud")
    for number in range(MAX_LEVELS):
        watch.levels.order("debug", logger=f"logger{number}")
    watch.levels.order("info", logger="logger0")
    with pytest.raises(ValueError, match=f"{MAX_LEVELS} loggers .* is the limit"):
        watch.levels.order("debug", logger="one_more")


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({}, "level"),
        ({"level": "loud"}, "level 'loud' is not one of debug, info, warning, error, default"),
        ({"level": "info", "logger": "bind.changed"}, "is not the first word of an event"),
        ({"level": "info", "logger": "x" * 41}, "is not the first word of an event"),
        ({"level": "info", "for_s": 0}, "for_s 0 is not within 1..604800 s"),
        ({"level": "info", "for_s": 1e9}, "is not within"),
        ({"level": "info", "actor": ""}, "actor must have 1 to 100 characters"),
        ({"level": "info", "colour": "red"}, "colour"),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused_with_its_reason(told: dict[str, object], why: str):
    noted = []

    async def note(entry: object) -> None:
        noted.append(entry)

    with pytest.raises(ValueError, match=why):
        await LevelDesk("back", audit=note).take(told)
    assert noted == []


async def test_an_order_is_followed_audited_and_shown_with_those_who_do_not_answer():
    noted = []

    async def note(entry: object) -> None:
        noted.append(entry)

    desk = LevelDesk("supervisor", audit=note, others=lambda: {"api": "http://127.0.0.1:1"})
    try:
        found = await desk.take({"level": "debug", "logger": "bind", "actor": "cli:ana"})
    finally:
        LEVELS.order(None, logger="bind")
    assert found["supervisor"]["ordered"] == [{"logger": "bind", "level": "debug", "for_s": None}]
    assert "error" in found["api"]
    (entry,) = noted
    assert entry[1:] == ("cli:ana", "log_level", "logs of bind", "", {"level": "debug", "for_s": None})
    assert LevelOrder("info").entry().subject == "all logs"


def test_loggers_that_are_made_already_follow():
    code = (
        "from gateway.telemetry.logs import LEVELS, configure_logs; import structlog; configure_logs(role='back');"
        "log = structlog.get_logger(); log.debug('bind.a'); LEVELS.order('debug', logger='bind');"
        "log.debug('bind.b'); log.debug('lane.b'); LEVELS.order(None, logger='bind'); log.debug('bind.c'); log.info('end')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()] == ["bind.b", "end"]
