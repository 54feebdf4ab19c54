"""One look a second at everything: generator, carriers, gateway, processes; each becomes a `Second`."""

import asyncio
import os
from contextlib import suppress
from time import monotonic_ns, time
from typing import Any, Final

import aiohttp
import psutil  # type: ignore[import-untyped]  # it ships no types

from loadtest.arrivals import Load
from loadtest.results import CarrierSecond, Percentiles, Second
from loadtest.running.bench import Bench
from loadtest.running.carriers import Carrier, Counts
from loadtest.running.effects import CarrierFault
from loadtest.running.events import by_time, what_of
from loadtest.running.exposition import Growth, Reading, read
from loadtest.running.load import LoadProcess
from loadtest.running.usage import Busy, Usage

LOOK_S: Final = 0.4
"""Who does not answer within it is not waited for: there is another look a second later."""
_PAGE: Final = aiohttp.ClientTimeout(total=LOOK_S)
_FRESH_PROCESSES_S: Final = 5
_FIRST_LOOKS: Final = 5
_COSTLY_S: Final = 0.15
"""A scrape that takes longer is made every fifth second: it must not be what is measured."""


def stage_name(load: Load, at_s: float) -> str:
    """Return what the load does at a time, in words."""
    for stage in load.stages:
        if at_s < stage.duration_s:
            verb = "hold" if stage.start_per_s == stage.rate_per_s else "ramp to"
            return f"{verb} {stage.rate_per_s:g}/s"
        at_s -= stage.duration_s
    return "drain"


class Watch:
    """Looks once a second. `busy` and `foreign` are means over the seconds of the load, parts of all cores."""

    def __init__(self, bench: Bench, load: Load, process: LoadProcess) -> None:
        self._bench = bench
        self._load = load
        self._process = process
        self._usage = Usage()
        self._busy = Busy()
        self._final = Growth()
        self._counts: dict[str, Counts] = {}
        self._base: dict[str, Counts] = {}
        self._reading = Reading()
        self._is_read = False
        self._last_cpu_s: dict[str, float] = {}
        self._last_ns = 0
        self._processes: dict[str, list[psutil.Process]] = {}
        self._last_roles: dict[str, dict[str, Any]] = {}
        self._looks = 0
        self._costs_too_much = False
        self._busy_shares: list[float] = []
        self._foreign_shares: list[float] = []
        self.faults = {
            (one.at_s, what_of(one), one.carrier): CarrierFault(one.at_s, one.at_s + one.for_s, one.knobs)
            for one in by_time(bench.scenario.event)
            if one.knobs is not None and one.carrier is not None
        }
        self.accepted = 0
        self.told = 0
        self.callback_requests = 0
        self.callback_wait_s = 0.0
        self.errors = 0
        self.requests = 0
        self.cpu_s: dict[str, float] = {}
        self.version: str | None = None

    @property
    def final(self) -> int:
        """Return the messages that the gateway says ended, since the start."""
        return int(self._final.total)

    @property
    def rss_mb_max(self) -> dict[str, float]:
        """Return the most memory of each process."""
        return self._usage.rss_mb_max

    @property
    def busy(self) -> float:
        """Return how busy the machine was during the load."""
        return sum(self._busy_shares) / len(self._busy_shares) if self._busy_shares else 0.0

    @property
    def foreign(self) -> float:
        """Return how much of the machine other programs had during the load."""
        return sum(self._foreign_shares) / len(self._foreign_shares) if self._foreign_shares else 0.0

    @property
    def throttled_ratio(self) -> float | None:
        """Return the part of all submits that carriers throttled, since the start."""
        several = [self.counted(name) for name in self._counts]
        submits = sum(one.submits for one in several)
        return sum(one.throttled for one in several) / submits if submits else None

    async def has_empty_lanes(self) -> bool:
        """Ask the gateway now whether nothing waits in its lanes; False where it does not say."""
        self._costs_too_much = False
        await self._look()
        return bool(self._reading.waiting) and not sum(self._reading.waiting.values())

    def counted(self, carrier: str) -> Counts:
        """Return what a carrier has counted since the start."""
        return self._counts.get(carrier, Counts()).since(self._base.get(carrier, Counts()))

    async def begin(self) -> None:
        """Note where everything stands before the load; what the gateway does not say now counts whole later."""
        for _ in range(_FIRST_LOOKS):
            self._costs_too_much = False
            await self._look()
            if self._is_read:
                break
        self._base = dict(self._counts)
        self._show_faults(0.0)
        self._final.add(self._reading.final)
        self._final.total = 0.0
        self._bench.heard()
        self._busy.share()

    async def second(self, at_s: float) -> Second:
        """Return the second that ends now, `at_s` after the start."""
        before = dict(self._counts)
        cpu, rss_mb = await self._look()
        self._show_faults(at_s)
        tick, heard = self._process.taken_ticks(), self._bench.heard()
        self.accepted += tick.accepted
        self.told += heard.events
        self.callback_requests += heard.requests
        self.callback_wait_s += heard.waited_s
        self.errors += tick.errors
        self.requests += tick.requests
        is_read = self._is_read
        final = int(self._final.add(self._reading.final)) if is_read else None
        carriers = {
            one.settings.id: self._carrier(one, before.get(one.settings.id)) for one in self._bench.carriers
        }
        if at_s <= self._load.duration_s + 0.5:
            ours = sum(cpu.values()) / 100 / (os.cpu_count() or 1)
            busy = self._busy.share()
            self._busy_shares.append(busy)
            self._foreign_shares.append(max(0.0, busy - ours))
        reading = self._reading
        accept = None if tick.accept_ms is None else Percentiles(*tick.accept_ms)
        return Second(
            t=round(at_s, 3),
            stage=stage_name(self._load, max(0.0, at_s - 0.5)),
            target=round(self._load.rate_at(max(0.0, at_s - 0.5)), 3),
            offered=tick.offered,
            accepted=tick.accepted,
            refused=tick.refused,
            submitted=sum(one.submitted for one in carriers.values()),
            final=final,
            told=heard.events,
            in_flight=max(0, self.accepted - self.final) if is_read else None,
            accept=accept,
            accept_hdr=tick.accept_hdr,
            lateness_p99_ms=tick.lateness_p99_ms,
            queue=(dict(reading.waiting) or None) if is_read else None,
            oldest_s=None
            if reading.oldest_at is None or not is_read
            else round(max(0.0, time() - reading.oldest_at), 3),
            carriers=carriers,
            cpu=cpu,
            rss_mb=rss_mb,
            load1=psutil.getloadavg()[0],
        )

    def _show_faults(self, at_s: float) -> None:
        for (_, _, carrier), fault in self.faults.items():
            if carrier in self._counts:
                fault.look(at_s, self._counts[carrier])

    def _carrier(self, carrier: Carrier, before: Counts | None) -> CarrierSecond:
        name = carrier.settings.id
        now = self._counts.get(name, Counts())
        last = before or now
        reading = self._reading
        return CarrierSecond(
            submitted=max(0, now.taken - last.taken),
            throttled=max(0, now.throttled - last.throttled),
            refused=max(0, now.refused - last.refused),
            bound=now.bound,
            mps_limit=reading.mps_limit.get(name, carrier.settings.mps),
            window_in_use=reading.window_in_use.get(name),
            window_size=reading.window_size.get(name),
        )

    async def _look(self) -> tuple[dict[str, float], dict[str, float]]:
        """Ask all at once; who does not answer keeps what was said last. Return percent of a core, and megabytes."""
        bench, http = self._bench, self._bench.http
        counting = asyncio.gather(*(self._count(one) for one in bench.carriers))
        roles = await self._roles()
        await counting
        is_read = False
        is_due = not self._costs_too_much or self._looks % _FRESH_PROCESSES_S == 0
        if is_due:
            started_ns = monotonic_ns()
            pages = bench.gateway.pages(roles)
            texts = await asyncio.gather(*(self._page(http, url) for url in pages.values()))
            # Where one process did not answer its part would be missing in every sum.
            is_read = bool(texts) and all(texts)
            if is_read or any(texts):
                self._reading = read(dict(zip(pages, texts, strict=True)))
            self.version = self._reading.version or self.version
            took_s = (monotonic_ns() - started_ns) / 1e9 / max(1, len(pages))
            self._costs_too_much = took_s > _COSTLY_S
        self._is_read = is_read
        pids = {name: facts.get("pid") for name, facts in roles.items()}
        known = {name: several[0].pid for name, several in self._processes.items() if name in pids}
        if self._looks % _FRESH_PROCESSES_S == 0 or known != pids:
            self._processes = {**bench.gateway.processes(roles), **bench.processes()}
            if self._process.child.is_running:
                with suppress(psutil.Error):
                    self._processes["generator"] = [psutil.Process(self._process.child.pid)]
        self._looks += 1
        return self._spent()

    def _spent(self) -> tuple[dict[str, float], dict[str, float]]:
        now_ns = monotonic_ns()
        spent, rss_mb = self._usage.look(self._processes)
        elapsed_s = (now_ns - self._last_ns) / 1e9 if self._last_ns else 0.0
        cpu = {
            name: round(max(0.0, total - self._last_cpu_s.get(name, 0.0)) / elapsed_s * 100, 1)
            for name, total in spent.items()
            if elapsed_s
        }
        self._last_ns, self._last_cpu_s, self.cpu_s = now_ns, spent, spent
        return cpu, rss_mb

    async def _roles(self) -> dict[str, dict[str, Any]]:
        with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
            async with asyncio.timeout(LOOK_S):
                self._last_roles = await self._bench.gateway.roles(self._bench.http)
        return self._last_roles

    async def _count(self, carrier: Carrier) -> None:
        with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError):
            async with asyncio.timeout(LOOK_S):
                self._counts[carrier.settings.id] = await carrier.counts(self._bench.http)

    async def _page(self, http: aiohttp.ClientSession, url: str) -> str:
        try:
            async with http.get(url, timeout=_PAGE) as answer:
                return await answer.text()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return ""
