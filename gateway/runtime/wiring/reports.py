"""Reports: the chore that counts, what retention keeps, and who reads."""

from collections.abc import Callable

from gateway.recorder.housekeeping import Housekeeper
from gateway.reporting.fold import RECEIPT_BOUNDS_MS, SUBMIT_BOUNDS_MS
from gateway.reporting.prices import PriceList
from gateway.reporting.roller import Roller, make_counting
from gateway.runtime.carriers import route_table
from gateway.runtime.wiring.parts import Base
from gateway.settings import Settings
from gateway.store.pool import Database
from gateway.store.report_rollups import PostgresRollups, RemovedCounts
from gateway.store.reports import PostgresReports

_LOOK_S = 10.0


def report_views(db: Database) -> PostgresReports:
    """Return who reads the counts."""
    return PostgresReports(
        db, submit_buckets=len(SUBMIT_BOUNDS_MS) + 1, receipt_buckets=len(RECEIPT_BOUNDS_MS) + 1
    )


class _Worker:
    """The chore; who stops it does not wait for a large hour."""

    def __init__(self, roller: Roller, keeper: Housekeeper) -> None:
        self._roller = roller
        self._keeper = keeper

    async def run(self) -> None:
        await self._keeper.run()

    def stop(self) -> None:
        self._roller.stop()
        self._keeper.stop()


class ReportCounts:
    """What counts messages in the role `back`; both halves follow the routing rules, whose costs are prices."""

    def __init__(self, base: Base) -> None:
        settings = base.settings
        self._clock = base.clock
        self._refresh_s = settings.reports.refresh_s
        self._campaign_key = settings.reports.campaign_key
        rules = route_table(settings).rules
        self.removed = RemovedCounts(make_counting(PriceList.of(rules), campaign_key=self._campaign_key))
        self.roller = Roller(
            PostgresRollups(base.db),
            clock=base.clock,
            rules=rules,
            campaign_key=self._campaign_key,
            message_days=settings.retention_days,
            report_days=settings.reports.retention_days,
            refresh_ms=int(self._refresh_s * 1000),
        )

    def worker(self, *, is_mine: Callable[[], bool]) -> _Worker:
        """Return the chore."""
        every_s = min(self._refresh_s, _LOOK_S)
        keeper = Housekeeper(self.roller, clock=self._clock, every_s=every_s, is_mine=is_mine)
        return _Worker(self.roller, keeper)

    def use(self, settings: Settings) -> None:
        """Go on with these prices; hours that were counted keep theirs."""
        rules = route_table(settings).rules
        self.roller.use(rules)
        self.removed.counting = make_counting(PriceList.of(rules), campaign_key=self._campaign_key)
