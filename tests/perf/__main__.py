"""`make bench`: `python -m tests.perf` runs every part of the bench, one after the other, in less than twelve minutes.

Each part is a command of its own and leaves its figures as JSON in a directory (`--out`); `--write` makes
deploy/docs/benchmarks.md of them. `--quick` runs with a tenth of the messages, to see that everything works: figures of
such a run say little. A part that fails is said at the end, its exit code becomes that of this command, and the page
keeps what it had of it.
"""

import argparse
import importlib.util
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
PAGE_MAKER = ROOT / "deploy" / "docs" / "make_benchmarks.py"
DEADLINE_S = 400.0
STOP_S = 60.0


class Part(NamedTuple):
    """One command; `sizes` are its options that count messages or events."""

    name: str
    module: str
    sizes: Mapping[str, int] = MappingProxyType({})
    arguments: tuple[str, ...] = ()

    def command(self, file: Path, *, share: float) -> list[str]:
        """Return what to run; `share` of the messages."""
        sizes = [
            part for option, size in self.sizes.items() for part in (option, str(max(200, int(size * share))))
        ]
        return [sys.executable, "-m", self.module, *self.arguments, *sizes, "--json", str(file)]


PARTS = (
    Part("whole-life", "tests.perf.bench", {"--count": 15_000, "--single": 4_000}),
    Part("buses", "tests.perf.bench", {"--count": 8_000, "--single": 3_000}, ("--bus", "both")),
    Part("kannel", "tests.perf.bench_kannel", {"--count": 8_000}),
    Part("accept", "tests.perf.bench", {"--single": 2_000}, ("--accept", "--turns", "21")),
    Part("receipts", "tests.perf.receipt_storm", {"--count": 20_000}, ("--background", "0")),
    Part("smpp", "tests.perf.bench_smpp", {"--count": 30_000}),
    Part("lane", "tests.perf.bench_lane", {"--messages": 15_000}),
    Part("http", "tests.perf.bench_http", {"--messages": 8_000}),
    Part("webhooks", "tests.perf.bench_webhooks", {"--events": 20_000, "--messages": 4_000}),
    Part("overhead", "tests.perf.bench_overhead"),
)


def run(part: Part, folder: Path, *, share: float) -> str:
    """Run one part; return what went wrong, or nothing."""
    file = folder / f"{part.name}.json"
    file.unlink(missing_ok=True)
    command = part.command(file, share=share)
    print(f"\n=== {part.name}: python {' '.join(command[1:])}", flush=True)
    began = time.monotonic()
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            code = process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            _end(process)
            return f"not done within {DEADLINE_S:.0f} s"
        except KeyboardInterrupt:
            _end(process)
            raise
    print(f"=== {part.name}: {time.monotonic() - began:.0f} s", flush=True)
    if code:
        return f"exit code {code}"
    return "" if file.exists() else "left out"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let a part stop what it started: it would outlive a part that is killed."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()


def main() -> int:
    """Read the command line, run the parts; return 1 when one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="directory for the JSON files; a new one by default")
    parser.add_argument("--only", nargs="+", choices=[part.name for part in PARTS], metavar="PART")
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages")
    parser.add_argument("--write", action="store_true", help="write deploy/docs/benchmarks.md")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the part that runs is to stop what it started
    folder = (chosen.out or Path(tempfile.mkdtemp(prefix="caudal-bench-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    wrong: dict[str, str] = {}
    began = time.monotonic()
    for part in PARTS:
        if chosen.only and part.name not in chosen.only:
            continue
        if importlib.util.find_spec(part.module) is None:
            wrong[part.name] = "left out"
            continue
        if said := run(part, folder, share=0.1 if chosen.quick else 1.0):
            wrong[part.name] = said
    print(f"\nall parts: {time.monotonic() - began:.0f} s; figures in {folder}")
    if chosen.write:
        subprocess.run([sys.executable, str(PAGE_MAKER), str(folder)], cwd=ROOT, timeout=60, check=True)
    for name, said in wrong.items():
        print(f"*** {name}: {said} ***")
    return int(any(said != "left out" for said in wrong.values()))


if __name__ == "__main__":
    sys.exit(main())
