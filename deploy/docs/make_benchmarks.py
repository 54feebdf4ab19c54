"""Write benchmarks.md from what the parts of `make bench` measured.

Usage: python deploy/docs/make_benchmarks.py [DIRECTORY]

With the directory of a run (`python -m tests.perf --out DIRECTORY`) its figures replace those of the same parts in
benchmarks.json; parts that it has not are kept. The page is made of benchmarks.json alone; a test checks that it is.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
PAGE: Final = HERE / "benchmarks.md"
FIGURES: Final = HERE / "benchmarks.json"

SECTIONS: Final = {
    "whole-life": (
        "The whole life of a message",
        (
            "Accept over HTTP, bus, submit over SMPP, receipt, store, callback: all processes of one gateway with the embedded"
            " PostgreSQL, and the simulator as carrier (responses after 2 ms, receipts after 300 ms). Time runs until the last"
            " message is final in the database and, where deliveries are called back, told. The stages are cut apart by pausing"
            " the carrier and holding its receipts; a life that flows costs less than their sum."
        ),
    ),
    "kannel": (
        "Beside Kannel",
        (
            "The same texts to the same numbers through Caudal and through Kannel 1.4.5, in turns, each with a simulator of its"
            " own: a receipt for every message, and every delivery told to the customer. Kannel's settings are those that suit"
            " it (`tests/perf/kannel.py`)."
        ),
    ),
    "buses": (
        "On both buses",
        (
            "The same load on the Postgres bus and on Kafka (one broker on the same machine), in turns. On several hosts the"
            " broker is somebody else's machine."
        ),
    ),
    "accept": (
        "What accepting costs",
        (
            "Single POSTs to a gateway whose carrier is paused, against a Starlette route on the same server that decodes the"
            " same body and answers an id, in turns."
        ),
    ),
    "receipts": (
        "Receipts",
        "The carrier holds its receipts back and lets go of all at once; nothing else is sent meanwhile.",
    ),
    "smpp": (
        "SMPP",
        "The codec by itself, and one ESME session against a raw sink. The peers get fewer messages.",
    ),
    "lane": (
        "Dispatch",
        "The dispatch loop with a link that answers at once and a bus in memory, in one process.",
    ),
    "http": (
        "HTTP carriers",
        "The link of HTTP carriers with a mapped dialect, against a raw sink that is not counted.",
    ),
    "webhooks": (
        "Webhooks and the recorder",
        "Delivery of events that lie on the bus, and what the recorder pays for telling.",
    ),
    "overhead": ("Metrics and logs", "The same load with them and without."),
}
HEAD: Final = """# Benchmarks

Measured by `make bench`, written by `deploy/docs/make_benchmarks.py` from `benchmarks.json`. CPU is user and system time
of the named process, in seconds per 1,000 messages; "CPU gateway" adds all processes of the gateway, its database
included, and leaves out the load generator, the simulator and the Kafka broker. Rates are those of everything on one
machine: generator, gateway, database, carrier and endpoint share its cores.

Figures depend on the machine and on what else it does: compare what stands in one table, and measure on yours before you
plan with them.
"""


def shown(value: Any) -> str:
    """Return a cell: thousands apart, three digits that say something."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def table(tree: dict[str, Any]) -> list[str]:
    """Return the lines of one table, its title before."""
    lines = [f"**{tree['title']}**", ""]
    lines.append("| " + " | ".join(tree["columns"]) + " |")
    lines.append("|---|" + "---:|" * (len(tree["columns"]) - 1))
    lines += ["| " + " | ".join(map(shown, row)) + " |" for row in tree["rows"]]
    return [*lines, "", *([tree["note"], ""] if tree["note"] else [])]


def section(part: str, found: dict[str, Any] | None) -> list[str]:
    """Return the lines of one part."""
    title, about = SECTIONS[part]
    lines = [f"## {title}", "", about, ""]
    if found is None:
        return [*lines, "Not measured yet.", ""]
    lines += [f"`{found['command']}`", ""]
    for one in found["tables"]:
        lines += table(one)
    for note in found["notes"]:
        lines += [note, ""]
    return lines


def runs(parts: dict[str, dict[str, Any]]) -> list[str]:
    """Return the table of where and when each part was measured."""
    lines = ["## Where and when", ""]
    for text in dict.fromkeys(_machine(found["machine"]) for found in parts.values()):
        lines += [f"- {text}"]
    lines += ["", "| part | began (UTC) | seconds | commit | load before, after |", "|---|---|---:|---|---|"]
    for part, found in parts.items():
        began = found["began_at"][:16].replace("T", " ")
        loads = f"{found['load_before']}, {found['load_after']}"
        lines.append(f"| {part} | {began} | {found['took_s']:.0f} | `{found['commit']}` | {loads} |")
    return [*lines, ""]


def _machine(facts: dict[str, Any]) -> str:
    return (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gb']} GB; Linux {facts['kernel']}, "
        f"CPython {facts['python']}"
    )


def page(parts: dict[str, dict[str, Any]]) -> str:
    """Return the page."""
    known = {part: parts[part] for part in SECTIONS if part in parts}
    lines = [HEAD]
    headlines = [text for found in known.values() for text in found["headlines"]]
    if headlines:
        lines += ["## In short", "", *(f"- {text}" for text in headlines), ""]
    for part in SECTIONS:
        lines += section(part, known.get(part))
    if known:
        lines += runs(known)
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Take the figures of a run, if one is named, and write the page."""
    parts = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    for directory in sys.argv[1:]:
        for file in sorted(Path(directory).glob("*.json")):
            found = json.loads(file.read_text(encoding="utf-8"))
            if found.get("part") in SECTIONS:
                parts[found["part"]] = found
    FIGURES.write_text(json.dumps(parts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
