"""Which carrier a message goes to first, and which ones after that: a pure function over a table (D1).

Built once from the configuration, read by `gateway.intake` for every message and by `explain` for people.

- Rules are tried in the order of the configuration; the first that fits wins. A rule that leaves a condition out
  fits everything there.
- Among rules with the *same* conditions as that one the cheaper comes first. `cost` is in any one unit; a rule that
  states none comes after those that do.
- Rules with the same conditions and the same cost share the recipients among them by weight. The share is drawn from
  the recipient's digits, so one person's messages stay with one carrier and keep their order (D14), and a table
  gives the same answer in every process.
- The carriers of the rule that has the recipient come first, in their order; then those of the rules it shares with;
  then those of the dearer ones, the cheaper first. Rules with other conditions are never mixed in: a route for one
  account is not another's fallback.
- `prefer` moves carriers to the front, also such as no fitting rule names, but not one that every rule reserves for
  other accounts. `failover=False` keeps the message on what was preferred, or else on the first carrier.
- Every carrier has one channel, and a message only gets carriers of its own: a rule without one does not fit. A channel
  none of whose carriers any rule names has them all, in the order of the configuration.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple
from zlib import crc32

from gateway.domain.message import Channel, MessageClass

_MAX_CACHED_DECISIONS = 20_000


@dataclass(frozen=True, slots=True)
class RouteRule:
    """One rule. `prefix` is the first digits of the recipient, without plus; empty conditions fit everything.

    `cost` is the price of a segment, None where it is not stated.
    """

    carriers: tuple[str, ...]
    prefix: str = ""
    account: str | None = None
    message_class: MessageClass | None = None
    sender: str | None = None
    weight: int = 1
    cost: Decimal | None = None

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
    channel: Channel = Channel.SMS


@dataclass(frozen=True, slots=True)
class Plan:
    """The carrier whose lane the message enters, the carriers still to try after it, and why.

    `cost` is what the rule says that a segment costs on the first one, None where it says nothing.
    """

    carrier: str
    candidates: tuple[str, ...]
    reason: str
    cost: Decimal | None = None


@dataclass(frozen=True, slots=True)
class NoRoute:
    """No rule fits and nothing was preferred."""


@dataclass(frozen=True, slots=True)
class UnknownCarrier:
    """`prefer[index]` is no carrier that this account may use for this channel."""

    carrier: str
    index: int


RouteDecision = Plan | NoRoute | UnknownCarrier


class Verdict(StrEnum):
    """What came of one rule."""

    CHOSEN = "chosen"
    SHARES = "shares"
    DEARER = "dearer"
    LATER = "later"
    MISFIT = "misfit"


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """What `explain` says of one rule. `index` counts from 1, as people do; `reason` is for them.

    CHOSEN has the recipient, SHARES would have others, DEARER comes after them, LATER fits but stands behind a rule
    with other conditions, MISFIT does not fit. `share` is the part (0 to 1) of the recipients that the rule has among
    those with its conditions, by weight and cost.
    """

    index: int
    rule: RouteRule
    verdict: Verdict
    reason: str
    share: float


class Candidate(NamedTuple):
    """One carrier in the order in which they are tried, with what put it there."""

    carrier: str
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with its reasons: the carriers in order (empty without a plan), and every rule in order."""

    decision: RouteDecision
    candidates: tuple[Candidate, ...]
    rules: tuple[RuleVerdict, ...]


@dataclass(frozen=True, slots=True)
class _Share:
    """The rules that fit one kind of message, with the plans to hand out by weight.

    `ranked` are the indices (from 0) of the rules with the conditions in force: those that share, then the dearer.
    The first `len(plans)` of them have one plan each.
    """

    bounds: tuple[int, ...]
    plans: tuple[Plan, ...]
    ranked: tuple[int, ...]

    def pick(self, recipient: str) -> Plan:
        return self.plans[self.slot(recipient)]

    def slot(self, recipient: str) -> int:
        """Return which of the plans has the recipient."""
        if len(self.plans) == 1:
            return 0
        return bisect_right(self.bounds, crc32(recipient.encode()) % self.bounds[-1])


class RouteTable:
    """All rules of a configuration. Decisions depend on the arguments alone; the cache only saves time.

    `carriers` are all configured carriers, in order; without rules they are one rule that fits everything. `channels`
    names the channel of those that are not for short messages. Raises ValueError for a rule that names another carrier
    or none.
    """

    def __init__(
        self,
        rules: Sequence[RouteRule],
        *,
        carriers: Sequence[str],
        channels: Mapping[str, Channel] | None = None,
    ) -> None:
        self.carriers = tuple(carriers)
        channels = channels or {}
        self._channels = {carrier: channels.get(carrier, Channel.SMS) for carrier in self.carriers}
        for index, rule in enumerate(rules, start=1):
            if not rule.carriers:
                raise ValueError(f"rule {index} names no carrier")
            for carrier in rule.carriers:
                if carrier not in self._channels:
                    raise ValueError(f"rule {index} names the unknown carrier {carrier!r}")
        self.rules = (*rules, *self._implied(rules))
        self._prefix_digits = max((len(rule.prefix) for rule in self.rules), default=0)
        self._by_sender = any(rule.sender is not None for rule in self.rules)
        self._reserved = {carrier: self._accounts_of(carrier) for carrier in self.carriers}
        self._shares: dict[tuple[str, str, MessageClass, str, Channel], _Share | None] = {}

    def _implied(self, rules: Sequence[RouteRule]) -> list[RouteRule]:
        """Return a rule for what no rule speaks of: all carriers, or those of a channel that is in no rule."""
        if not rules:
            return [RouteRule(carriers=self.carriers)] if self.carriers else []
        named = {self._channels[carrier] for rule in rules for carrier in rule.carriers}
        silent = dict.fromkeys(channel for channel in self._channels.values() if channel not in named)
        return [RouteRule(carriers=self.carriers_of(channel)) for channel in silent]

    def carriers_of(self, channel: Channel) -> tuple[str, ...]:
        """Return the carriers of one channel, in order."""
        return tuple([carrier for carrier in self.carriers if self._channels[carrier] is channel])

    def channel_of(self, carrier: str) -> Channel | None:
        """Return the channel of a carrier, None for one that does not exist."""
        return self._channels.get(carrier)

    def _accounts_of(self, carrier: str) -> frozenset[str] | None:
        """Return the accounts that the carrier is reserved for, or None when it is open to all."""
        accounts = [rule.account for rule in self.rules if carrier in rule.carriers]
        named = frozenset(account for account in accounts if account is not None)
        return named if accounts and named and None not in accounts else None

    def decide(self, query: RouteQuery) -> RouteDecision:
        """Return the plan for one message, or why there is none."""
        share = self._share_of(query)
        if not query.prefer and query.failover and share is not None:
            return share.pick(query.recipient)
        return self._wished(query, share.pick(query.recipient) if share else None)

    def plan_of(
        self, recipient: str, account_id: str, message_class: MessageClass, sender: str
    ) -> Plan | None:
        """Return what `decide` said of other short messages of the kind, without wishes; None where it was not asked yet."""
        prefix = recipient[: self._prefix_digits]
        share = self._shares.get(
            (prefix, account_id, message_class, sender if self._by_sender else "", Channel.SMS)
        )
        return None if share is None else share.pick(recipient)

    def _share_of(self, query: RouteQuery) -> _Share | None:
        key = (
            query.recipient[: self._prefix_digits],
            query.account_id,
            query.message_class,
            query.sender if self._by_sender else "",
            query.channel,
        )
        try:
            return self._shares[key]
        except KeyError:
            share = self._make_share(query)
            if len(self._shares) >= _MAX_CACHED_DECISIONS:
                self._shares.clear()
            self._shares[key] = share
            return share

    def _misfit(self, rule: RouteRule, query: RouteQuery) -> str | None:
        misfit = rule.misfit(query)
        if misfit is None and not self._of_channel(rule, query.channel):
            return f"none of its carriers is of channel {query.channel}"
        return misfit

    def _of_channel(self, rule: RouteRule, channel: Channel) -> tuple[str, ...]:
        channels = self._channels
        return tuple([carrier for carrier in rule.carriers if channels[carrier] is channel])

    def _make_share(self, query: RouteQuery) -> _Share | None:
        rules = self.rules
        winner = next((rule for rule in rules if self._misfit(rule, query) is None), None)
        if winner is None:
            return None
        carriers = [self._of_channel(rule, query.channel) for rule in rules]
        peers = [
            index for index, rule in enumerate(rules) if rule.same_conditions(winner) and carriers[index]
        ]
        peers.sort(key=lambda index: _rank(rules[index].cost))  # stable: the order of the configuration stays
        cost = rules[peers[0]].cost
        sharing = [index for index in peers if rules[index].cost == cost]
        total = sum([rules[index].weight for index in sharing])
        plans, bounds, bound = [], [], 0
        for index in sharing:
            rule = rules[index]
            order = _unique([*carriers[index], *(name for peer in peers for name in carriers[peer])])
            weight = f", weight {rule.weight} of {total}" if len(sharing) > 1 else ""
            reason = f"rule {index + 1}, prefix {rule.prefix or 'any'}{weight}"
            bound += rule.weight
            plans.append(Plan(order[0], order[1:], reason, cost))
            bounds.append(bound)
        return _Share(tuple(bounds), tuple(plans), tuple(peers))

    def _wished(self, query: RouteQuery, plan: Plan | None) -> RouteDecision:
        for index, carrier in enumerate(query.prefer):
            reserved = self._reserved.get(carrier, frozenset())
            is_other = self._channels.get(carrier) is not query.channel
            if is_other or (reserved is not None and query.account_id not in reserved):
                return UnknownCarrier(carrier, index)
        wished = _unique(query.prefer)
        if wished:
            rest = (plan.carrier, *plan.candidates) if plan is not None and query.failover else ()
            order = _unique([*wished, *rest])
            return Plan(order[0], order[1:], "preferred by the request", self._cost_of(order[0], query))
        if plan is None:
            return NoRoute()
        return Plan(plan.carrier, (), f"{plan.reason}, no failover", plan.cost)

    def _cost_of(self, carrier: str, query: RouteQuery) -> Decimal | None:
        """Return what a segment costs on a preferred carrier: as the first fitting rule says that names it."""
        fitting = (rule for rule in self.rules if carrier in rule.carriers and rule.misfit(query) is None)
        return next((rule.cost for rule in fitting), None)

    def explain(self, query: RouteQuery) -> Explanation:
        """Return the decision with the reason of every carrier in it, and what came of every rule."""
        decision = self.decide(query)
        share = self._share_of(query)
        slot = share.slot(query.recipient) if share is not None else 0
        verdicts = tuple(
            [self._judge(index, query, share=share, slot=slot) for index in range(len(self.rules))]
        )
        if not isinstance(decision, Plan):
            return Explanation(decision, (), verdicts)
        sources = dict.fromkeys(query.prefer, "preferred by the request")
        for index in _own_first(share, slot):
            verdict = verdicts[index]
            for carrier in verdict.rule.carriers:  # of other channels too: they are not asked for
                sources.setdefault(carrier, f"rule {verdict.index}, {verdict.verdict}")
        order = (decision.carrier, *decision.candidates)
        return Explanation(
            decision, tuple([Candidate(carrier, sources[carrier]) for carrier in order]), verdicts
        )

    def _judge(self, index: int, query: RouteQuery, *, share: _Share | None, slot: int) -> RuleVerdict:
        rule = self.rules[index]
        misfit = self._misfit(rule, query)
        part = 0.0
        if misfit is not None or share is None:
            verdict, reason = Verdict.MISFIT, misfit or ""
        elif index not in share.ranked:
            first = min(share.ranked) + 1
            verdict, reason = Verdict.LATER, f"rule {first} fits before it"
        else:
            rank = share.ranked.index(index)
            if rank >= len(share.plans):
                cheaper = share.ranked[0] + 1
                verdict, reason = Verdict.DEARER, f"rule {cheaper} has the same conditions and costs less"
            else:
                part = rule.weight / share.bounds[-1]
                verdict = Verdict.CHOSEN if rank == slot else Verdict.SHARES
                reason = "has this recipient" if rank == slot else "has other recipients, by weight"
        return RuleVerdict(index + 1, rule, verdict, reason, part)


def _own_first(share: _Share | None, slot: int) -> tuple[int, ...]:
    """Return the rules in force, the one that has the recipient before the others."""
    if share is None:
        return ()
    own = share.ranked[slot]
    return (own, *(index for index in share.ranked if index != own))


def _rank(cost: Decimal | None) -> tuple[bool, Decimal]:
    return cost is None, cost or Decimal(0)


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
