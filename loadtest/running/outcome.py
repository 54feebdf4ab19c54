"""From what a load left to its `Run`: every figure, the promises, the verdict. Called by `run` and by `find-max`."""

import os
from collections.abc import Sequence
from typing import Any, Final

import psutil  # type: ignore[import-untyped]  # it ships no types
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]  # it ships no types

from loadtest.promises import FIGURES, Row, verdict
from loadtest.results import (
    Callbacks,
    CarrierSummary,
    EventBand,
    GeneratorFacts,
    Latency,
    ProcessCost,
    PromiseRow,
    Run,
    Verdict,
)
from loadtest.running.bench import Bench
from loadtest.running.books import Closed, latency, merged
from loadtest.running.events import Band, bands_of
from loadtest.running.figures import (
    contract_use,
    highest_steady,
    mean_rate,
    ratio,
    recovery_s,
    share_before,
    worst_minute,
)
from loadtest.running.gateway import OwnGateway
from loadtest.running.measured import Measured
from loadtest.running.proof import idle_faults
from loadtest.running.usage import host_facts
from loadtest.running.verdict import Conditions, judge_run

_OF_LEDGER: Final = (
    "lost",
    "duplicated",
    "duplicated_by_fault",
    "stuck",
    "callbacks_missing",
    "wrong_order",
)
_OF_CARRIERS: Final = frozenset(
    (
        "submitted_mps_worst_minute",
        "submitted_mps_mean",
        "contract_worst_second",
        "otp_submit_p99",
        "urgent_submit_p99",
        "submit_p99",
        "lost",
        "duplicated",
        "duplicated_by_fault",
        "wrong_order",
        "recovery_after_event",
        "takeover_after_event",
        "throttled_ratio",
        "receipt_p95",
    )
)


def carrier_seconds(found: Measured) -> list[int]:
    """Return the segments that all carriers took, by second of the load."""
    several = [one.per_second for one in found.carriers.values()]
    return [sum(counts) for counts in zip(*several, strict=True)] if several else []


def event_bands(found: Measured, counts: Sequence[int]) -> list[EventBand]:
    """Return the faults with the time that each took to be over."""
    load, per_message = found.load, found.scenario.load.text.segments_per_message
    offered = [load.rate_at(second + 0.5) * per_message for second in range(int(load.duration_s))]
    bands = [band for band in bands_of(found.scenario.event) if band.at_s <= found.duration_s]
    return [_event_band(found, band, counts, offered) for band in bands]


def _event_band(found: Measured, band: Band, counts: Sequence[int], offered: Sequence[float]) -> EventBand:
    end_s = found.load.duration_s
    takeover_s = None
    own: Sequence[int] = ()
    if band.carrier is None:
        effect = found.done.get((band.at_s, band.what), "")
    else:
        effect = ", ".join(found.watch.faults[band.at_s, band.what, band.carrier].seen())
        own = found.carriers[band.carrier].per_second if band.carrier in found.carriers else ()
        if band.until_s > band.at_s:
            until_s = min(band.until_s, end_s)
            takeover_s = recovery_s(counts, end_s=band.at_s, offered=offered, until_s=until_s)
    recovered_s = recovery_s(
        counts,
        end_s=band.until_s,
        offered=offered,
        until_s=end_s,
        own=own,
        own_share=share_before(own, at_s=band.at_s, offered=offered),
    )
    return EventBand(
        band.at_s,
        band.until_s,
        band.what,
        band.carrier,
        recovery_s=recovered_s,
        takeover_s=takeover_s,
        effect=effect,
    )


def figures_of(
    found: Measured, *, bands: Sequence[EventBand], latencies: dict[str, Latency], has_callbacks: bool
) -> dict[str, float | None]:
    """Return every figure; None is what was not measured."""
    figures: dict[str, float | None] = dict.fromkeys(FIGURES)
    accept = latencies.get("accept")
    if accept is not None and accept.count:
        figures |= {"accept_p50": accept.p50_s, "accept_p95": accept.p95_s, "accept_p99": accept.p99_s}
    figures["error_ratio"] = ratio(found.account.errors, found.account.requests)
    figures["throttled_ratio"] = found.watch.throttled_ratio
    if found.closed is None:
        return figures
    _add_carriers(figures, found, bands)
    ledger = found.closed.ledger
    for name in _OF_LEDGER:
        figures[name] = getattr(ledger, name).count
    # What is called delivered and came to no carrier, or not whole, is lost too.
    figures["lost"] = ledger.lost.count + ledger.invented.count + ledger.incomplete.count
    if not has_callbacks:
        figures["callbacks_missing"] = None
    submit = found.closed.submit
    groups = {
        "otp_submit_p99": ("otp",),
        "urgent_submit_p99": ("otp", "transactional"),
        "submit_p99": tuple(submit),
    }
    for name, classes in groups.items():
        figures[name] = latency(merged(submit[one] for one in classes if one in submit)).p99_s
    if has_callbacks:
        figures["receipt_p95"] = latencies["receipt"].p95_s
    return figures


def _add_carriers(figures: dict[str, float | None], found: Measured, bands: Sequence[EventBand]) -> None:
    counts = carrier_seconds(found)
    stages = highest_steady(found.load.steady())
    figures["submitted_mps_worst_minute"] = worst_minute(counts, stages)
    figures["submitted_mps_mean"] = mean_rate(counts, stages)
    contracts = {one.id: one.mps for one in found.scenario.carrier}
    figures["contract_worst_second"] = max(
        (contract_use(books.worst_second, mps=contracts[name]) for name, books in found.carriers.items()),
        default=None,
    )
    if bands and all(band.recovery_s is not None for band in bands):
        figures["recovery_after_event"] = max(band.recovery_s or 0.0 for band in bands)
    lasting = _lasting(bands)
    if lasting and all(band.takeover_s is not None for band in lasting):
        figures["takeover_after_event"] = max(band.takeover_s or 0.0 for band in lasting)


def _lasting(bands: Sequence[EventBand]) -> list[EventBand]:
    """Return the faults of carriers that last for a time: others could take over meanwhile."""
    return [band for band in bands if band.carrier is not None and band.until_s > band.at_s]


def _unmeasured(bench: Bench, bands: Sequence[EventBand]) -> dict[str, str]:
    """Return why some figures cannot be measured on this bench, by figure."""
    found: dict[str, str] = {}
    missing = bench.missing_carriers
    if missing:
        why = f"no --simulator was given for {', '.join(missing)}"
        found |= dict.fromkeys(_OF_CARRIERS, why)
    if not bench.has_callbacks:
        found["callbacks_missing"] = "the gateway has no endpoint of the tool to call"
        found["receipt_p95"] = found["callbacks_missing"]
    if any(band.recovery_s is None for band in bands):
        found.setdefault(
            "recovery_after_event", "the offered rate did not reach the carriers again before the load ended"
        )
    if any(band.takeover_s is None for band in _lasting(bands)):
        found.setdefault(
            "takeover_after_event", "the offered rate did not reach the carriers while a fault was on"
        )
    return found


def make_run(bench: Bench, found: Measured, *, overrides: Sequence[str], seed: int) -> Run:
    """Return the outcome of a load with its verdict."""
    scenario = found.scenario
    counts = carrier_seconds(found)
    bands = event_bands(found, counts)
    latencies = _latencies(found)
    unmeasured = _unmeasured(bench, bands)
    figures = figures_of(found, bands=bands, latencies=latencies, has_callbacks=bench.has_callbacks)
    figures |= dict.fromkeys(unmeasured)
    rows = verdict(scenario.promises, figures, target=scenario.target_per_s)
    said, reasons = _judge(found, rows, unmeasured, idle_faults(found, bands))
    account = found.account
    late: list[float | None] = [*account.lateness_s] if account.lateness_s else [None, None, None]
    messages = account.accepted
    gateway = bench.gateway
    return Run(
        name=scenario.scenario.name,
        about=scenario.scenario.about,
        started_at=found.started_at,
        duration_s=round(found.duration_s, 3),
        seed=seed,
        overrides=list(overrides),
        scenario=scenario.model_dump(mode="json", by_alias=True),
        scenario_digest=scenario.digest(),
        target_per_s=scenario.target_per_s,
        verdict=said,
        reasons=[*reasons, *_remarks(found)],
        promises=[_row(row) for row in rows],
        figures=figures,
        ledger={} if found.closed is None else found.closed.ledger.report(),
        events=bands,
        latencies=latencies,
        final_states={} if found.closed is None else dict(found.closed.final_states),
        carriers=_carriers(found),
        callbacks=_callbacks(found),
        generator=GeneratorFacts(
            offered=account.offered,
            sent=account.sent,
            requests=account.requests,
            refused=account.refused,
            repeated=account.repeated,
            lateness_p50_s=late[0],
            lateness_p99_s=late[1],
            lateness_max_s=late[2],
        ),
        processes=_costs(found, messages),
        host=host_facts(
            load_before=found.load_before,
            load_after=psutil.getloadavg()[0],
            gateway_version=found.watch.version,
            config_digest=gateway.settings_digest if isinstance(gateway, OwnGateway) else None,
        ),
    )


def _judge(
    found: Measured, rows: list[Row], unmeasured: dict[str, str], unfelt: list[str]
) -> tuple[Verdict, list[str]]:
    if found.is_interrupted:
        return "INTERRUPTED", [
            f"The run was interrupted after {found.duration_s:.0f} s: nothing was reconciled and no promise judged."
        ]
    account = found.account
    late = account.lateness_s
    conditions = Conditions(
        offered=account.offered,
        sent=account.sent,
        lateness_p99_s=late[1] if late else None,
        foreign=found.watch.foreign,
        idle=1 - found.watch.busy,
        trouble=found.trouble or _unreachable(found),
        aborted=found.aborted,
        refusals=account.reasons,
        unmeasured=unmeasured,
        unfelt=unfelt,
    )
    return judge_run(rows, conditions)


def _remarks(found: Measured) -> list[str]:
    """Return what else has to be said of a run."""
    remarks = [f"Not done: {note}." for note in found.notes]
    if found.account.unsure:
        remarks.append(f"Of {found.account.unsure} messages nobody ever said whether they were accepted.")
    return remarks


def _unreachable(found: Measured) -> str:
    account = found.account
    if account.accepted or not account.requests:
        return ""
    reasons = ", ".join(f"{reason} ({count} times)" for reason, count in account.reasons.items())
    return f"the target accepted no message at all: {reasons or 'no answer'}"


def _row(row: Row) -> PromiseRow:
    promise = row.promise
    return PromiseRow(
        figure=promise.figure,
        meaning=FIGURES[promise.figure],
        text=promise.text,
        limit=row.limit,
        measured=row.measured,
        is_kept=row.is_kept,
        margin=row.margin,
        is_duration=promise.is_duration,
    )


def _latencies(found: Measured) -> dict[str, Latency]:
    latencies: dict[str, Latency] = {}
    if found.account.accept_hdr:
        latencies["accept"] = latency(HdrHistogram.decode(found.account.accept_hdr))
    closed: Closed | None = found.closed
    if closed is not None:
        latencies |= {f"submit.{name}": latency(one) for name, one in sorted(closed.submit.items())}
        latencies["receipt"] = latency(closed.receipt)
    return latencies


def _carriers(found: Measured) -> dict[str, CarrierSummary]:
    stages = highest_steady(found.load.steady())
    summaries: dict[str, CarrierSummary] = {}
    for one in found.scenario.carrier:
        books = found.carriers.get(one.id)
        statuses = found.watch.counted(one.id).statuses
        summaries[one.id] = CarrierSummary(
            mps=one.mps,
            binds=one.binds,
            taken=statuses.get("ESME_ROK", 0) if books is None else books.taken_count,
            statuses=statuses,
            worst_second=0 if books is None else books.worst_second,
            mean_per_s=0.0 if books is None else round(mean_rate(books.per_second, stages) or 0.0, 3),
        )
    return summaries


def _callbacks(found: Measured) -> Callbacks:
    ledger: Any = None if found.closed is None else found.closed.ledger
    return Callbacks(
        events=found.watch.told,
        requests=found.watch.callback_requests,
        repeated=0 if ledger is None else ledger.callbacks_repeated.count,
    )


def _costs(found: Measured, messages: int) -> dict[str, ProcessCost]:
    return {
        name: ProcessCost(
            cpu_s=round(spent, 3),
            cpu_s_per_1000=round(spent / messages * 1000, 5) if messages else None,
            rss_mb_max=round(found.watch.rss_mb_max.get(name, 0.0), 1),
        )
        for name, spent in sorted(found.watch.cpu_s.items())
    }


def cores() -> int:
    """Return the cores of this machine."""
    return os.cpu_count() or 1
