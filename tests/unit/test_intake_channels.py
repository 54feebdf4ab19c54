"""Messages with several channels at intake: the plan, every fault at its field, and what people have asked for."""

import json
from collections.abc import Mapping
from decimal import Decimal

import pytest

from gateway.domain.message import Channel, Message, Progress
from gateway.intake.prepare import Circumstances
from gateway.intake.requests import BodyError, parse_batch, parse_message
from gateway.policy.routing import RouteRule, RouteTable
from gateway.ports.consent_store import EVERY, Wishes
from gateway.ports.intake_store import Account
from tests.support.intake import NOW_MS, Bench

RULES = (RouteRule(("wa",), cost=Decimal("0.05")), RouteRule(("telco_a", "telco_b"), cost=Decimal("0.01")))
CARRIERS = ("wa", "telco_a", "telco_b", "rcs_1")
CHANNELS = {"wa": Channel.WHATSAPP, "rcs_1": Channel.RCS}
NUMBER = "525512345678"
GOOD = {"to": "+" + NUMBER, "from": "ACME", "content": {"text": "hola"}}


def a_bench() -> Bench:
    bench = Bench()
    bench.preparer.use(RouteTable(RULES, carriers=CARRIERS, channels=CHANNELS))
    return bench


BENCH = a_bench()


def prepare(*, account: Account | None = None, wishes: Mapping[str, Wishes] | None = None, **changes):
    draft = parse_message(json.dumps(GOOD | changes).encode())
    common = Circumstances(account or Account("acme"), NOW_MS, "req_1", wishes=wishes)
    return BENCH.preparer.prepare(draft, common)


def planned(found) -> list[str]:
    assert isinstance(found, Message), found
    return [found.channel, *(step.channel for step in found.plan.rest)] if found.plan else [found.channel]


def test_a_message_of_one_channel_has_no_plan_and_only_carriers_of_its_channel():
    sms, whatsapp = prepare(), prepare(channel="whatsapp")
    assert isinstance(sms, Message)
    assert isinstance(whatsapp, Message)
    assert (sms.channel, sms.carrier, sms.candidates, sms.plan) == (
        Channel.SMS,
        "telco_a",
        ("telco_b",),
        None,
    )
    assert (whatsapp.channel, whatsapp.carrier, whatsapp.candidates, whatsapp.plan) == (
        Channel.WHATSAPP,
        "wa",
        (),
        None,
    )
    # A channel that no rule names has its carriers all the same.
    assert prepare(channel="rcs").carrier == "rcs_1"


def test_the_first_channel_is_the_message_and_the_others_are_its_plan():
    found = prepare(
        channels=[
            {"channel": "whatsapp", "fallback": {"unless": "delivered", "within_s": 30}},
            "rcs",
            {"channel": "sms", "to": "+525512345679", "from": "12345", "content": {"text": "x" * 200}},
        ]
    )
    assert isinstance(found, Message)
    plan = found.plan
    assert plan is not None
    assert (found.channel, found.carrier, found.text, plan.step) == (Channel.WHATSAPP, "wa", "hola", 1)
    assert (plan.wait_for, plan.wait_ms, plan.cost) == (Progress.DELIVERED, 30_000, "0.05")
    rcs, sms = plan.rest
    assert (rcs.channel, rcs.carrier, rcs.wait_for, rcs.wait_ms) == (
        Channel.RCS,
        "rcs_1",
        Progress.SENT,
        60_000,
    )
    assert (sms.recipient, sms.sender, sms.segment_count, sms.cost) == ("525512345679", "12345", 2, "0.01")
    assert (sms.carrier, sms.candidates, sms.wait_for) == ("telco_a", ("telco_b",), None)


def test_preferred_carriers_count_for_their_channel():
    found = prepare(channels=["whatsapp", "sms"], route={"prefer": ["telco_b"], "failover": False})
    assert isinstance(found, Message)
    assert found.plan is not None
    assert (found.carrier, found.plan.rest[0].carrier, found.plan.rest[0].candidates) == ("wa", "telco_b", ())
    assert found.plan.rest[0].cost == "0.01"


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"channel": "fax"}, [("invalid_channel", "/channel")]),
        ({"channel": "email"}, [("invalid_channel", "/channel")]),
        ({"channel": "sms", "channels": ["sms"]}, [("invalid_channel", "/channels")]),
        ({"channels": ["sms", "sms"]}, [("invalid_channel", "/channels/1")]),
        ({"channels": ["sms", "fax"]}, [("invalid_channel", "/channels/1/channel")]),
        ({"channels": [{"channel": "sms", "to": "12"}, "whatsapp"]}, [("invalid_number", "/channels/0/to")]),
        ({"to": "12", "channels": ["sms", "whatsapp"]}, [("invalid_number", "/to")]),
        (
            {"channels": ["whatsapp", {"channel": "sms", "content": {}}]},
            [("missing_field", "/channels/1/content/text")],
        ),
        (
            {"channels": ["whatsapp"], "route": {"prefer": ["telco_a"]}},
            [("unknown_carrier", "/route/prefer/0")],
        ),
        ({"channel": "whatsapp", "route": {"prefer": ["telco_a"]}}, [("unknown_carrier", "/route/prefer/0")]),
    ],
)
def test_what_is_wrong_with_a_channel_is_told_where_it_was_given(changes, faults):
    found = prepare(**changes)
    assert isinstance(found, tuple), found
    assert [(fault.code, fault.pointer) for fault in found] == faults


@pytest.mark.parametrize(
    "channels",
    [
        [],
        ["sms"] * 6,
        [7],
        [{"channel": "sms", "unknown": 1}],
        [{"channel": "sms", "fallback": {"within_s": 0}}],
        [{"channel": "sms", "fallback": {"within_s": 86_401}}],
        [{"channel": "sms", "fallback": {"unless": "read"}}],
    ],
)
def test_a_list_of_channels_that_is_none_is_refused_with_its_place(channels):
    with pytest.raises(BodyError) as caught:
        parse_message(json.dumps(GOOD | {"channels": channels}).encode())
    assert caught.value.faults[0].pointer.startswith("/channels")


def test_defaults_of_a_batch_do_not_add_channels_to_a_message_with_one_of_its_own():
    body = {"defaults": {"channels": ["whatsapp", "sms"]}, "messages": [GOOD, GOOD | {"channel": "sms"}]}
    first, second = parse_batch(json.dumps(body).encode(), max_messages=10).items
    assert (first.channels, first.channel) == (["whatsapp", "sms"], None)
    assert (second.channels, second.channel) == (None, "sms")


OUT_OF_WHATSAPP = Wishes(frozenset({("whatsapp", EVERY)}))
OUT_OF_SENDER = Wishes(frozenset({(EVERY, "ACME")}))
SMS_FIRST = Wishes(allowed=(Channel.SMS, Channel.WHATSAPP))


@pytest.mark.parametrize(
    ("wishes", "left"),
    [
        (OUT_OF_WHATSAPP, ["sms"]),
        (SMS_FIRST, ["sms", "whatsapp"]),
        (Wishes(allowed=(Channel.WHATSAPP,)), ["whatsapp"]),
        (Wishes(frozenset({("sms", "OTHER")})), ["whatsapp", "sms"]),
    ],
)
def test_channels_that_are_not_wanted_are_left_out_and_the_order_is_the_persons(wishes, left):
    assert planned(prepare(channels=["whatsapp", "sms"], wishes={NUMBER: wishes})) == left


@pytest.mark.parametrize("changes", [{}, {"channels": ["sms", "whatsapp"]}, {"channel": "whatsapp"}])
@pytest.mark.parametrize("wishes", [OUT_OF_SENDER, Wishes(allowed=()), Wishes(frozenset({(EVERY, EVERY)}))])
def test_when_no_channel_is_wanted_the_message_is_refused_as_opted_out(changes, wishes):
    found = prepare(**changes, wishes={NUMBER: wishes})
    assert isinstance(found, tuple)
    assert [(fault.code, fault.pointer) for fault in found] == [("opted_out", "/to")]


def test_one_time_passwords_go_out_all_the_same_only_where_the_account_says_so():
    wishes = {NUMBER: Wishes(frozenset({(EVERY, EVERY)}))}
    sends = Account("acme", otp_despite_opt_out=True)
    otp = {"class": "otp", "channels": ["whatsapp", "sms"]}
    found = prepare(account=sends, wishes=wishes, **otp)
    assert planned(found) == ["whatsapp", "sms"]
    assert found.plan.ignores_opt_out
    assert prepare(wishes=wishes, **otp)[0].code == "opted_out"
    assert prepare(account=sends, wishes=wishes, **(otp | {"class": "marketing"}))[0].code == "opted_out"
    # A preference is no opt-out: it holds for everything.
    assert planned(prepare(account=sends, wishes={NUMBER: Wishes(allowed=(Channel.SMS,))}, **otp)) == ["sms"]
