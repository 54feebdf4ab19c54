"""What a load run leaves behind: its seconds, its outcome, and where both are on disk.

`loadtest run` writes them with `ResultsWriter`; `loadtest report` and `loadtest compare` read them with `read_results`.
A directory of results has `scenario.toml` (verbatim), `gateway.toml` where the tool started the gateway, `results.jsonl`
(one `Second` a line, flushed each second) and `run.json` (one `Run`, written at the end). Counts are of one second,
times are seconds since the start unless the name says otherwise, `null` is what was not measured.
"""

import os
import tomllib
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final, Literal, Self

import msgspec
from msgspec import Struct, field

FORMAT: Final = 1
SCENARIO_FILE: Final = "scenario.toml"
GATEWAY_FILE: Final = "gateway.toml"
SECONDS_FILE: Final = "results.jsonl"
RUN_FILE: Final = "run.json"
TOOL_PROCESSES: Final = frozenset(("loadtest", "generator", "sink"))
"""Processes of the tool; each simulated carrier has one of its own, named as the carrier."""
MAX_SECONDS: Final = 7 * 86_400
"""Seconds of a run that are read; a longer file is refused."""

Verdict = Literal["PASS", "FAIL", "INVALID", "INTERRUPTED"]


class ResultsError(ValueError):
    """Results that cannot be read; the text names file and line."""


class Percentiles(Struct, frozen=True):
    """Latencies of one second, in milliseconds."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float


class CarrierSecond(Struct, frozen=True):
    """One simulated carrier in one second.

    `submitted` are segments that it took, `throttled` and `refused` those that it did not; `bound` is how many binds
    are up, `mps_limit` its contract. Windows are those of all binds together.
    """

    submitted: int
    throttled: int = 0
    refused: int = 0
    bound: int = 0
    mps_limit: float = 0.0
    window_in_use: int | None = None
    window_size: int | None = None


class Second(Struct, frozen=True):
    """One second of a run.

    `target` is messages a second wanted, `submitted` segments taken by carriers, `in_flight` what is accepted and not
    final, `queue` what waits by class, `oldest_s` how long the oldest of that has waited, `cpu` percent of one core by
    process. In a second in which the gateway's metrics were not read these four are null; the `final` of the next reading
    is of all the seconds since the last one, so that the sum is right. `accept_hdr` is a base64 HdrHistogram of this second in microseconds (1 to 3,600,000,000, 3 digits).
    """

    t: float
    stage: str
    target: float
    offered: int
    accepted: int
    refused: int
    submitted: int
    final: int | None
    told: int
    in_flight: int | None
    accept: Percentiles | None = None
    accept_hdr: str | None = None
    lateness_p99_ms: float | None = None
    queue: dict[str, int] | None = None
    oldest_s: float | None = None
    carriers: dict[str, CarrierSecond] = {}
    cpu: dict[str, float] = {}
    rss_mb: dict[str, float] = {}
    load1: float | None = None


class PromiseRow(Struct, frozen=True):
    """A promise and what was measured. `margin` is how far inside (above 0) or outside, as a share of the limit."""

    figure: str
    meaning: str
    text: str
    limit: float
    measured: float | None
    is_kept: bool
    margin: float | None = None
    is_duration: bool = False


class EventBand(Struct, frozen=True):
    """A fault: from when to when it was on; `recovery_s` from its end to the offered rate at the carriers again.

    `takeover_s` is from its begin to that rate while it lasts; `effect` is what was seen of it, empty for nothing.
    """

    at_s: float
    until_s: float
    what: str
    carrier: str | None = None
    recovery_s: float | None = None
    takeover_s: float | None = None
    effect: str | None = None


class Latency(Struct, frozen=True):
    """A distribution over the whole run, in seconds. `hdr` is a base64 HdrHistogram in microseconds."""

    count: int
    p50_s: float | None = None
    p90_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None
    p999_s: float | None = None
    max_s: float | None = None
    hdr: str | None = None


class CarrierSummary(Struct, frozen=True):
    """One carrier over the run: its contract, what it took, and its answers by SMPP mnemonic or HTTP status."""

    mps: float
    binds: int
    taken: int
    statuses: dict[str, int] = {}
    worst_second: int = 0
    mean_per_s: float = 0.0


class Callbacks(Struct, frozen=True):
    """What customers were told: `events` final states, `requests` POSTs, `repeated` events told again."""

    events: int = 0
    requests: int = 0
    repeated: int = 0


class GeneratorFacts(Struct, frozen=True):
    """What the generator wanted and did. Lateness is how long after its intended start a request left."""

    offered: int = 0
    sent: int = 0
    requests: int = 0
    refused: int = 0
    repeated: int = 0
    lateness_p50_s: float | None = None
    lateness_p99_s: float | None = None
    lateness_max_s: float | None = None


class ProcessCost(Struct, frozen=True):
    """Processor time of one process over the run, and for 1,000 messages."""

    cpu_s: float
    cpu_s_per_1000: float | None = None
    rss_mb_max: float | None = None


class HostFacts(Struct, frozen=True):
    """The machine and the versions: what makes two runs comparable."""

    cores: int
    cpu_model: str = ""
    memory_mb: float = 0.0
    load_before: float | None = None
    load_after: float | None = None
    platform: str = ""
    python: str = ""
    git_commit: str | None = None
    gateway_version: str | None = None
    config_digest: str | None = None


class Run(Struct, frozen=True):
    """The outcome of a run. `ledger` is `Reconciliation.report()`; `reasons` are the verdict in sentences."""

    name: str
    started_at: str
    duration_s: float
    seed: int
    scenario_digest: str
    target_per_s: float
    verdict: Verdict
    host: HostFacts
    format: int = FORMAT
    about: str = ""
    overrides: list[str] = []
    scenario: dict[str, Any] = {}
    reasons: list[str] = []
    promises: list[PromiseRow] = []
    figures: dict[str, float | None] = {}
    ledger: dict[str, Any] = {}
    events: list[EventBand] = []
    latencies: dict[str, Latency] = {}
    final_states: dict[str, int] = {}
    carriers: dict[str, CarrierSummary] = {}
    callbacks: Callbacks = field(default_factory=Callbacks)
    generator: GeneratorFacts = field(default_factory=GeneratorFacts)
    processes: dict[str, ProcessCost] = {}

    def is_of_tool(self, process: str) -> bool:
        """Say whether a process belongs to the load tool (itself, generator, sink, simulated carriers)."""
        return process in TOOL_PROCESSES or process in self.carriers

    def cpu_s_per_1000(self, *, of_tool: bool = False) -> float | None:
        """Return what the processes of the gateway, or of the tool, cost for 1,000 messages together."""
        costs = [
            cost.cpu_s_per_1000
            for name, cost in self.processes.items()
            if cost.cpu_s_per_1000 is not None and self.is_of_tool(name) == of_tool
        ]
        return sum(costs) if costs else None


class Results(Struct, frozen=True):
    """All that a directory says. `is_complete` is False where `run.json` is missing and `run` was made up from the rest."""

    directory: Path
    run: Run
    seconds: list[Second]
    is_complete: bool = True
    scenario_text: str = ""
    gateway_text: str | None = None


class ResultsWriter:
    """Writes the results of one run, each second as it comes. Owned by the run; close it once."""

    def __init__(self, directory: Path) -> None:
        """Open `results.jsonl` in a directory, which is made. Raises OSError, FileExistsError where it has results."""
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self._file: TextIOWrapper | None = (directory / SECONDS_FILE).open("x", encoding="utf-8")
        self._encode = msgspec.json.Encoder().encode

    def add(self, second: Second) -> None:
        """Append one second and hand it to the system, so that a killed run keeps it. Raises OSError."""
        if self._file is None:
            raise ValueError(f"{self.directory / SECONDS_FILE} is closed")
        self._file.write(self._encode(second).decode() + "\n")
        self._file.flush()

    def close(self, run: Run | None) -> None:
        """Write `run.json` whole or not at all; without a run only close. Raises OSError."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if run is None:
            return
        path = self.directory / RUN_FILE
        draft = path.with_suffix(".json.part")
        with draft.open("wb") as file:
            file.write(msgspec.json.format(self._encode(run), indent=1) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close(None)


def read_results(directory: Path) -> Results:
    """Return what a run left in a directory. Raises ResultsError, which names file and line.

    Without `run.json` (a run that was killed) the outcome is INTERRUPTED and says so; a last line that was cut off in
    the middle is left out.
    """
    run_path, seconds_path = directory / RUN_FILE, directory / SECONDS_FILE
    if not run_path.is_file() and not seconds_path.is_file():
        raise ResultsError(f"{directory}: neither {RUN_FILE} nor {SECONDS_FILE}: no results of a run")
    seconds = _read_seconds(seconds_path) if seconds_path.is_file() else []
    scenario_text = _text(directory / SCENARIO_FILE) or ""
    is_complete = run_path.is_file()
    run = _read_run(run_path) if is_complete else _killed_run(directory, seconds, scenario_text)
    return Results(directory, run, seconds, is_complete, scenario_text, _text(directory / GATEWAY_FILE))


def _text(path: Path) -> str | None:
    """Return a file's text, None without the file; octets that are not UTF-8 are replaced."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror}") from None


def _read_run(path: Path) -> Run:
    try:
        octets = path.read_bytes()
        found = msgspec.json.decode(octets, type=dict[str, Any]).get("format")
        if found != FORMAT:
            raise ResultsError(f"{path}: format {found!r} is not {FORMAT}, the one that this tool reads")
        return msgspec.json.decode(octets, type=Run)
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ResultsError(f"{path}: {error}") from None


def _read_seconds(path: Path) -> list[Second]:
    decode = msgspec.json.Decoder(Second).decode
    seconds: list[Second] = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if number > MAX_SECONDS:
                    raise ResultsError(f"{path}:{number}: more than {MAX_SECONDS} seconds")
                try:
                    seconds.append(decode(line))
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    if not line.endswith(b"\n"):
                        break  # the run was killed while it wrote this line
                    raise ResultsError(f"{path}:{number}: {error}") from None
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror}") from None
    return seconds


def _killed_run(directory: Path, seconds: list[Second], scenario_text: str) -> Run:
    """Return what can be said of a run that did not come to its end."""
    try:
        scenario = tomllib.loads(scenario_text)
    except tomllib.TOMLDecodeError:
        scenario = {}
    heading = scenario.get("scenario")
    about: dict[str, Any] = heading if isinstance(heading, dict) else {}
    seed = about.get("seed", 0)
    return Run(
        name=str(about.get("name", directory.name)),
        about=str(about.get("about", "")),
        started_at="",
        duration_s=seconds[-1].t if seconds else 0.0,
        seed=seed if isinstance(seed, int) else 0,
        scenario_digest="",
        scenario=scenario,
        target_per_s=max((second.target for second in seconds), default=0.0),
        verdict="INTERRUPTED",
        reasons=[
            f"The run was killed before its end: {RUN_FILE} is missing, so no promise was judged and nothing reconciled."
        ],
        host=HostFacts(cores=0),
    )
