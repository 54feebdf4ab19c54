"""Receipts that came before their submission was recorded: kept, looked at again, orphans after a day (D8).

The rule that nothing falls between two chairs: dlr commits a parked receipt and then looks for its submission once
more (`look_again`); the recorder commits submissions and then looks for parked receipts. Whoever commits second sees
the other's row. `ParkingSweeper` covers a process that died between its commit and its look.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import structlog
from prometheus_client import CollectorRegistry

from gateway.bus.reader_metrics import ReaderMetrics
from gateway.bus.topics import RECEIPTS
from gateway.ports.bus import Bus, Record
from gateway.ports.clock import Clock
from gateway.ports.record_store import CarrierKey, Orphans, Parked, ParkedStore, ReceiptStore
from gateway.ports.store import Transactions
from gateway.telemetry.metrics import gauge

_log = structlog.get_logger()

PARKED_MS: Final = 24 * 3600 * 1000
"""How long a receipt waits for its submission (sms-domain F15)."""

MAX_PARKED: Final = 1_000_000
"""Most receipts that wait; beyond it the oldest are given up."""

MAX_ORPHANS: Final = 1_000_000
"""Most receipts that are kept once they are given up; beyond it the oldest are deleted, and counted."""

_COUNT_EVERY_SWEEPS: Final = 10
_REPLAY_RECORDS: Final = 500


def as_record(parked: Parked) -> Record:
    """Return the record that goes back to the topic, keyed as dispatch keys receipts."""
    return Record(RECEIPTS, f"{parked.carrier}:{parked.carrier_message_id}".encode(), parked.value)


class Parking:
    """Hands parked receipts back to the topic `receipts` once their submission is known."""

    def __init__(
        self, bus: Bus, *, db: Transactions, submissions: ReceiptStore, parked: ParkedStore, clock: Clock
    ) -> None:
        self._bus = bus
        self._db = db
        self._submissions = submissions
        self._parked = parked
        self._clock = clock

    async def look_again(self, keys: Sequence[CarrierKey]) -> int:
        """Hand back the parked receipts of those keys that have a submission by now; return how many."""
        if not keys:
            return 0
        # Must be a transaction of its own, begun after the parked rows were committed: its snapshot is the point.
        async with self._db.transaction() as tx:
            found = await self._submissions.find(tx, list(dict.fromkeys(keys)), now_ms=self._clock.now_ms())
            taken = await self._parked.take(tx, list(found))
            if taken:
                await self._bus.append([as_record(one) for one in taken], tx=tx)
        return len(taken)

    async def expire(self, *, limit: int, max_rows: int = MAX_PARKED) -> int:
        """Make orphans of receipts that waited too long, at most `limit`; return how many."""
        async with self._db.transaction() as tx:
            return await self._parked.give_up(tx, now_ms=self._clock.now_ms(), max_rows=max_rows, limit=limit)

    async def drop_orphans(self, *, limit: int, max_rows: int = MAX_ORPHANS) -> int:
        """Delete the oldest orphans beyond `max_rows`, at most `limit`; return how many."""
        async with self._db.transaction() as tx:
            return await self._parked.drop_orphans(tx, max_rows=max_rows, limit=limit)


class ParkingMetrics:
    """One bundle per process."""

    def __init__(self, registry: CollectorRegistry, *, reader_metrics: ReaderMetrics) -> None:
        self.parked = gauge(registry, "dlr_parked_receipts")
        self.orphans = gauge(registry, "dlr_orphan_receipts")
        self.given_up = reader_metrics.dead.labels("receipt_without_submission")
        self.dropped = reader_metrics.dead.labels("orphan_dropped")


async def replay_orphans(
    bus: Bus, *, db: Transactions, orphans: Orphans, carrier: str | None = None, limit: int = 1_000_000
) -> int:
    """Put receipts that were given up on their topic again, oldest first, at most `limit`; return how many.

    Taking some out and appending them is one transaction, so an interruption loses and doubles none. Those that find
    no message again are parked again. Called by `caudal receipts replay-orphans`.
    """
    before = await orphans.newest() + 1  # what is given up from here on waits for the next replay
    replayed = 0
    while replayed < limit:
        async with db.transaction() as tx:
            taken = await orphans.take_orphans(
                tx, carrier=carrier, before=before, limit=min(_REPLAY_RECORDS, limit - replayed)
            )
            if not taken:
                break
            await bus.append([as_record(one) for one in taken], tx=tx)
        replayed += len(taken)
    return replayed


class ParkingSweeper:
    """Walks over the parked receipts for ever, a page every `every_s` seconds. Runs in the role `back`."""

    def __init__(
        self,
        parking: Parking,
        *,
        parked: ParkedStore,
        metrics: ParkingMetrics,
        every_s: float = 3.0,
        page_rows: int = 500,
    ) -> None:
        self._parking = parking
        self._parked = parked
        self._metrics = metrics
        self._every_s = every_s
        self._page_rows = page_rows
        self._after = 0
        self._sweeps = 0
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End `run` after the page in hand."""
        self._stopping.set()

    async def run(self) -> None:
        """Sweep until `stop`; an error waits for the next round."""
        while not self._stopping.is_set():
            try:
                await self.sweep()
            except Exception as error:  # noqa: BLE001 - the database may be away; the rows stay
                _log.warning("parking.sweep_failed", error=type(error).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._stopping.wait()

    async def sweep(self) -> int:
        """Look at one page and expire what is too old; return how many receipts were handed back."""
        keys, self._after = await self._parked.keys_after(self._after, limit=self._page_rows)
        handed_back = await self._parking.look_again(keys)
        expired = await self._parking.expire(limit=self._page_rows)
        if expired:
            self._metrics.given_up.inc(expired)
            _log.warning("parking.expired", receipts=expired)
            dropped = await self._parking.drop_orphans(limit=self._page_rows)
            if dropped:
                self._metrics.dropped.inc(dropped)
                _log.error("parking.orphans_dropped", receipts=dropped)
        if self._sweeps % _COUNT_EVERY_SWEEPS == 0:
            parked, orphans = await self._parked.counts()
            self._metrics.parked.set(parked)
            self._metrics.orphans.set(orphans)
        self._sweeps += 1
        return handed_back
