"""Made-up but plausible results of a load run, for tests of the report: a ramp, a hold with one carrier lost, a drain."""

import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hdrh.histogram import HdrHistogram

from loadtest.promises import parse_promise, verdict
from loadtest.results import (
    Callbacks,
    CarrierSecond,
    CarrierSummary,
    EventBand,
    GeneratorFacts,
    HostFacts,
    Latency,
    Percentiles,
    ProcessCost,
    PromiseRow,
    ResultsWriter,
    Run,
    Second,
)

SCENARIO = """\
[scenario]
name = "carrier-outage"
about = "One of two carriers is gone for a while; what waits for it moves to the other."

[load]
stages = [{ to = 300, over = "10s" }, { hold = "4m" }]

[[carrier]]
id = "telco_a"
mps = 400

[[carrier]]
id = "telco_b"
mps = 400

[promise]
submitted_mps_worst_minute = ">= 0.98 * target"
accept_p99 = "<= 100ms"
otp_submit_p99 = "<= 5s"
lost = 0
"""

FIGURES = {
    "submitted_mps_worst_minute": 296.2,
    "accept_p50": 0.0061,
    "accept_p99": 0.041,
    "otp_submit_p99": 0.92,
    "error_ratio": 0.0,
    "lost": 0.0,
    "duplicated": 0.0,
    "stuck": 0.0,
    "recovery_after_event": 12.4,
    "receipt_p95": None,
}
PROMISES = {
    "submitted_mps_worst_minute": ">= 0.98 * target",
    "accept_p99": "<= 100ms",
    "otp_submit_p99": "<= 5s",
    "error_ratio": "<= 0.0005",
    "lost": 0,
    "duplicated": 0,
    "recovery_after_event": "<= 30s",
}
HOST = HostFacts(
    cores=2,
    cpu_model="Example CPU at 2.9 GHz",
    memory_mb=7_900.0,
    load_before=0.2,
    load_after=2.4,
    platform="Linux 6.1 x86_64",
    python="3.11.9",
    git_commit="0f3c2a1b9d",
    gateway_version="0.1.0",
    config_digest="9b1c6a2e",
)


@dataclass(frozen=True)
class Course:
    """How the made-up run goes. Times in seconds."""

    length: int = 260
    ramp: int = 10
    drain: int = 10
    rate: float = 300.0
    outage: tuple[int, int] | None = (80, 140)
    gaps: bool = True
    histogram: bool = True


def histogram(values: list[float]) -> HdrHistogram:
    """Return an HdrHistogram in microseconds of values in seconds."""
    found = HdrHistogram(1, 3_600_000_000, 3)
    for value in values:
        found.record_value(max(1, int(value * 1e6)))
    return found


def encoded(found: HdrHistogram) -> str:
    """Return it as a results file has it."""
    return found.encode().decode()


def latency(values: list[float]) -> Latency:
    """Return a distribution of values in seconds."""
    found = histogram(values)

    def at(percentile: float) -> float:
        return found.get_value_at_percentile(percentile) / 1e6

    return Latency(
        count=len(values),
        p50_s=at(50),
        p90_s=at(90),
        p95_s=at(95),
        p99_s=at(99),
        p999_s=at(99.9),
        max_s=found.get_max_value() / 1e6,
        hdr=encoded(found),
    )


def made_seconds(course: Course = Course(), *, seed: int = 7) -> list[Second]:
    """Return the seconds of a run."""
    dice = random.Random(seed)
    seconds, backlog, in_flight = [], 0.0, 0.0
    for t in range(1, course.length + 1):
        loading = t <= course.length - course.drain
        target = min(course.rate, course.rate * t / course.ramp) if loading else 0.0
        stage = f"ramp to {course.rate:g}/s" if t <= course.ramp else f"hold {course.rate:g}/s"
        offered = max(0, round(dice.gauss(target, target**0.5))) if target else 0
        is_out = course.outage is not None and course.outage[0] <= t < course.outage[1]
        limit = 200.0 if is_out else 400.0
        taken = min(offered + backlog, limit * dice.uniform(0.96, 1.0))
        backlog += offered - taken
        final = int(in_flight * 0.3) + (offered if not loading else 0)
        in_flight = max(0.0, in_flight + offered - final)
        p50 = dice.lognormvariate(1.8, 0.1) * (1.4 if is_out else 1)
        share = 0.0 if is_out else dice.uniform(0.48, 0.52)
        seconds.append(
            Second(
                t=float(t),
                stage=stage if loading else "drain",
                target=target,
                offered=offered,
                accepted=offered,
                refused=0,
                submitted=int(taken),
                final=None if course.gaps and t % 53 == 0 else final,
                told=max(0, final - dice.randint(0, 4)),
                in_flight=None if course.gaps and t % 53 == 0 else int(in_flight),
                accept=Percentiles(p50, p50 * 2.1, p50 * dice.uniform(5, 8), p50 * 14) if offered else None,
                accept_hdr=encoded(histogram([p50 / 1e3, p50 / 400]))
                if course.histogram and offered
                else None,
                lateness_p99_ms=dice.uniform(1, 4),
                queue=None if course.gaps and t % 53 == 0 else {"otp": 2, "marketing": int(backlog)},
                oldest_s=None if course.gaps and t % 53 == 0 else backlog / 200,
                carriers={
                    "telco_a": CarrierSecond(
                        int(taken * share), 0, 0, 0 if is_out else 2, 400.0, 0 if is_out else 34, 100
                    ),
                    "telco_b": CarrierSecond(
                        int(taken) - int(taken * share), dice.randint(0, 2), 0, 2, 400.0, 61, 100
                    ),
                },
                cpu={
                    "gateway": dice.gauss(62, 4),
                    "postgres": dice.gauss(31, 3),
                    "generator": dice.gauss(9, 1),
                },
                rss_mb={"api": 180 + t * 0.05, "postgres": 240.0, "generator": 90.0},
                load1=dice.gauss(1.6, 0.1),
            )
        )
    return seconds


@cache
def _latencies(seed: int) -> dict[str, Latency]:
    dice = random.Random(seed)
    return {
        "accept": latency([dice.lognormvariate(-5.1, 0.5) for _ in range(4_000)]),
        "submit.otp": latency([dice.lognormvariate(-2.2, 0.7) for _ in range(2_000)]),
        "submit.transactional": latency([dice.lognormvariate(-1.9, 0.8) for _ in range(2_000)]),
        "receipt": latency([dice.lognormvariate(0.3, 0.6) for _ in range(2_000)]),
    }


def made_run(course: Course = Course(), *, seed: int = 7, **changes: object) -> Run:
    """Return the outcome; `changes` are fields of Run."""
    count = int(course.rate * (course.length - course.drain))
    figures = dict(changes.pop("figures", FIGURES))  # type: ignore[call-overload]
    promises = {name: parse_promise(name, value) for name, value in PROMISES.items()}
    rows = [
        PromiseRow(
            row.promise.figure,
            f"meaning of {row.promise.figure}",
            row.promise.text,
            row.limit,
            row.measured,
            row.is_kept,
            row.margin,
            row.promise.is_duration,
        )
        for row in verdict(promises, figures, target=course.rate)
    ]
    kept = all(row.is_kept for row in rows)
    values: dict[str, object] = {
        "name": "carrier-outage",
        "about": "One of two carriers is gone for a while; what waits for it moves to the other.",
        "started_at": "2026-03-02T15:04:05Z",
        "duration_s": float(course.length),
        "seed": seed,
        "overrides": ["load.batch=20"],
        "scenario": {"scenario": {"name": "carrier-outage"}},
        "scenario_digest": "5d41402abc4b2a76b9719d911017c592",
        "target_per_s": course.rate,
        "verdict": "PASS" if kept else "FAIL",
        "reasons": ["Every promise was kept."] if kept else ["A promise was missed."],
        "promises": rows,
        "figures": figures,
        "ledger": {
            "accepted": count,
            "taken_segments": count + 3,
            "ended": count,
            "told": count,
            "lost": {"count": 0, "examples": []},
            "stuck": {"count": 0, "examples": []},
            "duplicated": {"count": 0, "examples": []},
            "duplicated_by_fault": {"count": 3, "examples": ["01J0000000000000000000000A"]},
            "wrong_order": {"count": 0, "examples": []},
        },
        "events": []
        if course.outage is None
        else [EventBand(course.outage[0], course.outage[1], "telco_a refuses binds", "telco_a", 12.4)],
        "latencies": _latencies(seed),
        "final_states": {"delivered": int(count * 0.95), "undeliverable": count - int(count * 0.95)},
        "carriers": {
            "telco_a": CarrierSummary(400.0, 2, count // 2, {"ESME_ROK": count // 2, "ESME_RTHROTTLED": 3}, 212, 118.0),
            "telco_b": CarrierSummary(400.0, 2, count - count // 2, {"ESME_ROK": count - count // 2}, 398, 177.0),
        },
        "callbacks": Callbacks(count, count // 80, 2),
        "generator": GeneratorFacts(count, count, count // 20, 0, 750, 0.0008, 0.0031, 0.018),
        "processes": {
            "api": ProcessCost(157.0, 2.09, 192.0),
            "postgres": ProcessCost(78.0, 1.04, 240.0),
            "generator": ProcessCost(24.0, 0.32, 90.0),
            "telco_a": ProcessCost(11.0, 0.15, 70.0),
        },
        "host": HOST,
    }  # fmt: skip
    return Run(**{**values, **changes})  # type: ignore[arg-type]


def make_results(
    directory: Path,
    course: Course = Course(),
    *,
    seed: int = 7,
    scenario_text: str = SCENARIO,
    killed: bool = False,
    **changes: object,
) -> Path:
    """Write a directory of results and return it; a killed run has no `run.json`."""
    with ResultsWriter(directory) as writer:
        (directory / "scenario.toml").write_text(scenario_text, encoding="utf-8")
        (directory / "gateway.toml").write_text('[api]\nlisten = "127.0.0.1:8080"\n', encoding="utf-8")
        for second in made_seconds(course, seed=seed):
            writer.add(second)
        writer.close(None if killed else made_run(course, seed=seed, **changes))
    return directory
