"""`loadtest run`, `list`, `show`, `validate` and `find-max`: a scenario from its file to the verdict."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from loadtest.running.run import Options
    from loadtest.scenario import Scenario

EXIT_USAGE = 2
EXIT_INVALID = 3

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _scenario_options(command: _Command) -> _Command:
    """Add what says which scenario is meant, and how it differs from its file."""
    for option in (
        click.option("--quick", is_flag=True, help="A tenth of every time: to try a scenario out."),
        click.option("--seed", type=click.IntRange(min=0), help="Seed of every random draw."),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="PATH=VALUE",
            help="Change the scenario: --set load.batch=1 --set carrier.telco_a.mps=200; repeat.",
        ),
        click.argument("source", metavar="SCENARIO"),
    ):
        command = option(command)
    return command


def _target_options(command: _Command) -> _Command:
    """Add what says where the load goes."""
    for option in (
        click.option(
            "--connections",
            "max_open",
            type=click.IntRange(1, 20_000),
            default=1_000,
            show_default=True,
            help="Most requests that wait for their answer; beyond it the generator is late.",
        ),
        click.option("--keep", "keeps", is_flag=True, help="Leave the gateway's folder where it is."),
        click.option(
            "--gateway-command",
            metavar="COMMAND",
            help="What starts the gateway, in a folder with its caudal.toml; default: caudal serve.",
        ),
        click.option(
            "--simulator",
            "simulators",
            multiple=True,
            metavar="CARRIER=URL",
            help="Control API of a carrier's simulator, with --target; repeat.",
        ),
        click.option("--key", envvar="CAUDAL_KEY", help="API key for --target (or CAUDAL_KEY)."),
        click.option("--target", metavar="URL", help="A gateway that runs, instead of one that is started."),
        click.option(
            "--out",
            type=click.Path(path_type=Path, file_okay=False),
            default=Path("loadtest-results"),
            show_default=True,
            help="Where the results go, a folder for each run.",
        ),
    ):
        command = option(command)
    return command


def _read(source: str, *, overrides: tuple[str, ...], seed: int | None, quick: bool) -> "Scenario":
    """Return the scenario; whatever is wrong with it is told, one line each, with exit code 2."""
    from loadtest.running.events import check_faults
    from loadtest.scenario import ScenarioError, read_scenario

    given = (*overrides, *(() if seed is None else (f"scenario.seed={seed}",)))
    try:
        scenario = read_scenario(source, overrides=given, quick=quick)
        check_faults(scenario)
    except ScenarioError as error:
        click.echo(str(error), err=True)
        raise SystemExit(EXIT_USAGE) from None
    return scenario


def _options(
    source: str,
    scenario: "Scenario",
    *,
    out: Path,
    target: str | None,
    key: str | None,
    simulators: tuple[str, ...],
    gateway_command: str | None,
    keeps: bool,
    max_open: int,
    overrides: tuple[str, ...],
    seed: int | None,
    quick: bool,
) -> "Options":
    from loadtest.http_client import parse_url
    from loadtest.running.bench import Target
    from loadtest.running.run import Options, check
    from loadtest.scenario import ScenarioError, shipped

    if target is not None and not key:
        raise click.UsageError("--target needs --key (or CAUDAL_KEY)")
    if target is None and simulators:
        raise click.UsageError("--simulator is for --target; without it the simulators are started")
    if target is not None and gateway_command:
        raise click.UsageError("--gateway-command and --target exclude each other")
    controls: dict[str, str] = {}
    for one in simulators:
        name, equals, url = one.partition("=")
        if not equals or name not in {carrier.id for carrier in scenario.carrier}:
            raise click.UsageError(f"--simulator {one!r} is not CARRIER=URL with a carrier of the scenario")
        controls[name] = url
    try:
        for url in (*controls.values(), *(() if target is None else (target,))):
            parse_url(url)
        where = Target(url=target, key=key or "", simulators=controls, command=gateway_command)
        check(scenario, where)
    except ScenarioError as error:
        click.echo(str(error), err=True)
        raise SystemExit(EXIT_USAGE) from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    text = shipped().get(source, Path(source)).read_text(encoding="utf-8")
    told = [*overrides, *([] if seed is None else [f"scenario.seed={seed}"]), *(["--quick"] if quick else [])]
    return Options(out=out, source_text=text, target=where, overrides=told, keeps=keeps, max_open=max_open)


@click.command("run")
@_scenario_options
@_target_options
def run(
    source: str,
    *,
    overrides: tuple[str, ...],
    seed: int | None,
    quick: bool,
    **target: Any,
) -> None:
    """Run a scenario and say whether its promises were kept.

    SCENARIO is a file or the name of one that is shipped. Exit codes: 0 PASS, 1 FAIL, 2 usage or a bad scenario,
    3 INVALID (the run proves nothing), 130 interrupted.
    """
    from rich.console import Console

    from loadtest.running.run import EXIT_CODES, run_scenario

    scenario = _read(source, overrides=overrides, seed=seed, quick=quick)
    options = _options(source, scenario, overrides=overrides, seed=seed, quick=quick, **target)
    console = Console()
    try:
        directory, outcome = asyncio.run(run_scenario(scenario, options, console))
    except OSError as error:
        click.echo(f"loadtest run: {error}", err=True)
        raise SystemExit(EXIT_INVALID) from None
    except KeyboardInterrupt:
        raise SystemExit(EXIT_CODES["INTERRUPTED"]) from None
    _report(directory)
    for row in outcome.promises:
        measured = "not measured" if row.measured is None else f"{row.measured:.6g}"
        mark = "kept  " if row.is_kept else "MISSED"
        click.echo(f"  {mark} {row.figure} {row.text}: {measured}{' s' if row.is_duration else ''}")
    for reason in outcome.reasons:
        click.echo(f"  {reason}")
    click.echo(f"{outcome.verdict}  {directory}")
    raise SystemExit(EXIT_CODES[outcome.verdict])


def _report(directory: Path) -> None:
    """Write the reports; a run is not lost because one of them cannot be written."""
    try:
        from loadtest.report import write_all

        write_all(directory)
    except Exception as error:  # noqa: BLE001 - the results stand, and `loadtest report` can be run again
        click.echo(f"no report: {error} (loadtest report {directory} writes it again)", err=True)


@click.command("list")
def list_scenarios() -> None:
    """List the scenarios that are shipped."""
    from loadtest.scenario import read_scenario, shipped

    for name in shipped():
        scenario = read_scenario(name)
        load = scenario.load.load()
        length = f"{load.duration_s:g} s"
        click.echo(f"{name:<20} {load.peak_per_s:>6g}/s {length:>8}  {scenario.scenario.about}")


@click.command("show")
@click.argument("name")
def show(name: str) -> None:
    """Print a scenario that is shipped, as a start for one of your own."""
    from loadtest.scenario import shipped

    path = shipped().get(name)
    if path is None:
        click.echo(f"no scenario {name!r}; shipped: {', '.join(shipped())}", err=True)
        raise SystemExit(EXIT_USAGE)
    click.echo(path.read_text(encoding="utf-8"), nl=False)


@click.command("validate")
@_scenario_options
def validate(source: str, *, overrides: tuple[str, ...], seed: int | None, quick: bool) -> None:
    """Check a scenario without running it; every mistake is told with its place."""
    scenario = _read(source, overrides=overrides, seed=seed, quick=quick)
    load = scenario.load.load()
    click.echo(
        f"{scenario.scenario.name}: {load.messages:.0f} messages in {load.duration_s:g} s, "
        f"{len(scenario.carrier)} carriers, {len(scenario.event)} events, {len(scenario.promise)} promises"
    )


@click.command("find-max")
@_scenario_options
@_target_options
@click.option(
    "--tolerance",
    type=click.FloatRange(0.01, 0.5),
    default=0.05,
    show_default=True,
    help="How near the rates that were kept and missed have to come to each other.",
)
@click.option(
    "--max-steps", type=click.IntRange(1, 50), default=14, show_default=True, help="Most loads to send."
)
def find_max(
    source: str,
    *,
    overrides: tuple[str, ...],
    seed: int | None,
    quick: bool,
    tolerance: float,
    max_steps: int,
    **target: Any,
) -> None:
    """Raise the rate of a scenario until a promise breaks, close in on it, and say what binds.

    Exits 0 with the highest rate that was kept, 1 where even the first was not, 3 where nothing could be measured.
    """
    from rich.console import Console

    from loadtest.running.find_max import find_maximum

    scenario = _read(source, overrides=overrides, seed=seed, quick=quick)
    options = _options(source, scenario, overrides=overrides, seed=seed, quick=quick, **target)
    try:
        code = asyncio.run(
            find_maximum(scenario, options, Console(), tolerance=tolerance, max_steps=max_steps)
        )
    except OSError as error:
        click.echo(f"loadtest find-max: {error}", err=True)
        code = EXIT_INVALID
    except KeyboardInterrupt:
        code = 130
    raise SystemExit(code)
