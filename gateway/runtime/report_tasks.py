"""What `caudal reports` reads of a running gateway, through its database."""

from collections.abc import Mapping, Sequence
from datetime import date

from gateway.ports.clock import SystemClock
from gateway.ports.report_store import Dimension
from gateway.reporting.desk import Report, ReportDesk, Wish
from gateway.reporting.periods import Period, PeriodError
from gateway.runtime.admin_tasks import open_database
from gateway.runtime.wiring.reports import report_views
from gateway.settings import Settings, SettingsError

MAX_ROWS = 100_000


async def read_report(
    settings: Settings,
    *,
    period: str,
    first: date | None,
    last: date | None,
    zone: str,
    group_by: Sequence[str],
    filters: Mapping[str, str],
) -> Report:
    """Return the whole report, of all accounts where no filter names one; SettingsError for what cannot be asked."""
    wish = Wish(
        Period(period),
        zone,
        first,
        last,
        tuple([Dimension(one) for one in dict.fromkeys(group_by)]),
        {Dimension(name): value for name, value in filters.items()},
        with_cost=True,
    )
    async with open_database(settings) as db:
        try:
            report = await ReportDesk(report_views(db), clock=SystemClock()).report(wish, limit=MAX_ROWS)
        except PeriodError as error:
            raise SettingsError(str(error)) from None
    if report.next_after is not None:
        raise SettingsError(f"the report has more than {MAX_ROWS} rows: ask for fewer days or groups")
    return report
