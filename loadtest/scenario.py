"""A load test as a TOML file says it: load, carriers, faults by timeline, promises. Read strictly, before anything runs.

Used by `loadtest run|validate|show|find-max`. Every mistake is told at once, each with its place, value and limit.
"""

import tomllib
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from loadtest.arrivals import MAX_RATE_PER_S, Load, Stage
from loadtest.delays import Delay, parse_duration_ns
from loadtest.faults import parse_timeline
from loadtest.promises import Promise, parse_promise
from loadtest.shares import parse_share

SHIPPED: Final = Path(__file__).parent / "scenarios"
CLASSES: Final = ("otp", "transactional", "collections", "marketing")
MAX_SEGMENTS: Final = 10
_QUICK: Final = 10
_RECOVERY_S: Final = 25
_TAKEOVER_S: Final = 30
_DRAIN_S: Final = 60
_APART_S: Final = 5


class ScenarioError(ValueError):
    """A scenario that cannot be run; one line for each mistake."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _seconds(text: str) -> float:
    return parse_duration_ns(text) / 1e9


def _shares(name: str, shares: Mapping[str, Any]) -> dict[str, float]:
    found = {key: parse_share(f"{name}.{key}", value) for key, value in shares.items()}
    total = sum(found.values())
    if abs(total - 1) > 1e-6:
        raise ValueError(f"the shares of {name} add up to {total:g}, not to 1")
    return found


class About(_Section):
    """`[scenario]`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    seed: int = Field(42, ge=0)
    about: str = ""


class StageSettings(_Section):
    """One stage: `to` a rate `over` a time, or `hold` the rate for a time."""

    to: float | None = Field(None, ge=0, le=MAX_RATE_PER_S)
    over: str | None = None
    hold: str | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.hold is None) == (self.to is None or self.over is None):
            raise ValueError("a stage is {to, over} or {hold}")
        if self.seconds <= 0:
            raise ValueError("a stage must take some time")
        return self

    @property
    def seconds(self) -> float:
        return _seconds(self.hold or self.over or "0")


class TextSettings(_Section):
    """`[load.text]`: shares by alphabet and by number of segments."""

    gsm7: float = Field(1.0, ge=0, le=1)
    ucs2: float = Field(0.0, ge=0, le=1)
    segments: dict[int, float] = {1: 1.0}

    @field_validator("segments")
    @classmethod
    def _possible(cls, value: dict[int, float]) -> dict[int, float]:
        for count in value:
            if not 1 <= count <= MAX_SEGMENTS:
                raise ValueError(f"{count} segments are outside 1..{MAX_SEGMENTS}")
        _shares("segments", {str(count): share for count, share in value.items()})
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        _shares("text", {"gsm7": self.gsm7, "ucs2": self.ucs2})
        return self

    @property
    def segments_per_message(self) -> float:
        return sum(count * share for count, share in self.segments.items())


class LoadSettings(_Section):
    """`[load]`. `batch` is messages a POST; `recipients` how many numbers take part; `waiting` is queued beforehand."""

    model: Literal["open"] = "open"
    arrivals: Literal["uniform", "poisson"] = "poisson"
    batch: int = Field(50, ge=1, le=1000)
    stages: tuple[StageSettings, ...] = Field(min_length=1)
    drain: str = "60s"
    mix: dict[Literal["otp", "transactional", "collections", "marketing"], float] = {"transactional": 1.0}
    text: TextSettings = TextSettings()
    duplicates: float = Field(0.0, ge=0, le=1)
    recipients: int = Field(10_000, ge=1, le=10_000)
    callbacks: bool = True
    callback_batch: int = Field(100, ge=1, le=100)
    callback_delay: str = "0"
    waiting: int = Field(
        0, ge=0, le=5_000_000, description="Marketing messages queued before the load begins."
    )

    @field_validator("mix")
    @classmethod
    def _whole(cls, value: dict[str, float]) -> dict[str, float]:
        return _shares("mix", value)

    @field_validator("drain", "callback_delay")
    @classmethod
    def _a_time(cls, value: str) -> str:
        Delay(value)
        return value

    def load(self) -> Load:
        """Return the stages as one rate over time."""
        stages, rate = [], 0.0
        for stage in self.stages:
            to = rate if stage.to is None else stage.to
            stages.append(Stage(rate, to, stage.seconds))
            rate = to
        return Load(stages)


class ReceiptSettings(_Section):
    """`[carrier.receipts]`: delay, and shares of receipts that get lost, come twice, out of order, or say delivered."""

    delay: str = "p50=1s,p99=5s"
    lost: float = Field(0.0, ge=0, le=1)
    duplicated: float = Field(0.0, ge=0, le=1)
    out_of_order: float = Field(0.0, ge=0, le=1)
    delivered: float = Field(1.0, ge=0, le=1)

    @field_validator("delay")
    @classmethod
    def _a_delay(cls, value: str) -> str:
        Delay(value)
        return value


class CarrierSettings(_Section):
    """`[[carrier]]`: a simulated carrier and the contract that the gateway has with it.

    `limit` is what the carrier really grants, where that is less than `mps`.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")
    kind: Literal["smpp", "json"] = "smpp"
    mps: float = Field(gt=0, le=100_000)
    binds: int = Field(1, ge=1, le=32)
    window: int = Field(50, ge=1, le=1000)
    latency: str = "p50=20ms,p99=120ms"
    errors: dict[str, float] = {}
    limit: float | None = Field(None, gt=0)
    receipts: ReceiptSettings = ReceiptSettings()

    @field_validator("latency")
    @classmethod
    def _a_delay(cls, value: str) -> str:
        Delay(value)
        return value


class EventSettings(_Section):
    """`[[event]]`: a fault. `set` are knobs of a carrier's simulator; `kill`, `stop` act on a part of the gateway."""

    at: str
    duration: str | None = Field(None, alias="for")
    carrier: str | None = None
    knobs: dict[str, Any] | None = Field(None, alias="set")
    kill: Literal["api", "dispatch", "back", "postgres", "kafka"] | None = None
    stop: Literal["api", "dispatch", "back", "postgres", "kafka", "callbacks"] | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        if sum(part is not None for part in (self.knobs, self.kill, self.stop)) != 1:
            raise ValueError("an event has exactly one of set, kill and stop")
        if (self.knobs is None) != (self.carrier is None):
            raise ValueError("set and carrier belong together")
        if self.stop is not None and self.duration is None:
            raise ValueError("stop needs for: how long")
        if self.knobs is not None:
            step = {"at": self.at, "set": self.knobs}
            parse_timeline([step if self.duration is None else {**step, "for": self.duration}])
        return self

    @property
    def at_s(self) -> float:
        return _seconds(self.at)

    @property
    def for_s(self) -> float:
        return _seconds(self.duration or "0")


class Scenario(_Section):
    """A whole scenario."""

    scenario: About
    load: LoadSettings
    carrier: tuple[CarrierSettings, ...] = Field(min_length=1)
    event: tuple[EventSettings, ...] = ()
    promise: dict[str, Any] = {}
    abort: dict[str, Any] = {}

    @field_validator("promise", "abort")
    @classmethod
    def _known(cls, value: dict[str, Any]) -> dict[str, Any]:
        for figure, text in value.items():
            parse_promise(figure, text)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ids = [one.id for one in self.carrier]
        if len(ids) != len(set(ids)):
            raise ValueError(f"two carriers have the same id: {', '.join(ids)}")
        for event in self.event:
            if event.carrier is not None and event.carrier not in ids:
                raise ValueError(
                    f"event at {event.at}: no carrier {event.carrier!r}; there are {', '.join(ids)}"
                )
        return self

    @property
    def promises(self) -> dict[str, Promise]:
        return {figure: parse_promise(figure, text) for figure, text in self.promise.items()}

    @property
    def abort_rules(self) -> dict[str, Promise]:
        return {figure: parse_promise(figure, text) for figure, text in self.abort.items()}

    @property
    def target_per_s(self) -> float:
        """The highest rate that is held, else the peak, in segments a second: what `target` means in a promise."""
        load = self.load.load()
        held = [rate for _, _, rate in load.steady()]
        return (max(held) if held else load.peak_per_s) * self.load.text.segments_per_message

    def digest(self) -> str:
        """Return what tells two runs of the same scenario: the first half of a SHA-256."""
        return sha256(self.model_dump_json(by_alias=True).encode()).hexdigest()[:32]


def shipped() -> dict[str, Path]:
    """Return the scenarios that come with the tool, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def read_scenario(source: str, *, overrides: Sequence[str] = (), quick: bool = False) -> Scenario:
    """Return the scenario of a file or of a shipped name. Raises ScenarioError.

    `overrides` are `path=value` such as `load.batch=1` or `carrier.telco_a.mps=200`; `quick` makes every time a tenth.
    """
    path = shipped().get(source, Path(source))
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ScenarioError(f"{source}: no such file or scenario; shipped: {', '.join(shipped())}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScenarioError(f"{path}: {error}") from None
    for override in overrides:
        _override(tree, override)
    try:
        found = Scenario.model_validate(tree)
        return _quicker(found, tree) if quick else found
    except ValidationError as error:
        lines = [
            f"{path}: {'.'.join(str(part) for part in fault['loc'])}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        ]
        raise ScenarioError("\n".join(lines)) from None


def _override(tree: dict[str, Any], text: str) -> None:
    path, equals, value = text.partition("=")
    if not equals:
        raise ScenarioError(f"--set {text!r} is not path=value")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    node: Any = tree
    *way, last = path.split(".")
    for part in way:
        if isinstance(node, list):
            node = next((one for one in node if one.get("id") == part), None)
        else:
            node = node.get(part) if isinstance(node, dict) else None
        if node is None:
            raise ScenarioError(f"--set {text!r}: the scenario has no {part!r}")
    if not isinstance(node, dict):
        raise ScenarioError(f"--set {text!r}: {path!r} is no single value")
    node[last] = parsed


def _quicker(found: Scenario, tree: dict[str, Any]) -> Scenario:
    """Return the scenario with every stage, drain and event at a tenth of its time, and a tenth of what waits before."""

    def tenth(text: str) -> str:
        return f"{_seconds(text) / _QUICK:.6f}s"

    load = {**tree["load"]}
    load["stages"] = [
        {key: tenth(value) if key in ("over", "hold") else value for key, value in stage.items()}
        for stage in load["stages"]
    ]
    events = [
        {key: tenth(value) if key in ("at", "for") else value for key, value in event.items()}
        for event in tree.get("event", [])
    ]
    events = _apart(events)
    # Faults are shorter then, what the gateway does about them is not: they and the load go on for as long as it takes.
    if "takeover_after_event" in found.promise:
        for event in events:
            if "carrier" in event and "for" in event:
                short_s = _seconds(event["for"])
                event["for"] = f"{max(short_s, min(short_s * _QUICK, _TAKEOVER_S)):.6f}s"
    if "recovery_after_event" in found.promise:
        over_s = max((_seconds(one["at"]) + _seconds(one.get("for", "0")) for one in events), default=0.0)
        missing_s = over_s + _RECOVERY_S - found.load.load().duration_s / _QUICK
        last = load["stages"][-1]
        if missing_s > 0 and "hold" in last:
            last["hold"] = f"{_seconds(last['hold']) + missing_s:.6f}s"
    load["waiting"] = found.load.waiting // _QUICK
    # The drain ends when nothing is left: only where something is does its limit count.
    load["drain"] = (
        f"{max(_seconds(found.load.drain) / _QUICK, min(_seconds(found.load.drain), _DRAIN_S)):.6f}s"
    )
    return Scenario.model_validate({**tree, "load": load, "event": events})


def _apart(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events without those that would do the same again before the one before can be over."""
    kept: list[dict[str, Any]] = []
    for event in events:
        same = [
            one
            for one in kept
            if {**one, "at": event["at"]} == event and "for" not in event and "at" in event
        ]
        if not same or _seconds(event["at"]) - _seconds(same[-1]["at"]) >= _APART_S:
            kept.append(event)
    return kept
