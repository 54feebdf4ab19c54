"""Reports are what the messages say: added up by hour, through late receipts, retention and crashes; read by period."""

import asyncio
import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from gateway.domain.ids import new_uuid7
from gateway.domain.message import MessageClass
from gateway.policy.routing import RouteRule
from gateway.ports.report_store import Dimension, ReportLine
from gateway.reporting.desk import CSV_COLUMNS, ReportDesk, Wish, csv_text
from gateway.reporting.fold import RECEIPT_BOUNDS_MS, SUBMIT_BOUNDS_MS
from gateway.reporting.periods import Period
from gateway.reporting.prices import PriceList
from gateway.reporting.roller import Roller, make_counting
from gateway.store.accounts import Accounts
from gateway.store.partitions import Partitions
from gateway.store.pool import Database
from gateway.store.report_rollups import PostgresRollups, RemovedCounts
from gateway.store.reports import PostgresReports
from gateway.store.retention import AccountRetention
from tests.support.records import DAY, HOUR, FixedClock
from tests.support.reports import NOON, Traffic, expected

pytestmark = pytest.mark.postgres

RULES = (
    RouteRule(("telco_a",), prefix="5255", message_class=MessageClass.OTP, cost=Decimal("0.0125")),
    RouteRule(("telco_a", "telco_b"), prefix="52", cost=Decimal("0.01")),
    RouteRule(("telco_b",), prefix="1809", account="acme", cost=Decimal("0.5")),
    RouteRule(("telco_b",), sender="22222", cost=Decimal("0.0301")),
    RouteRule(("telco_a", "telco_b")),
)
SUMMED = ("messages", "segments", "partial", "retried", "sent", "timely", "timed", "unpriced_segments")
STATES = (
    "queued",
    "submitted",
    "delivered",
    "undeliverable",
    "rejected",
    "expired",
    "failed",
    "cancelled",
    "unknown",
)


def price(one, dimensions):
    """What a segment costs by RULES, written down once more."""
    carrier, to, sender = dimensions["carrier"], one["recipient"], one["sender"]
    if carrier == "telco_a" and to.startswith("5255") and one["message_class"] == "otp":
        return Decimal("0.0125")
    if to.startswith("52"):
        return Decimal("0.01")
    if carrier == "telco_b" and to.startswith("1809") and one["account_id"] == "acme":
        return Decimal("0.5")
    return Decimal("0.0301") if carrier == "telco_b" and sender == "22222" else None


class Bench:
    """Reports over one database. Time moves by hand; nothing rests."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.clock = FixedClock(NOON)
        self.store = PostgresRollups(db)
        self.removed = RemovedCounts(make_counting(PriceList.of(RULES), campaign_key="campaign"))
        self.roller = self.new_roller()
        self.views = PostgresReports(
            db, submit_buckets=len(SUBMIT_BOUNDS_MS) + 1, receipt_buckets=len(RECEIPT_BOUNDS_MS) + 1
        )
        self.desk = ReportDesk(self.views, clock=self.clock)

    def new_roller(self, store=None, **changes) -> Roller:
        arguments = {
            "clock": self.clock,
            "rules": RULES,
            "campaign_key": "campaign",
            "message_days": 30,
            "report_days": 400,
            "rest": 0.0,
        }
        return Roller(store or self.store, **(arguments | changes))

    async def count(self, roller: Roller | None = None) -> None:
        """Count whatever changed: an hour is counted again after six hours at the latest."""
        self.clock.ms += 7 * HOUR
        await (roller or self.roller).keep(now_ms=self.clock.ms)

    async def lines(self, wish: Wish) -> dict[tuple[str, ...], Counter[str]]:
        report = await self.desk.report(wish, limit=100_000)
        return {(report.spans[line.span].label, *line.values): sums_of(line) for line in report.lines}


def sums_of(line: ReportLine) -> Counter[str]:
    sums = line.sums
    found = Counter({name: getattr(sums, name) for name in (*SUMMED, *STATES)})
    found["cost_e4"] = round(sums.cost * 10_000)
    found["submit_delays"] = sum(sums.submit_delays)
    found["receipt_delays"] = sum(sums.receipt_delays)
    found["receipts_within_30_s"] = sum(sums.receipt_delays[: RECEIPT_BOUNDS_MS.index(30_000) + 1])
    return found


def assert_alike(found, wanted):
    assert found.keys() == wanted.keys()
    for key, sums in wanted.items():
        assert +found[key] == +sums, key


def a_wish(period: str, zone: str, *group_by: str, **filters: str) -> Wish:
    return Wish(
        Period(period),
        zone,
        date(2026, 10, 1),
        date(2026, 12, 31),
        tuple(map(Dimension, group_by)),
        {Dimension(name.strip("_")): value for name, value in filters.items()},
        with_cost=True,
    )


VIEWS = (
    ("day", "UTC", ()),
    ("day", "America/Mexico_City", ("carrier", "class")),
    ("day", "America/New_York", ("account", "campaign", "country")),
    ("week", "America/Santiago", ("channel",)),
    ("month", "Asia/Tokyo", ("account", "campaign", "carrier", "channel", "class", "country")),
)


async def assert_reports_equal_the_ledger(
    bench: Bench, traffic: Traffic, views: Sequence[tuple[str, str, tuple[str, ...]]] = VIEWS
) -> None:
    for period, zone, group_by in views:
        wanted = expected(traffic.ledger.values(), period=period, zone=zone, group_by=group_by, prices=price)
        assert_alike(await bench.lines(a_wish(period, zone, *group_by)), wanted)


@pytest.fixture
async def bench(db: Database) -> Bench:
    await Partitions(db).keep(now_ms=NOON)
    accounts = Accounts(db, pepper=b"pepper")
    for name in ("acme", "short"):
        await accounts.create_account(name, now_ms=NOON)
    found = await accounts.find_account("short")
    assert found is not None
    await accounts.update_account(replace(found, retention_days=1))
    return Bench(db)


class DyingStore(PostgresRollups):
    """Dies after some slices."""

    def __init__(self, db, *, after):
        super().__init__(db)
        self.left = after

    async def count(self, begins, ends, counting):
        if not self.left:
            raise ConnectionError("killed")
        self.left -= 1
        return await super().count(begins, ends, counting)


@pytest.mark.parametrize("seed", range(2))
async def test_reports_equal_the_messages_through_receipts_retention_and_crashes(
    bench: Bench, seed: int
) -> None:
    traffic = Traffic(bench.db, seed)
    retention = AccountRetention(
        bench.db, retention_days=30, chunk=7, pause_s=0.0, rest_ms=0, removed=bench.removed
    )
    await traffic.accept(150)
    await bench.count()
    await assert_reports_equal_the_ledger(bench, traffic)

    for after in (1, 6):
        await traffic.accept(40)
        await traffic.go_on()
        with pytest.raises(ConnectionError):
            await bench.count(bench.new_roller(DyingStore(bench.db, after=after)))
    await bench.count()
    await assert_reports_equal_the_ledger(bench, traffic, VIEWS[1:3])

    await retention.keep(now_ms=bench.clock.ms)
    assert await traffic.forget_deleted() > 10
    await assert_reports_equal_the_ledger(bench, traffic, VIEWS[1:3])
    await traffic.go_on()
    await traffic.accept(30)
    await asyncio.gather(bench.count(), bench.count(bench.new_roller()))
    await bench.count()
    await assert_reports_equal_the_ledger(bench, traffic, VIEWS[1:3])

    # Open messages of the short-lived account end, and go; then the days go as a whole.
    await traffic.end_all()
    await retention.keep(now_ms=bench.clock.ms)
    await traffic.forget_deleted()
    for days in (5, 13):
        bench.clock.ms = NOON + days * DAY
        partitions = Partitions(bench.db, retention_days=10, before_drop=bench.roller.settle_day)
        await bench.roller.keep(now_ms=bench.clock.ms)
        await partitions.keep(now_ms=bench.clock.ms)
        await bench.count()
    assert await traffic.forget_deleted() == len(traffic.ledger)
    await assert_reports_equal_the_ledger(bench, traffic)


async def test_rows_deleted_behind_our_back_leave_the_report_as_it_was(bench: Bench) -> None:
    traffic = Traffic(bench.db, 7)
    await traffic.accept(40)
    await bench.count()
    before = await bench.lines(a_wish("day", "UTC", "account"))
    async with bench.db.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM report_hours WHERE is_closed") == 0
        await connection.execute("DELETE FROM messages")
        await connection.execute("UPDATE report_hours SET computed_at = 0")
        await bench.roller.settle_day(NOON - NOON % DAY)
        await bench.roller.settle_day(NOON - NOON % DAY - DAY)
        closed = await connection.fetchval("SELECT sum(messages) FROM report_hours WHERE is_closed")
    assert closed == 40
    assert await bench.lines(a_wish("day", "UTC", "account")) == before


class OneBadHour(PostgresRollups):
    """Cannot count one hour, which is the most urgent."""

    async def count(self, begins, ends, counting):
        if begins >= NOON:
            raise TimeoutError
        return await super().count(begins, ends, counting)


async def test_an_hour_that_cannot_be_counted_does_not_keep_the_others_from_it(bench: Bench) -> None:
    traffic = Traffic(bench.db, 9)
    await traffic.accept(60)
    await bench.count(bench.new_roller(OneBadHour(bench.db)))
    found = await bench.lines(a_wish("day", "UTC"))
    assert 0 < sum([one["messages"] for one in found.values()]) < 60
    await bench.count()
    await assert_reports_equal_the_ledger(bench, traffic, VIEWS[:1])


async def test_campaigns_beyond_those_that_are_told_apart_are_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    traffic = Traffic(bench.db, 3)
    await traffic.accept(60)
    for max_counts in (100_000, 5):  # the database merges them where there are too many to fetch
        monkeypatch.setattr("gateway.store.report_rollups._MAX_COUNTS", max_counts)
        await bench.count(bench.new_roller(max_campaigns=1))
        by_campaign = await bench.lines(a_wish("month", "UTC", "account", "campaign"))
        wanted = expected(
            traffic.ledger.values(), period="month", zone="UTC", group_by=("account",), prices=price
        )
        assert {campaign for _, _, campaign in by_campaign} >= {"", "(other)"}
        merged: dict[tuple[str, ...], Counter[str]] = {}
        for (label, account, _), sums in by_campaign.items():
            merged[label, account] = merged.get((label, account), Counter()) + sums
        assert_alike(merged, wanted)
        await traffic.accept(20)


async def test_an_hour_keeps_its_prices_when_it_is_counted_again(bench: Bench) -> None:
    traffic = Traffic(bench.db, 4)
    await traffic.accept(60)
    await bench.count()
    await traffic.go_on()
    await bench.count(bench.new_roller(rules=(RouteRule(("telco_a", "telco_b"), cost=Decimal(99)),)))
    await assert_reports_equal_the_ledger(bench, traffic)


async def test_a_report_says_until_when_it_is_counted(bench: Bench) -> None:
    begins, ends = NOON - 3 * DAY, NOON + DAY
    assert await bench.views.as_of(begins=begins, ends=ends, now_ms=NOON) == 0
    traffic = Traffic(bench.db, 5)
    await traffic.accept(30)
    await bench.count()
    first = bench.clock.ms
    await bench.roller.keep(now_ms=first)  # looks again: nothing was written since
    assert await bench.views.as_of(begins=begins, ends=ends, now_ms=first) == first - 60_000
    await traffic.go_on(1.0)
    bench.clock.ms += 61_000  # too soon to count old hours again
    await bench.roller.keep(now_ms=bench.clock.ms)
    assert await bench.views.as_of(begins=begins, ends=ends, now_ms=bench.clock.ms) <= first
    await bench.count()
    await bench.roller.keep(now_ms=bench.clock.ms)
    assert await bench.views.as_of(begins=begins, ends=ends, now_ms=bench.clock.ms) == bench.clock.ms - 60_000


async def test_pages_and_filters_hold_every_group_once(bench: Bench) -> None:
    traffic = Traffic(bench.db, 6)
    await traffic.accept(80)
    await bench.count()
    wish = a_wish("day", "America/Mexico_City", "campaign", "carrier", "class")
    whole = await bench.desk.report(wish, limit=100_000)
    seen, after = [], None
    while True:
        page = await bench.desk.report(wish, limit=3, after=after)
        assert (page.total is None) == (after is not None)
        seen += page.lines
        after = page.next_after
        if after is None:
            break
    assert tuple(seen) == whole.lines
    assert len(whole.lines) > 20
    only = [
        one
        for one in traffic.ledger.values()
        if one["account_id"] == "acme" and one["message_class"] == "otp"
    ]
    wanted = expected(only, period="month", zone="UTC", group_by=(), prices=price)
    assert_alike(await bench.lines(a_wish("month", "UTC", account="acme", class_="otp")), wanted)
    assert await bench.lines(a_wish("month", "UTC", account="nobody")) == {}


async def test_replies_are_counted_and_outlive_their_rows(bench: Bench) -> None:
    async with bench.db.acquire() as connection:
        for number, (account, sender) in enumerate(
            (("acme", "525512345678"), ("short", "56987654321"), (None, "X"))
        ):
            await connection.execute(
                "INSERT INTO inbound_messages VALUES ($1, $2, 'number', 'telco_a', 'rx1', $3, true, '22222', 'hola', 'gsm7', "
                "1, '{}', $4, NULL, '{}', NULL, NULL)",
                new_uuid7(NOON - 30 * HOUR, number),
                account,
                sender,
                NOON - 30 * HOUR,
            )
    await bench.count()
    retention = AccountRetention(bench.db, retention_days=30, rest_ms=0, removed=bench.removed)
    await retention.keep(now_ms=NOON)
    for _ in range(2):
        report = await bench.desk.report(a_wish("month", "UTC", "account", "country"), limit=10)
        assert [(*line.values, line.sums.replies, line.sums.messages) for line in report.lines] == [
            ("", "", 1, 0),
            ("acme", "MX", 1, 0),
            ("short", "CL", 1, 0),
        ]
        async with bench.db.acquire() as connection:  # counted again, for a message that came late
            assert await connection.fetchval("SELECT count(*) FROM inbound_messages") == 2
            await connection.execute("UPDATE report_hours SET computed_at = 0")
        await bench.count()


async def test_what_clients_wrote_is_no_formula_in_a_spreadsheet(bench: Bench) -> None:
    traffic = Traffic(bench.db, 8)
    await traffic.accept(60)
    await bench.count()
    report = await bench.desk.report(
        a_wish("day", "America/Bogota", "account", "campaign", "carrier"), limit=1000
    )
    text = csv_text(report)
    assert text.count("\r\n") == len(report.lines) + 1
    rows = list(csv.DictReader(io.StringIO(text)))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert {row["account"] for row in rows} == {"acme", "short", "'=other"}
    assert {row["campaign"] for row in rows} == {"", "spring", "'-autumn", "último día"}
    assert sum(int(row["messages"]) for row in rows) == 60
    assert {row["class"] for row in rows} == {""}
