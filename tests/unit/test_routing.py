"""Routes: first fit, shares by weight, the client's wish, and why."""

from collections import Counter
from decimal import Decimal

import pytest

from gateway.domain.message import Channel, MessageClass
from gateway.policy.routing import (
    Candidate,
    NoRoute,
    Plan,
    RouteQuery,
    RouteRule,
    RouteTable,
    UnknownCarrier,
    Verdict,
)

MX, CO = "525512345678", "573001112233"
CARRIERS = ("a", "b", "c")


def query(
    recipient=MX, *, account="acme", message_class=MessageClass.OTP, sender="ACME", prefer=(), failover=True
):
    return RouteQuery(recipient, account, message_class, sender, tuple(prefer), failover)


def table(*rules, carriers=CARRIERS):
    return RouteTable(rules, carriers=carriers)


def order(decision):
    assert isinstance(decision, Plan), decision
    return (decision.carrier, *decision.candidates)


def test_without_rules_all_carriers_are_tried_in_order():
    assert order(table().decide(query())) == CARRIERS


def test_without_carriers_there_is_no_route():
    assert table(carriers=()).decide(query()) == NoRoute()


def test_the_first_rule_that_fits_wins_over_a_longer_prefix_behind_it():
    routes = table(RouteRule(("a",), prefix="52"), RouteRule(("b",), prefix="5255"), RouteRule(("c",)))
    assert routes.decide(query()) == Plan("a", (), "rule 1, prefix 52")
    assert routes.decide(query(CO)) == Plan("c", (), "rule 3, prefix any")


@pytest.mark.parametrize(
    "rule",
    [
        RouteRule(("a",), prefix="56"),
        RouteRule(("a",), account="other"),
        RouteRule(("a",), message_class=MessageClass.MARKETING),
        RouteRule(("a",), sender="OTHER"),
    ],
)
def test_each_condition_can_keep_a_rule_from_fitting(rule):
    assert table(rule).decide(query()) == NoRoute()
    assert table(rule, RouteRule(("b",))).decide(query()) == Plan("b", (), "rule 2, prefix any")


def test_decisions_do_not_leak_between_senders_accounts_and_classes():
    routes = table(
        RouteRule(("a",), sender="X"),
        RouteRule(("b",), account="vip"),
        RouteRule(("c",), message_class=MessageClass.OTP),
    )
    assert order(routes.decide(query(sender="X"))) == ("a",)
    assert order(routes.decide(query(account="vip"))) == ("b",)
    assert order(routes.decide(query())) == ("c",)
    assert routes.decide(query(message_class=MessageClass.MARKETING)) == NoRoute()
    assert order(routes.decide(query(sender="X"))) == ("a",)


def test_rules_with_equal_conditions_share_recipients_by_weight_and_stay_with_them():
    routes = table(RouteRule(("a",), weight=3), RouteRule(("b", "c"), weight=1))
    numbers = [str(525510000000 + n) for n in range(4000)]
    shares = Counter(order(routes.decide(query(number)))[0] for number in numbers)
    assert 2800 < shares["a"] < 3200
    assert shares["a"] + shares["b"] == 4000
    again = table(RouteRule(("a",), weight=3), RouteRule(("b", "c"), weight=1))
    assert all(routes.decide(query(number)) == again.decide(query(number)) for number in numbers[:200])
    plans = {routes.decide(query(number)) for number in numbers}
    assert plans == {
        Plan("a", ("b", "c"), "rule 1, prefix any, weight 3 of 4"),
        Plan("b", ("c", "a"), "rule 2, prefix any, weight 1 of 4"),
    }


def test_the_route_of_one_account_is_no_fallback_of_another():
    routes = table(RouteRule(("a",), account="acme"), RouteRule(("b",), account="other"), RouteRule(("c",)))
    assert order(routes.decide(query())) == ("a",)


def test_preferred_carriers_come_first_and_the_others_stay_candidates():
    routes = table(RouteRule(("a", "b")))
    assert order(routes.decide(query(prefer=("b",)))) == ("b", "a")
    assert order(routes.decide(query(prefer=("c", "b", "c")))) == ("c", "b", "a")


def test_without_failover_the_message_stays_where_it_was_wished():
    routes = table(RouteRule(("a", "b")))
    assert order(routes.decide(query(prefer=("b",), failover=False))) == ("b",)
    assert order(routes.decide(query(failover=False))) == ("a",)


def test_a_preferred_carrier_serves_where_no_rule_fits():
    assert order(table(RouteRule(("a",), prefix="56")).decide(query(prefer=("b",)))) == ("b",)


def test_an_unknown_preferred_carrier_is_named_with_its_place():
    assert table().decide(query(prefer=("a", "nobody"))) == UnknownCarrier("nobody", 1)


def test_a_carrier_reserved_for_another_account_cannot_be_preferred():
    routes = table(RouteRule(("a",), account="vip"), RouteRule(("b",)))
    assert routes.decide(query(prefer=("a",))) == UnknownCarrier("a", 0)
    assert order(routes.decide(query(account="vip", prefer=("a",)))) == ("a",)


def test_the_cheaper_of_equal_rules_comes_first_and_the_dearer_ones_follow():
    routes = table(
        RouteRule(("c",)),
        RouteRule(("a",), cost=Decimal("0.012"), weight=1000),
        RouteRule(("b",), cost=Decimal("0.0119")),
    )
    assert routes.decide(query()) == Plan("b", ("a", "c"), "rule 3, prefix any", Decimal("0.0119"))


def test_equal_costs_share_by_weight_before_the_dearer_rule():
    cheap = Decimal("0.01")
    routes = table(
        RouteRule(("c",), cost=Decimal("0.02")),
        RouteRule(("a",), cost=cheap, weight=3),
        RouteRule(("b",), cost=Decimal("0.010")),
    )
    plans = Counter(order(routes.decide(query(str(525510000000 + n)))) for n in range(2000))
    assert set(plans) == {("a", "b", "c"), ("b", "a", "c")}
    assert 1400 < plans["a", "b", "c"] < 1600


def test_a_cheaper_rule_with_other_conditions_does_not_pass_an_earlier_one():
    routes = table(RouteRule(("a",), prefix="52", cost=Decimal(9)), RouteRule(("b",), cost=Decimal(1)))
    assert order(routes.decide(query())) == ("a",)


def test_explain_says_of_every_rule_why():
    routes = table(
        RouteRule(("a",), prefix="56"),
        RouteRule(("b",), cost=Decimal(1)),
        RouteRule(("c",), account="acme"),
        RouteRule(("a",), cost=Decimal(2)),
    )
    found = routes.explain(query())
    assert order(found.decision) == ("b", "a")
    assert [(verdict.index, verdict.verdict, verdict.reason, verdict.share) for verdict in found.rules] == [
        (1, Verdict.MISFIT, "the recipient does not start with 56", 0.0),
        (2, Verdict.CHOSEN, "has this recipient", 1.0),
        (3, Verdict.LATER, "rule 2 fits before it", 0.0),
        (4, Verdict.DEARER, "rule 2 has the same conditions and costs less", 0.0),
    ]
    assert found.candidates == (Candidate("b", "rule 2, chosen"), Candidate("a", "rule 4, dearer"))


def test_explain_names_the_rule_that_has_the_recipient_among_those_that_share():
    routes = table(RouteRule(("a", "c"), weight=3), RouteRule(("a", "b"), weight=1))
    numbers = [str(525510000000 + n) for n in range(400)]
    found = [routes.explain(query(number)) for number in numbers]
    chosen = Counter(
        verdict.index for one in found for verdict in one.rules if verdict.verdict is Verdict.CHOSEN
    )
    assert chosen[1] + chosen[2] == 400
    assert 250 < chosen[1] < 350
    assert {tuple(verdict.share for verdict in one.rules) for one in found} == {(0.75, 0.25)}
    assert all(order(one.decision)[1] == ("c" if one.rules[0].verdict == "chosen" else "b") for one in found)


def test_explain_keeps_the_wish_apart_from_the_rules():
    routes = table(RouteRule(("a", "b")), carriers=("a", "b", "c"))
    wished = routes.explain(query(prefer=("c", "b")))
    assert wished.candidates == (
        Candidate("c", "preferred by the request"),
        Candidate("b", "preferred by the request"),
        Candidate("a", "rule 1, chosen"),
    )
    unfit = table(RouteRule(("a",), prefix="56"), carriers=("a", "b"))
    assert unfit.explain(query(prefer=("b",))).candidates == (Candidate("b", "preferred by the request"),)
    alone = routes.explain(query(prefer=("c",), failover=False))
    assert [candidate.carrier for candidate in alone.candidates] == ["c"]


def test_explain_without_a_route_still_says_why():
    found = table(RouteRule(("a",), prefix="56")).explain(query())
    assert (found.decision, found.candidates) == (NoRoute(), ())
    assert [verdict.verdict for verdict in found.rules] == [Verdict.MISFIT]
    assert table().explain(query(prefer=("nobody",))).decision == UnknownCarrier("nobody", 0)


def test_the_memory_of_decisions_is_bounded(monkeypatch):
    monkeypatch.setattr("gateway.policy.routing._MAX_CACHED_DECISIONS", 10)
    routes = table(RouteRule(("a",), account="acme"), RouteRule(("b",)))
    for n in range(35):
        assert order(routes.decide(query(account=f"account-{n}"))) == ("b",)
    assert order(routes.decide(query())) == ("a",)


@pytest.mark.parametrize("rule", [RouteRule(()), RouteRule(("a", "nobody"))])
def test_a_rule_with_an_unusable_carrier_is_refused(rule):
    with pytest.raises(ValueError, match="rule 1"):
        table(rule)


WHATSAPP = {"b": Channel.WHATSAPP, "c": Channel.WHATSAPP}


def by_channel(*rules, channels=WHATSAPP):
    return RouteTable(rules, carriers=CARRIERS, channels=channels)


def on(channel, **wishes):
    return query(**wishes)._replace(channel=channel)


def test_a_message_only_gets_carriers_of_its_channel():
    routes = by_channel(RouteRule(("a", "b"), prefix="52"), RouteRule(("c", "a"), cost=Decimal("0.05")))
    assert order(routes.decide(on(Channel.SMS))) == ("a",)
    assert order(routes.decide(on(Channel.WHATSAPP))) == ("b",)
    assert routes.decide(on(Channel.WHATSAPP, recipient=CO)) == Plan(
        "c", (), "rule 2, prefix any", Decimal("0.05")
    )
    assert routes.decide(on(Channel.RCS)) == NoRoute()
    assert (routes.carriers_of(Channel.WHATSAPP), routes.channel_of("a"), routes.channel_of("x")) == (
        ("b", "c"),
        Channel.SMS,
        None,
    )


def test_a_channel_that_no_rule_names_has_all_of_its_carriers():
    routes = by_channel(RouteRule(("a",), prefix="52"))
    assert routes.decide(on(Channel.WHATSAPP, recipient=CO)) == Plan("b", ("c",), "rule 2, prefix any")
    assert routes.decide(on(Channel.SMS, recipient=CO)) == NoRoute()
    assert order(by_channel().decide(on(Channel.WHATSAPP))) == ("b", "c")


def test_a_rule_without_carriers_of_the_channel_does_not_fit_and_does_not_share():
    routes = by_channel(RouteRule(("a",), weight=3), RouteRule(("b",)), RouteRule(("c",)))
    found = routes.explain(on(Channel.WHATSAPP))
    assert [(one.verdict is Verdict.MISFIT, one.share) for one in found.rules] == [
        (True, 0.0),
        (False, 0.5),
        (False, 0.5),
    ]
    assert "of channel whatsapp" in found.rules[0].reason
    assert {one.carrier for one in found.candidates} == {"b", "c"}


def test_a_preferred_carrier_must_be_of_the_channel():
    routes = by_channel(RouteRule(("a", "b"), cost=Decimal("0.02")))
    assert routes.decide(on(Channel.WHATSAPP, prefer=["c", "a"])) == UnknownCarrier("a", 1)
    assert order(routes.decide(on(Channel.WHATSAPP, prefer=["c"]))) == ("c", "b")
    found = routes.decide(on(Channel.SMS, prefer=["a"]))
    assert isinstance(found, Plan)
    assert found.cost == Decimal("0.02")
