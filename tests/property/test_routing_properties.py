"""Properties of routing: the same answer everywhere, the first fit, the cheapest, and shares by weight."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.message import Channel, MessageClass
from gateway.policy.routing import NoRoute, Plan, RouteQuery, RouteRule, RouteTable, Verdict

CARRIERS = ("a", "b", "c", "d")
rules = st.builds(
    RouteRule,
    carriers=st.lists(st.sampled_from(CARRIERS), min_size=1, max_size=3).map(tuple),
    prefix=st.sampled_from(["", "52", "525", "56"]),
    account=st.sampled_from([None, None, "acme", "other"]),
    message_class=st.sampled_from([None, None, MessageClass.OTP]),
    sender=st.sampled_from([None, None, "ACME"]),
    weight=st.integers(1, 5),
    cost=st.sampled_from([None, Decimal("0.01"), Decimal("0.02"), Decimal(1)]),
)
tables = st.lists(rules, max_size=6).map(lambda rules: RouteTable(rules, carriers=CARRIERS))
queries = st.builds(
    RouteQuery,
    recipient=st.integers(0, 9999).map(lambda n: ("52551234" if n % 2 else "56987654") + f"{n:04}"),
    account_id=st.sampled_from(["acme", "other", "third"]),
    message_class=st.sampled_from(MessageClass),
    sender=st.sampled_from(["ACME", "12345"]),
    prefer=st.just(()),
    failover=st.just(True),
    channel=st.just(Channel.SMS),
)


@given(tables, queries, queries)
def test_a_decision_depends_on_the_message_alone(routes, query, other):
    first = routes.decide(query)
    routes.decide(other)
    assert routes.decide(query) == first
    assert RouteTable(routes.rules, carriers=CARRIERS).decide(query) == first


@given(tables, queries, queries)
def test_a_plan_that_is_remembered_is_the_one_decided(routes, query, other):
    plain = (query.recipient, query.account_id, query.message_class, query.sender)
    assert routes.plan_of(*plain) is None  # nobody has asked yet
    routes.decide(other)
    decision = routes.decide(query)
    assert routes.plan_of(*plain) == (decision if isinstance(decision, Plan) else None)


@given(tables, queries)
def test_the_plan_is_of_the_cheapest_rules_with_the_conditions_of_the_first_fit(routes, query):
    decision = routes.decide(query)
    fitting = [rule for rule in routes.rules if rule.misfit(query) is None]
    if not fitting:
        assert decision == NoRoute()
        return
    peers = [rule for rule in fitting if rule.same_conditions(fitting[0])]
    stated = [rule.cost for rule in peers if rule.cost is not None]
    cheapest = [rule for rule in peers if rule.cost == (min(stated) if stated else None)]
    assert isinstance(decision, Plan)
    order = (decision.carrier, *decision.candidates)
    assert decision.carrier in {rule.carriers[0] for rule in cheapest}
    assert set(order) == {carrier for rule in peers for carrier in rule.carriers}
    assert len(set(order)) == len(order)
    # No carrier that only dearer rules name stands before one of a cheaper rule.
    cheap = {carrier for rule in cheapest for carrier in rule.carriers}
    assert set(order[: len(cheap)]) == cheap


@given(tables, queries)
def test_explain_agrees_with_the_decision_and_its_shares_make_one(routes, query):
    found = routes.explain(query)
    decision = found.decision
    assert decision == routes.decide(query)
    assert len(found.rules) == len(routes.rules)
    chosen = [verdict for verdict in found.rules if verdict.verdict is Verdict.CHOSEN]
    if not isinstance(decision, Plan):
        assert not chosen
        assert not found.candidates
        return
    assert len(chosen) == 1
    assert chosen[0].rule.carriers[0] == decision.carrier
    assert decision.reason.startswith(f"rule {chosen[0].index},")
    assert tuple(candidate.carrier for candidate in found.candidates) == (
        decision.carrier,
        *decision.candidates,
    )
    assert abs(sum(verdict.share for verdict in found.rules) - 1) < 1e-9
    assert all((verdict.share > 0) == (verdict.verdict in ("chosen", "shares")) for verdict in found.rules)
    assert all(verdict.reason for verdict in found.rules)


@given(st.lists(st.integers(1, 5), min_size=2, max_size=4))
def test_shares_follow_the_weights(weights):
    equal = [RouteRule((carrier,), weight=weight) for carrier, weight in zip(CARRIERS, weights, strict=False)]
    routes = RouteTable(equal, carriers=CARRIERS)
    count = dict.fromkeys(CARRIERS, 0)
    for n in range(2000):
        query = RouteQuery(str(525512340000 + n), "acme", MessageClass.OTP, "ACME")
        decision = routes.decide(query)
        assert isinstance(decision, Plan)
        count[decision.carrier] += 1
    for rule in equal:
        assert abs(count[rule.carriers[0]] / 2000 - rule.weight / sum(weights)) < 0.06
