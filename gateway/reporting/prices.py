"""What segments cost: the costs of the routing rules as one list, kept with the hours that were counted by it.

A carrier's price for a message is that of the first rule that names the carrier and fits the message, as when a carrier
is asked for by name (`gateway.policy.routing`). Pure but for JSON; used by `gateway.reporting.roller` and the wiring.
"""

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache

import msgspec

from gateway.domain.message import MessageClass
from gateway.policy.routing import RouteQuery, RouteRule


class _Price(msgspec.Struct, frozen=True, omit_defaults=True):
    """What of a rule matters to a price."""

    carriers: tuple[str, ...]
    prefix: str = ""
    account: str | None = None
    message_class: MessageClass | None = None
    sender: str | None = None
    cost: Decimal | None = None


class PriceList:
    """The rules in order. Two lists that say the same have one `id`."""

    def __init__(self, prices: Iterable[_Price]) -> None:
        self._prices = tuple(prices)
        # Without a single price there is nothing to tell apart.
        priced = self._prices if any(one.cost is not None for one in self._prices) else ()
        self._rules = [
            RouteRule(one.carriers, one.prefix, one.account, one.message_class, one.sender, cost=one.cost)
            for one in priced
        ]
        self.zones: tuple[str, ...] = tuple(sorted({one.prefix for one in priced if one.prefix}))
        self.senders: tuple[str, ...] = tuple(sorted({one.sender for one in priced if one.sender}))
        self.text = msgspec.json.encode(self._prices).decode()
        self.id = hashlib.sha256(self.text.encode()).hexdigest()[:16]
        self.cost = lru_cache(maxsize=4096)(self._cost)

    @classmethod
    def of(cls, rules: Iterable[RouteRule]) -> "PriceList":
        """Return the prices of the routing rules."""
        return cls(
            [
                _Price(one.carriers, one.prefix, one.account, one.message_class, one.sender, one.cost)
                for one in rules
            ]
        )

    @classmethod
    def read(cls, text: str) -> "PriceList":
        """Return the list that `text` was written from."""
        return cls(msgspec.json.decode(text, type=tuple[_Price, ...]))

    def _cost(
        self, carrier: str, zone: str, account_id: str, message_class: str, sender: str
    ) -> Decimal | None:
        """Return what a segment costs, None where no rule says so.

        `zone` is the longest prefix of any rule that the recipient begins with: a rule fits the zone exactly when it
        fits the recipient.
        """
        query = RouteQuery(zone, account_id, MessageClass(message_class), sender)
        fitting = (rule for rule in self._rules if carrier in rule.carriers and rule.misfit(query) is None)
        return next((rule.cost for rule in fitting), None)
