"""Logs show neither text nor passwords nor full numbers, whatever a caller passes (D11)."""

import json
import subprocess
import sys
from pathlib import Path

from gateway.telemetry.logs import mask_number

NUMBER = "525512345678"
ROOT = Path(__file__).resolve().parents[2]
# A process of its own: the set-up of the logs is for a whole process.
PROGRAM = """
import sys, structlog
from gateway.telemetry.logs import configure_logs
configure_logs(role="test")
log = structlog.get_logger()
number = sys.argv[1]
for key in ("recipient", "to", "destination_addr", "detail"):
    for written in (number, "+" + number, f"to {number} failed"):
        log.warning(f"submit.refused.{key}", **{key: written})
for key in ("text", "short_message", "body", "password"):
    log.warning(f"submit.refused.{key}", **{key: "the code is 4815"})
try:
    raise ValueError(f"no route to {number}")
except ValueError:
    log.exception("submit.failed")
"""


def test_d11_logs_show_no_text_no_password_and_no_full_number() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, NUMBER],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(lines) == 4 * 3 + 4 + 1
    assert NUMBER not in run.stdout
    assert NUMBER[5:10] not in run.stdout
    assert "4815" not in run.stdout
    assert sum("[redacted]" in line.values() for line in lines) == 4


def test_d11_a_masked_number_can_be_compared_but_not_called() -> None:
    assert mask_number("+" + NUMBER) == mask_number(NUMBER) == "+52551•••••78"
    assert mask_number("12345") == "•••••"
