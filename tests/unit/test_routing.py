"""Routes: first fit, shares by weight, the client's wish, and why."""

from collections import Counter

import pytest

from gateway.domain.message import MessageClass
from gateway.policy.routing import NoRoute, Plan, RouteQuery, RouteRule, RouteTable, UnknownCarrier

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


def test_explain_says_of_every_rule_why():
    routes = table(RouteRule(("a",), prefix="56"), RouteRule(("b",)), RouteRule(("c",), account="acme"))
    decision, verdicts = routes.explain(query())
    assert order(decision) == ("b",)
    assert [verdict.misfit for verdict in verdicts] == [
        "the recipient does not start with 56",
        None,
        "rule 2 fits before it",
    ]
    assert [verdict.chosen for verdict in verdicts] == [False, True, False]


@pytest.mark.parametrize("rule", [RouteRule(()), RouteRule(("a", "nobody"))])
def test_a_rule_with_an_unusable_carrier_is_refused(rule):
    with pytest.raises(ValueError, match="rule 1"):
        table(rule)
