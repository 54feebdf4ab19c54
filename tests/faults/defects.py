"""Does a load test find what is wrong? One planted defect for each figure that a scenario can promise.

    python -m tests.faults.defects --all          every defect, and the sound gateway under the same load
    python -m tests.faults.defects loses crawls   only these

Each run is `loadtest run` of a few seconds at a low rate against `caudal serve`; the defects are those of
tests/faults/planting.py. The same scenario without a defect keeps the promise that the defect breaks. The exit code is
1 when a defect was not found, or a sound gateway was blamed. On a machine that others keep busy a missed promise may be
called INVALID instead of FAIL: such a run is made again, and what counts in the end is whether it was seen to be missed.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
DEADLINE_S = 300.0
STOP_S = 90.0
TRIES = 3

SCENARIO = """
[scenario]
name = "planted"
about = "A few seconds, to see whether a defect is found."

[load]
arrivals = "uniform"
batch = 4
stages = [{{ to = 40, over = "1s" }}, {{ hold = "{hold}" }}]
drain = "{drain}"
mix = {mix}
recipients = 20
callback_batch = 1

[[carrier]]
id = "telco_a"
mps = {mps}
binds = 1
window = 50
latency = "5ms"
receipts = {{ delay = "50ms" }}
{more}
[promise]
"""


@dataclass(frozen=True, slots=True)
class Defect:
    """A planted defect and the promises that it breaks; the rest says how the load differs from the usual one."""

    name: str
    breaks: Mapping[str, str]
    mps: float = 200
    mix: str = "{ transactional = 1.0 }"
    hold: str = "3s"
    drain: str = "30s"
    more: str = ""

    def scenario(self, *, drain: str = "") -> str:
        """Return the scenario that promises what the defect breaks."""
        text = SCENARIO.format(
            hold=self.hold, drain=drain or self.drain, mix=self.mix, mps=self.mps, more=self.more
        )
        return text + "".join(
            f"{figure} = {json.dumps(promise)}\n" for figure, promise in self.breaks.items()
        )


_OTP = "{ otp = 0.5, transactional = 0.5 }"
_OUTAGE = """
[[event]]
at = "3s"
for = "2s"
carrier = "telco_a"
set = { outage = true }
"""
_CUT = """
[[event]]
at = "1s"
carrier = "telco_a"
set = { disconnect = true }
"""
_LONG_OUTAGE = """
[[carrier]]
id = "telco_b"
mps = 200

[[event]]
at = "2s"
for = "12s"
carrier = "telco_a"
set = { outage = true }
"""

DEFECTS = (
    Defect("loses", {"lost": "0", "stuck": "0"}, drain="6s"),
    Defect("doubles", {"duplicated": "0"}),
    Defect("overtakes", {"wrong_order": "0"}),
    Defect("forgets_receipts", {"stuck": "0"}, drain="6s"),
    Defect("forgets_callbacks", {"callbacks_missing": "0"}),
    Defect("crashes", {"error_ratio": "<= 0"}),
    Defect("dawdles", {"accept_p50": "<= 6s", "accept_p95": "<= 6s", "accept_p99": "<= 6s"}),
    Defect(
        "holds_otps",
        {"otp_submit_p99": "<= 6s", "urgent_submit_p99": "<= 6s", "submit_p99": "<= 6s"},
        mix=_OTP,
    ),
    Defect("overruns", {"contract_worst_second": "<= 1.3"}, mps=20),
    Defect("crawls", {"submitted_mps_mean": ">= 20", "submitted_mps_worst_minute": ">= 15"}, hold="5s"),
    Defect("calls_late", {"receipt_p95": "<= 6s"}),
    Defect("ignores_throttling", {"throttled_ratio": "<= 25 %"}, mps=100, more="limit = 15\n", drain="60s"),
    Defect("stays_away", {"recovery_after_event": "<= 8s"}, hold="14s", drain="6s", more=_OUTAGE),
    Defect(
        "sticks",
        {"takeover_after_event": "<= 10s"},
        mix="{ otp = 1.0 }",
        hold="16s",
        drain="6s",
        more=_LONG_OUTAGE,
    ),
    Defect("repeats", {"duplicated_by_fault": "<= 10"}, hold="5s", more=_CUT),
)


@dataclass(slots=True)
class Found:
    """What a run said: its verdict, and of each promise whether it was kept and what was measured."""

    verdict: str
    reasons: list[str] = field(default_factory=list)
    promises: dict[str, dict[str, Any]] = field(default_factory=dict)

    def missed(self, figure: str) -> bool:
        """True when the promise is there and was not kept."""
        return figure in self.promises and not self.promises[figure]["is_kept"]


def run(scenario: str, *, planted: Sequence[str], folder: Path) -> Found:
    """Run a scenario against a gateway with these defects, none for a sound one. AssertionError without a result."""
    path = folder / "planted.toml"
    path.write_text(scenario, encoding="utf-8")
    paths = [str(ROOT / "tests" / "faults" / "planted"), str(ROOT)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PLANTED_DEFECTS": ",".join(planted)}
    command = [str(BIN / "loadtest"), "run", str(path), "--out", str(folder)]
    before = set(folder.glob("planted-*/run.json"))
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            said, _ = process.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # it takes its gateway along
            said, _ = process.communicate(timeout=STOP_S)
    made = sorted(set(folder.glob("planted-*/run.json")) - before)
    assert made, f"exit code {process.returncode}, nothing written:\n{said[-3000:]}"
    told = json.loads(made[0].read_text(encoding="utf-8"))
    promises = {row["figure"]: row for row in told["promises"]}
    return Found(told["verdict"], told["reasons"], promises)


def examine(defect: Defect, folder: Path) -> bool:
    """Run with and without the defect and print a line for each promise; True when the defect alone broke them."""
    good = True
    for _ in range(TRIES):
        sound = run(defect.scenario(drain="60s"), planted=(), folder=folder)
        if sound.verdict != "INVALID" or not any(map(sound.missed, defect.breaks)):
            break
    for _ in range(TRIES):
        harmed = run(defect.scenario(), planted=(defect.name,), folder=folder)
        if harmed.verdict != "INVALID":
            break
    for figure, promise in defect.breaks.items():
        is_right = harmed.missed(figure) and figure in sound.promises and not sound.missed(figure)
        good = good and is_right
        print(
            f"{defect.name:<20}{figure:<28}{promise:<10}"
            f"{_told(sound, figure):<24}{_told(harmed, figure):<24}{'' if is_right else 'WRONG'}",
            flush=True,
        )
    if not good:
        print(f"  sound: {sound.reasons}\n  with the defect: {harmed.reasons}", flush=True)
    return good


def _told(found: Found, figure: str) -> str:
    row = found.promises.get(figure, {})
    measured = row.get("measured")
    value = "not measured" if measured is None else f"{measured:.4g}"
    return f"{found.verdict} ({value})"


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[*(one.name for one in DEFECTS), []], metavar="NAME")
    parser.add_argument("--all", action="store_true", help="every defect")
    chosen = parser.parse_args()
    wanted = [one for one in DEFECTS if chosen.all or one.name in chosen.names]
    if not wanted:
        parser.error("name defects, or --all")
    print(f"{'defect':<20}{'promise':<28}{'limit':<10}{'sound gateway':<24}{'with the defect':<24}")
    with tempfile.TemporaryDirectory(prefix="cdldefects") as folder:
        right = [examine(one, Path(folder)) for one in wanted]
    return int(not all(right))


if __name__ == "__main__":
    sys.exit(main())
