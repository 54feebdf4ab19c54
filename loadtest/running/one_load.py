"""One load from its first request to its closed books, on a bench that stands. Used by `run` and by `find-max`."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic_ns, time_ns
from typing import Final

import asyncpg
import psutil  # type: ignore[import-untyped]  # it ships no types

from loadtest.delays import parse_duration_ns
from loadtest.promises import judge
from loadtest.report.live import Totals
from loadtest.results import Second
from loadtest.running.bench import Bench
from loadtest.running.books import AcceptedFile, first_id
from loadtest.running.children import ChildError
from loadtest.running.closing import BooksReading
from loadtest.running.events import EventDesk
from loadtest.running.gateway import GatewayError, OwnGateway
from loadtest.running.load import DEFAULT_OPEN, LoadProcess, kinds_of, order_of
from loadtest.running.measured import Measured
from loadtest.running.orders import Account
from loadtest.running.verdict import Conditions, doubts
from loadtest.running.waiting import BATCH, queue_before
from loadtest.running.watching import Watch
from loadtest.scenario import Scenario

LEAD_S: Final = 0.5
FINISH_S: Final = 30.0
BEHIND_S: Final = 0.15
"""So much after a second has ended we look at it: the generator has told its counts by then."""
LOOK_S: Final = 3
"""Every so many seconds of the drain the gateway is asked whether all is final."""
MAX_LISTED: Final = 20_000
ABORT_S: Final = 5
"""An abort rule has to hold for so many seconds on end."""


class OneLoad:
    """Use `await OneLoad(...).run(...)` once. Raises GatewayError or ChildError where it cannot even begin."""

    def __init__(
        self, bench: Bench, scenario: Scenario, *, folder: Path, seed: int, max_open: int = DEFAULT_OPEN
    ) -> None:
        """Prepare; `folder` is where the generator's file goes."""
        self._bench = bench
        self._scenario = scenario
        self._load = scenario.load.load()
        self._drain_s = parse_duration_ns(scenario.load.drain) / 1e9
        self._nonce = secrets.token_hex(2)[:3]
        self._folder = folder
        self._seed = seed
        self._max_open = max_open
        self._breaches = 0
        self._late_s = 0.0
        self._late_seconds = 0

    async def run(
        self,
        *,
        on_second: Callable[[Second, Totals], None],
        interrupted: asyncio.Event,
        say: Callable[[str], None],
    ) -> Measured:
        """Queue what has to wait, send the load, drain, reconcile; `on_second` is called with each second."""
        bench, scenario = self._bench, self._scenario
        self._first_id = first_id(time_ns() // 1_000_000 - 1_000)
        for carrier in bench.carriers:
            await carrier.begin(bench.http)
        told_from = bench.told_path.stat().st_size if bench.told_path.exists() else 0
        waiting = await self._queue_before(interrupted, say)
        path = self._folder / f"accepted-{self._nonce}.jsonl"
        order = order_of(
            scenario.load,
            target=bench.gateway.url,
            key=bench.gateway.key,
            nonce=self._nonce,
            seed=self._seed,
            first=scenario.load.waiting and scenario.load.waiting + BATCH,
            path=path,
            max_open=self._max_open,
        )
        process = LoadProcess(order)
        watch = Watch(bench, self._load, process)
        desk = EventDesk(bench, scenario, bench.http)
        started_at = datetime.now(UTC)
        load_before = psutil.getloadavg()[0]
        try:
            await process.start()
            await watch.begin()
            start_ns = monotonic_ns() + int(LEAD_S * 1e9)
            process.begin(start_ns)
            desk.begin(start_ns)
            found = Measured(
                scenario,
                self._load,
                start_ns,
                started_at.isoformat(),
                Account(),
                watch,
                load_before=load_before,
            )
            await self._watch(found, process, on_second, interrupted)
            found.account = await self._finish(found, process)
        finally:
            await desk.end()
            await process.child.stop(limit_s=2.0)
        found.not_done, found.done = desk.trouble, desk.done
        if not found.is_interrupted and not found.trouble:
            files = [*waiting, AcceptedFile(path, self._nonce, kinds_of(order))]
            reading = BooksReading(
                bench, files, nonce=self._nonce, first_id=self._first_id, told_from=told_from
            )
            await reading.close(found)
        return found

    async def _queue_before(
        self, interrupted: asyncio.Event, say: Callable[[str], None]
    ) -> list[AcceptedFile]:
        count = self._scenario.load.waiting
        if not count:
            return []
        path = self._folder / f"waiting-{self._nonce}.jsonl"
        order = await queue_before(
            self._bench, count=count, nonce=self._nonce, path=path, interrupted=interrupted, say=say
        )
        return [AcceptedFile(path, self._nonce, kinds_of(order))]

    # -- while it runs -----------------------------------------------------------------------------

    async def _watch(
        self,
        found: Measured,
        process: LoadProcess,
        on_second: Callable[[Second, Totals], None],
        interrupted: asyncio.Event,
    ) -> None:
        """Look once a second until all is done, the drain is over, or somebody ends it."""
        end_s = self._load.duration_s + self._drain_s
        at_s = 0
        ended_s: float | None = None
        while True:
            at_s += 1
            wait_s = (found.start_ns - monotonic_ns()) / 1e9 + at_s + BEHIND_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(interrupted.wait(), max(0.001, wait_s))
            elapsed_s = (monotonic_ns() - found.start_ns) / 1e9
            at_s = max(at_s, int(elapsed_s - BEHIND_S))
            second = await found.watch.second(elapsed_s)
            totals = self._totals(found, second)
            on_second(second, totals)
            found.duration_s = elapsed_s
            if interrupted.is_set():
                found.is_interrupted = True
                return
            if self._must_end(found, second, totals, process):
                return
            if ended_s is None and process.has_ended:
                ended_s = elapsed_s
                if found.aborted:
                    end_s = elapsed_s + self._drain_s
            if elapsed_s >= end_s:
                return
            is_over = ended_s is not None and (elapsed_s > self._load.duration_s or bool(found.aborted))
            if is_over and await self._is_settled(found, at_s):
                return

    def _must_end(self, found: Measured, second: Second, totals: Totals, process: LoadProcess) -> bool:
        """Tell whether there is no point in going on, and note why."""
        helper = self._bench.trouble()
        if helper:
            found.trouble = f"a part of the load tool ended: {helper}"
        elif process.account is None and not process.child.is_running:
            found.trouble = f"the generator ended: {process.child.trouble()}"
        elif gateway := self._bench.gateway.trouble():
            found.aborted = f"the gateway ended by itself: {gateway}"
        elif not found.aborted:
            found.aborted = self._breach(second, totals)
            if found.aborted:
                process.stop()  # what was accepted is drained and reconciled all the same
            return False
        else:
            return False
        process.stop()
        return True

    def _breach(self, second: Second, totals: Totals) -> str:
        """Return the abort rule that has held for five seconds on end."""
        if second.t > self._load.duration_s:
            return ""
        figures = totals.figures
        rules = self._scenario.abort_rules
        kept = [
            (rule, figures[name])
            for name, rule in rules.items()
            if figures.get(name) is not None
            and judge(rule, figures[name], target=self._scenario.target_per_s).is_kept
        ]
        self._breaches = self._breaches + 1 if kept else 0
        if self._breaches < ABORT_S:
            return ""
        rule, value = kept[0]
        return f"the run was aborted: {rule.figure} is {value:g}, and the scenario ends at {rule.text}"

    def _totals(self, found: Measured, second: Second) -> Totals:
        watch = found.watch
        figures: dict[str, float | None] = {
            "error_ratio": watch.errors / watch.requests if watch.requests else None,
            "throttled_ratio": watch.throttled_ratio,
        }
        if second.accept is not None:
            figures["accept_p50"] = second.accept.p50_ms / 1000
            figures["accept_p99"] = second.accept.p99_ms / 1000
        if second.lateness_p99_ms is not None:
            self._late_s += second.lateness_p99_ms / 1000
            self._late_seconds += 1
        late_s = self._late_s / self._late_seconds if self._late_seconds else None
        conditions = Conditions(0, 0, late_s)
        return Totals(figures=figures, doubts=tuple(doubts(conditions)))

    async def _is_settled(self, found: Measured, at_s: int) -> bool:
        """Tell whether everything accepted is final and told; the gateway is asked every few seconds."""
        watch = found.watch
        if self._scenario.load.waiting:
            return False  # what waited before goes on for longer than any drain
        if self._bench.has_callbacks and watch.told < watch.accepted:
            return False
        if watch.final < watch.accepted and at_s % LOOK_S:
            return False
        with contextlib.suppress(
            OSError, ValueError, IndexError, TimeoutError, asyncpg.PostgresError, GatewayError
        ):
            if isinstance(self._bench.gateway, OwnGateway):
                final, known = await self._bench.gateway.progress(self._first_id)
                return final == known >= watch.accepted
            if watch.accepted <= MAX_LISTED:
                return len(await self._bench.gateway.finals(self._first_id)) >= watch.accepted
        return False

    async def _finish(self, found: Measured, process: LoadProcess) -> Account:
        try:
            return await process.finish(limit_s=FINISH_S)
        except ChildError as error:
            found.trouble = found.trouble or f"the generator ended: {error}"
            return Account()
