"""The table in deploy/docs/reliability.md: one row a fault and bus; runs made later are added to it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.faults.books import Outcome
from tests.faults.catalogue import BOTH, FAULTS

PAGE = Path(__file__).parents[2] / "deploy" / "docs" / "reliability.md"
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
COLUMNS = (
    "fault",
    "bus",
    "runs",
    "runs that broke a promise",
    "accepted",
    "lost",
    "doubled, worst run",
    "bound",
    "must not be doubled, and was",
    "recovery, mean",
    "recovery, worst",
    "drained, worst",
)


@dataclass
class Row:
    """The runs of one fault on one bus, added up."""

    fault: str
    bus: str
    runs: int = 0
    broken: int = 0
    accepted: int = 0
    lost: int = 0
    doubled: int = 0
    bound: int = 0
    repeated: int = 0
    mean_s: float = 0.0
    recovery_s: float = 0.0
    drained_s: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Add one run."""
        self.mean_s = (self.mean_s * self.runs + outcome.recovery_s) / (self.runs + 1)
        self.runs += 1
        self.broken += bool(outcome.trouble)
        self.accepted += outcome.accepted
        self.lost += outcome.lost
        self.doubled = max(self.doubled, outcome.doubled)
        self.repeated += outcome.repeated
        self.bound = outcome.bound
        self.recovery_s = max(self.recovery_s, outcome.recovery_s)
        self.drained_s = max(self.drained_s, outcome.drained_s)

    def __str__(self) -> str:
        times = (f"{one:.1f} s" for one in (self.mean_s, self.recovery_s, self.drained_s))
        cells = (
            self.fault,
            self.bus,
            self.runs,
            self.broken,
            self.accepted,
            self.lost,
            self.doubled,
            self.bound,
            self.repeated,
            *times,
        )
        return "| " + " | ".join(map(str, cells)) + " |"


class Table:
    """Rows by fault and bus."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._rows = {(row.fault, row.bus): row for row in rows}

    def merge(self, other: "Table") -> None:
        """Add the runs of another table."""
        for key, row in other._rows.items():
            mine = self._rows.setdefault(key, Row(row.fault, row.bus))
            total = mine.runs + row.runs
            mine.mean_s = (mine.mean_s * mine.runs + row.mean_s * row.runs) / max(total, 1)
            mine.runs, mine.bound = total, row.bound
            mine.broken += row.broken
            mine.accepted += row.accepted
            mine.lost += row.lost
            mine.repeated += row.repeated
            mine.doubled = max(mine.doubled, row.doubled)
            mine.recovery_s = max(mine.recovery_s, row.recovery_s)
            mine.drained_s = max(mine.drained_s, row.drained_s)

    def runs(self, fault: str, bus: str) -> int:
        """Return how many runs are in the row."""
        row = self._rows.get((fault, bus))
        return row.runs if row else 0

    def add(self, outcome: Outcome) -> None:
        """Add one run to its row."""
        row = self._rows.setdefault((outcome.fault, outcome.bus), Row(outcome.fault, outcome.bus))
        row.add(outcome)

    def __str__(self) -> str:
        order = [(name, bus) for name in FAULTS for bus in BOTH]
        rows = [str(self._rows[one]) for one in order if one in self._rows]
        return "\n".join(["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS), *rows])


def read(page: Path = PAGE) -> Table:
    """Return the table that is on the page; empty where there is none yet."""
    found = []
    for line in _parts(page)[1].splitlines()[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        counts = [int(cell) for cell in cells[2:9]]
        times = [float(re.sub(r"[^\d.]", "", cell)) for cell in cells[9:]]
        found.append(Row(cells[0], cells[1], *counts, *times))
    return Table(found)


def write(table: Table, page: Path = PAGE) -> None:
    """Put the table on the page."""
    before, _, after = _parts(page)
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


def _parts(page: Path) -> tuple[str, str, str]:
    before, rest = page.read_text().split(BEGIN)
    inside, after = rest.split(END)
    return before, inside.strip(), after
