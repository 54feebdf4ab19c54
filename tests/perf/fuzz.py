"""Long fuzzing of the SMPP stack: `python -m tests.perf.fuzz --seconds 600 [--seed N] [--target session]`.

A mutation engine in plain Python over `fuzz_mutations`, feeding every target of `fuzz_targets`. Prints executions per
second; a finding is written as a reproducer (octets, and beside it target, seed and traceback), made smaller first.
`--replay FILE` runs one file through every target. Exit code 1 when anything was found.
"""

import argparse
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random

from tests.perf.fuzz_mutations import a_stream, read_corpus, write_corpus
from tests.perf.fuzz_targets import TARGETS

SLOW_S = 1.0
REPORT_EVERY_S = 10.0
MAX_FINDINGS = 20
FINDINGS_FOLDER = Path("var") / "fuzz"


class SlowInputError(AssertionError):
    """An input took longer than SLOW_S of CPU: work is not linear in its octets."""


def run_once(target: str, data: bytes, seed: int) -> None:
    """Run one target on one input; raises whatever it finds."""
    started = time.process_time()
    TARGETS[target](data, Random(seed))
    spent_s = time.process_time() - started
    if spent_s > SLOW_S:
        raise SlowInputError(f"{len(data)} octets took {spent_s:.2f} s of CPU")


def fails(target: str, data: bytes, seed: int) -> str | None:
    """Return what went wrong as `Type at file:line`, None when nothing did."""
    try:
        run_once(target, data, seed)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
    return None


def made_smaller(target: str, data: bytes, seed: int) -> bytes:
    """Return a shorter input that fails at the same place, by leaving out ever smaller pieces."""
    what = fails(target, data, seed)
    size = len(data) // 2
    deadline = time.monotonic() + 10
    while size and time.monotonic() < deadline:
        at = 0
        while at < len(data):
            shorter = data[:at] + data[at + size :]
            if fails(target, shorter, seed) == what:
                data = shorter
            else:
                at += size
        size //= 2
    return data


class Findings:
    """What was found, once per place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places: Counter[str] = Counter()

    def add(self, target: str, data: bytes, seed: int, error: BaseException) -> None:
        """Count a finding; the first at its place is made smaller and written."""
        place = f"{target}: {fails(target, data, seed) or type(error).__name__}"
        self.places[place] += 1
        if self.places[place] > 1 or len(self.places) > MAX_FINDINGS:
            return
        small = made_smaller(target, data, seed)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{target}_{len(self.places):02}.bin"
        path.write_bytes(small)
        trace = "".join(traceback.format_exception(error))
        path.with_suffix(".txt").write_text(f"target {target}\nseed {seed}\n{trace}", encoding="utf-8")
        print(f"FOUND {place}; {len(small)} octets in {path}\n{trace}", flush=True)


def fuzz(*, seconds: float, seed: int, targets: list[str], findings: Findings) -> int:
    """Run until the time is over and return the number of executions."""
    corpus = tuple(read_corpus().values())
    rng = Random(seed)
    executions, octets = 0, 0
    started = reported = time.monotonic()
    while (now := time.monotonic()) < started + seconds:
        data = a_stream(rng, corpus=corpus)
        octets += len(data)
        for target in targets:
            own = rng.getrandbits(32)
            try:
                run_once(target, data, own)
            except Exception as error:
                findings.add(target, data, own, error)
            executions += 1
        if now > reported + REPORT_EVERY_S:
            reported = now
            print(
                f"{now - started:6.0f} s  {executions:9,} executions  {executions / (now - started):7,.0f}/s  "
                f"{octets / 1e6:7.1f} MB  {len(findings.places)} findings",
                flush=True,
            )
    return executions


def main() -> int:
    """Read the command line and fuzz."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None, help="default: the time")
    parser.add_argument("--target", choices=sorted(TARGETS), action="append")
    parser.add_argument("--findings", type=Path, default=FINDINGS_FOLDER)
    parser.add_argument("--replay", type=Path, help="run this file through the targets and stop")
    parser.add_argument("--write-corpus", action="store_true", help="write the named cases anew and stop")
    given = parser.parse_args()
    if given.write_corpus:
        print(f"{write_corpus()} cases written")
        return 0
    targets = given.target or sorted(TARGETS)
    if given.replay:
        for target in targets:
            for seed in range(200):
                run_once(target, given.replay.read_bytes(), seed)
        return 0
    seed = int(time.time()) if given.seed is None else given.seed
    findings = Findings(given.findings)
    print(f"seed {seed}, targets {', '.join(targets)}", flush=True)
    started = time.monotonic()
    executions = fuzz(seconds=given.seconds, seed=seed, targets=targets, findings=findings)
    spent_s = time.monotonic() - started
    print(f"{executions:,} executions in {spent_s:.0f} s = {executions / spent_s:,.0f}/s, seed {seed}")
    for place, count in findings.places.most_common():
        print(f"{count:8,} x {place}")
    return 1 if findings.places else 0


if __name__ == "__main__":
    sys.exit(main())
