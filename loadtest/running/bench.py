"""Everything around a load: the gateway, its carriers' simulators and the sink of its callbacks. Nothing is left behind."""

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic_ns, time_ns
from typing import Final, Self

import aiohttp
import msgspec
import psutil  # type: ignore[import-untyped]  # it ships no types

from loadtest.running.carriers import Carrier, Row
from loadtest.running.children import Child, ChildError, Facts
from loadtest.running.gateway import GatewayError, OwnGateway, until_signalled
from loadtest.running.given import GivenGateway
from loadtest.running.orders import Heard
from loadtest.scenario import Scenario

START_S: Final = 120.0
MIN_RECORDS: Final = 1_000_000  # `find-max` raises the rate of a scenario more than tenfold


@dataclass(frozen=True)
class Target:
    """Where a load goes: a gateway that runs (`url`, `key`), or one that is started by `command`.

    `simulators` are control APIs by carrier, of a gateway that runs.
    """

    url: str | None = None
    key: str = ""
    simulators: Mapping[str, str] = field(default_factory=dict)
    command: str | None = None

    @property
    def is_ours(self) -> bool:
        """Tell whether the gateway is started by us."""
        return self.url is None


class Bench:
    """Use `async with Bench(...) as bench`; raises GatewayError where something cannot be started or reached."""

    def __init__(
        self, scenario: Scenario, target: Target, *, log_path: Path, keeps: bool = False, expected: int = 0
    ) -> None:
        """Prepare; `expected` is how many segments the simulators have to remember."""
        self.scenario = scenario
        self.target = target
        self._keeps = keeps
        self._expected = expected
        self.folder = Path(tempfile.mkdtemp(prefix="cdlload"))
        self.told_path = self.folder / "told.jsonl"
        self.gateway: OwnGateway | GivenGateway = (
            OwnGateway(self.folder, command=target.command, log_path=log_path)
            if target.url is None
            else GivenGateway(target.url, target.key)
        )
        self.carriers: list[Carrier] = []
        self._sink: Child | None = None
        self._sink_url = ""
        self._heard = Heard()
        self._http: aiohttp.ClientSession | None = None
        self._unix_offset_ns = time_ns() - monotonic_ns()

    async def __aenter__(self) -> Self:
        try:
            self._http = aiohttp.ClientSession()
            await self._start()
        except BaseException as error:
            await self.close()
            if isinstance(error, ChildError):
                raise GatewayError(str(error)) from None
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def http(self) -> aiohttp.ClientSession:
        """Return the client for control APIs and metrics."""
        assert self._http is not None
        return self._http

    @property
    def has_callbacks(self) -> bool:
        """Tell whether the gateway tells our sink."""
        return self._sink is not None

    @property
    def missing_carriers(self) -> list[str]:
        """Return the carriers whose simulator was not given."""
        there = {one.settings.id for one in self.carriers}
        return [one.id for one in self.scenario.carrier if one.id not in there]

    async def _start(self) -> None:
        scenario, target, gateway = self.scenario, self.target, self.gateway
        if isinstance(gateway, GivenGateway):
            await gateway.check(self.http)
            self.carriers = [
                Carrier(one, control=target.simulators[one.id].rstrip("/"))
                for one in scenario.carrier
                if one.id in target.simulators
            ]
            return
        self.carriers = [Carrier(one) for one in scenario.carrier]
        records = max(MIN_RECORDS, 2 * self._expected)
        starts = [
            one.start(
                seed=scenario.scenario.seed,
                record_limit=min(records, 50_000_000),
                callback_url=f"{gateway.url}/callbacks/{one.settings.id}",
            )
            for one in self.carriers
        ]
        await asyncio.gather(*starts, self._start_sink())
        await gateway.start(self.carriers)
        if self._sink is not None:
            await gateway.subscribe(self._sink_url, batch=scenario.load.callback_batch)

    async def _start_sink(self) -> None:
        load = self.scenario.load
        self.told_path.touch()
        if not load.callbacks:
            return
        facts = Facts("listening")

        def hear(line: bytes) -> None:
            if not facts.feed(line) and line.startswith(b'{"type":"heard"'):
                self._add_heard(line)

        self._sink = Child("sink", hear)
        arguments = [str(self.told_path), load.callback_delay, str(self.scenario.scenario.seed)]
        await self._sink.start([sys.executable, "-m", "loadtest.running.sink", *arguments])
        self._sink_url = f"http://127.0.0.1:{(await facts.wait(self._sink, START_S))['port']}/hook"

    def _add_heard(self, line: bytes) -> None:
        said = msgspec.json.decode(line, type=Heard)
        self._heard.requests += said.requests
        self._heard.events += said.events
        self._heard.waited_s += said.waited_s

    def heard(self) -> Heard:
        """Return what the sink heard since the last call."""
        heard, self._heard = self._heard, Heard()
        return heard

    def stop_callbacks(self) -> Callable[[], None]:
        """Stop the sink; return what lets it go on."""
        sink = self._sink
        if sink is None:
            raise GatewayError("there are no callbacks to stop")
        sink.send(signal.SIGSTOP)
        return lambda: sink.send(signal.SIGCONT)

    async def callbacks_stopped(self) -> None:
        """Wait until the sink stands still. Raises GatewayError where it does not."""
        if self._sink is not None:
            await until_signalled([psutil.Process(self._sink.pid)], signal.SIGSTOP, part="callbacks")

    def processes(self) -> dict[str, list[psutil.Process]]:
        """Return our own helpers by name: the simulators, the sink and ourselves."""
        found = {"loadtest": [psutil.Process()]}
        children = {one.settings.id: one.child for one in self.carriers if one.child is not None}
        if self._sink is not None:
            children["sink"] = self._sink
        for name, child in children.items():
            if child.is_running:
                try:
                    found[name] = [psutil.Process(child.pid)]
                except psutil.Error:
                    continue
        return found

    def to_ns(self, carrier: Carrier) -> Callable[[Row], int]:
        """Return how a row's time is told by our monotonic clock; a simulator of another host has only the calendar."""
        if carrier.is_ours:
            return lambda row: row.arrival_ns
        return lambda row: row.arrival_unix_ns - self._unix_offset_ns

    def of_unix_ms(self, at_ms: int) -> int:
        """Return a moment of the calendar by our monotonic clock."""
        return at_ms * 1_000_000 - self._unix_offset_ns

    def trouble(self) -> str:
        """Return which of our own helpers has ended; empty while all are there."""
        children = [one.child for one in self.carriers if one.child is not None]
        for child in [*children, *([self._sink] if self._sink is not None else [])]:
            if not child.is_running:
                return child.trouble()
        return ""

    async def close_sink(self) -> None:
        """End the sink, so that its record is whole."""
        if self._sink is not None:
            await self._sink.stop(limit_s=5.0)

    async def close(self) -> None:
        """End everything that was started, however far it came; then remove the folder. Not to be hurried."""
        closing = asyncio.create_task(self._close(), name="run.close")
        is_cancelled = False
        while not closing.done():
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError:
                is_cancelled = True  # what is left running would be left for good
        closing.result()
        if is_cancelled:
            raise asyncio.CancelledError

    async def _close(self) -> None:
        await self.gateway.stop()
        await asyncio.gather(*(one.stop() for one in self.carriers), self.close_sink())
        if self._http is not None:
            await self._http.close()
            self._http = None
        if not self._keeps:
            await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)
