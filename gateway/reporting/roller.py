"""Counts messages into hours for reports. One process of the role `back` at a time, as a chore; two do no harm.

It costs the paths of messages nothing: what changed is found by PostgreSQL's own counters (`gateway.reporting.schedule`),
and an hour that changed is counted again as a whole, a large one by ten minutes of ids with a rest after each. Its rows are
replaced in one transaction, by whoever counted from the newest ones, so a crash in between leaves the old ones and
nothing counts twice. What retention deletes message by message is counted by that (`report_removed`); before a whole day
goes, `settle_day` counts it for the last time and closes it.
"""

import asyncio
import math
from collections.abc import Iterable
from typing import Final

import structlog

from gateway.policy.routing import RouteRule
from gateway.ports.clock import Clock
from gateway.ports.intake_store import StoreDataError
from gateway.ports.report_store import (
    HOUR_MS,
    SLICE_MS,
    Counting,
    HourState,
    Replaced,
    RollupStore,
    Writes,
)
from gateway.reporting.countries import country_by_prefix
from gateway.reporting.fold import RECEIPT_BOUNDS_MS, SUBMIT_BOUNDS_MS, HourFold
from gateway.reporting.prices import PriceList
from gateway.reporting.schedule import DAY_MS, is_changed, plan, writes_of

_log = structlog.get_logger()

MAX_CAMPAIGNS: Final = 200
"""Campaigns of an account that are told apart in one hour."""
BUDGET_S: Final = 4.0
"""Longest work of one call: who stops the role waits for its end."""
REST: Final = 50.0
"""Rests are that many times as long as the work before them: 2 % of a core at most."""

_AT_ONCE: Final = 100_000
"""Messages of an hour that are counted with one statement, as far as is known before."""
# Sessions report what they wrote up to this much later.
_COUNTERS_LATE_MS: Final = 60_000
_TRIM_EVERY_MS: Final = HOUR_MS
_SKIP_MS: Final = 600_000
_LEAST_REST_S: Final = 0.001


def make_counting(prices: PriceList, *, campaign_key: str, max_campaigns: int = MAX_CAMPAIGNS) -> Counting:
    """Return how messages are counted under a price list."""
    return Counting(
        campaign_key=campaign_key,
        max_campaigns=max_campaigns,
        countries=country_by_prefix(),
        zones=prices.zones,
        senders=prices.senders,
        submit_bounds_ms=SUBMIT_BOUNDS_MS,
        receipt_bounds_ms=RECEIPT_BOUNDS_MS,
    )


class Roller:
    """Implements `gateway.ports.record_store.Housekeeping`.

    Messages are there for `message_days`, their counts for `report_days`. `refresh_ms` is how often the hour that runs
    is counted, `rest` how many times longer than its work it pauses, `budget_s` the longest work of one call.
    """

    def __init__(
        self,
        store: RollupStore,
        *,
        clock: Clock,
        rules: Iterable[RouteRule],
        campaign_key: str,
        message_days: int,
        report_days: int,
        refresh_ms: int = 60_000,
        max_campaigns: int = MAX_CAMPAIGNS,
        budget_s: float = BUDGET_S,
        rest: float = REST,
    ) -> None:
        self._store = store
        self._clock = clock
        self._campaign_key = campaign_key
        self._message_days = message_days
        self._report_days = report_days
        self._refresh_ms = refresh_ms
        self._max_campaigns = max_campaigns
        self._budget_s = budget_s
        self._rest = rest
        self._rests_until_ns = 0
        self._trimmed_at: float = -math.inf
        self._skipped: dict[int, int] = {}
        self._is_stopping = False
        self.use(rules)

    def use(self, rules: Iterable[RouteRule]) -> None:
        """Price hours that are new by these rules."""
        self._prices = PriceList.of(rules)

    def stop(self) -> None:
        """Give up the hour in hand after the statement that runs; nothing of it is written."""
        self._is_stopping = True

    async def keep(self, *, now_ms: int) -> None:
        """Count what is due, for some seconds; the next call goes on, after a rest."""
        begun_ns = self._clock.monotonic_ns()
        if begun_ns < self._rests_until_ns:
            return
        try:
            await self._round(now_ms, until_ns=begun_ns + int(self._budget_s * 1e9))
        finally:
            done_ns = self._clock.monotonic_ns()
            self._rests_until_ns = done_ns + int((done_ns - begun_ns) * self._rest)
        if now_ms - self._trimmed_at >= _TRIM_EVERY_MS:
            await self._store.trim(before=now_ms - self._report_days * DAY_MS)
            self._trimmed_at = now_ms

    async def settle_day(self, day_at: int) -> None:
        """Count what changed in a day whose messages are about to go, and close it.

        Raises what the store raises, and RuntimeError when somebody else counts it at the same time.
        """
        writes = writes_of(await self._store.writes(), day_at)
        hours = await self._store.hours(since=day_at)
        of_day = range(day_at, day_at + DAY_MS, HOUR_MS)
        if not hours.keys() & set(of_day) and not await self._store.has_rows(day_at, day_at + DAY_MS):
            return
        for id_hour in of_day:
            state = hours.get(id_hour)
            if (state is None or not state.computed_at or is_changed(state, writes)) and not (
                await self._count_hour(id_hour, writes)
            ):
                raise RuntimeError(f"hour {id_hour} is being counted by another process, or this one stops")
        await self._store.close(of_day)

    async def _round(self, now_ms: int, *, until_ns: int) -> None:
        first_hour = await self._store.first_hour()
        if first_hour is None:
            await self._store.mark([], since=now_ms, checked_at=now_ms - _COUNTERS_LATE_MS)
            return
        kept_since = now_ms - now_ms % DAY_MS - self._message_days * DAY_MS
        first_hour = max(first_hour, kept_since)
        writes = await self._store.writes()
        hours = await self._store.hours(since=first_hour)
        todo = plan(hours, writes, first_hour=first_hour, now_ms=now_ms, refresh_ms=self._refresh_ms)
        await self._store.mark(todo.stale, since=first_hour, checked_at=now_ms - _COUNTERS_LATE_MS)
        self._skipped = {hour: until for hour, until in self._skipped.items() if until > now_ms}
        for id_hour in todo.due:
            if self._is_stopping or self._clock.monotonic_ns() >= until_ns:
                return
            if id_hour not in self._skipped:
                await self._try_hour(id_hour, writes_of(writes, id_hour), now_ms=now_ms)

    async def _try_hour(self, id_hour: int, writes: Writes, *, now_ms: int) -> None:
        """Count one hour; one that cannot be counted does not keep the others from it."""
        try:
            await self._count_hour(id_hour, writes)
        except (TimeoutError, StoreDataError, ValueError, LookupError) as error:
            _log.warning("reports.hour_not_counted", hour=id_hour, error=type(error).__name__)
            self._skipped[id_hour] = now_ms + _SKIP_MS

    async def _count_hour(self, id_hour: int, writes: Writes) -> bool:
        """Count one hour; `writes` were read before. False when another process was faster, or ours stops."""
        state, rules = await self._store.begin(id_hour, price_list=self._prices.id, rules=self._prices.text)
        if state.is_closed:
            return True
        prices = self._prices if state.price_list == self._prices.id else PriceList.read(rules)
        counting = make_counting(prices, campaign_key=self._campaign_key, max_campaigns=self._max_campaigns)
        fold = HourFold(id_hour, prices=prices, max_campaigns=self._max_campaigns)
        computed_at, worked_ns = self._clock.now_ms(), 0
        if state.messages or await self._store.has_rows(id_hour, id_hour + HOUR_MS):
            step_ms = HOUR_MS if 0 < state.messages <= _AT_ONCE else SLICE_MS
            for begins in range(id_hour, id_hour + HOUR_MS, step_ms):
                if self._is_stopping:
                    return False
                begun_ns = self._clock.monotonic_ns()
                fold.add(await self._store.count(begins, begins + step_ms, counting))
                took_ns = self._clock.monotonic_ns() - begun_ns
                worked_ns += took_ns
                # Only for breath: the long rest comes after the round.
                await asyncio.sleep(max(_LEAST_REST_S, took_ns / 1e9))
        done = await self._store.replace(
            _counted(state, fold, writes, computed_at=computed_at, work_ms=worked_ns // 1_000_000),
            fold.rows(),
        )
        if done is Replaced.SHRANK:
            _log.warning("reports.hour_shrank", hour=id_hour, messages=fold.messages, before=state.messages)
        return done is not Replaced.OVERTAKEN


def _counted(
    state: HourState, fold: HourFold, writes: Writes, *, computed_at: int, work_ms: int
) -> HourState:
    return state._replace(
        computed_at=computed_at,
        messages=fold.messages,
        open=fold.open,
        inserts=writes.inserts,
        writes=writes.writes,
        work_ms=work_ms,
    )
