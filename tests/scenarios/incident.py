"""A whole incident in real time under the shipped rules: a carrier is away for ten minutes, later the database stands for six.

What should fire, and when, is computed from windows and intervals (`EXPECTED`), and compared with what a real
Prometheus fired and a real Alertmanager told. `--write 1` makes the page and the charts of deploy/docs and the
recording that `tests/conformance/test_incident.py` replays under the rules as they are then.
"""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.support import alert_story as story
from tests.support.alert_story import Expected, Span
from tests.support.prometheus import RULES, Alertmanager, Prometheus
from tests.support.watched import FIRST, a_prometheus_of, a_watched_gateway
from tests.support.webhooks import Receiver, receiving

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "deploy" / "docs"
RECORDING = ROOT / "tests" / "data" / "incident" / "recording.json.gz"

M = 60.0
PHASES = (("calm", 6 * M), ("outage", 10 * M), ("between", 6 * M), ("stall", 6 * M), ("after", 8.5 * M))
"""What happens, and for how many seconds."""
AT = {name: sum(length for _, length in PHASES[:index]) for index, (name, _) in enumerate(PHASES)}
END = sum(length for _, length in PHASES)

SEEN_S = 3 * story.GRID_S
"""A change is scraped, evaluated, and once more when `for` is over: each within 15 s."""
RECORDED_S = M
"""What goes through a recorded rate comes up to a minute later."""
API_DEADLINE_S = 5.0
"""The API answers 503 when an append takes longer."""
COMMAND_DEADLINE_S = 30.0
"""A command of the database that takes longer is given up."""
RECONNECT_S = 10.0
"""The longest pause between two tries, of this carrier's binds and of connections to the database."""


def _within(cause: float, *, pending: float, slower: float = 0.0, sooner: float = 0.0) -> tuple[float, float]:
    """Return when something shows that needs `pending` seconds after its cause, and may take `slower` more."""
    return cause + pending - sooner, cause + pending + slower + SEEN_S


STALL, BACK = AT["stall"], AT["after"]
EXPECTED = (
    Expected(
        "CarrierAllBindsDown",
        {"carrier": FIRST, "severity": "page"},
        start=_within(AT["outage"], pending=M),
        end=_within(AT["between"], pending=0, slower=RECONNECT_S),
        why="the carrier is away, `for` 1 m; it ends with the first bind",
    ),
    Expected(
        "StoreErrors",
        {"table": "webhook_deliveries", "reason": "database", "severity": "page"},
        start=_within(STALL, pending=API_DEADLINE_S + M, slower=COMMAND_DEADLINE_S),
        end=_within(BACK, pending=5 * M, slower=RECONNECT_S, sooner=M),
        why="more than 5 failures in 5 m after deadlines of 5 s and 30 s, `for` 1 m; it ends when 5 m are clean",
    ),
    *(
        Expected(
            "ConsumerStalled",
            {"topic": topic, "group": group, "severity": "page"},
            start=_within(STALL, pending=2 * M, sooner=API_DEADLINE_S),
            end=_within(BACK, pending=0, slower=COMMAND_DEADLINE_S),
            why="nothing read or committed for 60 s, `for` 1 m; it ends with the first read",
        )
        for topic, group in (("events", "recorder"), ("mo", "inbound"), ("receipts", "dlr"))
    ),
    Expected(
        "SloIngressAvailabilityBurnsQuick",
        {"slo": "ingress-availability", "severity": "page"},
        start=_within(STALL, pending=API_DEADLINE_S + 2 * M, slower=RECORDED_S),
        end=_within(BACK, pending=5 * M, slower=RECONNECT_S + RECORDED_S, sooner=M),
        why="every POST is answered 503 after 5 s, `for` 2 m; it ends when the 5 m window is clean",
    ),
)
PAGED = {"CarrierAllBindsDown", "StoreErrors", "SloIngressAvailabilityBurnsQuick"}
"""What wakes somebody: Alertmanager keeps ConsumerStalled back, which says again that the database is away."""


async def incident(*, per_s: float = 8.0, out: str = "incident", write: int = 0) -> dict[str, Any]:
    """Live through the incident; leave its figures in the folder `out`; AssertionError where an alert is wrong."""
    folder = await asyncio.to_thread(_new_folder, out)
    began: dict[str, float] = {}
    async with (
        receiving() as people,
        Alertmanager(people.base) as alertmanager,
        a_watched_gateway() as watched,
        a_prometheus_of(watched, alertmanager=alertmanager) as prometheus,
    ):
        watched.start_load(per_s=per_s)
        for phase, seconds in PHASES:
            began[phase] = time.time()
            trouble = {"outage": watched.outage, "stall": watched.stall}.get(phase)
            if trouble is None:
                await asyncio.sleep(seconds)
            else:
                async with trouble():
                    await asyncio.sleep(seconds)
        facts = await _facts(prometheus, people, start=began["calm"], end=time.time())
        facts["answers"] = {str(status): count for status, count in sorted(watched.answers.items())}
        await asyncio.to_thread(story.save, folder / "recording.json.gz", facts)
        await prometheus.snapshot(folder / "tsdb")
        if write:
            await asyncio.to_thread(_draw, prometheus, facts)
    figures = judge(facts)
    if write:
        await asyncio.to_thread(write_down, facts)
    assert figures["wrong"] == [], json.dumps(figures, indent=2)
    return figures


def judge(facts: dict[str, Any]) -> dict[str, Any]:
    """Return what fired, what was told, and what of it is wrong."""
    spans = spans_of(facts)
    paged = sorted({one["alert"] for one in facts["told"] if one["receiver"] == "on-call"})
    wrong = story.compare(spans, EXPECTED)
    if set(paged) != PAGED:
        wrong.append(f"paged were {paged}, and should be {sorted(PAGED)}")
    fired = {span.name: [round(span.start), span.end and round(span.end)] for span in spans}
    return {"fired": fired, "paged": paged, "answers": facts["answers"], "wrong": wrong}


def spans_of(facts: dict[str, Any]) -> list[Span]:
    """Return what fired, as it is kept in a recording."""
    return [
        Span(one["alert"], tuple((key, value) for key, value in one["labels"]), one["start"], one["end"])
        for one in facts["fired"]
    ]


def page(facts: dict[str, Any]) -> str:
    """Return deploy/docs/incident.md."""
    spans = {(span.alert, span.labels): span for span in spans_of(facts)}
    rows = []
    for one in EXPECTED:
        span = spans.pop(one.key, None)
        rows.append(
            f"| {one.name} | {one.labels['severity']} | {_clock(one.start[0])} to {_clock(one.start[1])} | "
            f"{_clock(span.start) if span else 'never'} | {_clock(one.end[0])} to {_clock(one.end[1])} | "
            f"{_clock(span.end) if span else ''} | {one.why} |"
        )
    others = ", ".join(sorted(span.name for span in spans.values())) or "none"
    pages = [
        f"- {_clock(one['at'])}: {one['alert']}"
        for one in facts["told"]
        if one["receiver"] == "on-call" and one["status"] == "firing"
    ]
    told = "On call was told:\n\n{}\n\n".format("\n".join(dict.fromkeys(pages))) if pages else ""
    return _PAGE.format(
        phases="\n".join(f"| {_clock(AT[name])} | {_MEANING[name]} |" for name, _ in PHASES),
        rows="\n".join(rows),
        others=others,
        told=told,
        answers=", ".join(f"{count} times {status}" for status, count in facts["answers"].items()),
    )


_MEANING = {
    "calm": "all is well",
    "outage": "`first`, of two carriers in one route, ends its binds and takes no new ones",
    "between": "`first` is back",
    "stall": "the database stands still: connections stay up, nothing is answered",
    "after": "it goes on",
}
_PAGE = """# An incident, from the alerts' side

Made by `python -m tests.scenarios incident --write 1`: a gateway with two carriers under a light load, a real
Prometheus with `deploy/prometheus/prometheus.example.yml` and the shipped rules, a real Alertmanager with
`deploy/prometheus/alertmanager.example.yml`, all in real time. Times are minutes and seconds after the start.

| From | What happens |
|---|---|
{phases}

When an alert should fire follows from its windows: what it sees is scraped and evaluated every 15 s, objectives are
recorded every minute, and `for` must pass. Fired and ended is what the rules as they are say to the recorded figures,
every 15 s (promtool).

| Alert | | Should fire | Fired | Should end | Ended | Why |
|---|---|---|---|---|---|---|
{rows}

Fired besides: {others}.

{told}The objectives for submits did not page in the outage: what waited for `first` moved to `second` within half a
minute. POSTs were answered {answers}.

The slow pair of the availability objective (30 m and 6 h) still burns for half an hour after such a stall, and fires
15 minutes after it began: six minutes without answers cost a quarter of the month's budget, which is worth a second look.

![Messages](charts/incident-messages.svg)

![What waits](charts/incident-waiting.svg)

![Burn rates and alerts](charts/incident-alerts.svg)

`make test` replays the recorded figures (`tests/data/incident`) under the rules as they are and expects the same alerts
at the same times. The charts are drawn by `deploy/docs/make_charts.py`, which does the same for any Prometheus.
"""


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "still fires"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


async def _facts(prometheus: Prometheus, people: Receiver, *, start: float, end: float) -> dict[str, Any]:
    end = min(end, start + END)
    offset = time.time() - asyncio.get_running_loop().time()
    told = [
        {
            "receiver": one.path.strip("/"),
            "at": round(one.at + offset - start, 1),
            "alert": alert["labels"]["alertname"],
            "status": alert["status"],
        }
        for one in people.heard
        for alert in one.payload["alerts"]
    ]
    fired = await story.fired(prometheus, start=start, end=end)
    return {
        "start": round(start, 3),
        "fired": story.dumped(fired),
        "told": told,
        "series": await story.record(prometheus, start=start, end=end, rules=RULES),
    }


def _new_folder(out: str) -> Path:
    folder = Path(out).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _draw(prometheus: Prometheus, facts: dict[str, Any]) -> None:
    bands = [
        f"--band={name}:{AT[name]:.0f}:{AT[name] + length:.0f}"
        for name, length in PHASES
        if name in ("outage", "stall")
    ]
    start = facts["start"]
    subprocess.run(
        [
            *(sys.executable, str(DOCS / "make_charts.py"), "--prometheus", prometheus.url),
            *("--start", str(start), "--end", str(start + END), "--out", str(DOCS / "charts"), *bands),
        ],
        check=True,
        timeout=120,
    )


def write_down(facts: dict[str, Any]) -> None:
    """Keep a recording, and make the page of what the rules as they are say to it."""
    spans = story.replayed(facts["series"], rules=RULES, until=END)
    facts = {**facts, "fired": story.dumped(spans)}
    story.save(RECORDING, facts)
    (DOCS / "incident.md").write_text(page(facts))
