"""The parts of the HTML report that say what happened: verdict, promises, rates, latencies, carriers, receipts, queues.

Each function returns one section for `html.write_report`; what proves them is in `evidence`.
"""

from typing import Final

from loadtest.promises import FIGURES
from loadtest.report.charts import Charts, Line
from loadtest.report.markup import Child, Html, el, facts, joined, table
from loadtest.report.points import column, names_in, spread
from loadtest.report.wording import (
    UNMEASURED,
    change_text,
    clock_text,
    count_text,
    figure_text,
    moment_text,
    seconds_text,
    share_text,
)
from loadtest.results import CarrierSecond, EventBand, Latency, PromiseRow, Results, Run, Second, Verdict

_VERDICTS: Final[dict[Verdict, str]] = {
    "PASS": "Passed",
    "FAIL": "Failed",
    "INVALID": "Invalid",
    "INTERRUPTED": "Interrupted",
}
_SIGNS: Final = {"<=": "≤", ">=": "≥", "<": "<", ">": ">", "==": "="}
MAX_CARRIERS: Final = 40
"""Carriers with charts of their own; more of them are only summed up."""


def verdict_sentence(run: Run) -> str:
    """Return the verdict in one sentence."""
    missed = sum(not row.is_kept for row in run.promises)
    total = len(run.promises)
    if run.verdict == "PASS":
        return (
            "the scenario promises nothing."
            if not total
            else "the promise was kept."
            if total == 1
            else f"all {total} promises were kept."
        )
    if run.verdict == "FAIL":
        if not missed:
            return "it ended before its time."
        return f"{missed} of {total} promises {'was' if missed == 1 else 'were'} missed."
    if run.verdict == "INVALID":
        return "this run proves nothing, neither for nor against the gateway."
    return f"the run was stopped after {seconds_text(run.duration_s)}."


def further_reasons(run: Run) -> list[str]:
    """Return the reasons that the sentence of the verdict has not said yet."""
    said = verdict_sentence(run).casefold()
    return [reason for reason in run.reasons if reason.casefold() != said]


def verdict(run: Run) -> Html:
    """Return the head of the report: name, verdict in sentences, what was run."""
    reasons = [el("li", reason) for reason in further_reasons(run)]
    asked = [("Started", moment_text(run.started_at)), ("Duration", seconds_text(run.duration_s))]
    asked += [("Target", f"{count_text(run.target_per_s)} segments/s"), ("Seed", str(run.seed))]
    if run.overrides:
        asked.append(("Overrides", ", ".join(run.overrides)))
    sentence = el("p", el("strong", _VERDICTS[run.verdict]), f": {verdict_sentence(run)}", class_="sentence")
    return el(
        "header",
        el("p", "Load test report", class_="kind"),
        el("h1", run.name),
        el("p", run.about, class_="about") if run.about else None,
        el("div", sentence, el("ul", *reasons) if reasons else None, class_=f"verdict {run.verdict.lower()}"),
        facts([(name, value) for name, value in asked]),
    )


def promise_value(row: PromiseRow, value: float | None) -> str:
    """Return the limit or the measured figure of a promise with its unit."""
    if row.figure not in FIGURES:
        return seconds_text(value) if row.is_duration else count_text(value)
    return figure_text(row.figure, value)


def target_text(row: PromiseRow) -> str:
    """Return what was promised with its unit: `≤ 100 ms`."""
    sign = next((_SIGNS[sign] for sign in _SIGNS if row.text.strip().startswith(sign)), "=")
    return f"{sign} {promise_value(row, row.limit)}"


def promises(run: Run) -> Html:
    """Return the table of promises."""
    if not run.promises:
        return _section("Promises", el("p", "This scenario promises nothing.", class_="empty"))
    rows: list[list[Child]] = []
    for row in run.promises:
        if row.measured is None:
            mark = el("span", "? not measured", class_="missed")
        else:
            mark = el(
                "span", "✓ kept" if row.is_kept else "✗ missed", class_="kept" if row.is_kept else "missed"
            )
        name = joined(el("code", row.figure), el("span", row.meaning, class_="meaning"))
        measured = promise_value(row, row.measured)
        target = joined(
            target_text(row), el("span", row.text, class_="meaning") if "target" in row.text else None
        )
        rows.append([name, mark, target, measured, change_text(row.margin)])
    note = "Margin is the distance to the target as a share of it: above zero inside, below zero outside."
    heads = ["Promise", "Verdict", "Target", "Measured", "Margin"]
    return _section("Promises", table(heads, rows, numbers_from=2), el("p", note, class_="note"))


def rates(results: Results, charts: Charts) -> Html:
    """Return what was wanted, taken and finished in each second."""
    seconds = results.seconds
    lines = [
        Line("target", column(seconds, lambda one: one.target), 0, is_dashed=True),
        Line("offered", column(seconds, lambda one: one.offered), 1),
        Line("accepted", column(seconds, lambda one: one.accepted), 2),
        Line("submitted", column(seconds, lambda one: one.submitted), 3),
        Line("final", spread(column(seconds, lambda one: one.final)), 4),
    ]
    note = "A second; submitted are segments at the carriers, the others messages."
    figure = charts.over_time(
        "Offered, accepted, submitted, final", lines, unit="rate", note=note, height=300
    )
    flight = Line("in flight", column(seconds, lambda one: one.in_flight), 1, how="max")
    told = charts.over_time(
        "In flight", [flight], unit="count", note="Accepted and not yet final.", height=160
    )
    return _section("Rates", figure, _bands(results.run), told)


def _bands(run: Run) -> Html | None:
    """Return what the shaded spans of the charts are."""
    if not run.events:
        return None
    items = [
        el("li", f"{clock_text(event.at_s)} to {clock_text(event.until_s)}: {fault_text(event)}")
        for event in run.events
    ]
    return el("div", el("p", "Faults, shaded in every chart:"), el("ol", *items), class_="bands")


def fault_text(event: EventBand) -> str:
    """Return what a fault was, and where."""
    if event.carrier is None or event.carrier in event.what:
        return event.what
    return f"{event.carrier}: {event.what}"


def latencies(results: Results, charts: Charts) -> Html:
    """Return how long acceptance and submission took."""
    seconds = results.seconds
    parts = [("p50", 2), ("p90", 1), ("p99", 3), ("max", 4)]
    lines = [
        Line(
            name,
            [None if one.accept is None else getattr(one.accept, f"{name}_ms") for one in seconds],
            colour,
            how="max",
        )
        for name, colour in parts
    ]
    note = "From the intended start of a request to its 202, so a stall of the gateway or of the generator shows."
    over_time = charts.over_time("Acceptance", lines, unit="ms", note=note, is_log=True)
    told = {name: one for name, one in results.run.latencies.items() if not name.startswith("receipt")}
    plot = charts.by_percentile(
        "By percentile",
        told,
        note="The whole run, on a scale of nines: each step to the right is ten times rarer.",
    )
    return _section("Latency", over_time, plot, latency_table(told))


def latency_table(told: dict[str, Latency]) -> Html | None:
    """Return percentiles of the whole run."""
    if not told:
        return None
    rows: list[list[Child]] = [
        [
            name,
            count_text(one.count),
            *(
                seconds_text(value)
                for value in (one.p50_s, one.p90_s, one.p95_s, one.p99_s, one.p999_s, one.max_s)
            ),
        ]
        for name, one in told.items()
    ]
    heads = ["What", "Count", "p50", "p90", "p95", "p99", "p99.9", "Highest"]
    return el("div", table(heads, rows), class_="scroll", tabindex=0)


def carriers(results: Results, charts: Charts) -> Html:
    """Return each carrier: what it took against its contract, its window, its answers."""
    named = list(dict.fromkeys([*results.run.carriers, *names_in(results.seconds, lambda one: one.carriers)]))
    parts = [_carrier(name, results, charts) for name in named[:MAX_CARRIERS]]
    if len(named) > MAX_CARRIERS:
        parts.append(
            el("p", f"{len(named) - MAX_CARRIERS} more carriers are only in the results.", class_="note")
        )
    return _section("Carriers", *(parts or [el("p", "Not measured in this run.", class_="empty")]))


def _carrier(name: str, results: Results, charts: Charts) -> Html:
    summary = results.run.carriers.get(name)
    of_carrier = [one.carriers.get(name) for one in results.seconds]
    limits = [None if one is None else one.mps_limit or None for one in of_carrier]
    highest = max((limit for limit in limits if limit is not None), default=None)
    lines = [
        Line("contract", list(limits), 0, is_dashed=True),
        Line("submitted", _of(of_carrier, "submitted"), 3),
        *_unless_zero("throttled", _of(of_carrier, "throttled"), 4),
        *_unless_zero("refused", _of(of_carrier, "refused"), 5),
    ]
    rate = charts.over_time(
        f"{name}: rate and contract",
        lines,
        unit="rate",
        note="Segments a second.",
        height=200,
        ceiling=highest,
    )
    window = charts.over_time(
        f"{name}: window",
        [
            Line("size", _of(of_carrier, "window_size"), 0, is_dashed=True, how="max"),
            Line("in use", _of(of_carrier, "window_in_use"), 1, how="max"),
        ],
        unit="count",
        note="Unanswered submits of all binds.",
        height=140,
    )
    told = None
    if summary is not None:
        told = facts(
            [
                (
                    "Contract",
                    f"{count_text(summary.mps)}/s over {summary.binds} bind{'' if summary.binds == 1 else 's'}",
                ),
                ("Taken", f"{count_text(summary.taken)} segments"),
                ("Mean", f"{count_text(summary.mean_per_s)}/s"),
                (
                    "Worst second",
                    f"{count_text(summary.worst_second)}"
                    + (
                        f" ({share_text(summary.worst_second / summary.mps)} of contract)"
                        if summary.mps
                        else ""
                    ),
                ),
            ]
        )
    mix = shares_table("Answer", summary.statuses) if summary is not None and summary.statuses else None
    return el("section", el("h3", name), told, rate, window, mix, class_="carrier")


def _of(seconds: list[CarrierSecond | None], name: str) -> list[float | None]:
    return [None if one is None else getattr(one, name) for one in seconds]


def _unless_zero(label: str, values: list[float | None], colour: int) -> list[Line]:
    return [Line(label, values, colour)] if any(values) else []


def shares_table(head: str, counts: dict[str, int]) -> Html:
    """Return counts with their shares, the largest first, each share as a bar too."""
    total = sum(counts.values()) or 1
    rows: list[list[Child]] = [
        [
            name,
            count_text(count),
            joined(
                el("span", share_text(count / total), class_="share"),
                el("span", class_="bar", style=f"--share:{count / total:.4f}"),
            ),
        ]
        for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    return table([head, "Count", "Share"], rows)


def receipts(results: Results, charts: Charts) -> Html:
    """Return how long customers waited to be told, and of which ends."""
    run = results.run
    told = {name: one for name, one in run.latencies.items() if name.startswith("receipt")}
    plot = charts.by_percentile(
        "Receipt to customer", told, note="From a carrier's receipt to the customer's callback.", height=240
    )
    states = shares_table("Final state", run.final_states) if run.final_states else None
    calls = facts(
        [
            ("Final states told", count_text(run.callbacks.events)),
            ("Callback requests", count_text(run.callbacks.requests)),
            ("Told again", count_text(run.callbacks.repeated)),
        ]
    )
    return _section("Receipts and final states", plot, latency_table(told), states, calls)


def queues(results: Results, charts: Charts) -> Html:
    """Return what waited, and how long the oldest of it."""
    seconds = results.seconds
    names = names_in(seconds, lambda one: one.queue)
    depth = charts.over_time(
        "Waiting, by class",
        [
            Line(name, [_waiting(one, name) for one in seconds], at, how="max")
            for at, name in enumerate(names, 1)
        ],
        unit="count",
        note="Accepted and not yet at a carrier. A gap is a second in which nobody could tell.",
    )
    oldest = [Line("oldest", column(seconds, lambda one: one.oldest_s), 3, how="max")]
    age = charts.over_time("Age of the oldest", oldest, unit="s", height=160)
    return _section("Queues", depth, age)


def _waiting(second: Second, name: str) -> float | None:
    return None if second.queue is None else second.queue.get(name, 0)


def recovery(run: Run) -> Html:
    """Return how long each fault was felt."""
    if not run.events:
        return _section("Recovery", el("p", "This scenario has no faults.", class_="empty"))
    rows: list[list[Child]] = [
        [
            event.what,
            event.carrier or UNMEASURED,
            clock_text(event.at_s),
            clock_text(event.until_s),
            seconds_text(event.takeover_s) if event.takeover_s is not None else UNMEASURED,
            seconds_text(event.recovery_s) if event.recovery_s is not None else "not seen",
            "nothing" if event.effect == "" else event.effect or UNMEASURED,
        ]
        for event in run.events
    ]
    note = (
        "Recovered means: carriers take the offered rate again, the one with the fault at least half of its share before. "
        "Counted from the end of the fault. Taken over means: they take it while the fault lasts, counted from its begin."
    )
    heads = ["Fault", "Carrier", "From", "To", "Taken over after", "Recovered after", "Seen"]
    return _section("Recovery", table(heads, rows, numbers_from=2), el("p", note, class_="note"))


def _section(title: str, *children: Child) -> Html:
    return el("section", el("h2", title), *children)
