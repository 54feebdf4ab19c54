"""What a load run left, for people: the report as HTML and PNG, the comparison of two runs, the live view."""

from pathlib import Path


def write_all(directory: Path) -> list[Path]:
    """Write `report.html`, `summary.png` and `junit.xml` beside the results and return their paths.

    Raises ResultsError, OSError. Called at the end of a run and by `loadtest report`; what it needs is imported late.
    """
    from loadtest.report.html import write_report
    from loadtest.report.junit import write_junit
    from loadtest.report.png import write_summary_png

    return [write_report(directory), write_junit(directory), write_summary_png(directory)]
