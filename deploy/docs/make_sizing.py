"""Write the tables of scaling.md: what a rate of messages needs, from what one message was measured to cost.

Run `python deploy/docs/make_sizing.py` after changing a figure; it rewrites what is between the marks of the page.
Every figure names its source. Measure again on the machines you mean to use (`python -m tests.perf.bench --bus both`):
these are of two shared cores that carried everything, generator and simulator too. A message had one segment, its
receipt and a callback.
"""

import math
from pathlib import Path
from typing import Final, NamedTuple

PAGE: Final = Path(__file__).parent / "scaling.md"
BEGIN, END = "<!-- sizing -->", "<!-- end of sizing -->"
HOURLY: Final = (1_000_000, 10_000_000, 100_000_000)


class Figure(NamedTuple):
    """A number, its unit, and where it is from."""

    value: float
    unit: str
    source: str


_BENCH: Final = "`bench --bus both`, batches of 100"
_CALLED: Final = "`bench_kannel`, batches of 100, every delivery called back"
_SINGLE: Final = "`bench --bus both`, single POSTs, 64 at once"
_RELATIONS: Final = "size of the tables with their indexes after 6,000 messages"

FIGURES: Final = {
    "api": Figure(0.035, "CPU s per 1,000", _BENCH),
    "api, single POSTs": Figure(0.180, "CPU s per 1,000", _SINGLE),
    "dispatch": Figure(0.065, "CPU s per 1,000", _BENCH),
    "back": Figure(0.084, "CPU s per 1,000", _CALLED),
    "PostgreSQL, bus on Kafka": Figure(0.075, "CPU s per 1,000", _BENCH + ": 0.049; 0.026 for callbacks"),
    "PostgreSQL, bus in PostgreSQL": Figure(
        0.096, "CPU s per 1,000", _BENCH + ": 0.070; 0.026 for callbacks"
    ),
    "Kafka broker": Figure(0.076, "CPU s per 1,000", _BENCH + "; one broker, one replica"),
    "process": Figure(105, "MB resident", _BENCH + "; api and back, the largest"),
    "row": Figure(1_770, "octets per message", _RELATIONS + ": messages, submissions, timeline"),
    "log": Figure(
        400, "octets per message", "planned; 134 were measured, of texts that are all alike (zstd)"
    ),
    "peak": Figure(2.0, "times the mean", "planned: the busiest second over the mean of its hour"),
    "busy": Figure(0.6, "of a core", "planned: what a process may use in the busiest second"),
    "kept": Figure(30, "days", "default of `retention_days`"),
    "bus kept": Figure(
        1, "days", "planned: `trim` cuts what is read within seconds; a reader may be away for a day"
    ),
    "replicas": Figure(3, "copies", "`kafka.replication` in production"),
}


def _value(name: str) -> float:
    return FIGURES[name].value


def _cores(name: str, peak: float) -> float:
    return peak / 1000 * _value(name) / _value("busy")


def _processes(cores: float) -> int:
    """Return how many processes: each has one core, and two at least, so that one may die."""
    return max(2, math.ceil(cores))


def _size(octets: float) -> str:
    for unit in ("MB", "GB", "TB"):
        octets /= 1000 if unit != "MB" else 1_000_000
        if octets < 1000:
            return f"{octets:,.0f} {unit}" if octets >= 10 else f"{octets:,.1f} {unit}"
    return f"{octets:,.0f} TB"


def column(hourly: int) -> dict[str, str]:
    """Return what a rate needs, by the name of the row."""
    mean = hourly / 3600
    peak = mean * _value("peak")
    roles = {role: _processes(_cores(role, peak)) for role in ("api", "dispatch", "back")}
    singles = _processes(_cores("api, single POSTs", peak))
    daily = hourly * 24
    database = _cores("PostgreSQL, bus on Kafka", peak)
    brokers = _cores("Kafka broker", peak) * _value("replicas")
    servers = math.ceil(database / 32)
    return {
        "messages a second: mean, peak": f"{mean:,.0f}, {peak:,.0f}",
        "`api` processes, batches of 100": f"{roles['api']:,}",
        "`api` processes, single POSTs": f"{singles:,}",
        "`dispatch` processes, shards over all carriers": f"{roles['dispatch']:,}, {2 * roles['dispatch']:,}",
        "`back` processes": f"{roles['back']:,}",
        "partitions of `events` and `receipts`, each": f"{min(256, 2 * roles['back']):,}",
        "memory of all processes (batches)": _size(sum(roles.values()) * _value("process") * 1e6),
        "PostgreSQL: cores": f"{math.ceil(database):,}"
        + (f" ({servers} servers of 32)" if servers > 1 else ""),
        f"PostgreSQL: disk for {_value('kept'):.0f} days": _size(daily * _value("kept") * _value("row")),
        f"Kafka: cores over all brokers ({_value('replicas'):.0f} replicas)": f"{max(3, math.ceil(brokers)):,}",
        "Kafka: disk over all brokers": _size(
            daily * _value("bus kept") * _value("log") * _value("replicas")
        ),
        "without Kafka: cores of PostgreSQL": f"{math.ceil(_cores('PostgreSQL, bus in PostgreSQL', peak)):,}",
    }


def tables() -> str:
    """Return both tables: what each rate needs, and what that was computed from."""
    columns = [column(hourly) for hourly in HOURLY]
    lines = [
        "| an hour's messages, all day | " + " | ".join(f"{hourly / 1e6:,.0f} M" for hourly in HOURLY) + " |",
        "|---|" + "---|" * len(HOURLY),
        *(f"| {name} | " + " | ".join(one[name] for one in columns) + " |" for name in columns[0]),
        "",
        "Computed by `deploy/docs/make_sizing.py` from these figures; `bench` is `python -m tests.perf.bench`.",
        "",
        "| figure | value | source |",
        "|---|---|---|",
        *(f"| {name} | {one.value:,g} {one.unit} | {one.source} |" for name, one in FIGURES.items()),
    ]
    return "\n".join(lines)


def page(text: str) -> str:
    """Return the page with new tables."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{tables()}\n{END}{tail}"


def main() -> None:
    """Rewrite the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
