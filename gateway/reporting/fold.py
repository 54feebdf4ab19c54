"""From counts of alike messages to the rows of reports: prices, objectives and histograms. No I/O.

Called by `gateway.reporting.roller`, slice after slice; what it holds is as large as the hour has groups.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from gateway.domain.message import MessageClass
from gateway.ports.report_store import OTHER, REPLY, Count, ReportRow, Sums
from gateway.reporting.prices import PriceList
from gateway.telemetry.metrics import DELAY_BUCKETS, RECEIPT_BUCKETS

SUBMIT_BOUNDS_MS: Final = tuple([round(bound * 1000) for bound in DELAY_BUCKETS])
RECEIPT_BOUNDS_MS: Final = tuple([round(bound * 1000) for bound in RECEIPT_BUCKETS])

OBJECTIVE_MS: Final = {
    MessageClass.OTP: 5_000,
    MessageClass.TRANSACTIONAL: 5_000,
    MessageClass.COLLECTIONS: 60_000,
    MessageClass.MARKETING: 60_000,
}
"""Within what a message is with a carrier: the objectives submit-timeliness of deploy/slo/slos.toml."""

# Ended on our side before a carrier had it: too late, whatever the clock says.
_NEVER_SENT: Final = frozenset({"expired", "failed"})
_OPEN: Final = frozenset({"scheduled", "queued", "submitted"})
_LAST_TIMELY: Final = {
    name.value: bisect_left(SUBMIT_BOUNDS_MS, bound) for name, bound in OBJECTIVE_MS.items()
}
_PLACE: Final = {name: place for place, name in enumerate(Sums._fields)}
_MESSAGES: Final = _PLACE["messages"]
_SEGMENTS: Final = _PLACE["segments"]
_SENT: Final = _PLACE["sent"]
_BILLED: Final = _PLACE["billed_segments"]
_PARTIAL: Final = _PLACE["partial"]
_RETRIED: Final = _PLACE["retried"]
_TIMED: Final = _PLACE["timed"]
_TIMELY: Final = _PLACE["timely"]
_COST: Final = _PLACE["cost"]
_UNPRICED: Final = _PLACE["unpriced_segments"]
_REPLIES: Final = _PLACE["replies"]
_SUBMIT_DELAYS: Final = _PLACE["submit_delays"]
_RECEIPT_DELAYS: Final = _PLACE["receipt_delays"]
_ACCOUNT: Final = 1
_CAMPAIGN: Final = 2

_Key = tuple[int, str, str, str, str, str, str]
_Row = list[Any]
"""What is added up for one row, in the order of `Sums`."""


class HourFold:
    """The rows of one hour of ids."""

    def __init__(self, id_hour: int, *, prices: PriceList, max_campaigns: int) -> None:
        self._id_hour = id_hour
        self._prices = prices
        self._max_campaigns = max_campaigns
        self._rows: dict[_Key, _Row] = {}
        self.messages = 0
        self.open = 0

    def add(self, counts: Iterable[Count]) -> None:
        """Take the counts of one slice."""
        for one in counts:
            key = one[:7]
            row = self._rows.get(key)
            if row is None:
                row = self._rows[key] = _empty()
            if one.state == REPLY:
                row[_REPLIES] += one.messages
            else:
                self._add(row, one)

    def rows(self) -> list[ReportRow]:
        """Return the rows; of each account the campaigns with the most messages, the others as one."""
        return [ReportRow(self._id_hour, *key, *row) for key, row in self._merged().items()]

    def _add(self, row: _Row, one: Count) -> None:
        messages = one.messages
        self.messages += messages
        if one.state in _OPEN:
            self.open += messages
        row[_MESSAGES] += messages
        row[_SEGMENTS] += one.segments
        row[_PLACE[one.state]] += messages
        row[_PARTIAL] += one.partial
        row[_RETRIED] += one.retried
        if one.submit_bucket >= 0:
            row[_SENT] += messages
            row[_TIMED] += messages
            if one.submit_bucket <= _LAST_TIMELY[one.message_class]:
                row[_TIMELY] += messages
            row[_SUBMIT_DELAYS][one.submit_bucket] += messages
            self._price(row, one)
        elif one.state in _NEVER_SENT:
            row[_TIMED] += messages
        if one.receipt_bucket >= 0:
            row[_RECEIPT_DELAYS][one.receipt_bucket] += messages

    def _price(self, row: _Row, one: Count) -> None:
        row[_BILLED] += one.billed_segments
        cost = self._prices.cost(one.carrier, one.zone, one.account_id, one.message_class, one.sender)
        if cost is None:
            row[_UNPRICED] += one.billed_segments
        else:
            row[_COST] += cost * one.billed_segments

    def _merged(self) -> dict[_Key, _Row]:
        volumes: dict[str, Counter[str]] = {}
        for key, row in self._rows.items():
            if key[_CAMPAIGN]:
                volumes.setdefault(key[_ACCOUNT], Counter())[key[_CAMPAIGN]] += row[_MESSAGES]
        kept = {
            account_id: set(sorted(volume, key=lambda name: (-volume[name], name))[: self._max_campaigns])
            for account_id, volume in volumes.items()
            if len(volume) > self._max_campaigns
        }
        if not kept:
            return self._rows
        merged: dict[_Key, _Row] = {}
        for key, row in self._rows.items():
            at, account_id, campaign, carrier, channel, message_class, country = key
            if campaign and account_id in kept and campaign not in kept[account_id]:
                campaign = OTHER
            key = (at, account_id, campaign, carrier, channel, message_class, country)  # noqa: PLW2901
            there = merged.get(key)
            merged[key] = row if there is None else _plus(there, row)
        return merged


def _empty() -> _Row:
    row: _Row = [0] * len(_PLACE)
    row[_COST] = Decimal(0)
    row[_SUBMIT_DELAYS] = [0] * (len(SUBMIT_BOUNDS_MS) + 1)
    row[_RECEIPT_DELAYS] = [0] * (len(RECEIPT_BOUNDS_MS) + 1)
    return row


def _plus(one: _Row, other: _Row) -> _Row:
    return [
        [a + b for a, b in zip(left, right, strict=True)] if isinstance(left, list) else left + right
        for left, right in zip(one, other, strict=True)
    ]
