"""Random traffic for reports: rows of `messages` as the recorder leaves them, and a ledger of all there ever were."""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from gateway.domain.ids import new_uuid7, uuid7_time_ms
from gateway.ports.record_store import MessageRow
from gateway.reporting.countries import country_of
from gateway.store.pool import Database
from tests.support.records import HOUR

CLASSES = ("otp", "transactional", "collections", "marketing")
FINALS = ("delivered", "undeliverable", "rejected", "expired", "failed", "cancelled", "unknown")
BY_RECEIPT = ("delivered", "undeliverable", "rejected", "expired")
NUMBERS = ("525512345678", "56987654321", "573001112233", "18095551234", "anna@example.com")
NEW_YORK_FALLS_BACK = 1_793_512_800_000
"""2026-11-01T06:00:00Z: 02:00 in New York becomes 01:00."""
NOON = NEW_YORK_FALLS_BACK + 30 * HOUR
OBJECTIVE_MS = {"otp": 5_000, "transactional": 5_000, "collections": 60_000, "marketing": 60_000}


@dataclass
class Traffic:
    """Makes messages and lets them go on; `ledger` is what the reports have to say."""

    db: Database
    seed: int
    ledger: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    now_ms: int = NOON

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._numbers = iter(range(1, 1 << 60))

    async def accept(self, count: int) -> None:
        """Write messages of the last days, the hours around midnight and a change of clocks among them."""
        rows = [self._row() for _ in range(count)]
        async with self.db.acquire() as connection:
            await connection.copy_records_to_table("messages", records=rows, columns=MessageRow._fields)
            await connection.execute("SELECT pg_stat_force_next_flush()")
        for row in rows:
            self.ledger[row.id] = row._asdict()

    async def go_on(self, share: float = 0.5) -> None:
        """Let some of the open messages be submitted, or end: late receipts change old hours."""
        open_ones = [one for one in self.ledger.values() if one["state_rank"] < 3 and not one.get("gone")]
        changed = [self._moved(one) for one in open_ones if self.random.random() < share]
        await self._update(changed)

    async def end_all(self) -> None:
        """Let every open message end."""
        open_ones = [one for one in self.ledger.values() if one["state_rank"] < 3 and not one.get("gone")]
        await self._update([self._ended(one) for one in open_ones])

    async def forget_deleted(self) -> int:
        """Note which messages retention has deleted: they stay in the ledger as they were. Return how many."""
        async with self.db.acquire() as connection:
            there = {row[0] for row in await connection.fetch("SELECT id FROM messages")}
        for message_id, one in self.ledger.items():
            one["gone"] = message_id not in there
        return sum([one["gone"] for one in self.ledger.values()])

    async def _update(self, changed: list[dict[str, Any]]) -> None:
        names = ("state", "state_rank", "carrier", "attempt", "submitted_at", "final_at", "partial")
        async with self.db.acquire() as connection:
            await connection.executemany(
                "UPDATE messages SET state = $2, state_rank = $3, carrier = $4, attempt = $5, submitted_at = $6, "
                "final_at = $7, partial = $8 WHERE id = $1",
                [(one["id"], *(one[name] for name in names)) for one in changed],
            )
            await connection.execute("SELECT pg_stat_force_next_flush()")

    def _time(self) -> int:
        midnight = NOON - NOON % (24 * HOUR)
        base = self.random.choice(
            (NOON, NOON - 26 * HOUR, midnight, midnight + 6 * HOUR, NEW_YORK_FALLS_BACK, NOON - 3 * HOUR)
        )
        at = base + self.random.choice((-1, 0, 1, self.random.randrange(-2 * HOUR, 2 * HOUR)))
        return min(at, self.now_ms)

    def _row(self) -> MessageRow:
        draw = self.random
        at = self._time()
        # An id may be older than its message: a request in doubt that was sent again.
        made_at = at - draw.choice((0, 0, 0, 1, 700, 90_000))
        account = draw.choice(("acme", "short", "=other"))
        campaign = draw.choice((None, "spring", "-autumn", "último día"))
        segments = draw.choice((1, 1, 1, 2, 7))
        row = MessageRow(
            id=new_uuid7(made_at, next(self._numbers)),
            account_id=account,
            message_class=draw.choice(CLASSES),
            channel=draw.choice(("sms", "sms", "whatsapp")),
            source="api",
            recipient=draw.choice(NUMBERS),
            sender=draw.choice(("ACME", "22222")),
            text="x",
            encoding="gsm7",
            segment_count=segments,
            client_ref=None,
            batch_id=None,
            request_id=None,
            metadata=None
            if campaign is None
            else msgspec.json.encode({"campaign": campaign, "team": "a"}).decode(),
            accepted_at=at,
            valid_until=at + HOUR,
            send_at=draw.choice((None, None, at + 600_000)),
            first_state="queued",
            first_carrier="telco_a",
            route_reason="rule 1",
            webhook_id=None,
            origin=None,
            channels=None,
            state="queued",
            state_rank=1,
            partial=False,
            carrier=draw.choice(("telco_a", "telco_b", None)),
            attempt=0,
            submitted_at=None,
            final_at=None,
            error="",
        )
        moved = row._asdict()
        for _ in range(draw.choice((0, 1, 1, 2))):
            moved = self._moved(moved)
        return MessageRow(**moved)

    def _moved(self, one: dict[str, Any]) -> dict[str, Any]:
        if one["submitted_at"] is None and self.random.random() < 0.8:
            begun = max(one["accepted_at"], one["send_at"] or 0)
            delay = self.random.choice((-5, 0, 40, 50, 51, 4_999, 5_000, 5_001, 60_000, 60_001, 4_000_000))
            one |= {
                "state": "submitted",
                "state_rank": 2,
                "submitted_at": begun + delay,
                "attempt": self.random.choice((1, 1, 2)),
                "carrier": self.random.choice(("telco_a", "telco_b")),
            }
            return one
        return self._ended(one)

    def _ended(self, one: dict[str, Any]) -> dict[str, Any]:
        if one["state_rank"] < 3:
            since = one["submitted_at"] or one["accepted_at"]
            one |= {
                "state": self.random.choice(FINALS),
                "state_rank": 3,
                "partial": one["segment_count"] > 1 and self.random.random() < 0.3,
                "final_at": since + self.random.choice((0, 999, 1_000, 1_001, 30_000, 90_000_000)),
            }
        return one


def label_of(period: str, time_ms: int, zone: str) -> str:
    """Return the period that an instant is in, found by the calendar of its zone."""
    day = datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(ZoneInfo(zone)).date()
    if period == "week":
        return "{}-W{:02d}".format(*day.isocalendar()[:2])
    return f"{day:%Y-%m}" if period == "month" else day.isoformat()


def expected(
    ledger: Iterable[dict[str, Any]], *, period: str, zone: str, group_by: tuple[str, ...], prices: Any = None
) -> dict[tuple[str, ...], Counter[str]]:
    """Return sums by period and group, counted message by message."""
    found: dict[tuple[str, ...], Counter[str]] = {}
    for one in ledger:
        metadata = msgspec.json.decode(one["metadata"]) if one["metadata"] else {}
        dimensions = {
            "account": one["account_id"],
            "campaign": metadata.get("campaign", ""),
            "carrier": one["carrier"] or one["first_carrier"],
            "channel": one["channel"],
            "class": one["message_class"],
            "country": country_of(one["recipient"]),
        }
        key = (label_of(period, one["accepted_at"], zone), *(dimensions[name] for name in group_by))
        sums = found.setdefault(key, Counter())
        sums["messages"] += 1
        sums["segments"] += one["segment_count"]
        sums[one["state"]] += 1
        sums["partial"] += one["partial"]
        sums["retried"] += one["attempt"] > 1
        if one["submitted_at"] is not None:
            delay = one["submitted_at"] - max(one["accepted_at"], one["send_at"] or 0)
            sums["sent"] += 1
            sums["timely"] += delay <= OBJECTIVE_MS[one["message_class"]]
            sums["submit_delays"] += 1
            if one["state"] in BY_RECEIPT:
                sums["receipt_delays"] += 1
                sums["receipts_within_30_s"] += one["final_at"] - one["submitted_at"] <= 30_000
            cost = None if prices is None else prices(one, dimensions)
            sums["cost_e4"] += 0 if cost is None else round(cost * one["segment_count"] * 10_000)
            sums["unpriced_segments"] += one["segment_count"] if cost is None else 0
        sums["timed"] += one["submitted_at"] is not None or one["state"] in ("expired", "failed")
    return found


def hour_of_id(message_id: UUID) -> int:
    """Return the hour that an id was made in."""
    return uuid7_time_ms(message_id) // HOUR * HOUR
