"""Admission: how full the lanes are, refreshed every second, and how much each account may still send.

Called by `gateway.intake.entry` before anything is written. The figures of the lanes are up to `refresh_s` old; the
allowances are of this process alone.
"""

import asyncio
from collections.abc import Iterable, Sequence

import structlog

from gateway.bus.topics import lane, lane_group, lanes
from gateway.domain.message import Message
from gateway.intake.metrics import ACCOUNT_LIMITER, LaneMetrics, LimiterMetrics
from gateway.policy.admission import Allowance, MessageAllowance, fullest_lane
from gateway.ports.bus import Bus, Lag
from gateway.ports.clock import Clock
from gateway.ports.intake_store import Account

_log = structlog.get_logger()


class Backlog:
    """Knows what may enter. `run` keeps the lane figures fresh until it is cancelled."""

    def __init__(
        self,
        bus: Bus,
        *,
        carriers: Sequence[str],
        clock: Clock,
        max_lane_messages: int = 5_000_000,
        refresh_s: float = 1.0,
        deadline_s: float = 5.0,
        metrics: LaneMetrics | None = None,
        limiters: LimiterMetrics | None = None,
    ) -> None:
        self._bus = bus
        self._carriers = tuple(carriers)
        self._clock = clock
        self._max_lane_messages = max_lane_messages
        self._refresh_s = refresh_s
        self._deadline_s = deadline_s
        self._metrics = metrics
        self._limiters = limiters
        for carrier in self._carriers:
            self._show(carrier, ())
        self._records: dict[str, int] = {}
        self._allowances: dict[str, MessageAllowance] = {}
        self._failing = False

    def use(self, carriers: Sequence[str]) -> None:
        """Watch the lanes of these carriers from now on; a new one's are empty until the next refresh."""
        for carrier in set(self._carriers).symmetric_difference(carriers):
            if carrier in carriers:
                self._show(carrier, ())
            elif self._metrics is not None:
                self._metrics.forget(carrier)
        self._carriers = tuple(carriers)
        kept = {topic for carrier in carriers for topic in lanes(carrier)}
        self._records = {topic: records for topic, records in self._records.items() if topic in kept}

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(self._refresh_s)

    async def refresh(self) -> None:
        """Ask the bus once; a carrier that cannot be asked keeps its last figures."""
        failed = ""
        for carrier in self._carriers:
            try:
                async with asyncio.timeout(self._deadline_s):
                    lags = await self._bus.lag(lane_group(carrier))
            except Exception as error:  # noqa: BLE001 - admission goes on with what it knows; the journal finds out
                failed = type(error).__name__
                continue
            if carrier in self._carriers:  # it may have been taken out while the bus was asked
                self._records.update(self._show(carrier, lags))
        if bool(failed) != self._failing:
            self._failing = bool(failed)
            _log.warning("backlog.refresh_failed" if failed else "backlog.refresh_recovered", error=failed)

    def _show(self, carrier: str, lags: Iterable[Lag]) -> dict[str, int]:
        """Publish what waits for a carrier; return the records of each of its lanes."""
        records: dict[str, int] = {}
        oldest_ms: dict[str, int] = {}
        for lag in lags:
            records[lag.topic] = records.get(lag.topic, 0) + lag.records
            if lag.oldest_ms is not None:
                oldest_ms[lag.topic] = min(lag.oldest_ms, oldest_ms.get(lag.topic, lag.oldest_ms))
        if self._metrics is not None:
            self._metrics.show(carrier, records=records, oldest_ms=oldest_ms, now_ms=self._clock.now_ms())
        return records

    def full_lane(self, messages: Sequence[Message]) -> str | None:
        """Return a lane these messages would enter that has no room, or None."""
        if len(messages) == 1:  # the price of the set below is that of a tenth of a single POST
            topic = lane(messages[0].carrier, messages[0].message_class)
            return topic if self._records.get(topic, 0) >= self._max_lane_messages else None
        lanes = {(message.carrier, message.message_class) for message in messages}
        topics = (lane(carrier, message_class) for carrier, message_class in lanes)
        return fullest_lane(topics, records=self._records, limit=self._max_lane_messages)

    def take(self, account: Account, count: int) -> Allowance | None:
        """Take `count` messages from the account's allowance; None when it has no limit of its own."""
        quota = account.messages_per_second
        if quota is None:
            return None
        allowance = self._allowances.get(account.id)
        if allowance is None or allowance.quota != quota:
            allowance = self._allowances[account.id] = MessageAllowance(quota)
        taken = allowance.take(count, now_ns=self._clock.monotonic_ns())
        if self._limiters is not None:
            self._limiters.decided(ACCOUNT_LIMITER, is_allowed=taken.admitted)
        return taken
