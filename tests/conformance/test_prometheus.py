"""Prometheus and Alertmanager read our rules, and fire and send as promised."""

import subprocess

import pytest

from tests.architecture.test_observability import PROMETHEUS, RULES, alerts
from tests.support.peers import need_command


def promtool(*arguments: str) -> None:
    need_command("promtool", package="prometheus")
    done = subprocess.run(
        ["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.peer
def test_rules_and_scrape_configurations_are_valid_for_prometheus():
    promtool("check", "rules", *(str(path) for path in RULES))
    for path in PROMETHEUS.glob("prometheus.*.yml"):
        promtool("check", "config", "--syntax-only", str(path))


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_alerts_fire_for_their_cause_and_for_nothing_else():
    promtool("test", "rules", *(str(path) for path in sorted((PROMETHEUS / "tests").glob("*.test.yml"))))


@pytest.mark.peer
def test_alertmanager_sends_pages_and_tickets_where_they_belong():
    need_command("amtool", package="prometheus-alertmanager")
    config = PROMETHEUS / "alertmanager.example.yml"
    checked = subprocess.run(
        ["amtool", "check-config", str(config)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    receivers = {"page": "on-call", "ticket": "tickets"}
    for alert in alerts():
        severity = alert["labels"]["severity"]
        tested = subprocess.run(
            [
                *("amtool", "config", "routes", "test", f"--config.file={config}"),
                f"--verify.receivers={receivers[severity]}",
                f"alertname={alert['alert']}",
                f"severity={severity}",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert tested.returncode == 0, f"{alert['alert']}: {tested.stdout}{tested.stderr}"
