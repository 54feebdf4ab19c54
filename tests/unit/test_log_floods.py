"""A flood of one line is said once: some lines, then how many more there were."""

import json
import subprocess
import sys
from typing import Any

import pytest
import structlog

from gateway.telemetry.logs import MAX_WATCHED_LINES, FloodGuard


class Watch:
    """A guard with a clock of ours and what it said."""

    def __init__(self) -> None:
        self.now = 0.0
        self.said: list[dict[str, Any]] = []
        self.guard = FloodGuard(self.said.append, lines=3, window_s=10, now=lambda: self.now)

    def log(self, event: str, **fields: Any) -> bool:
        """Log one line; tell whether it passed."""
        try:
            self.guard(None, "warning", {"event": event, **fields})
        except structlog.DropEvent:
            return False
        return True


def test_after_some_lines_the_rest_of_a_window_are_counted_and_said_once():
    watch = Watch()
    assert [watch.log("store.failed") for _ in range(8)] == [True] * 3 + [False] * 5
    watch.now = 10
    assert watch.log("something.else")
    assert watch.said == [
        {"event": "log.not_repeated", "of": "store.failed", "level": "warning", "lines": 5, "within_s": 10}
    ]
    assert watch.log("store.failed"), "a new window begins with its first line"


def test_events_and_carriers_are_told_apart():
    watch = Watch()
    for carrier in ("telco_a", "telco_b"):
        assert [watch.log("bind.lost", carrier=carrier) for _ in range(4)] == [True] * 3 + [False]
    assert watch.log("bind.up", carrier="telco_a")
    watch.guard.flush()
    assert [(one["carrier"], one["lines"]) for one in watch.said] == [("telco_a", 1), ("telco_b", 1)]


def test_a_window_without_a_flood_says_nothing():
    watch = Watch()
    assert all(watch.log("bind.up") for _ in range(3))
    watch.now = 11
    watch.log("other")
    watch.guard.flush()
    assert watch.said == []


@pytest.mark.parametrize("distinct", [MAX_WATCHED_LINES * 3])
def test_what_is_remembered_is_bounded(distinct: int):
    watch = Watch()
    assert all(watch.log(f"event.{number}") for number in range(distinct))
    watch.now = 10
    assert watch.log("event.0")
    assert not watch.said


def test_a_process_says_at_its_end_what_it_kept_back():
    code = (
        "from gateway.telemetry.logs import configure_logs; import structlog; configure_logs(role='back');"
        "log = structlog.get_logger(); [log.warning('store.failed', error='full') for _ in range(500)]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event"] for line in lines] == ["store.failed"] * 10 + ["log.not_repeated"]
    assert (lines[-1]["lines"], lines[-1]["of"], lines[-1]["role"]) == (490, "store.failed", "back")
