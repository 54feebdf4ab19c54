"""The faults of a scenario, done when they are due: knobs of simulators, and parts of the gateway killed or stopped."""

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic_ns
from typing import Any, Final

import aiohttp

from loadtest.http_carrier import HttpCarrier, HttpCarrierSettings
from loadtest.running.bench import Bench
from loadtest.running.gateway import GatewayError
from loadtest.scenario import EventSettings, Scenario, ScenarioError
from loadtest.smsc.centre import MessageCentre
from loadtest.smsc.settings import SmscSettings

EXCUSED_S: Final = 60.0
"""How long after the end of a fault a repeat may still be its doing: leases expire and answers time out."""


@dataclass(frozen=True, slots=True)
class Band:
    """When a fault was on, in seconds of the load."""

    at_s: float
    until_s: float
    what: str
    carrier: str | None


def what_of(event: EventSettings) -> str:
    """Return an event in words."""
    if event.kill is not None:
        return f"kill -9 of {event.kill}"
    if event.stop is not None:
        return f"{event.stop} stopped"
    return ", ".join(f"{name} = {str(value).lower()}" for name, value in (event.knobs or {}).items())


def by_time(events: Sequence[EventSettings]) -> list[EventSettings]:
    """Return the events as they begin."""
    return sorted(events, key=lambda event: event.at_s)


def bands_of(events: Sequence[EventSettings]) -> list[Band]:
    """Return the faults by time."""
    return [Band(one.at_s, one.at_s + one.for_s, what_of(one), one.carrier) for one in by_time(events)]


def excuse(bands: Sequence[Band], *, start_ns: int) -> Callable[[int], bool]:
    """Return whether a fault was on, or had just been, at a moment of the monotonic clock."""
    spans = [
        (start_ns + int(one.at_s * 1e9), start_ns + int((one.until_s + EXCUSED_S) * 1e9)) for one in bands
    ]
    return lambda at_ns: any(start <= at_ns <= end for start, end in spans)


def timelines(events: Sequence[EventSettings]) -> dict[str, list[dict[str, Any]]]:
    """Return the steps of each carrier's simulator."""
    found: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        if event.carrier is not None:
            step: dict[str, Any] = {"at": event.at, "set": event.knobs}
            found.setdefault(event.carrier, []).append(
                step if event.duration is None else {**step, "for": event.duration}
            )
    return found


def check_faults(scenario: Scenario) -> None:
    """Raise ScenarioError where a simulator would refuse its settings or knobs, or a part cannot be broken."""
    steps = timelines(scenario.event)
    for carrier in scenario.carrier:
        timeline = steps.get(carrier.id, [])
        try:
            if carrier.kind == "smpp":
                MessageCentre(SmscSettings(faults={"errors": carrier.errors}, timeline=timeline))
            else:
                HttpCarrier(HttpCarrierSettings(faults={"errors": carrier.errors}, timeline=timeline))
        except (ValueError, TypeError) as error:
            raise ScenarioError(f"carrier {carrier.id}: {error}") from None


def check_parts(scenario: Scenario, *, is_ours: bool, simulators: Mapping[str, str]) -> None:
    """Raise ScenarioError for a fault that this run cannot do."""
    for event in scenario.event:
        part = event.kill or event.stop
        if part == "kafka" and is_ours:
            raise ScenarioError(
                f"event at {event.at}: the gateway that the tool starts has no Kafka; its bus is postgres"
            )
        if part is not None and part != "callbacks" and not is_ours:
            raise ScenarioError(
                f"event at {event.at}: {part} of a gateway given by --target is not ours to break"
            )
        if event.carrier is not None and not is_ours and event.carrier not in simulators:
            raise ScenarioError(
                f"event at {event.at}: carrier {event.carrier} has no --simulator to set its knobs"
            )


class EventDesk:
    """Does the faults of one load; `trouble` is what could not be done, `done` what parts were seen to do, by time and fault."""

    def __init__(self, bench: Bench, scenario: Scenario, http: aiohttp.ClientSession) -> None:
        self._bench = bench
        self._scenario = scenario
        self._http = http
        self._tasks: list[asyncio.Task[None]] = []
        self._resumes: list[Callable[[], None]] = []
        self.trouble: list[str] = []
        self.done: dict[tuple[float, str], str] = {}

    def begin(self, start_ns: int) -> None:
        """Begin when the load does."""
        steps = timelines(self._scenario.event)
        for carrier in self._bench.carriers:
            if carrier.settings.id in steps:
                self._do(start_ns, self._timeline(carrier, steps[carrier.settings.id]), "timeline")
        for event in self._scenario.event:
            if event.knobs is None:
                self._do(start_ns + int(event.at_s * 1e9), self._break(event), what_of(event))

    def _do(self, at_ns: int, work: Any, what: str) -> None:
        async def when_due() -> None:
            try:
                await asyncio.sleep(max(0.0, (at_ns - monotonic_ns()) / 1e9))
                await work
            except (GatewayError, OSError, TimeoutError, ValueError, aiohttp.ClientError) as error:
                self.trouble.append(f"{what}: {error}")
            finally:
                work.close()

        self._tasks.append(asyncio.create_task(when_due(), name="run.event"))

    async def _timeline(self, carrier: Any, steps: list[dict[str, Any]]) -> None:
        await carrier.set_timeline(self._http, steps)

    async def _break(self, event: EventSettings) -> None:
        part = event.kill or event.stop or ""
        signum = signal.SIGKILL if event.kill is not None else signal.SIGSTOP
        if part == "callbacks":
            go_on = self._bench.stop_callbacks()
            self._resumes.append(go_on)
            await self._bench.callbacks_stopped()
        else:
            go_on = await self._bench.gateway.signal(self._http, part, signum)
        self.done[event.at_s, what_of(event)] = (
            "its processes ended" if event.kill is not None else "its processes stood still"
        )
        if event.kill is not None:
            return
        self._resumes.append(go_on)
        try:
            await asyncio.sleep(event.for_s)
        finally:
            go_on()

    async def end(self) -> None:
        """End all faults: what is stopped goes on, knobs of given simulators are as before."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for go_on in self._resumes:
            go_on()
        for carrier in self._bench.carriers:
            if not carrier.is_ours and carrier.settings.id in timelines(self._scenario.event):
                try:
                    await carrier.set_timeline(self._http, [])
                except (OSError, TimeoutError, ValueError, aiohttp.ClientError) as error:
                    self.trouble.append(f"carrier {carrier.settings.id}: {error}")
