"""`loadtest report` and `loadtest compare`: what is done with the results of runs afterwards."""

from pathlib import Path

import click

EXIT_REGRESSION = 1
EXIT_USAGE = 2

_DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("report")
@click.argument("directory", type=_DIRECTORY)
def report(directory: Path) -> None:
    """Write report.html, summary.png and junit.xml of a run again.

    Works on a run that was killed too: it is then INTERRUPTED, with the seconds that it had.
    """
    from loadtest.report import write_all
    from loadtest.results import ResultsError

    try:
        for path in write_all(directory):
            click.echo(path)
    except (ResultsError, OSError) as error:
        raise click.UsageError(str(error)) from None
    except ImportError as error:
        raise click.UsageError(f"{error}; install caudal[loadtest]") from None


@click.command("compare")
@click.argument("first", metavar="RUN_A", type=_DIRECTORY)
@click.argument("second", metavar="RUN_B", type=_DIRECTORY)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 10),
    default=0.1,
    show_default=True,
    help="How much worse a figure of RUN_B may be, as a share of RUN_A's. Lost or doubled messages have none.",
)
@click.option("--anyway", is_flag=True, help="Judge runs that are not comparable all the same.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def compare(first: Path, second: Path, *, tolerance: float, anyway: bool, as_json: bool) -> None:
    """Compare the directories of two runs, the older first.

    Exits 0 without a regression, 1 with one, 2 where the runs cannot be compared: other scenario, other machine, or
    one that proves nothing.
    """
    import msgspec

    from loadtest.report.compare import compare as compare_results
    from loadtest.report.compare import told
    from loadtest.results import ResultsError, read_results

    try:
        found = compare_results(read_results(first), read_results(second), tolerance=tolerance)
    except ResultsError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        answer = {
            "is_comparable": found.is_comparable,
            "doubts": found.doubts,
            "regressions": [change.name for change in found.regressions],
            "changes": found.changes,
        }
        click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=1).decode())
    else:
        click.echo("\n".join(told(found, tolerance=tolerance, anyway=anyway)))
    if not found.is_comparable and not anyway:
        raise SystemExit(EXIT_USAGE)
    if found.regressions:
        raise SystemExit(EXIT_REGRESSION)
