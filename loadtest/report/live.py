"""The live view of a load run: five lines on a terminal, one plain line a second where the output is a pipe.

`loadtest run` owns a `LiveView` for the length of a run and calls `update` once a second. Nothing here measures.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from rich.console import Console, ConsoleOptions
from rich.live import Live
from rich.text import Text

from loadtest.promises import judge
from loadtest.report.wording import clock_text, count_text, figure_text, seconds_text
from loadtest.results import CarrierSecond, Second
from loadtest.scenario import Scenario

MAX_CARRIERS: Final = 12
MAX_PROCESSES: Final = 6
_GAP: Final = "   "

_SHORT: Final = {
    "submitted_mps_worst_minute": "worst minute",
    "submitted_mps_mean": "mean rate",
    "contract_worst_second": "contract",
    "error_ratio": "errors",
    "throttled_ratio": "throttled",
    "duplicated": "dup",
    "duplicated_by_fault": "dup by fault",
    "recovery_after_event": "recovery",
    "takeover_after_event": "takeover",
}

Part = tuple[str, str]
"""A piece of a line that is never broken, with its style."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What is known of the whole run so far. `figures` are those of the promises that can be told already.

    `otp_submit_p99_s` is acceptance to carrier; `doubts` say why the run would be INVALID if it ended now.
    """

    figures: Mapping[str, float | None] = field(default_factory=dict)
    otp_submit_p99_s: float | None = None
    doubts: tuple[str, ...] = ()


class LiveView:
    """Shows a run while it goes. A context manager; a terminal that is closed or a broken pipe ends the view only."""

    def __init__(self, scenario: Scenario, console: Console, duration_s: float) -> None:
        """Prepare the view of a run that takes `duration_s` with its drain."""
        self._scenario = scenario
        self._console = console
        self._duration_s = duration_s
        self._promises = scenario.promises
        self._target_per_s = scenario.target_per_s
        self._down_since: dict[str, float] = {}
        self._is_plain_text = not console.encoding.startswith("utf")
        self._is_silent = False
        self._live: Live | None = None
        if console.is_terminal and not console.is_dumb_terminal:
            self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, second: Second, totals: Totals) -> None:
        """Show a second that has ended."""
        self._watch(second)
        if self._live is not None:
            self._live.update(_Flow(self.lines(second, totals)), refresh=True)
        elif not self._is_silent:
            try:
                self._console.file.write(self.plain_line(second, totals) + "\n")
                self._console.file.flush()
            except OSError:
                self._is_silent = True  # nobody reads any more; the run goes on and its report is written

    def _watch(self, second: Second) -> None:
        """Note since when carriers have been down."""
        for name, carrier in second.carriers.items():
            if carrier.bound:
                self._down_since.pop(name, None)
            else:
                self._down_since.setdefault(name, second.t)

    def lines(self, second: Second, totals: Totals) -> list[list[Part]]:
        """Return the lines of the view, each of parts that belong together."""
        return [
            self._heading(second, totals),
            _rates(second),
            _latencies(second, totals),
            self._carriers(second),
            self._kept(totals),
        ]

    def _heading(self, second: Second, totals: Totals) -> list[Part]:
        about = self._scenario.scenario
        parts: list[Part] = [
            (about.name, "bold"),
            (f"{clock_text(second.t)} / {clock_text(self._duration_s)}", ""),
            (f"stage {second.stage}", ""),
            (f"seed {about.seed}", "dim"),
        ]
        if totals.doubts:
            parts.append((f"INVALID? {'; '.join(totals.doubts)}", "bold red"))
        else:
            parts.append(("invalid? no", "dim"))
        return parts

    def _carriers(self, second: Second) -> list[Part]:
        shown = list(second.carriers.items())[:MAX_CARRIERS]
        parts = [self._carrier(name, carrier, second.t) for name, carrier in shown]
        if len(second.carriers) > MAX_CARRIERS:
            parts.append((f"and {len(second.carriers) - MAX_CARRIERS} more", "dim"))
        return parts

    def _carrier(self, name: str, carrier: CarrierSecond, now_s: float) -> Part:
        rate = f"{count_text(carrier.submitted)}/{count_text(carrier.mps_limit)}"
        if not carrier.bound:
            since = now_s - self._down_since.get(name, now_s)
            return f"{name} {self._mark('○', 'x')} down {seconds_text(since)}  {rate}", "red"
        text = f"{name} {self._mark('●', '*')} {rate}"
        if carrier.window_in_use is not None:
            text += f" win {carrier.window_in_use}/{count_text(carrier.window_size)}"
        return text, "yellow" if carrier.throttled else "green"

    def _kept(self, totals: Totals) -> list[Part]:
        parts: list[Part] = [("promises", "dim")]
        for figure, promise in self._promises.items():
            row = judge(promise, totals.figures.get(figure), target=self._target_per_s)
            name = _SHORT.get(figure, figure.replace("_", " "))
            if row.measured is None:
                parts.append((f"{name} {self._mark('·', '?')}", "dim"))
                continue
            mark = self._mark("✓", "ok") if row.is_kept else self._mark("✗", "MISSED")
            parts.append(
                (f"{name} {mark} {figure_text(figure, row.measured)}", "green" if row.is_kept else "bold red")
            )
        return parts

    def _mark(self, sign: str, plain: str) -> str:
        return plain if self._is_plain_text else sign

    def plain_line(self, second: Second, totals: Totals) -> str:
        """Return a second as one line without colour, for pipes and logs of CI."""
        parts = [
            f"{clock_text(second.t)}/{clock_text(self._duration_s)} {second.stage}",
            f"offered={second.offered} accepted={second.accepted} refused={second.refused}",
            f"submitted={second.submitted} final={_plain(second.final)} in_flight={_plain(second.in_flight)}",
        ]
        if second.accept is not None:
            parts.append(f"accept_p99={second.accept.p99_ms:.1f}ms")
        if second.lateness_p99_ms is not None:
            parts.append(f"lag_p99={second.lateness_p99_ms:.1f}ms")
        parts += [
            f"{name}={carrier.submitted}/{carrier.mps_limit:g}{'' if carrier.bound else ',down'}"
            for name, carrier in list(second.carriers.items())[:MAX_CARRIERS]
        ]
        if totals.doubts:
            parts.append(f"INVALID? {'; '.join(totals.doubts)}")
        return " ".join(parts)


def _plain(count: int | None) -> str:
    return "?" if count is None else str(count)


def _rates(second: Second) -> list[Part]:
    parts: list[Part] = [
        (f"offered {count_text(second.offered)}/s", ""),
        (f"accepted {count_text(second.accepted)}/s", ""),
        (f"submitted {count_text(second.submitted)}/s", ""),
        (f"final {count_text(second.final)}/s", ""),
        (f"in flight {count_text(second.in_flight)}", ""),
    ]
    if second.refused:
        parts.append((f"refused {count_text(second.refused)}/s", "bold red"))
    return parts


def _latencies(second: Second, totals: Totals) -> list[Part]:
    parts: list[Part] = []
    if second.accept is not None:
        p50, p99 = second.accept.p50_ms / 1e3, second.accept.p99_ms / 1e3
        parts.append((f"accept p50 {seconds_text(p50)} p99 {seconds_text(p99)}", ""))
    if totals.otp_submit_p99_s is not None:
        parts.append((f"otp to carrier p99 {seconds_text(totals.otp_submit_p99_s)}", ""))
    if second.lateness_p99_ms is not None:
        parts.append((f"generator lag p99 {seconds_text(second.lateness_p99_ms / 1e3)}", ""))
    if second.cpu:
        busiest = sorted(second.cpu.items(), key=lambda item: -item[1])[:MAX_PROCESSES]
        parts.append(("cpu " + " ".join(f"{name} {share:.0f} %" for name, share in busiest), "dim"))
    return parts


@dataclass(frozen=True, slots=True)
class _Flow:
    """Lines that break between parts where the terminal is narrow, and inside a part only where it must."""

    lines: list[list[Part]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        for parts in self.lines:
            yield from self._broken(parts, options.max_width)

    @staticmethod
    def _broken(parts: list[Part], width: int) -> Iterator[Text]:
        line = Text(overflow="ellipsis", no_wrap=True)
        for text, style in parts:
            gap = _GAP if line.plain else ""
            if line.plain and line.cell_len + len(gap) + Text(text).cell_len > width:
                yield line
                line, gap = Text(overflow="ellipsis", no_wrap=True), " "
            line.append(gap).append(text, style=style)
        if line.plain:
            yield line
