"""Parsing and preparing: the fast path and the slow path agree, nothing raises, and what is counted is what is sent."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.message import Message, MessageClass, Source
from gateway.domain.segmentation import segment_text
from gateway.intake.answers import item_results, render_batch, rfc3339
from gateway.intake.prepare import Circumstances
from gateway.intake.requests import BodyError, MessageDraft, parse_batch, parse_message
from gateway.intake.validity import VALIDITY_MS
from gateway.ports.consent_store import Wishes
from gateway.ports.intake_store import Account
from tests.support.intake import NOW_MS, Bench

GOOD = {"to": "+525512345678", "from": "ACME", "content": {"text": "hola"}}
BENCH = Bench()


def attempt(parse, body):
    """Return what parsing gives, or its error as a value."""
    try:
        return parse(body)
    except BodyError as error:
        return error


def draft(**changes):
    return parse_message(json.dumps(GOOD | changes).encode())


def prepare(account=None, **changes):
    common = Circumstances(account or Account("acme"), NOW_MS, "req_1")
    return BENCH.preparer.prepare(draft(**changes), common)


@given(st.text(min_size=1, max_size=700), st.booleans(), st.sampled_from([None, "auto", "ucs2"]))
def test_b27_segments_answered_are_the_segments_sent(text, transliterate, encoding):
    prepared = prepare(content={"text": text}, transliterate=transliterate, encoding=encoding)
    if isinstance(prepared, Message):
        sent = segment_text(prepared.text, encoding=prepared.encoding)
        assert sent.segment_count == len(sent.segments) == prepared.segment_count
        assert sent.encoding == prepared.encoding
    else:
        assert {fault.code for fault in prepared} <= {"too_many_segments", "invalid_text", "empty_text"}


USUAL = {
    "to": st.sampled_from(["+525512345678", "+14155552671", "5512345678", "+52 1 55 1234 5678", "+1", None]),
    "from": st.sampled_from(["ACME", "12345", "+525512345678", "", None]),
    "content": st.one_of(
        st.builds(dict, text=st.text(max_size=200)),
        st.sampled_from([{}, {"text": None}, {"text": "a\0"}, {"text": "x", "subject": "y"}, None]),
    ),
    "class": st.sampled_from([*MessageClass, None]),
    "channel": st.sampled_from([None, "sms", "whatsapp", "fax"]),
    "client_ref": st.sampled_from([None, "r", "a\0"]),
    "metadata": st.sampled_from([None, {"a": "b"}]),
    "webhook_id": st.sampled_from([None, "whk_1"]),
    "send_at": st.sampled_from([None, "2026-11-23T03:05:00Z"]),
    "expires_at": st.sampled_from([None, "2026-11-23T03:05:00Z"]),
    "encoding": st.sampled_from([None, "auto", "ucs2"]),
    "transliterate": st.sampled_from([None, True, False]),
    "params": st.sampled_from([None, {"1": "x"}]),
    "route": st.sampled_from([None, {"prefer": ["telco_b"]}, {"failover": False}]),
}
CIRCUMSTANCES = st.builds(
    Circumstances,
    st.builds(
        Account,
        st.just("acme"),
        transliterate=st.booleans(),
        default_region=st.sampled_from([None, "MX", "XX"]),
        bare_international=st.booleans(),
    ),
    st.just(NOW_MS),
    request_id=st.sampled_from([None, "req_1"]),
    batch_id=st.sampled_from([None, BENCH.new_id(NOW_MS)]),
    is_test=st.booleans(),
    source=st.sampled_from(Source),
    origin=st.sampled_from([None, "o"]),
    message_id=st.just(BENCH.new_id(NOW_MS)),
    webhook_ids=st.just(frozenset({"whk_1"})),
    wishes=st.sampled_from([None, {}, {"525512345678": Wishes(opted_out=frozenset({("*", "")}))}]),
)


@settings(max_examples=500)
@given(st.fixed_dictionaries({}, optional=USUAL), CIRCUMSTANCES)
def test_the_usual_message_is_prepared_as_any_other(changes, common):
    preparer = BENCH.preparer
    parsed = attempt(parse_message, json.dumps(GOOD | changes).encode())
    if isinstance(parsed, MessageDraft):
        prepared = preparer._prepare(parsed, common)  # now it is known how such messages are routed
        assert preparer._usual(parsed, common) in (None, prepared)


def test_most_messages_are_usual_ones():
    for changes in ({}, {"client_ref": "r", "class": "otp"}, {"content": {"text": "¡Ñandú, 你好!"}}):
        first = prepare(**changes)
        assert BENCH.preparer._usual(draft(**changes), Circumstances(Account("acme"), NOW_MS, "req_1"))
        assert isinstance(first, Message)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    [
        "to",
        "from",
        "content",
        "class",
        "channel",
        "route",
        "metadata",
        "client_ref",
        "send_at",
        "expires_at",
        "params",
        "x",
    ]
)


@settings(max_examples=300)
@given(st.dictionaries(FIELDS, JSON, max_size=6))
def test_no_json_makes_parsing_or_preparing_raise(tree):
    parsed = attempt(parse_message, json.dumps(GOOD | tree).encode())
    if isinstance(parsed, BodyError):
        assert parsed.code in ("validation_failed", "invalid_json")
        prepared = parsed.faults
    else:
        prepared = BENCH.preparer.prepare(parsed, Circumstances(Account("acme"), NOW_MS))
    if isinstance(prepared, tuple):
        for fault in prepared:
            msgspec.json.encode(fault)  # whatever came in, the answer is valid UTF-8
    else:
        msgspec.json.encode(prepared)


@settings(max_examples=200)
@given(st.lists(st.dictionaries(FIELDS, JSON, max_size=3), min_size=1, max_size=5))
def test_no_batch_item_touches_its_neighbours(trees):
    items = []
    for tree in trees:
        items += [tree, GOOD]
    batch = attempt(
        lambda body: parse_batch(body, max_messages=100), json.dumps({"messages": items}).encode()
    )
    if isinstance(batch, BodyError):
        assert batch.code == "invalid_json"  # NaN and the like are no JSON
        return
    assert len(batch.items) == len(items)
    common = Circumstances(Account("acme"), NOW_MS, batch_id=BENCH.new_id(NOW_MS))
    prepared = [
        BENCH.preparer.prepare(item, common) if isinstance(item, MessageDraft) else item
        for item in batch.items
    ]
    assert all(isinstance(item, Message) for item in prepared[1::2])
    refs = [item.client_ref if isinstance(item, MessageDraft) else None for item in batch.items]
    render_batch(common.batch_id, item_results(prepared, refs))


@given(st.binary(max_size=60))
def test_no_octets_make_parsing_raise_anything_but_its_error(body):
    for parse in (parse_message, lambda octets: parse_batch(octets, max_messages=10)):
        parsed = attempt(parse, body)
        assert not isinstance(parsed, BodyError) or parsed.code in ("validation_failed", "invalid_json")


def test_defaults_fill_only_what_an_item_leaves_out():
    body = {
        "defaults": {"from": "ACME", "class": "marketing", "content": {"text": "d"}, "metadata": {"a": "b"}},
        "messages": [{"to": "+525512345678"}, GOOD | {"class": "otp", "from": "OWN"}, {"to": 1}],
    }
    first, second, third = parse_batch(json.dumps(body).encode(), max_messages=10).items
    assert (first.sender, first.message_class, first.content.text) == ("ACME", MessageClass.MARKETING, "d")
    assert (second.sender, second.message_class, second.content.text) == ("OWN", MessageClass.OTP, "hola")
    assert second.metadata == {"a": "b"}
    assert isinstance(third, tuple)


@pytest.mark.parametrize("message_class", list(MessageClass))
def test_validity_of_each_class_starts_when_the_message_may_be_sent(message_class):
    assert prepare(**{"class": message_class}).valid_until == NOW_MS + VALIDITY_MS[message_class]
    later = prepare(**{"class": message_class, "send_at": rfc3339(NOW_MS + 60_000)})
    assert later.send_at == NOW_MS + 60_000
    assert later.valid_until == NOW_MS + 60_000 + VALIDITY_MS[message_class]


def test_expiry_must_lie_behind_send_at():
    (fault,) = prepare(send_at=rfc3339(NOW_MS + 60_000), expires_at=rfc3339(NOW_MS + 60_000))
    assert (fault.code, fault.detail) == ("expired_validity", "expires_at is not after send_at")


def test_d6_old_mexican_forms_and_account_defaults_of_numbers():
    assert prepare(to="+5215512345678").recipient == "525512345678"
    assert prepare(account=Account("a", default_region="MX"), to="5512345678").recipient == "525512345678"
    assert (
        prepare(account=Account("a", bare_international=True), to="525512345678").recipient == "525512345678"
    )


def test_max_segments_is_the_accounts():
    text = {"text": "a" * 161}
    (fault,) = prepare(account=Account("a", max_segments=1), content=text)
    assert fault.code == "too_many_segments"
    assert prepare(account=Account("a", max_segments=2), content=text).segment_count == 2


def test_times_are_written_in_utc_with_milliseconds():
    assert rfc3339(NOW_MS + 7) == "2026-11-22T03:00:00.007Z"
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"
