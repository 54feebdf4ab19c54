"""The parts of the HTML report that prove the others: conservation, generator, host, scenario and configuration.

Each function returns one section for `html.write_report`.
"""

from typing import Any, Final

from loadtest.report.charts import Charts, Line
from loadtest.report.markup import Child, Html, el, facts, joined, table
from loadtest.report.points import column, names_in
from loadtest.report.wording import UNMEASURED, count_text, megabytes_text, seconds_text, share_text
from loadtest.results import Results, Run

LATENESS_LIMIT_MS: Final = 50.0
"""Above this 99th percentile of lateness a run is INVALID."""

_COUNTED: Final = {
    "accepted": "messages answered 202, by the generator's list",
    "taken_segments": "segments taken, by the carriers' own records",
    "ended": "messages with a final state, by the gateway's answer",
    "told": "final states told, by the callbacks that customers got",
}
_BROKEN: Final = {
    "lost": "accepted, and neither at a carrier nor ended",
    "stuck": "accepted, and not final at the end of the drain",
    "duplicated": "at a carrier more than once, against its class or without a cause",
    "incomplete": "ended as sent, with segments that no carrier got",
    "invented": "ended as sent, and never at a carrier",
    "unclaimed": "at a carrier, ended or told, and never accepted",
    "accepted_twice": "one id answered 202 for two messages",
}
"""Findings that break conservation: something vanished, or came from nowhere."""
_NOTED: Final = {
    "wrong_order": "at a carrier after a later one to the same recipient",
    "late": "at a carrier later than allowed",
    "callbacks_missing": "final, and the customer was not told",
}
"""Findings that only matter where a promise says so."""
_ALLOWED: Final = {
    "in_doubt": "stuck: a fault cut off the answer to its submit, and no carrier had got it",
    "duplicated_by_fault": "doubled by a fault, of a class that may be",
    "callbacks_repeated": "told again; customers are told at least once",
}


def finding_count(ledger: dict[str, Any], name: str) -> int | None:
    """Return how many a finding of the ledger has, None where it is not there."""
    found = ledger.get(name)
    count = found.get("count") if isinstance(found, dict) else found
    return count if isinstance(count, int) else None


def broken_findings(run: Run) -> list[tuple[str, int]]:
    """Return what breaks conservation, with counts; what a promise of the run allows does not."""
    allowed = {row.figure for row in run.promises if row.is_kept}
    return [
        (name, count)
        for name in _BROKEN
        if (count := finding_count(run.ledger, name)) and name not in allowed
    ]


def conservation(run: Run) -> Html:
    """Return the account of the messages: four independent lists and what does not agree."""
    if not run.ledger:
        return _section("Conservation", el("p", "Not reconciled in this run.", class_="empty"))
    counted: list[list[Child]] = [
        [_named(name, meaning), count_text(finding_count(run.ledger, name))]
        for name, meaning in _COUNTED.items()
    ]
    promised = {row.figure for row in run.promises if row.is_kept}
    rows = [
        _finding_row(
            run.ledger, name, meaning, *(("allowed", "allowed") if name in promised else (word, kind))
        )
        for findings, word, kind in (
            (_BROKEN, "✗ not empty", "missed"),
            (_NOTED, "found", "allowed"),
            (_ALLOWED, "allowed", "allowed"),
        )
        for name, meaning in findings.items()
    ]
    intro = "Every message is accounted for by its id over lists that do not know of each other. No metric and no log is believed."
    return _section(
        "Conservation",
        el("p", intro),
        table(["Counted", "Number"], counted),
        table(["Found", "Verdict", "Number", "Examples"], [row for row in rows if row], numbers_from=2),
    )


def _named(name: str, meaning: str) -> Html:
    return joined(el("code", name), el("span", meaning, class_="meaning"))


def _finding_row(ledger: dict[str, Any], name: str, meaning: str, word: str, kind: str) -> list[Child]:
    count = finding_count(ledger, name)
    if count is None:
        return []
    found = ledger[name]
    examples = found.get("examples", []) if isinstance(found, dict) else []
    told = (
        el("details", el("summary", "the first"), el("code", " ".join(map(str, examples))))
        if examples
        else None
    )
    mark = el("span", word if count else "✓ none", class_=kind if count else "kept")
    return [_named(name, meaning), mark, count_text(count), told]


def generator(results: Results, charts: Charts) -> Html:
    """Return what the generator wanted and did, and how late it was."""
    made = results.run.generator
    told = facts(
        [
            ("Wanted", f"{count_text(made.offered)} messages"),
            (
                "Sent",
                f"{count_text(made.sent)} messages"
                + (f" ({share_text(made.sent / made.offered)})" if made.offered else ""),
            ),
            ("Requests", count_text(made.requests)),
            ("Refused", count_text(made.refused)),
            ("Repeated on purpose", count_text(made.repeated)),
            ("Lateness p50", seconds_text(made.lateness_p50_s)),
            ("Lateness p99", seconds_text(made.lateness_p99_s)),
            ("Lateness, highest", seconds_text(made.lateness_max_s)),
        ]
    )
    limit: list[float | None] = [LATENESS_LIMIT_MS] * len(results.seconds)
    late = column(results.seconds, lambda one: one.lateness_p99_ms)
    lines = [Line("p99", late, 1, how="max")]
    if any(value is not None for value in late):
        lines.insert(0, Line("limit", limit, 0, is_dashed=True))
    chart = charts.over_time(
        "Lateness",
        lines,
        unit="ms",
        note=f"How long after its intended start a request left. Above {LATENESS_LIMIT_MS:g} ms over the whole run nothing is proven.",
        height=160,
    )
    return _section("Generator", told, chart)


def host(results: Results, charts: Charts) -> Html:
    """Return the machine, the versions and what each process cost."""
    seconds, facts_of = results.seconds, results.run.host
    processes = names_in(seconds, lambda one: one.cpu)
    cpu = charts.over_time(
        "Processor by process",
        [Line(name, [one.cpu.get(name) for one in seconds], at) for at, name in enumerate(processes, 1)],
        unit="percent",
        note="Per cent of one core.",
    )
    resident = names_in(seconds, lambda one: one.rss_mb)
    memory = charts.over_time(
        "Memory by process",
        [
            Line(name, [one.rss_mb.get(name) for one in seconds], at, how="max")
            for at, name in enumerate(resident, 1)
        ],
        unit="count",
        note="Resident, in MB.",
        height=180,
    )
    told = facts(
        [
            ("Processor", f"{facts_of.cpu_model or 'unknown'}, {facts_of.cores or UNMEASURED} cores"),
            ("Memory", megabytes_text(facts_of.memory_mb or None)),
            ("Load before and after", f"{_load(facts_of.load_before)}, {_load(facts_of.load_after)}"),
            ("System", facts_of.platform or UNMEASURED),
            ("Python", facts_of.python or UNMEASURED),
            ("Gateway", facts_of.gateway_version or UNMEASURED),
            ("Commit", facts_of.git_commit or UNMEASURED),
            ("Configuration", facts_of.config_digest or UNMEASURED),
        ]
    )
    return _section("Host", told, _costs(results.run), cpu, memory)


def _costs(run: Run) -> Html | None:
    """Return what each process cost, the gateway's first, each side with its sum."""
    rows: list[list[Child]] = []
    for of_tool, title in ((False, "Gateway together"), (True, "Load tool together")):
        several = {name: cost for name, cost in run.processes.items() if run.is_of_tool(name) == of_tool}
        rows += [
            [
                name,
                f"{cost.cpu_s:,.1f} s",
                _thousand(cost.cpu_s_per_1000),
                megabytes_text(cost.rss_mb_max),
            ]
            for name, cost in several.items()
        ]
        if several:
            spent = sum(cost.cpu_s for cost in several.values())
            cells = (title, f"{spent:,.1f} s", _thousand(run.cpu_s_per_1000(of_tool=of_tool)))
            rows.append([*(el("strong", cell) for cell in cells), None])
    return table(["Process", "CPU", "CPU per 1,000 messages", "Highest memory"], rows) if rows else None


def _thousand(value: float | None) -> str:
    return UNMEASURED if value is None else f"{value:.3f} s"


def _load(value: float | None) -> str:
    return UNMEASURED if value is None else f"{value:.2f}"


def sources(results: Results) -> Html:
    """Return scenario and configuration as they were, folded."""
    parts: list[Child] = [_folded("Scenario", results.scenario_text)]
    if results.gateway_text is not None:
        parts.append(_folded("Gateway configuration, secrets masked", results.gateway_text))
    digest = results.run.scenario_digest
    parts.append(el("p", "Digest of the scenario: ", el("code", digest), class_="note") if digest else None)
    parts.append(
        el(
            "p",
            "Every second of the run is in results.jsonl beside this file, its outcome in run.json.",
            class_="note",
        )
    )
    return _section("Scenario and configuration", *parts)


def _folded(title: str, text: str) -> Html:
    return el("details", el("summary", title), el("pre", text or "not kept"))


def _section(title: str, *children: Child) -> Html:
    return el("section", el("h2", title), *children)
