"""What reports need of the database: messages counted by hour, and the counts read by period.

Implemented by `gateway.store.report_rollups` (counting) and `gateway.store.reports` (reading). Times are integer
milliseconds since the Unix epoch (UTC); an hour is named by its beginning. The rules:

1. `count` sees one moment of the database: each message of the span, or what retention kept of it, once.
2. `replace` is all or nothing, and refuses what was counted before somebody else replaced or closed the hour.
3. A closed hour never changes again.
4. Every call has a deadline of its own and raises `TimeoutError` past it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol

HOUR_MS = 3_600_000
SLICE_MS = 600_000
"""What an hour can be counted in."""
REPLY = "reply"
"""Stands in the place of a state for messages of people."""
OTHER = "(other)"
"""Stands for all campaigns beyond those that are told apart."""


class Count(NamedTuple):
    """Messages that are alike. Buckets are places in the lists of bounds, -1 where there is no such delay.

    `zone` is the longest prefix of the price list that the recipient begins with, `sender` the sender where the price
    list names it; both "" otherwise.
    """

    at: int
    account_id: str
    campaign: str
    carrier: str
    channel: str
    message_class: str
    country: str
    zone: str
    sender: str
    state: str
    submit_bucket: int
    receipt_bucket: int
    messages: int
    segments: int
    billed_segments: int
    partial: int
    retried: int


@dataclass(frozen=True, slots=True)
class Counting:
    """How messages are counted: what a campaign is, which prefixes and senders have prices, and the bounds of buckets.

    `countries` are ISO 3166 codes by the first digits of a number: four where they begin with 1, else three.
    """

    campaign_key: str
    max_campaigns: int
    countries: Mapping[str, str]
    zones: tuple[str, ...]
    senders: tuple[str, ...]
    submit_bounds_ms: tuple[int, ...]
    receipt_bounds_ms: tuple[int, ...]


class ReportRow(NamedTuple):
    """One row of `report_rows`, in the order of its columns."""

    id_hour: int
    at: int
    account_id: str
    campaign: str
    carrier: str
    channel: str
    message_class: str
    country: str
    messages: int
    segments: int
    sent: int
    billed_segments: int
    scheduled: int
    queued: int
    submitted: int
    delivered: int
    undeliverable: int
    rejected: int
    expired: int
    failed: int
    cancelled: int
    unknown: int
    partial: int
    retried: int
    timed: int
    timely: int
    cost: Decimal
    unpriced_segments: int
    replies: int
    submit_delays: list[int]
    receipt_delays: list[int]


class HourState(NamedTuple):
    """How far the counting of an hour is; the columns of `report_hours`."""

    id_hour: int
    version: int
    computed_at: int
    messages: int
    open: int
    inserts: int
    writes: int
    is_stale: bool
    is_closed: bool
    price_list: str | None
    work_ms: int


class Writes(NamedTuple):
    """PostgreSQL's counters of a day's partitions: rows inserted, and all rows written."""

    inserts: int
    writes: int


class Replaced(StrEnum):
    """What came of `replace`."""

    DONE = "done"
    OVERTAKEN = "overtaken"
    SHRANK = "shrank"
    """Fewer messages than before: somebody deleted them without telling. The hour is closed as it was."""


class RollupStore(Protocol):
    """Counts messages into hours."""

    async def first_hour(self) -> int | None:
        """Return the hour of the oldest message or reply, None where there is none."""

    async def writes(self) -> dict[int | None, Writes]:
        """Return the counters by day, and as None those of days without a partition, which add to every day."""

    async def hours(self, *, since: int) -> dict[int, HourState]:
        """Return the hours from `since` on that were counted, or begun."""

    async def has_rows(self, begins: int, ends: int) -> bool:
        """Return whether there is anything to count among the ids of a span."""

    async def begin(self, id_hour: int, *, price_list: str, rules: str) -> tuple[HourState, str]:
        """Return an hour and the rules of its price list, which is the given one the first time."""

    async def count(self, begins: int, ends: int, counting: Counting) -> list[Count]:
        """Count the ids of a span within one day, which begins and ends with a slice (`SLICE_MS`)."""

    async def replace(self, state: HourState, rows: Sequence[ReportRow]) -> Replaced:
        """Put the rows in the place of those that are there, and the state; its version is the one found before."""

    async def mark(self, stale: Sequence[int], *, since: int, checked_at: int) -> None:
        """Remember which hours from `since` on were written to, and that the others were not until `checked_at`."""

    async def close(self, id_hours: Sequence[int]) -> None:
        """Let the hours stay as they are."""

    async def trim(self, *, before: int) -> None:
        """Forget what was accepted before a time."""


class Dimension(StrEnum):
    """What reports are grouped and filtered by, in the words of the API."""

    ACCOUNT = "account"
    CAMPAIGN = "campaign"
    CARRIER = "carrier"
    CHANNEL = "channel"
    CLASS = "class"
    COUNTRY = "country"


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """Which counts: in each span (begin and end, ascending), of whom, by what.

    `after` is the place of the last row of the page before: number of the span, then its values in the order of
    `group_by`.
    """

    spans: tuple[tuple[int, int], ...]
    group_by: tuple[Dimension, ...]
    filters: Mapping[Dimension, str]
    limit: int
    after: tuple[int, tuple[str, ...]] | None = None


class Sums(NamedTuple):
    """What is added up of the rows of a group; as in `ReportRow`."""

    messages: int
    segments: int
    sent: int
    billed_segments: int
    scheduled: int
    queued: int
    submitted: int
    delivered: int
    undeliverable: int
    rejected: int
    expired: int
    failed: int
    cancelled: int
    unknown: int
    partial: int
    retried: int
    timed: int
    timely: int
    cost: Decimal
    unpriced_segments: int
    replies: int
    submit_delays: tuple[int, ...]
    receipt_delays: tuple[int, ...]


class ReportLine(NamedTuple):
    """One group of one span; `span` is its number from 0."""

    span: int
    values: tuple[str, ...]
    sums: Sums


class ReportViews(Protocol):
    """Reads the counts."""

    async def lines(self, query: ReportQuery) -> list[ReportLine]:
        """Return the groups by span and value, at most `limit`."""

    async def total(self, query: ReportQuery) -> Sums:
        """Return the sum over all spans and groups, whatever `limit` and `after` say."""

    async def as_of(self, *, begins: int, ends: int, now_ms: int) -> int:
        """Return until when all that happened to messages accepted in a span is counted."""
