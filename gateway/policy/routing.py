"""Which carrier a message goes to first, and which ones after that: a pure function over a table (D1).

Built once from the configuration, read by `gateway.intake` for every message and by `explain` for people.

- Rules are tried in the order of the configuration; the first that fits wins. A rule that leaves a condition out
  fits everything there.
- Rules with the *same* conditions as the winner share the recipients among them by weight. The share is drawn from
  the recipient's digits, so one person's messages stay with one carrier and keep their order (D14), and a table
  gives the same answer in every process.
- The winner's carriers come first, in their order; then those of the rules it shares with. Rules with other
  conditions are never mixed in: a route for one account is not another's fallback.
- `prefer` moves carriers to the front, also such as no fitting rule names, but not one that every rule reserves for
  other accounts. `failover=False` keeps the message on what was preferred, or else on the first carrier.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zlib import crc32

from gateway.domain.message import MessageClass

_MAX_CACHED_DECISIONS = 20_000


@dataclass(frozen=True, slots=True)
class RouteRule:
    """One rule. `prefix` is the first digits of the recipient, without plus; empty conditions fit everything."""

    carriers: tuple[str, ...]
    prefix: str = ""
    account: str | None = None
    message_class: MessageClass | None = None
    sender: str | None = None
    weight: int = 1

    def misfit(self, query: "RouteQuery") -> str | None:
        """Return why the rule does not fit, or None when it does."""
        if not query.recipient.startswith(self.prefix):
            return f"the recipient does not start with {self.prefix}"
        if self.account is not None and self.account != query.account_id:
            return f"only for account {self.account}"
        if self.message_class is not None and self.message_class is not query.message_class:
            return f"only for class {self.message_class}"
        if self.sender is not None and self.sender != query.sender:
            return f"only for sender {self.sender}"
        return None

    def same_conditions(self, other: "RouteRule") -> bool:
        """True when both rules fit exactly the same messages."""
        return (self.prefix, self.account, self.message_class, self.sender) == (
            other.prefix,
            other.account,
            other.message_class,
            other.sender,
        )


class RouteQuery(NamedTuple):
    """What a route is chosen by. `recipient` is E.164 without plus; `prefer` and `failover` are the client's wish."""

    recipient: str
    account_id: str
    message_class: MessageClass
    sender: str
    prefer: tuple[str, ...] = ()
    failover: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """The carrier whose lane the message enters, the carriers still to try after it, and why."""

    carrier: str
    candidates: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class NoRoute:
    """No rule fits and nothing was preferred."""


@dataclass(frozen=True, slots=True)
class UnknownCarrier:
    """`prefer[index]` is no carrier that this account may use."""

    carrier: str
    index: int


RouteDecision = Plan | NoRoute | UnknownCarrier


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """What `explain` says of one rule; `misfit` is None when it fits. `index` counts from 1, as people do."""

    index: int
    carriers: tuple[str, ...]
    misfit: str | None
    chosen: bool


@dataclass(frozen=True, slots=True)
class _Share:
    """The rules that fit one kind of message, with the plans to hand out by weight."""

    bounds: tuple[int, ...]
    plans: tuple[Plan, ...]

    def pick(self, recipient: str) -> Plan:
        if len(self.plans) == 1:
            return self.plans[0]
        point = crc32(recipient.encode()) % self.bounds[-1]
        return next(plan for bound, plan in zip(self.bounds, self.plans, strict=True) if point < bound)


class RouteTable:
    """All rules of a configuration. Decisions depend on the arguments alone; the cache only saves time.

    `carriers` are all configured carriers, in order; without rules they are one rule that fits everything. Raises
    ValueError for a rule that names another carrier or none.
    """

    def __init__(self, rules: Sequence[RouteRule], *, carriers: Sequence[str]) -> None:
        self.carriers = tuple(carriers)
        self.rules = tuple(rules) or ((RouteRule(carriers=self.carriers),) if self.carriers else ())
        for index, rule in enumerate(self.rules, start=1):
            if not rule.carriers:
                raise ValueError(f"rule {index} names no carrier")
            for carrier in rule.carriers:
                if carrier not in self.carriers:
                    raise ValueError(f"rule {index} names the unknown carrier {carrier!r}")
        self._prefix_digits = max((len(rule.prefix) for rule in self.rules), default=0)
        self._by_sender = any(rule.sender is not None for rule in self.rules)
        self._reserved = {carrier: self._accounts_of(carrier) for carrier in self.carriers}
        self._shares: dict[tuple[str, str, MessageClass, str], _Share | None] = {}

    def _accounts_of(self, carrier: str) -> frozenset[str] | None:
        """Return the accounts that the carrier is reserved for, or None when it is open to all."""
        accounts = [rule.account for rule in self.rules if carrier in rule.carriers]
        named = frozenset(account for account in accounts if account is not None)
        return named if accounts and named and None not in accounts else None

    def decide(self, query: RouteQuery) -> RouteDecision:
        """Return the plan for one message, or why there is none."""
        key = (
            query.recipient[: self._prefix_digits],
            query.account_id,
            query.message_class,
            query.sender if self._by_sender else "",
        )
        try:
            share = self._shares[key]
        except KeyError:
            share = self._share(query)
            if len(self._shares) >= _MAX_CACHED_DECISIONS:
                self._shares.clear()
            self._shares[key] = share
        if not query.prefer and query.failover and share is not None:
            return share.pick(query.recipient)
        return self._wished(query, share.pick(query.recipient) if share else None)

    def _share(self, query: RouteQuery) -> _Share | None:
        winner = next((rule for rule in self.rules if rule.misfit(query) is None), None)
        if winner is None:
            return None
        peers = [
            (index, rule) for index, rule in enumerate(self.rules, start=1) if rule.same_conditions(winner)
        ]
        total = sum(rule.weight for _, rule in peers)
        plans, bounds, bound = [], [], 0
        for index, rule in peers:
            order = _unique([*rule.carriers, *(name for _, peer in peers for name in peer.carriers)])
            weight = f", weight {rule.weight} of {total}" if len(peers) > 1 else ""
            reason = f"rule {index}, prefix {rule.prefix or 'any'}{weight}"
            bound += rule.weight
            plans.append(Plan(order[0], order[1:], reason))
            bounds.append(bound)
        return _Share(tuple(bounds), tuple(plans))

    def _wished(self, query: RouteQuery, plan: Plan | None) -> RouteDecision:
        for index, carrier in enumerate(query.prefer):
            reserved = self._reserved.get(carrier, frozenset())
            if reserved is not None and query.account_id not in reserved:
                return UnknownCarrier(carrier, index)
        wished = _unique(query.prefer)
        if wished:
            rest = (plan.carrier, *plan.candidates) if plan is not None and query.failover else ()
            order = _unique([*wished, *rest])
            return Plan(order[0], order[1:], "preferred by the request")
        if plan is None:
            return NoRoute()
        return Plan(plan.carrier, (), f"{plan.reason}, no failover")

    def explain(self, query: RouteQuery) -> tuple[RouteDecision, tuple[RuleVerdict, ...]]:
        """Return the decision with what was found of every rule, in order."""
        decision = self.decide(query)
        first = decision.carrier if isinstance(decision, Plan) else None
        fitting = [rule for rule in self.rules if rule.misfit(query) is None]
        verdicts = []
        for index, rule in enumerate(self.rules, start=1):
            misfit = rule.misfit(query)
            in_force = misfit is None and rule.same_conditions(fitting[0])
            if misfit is None and not in_force:
                misfit = f"rule {self.rules.index(fitting[0]) + 1} fits before it"
            chosen = in_force and rule.carriers[0] == first and not query.prefer
            verdicts.append(RuleVerdict(index, rule.carriers, misfit, chosen))
        return decision, tuple(verdicts)


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
