"""One report: from what was asked for to its rows, as JSON or CSV. Used by `gateway.ingress.reports` and `caudal reports`."""

import asyncio
import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

from gateway.domain.instants import rfc3339
from gateway.ports.clock import Clock
from gateway.ports.report_store import Dimension, ReportLine, ReportQuery, ReportViews, Sums
from gateway.reporting.figures import STATES, figures
from gateway.reporting.periods import Period, PeriodError, Span, check_day, cut, default_first

AT_ONCE: Final = 2
DIMENSIONS: Final = tuple(Dimension)
CSV_COLUMNS: Final = (
    "period",
    "starts_at",
    "ends_at",
    *(one.value for one in DIMENSIONS),
    "messages",
    "segments",
    "sent",
    *STATES,
    "partial",
    "retried",
    "delivery_ratio",
    "submit_p50_s",
    "submit_p95_s",
    "submit_p99_s",
    "receipt_p50_s",
    "receipt_p95_s",
    "receipt_p99_s",
    "sla_timely",
    "sla_of",
    "sla_attained",
    "replies",
    "cost",
    "billed_segments",
    "unpriced_segments",
    "as_of",
)
_PERCENTILES: Final = ("p50", "p95", "p99")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_MAX_ZONE: Final = 64
_WAIT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. Days are those of `zone`, both included; without them the last few periods until today.

    `with_cost` shows what segments cost us.
    """

    period: Period
    zone: str = "UTC"
    first: date | None = None
    last: date | None = None
    group_by: tuple[Dimension, ...] = ()
    filters: Mapping[Dimension, str] = field(default_factory=dict)
    with_cost: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What is answered. `next_after` is the place of the last line where there are more, for `ReportDesk.report`."""

    wish: Wish
    first: date
    last: date
    spans: tuple[Span, ...]
    lines: tuple[ReportLine, ...]
    total: Sums | None
    as_of: int
    next_after: tuple[int, tuple[str, ...]] | None


class ReportDesk:
    """Makes reports from the counts, `at_once` at a time: the connections are there for messages first."""

    def __init__(self, views: ReportViews, *, clock: Clock, at_once: int = AT_ONCE) -> None:
        self._views = views
        self._clock = clock
        self._slots = asyncio.Semaphore(at_once)

    async def report(
        self, wish: Wish, *, limit: int, after: tuple[int, tuple[str, ...]] | None = None
    ) -> Report:
        """Return at most `limit` lines behind `after`.

        Raises PeriodError for a span or zone that cannot be reported in, TimeoutError when others are asked for first.
        """
        zone = find_zone(wish.zone)
        check_day("from", wish.first)
        check_day("to", wish.last)
        now_ms = self._clock.now_ms()
        last = wish.last or datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone).date()
        first = wish.first or default_first(wish.period, last)
        spans = tuple(cut(wish.period, first=first, last=last, zone=zone))
        query = ReportQuery(
            tuple([(one.begins, one.ends) for one in spans]), wish.group_by, wish.filters, limit + 1, after
        )
        async with asyncio.timeout(_WAIT_S):
            await self._slots.acquire()
        try:
            # Asked first: what is counted meanwhile makes the report better than it says.
            as_of = await self._views.as_of(begins=spans[0].begins, ends=spans[-1].ends, now_ms=now_ms)
            lines = await self._views.lines(query)
            total = await self._views.total(query) if after is None else None
        finally:
            self._slots.release()
        next_after = None
        if len(lines) > limit:
            lines = lines[:limit]
            next_after = (lines[-1].span, lines[-1].values)
        return Report(wish, first, last, spans, tuple(lines), total, as_of, next_after)


def find_zone(name: str) -> ZoneInfo:
    """Return a time zone of the IANA database by its name; PeriodError for any other."""
    if name not in _zones():
        raise PeriodError(
            "tz", f"{name[:_MAX_ZONE]!r} is no time zone of the IANA database, such as America/Mexico_City"
        )
    return ZoneInfo(name)


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def line_json(report: Report, line: ReportLine) -> dict[str, Any]:
    """Return one group of one period as the API shows it."""
    span = report.spans[line.span]
    return {
        "period": span.label,
        "starts_at": rfc3339(span.begins),
        "ends_at": rfc3339(span.ends),
        "group": {
            one.value: value or None for one, value in zip(report.wish.group_by, line.values, strict=True)
        },
        **figures(line.sums, with_cost=report.wish.with_cost),
    }


def report_json(report: Report, *, next_cursor: str | None = None) -> dict[str, Any]:
    """Return the whole answer; `total` is in the first page alone."""
    wish = report.wish
    return {
        "period": wish.period.value,
        "tz": wish.zone,
        "from": report.first.isoformat(),
        "to": report.last.isoformat(),
        "group_by": [one.value for one in wish.group_by],
        "as_of": rfc3339(report.as_of) if report.as_of else None,
        "data": [line_json(report, line) for line in report.lines],
        "total": None if report.total is None else figures(report.total, with_cost=wish.with_cost),
        "next_cursor": next_cursor,
    }


def csv_text(report: Report) -> str:
    """Return the report as RFC 4180 has it: always these columns, those empty that do not apply."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(CSV_COLUMNS)
    for line in report.lines:
        writer.writerow(_cells(report, line))
    return out.getvalue()


def _cells(report: Report, line: ReportLine) -> Iterator[Any]:
    shown = line_json(report, line)
    group = shown["group"]
    yield from (shown["period"], shown["starts_at"], shown["ends_at"])
    yield from [_harmless(group.get(one.value)) for one in DIMENSIONS]
    yield from (shown["messages"], shown["segments"], shown["sent"])
    yield from [shown["states"][name] for name in STATES]
    yield from (shown["partial"], shown["retried"], shown["delivery_ratio"])
    for delay in ("submit_delay", "receipt_delay"):
        yield from [shown[delay][f"{name}_s"] for name in _PERCENTILES]
    yield from (shown["sla"]["timely"], shown["sla"]["of"], shown["sla"]["attained"], shown["replies"])
    yield from [shown.get(name) for name in ("cost", "billed_segments", "unpriced_segments")]
    yield rfc3339(report.as_of) if report.as_of else None


def _harmless(text: str | None) -> str | None:
    """Return a text that a spreadsheet does not take for a formula: what clients wrote must not run there."""
    return f"'{text}" if text and text.startswith(_FORMULA) else text
