"""What one part of `make bench` found: printed as it comes, and kept with the machine, the commit and the command.

Every bench makes one `Report`, prints its tables through it and writes it with `--json FILE`; `python -m tests.perf`
collects those files and `deploy/docs/make_benchmarks.py` makes a page of them.
"""

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent.parent
FORMAT = 1

Cell = str | float | int | None


def json_option(parser: argparse.ArgumentParser) -> None:
    """Add `--json FILE` to a bench."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found there too")


def shown(value: Cell) -> str:
    """Return a cell as people read it: thousands apart, four digits after the point below 1."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.4f}"


class Report:
    """The tables and notes of one part, such as `kannel`."""

    def __init__(self, part: str) -> None:
        self.part = part
        self._tables: list[dict[str, Any]] = []
        self._notes: list[str] = []
        self._headlines: list[str] = []
        self._began = datetime.now(UTC)
        self._load = psutil.getloadavg()[0]
        print(f"{part}: {psutil.cpu_count()} cores, load {self._load:.2f} before")

    def table(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, note: str = ""
    ) -> None:
        """Print a table and keep it; the first column names the rows."""
        assert all(len(row) == len(columns) for row in rows), title
        self._tables.append(
            {"title": title, "columns": list(columns), "rows": [list(row) for row in rows], "note": note}
        )
        cells = [list(columns), *([shown(cell) for cell in row] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        print(f"\n{title}")
        for row in cells:
            rest = "".join(f"{cell:>{width + 2}}" for cell, width in zip(row[1:], widths[1:], strict=True))
            print(f"  {row[0]:<{widths[0]}}{rest}")
        if note:
            print(f"  {note}")

    def beside(self, title: str, found: Mapping[str, Mapping[str, Cell]], *, note: str = "") -> None:
        """Print and keep a table with a column for each key of `found`; their rows are joined by name."""
        names = list(dict.fromkeys(name for column in found.values() for name in column))
        rows = [[name, *(column.get(name) for column in found.values())] for name in names]
        self.table(title, ["", *found], rows, note=note)

    def note(self, text: str) -> None:
        """Print a line that must stand by the figures, and keep it."""
        self._notes.append(text)
        print(f"  {text}")

    def headline(self, text: str) -> None:
        """Print a sentence that says what the tables come to, and keep it for the top of the page."""
        self._headlines.append(text)
        print(f"\n{text}")

    def write(self, path: Path | None) -> None:
        """Write everything as JSON; nothing without a path."""
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.tree(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    def tree(self) -> dict[str, Any]:
        """Return what `write` writes."""
        return {
            "format": FORMAT,
            "part": self.part,
            "command": command(),
            "began_at": self._began.isoformat(timespec="seconds"),
            "took_s": round((datetime.now(UTC) - self._began).total_seconds(), 1),
            "load_before": round(self._load, 2),
            "load_after": round(psutil.getloadavg()[0], 2),
            "commit": commit(),
            "machine": machine(),
            "headlines": self._headlines,
            "tables": self._tables,
            "notes": self._notes,
        }


def command() -> str:
    """Return the command line that started this process, to be typed again; without `--json`."""
    words = sys.orig_argv[1:]
    if "--json" in words:
        at = words.index("--json")
        words = words[:at] + words[at + 2 :]
    return " ".join(["python", *words])


@lru_cache(maxsize=1)
def commit() -> str:
    """Return the short commit, with a mark where files differ from it; `unknown` outside a repository."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=10"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return said.stdout.strip() or "unknown"


def machine() -> dict[str, Any]:
    """Return the facts that figures depend on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor() or "unknown",
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "kernel": platform.release(),
        "python": f"{platform.python_version()} ({'of the distribution' if sys.base_prefix == '/usr' else 'not of the distribution'})",
    }
